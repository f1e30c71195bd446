"""Is one model better than another on the same images? McNemar and the paired bootstrap."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr

from sorby.errors import InputError
from sorby.evidence.intervals import (
    RESAMPLES,
    Estimate,
    bootstrap_estimate,
    cluster_bootstrap,
    specimen_index,
    sum_by_group,
)
from sorby.evidence.metrics import class_codes, confusion_matrix, from_confusion
from sorby.evidence.scorecard import confusion_by_group, distinct_images

Metric = Literal["accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "cohen_kappa"]
COMPARED: tuple[Metric, ...] = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "cohen_kappa")


@dataclass(frozen=True)
class McNemar:
    """Exact McNemar test.

    Attributes
    ----------
    only_a, only_b : int
        Images that only model A, or only model B, gets right.
    both, neither : int
        Images that both, or neither, get right.
    p_value : float
        Two-sided exact binomial p-value.
    mid_p_value : float
        Mid-p variant: less conservative, not guaranteed.
    n : int
        Images.
    note : str
        What must be known to read it.
    """

    only_a: int
    only_b: int
    both: int
    neither: int
    p_value: float
    mid_p_value: float
    n: int
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes as a dictionary fit for JSON."""
        return asdict(self)


def mcnemar_p(only_a: int, only_b: int) -> tuple[float, float]:
    """Two-sided exact and mid-p value from the two discordant counts.

    Parameters
    ----------
    only_a, only_b : int

    Returns
    -------
    exact, mid : float
        1 and 1 if the models never differ.
    """
    discordant, fewer = only_a + only_b, min(only_a, only_b)
    if discordant == 0:
        return 1.0, 1.0
    tail = float(bdtr(fewer, discordant, 0.5))
    point = tail - (float(bdtr(fewer - 1, discordant, 0.5)) if fewer else 0.0)
    if only_a == only_b:
        return 1.0, 1.0 - 0.5 * point
    return min(1.0, 2.0 * tail), min(1.0, 2.0 * tail - point)


def mcnemar(correct_a: npt.ArrayLike, correct_b: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> McNemar:
    """Exact McNemar test of two models on the same images.

    The test counts images as independent. Where *groups* shows several images of one specimen the
    note says so; `paired_bootstrap` honours specimens.

    Parameters
    ----------
    correct_a, correct_b : array_like of bool, shape (N,)
        Whether each model is right about each image.
    groups : array_like, shape (N,), optional
        Specimen of each image.

    Returns
    -------
    McNemar

    Raises
    ------
    InputError
        If the two do not cover the same images.

    References
    ----------
    Q. McNemar, Psychometrika 12 (1947); Fagerland et al., BMC Med. Res. Methodol. 13:91 (2013).
    """
    a, b = np.asarray(correct_a).astype(bool), np.asarray(correct_b).astype(bool)
    if a.shape != b.shape or a.ndim != 1:
        raise InputError(f"a paired test needs the same images: {a.shape} and {b.shape} given")
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    exact, mid = mcnemar_p(only_a, only_b)
    _, n_groups = specimen_index(groups, a.size)
    note = ""
    if n_groups < a.size:
        note = f"{a.size} images of {n_groups} specimens are not independent: p is too small"
    return McNemar(only_a, only_b, int((a & b).sum()), int((~a & ~b).sum()), exact, mid, int(a.size), note)


def holm(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Holm's step-down correction: p-values that hold for a whole family of comparisons.

    Parameters
    ----------
    p_values : array_like, shape (m,)

    Returns
    -------
    ndarray of float64, shape (m,)
        In the order given, at most 1; rejecting those up to alpha errs anywhere with probability at most alpha.

    References
    ----------
    S. Holm, Scand. J. Stat. 6 (1979).
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * (p.size - np.arange(p.size)))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1.0, raised)
    return corrected


def paired_bootstrap(
    truth: npt.ArrayLike,
    predicted_a: npt.ArrayLike,
    predicted_b: npt.ArrayLike,
    n_classes: int,
    metric: Metric = "accuracy",
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
    n_resamples: int = RESAMPLES,
) -> Estimate:
    """Difference A - B of a metric with its bootstrap interval; both models see the same resamples.

    Parameters
    ----------
    truth, predicted_a, predicted_b : array_like of int, shape (N,)
        Class codes.
    n_classes : int
    metric : {"accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "cohen_kappa"}
    groups : array_like, shape (N,), optional
        Specimen of each image.
    seed, n_resamples : int

    Returns
    -------
    Estimate
        Positive if A is better. The note says whether the interval leaves out zero.

    Raises
    ------
    InputError
        If the models do not cover the same images or the metric is unknown.
    """
    return _differences(truth, predicted_a, predicted_b, n_classes, (metric,), groups, seed, n_resamples)[metric]


def compare(
    truth: npt.ArrayLike,
    predicted_a: npt.ArrayLike,
    predicted_b: npt.ArrayLike,
    n_classes: int,
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
    n_resamples: int = RESAMPLES,
) -> tuple[McNemar, dict[str, Estimate]]:
    """Compare two models on the same images: McNemar, and the difference of each metric.

    Parameters
    ----------
    truth, predicted_a, predicted_b : array_like of int, shape (N,)
    n_classes : int
    groups : array_like, shape (N,), optional
    seed, n_resamples : int

    Returns
    -------
    test : McNemar
    differences : dict of str to Estimate
        A - B for each of `COMPARED`.
    """
    differences = _differences(truth, predicted_a, predicted_b, n_classes, COMPARED, groups, seed, n_resamples)
    right = np.asarray(truth)
    return mcnemar(np.asarray(predicted_a) == right, np.asarray(predicted_b) == right, groups), differences


def paired_difference(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
    n_resamples: int = RESAMPLES,
) -> Estimate:
    """Mean difference of any per-image figure (a loss, a score), bootstrapped by specimen.

    Parameters
    ----------
    a, b : array_like, shape (N,)
        The figure of each image under A and B.
    groups : array_like, shape (N,), optional
    seed, n_resamples : int

    Returns
    -------
    Estimate
        Mean of ``a - b``.
    """
    gap = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    index, n_groups = specimen_index(groups, gap.size)
    sums = sum_by_group(np.stack([gap, np.ones_like(gap)], axis=1), index, n_groups)
    samples = cluster_bootstrap(sums, lambda total: total[:, 0] / total[:, 1], n_resamples, seed)
    return bootstrap_estimate(float(gap.mean()), samples, gap.size, n_groups)


def _differences(
    truth: npt.ArrayLike,
    predicted_a: npt.ArrayLike,
    predicted_b: npt.ArrayLike,
    n_classes: int,
    metrics: tuple[Metric, ...],
    groups: npt.ArrayLike | None,
    seed: int,
    n_resamples: int,
) -> dict[str, Estimate]:
    """Differences of several metrics from one set of resamples."""
    unknown = [name for name in metrics if name not in COMPARED]
    if unknown:
        raise InputError(f"metric {unknown[0]!r} cannot be compared", f"choose one of {', '.join(COMPARED)}")
    true_codes = class_codes(truth, n_classes, "truth")
    pair = [class_codes(p, n_classes, "predicted") for p in (predicted_a, predicted_b)]
    found = [from_confusion(confusion_matrix(true_codes, p, n_classes)) for p in pair]
    index, n_groups = specimen_index(groups, true_codes.size)
    kept, kind_of, n_kinds, counts = np.arange(true_codes.size), index, n_groups, None
    if n_groups == true_codes.size:
        kept, counts = distinct_images(true_codes, *pair)
        kind_of, n_kinds = np.arange(counts.size), counts.size
    tables = np.stack(
        [confusion_by_group(true_codes[kept], p[kept], n_classes, kind_of, n_kinds) for p in pair], axis=1
    )

    def gaps(summed: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        resampled = from_confusion(summed)
        values = [getattr(resampled, name) for name in metrics]
        return np.stack([v[:, 0] - v[:, 1] for v in values], axis=1)

    samples = cluster_bootstrap(tables, gaps, n_resamples, seed, counts)
    out: dict[str, Estimate] = {}
    for column, name in enumerate(metrics):
        value = float(getattr(found[0], name) - getattr(found[1], name))
        estimate = bootstrap_estimate(value, samples[:, column], true_codes.size, n_groups)
        if estimate.ci95 is not None:
            low, high = estimate.ci95
            said = "zero lies outside the interval" if low > 0 or high < 0 else "no difference shown"
            note = f"{estimate.note}; {said}" if estimate.note else said
            estimate = Estimate(value, estimate.ci95, estimate.n, estimate.method, note)
        out[name] = estimate
    return out
