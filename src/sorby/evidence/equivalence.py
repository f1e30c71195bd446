"""Is one condition as good as another, within a stated margin? Two one-sided tests, paired over specimens.

That two error bars overlap shows nothing. A difference is *shown* where a test of no difference rejects; *equivalence*
is shown where both one-sided tests reject that the difference lies beyond the margin, which is the same as the 90 %
interval lying inside it. Otherwise neither is shown; and from fewer than ten specimens nothing is concluded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from sorby.errors import InputError
from sorby.evidence._types import FloatArray
from sorby.evidence.intervals import RESAMPLES, cluster_bootstrap, specimen_index, sum_by_group
from sorby.evidence.metrics import class_codes, from_confusion
from sorby.evidence.scorecard import confusion_by_group

Conclusion = Literal["equivalent", "worse", "better", "not shown", "too few specimens"]
#: Below this many specimens there is neither a t nor a bootstrap interval.
FEWEST = 3
FEWEST_NAMED = 10
"""From so many specimens on a difference or an equivalence is named.

The percentile bootstrap takes the spread of few specimens for too small. Where there is no difference in macro-F1, a
test at 5 % finds one in some 14 % of trials with 6 specimens, 10 % with 10 and 6 % with 20.
"""
FEWEST_EXACT = 20
"""From so many specimens on the bootstrap of macro-F1 keeps about its level; below it is liberal."""


@dataclass(frozen=True)
class Equivalence:
    """A difference, whether it is shown, and whether it is shown to be small.

    Attributes
    ----------
    difference : float
        Condition less reference; NaN where undefined.
    margin : float
        Differences smaller than this do not matter.
    ci90 : tuple of float or None
        Inside the margin exactly where equivalence is shown at 5 %.
    ci95 : tuple of float or None
        Leaves out zero exactly where a difference is shown at 5 %.
    p_equivalence : float
        Of the two one-sided tests: the larger one's.
    p_difference : float
        Two-sided, of no difference.
    n_specimens : int
        Specimens seen under both conditions.
    method : str
    """

    difference: float
    margin: float
    ci90: tuple[float, float] | None
    ci95: tuple[float, float] | None
    p_equivalence: float
    p_difference: float
    n_specimens: int
    method: str

    def conclusion(self, p_equivalence: float | None = None, p_difference: float | None = None) -> Conclusion:
        """Say what is shown at 5 %.

        Equivalence comes first: a difference that is shown and shown to be smaller than the margin does not matter.
        Fewer than `FEWEST_NAMED` specimens show nothing, whatever their p.

        Parameters
        ----------
        p_equivalence, p_difference : float, optional
            Corrected for several comparisons; the object's own where absent.
        """
        same = self.p_equivalence if p_equivalence is None else p_equivalence
        other = self.p_difference if p_difference is None else p_difference
        if self.n_specimens < FEWEST_NAMED:
            return "too few specimens"
        if same <= 0.05:
            return "equivalent"
        if other <= 0.05:
            return "worse" if self.difference < 0 else "better"
        return "not shown"

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes fit for JSON, ``value`` for the difference."""

        def finite(value: float) -> float | None:
            return float(value) if math.isfinite(value) else None

        return {
            "value": finite(self.difference),
            "ci95": None if self.ci95 is None else list(self.ci95),
            "ci90": None if self.ci90 is None else list(self.ci90),
            "margin": self.margin,
            "p_equivalence": finite(self.p_equivalence),
            "p_difference": finite(self.p_difference),
            "n": self.n_specimens,
            "method": self.method,
        }


def paired_tost(differences: npt.ArrayLike, margin: float) -> Equivalence:
    """Two one-sided t tests of paired differences, one a specimen.

    Parameters
    ----------
    differences : array_like, shape (G,)
        Condition less reference within each specimen, for instance of its share of images named right.
    margin : float
        Above 0.

    Returns
    -------
    Equivalence
        Without intervals where there are fewer than three specimens. Where all differences are the same number,
        their spread is zero and the t test says nothing; both p are then 1 and there is no interval.

    Raises
    ------
    InputError
        The margin is not above 0.

    References
    ----------
    D. J. Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987).
    """
    _check_margin(margin)
    gaps = np.asarray(differences, dtype=np.float64).ravel()
    gaps = gaps[~np.isnan(gaps)]
    n, method = gaps.size, "paired t over specimens, two one-sided tests"
    mean = float(gaps.mean()) if n else math.nan
    spread = float(gaps.std(ddof=1)) / math.sqrt(n) if n > 1 else 0.0
    if n < FEWEST or spread == 0.0:
        return Equivalence(mean, margin, None, None, 1.0, 1.0, n, f"{method}: not applicable")
    return _by_t(mean, spread, n - 1, margin, n, method)


def clustered_tost(a: npt.ArrayLike, b: npt.ArrayLike, groups_a: npt.ArrayLike, groups_b: npt.ArrayLike,
                   margin: float) -> Equivalence:  # fmt: skip
    """Compare means of unpaired images of the same specimens by a linear probability model with robust errors.

    All images count, also those of specimens seen under one condition only. Ordinary least squares of the outcome on
    the condition, with the cluster-robust (CR1) sandwich over specimens and t with G - 1 degrees of freedom.

    Parameters
    ----------
    a, b : array_like, shapes (n,) and (m,)
        Outcome (1 right, 0 wrong) of each image under condition and reference.
    groups_a, groups_b : array_like
        Specimen of each.
    margin : float

    Returns
    -------
    Equivalence
        Of ``mean(a) - mean(b)``.

    References
    ----------
    K.-Y. Liang and S. L. Zeger, Biometrika 73 (1986); A. C. Cameron and D. L. Miller, J. Hum. Resour. 50 (2015).
    """
    _check_margin(margin)
    here, there = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
    names = np.concatenate([np.asarray(groups_a).astype(str), np.asarray(groups_b).astype(str)])
    n, method = here.size + there.size, "linear probability, robust over specimens, two one-sided tests"
    index, n_groups = specimen_index(names, n)
    if not here.size or not there.size or n_groups < FEWEST:
        gap = float(here.mean() - there.mean()) if here.size and there.size else math.nan
        return Equivalence(gap, margin, None, None, 1.0, 1.0, n_groups, f"{method}: not applicable")
    gap = float(here.mean() - there.mean())
    # The influence of an image on the difference; its sum over a specimen is what varies between specimens.
    influence = np.concatenate([(here - here.mean()) / here.size, -(there - there.mean()) / there.size])
    sums = np.bincount(index, weights=influence, minlength=n_groups)
    small_sample = n_groups / (n_groups - 1) * (n - 1) / (n - 2)
    spread = math.sqrt(float(small_sample * (sums**2).sum()))
    if spread == 0.0:
        return Equivalence(gap, margin, None, None, 1.0, 1.0, n_groups, f"{method}: not applicable")
    return _by_t(gap, spread, n_groups - 1, margin, n_groups, method)


def macro_f1_tost(
    truth_a: npt.ArrayLike,
    called_a: npt.ArrayLike,
    groups_a: npt.ArrayLike,
    truth_b: npt.ArrayLike,
    called_b: npt.ArrayLike,
    groups_b: npt.ArrayLike,
    n_classes: int,
    margin: float,
    *,
    of_class: int | None = None,
    seed: int = 0,
    n_resamples: int = RESAMPLES,
) -> Equivalence:
    """Compare the macro-F1 of two sets of images of the same specimens, whole specimens resampled together.

    Parameters
    ----------
    truth_a, called_a, groups_a
        Class codes and specimens of the images under the condition.
    truth_b, called_b, groups_b
        Under the reference; other images, the same specimens. A specimen drawn brings all its images, so the
        resampling is paired.
    n_classes : int
    margin : float
    of_class : int, optional
        Compare the F1 of one class instead.
    seed, n_resamples : int

    Returns
    -------
    Equivalence
        p-values by inversion of the percentile interval (the share of resamples beyond the bound, never below
        1 / (resamples + 1)).

    Notes
    -----
    Only specimens seen under both conditions are compared: otherwise a difference between specimens would pass for a
    difference between conditions.
    """
    _check_margin(margin)
    kept_a, kept_b = shared_specimens(groups_a, groups_b)
    parts = []
    names = np.concatenate([np.asarray(groups_a).astype(str)[kept_a], np.asarray(groups_b).astype(str)[kept_b]])
    index, n_groups = specimen_index(names, names.size)
    split = int(kept_a.sum())
    for truth, called, kept, rows in ((truth_a, called_a, kept_a, index[:split]),
                                      (truth_b, called_b, kept_b, index[split:])):  # fmt: skip
        true_codes = class_codes(truth, n_classes, "truth")[kept]
        codes = class_codes(called, n_classes, "predicted")[kept]
        parts.append(confusion_by_group(true_codes, codes, n_classes, rows, n_groups))
    tables = np.stack(parts, axis=1)  # (G, 2, C, C)

    def gap(summed: FloatArray) -> FloatArray:
        found = from_confusion(summed)
        values = found.macro_f1 if of_class is None else np.asarray(found.f1)[..., of_class]
        return np.asarray(values[:, 0] - values[:, 1])

    method = f"specimens resampled {n_resamples} times, two one-sided tests"
    value = float(gap(tables.sum(axis=0)[None])[0]) if n_groups else math.nan
    if n_groups < FEWEST:
        return Equivalence(value, margin, None, None, 1.0, 1.0, n_groups, f"{method}: not applicable")
    return _by_resampling(value, cluster_bootstrap(tables, gap, n_resamples, seed), margin, n_groups, method)


def shared_specimens(
    groups_a: npt.ArrayLike, groups_b: npt.ArrayLike
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which images of each condition belong to specimens seen under both.

    Parameters
    ----------
    groups_a, groups_b : array_like of str

    Returns
    -------
    kept_a, kept_b : ndarray of bool
    """
    a, b = np.asarray(groups_a).astype(str), np.asarray(groups_b).astype(str)
    both = np.intersect1d(a, b)
    return np.isin(a, both), np.isin(b, both)


def within_specimen_difference(
    right_a: npt.ArrayLike, groups_a: npt.ArrayLike, right_b: npt.ArrayLike, groups_b: npt.ArrayLike
) -> FloatArray:
    """Return, for each specimen seen under both conditions, the difference of its means.

    Parameters
    ----------
    right_a, right_b : array_like
        Outcome of each image.
    groups_a, groups_b : array_like
        Specimen of each image.

    Returns
    -------
    ndarray, shape (G,)
        In the sorted order of the specimens' names.
    """
    kept_a, kept_b = shared_specimens(groups_a, groups_b)
    means = []
    for right, groups, kept in ((right_a, groups_a, kept_a), (right_b, groups_b, kept_b)):
        _, index = np.unique(np.asarray(groups).astype(str)[kept], return_inverse=True)
        values = np.asarray(right, np.float64)[kept]
        n_groups = int(index.max()) + 1 if index.size else 0
        totals = sum_by_group(np.stack([values, np.ones_like(values)], axis=1), index.astype(np.int64), n_groups)
        means.append(totals[:, 0] / totals[:, 1])
    return np.asarray(means[0] - means[1])


def _check_margin(margin: float) -> None:
    if not margin > 0:
        raise InputError(f"an equivalence margin of {margin:g} shows nothing", "give a difference that does not matter")


def _by_t(value: float, spread: float, freedom: int, margin: float, n: int, method: str) -> Equivalence:
    above = float(stdtr(freedom, -(value + margin) / spread))  # H0: difference <= -margin
    below = float(stdtr(freedom, (value - margin) / spread))  # H0: difference >= margin
    no_difference = 2.0 * float(stdtr(freedom, -abs(value) / spread))
    t90, t95 = float(stdtrit(freedom, 0.95)) * spread, float(stdtrit(freedom, 0.975)) * spread
    return Equivalence(
        value,
        margin,
        (value - t90, value + t90),
        (value - t95, value + t95),
        max(above, below),
        no_difference,
        n,
        method,
    )


def _by_resampling(value: float, samples: FloatArray, margin: float, n: int, method: str) -> Equivalence:
    known = samples[~np.isnan(samples)]
    if known.size * 2 < samples.size or math.isnan(value) or np.ptp(known) == 0.0:
        return Equivalence(value, margin, None, None, 1.0, 1.0, n, f"{method}: not applicable")
    low90, high90, low95, high95 = (float(bound) for bound in np.percentile(known, [5, 95, 2.5, 97.5]))

    def share(beyond: npt.NDArray[np.bool_]) -> float:
        return (1.0 + float(beyond.sum())) / (known.size + 1.0)

    same = max(share(known <= -margin), share(known >= margin))
    other = min(1.0, 2.0 * min(share(known <= 0.0), share(known >= 0.0)))
    return Equivalence(value, margin, (low90, high90), (low95, high95), same, other, n, method)
