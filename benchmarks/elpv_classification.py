"""elpv: 2,624 electroluminescence images of solar cells, functional or defective, and the four graded labels; 5-fold.

Labels 0 and 1/3 count as functional, 2/3 and 1 as defective. 401 labels (1/3, 2/3) are uncertain; the certainly
labelled cells are reported beside the whole, and what teaching with the uncertain ones costs or gains on them.
Module ids are not published, so the split is by image: cells of one module may stand on both sides.
Published: 82.44 % (SVM), 88.42 % (CNN), Deitsch et al. 2019, one 75:25 split with extra weighting; later work up to
about 94.5 %. The protocols differ.

``--finetune FOLDER > results/elpv_finetune.json`` runs the fine-tuned regime at native resolution on one 80:20 split,
with ``--crossval`` on all five folds. It is not part of ``make bench``: a fold takes a quarter of an hour on two free
cores. The same command resumes what was interrupted.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import finish, hermetic, over_seeds, write_listing
from sorby.classify import Recipe
from sorby.classify import recipe as recipes
from sorby.evidence import proportion
from sorby.workflow.training import crossval, train

SEEDS = range(3)


def listing() -> pd.DataFrame:
    """Return path, graded label and whether it is certain of every cell."""
    import elpv_dataset

    folder = Path(elpv_dataset.__file__).parent / "data"
    rows = [line.split() for line in (folder / "labels.csv").read_text().splitlines()]
    probability = np.array([float(row[1]) for row in rows])
    return pd.DataFrame(
        {
            "path": [str(folder / row[0]) for row in rows],
            "binary": np.where(probability < 0.5, "functional", "defective"),
            "graded": pd.Series(probability.round(3).astype(str)),
            "certain": (probability == 0) | (probability == 1),
        }
    )


def _crossval(table: pd.DataFrame, label: str, recipe: Recipe, scratch: Path, name: str) -> dict[str, Any]:
    """Run one cross-validation and return its summary, with the accuracy on certain cells apart."""
    path = write_listing(scratch, table)
    found = crossval(path, scratch / name, recipe, label=label, report=False)
    verdicts = pd.read_parquet(scratch / name / "verdicts.parquet")
    return {
        "accuracy": found["pooled"]["accuracy"],
        "macro_f1": found["pooled"]["macro_f1"],
        "over_folds": found["accuracy"],
        "auroc": found["pooled"].get("auroc"),
        "set_coverage": found["coverage"],
        "referred": found["referred"],
        **_by_certainty(verdicts, table),
        "n": found["n"],
        "seconds": found["seconds"],
    }


def frozen(scratch: Path) -> dict[str, Any]:
    """Return every frozen figure."""
    table = listing()
    flips = {"image.height": 300, "image.width": 300, "head.views": 4}
    result: dict[str, Any] = {}
    for name, settings in (("default", {}), ("flips_300px", flips)):
        runs = [
            _crossval(table, "binary", recipes.load(None, {**settings, "seed": seed}), scratch, f"{name}-{seed}")
            for seed in SEEDS
        ]
        result[name] = {**runs[0], "accuracy_over_seeds": over_seeds([run["accuracy"]["value"] for run in runs])}
    result["graded"] = _crossval(table, "graded", recipes.load(None, flips), scratch, "graded")
    sure = table[table["certain"]].reset_index(drop=True)
    result["taught_on_certain_only"] = _crossval(sure, "binary", recipes.load(None, flips), scratch, "certain")
    return result


def finetuned(folder: Path, every_fold: bool) -> dict[str, Any]:
    """Run or resume the fine-tuned regime."""
    settings = {
        "image.height": 300,
        "image.width": 300,
        "finetune.epochs": 8,
        "finetune.calibration_fraction": 0.1,
        "split.fractions": [0.72, 0.08, 0.2],
    }
    recipe = recipes.load("finetune", settings)
    folder.mkdir(parents=True, exist_ok=True)
    table = listing()
    protocol = "efficientnet_lite0, 300 px, 8 epochs, flips and quarter turns; by image."
    if every_fold:
        return {**_crossval(table, "binary", recipe, folder, "crossval"), "protocol": f"5-fold, {protocol}"}
    path = write_listing(folder, table)
    done = train(path, folder / "train", recipe, label="binary", report=False)
    verdicts = pd.read_parquet(folder / "train" / "verdicts.parquet")
    run = json.loads((folder / "train" / "run.json").read_text("utf-8"))
    return {
        "protocol": f"One 80:20 split, {protocol}",
        "n": done["test"]["n"],
        "seconds": done["seconds"],
        "history": run["fit"]["history"],
        **{name: run["test"][name] for name in ("accuracy", "macro_f1", "auroc", "referred")},
        "set_coverage": run["test"]["sets"]["coverage"],
        **_by_certainty(verdicts, table),
    }


def _by_certainty(verdicts: pd.DataFrame, table: pd.DataFrame) -> dict[str, Any]:
    """Return the accuracy on certain and on uncertain labels."""
    names = {Path(entry).name for entry in table.loc[table["certain"], "path"]}
    certain = verdicts["path"].map(lambda entry: Path(entry).name in names)
    correct = verdicts["correct"]
    return {
        f"accuracy_{name}": proportion(int(correct[rows].sum()), int(rows.sum())).as_dict() if rows.any() else None
        for name, rows in (("certain", certain), ("uncertain", ~certain))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="elpv benchmark")
    parser.add_argument("--finetune", type=Path, metavar="FOLDER")
    parser.add_argument("--crossval", action="store_true", help="fine-tune on all five folds")
    arguments = parser.parse_args()
    published = {"svm": 0.8244, "cnn": 0.8842, "later": 0.945, "same_protocol": False}
    if arguments.finetune:
        finish("elpv_finetune", {"finetune": finetuned(arguments.finetune, arguments.crossval), "published": published})
        return
    targets = {"default": 0.85, "any": 0.86}
    finish("elpv_classification", {**frozen(hermetic()), "published": published, "targets": targets})


if __name__ == "__main__":
    main()
