"""A round robin without pictures: images known by their measures, rated by simulated metallographers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sorby.corpus.grades import HOUSE_SCALE
from sorby.phantom.rater_panel import draw_panel
from sorby.phantom.raters import rate
from sorby.study import Design, Item, Ratings, plan, rating_rows, read_scheme

CREATED = "2026-01-05T08:00:00Z"


def measures(n: int, seed: int = 0) -> pd.DataFrame:
    """Measures of *n* steels as raters see them, with their label by the house scale."""
    rng = np.random.default_rng(seed)
    subtype = np.resize(np.array(["G", "G", "B", "M"]), n)
    mean = np.exp(rng.uniform(np.log(4.0), np.log(18.0), n))
    coarse = np.where((subtype == "B") & (rng.random(n) < 0.5), 0.1, 0.0)
    table = pd.DataFrame(
        {
            "subtype": subtype,
            "mean_needle_length_um": mean,
            "largest_needle_length_um": 2.6 * mean,
            "coarse_area_fraction": coarse,
            "retained_austenite_fraction": np.where(subtype == "G", 0.12, 0.04),
            "carbide_fraction": np.where(subtype == "B", 0.1, 0.05),
            "etching_depth": 1.0 + 0.15 * rng.standard_normal(n),
        }
    )
    labels = []
    for row in table.to_dict("records"):
        criterion = HOUSE_SCALE.criterion_for(row["coarse_area_fraction"])
        length = row["mean_needle_length_um" if criterion == "mean" else "largest_needle_length_um"]
        labels.append(row["subtype"] + HOUSE_SCALE.size_class(length, row["subtype"], criterion))
    return table.assign(label=labels)


def designed(table: pd.DataFrame, raters: int = 14, repeats: int = 4, seed: int = 0) -> Design:
    """A design over these images, for raters R01 and so on."""
    items = [
        Item(f"I{k + 1:02d}", f"{k:064x}", f"{k}.png", str(row["label"]), str(row["label"])[0])
        for k, row in enumerate(table.to_dict("records"))
    ]
    names = [f"R{k + 1:02d}" for k in range(raters)]
    return plan("steels", read_scheme("steel"), items, names, repeats=repeats, seed=seed, created=CREATED)


def rated(design: Design, table: pd.DataFrame, seed: int = 0, noise: float = 1.0) -> Ratings:
    """What the first raters of a simulated panel say, with profiles."""
    panel = draw_panel(seed)
    said = [rate(table, panel, seed, noise=noise), rate(table, panel, seed + 1000, noise=noise)]
    rows: list[dict[str, Any]] = []
    for k, rater in enumerate(design.raters):
        for place, showing in enumerate(design.order_of(rater)):
            code = said[showing.occasion - 1][design.place[showing.item], k]
            rows.append({"rater": rater, "image": showing.code, "class": code[0], "code": code,
                         "criterion": "average" if (place + k) % 8 else "extrema", "seconds": 5 + place})  # fmt: skip
    found = rating_rows(design, rows)
    profiles = pd.DataFrame(
        {
            "rater": list(design.raters),
            "frequency": ["daily" if daily else "weekly" for daily in panel.daily[: len(design.raters)]],
            "simulated": "true",
        }
    )
    return Ratings(found.table, profiles, found.quarantined, found.warnings)
