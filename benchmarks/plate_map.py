"""How well `sorby measure plate` maps phantom plates, and what surface texture says of attack.

A classifier of severity is taught on 100 coupons, two pictures each; six plates of other seeds are mapped and held
against their truth: tiles within one grade, weighted kappa, area fractions as called and corrected, and how often their
95 % intervals hold the truth. Texture is measured on pictures of 30 further coupons, which its scale was not fitted to.

Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from common import finish, hermetic
from sorby.classify.recipe import load as load_recipe
from sorby.evidence import proportion, score_grades
from sorby.measure.surface_texture import surface_texture
from sorby.micrograph import read
from sorby.phantom.corrosion import corrosion_set, grade, write_views
from sorby.workflow.measuring.plates import measure_plates
from sorby.workflow.phantoms import write_corrosion_corpus
from sorby.workflow.training import train

COUPONS, PLATES, FRESH = 100, 6, 30
SEED, FRESH_SEED = 2027, 90_210
GRADES = np.arange(5)


def mapped(found: dict[str, Any], plates: Path, tables: Path) -> dict[str, Any]:
    """Hold every plate against its truth."""
    truth, called, plate_of = [], [], []
    off: dict[str, list[float]] = {"called": [], "corrected": []}
    held: dict[str, list[bool]] = {"called": [], "corrected": []}
    tiles = not_judged = 0
    for entry in found["plates"]:
        place = plates / Path(entry["file"]).parent.name
        facts = json.loads((place / "plate.json").read_text("utf-8"))
        share, table = np.load(place / "expected_share.npy"), pd.read_csv(tables / entry["table"])
        tiles, not_judged = tiles + entry["tiles"], not_judged + sum(entry["not_judged"].values())
        for row in table[table["severity"].notna()].itertuples():
            y, x, h, w = (round(value / entry["pixel_size_um"]) for value in (row.y_um, row.x_um, row.h_um, row.w_um))
            truth.append(int(grade(share[y : y + h, x : x + w].mean())))
            called.append(int(row.severity))
            plate_of.append(place.name)
        for key, fraction in entry["fractions"].items():
            real = facts["area_by_severity"][key]
            for name, figure in (("called", fraction), ("corrected", fraction["corrected"])):
                off[name].append(abs(figure["value"] - real))
                low, high = figure["ci95"]
                held[name].append(low - 1e-9 <= real <= high + 1e-9)
    figures = score_grades(truth, called, GRADES, plate_of)
    right = np.array(truth) == np.array(called)
    return {
        "tiles": tiles,
        "not_judged": not_judged,
        "right": proportion(int(right.sum()), len(right)).as_dict(),
        "grades": {name: figure.as_dict() for name, figure in figures.items()},
        "fractions": {
            name: {
                "mean_error": float(np.mean(off[name])),
                "intervals_that_hold": proportion(sum(held[name]), len(held[name])).as_dict(),
            }
            for name in off
        },
    }


def textured(place: Path) -> dict[str, Any]:
    """Hold the share that texture calls attacked, and the direction of grinding, against the drawn ones."""
    write_views(place, corrosion_set(FRESH, FRESH_SEED, images=1))
    labels, truth = pd.read_csv(place / "labels.csv"), pd.read_csv(place / "truth.csv")
    found: dict[str, Any] = {}
    for alloy, rows in labels.groupby("label"):
        measured = [
            surface_texture(read(place / labels.loc[k, "image"]).pixels, float(labels.loc[k, "pixel_size_um"]))
            for k in rows.index
        ]
        drawn = truth.loc[rows.index]
        share = np.array([each.attacked_share for each in measured])
        turned = np.abs(np.array([each.direction_deg for each in measured]) - drawn["grind_angle_deg"]) % 180
        found[str(alloy)] = {
            "n": len(rows),
            "rank_correlation": float(spearmanr(share, drawn["attacked_fraction"])[0]),
            "mean_error": float(np.abs(share - drawn["attacked_fraction"]).mean()),
            "direction_median_error_deg": float(np.median(np.minimum(turned, 180 - turned))),
        }
    return found


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    scratch = hermetic()
    made = write_corrosion_corpus(scratch / "coupons", COUPONS, seed=SEED, images=2, plates=PLATES)
    recipe = load_recipe("corrosion-severity")
    trained = train(made["corpus"], scratch / "run", recipe, label="severity", report=False)
    plates = scratch / "coupons" / "plates"
    pictures = [place / "plate.tif" for place in sorted(plates.iterdir())]
    found = measure_plates(trained["bundle"], pictures, scratch / "maps")
    finish(
        "plate_map",
        {
            "taught_coupons": COUPONS,
            "test": trained["test"],
            "plates": PLATES,
            **mapped(found, plates, scratch / "maps"),
            "texture": textured(scratch / "fresh"),
        },
    )


if __name__ == "__main__":
    main()
