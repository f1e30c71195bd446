"""Rules that name what is unusual on a control chart.

Each takes standardised points, shape (..., T), and returns where it is met: at the point that completes the pattern.

Rules are not free: with the four of Western Electric an undisturbed process raises an alarm every 92 points on average,
with the first of them alone every 370.

References
----------
Western Electric Co., "Statistical Quality Control Handbook" (1956).
L. S. Nelson, "The Shewhart control chart: tests for special causes", J. Quality Technology 16 (1984) 237-239.
C. W. Champ and W. H. Woodall, "Exact results for Shewhart control charts with supplementary runs rules",
Technometrics 29 (1987) 393-399.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sorby.evidence._types import BoolArray, FloatArray, IntArray

SIGMAS = 3.0
"""Limits of a chart, in standard errors from its centre."""

Rule = Callable[[FloatArray], BoolArray]


def beyond(z: FloatArray, sigmas: float = SIGMAS) -> BoolArray:
    """Points more than so many standard errors from the centre; *z* standardised, shape (..., T)."""
    return np.abs(z) > sigmas


def some_beyond(z: FloatArray, some: int, of: int, sigmas: float) -> BoolArray:
    """Points that complete *some* of the last *of* beyond *sigmas* on one side."""
    found = np.zeros(z.shape, dtype=bool)
    for side in (1.0, -1.0):
        outside = side * z > sigmas
        total = np.cumsum(outside, axis=-1)
        before = np.zeros_like(total)
        before[..., of:] = total[..., :-of]
        found |= outside & (total - before >= some)
    return found


def one_side(z: FloatArray, length: int) -> BoolArray:
    """Points that are the last of *length* or more in a row on one side of the centre."""
    return (_run(z > 0) >= length) | (_run(z < 0) >= length)


def trend(z: FloatArray, length: int = 6) -> BoolArray:
    """Points that are the last of *length* or more in a row, each above the one before, or each below."""
    steps = np.diff(z, axis=-1, prepend=np.nan)
    return (_run(steps > 0) >= length - 1) | (_run(steps < 0) >= length - 1)


def alternating(z: FloatArray, length: int = 14) -> BoolArray:
    """Points that are the last of *length* or more in a row going up and down by turns."""
    steps = np.sign(np.diff(z, axis=-1))
    turns = np.zeros(z.shape, dtype=bool)
    turns[..., 2:] = steps[..., 1:] * steps[..., :-1] < 0
    return _run(turns) >= length - 2


RULES: dict[str, Rule] = {
    "beyond-3-sigma": beyond,
    "two-of-three-beyond-2-sigma": lambda z: some_beyond(z, 2, 3, 2.0),
    "four-of-five-beyond-1-sigma": lambda z: some_beyond(z, 4, 5, 1.0),
    "eight-on-one-side": lambda z: one_side(z, 8),
    "nine-on-one-side": lambda z: one_side(z, 9),
    "six-rising-or-falling": trend,
    "fourteen-alternating": alternating,
}
"""Each takes standardised points, shape (..., T), and returns where it is met."""

RULE_MEANINGS = {
    "beyond-3-sigma": "a point beyond the limits",
    "two-of-three-beyond-2-sigma": "two of three points beyond two standard errors on one side",
    "four-of-five-beyond-1-sigma": "four of five points beyond one standard error on one side",
    "eight-on-one-side": "eight points in a row on one side of the centre",
    "nine-on-one-side": "nine points in a row on one side of the centre",
    "six-rising-or-falling": "six points in a row, all rising or all falling",
    "fourteen-alternating": "fourteen points in a row going up and down by turns",
    "beyond-ewma-limits": "the moving average beyond its limits",
}

WESTERN_ELECTRIC = (
    "beyond-3-sigma",
    "two-of-three-beyond-2-sigma",
    "four-of-five-beyond-1-sigma",
    "eight-on-one-side",
)
NELSON = ("beyond-3-sigma", "nine-on-one-side", "six-rising-or-falling", "fourteen-alternating")
"""The first four of Nelson's eight; his fifth and sixth are the second and third of Western Electric."""


def _run(mask: BoolArray) -> IntArray:
    """Return at each point how many in a row are true up to and with it."""
    places = np.arange(1, mask.shape[-1] + 1)
    last_false = np.maximum.accumulate(np.where(mask, 0, places), axis=-1)
    return np.asarray(places - last_false, dtype=np.int64)
