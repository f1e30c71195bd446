"""How sure a figure is: Wilson for proportions, t over folds, bootstrap by specimen for the rest.

Images of one specimen resemble each other, so the bootstrap draws whole specimens. Metrics that
follow from additive tables (a confusion matrix, sums in reliability bins) are resampled by
multiplying the table of each specimen with how often it was drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

from sorby.errors import InputError
from sorby.evidence._types import FloatArray, IntArray

RESAMPLES = 2000
#: Below this many specimens a percentile bootstrap is visibly too narrow, and the result says so.
FEW_SPECIMENS = 20
# Bounds the memory of one block of resamples (float64 cells).
_BLOCK_CELLS = 2_000_000
_MISSING = ("", "None", "nan", "NaN", "<NA>", "NaT")


@dataclass(frozen=True)
class Estimate:
    """A figure, how sure it is, and how that was found.

    Attributes
    ----------
    value : float
        The figure; NaN if undefined.
    ci95 : tuple of float or None
        95 % interval (low, high); None where none can be given (see `note`).
    n : int
        Images behind the figure.
    method : str
        How the interval was found.
    note : str
        What the reader must know about it; empty if nothing.
    """

    value: float
    ci95: tuple[float, float] | None
    n: int
    method: str
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary fit for JSON; undefined figures become None, an empty note is left out."""
        out: dict[str, Any] = {
            "value": _finite(self.value),
            "ci95": None if self.ci95 is None else [float(bound) for bound in self.ci95],
            "n": int(self.n),
            "method": self.method,
        }
        if self.note:
            out["note"] = self.note
        return out


@dataclass(frozen=True)
class FoldEstimate(Estimate):
    """Mean over folds with its t interval; adds the spread.

    Attributes
    ----------
    sd : float
        Sample standard deviation over folds (denominator folds - 1); NaN for a single fold.
    folds : tuple of float
        The value of each fold; empty if only the summary is known.
    """

    sd: float = math.nan
    folds: tuple[float, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary fit for JSON with `mean` (same as `value`) and `sd`."""
        out = {"mean": _finite(self.value), "sd": _finite(self.sd), **super().as_dict()}
        if self.folds:
            out["folds"] = [_finite(value) for value in self.folds]
        return out


def wilson_bounds(successes: npt.ArrayLike, n: npt.ArrayLike, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Wilson score interval of many proportions at once.

    Parameters
    ----------
    successes, n : array_like
        Successes and trials; broadcast against each other. Fractions are allowed.
    level : float
        Confidence level.

    Returns
    -------
    low, high : ndarray of float64
        0 and 1 where there is no trial.

    References
    ----------
    E. B. Wilson, J. Am. Stat. Assoc. 22 (1927).
    """
    z2 = float(ndtri(0.5 + level / 2.0)) ** 2
    k, trials = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(n, np.float64))
    known = trials > 0
    safe = np.where(known, trials, 1.0)
    share = np.where(known, k, 0.0) / safe
    centre = (share + z2 / (2.0 * safe)) / (1.0 + z2 / safe)
    half = np.sqrt(z2 * (share * (1.0 - share) / safe + z2 / (4.0 * safe**2))) / (1.0 + z2 / safe)
    # At 0 or n successes the bound is exactly 0 or 1; rounding must not move it.
    low = np.where(known & (k > 0), centre - half, 0.0)
    high = np.where(known & (k < trials), centre + half, 1.0)
    return low, high


def wilson(successes: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of one proportion.

    Parameters
    ----------
    successes, n : float
        Successes and trials.
    level : float
        Confidence level.

    Returns
    -------
    tuple of float
        (low, high).

    Examples
    --------
    >>> [round(bound, 3) for bound in wilson(295, 326)]
    [0.868, 0.932]
    """
    low, high = wilson_bounds(successes, n, level)
    return float(low), float(high)


def proportion(successes: int, n: int, note: str = "") -> Estimate:
    """Proportion with its Wilson interval, images counted as independent.

    Parameters
    ----------
    successes, n : int
    note : str
        Passed on.

    Returns
    -------
    Estimate
        NaN without interval if ``n`` is zero.
    """
    if n == 0:
        return Estimate(math.nan, None, 0, "Wilson", note or "no image to count")
    return Estimate(successes / n, wilson(successes, n), n, "Wilson", note)


def t_interval(values: npt.ArrayLike) -> FoldEstimate:
    """Mean over folds with mean +- t(.975, K - 1) SD / sqrt(K).

    Folds share most of their training images, so their values are not independent and the interval
    tends to be too narrow (Bengio and Grandvalet, 2004); the note says so.

    Parameters
    ----------
    values : array_like, shape (K,)
        One value a fold.

    Returns
    -------
    FoldEstimate
        `n` is the number of folds; no interval for fewer than two.

    Raises
    ------
    InputError
        If there is no value.
    """
    folds = np.asarray(values, dtype=np.float64).ravel()
    if folds.size == 0:
        raise InputError("an interval over folds needs at least one fold")
    sd = float(folds.std(ddof=1)) if folds.size > 1 else math.nan
    return t_interval_from_summary(float(folds.mean()), sd, folds.size, tuple(folds.tolist()))


def t_interval_from_summary(mean: float, sd: float, n_folds: int, folds: tuple[float, ...] = ()) -> FoldEstimate:
    """Return the interval over folds of a published mean and standard deviation.

    Parameters
    ----------
    mean, sd : float
        Mean and sample standard deviation (denominator K - 1) over folds.
    n_folds : int
        Number of folds K.
    folds : tuple of float
        The single values, if known.

    Returns
    -------
    FoldEstimate
    """
    if n_folds < 2:
        return FoldEstimate(mean, None, n_folds, "t over folds", "one fold: no spread to go by", sd, folds)
    half = float(stdtrit(n_folds - 1, 0.975)) * sd / math.sqrt(n_folds)
    note = "folds share training images: the interval is indicative"
    return FoldEstimate(mean, (mean - half, mean + half), n_folds, f"t over {n_folds} folds", note, sd, folds)


def specimen_index(groups: npt.ArrayLike | None, n: int) -> tuple[IntArray, int]:
    """Give each image the number of its specimen.

    Parameters
    ----------
    groups : array_like, shape (N,), or None
        Specimen of each image (numbers or names). An image whose specimen is unknown (None, NaN,
        empty) counts as its own specimen, and so does every image if *groups* is None.
    n : int
        Number of images N.

    Returns
    -------
    index : ndarray of int64, shape (N,)
        Specimen number of each image, 0 .. G - 1.
    n_specimens : int
        G.

    Raises
    ------
    InputError
        If the length is not N.
    """
    if groups is None:
        return np.arange(n, dtype=np.int64), n
    names = np.asarray(groups)
    if names.shape != (n,):
        raise InputError(f"{n} images but specimen names of shape {names.shape}")
    if names.dtype.kind in "biu":
        unique, index = np.unique(names, return_inverse=True)
        return index.astype(np.int64).ravel(), unique.size
    text = names.astype(str)
    known = ~np.isin(text, _MISSING)
    unique, inverse = np.unique(text[known], return_inverse=True)
    index = np.empty(n, dtype=np.int64)
    index[known] = inverse.ravel()
    index[~known] = unique.size + np.arange(int((~known).sum()))
    return index, int(unique.size + (~known).sum())


def resample_counts(n_groups: int, n_resamples: int, seed: int) -> Iterator[FloatArray]:
    """Yield how often each specimen is drawn in each resample, in blocks of bounded memory.

    Parameters
    ----------
    n_groups : int
        Specimens G; each resample draws G of them with replacement.
    n_resamples : int
    seed : int

    Yields
    ------
    ndarray of float64, shape (block, G)
    """
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK_CELLS // max(n_groups, 1))
    for start in range(0, n_resamples, block):
        size = min(block, n_resamples - start)
        drawn = rng.integers(0, n_groups, size=(size, n_groups))
        drawn += np.arange(size)[:, None] * n_groups
        yield np.bincount(drawn.ravel(), minlength=size * n_groups).reshape(size, n_groups).astype(float)


def sum_by_group(values: FloatArray, index: IntArray, n_groups: int) -> FloatArray:
    """Add up the rows of each specimen.

    Parameters
    ----------
    values : ndarray, shape (N, T)
    index : ndarray of int, shape (N,)
        Specimen number of each row.
    n_groups : int

    Returns
    -------
    ndarray of float64, shape (G, T)
    """
    n_cells = values.shape[1]
    keys = (index[:, None] * n_cells + np.arange(n_cells)).ravel()
    sums = np.bincount(keys, weights=values.ravel(), minlength=n_groups * n_cells).astype(np.float64)
    return sums.reshape(n_groups, n_cells)


def cluster_bootstrap(
    per_group: FloatArray,
    statistic: Callable[[FloatArray], FloatArray],
    n_resamples: int = RESAMPLES,
    seed: int = 0,
    counts: IntArray | None = None,
) -> FloatArray:
    """Resample specimens and evaluate a statistic of their summed tables.

    Specimens with equal tables are interchangeable: if there are few different tables, the number
    of draws of each is drawn directly from the multinomial distribution, which is the same thing and
    makes the cost independent of the number of images.

    Parameters
    ----------
    per_group : ndarray, shape (G, ...)
        An additive table for each specimen (its confusion matrix, say).
    statistic : callable
        Maps summed tables of shape (B, ...) to an array whose first axis is B.
    n_resamples : int
    seed : int
    counts : ndarray of int, shape (G,), optional
        How many specimens have each table, if the caller has already put equal ones together.

    Returns
    -------
    ndarray of float64
        The statistic of each resample, first axis ``n_resamples``.

    References
    ----------
    A. C. Davison and D. V. Hinkley, "Bootstrap Methods and their Application" (1997), section 3.8.
    """
    shape = per_group.shape[1:]
    flat = per_group.reshape(per_group.shape[0], -1)
    kinds, counts = _distinct_rows(flat) if counts is None else (flat, counts)
    n_groups = int(counts.sum())
    if kinds.shape[0] * 4 <= n_groups or kinds.shape[0] == per_group.shape[0] < n_groups:
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(n_groups, counts / n_groups, size=n_resamples)
        return statistic((drawn @ kinds).reshape(n_resamples, *shape))
    blocks = [
        statistic((weights @ flat).reshape(-1, *shape)) for weights in resample_counts(flat.shape[0], n_resamples, seed)
    ]
    return np.concatenate(blocks)


def percentile_interval(samples: FloatArray) -> tuple[float, float] | None:
    """95 % percentile interval; None if fewer than half of the resamples are defined.

    Parameters
    ----------
    samples : ndarray, shape (B,)

    Returns
    -------
    tuple of float or None
    """
    defined = samples[~np.isnan(samples)]
    if defined.size * 2 < samples.size or defined.size == 0:
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def bootstrap_estimate(value: float, samples: FloatArray, n: int, n_groups: int, note: str = "") -> Estimate:
    """Turn resampled values into an estimate that says what it cannot know.

    Parameters
    ----------
    value : float
        The figure on all images.
    samples : ndarray, shape (B,)
        The figure in each resample.
    n, n_groups : int
        Images and specimens.
    note : str
        What else must be said.

    Returns
    -------
    Estimate
        Without interval if there is one specimen only, if the figure is undefined, or if no resample
        differs from another.
    """
    unit = "image" if n_groups == n else "specimen"
    method = f"bootstrap by {unit}, {samples.shape[0]} resamples"
    interval = percentile_interval(samples) if n_groups > 1 and not math.isnan(value) else None
    remarks = [note] if note else []
    if math.isnan(value):
        remarks.append("undefined on these images")
    elif n_groups < 2:
        remarks.append(f"one {unit}: no spread to go by")
    elif interval is None:
        remarks.append("undefined in most resamples: no interval")
    elif interval[0] == interval[1]:
        interval = None
        remarks.append("no spread between resamples: no interval")
    elif n_groups < FEW_SPECIMENS:
        remarks.append(f"only {n_groups} {unit}s: the interval is rather too narrow")
    return Estimate(float(value), interval, n, method, "; ".join(remarks))


def _distinct_rows(flat: FloatArray) -> tuple[FloatArray, IntArray]:
    """Distinct rows and how often each occurs."""
    rows = np.ascontiguousarray(flat + 0.0)  # adding zero turns -0.0 into 0.0: equal values, equal bytes
    view = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, counts = np.unique(view, return_index=True, return_counts=True)
    return flat[first], counts.astype(np.int64)


def _finite(value: float) -> float | None:
    """Return None for what JSON cannot hold."""
    return float(value) if math.isfinite(value) else None
