"""Magnetic tiles, six classes, 5-fold: tiles kept whole (the honest figure) beside a split by image (which leaks).

Which images show one tile is derived in ``magnetic_tile_groups.py``. Both columns use the same images, recipe and
seeds; the difference is what the leak is worth.
"""

from __future__ import annotations

import pandas as pd

from common import data_folder, finish, hermetic, over_seeds, write_listing
from magnetic_tile_groups import tile_groups
from sorby.classify import recipe as recipes
from sorby.workflow.training import crossval

SEEDS = range(3)


def main() -> None:
    scratch = hermetic()
    files = sorted(data_folder("magnetic-tile").glob("*/*.jpg"))
    table = pd.DataFrame({"path": [str(file) for file in files], "label": [file.parent.name for file in files]})
    table["specimen"] = [f"tile-{group}" for group in tile_groups(files)]
    path = write_listing(scratch, table)
    result: dict[str, object] = {"n": len(files), "tiles": int(table["specimen"].nunique())}
    for name, group in (("by_tile", "specimen"), ("by_image", "none")):
        runs = []
        for seed in SEEDS:
            recipe = recipes.load(
                None, {"seed": seed, "split.group": group, "head.views": 4, "balance.loss": "class-weights"}
            )
            runs.append(crossval(path, scratch / f"{name}-{seed}", recipe, report=False))
        result[name] = {
            "macro_f1": runs[0]["pooled"]["macro_f1"],
            "accuracy": runs[0]["pooled"]["accuracy"],
            "balanced_accuracy": runs[0]["pooled"]["balanced_accuracy"],
            "macro_f1_over_seeds": over_seeds([run["pooled"]["macro_f1"]["value"] for run in runs]),
            "set_coverage": runs[0]["coverage"],
            "grouped": runs[0]["grouped"],
        }
    finish("magnetic_tile", result)


if __name__ == "__main__":
    main()
