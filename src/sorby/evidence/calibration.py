"""Do the probabilities mean what they say? Temperature, reliability and proper scores.

Calibrate on images the model has not learnt from: held-out images, or scores that cross-fitting by
specimen gave each training image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import softmax as _scipy_softmax

from sorby.errors import InputError
from sorby.evidence._types import FloatArray, IntArray
from sorby.evidence.intervals import (
    RESAMPLES,
    bootstrap_estimate,
    cluster_bootstrap,
    specimen_index,
    sum_by_group,
    wilson_bounds,
)
from sorby.evidence.metrics import class_codes

#: Temperatures outside are never returned: beyond, probabilities are all but 0/1 or all but equal.
TEMPERATURE_BOUNDS = (0.02, 50.0)
_TINY = 1e-15


def softmax(logits: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
    """Probabilities from logits: softmax(z / T) over the last axis.

    Parameters
    ----------
    logits : array_like, shape (..., C)
    temperature : float
        T > 0; above 1 softens.

    Returns
    -------
    ndarray of float64, shape (..., C)
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    probabilities: FloatArray = _scipy_softmax(scaled, axis=-1)
    return probabilities


def fit_temperature(logits: npt.ArrayLike, labels: npt.ArrayLike, smoothing: float | None = None) -> float:
    """Temperature that makes softmax(z / T) fit best (least cross-entropy).

    The loss is convex in 1/T and solved by a safeguarded Newton iteration. Where a model makes no
    error on the calibration images the plain optimum is T = 0, that is, complete certainty from a
    finite sample. As in Platt's method the targets are therefore smoothed: the true class gets
    1 - 1/(n + 2), the rule of succession. The effect vanishes as n grows.

    Parameters
    ----------
    logits : array_like, shape (N, C)
        From images the model has not learnt from.
    labels : array_like of int, shape (N,)
    smoothing : float, optional
        Probability taken from the true class; default 1/(n + 2); 0 gives the plain optimum.

    Returns
    -------
    float
        T within `TEMPERATURE_BOUNDS`; 1.0 where there is nothing to fit (one class).

    Raises
    ------
    InputError
        If there is no image, shapes do not fit or a logit is not finite.

    References
    ----------
    C. Guo et al., "On calibration of modern neural networks", ICML 2017; J. Platt, 1999.
    """
    z = np.asarray(logits, dtype=np.float64)
    if z.ndim != 2 or z.shape[0] == 0:
        raise InputError(f"a temperature needs logits (images, classes), got shape {z.shape}")
    if not np.all(np.isfinite(z)):
        raise InputError("a temperature cannot be fitted to logits that are not finite")
    codes = class_codes(labels, z.shape[1])
    n, n_classes = z.shape
    if codes.size != n:
        raise InputError(f"{n} rows of logits but {codes.size} labels")
    if n_classes < 2:
        return 1.0
    z = z - z.max(axis=1, keepdims=True)
    share = 1.0 / (n + 2.0) if smoothing is None else smoothing
    own = z[np.arange(n), codes]
    wanted = float(np.mean((1.0 - share) * own + share * (z.sum(axis=1) - own) / (n_classes - 1)))
    return 1.0 / _inverse_temperature(z, wanted)


def _inverse_temperature(z: FloatArray, wanted: float) -> float:
    """Solve mean_i E_p[z_i] = *wanted* for the inverse temperature; the left side rises with it."""
    low, high = 1.0 / TEMPERATURE_BOUNDS[1], 1.0 / TEMPERATURE_BOUNDS[0]
    beta = 1.0
    for _ in range(100):
        p = _scipy_softmax(beta * z, axis=1)
        mean = (p * z).sum(axis=1)
        slope = float(np.mean((p * z * z).sum(axis=1) - mean * mean))
        excess = float(np.mean(mean)) - wanted
        low, high = (low, beta) if excess > 0 else (beta, high)
        step = beta - excess / slope if slope > 0 else np.inf
        following = step if low < step < high else float(np.sqrt(low * high))
        if abs(following - beta) <= 1e-10 * beta:
            return following
        beta = following
    return beta


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """What a reliability diagram shows; only bins that hold images.

    Attributes
    ----------
    low, high : ndarray, shape (B,)
        Edges of each bin in confidence; the upper edge belongs to the bin.
    confidence, accuracy : ndarray, shape (B,)
        Mean confidence and share of right decisions.
    count : ndarray of int, shape (B,)
    ci95_low, ci95_high : ndarray, shape (B,)
        Wilson interval of the accuracy.
    """

    low: FloatArray
    high: FloatArray
    confidence: FloatArray
    accuracy: FloatArray
    count: IntArray
    ci95_low: FloatArray
    ci95_high: FloatArray

    def as_dict(self) -> dict[str, list[float]]:
        """Return the columns as lists fit for JSON."""
        return {name: getattr(self, name).tolist() for name in self.__dataclass_fields__}


def reliability_curve(
    probabilities: npt.ArrayLike,
    labels: npt.ArrayLike,
    bins: int = 15,
    spacing: Literal["width", "mass"] = "width",
) -> ReliabilityCurve:
    """Accuracy against confidence of the predicted class.

    Parameters
    ----------
    probabilities : array_like, shape (N, C)
    labels : array_like of int, shape (N,)
    bins : int
        Number of bins.
    spacing : {"width", "mass"}
        Bins of equal width in confidence, or of about equal numbers of images.

    Returns
    -------
    ReliabilityCurve
    """
    confidence, right = top_label(probabilities, labels)
    edges = _edges(confidence, bins, spacing)
    where = _bin_of(confidence, edges)
    count = np.bincount(where, minlength=edges.size - 1)
    held = count > 0
    safe = np.maximum(count, 1)
    hits = np.bincount(where, weights=right, minlength=edges.size - 1)
    low, high = wilson_bounds(hits, count)
    mean = np.bincount(where, weights=confidence, minlength=edges.size - 1) / safe
    return ReliabilityCurve(
        low=edges[:-1][held],
        high=edges[1:][held],
        confidence=mean[held],
        accuracy=(hits / safe)[held],
        count=count[held].astype(np.int64),
        ci95_low=low[held],
        ci95_high=high[held],
    )


def expected_calibration_error(
    probabilities: npt.ArrayLike,
    labels: npt.ArrayLike,
    bins: int = 15,
    spacing: Literal["width", "mass"] = "width",
) -> float:
    """Mean distance between confidence and accuracy over bins, weighted by images.

    Parameters
    ----------
    probabilities : array_like, shape (N, C)
    labels : array_like of int, shape (N,)
    bins : int
    spacing : {"width", "mass"}

    Returns
    -------
    float
        Between 0 and 1. Biased upwards in small samples; the bootstrap does not remove that.

    References
    ----------
    M. P. Naeini et al., AAAI 2015.
    """
    curve = reliability_curve(probabilities, labels, bins, spacing)
    gaps = np.abs(curve.accuracy - curve.confidence)
    return float((curve.count * gaps).sum() / curve.count.sum())


def brier(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Brier score: mean over images of the squared error summed over classes (0 to 2).

    Parameters
    ----------
    probabilities : array_like, shape (N, C)
    labels : array_like of int, shape (N,)

    Returns
    -------
    float
        For two classes twice the binary Brier score.

    References
    ----------
    G. W. Brier, Mon. Weather Rev. 78 (1950).
    """
    return float(_brier_each(probabilities, labels).mean())


def log_loss(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Mean negative natural logarithm of the probability of the true class (clipped at 1e-15).

    Parameters
    ----------
    probabilities : array_like, shape (N, C)
    labels : array_like of int, shape (N,)

    Returns
    -------
    float
    """
    return float(_log_loss_each(probabilities, labels).mean())


def calibration_report(
    probabilities: npt.ArrayLike,
    labels: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    bins: int = 15,
    seed: int = 0,
    n_resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """ECE, Brier score and log loss with intervals by specimen, and the reliability curve.

    Parameters
    ----------
    probabilities : array_like, shape (N, C)
    labels : array_like of int, shape (N,)
    groups : array_like, shape (N,), optional
        Specimen of each image.
    bins, seed, n_resamples : int

    Returns
    -------
    dict
        `ece`, `brier`, `log_loss` (`Estimate`) and `reliability` (`ReliabilityCurve`).
    """
    confidence, right = top_label(probabilities, labels)
    n = confidence.size
    index, n_groups = specimen_index(groups, n)
    edges = _edges(confidence, bins, "width")
    gap = np.zeros((n, edges.size - 1))
    gap[np.arange(n), _bin_of(confidence, edges)] = right - confidence
    losses = np.stack([_brier_each(probabilities, labels), _log_loss_each(probabilities, labels)], axis=1)
    columns = np.concatenate([gap, losses, np.ones((n, 1))], axis=1)

    def figures(total: FloatArray) -> FloatArray:
        count = total[:, -1]
        ece = np.abs(total[:, :-3]).sum(axis=1) / count
        return np.stack([ece, total[:, -3] / count, total[:, -2] / count], axis=1)

    values = figures(columns.sum(axis=0, keepdims=True))[0]
    samples = cluster_bootstrap(sum_by_group(columns, index, n_groups), figures, n_resamples, seed)
    # Resampling noise adds to every |gap|, so the bootstrap distribution of the ECE lies too high.
    notes = ("biased upwards in small samples", "", "")
    named = zip(("ece", "brier", "log_loss"), values, samples.T, notes, strict=True)
    out: dict[str, Any] = {
        name: bootstrap_estimate(float(value), column, n, n_groups, note) for name, value, column, note in named
    }
    out["reliability"] = reliability_curve(probabilities, labels, bins)
    return out


def top_label(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Confidence of the predicted class, and whether it is right.

    Parameters
    ----------
    probabilities : array_like, shape (N, C)
    labels : array_like of int, shape (N,)

    Returns
    -------
    confidence : ndarray of float64, shape (N,)
    right : ndarray of float64, shape (N,)
        1 or 0.

    Raises
    ------
    InputError
        If shapes do not fit or there is no image.
    """
    p, codes = checked(probabilities, labels)
    return p.max(axis=1), (p.argmax(axis=1) == codes).astype(np.float64)


def checked(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
    """Return probabilities and codes after a look at their shapes.

    Parameters
    ----------
    probabilities : array_like, shape (N, C)
    labels : array_like of int, shape (N,)

    Returns
    -------
    probabilities : ndarray of float64, shape (N, C)
    codes : ndarray of int64, shape (N,)

    Raises
    ------
    InputError
        If shapes do not fit or there is no image.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or p.shape[0] == 0:
        raise InputError(f"probabilities (images, classes) expected, got shape {p.shape}")
    codes = class_codes(labels, p.shape[1])
    if codes.size != p.shape[0]:
        raise InputError(f"{p.shape[0]} rows of probabilities but {codes.size} labels")
    return p, codes


def _edges(confidence: FloatArray, bins: int, spacing: str) -> FloatArray:
    """Bin edges from 0 to 1, or quantiles of the confidence."""
    if spacing == "width":
        return np.linspace(0.0, 1.0, bins + 1, dtype=np.float64)
    inner = np.unique(np.quantile(confidence, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    return np.concatenate([[0.0], inner[(inner > 0) & (inner < 1)], [1.0]])


def _bin_of(confidence: FloatArray, edges: FloatArray) -> IntArray:
    """Bin number; the upper edge belongs to the bin."""
    inside = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, edges.size - 2)
    return np.asarray(inside, dtype=np.int64)


def _brier_each(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> FloatArray:
    p, codes = checked(probabilities, labels)
    squared: FloatArray = ((p - np.eye(p.shape[1])[codes]) ** 2).sum(axis=1)
    return squared


def _log_loss_each(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> FloatArray:
    p, codes = checked(probabilities, labels)
    own: FloatArray = p[np.arange(codes.size), codes]
    losses: FloatArray = -np.log(np.clip(own, _TINY, 1.0))
    return losses
