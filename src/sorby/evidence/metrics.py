"""Confusion matrices and the figures of merit that follow from them.

Orientation: **rows are the true class, columns the predicted class**, as in scikit-learn. Several
published figures print the transpose; transpose those before use.

Every function of a confusion matrix accepts any number of leading axes, so that thousands of
bootstrap resamples cost one call.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.evidence._types import FloatArray, IntArray


def class_codes(labels: npt.ArrayLike, n_classes: int, what: str = "labels") -> IntArray:
    """Return *labels* as integer codes, or say which code is impossible.

    Parameters
    ----------
    labels : array_like, shape (N,)
        Class codes 0 .. ``n_classes - 1``.
    n_classes : int
        Number of classes.
    what : str
        What the array holds, for the message.

    Returns
    -------
    ndarray of int64, shape (N,)

    Raises
    ------
    InputError
        If the array is not one-dimensional, not of whole numbers, or holds a code outside the range.
    """
    codes = np.asarray(labels)
    if codes.ndim != 1:
        raise InputError(f"{what}: one code for each image expected, got an array of shape {codes.shape}")
    if codes.dtype.kind not in "biu":
        if codes.size and (codes.dtype.kind != "f" or not np.all(codes == np.round(codes))):
            raise InputError(f"{what}: class codes must be whole numbers", "encode class names first")
        codes = codes.astype(np.int64)
    if codes.size and (codes.min() < 0 or codes.max() >= n_classes):
        raise InputError(f"{what}: codes {codes.min()}..{codes.max()} do not fit {n_classes} classes")
    return codes.astype(np.int64)


def confusion_matrix(truth: npt.ArrayLike, predicted: npt.ArrayLike, n_classes: int) -> IntArray:
    """Count images by true (row) and predicted (column) class.

    Parameters
    ----------
    truth, predicted : array_like of int, shape (N,)
        Class codes.
    n_classes : int
        Number of classes C.

    Returns
    -------
    ndarray of int64, shape (C, C)

    Raises
    ------
    InputError
        If lengths differ or a code is out of range.

    Examples
    --------
    >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2).tolist()
    [[1, 1], [0, 1]]
    """
    true_codes = class_codes(truth, n_classes, "truth")
    predicted_codes = class_codes(predicted, n_classes, "predicted")
    if true_codes.shape != predicted_codes.shape:
        raise InputError(f"{true_codes.size} true labels but {predicted_codes.size} predictions")
    counts = np.bincount(true_codes * n_classes + predicted_codes, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes).astype(np.int64)


def row_percent(confusion: npt.ArrayLike) -> FloatArray:
    """Percentages of each true class (recall on the diagonal); an absent class gives a row of zeros.

    Parameters
    ----------
    confusion : array_like, shape (..., C, C)

    Returns
    -------
    ndarray of float64, shape (..., C, C)
    """
    cm = np.asarray(confusion, dtype=np.float64)
    return 100.0 * _ratio(cm, cm.sum(axis=-1, keepdims=True))


def column_percent(confusion: npt.ArrayLike) -> FloatArray:
    """Percentages of each predicted class (precision on the diagonal); zeros if never predicted.

    Parameters
    ----------
    confusion : array_like, shape (..., C, C)

    Returns
    -------
    ndarray of float64, shape (..., C, C)
    """
    cm = np.asarray(confusion, dtype=np.float64)
    return 100.0 * _ratio(cm, cm.sum(axis=-2, keepdims=True))


def fold_mean_row_percent(confusions: npt.ArrayLike) -> FloatArray:
    """Row percentages averaged over folds, each fold weighted by its number of images.

    Parameters
    ----------
    confusions : array_like, shape (K, C, C)
        One confusion matrix a fold.

    Returns
    -------
    ndarray of float64, shape (C, C)
        A row whose class is missing from a fold is averaged over the folds that hold it.
    """
    cms = np.asarray(confusions, dtype=np.float64)
    weights = cms.sum(axis=(1, 2))[:, None] * (cms.sum(axis=2) > 0)
    return _ratio((weights[:, :, None] * row_percent(cms)).sum(axis=0), weights.sum(axis=0)[:, None])


def merge_classes(confusion: npt.ArrayLike, into: npt.ArrayLike) -> FloatArray:
    """Add up the rows and columns of classes that belong together (grades to subtypes, say).

    Parameters
    ----------
    confusion : array_like, shape (..., C, C)
    into : array_like of int, shape (C,)
        For each class the code of its coarser class, 0 .. M - 1.

    Returns
    -------
    ndarray of float64, shape (..., M, M)
    """
    codes = np.asarray(into, dtype=np.int64)
    member = np.eye(int(codes.max()) + 1)[codes]
    merged: FloatArray = member.T @ np.asarray(confusion, dtype=np.float64) @ member
    return merged


@dataclass(frozen=True, eq=False)
class ConfusionMetrics:
    """What follows from one or many confusion matrices; leading axes as given.

    Attributes
    ----------
    accuracy, cohen_kappa, weighted_f1 : ndarray, shape (...)
        Cohen's kappa is NaN where chance agreement is certain (a single class).
    balanced_accuracy : ndarray, shape (...)
        Mean recall of the classes that occur in the truth.
    macro_f1, macro_precision, macro_recall : ndarray, shape (...)
        Plain means over the classes that occur in the truth *or* in the predictions; a class that is
        predicted but never true therefore counts with zero, as in scikit-learn.
    precision, recall, f1 : ndarray, shape (..., C)
        Zero where undefined (never predicted, never true).
    support : ndarray, shape (..., C)
        Images of each true class.
    """

    accuracy: FloatArray
    balanced_accuracy: FloatArray
    macro_f1: FloatArray
    macro_precision: FloatArray
    macro_recall: FloatArray
    weighted_f1: FloatArray
    cohen_kappa: FloatArray
    precision: FloatArray
    recall: FloatArray
    f1: FloatArray
    support: FloatArray


def from_confusion(confusion: npt.ArrayLike) -> ConfusionMetrics:
    """Compute every figure of merit of one or many confusion matrices.

    Parameters
    ----------
    confusion : array_like, shape (..., C, C)
        Counts or weights; rows true, columns predicted.

    Returns
    -------
    ConfusionMetrics

    References
    ----------
    J. Cohen, "A coefficient of agreement for nominal scales", Educ. Psychol. Meas. 20 (1960).
    """
    cm = np.asarray(confusion, dtype=np.float64)
    hits = np.diagonal(cm, axis1=-2, axis2=-1)
    support, called = cm.sum(axis=-1), cm.sum(axis=-2)
    n = support.sum(axis=-1)
    recall, precision = _ratio(hits, support), _ratio(hits, called)
    f1 = _ratio(2.0 * hits, support + called)
    accuracy = _ratio(hits.sum(axis=-1), n, undefined=np.nan)
    by_chance = _ratio((support * called).sum(axis=-1), n * n, undefined=np.nan)
    in_play = (support + called) > 0
    return ConfusionMetrics(
        accuracy=accuracy,
        balanced_accuracy=_mean_where(recall, support > 0),
        macro_f1=_mean_where(f1, in_play),
        macro_precision=_mean_where(precision, in_play),
        macro_recall=_mean_where(recall, in_play),
        weighted_f1=_ratio((f1 * support).sum(axis=-1), n, undefined=np.nan),
        cohen_kappa=_ratio(accuracy - by_chance, 1.0 - by_chance, undefined=np.nan),
        precision=precision,
        recall=recall,
        f1=f1,
        support=support,
    )


def roc_auc(truth01: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Area under the ROC curve: the chance that a positive outscores a negative, ties counting half.

    Parameters
    ----------
    truth01 : array_like, shape (N,)
        1 or True for the positive class.
    score : array_like, shape (N,)
        Larger means more likely positive.

    Returns
    -------
    float
        NaN if one of the two classes is missing.

    References
    ----------
    J. A. Hanley and B. J. McNeil, Radiology 143 (1982).
    """
    positives, negatives = counts_by_threshold(truth01, score)
    return float(auc_from_counts(positives, negatives))


def average_precision(truth01: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Average precision: precision summed over the steps in recall (no interpolation).

    Parameters
    ----------
    truth01 : array_like, shape (N,)
        1 or True for the positive class.
    score : array_like, shape (N,)
        Larger means more likely positive.

    Returns
    -------
    float
        NaN if there is no positive.
    """
    positives, negatives = counts_by_threshold(truth01, score)
    return float(ap_from_counts(positives, negatives))


def descending_ties(score: npt.ArrayLike) -> tuple[IntArray, IntArray]:
    """Order by falling score and find where each run of equal scores begins.

    Parameters
    ----------
    score : array_like, shape (N,)

    Returns
    -------
    order : ndarray of int64, shape (N,)
        Indices, best score first (ties in the given order).
    starts : ndarray of int64, shape (T,)
        Position in *order* of the first member of each run of ties.
    """
    values = np.asarray(score, dtype=np.float64)
    order = np.argsort(-values, kind="stable").astype(np.int64)
    ranked = values[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]][: ranked.size])
    return order, starts.astype(np.int64)


def counts_by_threshold(truth01: npt.ArrayLike, score: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Count positives and negatives at each distinct score, best score first.

    Parameters
    ----------
    truth01, score : array_like, shape (N,)

    Returns
    -------
    positives, negatives : ndarray of float64, shape (T,)
    """
    truth = np.asarray(truth01).astype(bool)
    order, starts = descending_ties(score)
    if order.size == 0:
        return np.zeros(0), np.zeros(0)
    ranked = truth[order].astype(np.float64)
    return np.add.reduceat(ranked, starts), np.add.reduceat(1.0 - ranked, starts)


def auc_from_counts(positives: FloatArray, negatives: FloatArray) -> FloatArray:
    """Area under the ROC curve from counts at falling thresholds.

    Parameters
    ----------
    positives, negatives : ndarray, shape (..., T)
        Counts (or bootstrap weights) at each distinct score, best first.

    Returns
    -------
    ndarray, shape (...)
        NaN where a class is missing.
    """
    n_negative = negatives.sum(axis=-1)
    beaten = n_negative[..., None] - np.cumsum(negatives, axis=-1) + 0.5 * negatives
    wins = (positives * beaten).sum(axis=-1)
    return _ratio(wins, positives.sum(axis=-1) * n_negative, undefined=np.nan)


def ap_from_counts(positives: FloatArray, negatives: FloatArray) -> FloatArray:
    """Average precision from counts at falling thresholds.

    Parameters
    ----------
    positives, negatives : ndarray, shape (..., T)
        Counts (or bootstrap weights) at each distinct score, best first.

    Returns
    -------
    ndarray, shape (...)
        NaN where there is no positive.
    """
    found = np.cumsum(positives, axis=-1)
    precision = _ratio(found, found + np.cumsum(negatives, axis=-1))
    return _ratio((positives * precision).sum(axis=-1), positives.sum(axis=-1), undefined=np.nan)


def _ratio(above: npt.ArrayLike, below: npt.ArrayLike, undefined: float = 0.0) -> FloatArray:
    """Divide; where the denominator is zero (or not a number) the result is *undefined*."""
    top, bottom = np.broadcast_arrays(np.asarray(above, np.float64), np.asarray(below, np.float64))
    out = np.full(top.shape, undefined)
    np.divide(top, bottom, out=out, where=(bottom != 0) & ~np.isnan(bottom))
    return out


def _mean_where(values: FloatArray, mask: npt.NDArray[np.bool_]) -> FloatArray:
    """Mean over the last axis of the entries that count; NaN if none does."""
    return _ratio((values * mask).sum(axis=-1), mask.sum(axis=-1), undefined=np.nan)
