"""Run folders: one that a real training left, and made-up ones for the odd cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sorby import provenance
from sorby.backbone import Preprocessing
from sorby.classify import Classifier, Recipe, Verdicts
from sorby.classify.recipe import dump, load
from sorby.corpus import Corpus
from sorby.evidence import t_interval
from sorby.files import sha256_file, write_json, write_text
from sorby.workflow.assessment import assess, verdict_table
from sorby.workflow.opening import open_classifier
from sorby.workflow.runs import write_table
from sorby.workflow.training import train

SIDE = 64


def paint(path: Path, stripes: bool, rng: np.random.Generator) -> Path:
    """Write a noisy image with or without stripes."""
    picture = rng.normal(128, 25, (SIDE, SIDE))
    if stripes:
        picture += 60 * np.sin(np.arange(SIDE) / 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Classifier]:
    """A finished frozen training on stripes and noise in which three labels are wrong, so that there are mistakes."""
    folder, rng = tmp_path_factory.mktemp("trained"), np.random.default_rng(1863)
    rows = []
    for k in range(48):
        stripes = k % 2 == 0
        label = "striped" if stripes != (k in (3, 16, 29, 30, 41)) else "plain <i>&"
        rows.append(
            {"path": paint(folder / "images" / f"{k}.png", stripes, rng).name, "label": label, "specimen": k // 2}
        )
    table = pd.DataFrame(rows)
    table["path"] = "images/" + table["path"]
    table.to_csv(folder / "labels.csv", index=False)
    recipe = load(None, {"image.height": SIDE, "image.width": SIDE, "head.folds": 3})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SORBY_HOME", str(folder / "home"))
        train(folder / "labels.csv", folder / "run", recipe, device="cpu", report=False)
    return folder / "run", open_classifier(folder / "run" / "bundle.sorby")[0]


MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path, rng: np.random.Generator) -> MakeRun:
    """A function that writes a cross-validation's run folder with verdicts made up to order."""

    def make(
        classes: Sequence[str] = ("a", "b"),
        labels: Sequence[int] = (0, 1) * 10,
        predicted: Sequence[int] | None = None,
        *,
        images: bool = True,
        specimens: Sequence[str] | None = None,
        folds: Sequence[int] | None = None,
        **changes: Any,
    ) -> Path:
        truth = np.asarray(labels, np.intp)
        called = truth if predicted is None else np.asarray(predicted, np.intp)
        fold = np.arange(len(truth)) // -(-len(truth) // 2) if folds is None else np.asarray(folds, np.intp)
        sets = np.eye(len(classes), dtype=bool)[called]
        p = np.where(sets, 0.9, 0.1 / max(1, len(classes) - 1))
        novelty = rng.uniform(0.02, 1, len(truth))
        verdicts = Verdicts(p, sets, novelty, [()] * len(truth))
        table = pd.DataFrame({"path": [f"images/{k}.png" for k in range(len(truth))]})
        table["label"] = [classes[k] for k in truth]
        if specimens is not None:
            table["specimen"] = list(specimens)
        for name in table["path"]:
            paint(tmp_path / name, True, rng)
        table["sha256"] = [sha256_file(tmp_path / name) for name in table["path"]]
        table["pixel_size_um"] = None
        run = tmp_path / "run"
        run.mkdir()
        corpus = Corpus(table, tmp_path).with_folds(fold, "made up")
        order = np.argsort(fold, kind="stable")
        parts = np.array([f"fold-{k}" for k in fold[order]], dtype=object)
        ordered = Verdicts(p[order], sets[order], novelty[order], [()] * len(truth))
        write_table(run / "verdicts.parquet", verdict_table(table.iloc[order], ordered, tuple(classes), parts))
        corpus.save(run / "corpus.parquet")
        recipe = Recipe()
        write_text(run / "recipe.yaml", dump(recipe))
        groups = None if specimens is None else np.asarray(specimens, dtype=object)
        scores = {name: 0.5 for name in ("accuracy", "balanced_accuracy", "macro_f1")}
        facts = {
            "kind": "crossval",
            "folds": [scores | {"n": int((fold == k).sum())} for k in np.unique(fold)],
            "over_folds": {name: t_interval([0.4, 0.6]).as_dict() for name in scores},
            "test": assess(truth, verdicts, tuple(classes), groups, 0).as_dict(),
            "fits": [{"c": 1.0, "head_trials": {}, "inner_folds": 3, "calibrated_on": "images"}],
            "preprocessing": Preprocessing().model_dump(mode="json"),
            "warnings": [],
            "quarantined": [],
            "seconds": 1.0,
            "recipe": recipe.model_dump(mode="json"),
            "classes": list(classes),
            "grouped": specimens is not None,
            "decisions": [],
            "corpus": {"fingerprint": corpus.fingerprint(), "n": len(truth), "root": str(tmp_path)},
            "provenance": provenance.describe(0),
            **changes,
        }
        write_json(run / "run.json", facts)
        if not images:
            for name in table["path"]:
                (tmp_path / name).unlink()
        return run

    return make
