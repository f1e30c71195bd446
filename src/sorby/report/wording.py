"""Numbers in words: every figure with how many images stand behind it and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

ABSENT = "not defined"

METRICS = {
    "accuracy": ("Accuracy", "share of images named right"),
    "balanced_accuracy": ("Balanced accuracy", "mean over classes of the share found, rare classes counting as much"),
    "macro_f1": ("Macro-F1", "mean over classes of F1, which balances missed and false calls"),
    "weighted_f1": ("Weighted F1", "the same, each class weighing by its images"),
    "macro_precision": ("Macro precision", "mean over classes of the share of calls that are right"),
    "macro_recall": ("Macro recall", "mean over classes of the share found"),
    "cohen_kappa": ("Cohen's kappa", "agreement with the labels beyond chance; 1 is perfect, 0 is chance"),
    "auroc": ("AUROC", "chance that a positive image scores above a negative one"),
    "average_precision": ("Average precision", "area under precision against recall"),
    "mean_absolute_error": ("Mean absolute error", "distance between call and label in grades"),
    "within_one": ("Within one grade", "share of calls at most one grade off"),
    "weighted_kappa": ("Weighted kappa", "agreement beyond chance, errors costing by their squared distance in grades"),
    "mean_error": ("Mean error", "call less label in grades; above 0 the calls are too high"),
    "ranked_probability_score": (
        "Ranked probability score",
        "squared gaps of the cumulated probabilities; 0 is sure and right, 1 sure and one grade off",
    ),
}
#: Not shares of anything.
_PLAIN_NUMBERS = {
    "cohen_kappa",
    "mean_absolute_error",
    "weighted_kappa",
    "mean_error",
    "ranked_probability_score",
}


def is_number(value: Any) -> bool:
    """Whether *value* is a finite number (JSON holds null for those which are not)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def percent(value: Any) -> str:
    """Return a share as per cent with one decimal; an imperfect one is never rounded to 0 or 100."""
    if not is_number(value):
        return ABSENT
    if 0 < value < 0.0005:
        return "<0.1 %"
    if 0.9995 <= value < 1:
        return ">99.9 %"
    return f"{100 * value:.1f} %"


def number(value: Any, digits: int = 3) -> str:
    """Return a number with so many significant digits."""
    return f"{value:.{digits}g}" if is_number(value) else ABSENT


def interval(ci95: Any, *, shares: bool = True) -> str:
    """Return ``a to b``, or that there is no interval."""
    if not ci95 or not all(is_number(bound) for bound in ci95):
        return "no interval"
    low, high = ci95
    return f"{percent(low).removesuffix(' %')} to {percent(high)}" if shares else f"{number(low)} to {number(high)}"


def sureness(ci95: Any) -> str:
    """Return the interval of a share with its name, for a line of its own."""
    bounds = interval(ci95)
    return bounds if bounds == "no interval" else f"95 % interval {bounds}"


def estimate(entry: Mapping[str, Any] | None, *, shares: bool = True) -> str:
    """Return an estimate in full: value, interval and images."""
    if entry is None or not is_number(entry.get("value")):
        return ABSENT
    value = percent(entry["value"]) if shares else number(entry["value"])
    bounds = interval(entry.get("ci95"), shares=shares)
    sure = bounds if bounds == "no interval" else f"95 % interval {bounds}"
    return f"{value} ({sure}, n = {entry['n']})"


def metric_rows(entries: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return one row for each known metric: name, meaning, value, interval, n, method, note."""
    rows = []
    for name, (title, meaning) in METRICS.items():
        if name not in entries:
            continue
        entry, shares = entries[name], name not in _PLAIN_NUMBERS
        rows.append(
            {
                "title": title,
                "meaning": meaning,
                "value": percent(entry.get("value")) if shares else number(entry.get("value")),
                "interval": _ended(entry) if shares else interval(entry.get("ci95"), shares=False),
                "sd": percent(entry.get("sd")) if shares else number(entry.get("sd")),
                "n": str(entry.get("n", "")),
                "method": str(entry.get("method", "")),
                "note": str(entry.get("note", "")),
            }
        )
    return rows


def _ended(entry: Mapping[str, Any]) -> str:
    """Return the interval of a share; Student's t over folds knows no end of shares, so it is cut and that is said."""
    ci95 = entry.get("ci95")
    if not ci95 or not all(is_number(bound) for bound in ci95) or (ci95[0] >= 0 and ci95[1] <= 1):
        return interval(ci95)
    return f"{interval([max(ci95[0], 0.0), min(ci95[1], 1.0)])} (cut)"


def count(n: int, singular: str, plural: str = "") -> str:
    """Return ``1 image`` or ``2 images``."""
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}".replace(",", "\u202f")


def listed(names: Sequence[str], most: int = 8, separator: str = ", ") -> str:
    """Return names one after the other, the rest of a long list as a number."""
    rest = len(names) - most
    return separator.join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def in_a_hundred(error: float, ci95: Any) -> str:
    """Say how many of a hundred images will be wrong, from an accuracy's complement and its interval."""
    if not ci95 or not all(is_number(bound) for bound in ci95):
        return f"about {100 * error:.0f} wrong"
    low, high = (max(0.0, 1 - ci95[1]), min(1.0, 1 - ci95[0]))
    if round(100 * low) == round(100 * high):
        return f"about {100 * error:.0f} wrong" if round(100 * error) else "fewer than 1 wrong"
    return f"about {100 * error:.0f} wrong ({100 * low:.0f} to {math.ceil(100 * high)})"
