"""Rounding as the membrane study prints it, so that figures can be set beside its tables digit by digit."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Literal

from sorby.errors import InputError

Kind = Literal["score", "time", "detection"]

# kind -> last digit, how the mean is rounded, how its margin is
_RULES = {
    "score": (Decimal("0.01"), ROUND_FLOOR, ROUND_CEILING),
    "time": (Decimal("0.01"), ROUND_HALF_UP, ROUND_CEILING),
    "detection": (Decimal("0.1"), ROUND_HALF_UP, ROUND_HALF_UP),
}
# A mean of binary numbers misses .29 or .01 by 1e-16 or so; that must not cost a whole hundredth.
_EXACT = Decimal("1e-9")


def yan_rounding(mean: float, margin: float | None, kind: Kind = "score") -> tuple[float, float | None]:
    """Round a mean and the half width of its interval as Yan et al. (2023) do.

    Averages of scores are rounded down and margins up to the hundredth, averages of times to the nearest hundredth
    with margins up, detection figures (in per cent) both to the nearest tenth, halves up.

    Parameters
    ----------
    mean : float
    margin : float or None
        Half width of the 95 % interval; None for a single run.
    kind : {"score", "time", "detection"}

    Returns
    -------
    tuple of float
        Mean and margin as printed; what is undefined (NaN, None) stays so.

    Raises
    ------
    InputError
        For another kind.

    Examples
    --------
    >>> yan_rounding(0.909, 0.011)
    (0.9, 0.02)
    >>> yan_rounding(0.29, 0.07)
    (0.29, 0.07)
    """
    if kind not in _RULES:
        raise InputError(f"unknown kind of figure {kind!r}", f"use one of {', '.join(_RULES)}")
    digit, of_mean, of_margin = _RULES[kind]
    return _rounded(mean, digit, of_mean), None if margin is None else _rounded(margin, digit, of_margin)


def _rounded(value: float, digit: Decimal, how: str) -> float:
    if not math.isfinite(value):
        return float(value)
    return float(Decimal(repr(float(value))).quantize(_EXACT).quantize(digit, rounding=how))
