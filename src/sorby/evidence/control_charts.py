"""Control charts: has a process drifted since a stated baseline, or does it vary as it always did?

Shares (referred images, a class) go on a p-chart, or on Laney's p'-chart where periods differ by more than chance;
means (confidence, novelty) on an X-bar chart, or on one of individual values; slow drift shows first in an
exponentially weighted moving average (EWMA). Centre and spread come from the baseline periods alone. What is unusual is
named by the rules of `sorby.evidence.control_rules`.

References
----------
D. C. Montgomery, "Introduction to Statistical Quality Control", 6th ed. (2009), chapters 6, 7 and 9.
D. B. Laney, "Improved control charts for attributes", Quality Engineering 14 (2002) 531-537.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter
from scipy.stats import binom, norm

from sorby.errors import InputError
from sorby.evidence._types import BoolArray, FloatArray, IntArray
from sorby.evidence.control_alarms import Alarm, ControlChart, find_alarms, judged
from sorby.evidence.control_rules import SIGMAS, WESTERN_ELECTRIC, beyond

__all__ = ["Alarm", "ControlChart", "ewma_chart", "individuals_chart", "laney_p_chart", "p_chart", "xbar_chart"]

_D2 = 1.128379167  # mean range of two normal values, in standard deviations: 2 / sqrt(pi)
_ENOUGH = 20  # baseline periods below which estimated limits raise clearly more false alarms than known ones
_EXPECTED = 5.0  # cases a period below which normal limits of a share are rough


def p_chart(
    counts: npt.ArrayLike,
    sizes: npt.ArrayLike,
    baseline: int | npt.ArrayLike,
    *,
    rules: Sequence[str] = WESTERN_ELECTRIC,
    tails: Literal["normal", "exact"] = "normal",
) -> ControlChart:
    """Chart the share of images with some property, period by period.

    Parameters
    ----------
    counts, sizes : array_like of int, shape (T,)
        Images with the property, and all images, of each period.
    baseline : int or array_like of bool, shape (T,)
        The periods that show the undisturbed process: the first so many, or those that are true.
    rules : sequence of str
        Names of `RULES`.
    tails : {"normal", "exact"}
        Limits of the textbook, three standard errors of a normal approximation; or binomial ones that leave out 0.135 %
        of the mid-p values on either side, which few images or rare properties ask for. Points are then standardised
        by their mid-p value too.

    Returns
    -------
    ControlChart
        Centre: sum of counts over sum of sizes in the baseline. Standard error: ``sqrt(p (1 - p) / n)``.

    Raises
    ------
    InputError
        Shapes differ, a count lies outside 0 to its size, or the baseline is empty.
    """
    k, n, base = _shares(counts, sizes, baseline)
    p, values, errors, said = _share_and_errors(k, n, base)
    lower, upper = np.maximum(0.0, p - SIGMAS * errors), np.minimum(1.0, p + SIGMAS * errors)
    z = (values - p) / errors
    if tails == "exact":
        lower, upper = _binomial_limits(n, p)
        z = norm.ppf(np.clip(_mid_p(k, n, p), 1e-300, 1 - 1e-16))
    elif np.mean((n * min(p, 1 - p) < _EXPECTED)[n > 0]) > 0.2:
        said.append(
            f"fewer than {_EXPECTED:.0f} cases a period are expected: normal limits are rough, exact ones better"
        )
    chart = ControlChart("p", values, p, errors, lower, upper, n, base, (), 1.0, tuple(said))
    return judged(chart, np.where(n > 0, z, np.nan), rules)


def laney_p_chart(
    counts: npt.ArrayLike,
    sizes: npt.ArrayLike,
    baseline: int | npt.ArrayLike,
    *,
    rules: Sequence[str] = WESTERN_ELECTRIC,
) -> ControlChart:
    """Chart shares whose periods differ by more than the images of a period explain.

    With thousands of images a period the binomial limits close in on the centre, and every change of lot or operator is
    an alarm. Laney's p' widens them by how much the standardised points of the baseline really vary.

    Parameters
    ----------
    counts, sizes, baseline, rules
        As for `p_chart`; the baseline has two periods or more.

    Returns
    -------
    ControlChart
        ``dispersion`` is the mean moving range of the standardised baseline over 1.128; limits are
        ``p +- 3 dispersion sqrt(p (1 - p) / n)``.

    Raises
    ------
    InputError
    """
    k, n, base = _shares(counts, sizes, baseline)
    p, values, errors, said = _share_and_errors(k, n, base)
    dispersion = _moving_spread(((values - p) / errors)[base])
    errors = errors * dispersion
    lower, upper = np.maximum(0.0, p - SIGMAS * errors), np.minimum(1.0, p + SIGMAS * errors)
    chart = ControlChart("laney-p", values, p, errors, lower, upper, n, base, (), dispersion, tuple(said))
    return judged(chart, (values - p) / errors, rules)


def individuals_chart(
    values: npt.ArrayLike,
    baseline: int | npt.ArrayLike,
    *,
    sizes: npt.ArrayLike | None = None,
    rules: Sequence[str] = WESTERN_ELECTRIC,
) -> ControlChart:
    """Chart one value a period, whose spread is only seen from period to period.

    Parameters
    ----------
    values : array_like, shape (T,)
        NaN where there is none.
    baseline, rules
        As for `p_chart`; two values or more.
    sizes : array_like of int, shape (T,), optional
        Images behind each value; only told with alarms.

    Returns
    -------
    ControlChart
        Centre: mean of the baseline. Standard error: its mean moving range over 1.128.

    Raises
    ------
    InputError
    """
    x = _row(values, "values")
    base = _baseline(baseline, np.isfinite(x))
    centre, spread = float(x[base].mean()), _moving_spread(x[base])
    errors = np.full(x.size, spread)
    return _means_chart("individuals", x, centre, errors, _counts(sizes, x.size), base, rules)


def xbar_chart(
    means: npt.ArrayLike,
    sds: npt.ArrayLike,
    sizes: npt.ArrayLike,
    baseline: int | npt.ArrayLike,
    *,
    between: bool = False,
    rules: Sequence[str] = WESTERN_ELECTRIC,
) -> ControlChart:
    """Chart the mean of each period's images.

    Parameters
    ----------
    means, sds : array_like, shape (T,)
        Of the images of each period, *sds* with denominator n - 1.
    sizes : array_like of int, shape (T,)
        They may differ.
    baseline, rules
        As for `p_chart`.
    between : bool
        Widen the limits by how much periods of the baseline differ beyond their images, as Laney does for shares.

    Returns
    -------
    ControlChart
        Centre: mean of all images of the baseline. Standard error: their pooled standard deviation over the root of n.

    Raises
    ------
    InputError
        No period of the baseline has two images.
    """
    x, s = _row(means, "means"), _row(sds, "sds")
    n = _counts(sizes, x.size)
    if n is None or s.size != x.size:
        raise InputError("means, sds and sizes have different lengths", "give one of each a period")
    base = _baseline(baseline, np.isfinite(x) & (n > 0))
    degrees = np.where(base, np.maximum(n - 1, 0), 0)
    if degrees.sum() == 0:
        raise InputError("no period of the baseline has two images", "chart individual values instead")
    centre = float((n * np.where(base, x, 0.0)).sum() / n[base].sum())
    pooled = float(np.sqrt((degrees * np.where(degrees > 0, s, 0.0) ** 2).sum() / degrees.sum()))
    errors = pooled / np.sqrt(np.maximum(n, 1))
    x = np.where(n > 0, x, np.nan)
    dispersion = 1.0
    if between:
        with np.errstate(divide="ignore", invalid="ignore"):
            dispersion = _moving_spread(((x - centre) / errors)[base])
    chart = _means_chart("x-bar", x, centre, errors * dispersion, n, base, rules)
    return replace(chart, dispersion=dispersion)


def ewma_chart(
    values: npt.ArrayLike,
    baseline: int | npt.ArrayLike,
    *,
    errors: npt.ArrayLike | None = None,
    sizes: npt.ArrayLike | None = None,
    weight: float = 0.1,
    limit: float = 2.814,
) -> ControlChart:
    """Chart an exponentially weighted moving average, which finds small lasting shifts.

    Parameters
    ----------
    values : array_like, shape (T,)
        NaN where there is none: the average stays.
    baseline
        As for `p_chart`.
    errors : array_like, shape (T,), optional
        Standard error of each value, for example of a `p_chart` or `xbar_chart`; by default from the moving range of
        the baseline.
    sizes : array_like of int, shape (T,), optional
        Only told with alarms.
    weight : float
        Of the newest value, above 0, at most 1.
    limit : float
        In standard errors. With the default and a weight of 0.1 an undisturbed process raises an alarm every 500 points
        on average; a shift by one standard error takes 10.

    Returns
    -------
    ControlChart
        ``values`` are the averages, which begin at the centre; limits are exact for each period.

    Raises
    ------
    InputError

    References
    ----------
    J. M. Lucas and M. S. Saccucci, "Exponentially weighted moving average control schemes", Technometrics 32
    (1990) 1-12.
    """
    if not 0 < weight <= 1 or limit <= 0:
        raise InputError("a weight lies above 0 and at most at 1, a limit above 0", "e.g. weight=0.1, limit=2.814")
    x = _row(values, "values")
    there = np.isfinite(x)
    base = _baseline(baseline, there)
    centre = float(x[base].mean())
    se = np.full(x.size, _moving_spread(x[base])) if errors is None else _row(errors, "errors")
    average, variance = np.full(x.size, np.nan), np.full(x.size, np.nan)
    average[there] = centre + lfilter([weight], [1, -(1 - weight)], x[there] - centre)
    variance[there] = lfilter([weight**2], [1, -((1 - weight) ** 2)], se[there] ** 2)
    deviation = np.sqrt(variance)
    chart = ControlChart(
        "ewma", average, centre, deviation, centre - limit * deviation, centre + limit * deviation,
        _counts(sizes, x.size), base, (), 1.0, _baseline_warnings(base),
    )  # fmt: skip
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (average - centre) / deviation
    return replace(chart, alarms=tuple(find_alarms(chart, z, {"beyond-ewma-limits": lambda z: beyond(z, limit)})))


# -- what charts share ------------------------------------------------------------------------------------


def _means_chart(
    kind: str,
    x: FloatArray,
    centre: float,
    errors: FloatArray,
    sizes: IntArray | None,
    base: BoolArray,
    rules: Sequence[str],
) -> ControlChart:
    lower, upper = centre - SIGMAS * errors, centre + SIGMAS * errors
    chart = ControlChart(kind, x, centre, errors, lower, upper, sizes, base, (), 1.0, _baseline_warnings(base))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (x - centre) / errors
    return judged(chart, z, rules)


def _moving_spread(values: FloatArray) -> float:
    """Return the standard deviation of consecutive values, from their mean moving range."""
    if values.size < 2:
        raise InputError("one value in the baseline shows no spread", "give a baseline of two periods or more")
    spread = float(np.abs(np.diff(values)).mean() / _D2)
    if spread == 0:
        raise InputError(
            "all values of the baseline are the same: limits would have no width", "give a longer baseline"
        )
    return spread


def _mid_p(k: npt.ArrayLike, n: IntArray, p: float) -> FloatArray:
    """Return the chance of fewer cases, and half of that of as many."""
    k = np.asarray(k)
    return np.asarray(binom.cdf(k - 1, n, p) + 0.5 * binom.pmf(k, n, p), dtype=np.float64)


def _binomial_limits(n: IntArray, p: float) -> tuple[FloatArray, FloatArray]:
    """Return the least and the greatest share that is no alarm."""
    tail = norm.sf(SIGMAS)
    low, high = binom.ppf(tail, n, p), binom.ppf(1 - tail, n, p)
    low = low + (_mid_p(low, n, p) < tail)
    high = high - (_mid_p(high, n, p) > 1 - tail)
    some = np.maximum(n, 1)
    return np.maximum(low, 0) / some, high / some


def _share_and_errors(k: IntArray, n: IntArray, base: BoolArray) -> tuple[float, FloatArray, FloatArray, list[str]]:
    """Return centre, shares, their standard errors and what must be said of them."""
    hits, total = int(k[base].sum()), int(n[base].sum())
    p, said = hits / total, list(_baseline_warnings(base))
    # Where the baseline has none or nothing else, its share is still not known to be 0 or 1.
    spread = p if 0 < hits < total else (hits + 0.5) / (total + 1)
    if spread != p:
        said.append(f"all {total} images of the baseline are alike: limits rest on half a case more")
    some = np.maximum(n, 1)
    values = np.where(n > 0, k / some, np.nan)
    return p, values, np.sqrt(spread * (1 - spread) / some), said


def _shares(
    counts: npt.ArrayLike, sizes: npt.ArrayLike, baseline: int | npt.ArrayLike
) -> tuple[IntArray, IntArray, BoolArray]:
    k, n = np.asarray(counts), np.asarray(sizes)
    if k.ndim != 1 or k.shape != n.shape:
        raise InputError("counts and sizes have different lengths", "give one of each a period")
    if (k < 0).any() or (k > n).any() or (k != np.floor(k)).any() or (n != np.floor(n)).any():
        raise InputError("a count is no whole number from 0 to its size", "count the images of each period")
    base = _baseline(baseline, n > 0)
    return k.astype(np.int64), n.astype(np.int64), base


def _baseline(baseline: int | npt.ArrayLike, there: BoolArray) -> BoolArray:
    """Return which periods are the baseline; one without images cannot be."""
    chosen = np.asarray(baseline)
    if chosen.ndim == 0:
        chosen = np.arange(there.size) < int(chosen)
    if chosen.shape != there.shape or chosen.dtype != np.bool_:
        raise InputError("the baseline is neither a number of periods nor true or false for each", "e.g. baseline=12")
    base = chosen & there
    if not base.any():
        raise InputError("no period of the baseline has images", "choose an earlier or longer baseline")
    return base


def _baseline_warnings(base: BoolArray) -> tuple[str, ...]:
    n = int(base.sum())
    if n >= _ENOUGH:
        return ()
    return (
        f"limits rest on {n} periods: with fewer than {_ENOUGH} there are more false alarms than the rules promise",
    )


def _row(values: npt.ArrayLike, name: str) -> FloatArray:
    row = np.asarray(values, dtype=np.float64)
    if row.ndim != 1 or row.size == 0:
        raise InputError(f"{name} is no row of numbers", "give one a period")
    return row


def _counts(sizes: npt.ArrayLike | None, length: int) -> IntArray | None:
    if sizes is None:
        return None
    n = np.asarray(sizes)
    if n.shape != (length,) or (n < 0).any() or (n != np.floor(n)).any():
        raise InputError("sizes are no whole numbers from 0 on, one a period", "count the images of each period")
    return n.astype(np.int64)
