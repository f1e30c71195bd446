"""Do simulated metallographers agree as far as the published ones did?

Twenty seeds; each draws a panel of fourteen, the twenty images of a round robin and the ratings. Needs no pictures:
raters see the expected truth of the published phantom set, or with ``--labels labels.csv`` that of a rendered one.
``--fit`` repeats the fitting of ``RaterHabits`` instead (about five minutes) and prints what it finds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from common import finish
from sorby.evidence import Agreement, fleiss_kappa
from sorby.phantom import DEMO_CLASSES, HABITS, RaterHabits, draw_panel, rate, reduce_ratings, round_robin
from sorby.phantom.published import expected_truth
from sorby.phantom.raters import structure_class

SEEDS = 20
KAPPAS = {"kappa_full": 0.146, "kappa_subtype": 0.330, "kappa_reduced": 0.152, "kappa_reduced_daily": 0.318}
# S1-52, S1-53, S1-57; the last two are the least and the most of 14 raters.
ACCURACIES: dict[str, Any] = {
    "subtype_accuracy": 0.639,
    "size_accuracy_given_subtype": 0.313,
    "accuracy": 0.200,
    "reduced_accuracy": 0.251,
    "reduced_ratings": 187,
    "images_kept": 17,
    "size_accuracy_G": 0.21,
    "size_accuracy_B": 0.23,
    "size_accuracy_M": 0.16,
    "correct_codes_least": 1,
    "correct_codes_most": 7,
    "correct_subtypes_least": 6,
    "correct_subtypes_most": 17,
}
FITTED = {
    "skill_daily": (1.0, 8.0),
    "skill_occasional": (0.3, 6.0),
    "leaning": (0.05, 2.0),
    "look": (0.05, 2.5),
    "mean_bias": (-2.0, 1.0),
    "bias_daily": (0.05, 1.5),
    "bias_occasional": (0.1, 2.5),
    "spread_daily": (0.1, 1.5),
    "spread_occasional": (0.2, 2.5),
    "shared_spread": (0.05, 2.5),
}
Table = dict[str, np.ndarray]


def kappa(ratings: np.ndarray) -> float:
    """Return Fleiss' kappa, NaN where reducing left nothing to compare."""
    found: Agreement = fleiss_kappa(ratings)
    return found.value


def one_seed(table: Table, seed: int, habits: RaterHabits) -> dict[str, float]:
    """Return all figures of one round robin."""
    chosen = round_robin(table, seed)
    images = {name: values[chosen] for name, values in table.items()}
    panel = draw_panel(seed, habits)
    ratings = rate(images, panel, seed)
    truth, true_subtype = images["label"].astype(object), images["subtype"][:, None]
    subtypes = np.array([[code[0] for code in row] for row in ratings], dtype=object)
    merged = np.array([[structure_class(code) for code in row] for row in ratings], dtype=object)
    reduced, kept = reduce_ratings(ratings, truth, DEMO_CLASSES)
    named, right = subtypes == true_subtype, merged == truth[:, None]
    counted = int(sum(code is not None for code in reduced.ravel()))
    found = {
        "kappa_full": kappa(ratings),
        "kappa_subtype": kappa(subtypes),
        "kappa_reduced": kappa(reduced),
        "kappa_reduced_daily": kappa(reduced[:, panel.daily]),
        "subtype_accuracy": named.mean(),
        "size_accuracy_given_subtype": right.sum() / named.sum(),
        "accuracy": right.mean(),
        "reduced_accuracy": (reduced == truth[kept][:, None]).sum() / counted,
        "reduced_ratings": counted,
        "images_kept": int(kept.sum()),
        "correct_codes_least": right.sum(axis=0).min(),
        "correct_codes_most": right.sum(axis=0).max(),
        "correct_subtypes_least": named.sum(axis=0).min(),
        "correct_subtypes_most": named.sum(axis=0).max(),
    }
    for name in "GBM":
        of = images["subtype"] == name
        found[f"size_accuracy_{name}"] = right[of].sum() / max(1, named[of].sum())
    return {name: float(value) for name, value in found.items()}


def over_seeds(table: Table, seeds: Iterable[int], habits: RaterHabits = HABITS) -> pd.DataFrame:
    """Return all figures, one row a seed."""
    return pd.DataFrame([one_seed(table, seed, habits) for seed in seeds])


def fit(table: Table) -> dict[str, Any]:
    """Fit the habits to the published figures on seeds that the report does not use."""
    low, high = (np.array([bounds[place] for bounds in FITTED.values()]) for place in (0, 1))
    names = [*KAPPAS, "subtype_accuracy", "size_accuracy_given_subtype", "accuracy", "reduced_accuracy"]
    target = np.array([{**KAPPAS, **ACCURACIES}[name] for name in names])
    scale = np.array([0.004] * 4 + [0.03] * 4)

    def habits_of(z: np.ndarray) -> RaterHabits:
        values = low + (high - low) / (1 + np.exp(-z))  # stays within its bounds
        return replace(HABITS, **{name: float(value) for name, value in zip(FITTED, values, strict=True)})

    def loss(z: np.ndarray) -> float:
        means = over_seeds(table, range(100, 160), habits_of(z))[names].mean().to_numpy()
        return float((((means - target) / scale) ** 2).sum())

    start = np.array([getattr(HABITS, name) for name in FITTED])
    begin = np.log((start - low) / (high - start))
    found = minimize(loss, begin, method="Nelder-Mead", options={"maxfev": 400, "adaptive": True})
    return {"loss": found.fun, "habits": asdict(habits_of(found.x))}


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", help="labels.csv of a rendered set")
    parser.add_argument("--fit", action="store_true", help="fit the habits instead")
    arguments = parser.parse_args()
    rows = pd.read_csv(arguments.labels) if arguments.labels else pd.DataFrame(expected_truth(0))
    table = {name: rows[name].to_numpy() for name in rows.columns}
    if arguments.fit:
        finish("rater_panel_fit", fit(table))
        return
    found = over_seeds(table, range(SEEDS))
    published = {**KAPPAS, **ACCURACIES}
    figures = {
        name: {"mean": float(found[name].mean()), "sd": float(found[name].std(ddof=1)), "published": published[name]}
        for name in published
    }
    within = {name: abs(figures[name]["mean"] - target) <= 0.03 for name, target in KAPPAS.items()}
    finish("rater_panel", {"seeds": SEEDS, "images": 20, "raters": 14, "figures": figures, "within_0.03": within})


if __name__ == "__main__":
    main()
