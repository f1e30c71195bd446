"""Look closer only while it is not clear: sequential verdicts whose error over all looks stays at a stated level.

A specimen is looked at from afar first. After each look there is a conformal set; a set of one class ends the series.
Each further look is another chance to be wrong, so the looks must share the level:

* ``joint``: the calibration score of a specimen is its strangest over *all* looks, ``max_l s_l(y)``. One threshold then
  holds for all looks together: with probability 1 - alpha the truth is in the set at every look, and so where
  the series ends, whatever the rule that ends it.
* ``bonferroni``: look l has its own level ``alpha w_l`` with weights that add up to one, and its own threshold. It
  needs many more calibration specimens, but an uncertain first look does not loosen the others.

Thresholds come from calibration specimens alone; nothing here sees the labels of the specimens that are decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.evidence._types import BoolArray, FloatArray, IntArray
from sorby.evidence.conformal import CrossConformal, SplitConformal, fit_conformal
from sorby.evidence.intervals import RESAMPLES, Estimate, bootstrap_estimate, cluster_bootstrap

Spending = Literal["joint", "bonferroni"]


@dataclass(frozen=True, eq=False)
class StoppingRule:
    """Conformal sets for every look, with a common promise.

    Attributes
    ----------
    looks : tuple of SplitConformal or CrossConformal
        One a look; the same object for all where the level is shared jointly.
    alpha : float
        Chance that the truth is missed at any look.
    spending : {"joint", "bonferroni"}
    alphas : tuple of float
        Level of each look; all *alpha* where shared jointly.
    """

    looks: tuple[SplitConformal | CrossConformal, ...]
    alpha: float
    spending: Spending
    alphas: tuple[float, ...]

    @property
    def guarantee(self) -> str:
        """The promise in words."""
        how = (
            "each calibration specimen counted by its strangest look"
            if self.spending == "joint"
            else f"levels {', '.join(f'{a:.3g}' for a in self.alphas)} of the looks add up"
        )
        return f"over all {len(self.looks)} looks together: {self.looks[0].guarantee} ({how})"

    @property
    def shortage(self) -> str:
        """What the calibration specimens do not suffice for; empty if they do."""
        messages = dict.fromkeys(look.attainability.message for look in self.looks)
        return "; ".join(message for message in messages if message)

    def sets(self, probabilities: npt.ArrayLike) -> BoolArray:
        """Return the set of each specimen after each look.

        Parameters
        ----------
        probabilities : array_like, shape (N, L, C), or (K, N, L, C) for CV+
            After each look; a look without a new image repeats the one before.

        Returns
        -------
        ndarray of bool, shape (N, L, C)
            A look of which nothing is known yet (NaN) holds every class.
        """
        p = np.asarray(probabilities, dtype=np.float64)
        if p.shape[-2] != len(self.looks):
            raise InputError(f"{len(self.looks)} looks were calibrated, {p.shape[-2]} given")
        return np.stack([look.sets(p[..., number, :]) for number, look in enumerate(self.looks)], axis=1)


@dataclass(frozen=True, eq=False)
class Stops:
    """Where each specimen's series ended.

    Attributes
    ----------
    look : ndarray of int, shape (N,)
        Number of the last look taken.
    decided : ndarray of bool, shape (N,)
        Whether the set there is a single class; the others go to a person.
    label : ndarray of int, shape (N,)
        That class; -1 where undecided.
    """

    look: IntArray
    decided: BoolArray
    label: IntArray


def fit_stopping(
    probabilities: npt.ArrayLike,
    labels: npt.ArrayLike,
    alpha: float = 0.1,
    *,
    spending: Spending = "joint",
    weights: Sequence[float] | None = None,
    folds: npt.ArrayLike | None = None,
) -> StoppingRule:
    """Calibrate a sequential protocol.

    Parameters
    ----------
    probabilities : array_like, shape (N, L, C)
        Of calibration specimens, after each look, by a model that has not learnt from them. NaN before a specimen's
        first look; such looks hold every class and cannot be wrong.
    labels : array_like of int, shape (N,)
    alpha : float
    spending : {"joint", "bonferroni"}
    weights : sequence of float, optional
        Of the looks, for ``bonferroni``; equal where absent.
    folds : array_like of int, optional
        Fold that held each specimen out; gives CV+ over the fold models.

    Returns
    -------
    StoppingRule

    Raises
    ------
    InputError
        Shapes do not fit, or weights are not positive.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    codes = np.asarray(labels, dtype=np.int64)
    if p.ndim != 3 or codes.shape != p.shape[:1] or not p.shape[1]:
        raise InputError(f"probabilities of shape {p.shape} and {codes.shape} labels do not belong together")
    # A look that has not come yet holds every class: its score is the least there is.
    known = np.where(np.isnan(p), 1.0, p)
    n_looks = p.shape[1]
    if spending == "joint":
        # The score 1 - p is largest where p is smallest: the strangest look of each class.
        rule = fit_conformal(known.min(axis=1), codes, alpha, folds=folds, unit="specimens")
        return StoppingRule((rule,) * n_looks, alpha, spending, (alpha,) * n_looks)
    if spending != "bonferroni":
        raise InputError(f"looks cannot share the level by {spending!r}", "choose joint or bonferroni")
    share = np.full(n_looks, 1.0) if weights is None else np.asarray(weights, dtype=np.float64)
    if share.shape != (n_looks,) or not (share > 0).all():
        raise InputError(f"{n_looks} looks need as many positive weights")
    alphas = alpha * share / share.sum()
    rules = tuple(
        fit_conformal(known[:, k], codes, float(a), folds=folds, unit="specimens") for k, a in enumerate(alphas)
    )
    return StoppingRule(rules, alpha, spending, tuple(float(a) for a in alphas))


def stop(sets: npt.ArrayLike, available: npt.ArrayLike) -> Stops:
    """End each series at the first look whose set is a single class.

    Parameters
    ----------
    sets : array_like of bool, shape (N, L, C)
    available : array_like of bool, shape (N, L)
        Whether the specimen has an image at that look; others cannot end the series and cost nothing.

    Returns
    -------
    Stops
        A series without a single class ends at its last available look, undecided; an empty set decides nothing.
    """
    inside, there = np.asarray(sets, dtype=bool), np.asarray(available, dtype=bool)
    if inside.ndim != 3 or there.shape != inside.shape[:2]:
        raise InputError(f"sets of shape {inside.shape} and looks of shape {there.shape} do not belong together")
    if not there.any(axis=1).all():
        raise InputError("a specimen has no look at all", "leave it out")
    single = (inside.sum(axis=2) == 1) & there
    decided = single.any(axis=1)
    last = there.shape[1] - 1 - there[:, ::-1].argmax(axis=1)
    look = np.where(decided, single.argmax(axis=1), last)
    label = np.where(decided, inside[np.arange(len(inside)), look].argmax(axis=1), -1)
    return Stops(look.astype(np.int64), decided, label.astype(np.int64))


def microscope_time(images: npt.ArrayLike, image_s: float, change_s: float) -> FloatArray:
    """Return the time spent on each specimen up to and including each look.

    Parameters
    ----------
    images : array_like of int, shape (N, L)
        Images taken at each look.
    image_s : float
        Seconds an image takes: finding the place, focus, scan.
    change_s : float
        Seconds a change of magnification takes; the first look needs none.

    Returns
    -------
    ndarray of float64, shape (N, L)
    """
    counts = np.asarray(images, dtype=np.float64)
    if counts.ndim != 2 or (counts < 0).any() or image_s < 0 or change_s < 0:
        raise InputError("microscope time needs counts of images and times of 0 or more")
    visits = np.cumsum(counts > 0, axis=1)
    return np.asarray(image_s * np.cumsum(counts, axis=1) + change_s * np.maximum(visits - 1, 0))


def time_saved(spent: npt.ArrayLike, whole: npt.ArrayLike, seed: int = 0, n_resamples: int = RESAMPLES) -> Estimate:
    """Return the share of microscope time that was not needed.

    Parameters
    ----------
    spent, whole : array_like, shape (N,)
        Seconds of each specimen under the protocol, and of its whole series.
    seed, n_resamples : int
        Of the bootstrap over specimens.

    Returns
    -------
    Estimate
        ``1 - sum(spent) / sum(whole)``.
    """
    used, full = np.asarray(spent, np.float64), np.asarray(whole, np.float64)
    if used.shape != full.shape or used.ndim != 1 or not used.size or not full.sum() > 0:
        raise InputError("time saved needs the time of at least one specimen, with and without the protocol")

    def saved(total: FloatArray) -> FloatArray:
        return np.asarray(1.0 - total[:, 0] / total[:, 1])

    samples = cluster_bootstrap(np.stack([used, full], axis=1), saved, n_resamples, seed)
    return bootstrap_estimate(float(1.0 - used.sum() / full.sum()), samples, used.size, used.size)
