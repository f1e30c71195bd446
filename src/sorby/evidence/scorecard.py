"""Every metric of a classifier with its interval, in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import NotRequired, TypedDict

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.evidence._types import FloatArray, IntArray
from sorby.evidence.intervals import (
    RESAMPLES,
    Estimate,
    bootstrap_estimate,
    cluster_bootstrap,
    percentile_interval,
    proportion,
    resample_counts,
    specimen_index,
    wilson,
)
from sorby.evidence.metrics import (
    ConfusionMetrics,
    ap_from_counts,
    auc_from_counts,
    average_precision,
    class_codes,
    confusion_matrix,
    descending_ties,
    from_confusion,
    roc_auc,
)

OVERALL = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "weighted_f1",
    "macro_precision",
    "macro_recall",
    "cohen_kappa",
)


class ClassScores(TypedDict):
    """One class: precision, recall, F1, and how many images are truly of it."""

    precision: Estimate
    recall: Estimate
    f1: Estimate
    support: int


class Scores(TypedDict):
    """What `score` returns; `auroc` and `average_precision` only for two classes with probabilities."""

    accuracy: Estimate
    balanced_accuracy: Estimate
    macro_f1: Estimate
    weighted_f1: Estimate
    macro_precision: Estimate
    macro_recall: Estimate
    cohen_kappa: Estimate
    auroc: NotRequired[Estimate]
    average_precision: NotRequired[Estimate]
    per_class: list[ClassScores]
    confusion: IntArray
    n: int
    n_specimens: int


def confusion_by_group(
    truth: IntArray, predicted: IntArray, n_classes: int, index: IntArray, n_groups: int
) -> FloatArray:
    """Confusion matrix of each specimen.

    Parameters
    ----------
    truth, predicted, index : ndarray of int, shape (N,)
        True and predicted class and specimen number of each image.
    n_classes, n_groups : int

    Returns
    -------
    ndarray of float64, shape (G, C, C)
    """
    keys = (index * n_classes + truth) * n_classes + predicted
    return np.bincount(keys, minlength=n_groups * n_classes**2).reshape(n_groups, n_classes, n_classes).astype(float)


def distinct_images(*codes: IntArray) -> tuple[IntArray, IntArray]:
    """Put images with equal codes together: independent images of one kind are interchangeable.

    Parameters
    ----------
    *codes : ndarray of int, shape (N,)
        Non-negative codes that together say all about an image.

    Returns
    -------
    example : ndarray of int, shape (T,)
        Index of one image of each kind.
    counts : ndarray of int, shape (T,)
        Images of each kind.
    """
    key = np.zeros_like(codes[0])
    for code in codes:
        key = key * (int(code.max(initial=0)) + 1) + code
    _, example, counts = np.unique(key, return_index=True, return_counts=True)
    return example.astype(np.int64), counts.astype(np.int64)


def score(
    truth: npt.ArrayLike,
    predicted: npt.ArrayLike,
    n_classes: int,
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
    n_resamples: int = RESAMPLES,
) -> Scores:
    """Score predictions: every metric with a 95 % interval.

    Proportions (accuracy, recall, precision) get a Wilson interval if every image is its own
    specimen, everything else a bootstrap by specimen; `method` of each estimate says which.
    A bootstrap of a flawless result has no spread, which is no evidence of certainty. There
    proportions fall back to Wilson over specimens, per-class F1 to Wilson on the Jaccard index
    (F1 = 2J / (1 + J)), and overall metrics to Jeffreys posteriors of the class recalls.

    Parameters
    ----------
    truth : array_like of int, shape (N,)
        True class codes.
    predicted : array_like, shape (N,) of int, or (N, C) of probabilities
        Predicted codes, or probabilities, whose largest decides (the first of equals).
    n_classes : int
        Number of classes C.
    groups : array_like, shape (N,), optional
        Specimen of each image. Without it images count as independent.
    seed : int
        Seed of the bootstrap.
    n_resamples : int
        Bootstrap resamples.

    Returns
    -------
    Scores
        A plain dictionary of estimates, a list `per_class`, and the confusion matrix (rows true).

    Raises
    ------
    InputError
        If shapes do not fit, codes are out of range, or there is no image.
    """
    true_codes = class_codes(truth, n_classes, "truth")
    called, probabilities = _decisions(predicted, n_classes)
    if true_codes.size == 0:
        raise InputError("no image to score")
    confusion = confusion_matrix(true_codes, called, n_classes)
    index, n_groups = specimen_index(groups, true_codes.size)
    resampled = _resample_confusion(true_codes, called, n_classes, index, n_groups, n_resamples, seed)
    samples = from_confusion(resampled)
    specimens = _SpecimenCounts(true_codes, called, n_classes, index, n_groups)
    found = from_confusion(confusion)
    overall = {name: _overall(name, found, samples, confusion, specimens, seed) for name in OVERALL}
    result = Scores(
        accuracy=overall["accuracy"],
        balanced_accuracy=overall["balanced_accuracy"],
        macro_f1=overall["macro_f1"],
        weighted_f1=overall["weighted_f1"],
        macro_precision=overall["macro_precision"],
        macro_recall=overall["macro_recall"],
        cohen_kappa=overall["cohen_kappa"],
        per_class=[_one_class(c, found, samples, confusion, specimens) for c in range(n_classes)],
        confusion=confusion,
        n=int(true_codes.size),
        n_specimens=n_groups,
    )
    if n_classes == 2 and probabilities is not None:
        ranking = ranking_scores(true_codes, probabilities[:, 1], groups, seed, n_resamples)
        result["auroc"], result["average_precision"] = ranking
    return result


def ranking_scores(
    truth01: npt.ArrayLike,
    score: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
    n_resamples: int = RESAMPLES,
) -> tuple[Estimate, Estimate]:
    """AUROC and average precision with bootstrap intervals by specimen.

    Parameters
    ----------
    truth01 : array_like, shape (N,)
        1 for the positive class.
    score : array_like, shape (N,)
        Larger means more likely positive.
    groups : array_like, shape (N,), optional
        Specimen of each image.
    seed, n_resamples : int

    Returns
    -------
    auroc, average_precision : Estimate
    """
    truth = np.asarray(truth01).astype(bool)
    values = np.asarray(score, dtype=np.float64)
    index, n_groups = specimen_index(groups, truth.size)

    def both(positives: FloatArray, negatives: FloatArray) -> FloatArray:
        return np.stack([auc_from_counts(positives, negatives), ap_from_counts(positives, negatives)], axis=1)

    samples = resample_ranked(values, truth, index, n_groups, both, n_resamples, seed)
    auc, ap = roc_auc(truth, values), average_precision(truth, values)
    return (
        bootstrap_estimate(auc, samples[:, 0], truth.size, n_groups, _separated(auc)),
        bootstrap_estimate(ap, samples[:, 1], truth.size, n_groups, _separated(ap)),
    )


def resample_ranked(
    values: FloatArray,
    marked: npt.NDArray[np.bool_],
    index: IntArray,
    n_groups: int,
    statistic: Callable[[FloatArray, FloatArray], FloatArray],
    n_resamples: int,
    seed: int,
) -> FloatArray:
    """Bootstrap a statistic of ranked images by specimen.

    Parameters
    ----------
    values : ndarray, shape (N,)
        What ranks the images, best first.
    marked : ndarray of bool, shape (N,)
        Positive images.
    index : ndarray of int, shape (N,)
        Specimen number of each image.
    n_groups, n_resamples, seed : int
    statistic : callable
        Maps resampled counts (positives, negatives), each (B, T) at falling distinct values, to an
        array whose first axis is B.

    Returns
    -------
    ndarray of float64
        First axis ``n_resamples``.
    """
    order, starts = descending_ties(values)
    where, sign = index[order], marked[order].astype(np.float64)
    blocks = []
    for weights in resample_counts(n_groups, n_resamples, seed):
        drawn = weights[:, where]
        positives, negatives = drawn * sign, drawn * (1.0 - sign)
        if starts.size < order.size:
            positives = np.add.reduceat(positives, starts, axis=1)
            negatives = np.add.reduceat(negatives, starts, axis=1)
        blocks.append(statistic(positives, negatives))
    return np.concatenate(blocks)


class _SpecimenCounts:
    """How many specimens stand behind each class: the honest n where a bootstrap has no spread."""

    def __init__(self, truth: IntArray, called: IntArray, n_classes: int, index: IntArray, n_groups: int) -> None:
        self.total = n_groups
        self.independent = n_groups == truth.size

        def specimens_of(*codes: IntArray) -> IntArray:
            pairs = np.unique(np.concatenate([index * n_classes + code for code in codes]))
            return np.bincount(pairs % n_classes, minlength=n_classes).astype(np.int64)

        self.of_truth, self.of_calls = specimens_of(truth), specimens_of(called)
        self.of_either = specimens_of(truth, called)

    @property
    def unit(self) -> str:
        return "images" if self.independent else "specimens"


def _resample_confusion(
    truth: IntArray,
    called: IntArray,
    n_classes: int,
    index: IntArray,
    n_groups: int,
    n_resamples: int,
    seed: int,
) -> FloatArray:
    """Confusion matrices of bootstrap resamples, shape (B, C, C)."""
    counts: IntArray | None = None
    if n_groups == truth.size:
        example, counts = distinct_images(truth, called)
        truth, called = truth[example], called[example]
        index, n_groups = np.arange(example.size), example.size
    tables = confusion_by_group(truth, called, n_classes, index, n_groups)
    return cluster_bootstrap(tables, lambda summed: summed, n_resamples, seed, counts)


def _overall(
    name: str,
    found: ConfusionMetrics,
    samples: ConfusionMetrics,
    confusion: IntArray,
    specimens: _SpecimenCounts,
    seed: int,
) -> Estimate:
    """One overall metric with its interval."""
    n, value = int(confusion.sum()), float(getattr(found, name))
    hits = int(np.trace(confusion))
    if name == "accuracy":
        return _proportion(hits, n, samples.accuracy, specimens.total, specimens)
    estimate = bootstrap_estimate(value, getattr(samples, name), n, specimens.total)
    if hits == n and specimens.total > 1 and not np.isnan(value):
        floor = _flawless_floor(name, specimens.of_truth, seed)
        if floor is not None:
            method = f"Jeffreys posterior of the class recalls, {specimens.unit} counted"
            return Estimate(value, (floor, 1.0), n, method, "no error seen: the interval says how many may hide")
    return estimate


def _one_class(
    c: int,
    found: ConfusionMetrics,
    samples: ConfusionMetrics,
    confusion: IntArray,
    specimens: _SpecimenCounts,
) -> ClassScores:
    """Precision, recall and F1 of one class with intervals."""
    hits, support, called = int(confusion[c, c]), int(confusion[c].sum()), int(confusion[:, c].sum())
    either = support + called - hits
    f1 = float(found.f1[c])
    f1_estimate = bootstrap_estimate(f1, samples.f1[:, c], either, specimens.total)
    if either == 0:
        f1_estimate = Estimate(0.0, None, 0, "none", "class neither present nor predicted")
    elif f1_estimate.ci95 is None and specimens.total > 1:
        count = int(specimens.of_either[c])
        low, high = wilson(count * hits / either, count)
        method = f"Wilson on the Jaccard index, {specimens.unit} counted"
        f1_estimate = Estimate(f1, (2 * low / (1 + low), 2 * high / (1 + high)), either, method)
    return ClassScores(
        precision=_class_proportion(
            hits, called, samples.precision[:, c], int(specimens.of_calls[c]), specimens, "class never predicted"
        ),
        recall=_class_proportion(
            hits, support, samples.recall[:, c], int(specimens.of_truth[c]), specimens, "class absent from these images"
        ),
        f1=f1_estimate,
        support=support,
    )


def _class_proportion(
    hits: int, n: int, samples: FloatArray, n_groups: int, specimens: _SpecimenCounts, if_none: str
) -> Estimate:
    """Proportion of one class; zero without interval where there is nothing to count."""
    if n == 0:
        return Estimate(0.0, None, 0, "none", if_none)
    return _proportion(hits, n, samples, n_groups, specimens)


def _proportion(hits: int, n: int, samples: FloatArray, n_groups: int, specimens: _SpecimenCounts) -> Estimate:
    """Wilson for independent images, bootstrap by specimen otherwise, Wilson over specimens if flat."""
    if specimens.independent:
        return proportion(hits, n)
    estimate = bootstrap_estimate(hits / n, samples, n, specimens.total)
    interval = percentile_interval(samples)
    flat = interval is not None and interval[0] == interval[1]
    if n_groups > 1 and (flat or hits in (0, n)):
        bounds = wilson(n_groups * hits / n, n_groups)
        note = "the bootstrap shows no spread here"
        return Estimate(hits / n, bounds, n, f"Wilson over {n_groups} specimens", note)
    return estimate


def _flawless_floor(name: str, n_by_class: IntArray, seed: int, n_draws: int = RESAMPLES) -> float | None:
    """Lower 2.5 % bound of a metric after no error, from Jeffreys posteriors of the class recalls.

    Missed images are spread evenly over the other classes.
    """
    counts = n_by_class[n_by_class > 0].astype(np.float64)
    if counts.size < 2:
        return None
    rng = np.random.default_rng(seed)
    recall = rng.beta(counts + 0.5, 0.5, size=(n_draws, counts.size))
    share = (1.0 - recall) / (counts.size - 1)
    tables = np.repeat(share[:, :, None], counts.size, axis=2)
    tables[:, np.arange(counts.size), np.arange(counts.size)] = recall
    values = getattr(from_confusion(tables * counts[:, None]), name)
    return float(np.percentile(values, 2.5))


def _separated(value: float) -> str:
    """Remark for a ranking without any error."""
    return "perfectly separated" if value == 1.0 else ""


def _decisions(predicted: npt.ArrayLike, n_classes: int) -> tuple[IntArray, FloatArray | None]:
    """Codes, and the probabilities if those were given."""
    given = np.asarray(predicted)
    if given.ndim == 1:
        return class_codes(given, n_classes, "predicted"), None
    if given.ndim != 2 or given.shape[1] != n_classes:
        raise InputError(f"probabilities of shape {given.shape} do not fit {n_classes} classes")
    probabilities = given.astype(np.float64)
    return np.argmax(probabilities, axis=1).astype(np.int64), probabilities
