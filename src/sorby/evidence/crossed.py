"""Shares of right ratings where every rater sees every image: intervals that hold for other images and other raters.

Fourteen people on twenty images are 280 ratings and far fewer facts: ratings of one image share what the image is like,
ratings of one person that person's habits. Both are resampled.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.evidence._types import FloatArray
from sorby.evidence.intervals import RESAMPLES, Estimate, percentile_interval

#: Below this many images or raters, resampling one of a few is too tame and the result says so.
FEW = 10


def crossed_share(
    hits: npt.ArrayLike, counted: npt.ArrayLike, *, n_resamples: int = RESAMPLES, seed: int = 0, note: str = ""
) -> Estimate:
    """Return a share of ratings with an interval over images and raters.

    Parameters
    ----------
    hits : array_like, shape (n, R)
        1 where the rating is right; anything where it does not count. Fractions are allowed.
    counted : array_like of bool, shape (n, R)
        Which ratings count.
    n_resamples, seed : int
    note : str
        Passed on.

    Returns
    -------
    Estimate
        ``n`` counts ratings. With one rater only images are resampled.

    Raises
    ------
    InputError
        The shapes differ.

    References
    ----------
    A. B. Owen, "The pigeonhole bootstrap", Ann. Appl. Stat. 1 (2007) 386: rows and columns are drawn apart and a
    rating weighs as often as both are drawn; the variance is slightly too large rather than too small.
    """
    use, right = _checked(hits, counted)
    n = int(use.sum())
    if n == 0:
        return Estimate(math.nan, None, 0, _METHOD, note or "no rating to count")
    drawn = _resampled(right, use, n_resamples, seed)
    return _estimate(float(right.sum() / n), drawn, use, n, note)


def crossed_difference(
    hits: npt.ArrayLike,
    counted: npt.ArrayLike,
    others: npt.ArrayLike,
    *,
    n_resamples: int = RESAMPLES,
    seed: int = 0,
    note: str = "",
) -> Estimate:
    """Return how far one appraiser's share of right images lies above that of a panel, on the same images.

    Parameters
    ----------
    hits, counted
        The panel's, as for :func:`crossed_share`.
    others : array_like, shape (n,)
        1 where the one appraiser is right, NaN where it has no say; such images do not count for the panel either.
    n_resamples, seed : int
    note : str

    Returns
    -------
    Estimate
        One appraiser less panel; images are drawn together for both.
    """
    use, right = _checked(hits, counted)
    one = np.asarray(others, dtype=np.float64)
    if one.shape != use.shape[:1]:
        raise InputError(f"{len(use)} images but one appraiser's ratings of shape {one.shape}")
    known = ~np.isnan(one)
    use, right = use & known[:, None], np.where(known[:, None], right, 0.0)
    shown = use.any(axis=1).astype(np.float64)
    alone = np.where(known, one, 0.0) * shown
    n = int(use.sum())
    if n == 0:
        return Estimate(math.nan, None, 0, _METHOD, note or "no image that both rated")
    value = float(alone.sum() / shown.sum() - right.sum() / n)
    images, raters = _draws(use.shape, n_resamples, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = images @ alone / (images @ shown) - _shares(images, raters, right, use)
    return _estimate(value, drawn, use, n, note)


_METHOD = "bootstrap over images and raters"


def _checked(hits: npt.ArrayLike, counted: npt.ArrayLike) -> tuple[npt.NDArray[np.bool_], FloatArray]:
    use, values = np.asarray(counted, dtype=bool), np.asarray(hits, dtype=np.float64)
    if use.ndim != 2 or use.shape != values.shape:
        raise InputError(f"hits of shape {values.shape} and counted of shape {use.shape}", "give images x raters")
    return use, np.where(use, values, 0.0)


def _draws(shape: tuple[int, ...], n_resamples: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return how often each image (B, n) and each rater (B, R) is drawn."""
    rng = np.random.default_rng([1863, 2007, seed])
    images, raters = (rng.multinomial(k, np.full(k, 1.0 / k), size=n_resamples).astype(np.float64) for k in shape[:2])
    return images, raters


def _shares(images: FloatArray, raters: FloatArray, right: FloatArray, use: npt.NDArray[np.bool_]) -> FloatArray:
    hits = ((images @ right) * raters).sum(axis=1)
    return np.asarray(hits / ((images @ use.astype(np.float64)) * raters).sum(axis=1))


def _resampled(right: FloatArray, use: npt.NDArray[np.bool_], n_resamples: int, seed: int) -> FloatArray:
    images, raters = _draws(use.shape, n_resamples, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        return _shares(images, raters, right, use)


def _estimate(value: float, drawn: FloatArray, use: npt.NDArray[np.bool_], n: int, note: str) -> Estimate:
    images, raters = int(use.any(axis=1).sum()), int(use.any(axis=0).sum())
    method = f"{_METHOD}, {drawn.size} resamples" if raters > 1 else f"bootstrap over images, {drawn.size} resamples"
    interval = percentile_interval(drawn) if images > 1 else None
    remarks = [note] if note else []
    if interval is not None and interval[0] == interval[1]:
        interval = None
        remarks.append("no spread between resamples: no interval")
    elif images == 1:
        remarks.append("one image: no spread to go by")
    elif few := [f"{k} {what}" for k, what in ((images, "images"), (raters, "raters")) if 1 < k < FEW]:
        remarks.append(f"only {' and '.join(few)}: the interval is rather too narrow")
    return Estimate(value, interval, n, method, "; ".join(remarks))
