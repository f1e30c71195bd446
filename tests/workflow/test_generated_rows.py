"""Training beside generated images: they teach, follow their family, and are in no figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sorby.classify.recipe import load
from sorby.corpus import Corpus, build, splits
from sorby.corpus.ancestry import COLUMNS, MANIFEST, joined, names_of, synthetic_rows
from sorby.corpus.splitting import split_corpus
from sorby.errors import InputError
from sorby.files import sha256_file
from sorby.workflow import crossval, evaluate, train
from sorby.workflow.generated_rows import drawn_parts, one_family, originals, teachable
from sorby.workflow.planning import make_plan
from textures import SMALL, texture, write_table

SPECIMENS = 10


def _recipe(**settings: object) -> object:
    return load(None, {**SMALL, "name": "textures", "verdict.novelty_rate": 0.05, **settings})


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("originals"), specimens=SPECIMENS, kinds=("blobs", "stripes"))


def _with_generated(table: Path, folder: Path, ancestors: dict[str, list[str]], *, split: bool) -> Corpus:
    """Build the corpus with eight generated images a class, each from all *ancestors* of its class."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(7)
    rows = []
    for label, names in ancestors.items():
        for k in range(8):
            path = folder / f"{label}-{k}.png"
            Image.fromarray(texture(label, rng)).save(path)
            stated = {"path": path.name, "sha256": sha256_file(path), "label": label, "synthetic": "true",
                      "ancestors": joined(names), "accepted": "true"}  # fmt: skip
            rows.append({**dict.fromkeys(COLUMNS, ""), **stated})
    pd.DataFrame(rows).to_csv(folder / MANIFEST, index=False)
    source = table
    if split:
        built = build([table], image="picture", label="structure", group="piece").corpus
        source = split_corpus(built, "holdout", seed=2).save(folder / "originals.parquet")
        return build([source], synthetic=[folder]).corpus
    return build([source], image="picture", label="structure", group="piece", synthetic=[folder]).corpus


def _training_names(table: Path) -> dict[str, list[str]]:
    built = split_corpus(
        build([table], image="picture", label="structure", group="piece").corpus, "holdout", seed=2
    ).table
    teaching = built[built["split"] == "train"]
    return {str(label): sorted(set(rows["specimen"])) for label, rows in teaching.groupby("label")}


def test_generated_images_of_the_training_part_teach_and_are_not_judged(table: Path, tmp_path: Path) -> None:
    corpus = _with_generated(table, tmp_path / "made", _training_names(table), split=True)
    result = train(corpus, tmp_path / "run", _recipe(), report=False)
    originals = ~synthetic_rows(corpus)
    test = ((corpus.table["split"] == "test") & originals).sum()
    assert result["test"]["n"] == test
    stored = Corpus.load(tmp_path / "run" / "corpus.parquet")
    assert set(stored.table["split"][synthetic_rows(stored)]) == {"train"}
    verdicts = pd.read_parquet(tmp_path / "run" / "verdicts.parquet")
    assert len(verdicts) == test


def test_a_generator_taught_from_every_specimen_leaves_nothing_to_judge_by(table: Path, tmp_path: Path) -> None:
    everyone = {label: [f"{label}-{k}" for k in range(SPECIMENS)] for label in ("blobs", "stripes")}
    everyone = {label: [*everyone["blobs"], *everyone["stripes"]] for label in everyone}
    corpus = _with_generated(table, tmp_path / "made", everyone, split=False)
    with pytest.raises(InputError, match="descend from all specimens") as caught:
        crossval(corpus, tmp_path / "run", _recipe(), report=False)
    assert "--split train" in caught.value.hint


def test_crossval_keeps_joined_specimens_in_one_fold_and_counts_originals(table: Path, tmp_path: Path) -> None:
    few = {label: [f"{label}-{k}" for k in range(3)] for label in ("blobs", "stripes")}
    corpus = _with_generated(table, tmp_path / "made", few, split=False)
    result = crossval(corpus, tmp_path / "run", _recipe(**{"split.folds": 3}), report=False)
    stored = Corpus.load(tmp_path / "run" / "corpus.parquet")
    made, names = synthetic_rows(stored), np.array(names_of(stored))
    fold = stored.table["fold"].to_numpy()
    for label, joined_names in few.items():
        together = np.isin(names, joined_names) | (made & (stored.labels == label))
        assert len(set(fold[together])) == 1
    assert result["n"] == (~made).sum()
    assert len(pd.read_parquet(tmp_path / "run" / "verdicts.parquet")) == (~made).sum()


def test_a_stored_split_that_a_generated_image_crosses_is_refused(table: Path, tmp_path: Path) -> None:
    corpus = _with_generated(table, tmp_path / "made", {"blobs": ["blobs-0", "blobs-1"]}, split=False)
    names = np.array(names_of(corpus))
    parts = np.where(np.isin(names, ["blobs-1", "stripes-1"]), "test", "train")
    with pytest.raises(InputError, match="8 of 8 generated images that teach descend"):
        train(corpus.with_split(parts, "by hand"), tmp_path / "run", _recipe(), report=False)


def test_evaluate_leaves_generated_images_out_and_says_so(table: Path, tmp_path: Path) -> None:
    corpus = _with_generated(table, tmp_path / "made", _training_names(table), split=True)
    result = train(corpus, tmp_path / "run", _recipe(), report=False)
    found = evaluate(result["bundle"], corpus)
    assert found["accuracy"]["n"] == (~synthetic_rows(corpus)).sum()
    assert any("16 generated images are left out" in line for line in found["warnings"])


def test_without_generated_images_a_plan_is_what_it_was(table: Path) -> None:
    plan = make_plan(build([table], image="picture", label="structure", group="piece").corpus, _recipe())
    assert not plan.synthetic.any()
    assert not any("generated" in line for line in [*plan.decisions, *plan.warnings])


def test_parts_follow_the_family_and_leave_a_way_to_calibrate(table: Path, tmp_path: Path) -> None:
    few = {"blobs": ["blobs-0", "blobs-1", "stripes-0"]}
    plan = make_plan(_with_generated(table, tmp_path / "made", few, split=False), _recipe())
    rows = np.arange(len(plan.labels))
    names = np.array(names_of(plan.corpus))
    inside = np.isin(names, few["blobs"]) | plan.synthetic
    for seed in range(8):
        drawn = drawn_parts(
            plan, rows, lambda each, groups, seed=seed: splits.holdout(each, (0.5, 0.5), groups=groups, seed=seed,
                                                                       names=("train", "val")), "train",
        )  # fmt: skip
        assert len(set(drawn[inside])) == 1
    assert one_family(plan, rows[inside])
    assert not one_family(plan, rows)
    assert not one_family(plan, rows[~plan.synthetic])
    assert not plan.synthetic[originals(plan, rows)].any()


def test_what_descends_from_judged_rows_may_not_teach_them(table: Path, tmp_path: Path) -> None:
    plan = make_plan(_with_generated(table, tmp_path / "made", {"blobs": ["blobs-0"]}, split=False), _recipe())
    rows = np.arange(len(plan.labels))
    names = np.array(names_of(plan.corpus))
    judged = np.flatnonzero((names == "blobs-0") & ~plan.synthetic)
    others = np.flatnonzero(names == "stripes-3")
    assert (teachable(plan, rows, judged) == rows[~plan.synthetic]).all()
    assert (teachable(plan, rows, others) == rows).all()


def test_generated_images_of_unknown_origin_are_refused(table: Path, tmp_path: Path) -> None:
    corpus = _with_generated(table, tmp_path / "made", {"blobs": ["blobs-0"], "stripes": ["stripes-0"]}, split=False)
    unknown = Corpus(corpus.table.assign(ancestors=None), corpus.root)
    with pytest.raises(InputError, match="16 generated images name no ancestors"):
        make_plan(unknown, _recipe())  # type: ignore[arg-type]
