"""What generated images bring to a classifier with 25 originals.

* ``neu_frozen``: every pair of the six defect classes of NEU-DET; 12 and 13 originals drawn, a linear head on frozen
  efficientnet_lite0, judged by all images of other fields. Five draws.
* ``neu_ablation``: the network of Table 6 from first weights, with and without augmentation and generated images, on
  the pair that is hardest for frozen features, and with ``--pairs 2`` on the first in the alphabet too.

What leakage adds is a question of folds, and ``sorby paper S2`` answers it on phantoms.

Crops of one field (``neu_overlap.py``) are one specimen and never on both sides. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import data_folder, finish, hermetic, write_listing
from neu_overlap import overlap_groups
from sorby.backbone import FeatureExtractor, Preprocessing, load
from sorby.classify import Recipe
from sorby.evidence import proportion
from sorby.workflow.experiments.linear import fit_flat
from sorby.workflow.experiments.running import run_experiment
from sorby.workflow.experiments.synthetic_images import SHORT_TEACHING

ORIGINALS, DRAWS = (12, 13), 5
KEPT = ("answers", "table", "leakage", "mixed", "spread_over_rounds", "rounds", "taught", "judged", "generators",
        "generator_seconds", "data", "options", "seconds")  # fmt: skip


def listing() -> pd.DataFrame:
    """Return path, label and field of every image."""
    files = sorted((data_folder("neu-det") / "images").glob("*.jpg"))
    labels = [file.stem.rsplit("_", 1)[0] for file in files]
    table = pd.DataFrame({"path": [str(file) for file in files], "label": labels})
    return table.assign(specimen=[f"field-{group}" for group in overlap_groups(files)])


def frozen_pairs(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Judge every pair of classes by a head on frozen features of 25 originals."""
    extractor = FeatureExtractor(load("efficientnet_lite0"), Preprocessing(colour="grey"))
    features = extractor.extract(list(table["path"])).features
    labels, fields = table["label"].to_numpy(str), table["specimen"].to_numpy(str)
    found = []
    for pair in itertools.combinations(sorted(set(labels.tolist())), 2):
        right, judged, by_draw = 0, 0, []
        for draw in range(DRAWS):
            rng = np.random.default_rng([2, draw])
            taught = np.concatenate([
                _one_a_field(rng.permutation(np.flatnonzero(labels == name)), fields, count)
                for name, count in zip(pair, ORIGINALS, strict=True)
            ])  # fmt: skip
            test = np.flatnonzero(np.isin(labels, pair) & ~np.isin(fields, fields[taught]))
            codes = (labels == pair[1]).astype(np.intp)
            model = fit_flat(features[taught], codes[taught], 2, None, Recipe()).model
            hits = int((model(features[test]).argmax(axis=1) == codes[test]).sum())
            right, judged = right + hits, judged + len(test)
            by_draw.append(hits / len(test))
        found.append({"pair": list(pair), "accuracy": right / judged, "by_draw": by_draw, "judged": judged})
    return found


def _one_a_field(rows: Any, fields: Any, count: int) -> Any:
    """Return the first *count* rows that show different fields."""
    _, first = np.unique(fields[rows], return_index=True)
    return rows[np.sort(first)][:count]


def ablation(data: Path, out: Path, **options: Any) -> dict[str, Any]:
    """Run the experiment and keep what the page shows."""
    found = run_experiment("synthetic-images", data, out, 0, report=False, **options)
    return {key: found[key] for key in KEPT if key in found}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--generator", default="stills-128")
    parser.add_argument("--generator-set", default=SHORT_TEACHING)
    parser.add_argument("--exposures", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=1, choices=[1, 2])
    asked = parser.parse_args()
    scratch = hermetic()
    common = {"generator": asked.generator, "generator_set": asked.generator_set, "exposures": asked.exposures}
    table = listing()
    pairs = frozen_pairs(table)
    hardest = min(pairs, key=lambda each: each["accuracy"])["pair"]
    chosen = [hardest, pairs[0]["pair"]][: asked.pairs]
    real = {}
    for pair in chosen:
        print(f"ablation on {pair}", file=sys.stderr)
        folder = scratch / "-".join(pair)
        folder.mkdir()
        data = write_listing(folder, table[table["label"].isin(pair)])
        real["/".join(pair)] = ablation(
            data, folder / "out", protocol="rest", draws=asked.draws, originals="12,13", **common
        )
    accuracies = np.array([each["accuracy"] for each in pairs])
    finish(
        "synthesis_ablation",
        {
            "neu_frozen": {
                "pairs": pairs,
                "mean": float(accuracies.mean()),
                "least": float(accuracies.min()),
                "pairs_from_95_percent": proportion(int((accuracies >= 0.95).sum()), len(accuracies)).as_dict(),
                "draws": DRAWS,
            },
            "neu_ablation": real,
            "targets": {"frozen": 0.95},
        },
    )


if __name__ == "__main__":
    main()
