"""Grades: how far a call lies from the truth, and how often it is a neighbour's.

Accuracy counts a call of 4 for a true 0 as it counts one of 1. Where classes are grades of one scale, three figures say
what accuracy cannot: the mean absolute error in grades, the share of calls within one grade, and Cohen's kappa with
quadratic weights, which takes off what calls of these frequencies would reach by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.evidence._types import FloatArray, IntArray
from sorby.evidence.intervals import (
    RESAMPLES,
    Estimate,
    bootstrap_estimate,
    cluster_bootstrap,
    specimen_index,
    sum_by_group,
)
from sorby.evidence.metrics import class_codes, confusion_matrix
from sorby.evidence.scorecard import confusion_by_group, distinct_images
from sorby.evidence.set_coverage import share

ORDINAL = ("mean_absolute_error", "within_one", "weighted_kappa", "mean_error")


@dataclass(frozen=True, eq=False)
class OrdinalMetrics:
    """What follows from confusion matrices of grades; leading axes as given.

    Attributes
    ----------
    mean_absolute_error : ndarray, shape (...)
        Mean distance between call and truth in grades.
    within_one : ndarray, shape (...)
        Share of calls at most one grade off.
    weighted_kappa : ndarray, shape (...)
        Quadratic weights; NaN where truth and calls are all one grade.
    mean_error : ndarray, shape (...)
        Mean of call less truth in grades: above 0, calls are too severe.
    """

    mean_absolute_error: FloatArray
    within_one: FloatArray
    weighted_kappa: FloatArray
    mean_error: FloatArray


def grades_of(classes: Sequence[str]) -> IntArray | None:
    """Return the grade of each class where all class names are whole numbers, None where one is not.

    Parameters
    ----------
    classes : sequence of str

    Returns
    -------
    ndarray of int64, shape (C,), or None

    Examples
    --------
    >>> grades_of(["0", "1", "3"]).tolist()
    [0, 1, 3]
    >>> grades_of(["G8", "G9"]) is None
    True
    """
    if len(classes) < 2 or not all(name.isascii() and name.isdecimal() for name in classes):
        return None
    found = np.array([int(name) for name in classes], np.int64)
    return found if len(np.unique(found)) == len(found) else None


def from_grades(confusion: npt.ArrayLike, grades: npt.ArrayLike) -> OrdinalMetrics:
    """Compute the figures of one or many confusion matrices of grades.

    Parameters
    ----------
    confusion : array_like, shape (..., C, C)
        Counts; rows true, columns called.
    grades : array_like, shape (C,)
        Grade of each class, in steps of the scale.

    Returns
    -------
    OrdinalMetrics

    References
    ----------
    J. Cohen, "Weighted kappa: nominal scale agreement with provision for scaled disagreement or partial credit",
    Psychol. Bull. 70 (1968).
    """
    cm = np.asarray(confusion, np.float64)
    step = np.asarray(grades, np.float64)
    off = step[None, :] - step[:, None]
    n = cm.sum(axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        by_chance = cm.sum(axis=-1)[..., :, None] * cm.sum(axis=-2)[..., None, :] / n[..., None, None]
        disagreement = (cm * off**2).sum(axis=(-2, -1)) / (by_chance * off**2).sum(axis=(-2, -1))
        return OrdinalMetrics(
            mean_absolute_error=np.asarray((cm * np.abs(off)).sum(axis=(-2, -1)) / n),
            within_one=np.asarray((cm * (np.abs(off) <= 1)).sum(axis=(-2, -1)) / n),
            weighted_kappa=np.asarray(np.where(np.isfinite(disagreement), 1.0 - disagreement, np.nan)),
            mean_error=np.asarray((cm * off).sum(axis=(-2, -1)) / n),
        )


def score_grades(
    truth: npt.ArrayLike,
    called: npt.ArrayLike,
    grades: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
    n_resamples: int = RESAMPLES,
) -> dict[str, Estimate]:
    """Score calls of grades, each figure with its interval by specimen.

    Parameters
    ----------
    truth, called : array_like of int, shape (N,)
        Class codes.
    grades : array_like, shape (C,)
        Grade of each class.
    groups : array_like, shape (N,), optional
        Specimen of each image.
    seed, n_resamples : int
        Of the bootstrap.

    Returns
    -------
    dict of str to Estimate
        For each of `ORDINAL`.

    Raises
    ------
    InputError
        Codes are out of range, or there is no image.
    """
    step = np.asarray(grades, np.float64)
    true_codes, codes = class_codes(truth, len(step), "truth"), class_codes(called, len(step), "called")
    if true_codes.size == 0:
        raise InputError("no image to score")
    index, n_groups = specimen_index(groups, true_codes.size)
    samples = from_grades(_resampled(true_codes, (codes,), len(step), index, n_groups, n_resamples, seed)[:, 0], step)
    found = from_grades(confusion_matrix(true_codes, codes, len(step)), step)
    estimates = {
        name: bootstrap_estimate(float(getattr(found, name)), getattr(samples, name), true_codes.size, n_groups)
        for name in ORDINAL
    }
    # A share has better intervals than the bootstrap where it is near one.
    estimates["within_one"] = share(np.abs(step[codes] - step[true_codes]) <= 1, groups, seed)
    return estimates


def compare_grades(
    truth: npt.ArrayLike,
    called_a: npt.ArrayLike,
    called_b: npt.ArrayLike,
    grades: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
    n_resamples: int = RESAMPLES,
) -> dict[str, Estimate]:
    """Difference A - B of each figure on the same images; both see the same resamples of specimens.

    Parameters
    ----------
    truth, called_a, called_b : array_like of int, shape (N,)
        Class codes.
    grades : array_like, shape (C,)
    groups : array_like, shape (N,), optional
    seed, n_resamples : int

    Returns
    -------
    dict of str to Estimate
        For each of `ORDINAL`; below 0, A has the smaller mean absolute error.
    """
    step = np.asarray(grades, np.float64)
    true_codes = class_codes(truth, len(step), "truth")
    pair = (class_codes(called_a, len(step), "called by A"), class_codes(called_b, len(step), "called by B"))
    index, n_groups = specimen_index(groups, true_codes.size)
    samples = from_grades(_resampled(true_codes, pair, len(step), index, n_groups, n_resamples, seed), step)
    found = [from_grades(confusion_matrix(true_codes, codes, len(step)), step) for codes in pair]
    differences = {}
    for name in ORDINAL:
        drawn = getattr(samples, name)
        value = float(getattr(found[0], name) - getattr(found[1], name))
        differences[name] = bootstrap_estimate(value, drawn[:, 0] - drawn[:, 1], true_codes.size, n_groups)
    return differences


def middle_grade(probabilities: npt.ArrayLike, grades: npt.ArrayLike) -> IntArray:
    """Return the class of the median grade: the call of least expected absolute error.

    Parameters
    ----------
    probabilities : array_like, shape (N, C)
    grades : array_like, shape (C,)

    Returns
    -------
    ndarray of int64, shape (N,)
        Class codes.
    """
    order = np.argsort(np.asarray(grades))
    below = np.cumsum(np.asarray(probabilities, np.float64)[:, order], axis=1)
    # Rounding may leave the last sum below one half only where all are zero; the last grade then stands.
    place = np.minimum((below < 0.5).sum(axis=1), len(order) - 1)
    return np.asarray(order[place], np.int64)


def ranked_probability(probabilities: npt.ArrayLike, truth: npt.ArrayLike, grades: npt.ArrayLike) -> FloatArray:
    """Return the ranked probability score of each image: squared gaps of the cumulated probabilities, summed.

    Parameters
    ----------
    probabilities : array_like, shape (N, C)
    truth : array_like of int, shape (N,)
        Class codes.
    grades : array_like, shape (C,)

    Returns
    -------
    ndarray of float64, shape (N,)
        0 is a sure and right forecast; one grade off and sure is 1.

    References
    ----------
    E. S. Epstein, J. Appl. Meteorol. 8 (1969).
    """
    step = np.asarray(grades)
    order = np.argsort(step)
    p = np.asarray(probabilities, np.float64)
    codes = class_codes(truth, p.shape[1], "truth")
    below = np.cumsum(p[:, order], axis=1)[:, :-1]
    reached = step[codes][:, None] <= step[order][None, :-1]
    width = np.diff(step[order])  # a missing grade makes the step over it count twice
    return np.asarray(((below - reached) ** 2 * width).sum(axis=1))


def mean_by_specimen(
    values: npt.ArrayLike, groups: npt.ArrayLike | None, seed: int = 0, n_resamples: int = RESAMPLES
) -> Estimate:
    """Mean of a figure of each image with its bootstrap interval by specimen.

    Parameters
    ----------
    values : array_like, shape (N,)
    groups : array_like, shape (N,), optional
    seed, n_resamples : int
    """
    each = np.asarray(values, np.float64)
    index, n_groups = specimen_index(groups, each.size)
    sums = sum_by_group(np.stack([each, np.ones_like(each)], axis=1), index, n_groups)
    samples = cluster_bootstrap(sums, lambda total: total[:, 0] / total[:, 1], n_resamples, seed)
    return bootstrap_estimate(float(each.mean()), samples, each.size, n_groups)


def _resampled(
    truth: IntArray,
    called: Sequence[IntArray],
    n_classes: int,
    index: IntArray,
    n_groups: int,
    n_resamples: int,
    seed: int,
) -> FloatArray:
    """Confusion matrices of bootstrap resamples by specimen, shape (B, len(called), C, C)."""
    counts: IntArray | None = None
    if n_groups == truth.size:
        example, counts = distinct_images(truth, *called)
        truth, called = truth[example], [codes[example] for codes in called]
        index, n_groups = np.arange(example.size), example.size
    tables = np.stack([confusion_by_group(truth, codes, n_classes, index, n_groups) for codes in called], axis=1)
    return cluster_bootstrap(tables, lambda summed: summed, n_resamples, seed, counts)
