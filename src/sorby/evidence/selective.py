"""What is gained by referring the least certain images to a person: risk against coverage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.evidence._types import FloatArray
from sorby.evidence.intervals import RESAMPLES, Estimate, bootstrap_estimate, specimen_index, wilson_bounds
from sorby.evidence.metrics import descending_ties
from sorby.evidence.scorecard import resample_ranked


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """Error rate among the images that are decided automatically, as ever more are.

    Attributes
    ----------
    threshold : ndarray, shape (T,)
        Distinct confidences, falling; images at or above it are decided.
    coverage : ndarray, shape (T,)
        Share of the images that are decided.
    risk : ndarray, shape (T,)
        Share of errors among those.
    ci95_low, ci95_high : ndarray, shape (T,)
        Wilson interval of the risk, images counted as independent, for each threshold by itself.
    aurc : float
        Area under the curve: mean risk over all coverages; equal confidences are taken in random
        order on average.
    oracle : float
        The area if every error had lower confidence than every right decision.
    excess : float
        ``aurc - oracle``: what the ranking itself costs.
    n : int
        Images.
    """

    threshold: FloatArray
    coverage: FloatArray
    risk: FloatArray
    ci95_low: FloatArray
    ci95_high: FloatArray
    aurc: float
    oracle: float
    excess: float
    n: int

    def at_risk(self, risk: float) -> tuple[float, float]:
        """Largest coverage whose observed risk is at most *risk*, and its confidence threshold.

        Parameters
        ----------
        risk : float

        Returns
        -------
        coverage, threshold : float
            (0, inf) if no threshold will do.
        """
        fit = np.flatnonzero(self.risk <= risk)
        if fit.size == 0:
            return 0.0, float("inf")
        return float(self.coverage[fit[-1]]), float(self.threshold[fit[-1]])

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary fit for JSON."""
        return {
            name: value.tolist() if isinstance(value := getattr(self, name), np.ndarray) else value
            for name in self.__dataclass_fields__
        }


def risk_coverage(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> RiskCoverage:
    """Compute the selective-risk curve.

    Parameters
    ----------
    confidence : array_like, shape (N,)
        Larger means surer.
    correct : array_like of bool, shape (N,)

    Returns
    -------
    RiskCoverage

    Raises
    ------
    InputError
        If shapes differ or there is no image.

    References
    ----------
    Y. Geifman et al., "Bias-reduced uncertainty estimation for deep neural classifiers", ICLR 2019.
    """
    values, wrong = np.asarray(confidence, dtype=np.float64), ~np.asarray(correct).astype(bool)
    if values.shape != wrong.shape or values.ndim != 1 or values.size == 0:
        raise InputError(f"confidence {values.shape} and correct {wrong.shape} must cover the same images")
    order, starts = descending_ties(values)
    errors = np.add.reduceat(wrong[order].astype(np.float64), starts)
    images = np.add.reduceat(np.ones(values.size), starts)
    decided, failed = np.cumsum(images), np.cumsum(errors)
    low, high = wilson_bounds(failed, decided)
    aurc = float(np.mean(_expected_risk(errors, images)))
    n_wrong = int(wrong.sum())
    oracle = float(
        np.mean(np.maximum(np.arange(1, values.size + 1) - (values.size - n_wrong), 0) / np.arange(1, values.size + 1))
    )
    return RiskCoverage(
        threshold=values[order][starts],
        coverage=decided / values.size,
        risk=failed / decided,
        ci95_low=low,
        ci95_high=high,
        aurc=aurc,
        oracle=oracle,
        excess=aurc - oracle,
        n=int(values.size),
    )


def aurc_estimate(
    confidence: npt.ArrayLike,
    correct: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
    n_resamples: int = RESAMPLES,
) -> Estimate:
    """Area under the risk-coverage curve with a bootstrap interval by specimen.

    Parameters
    ----------
    confidence : array_like, shape (N,)
    correct : array_like of bool, shape (N,)
    groups : array_like, shape (N,), optional
        Specimen of each image.
    seed, n_resamples : int

    Returns
    -------
    Estimate
    """
    curve = risk_coverage(confidence, correct)
    values, wrong = np.asarray(confidence, dtype=np.float64), ~np.asarray(correct).astype(bool)
    index, n_groups = specimen_index(groups, values.size)

    def area(errors: FloatArray, right: FloatArray) -> FloatArray:
        images = errors + right
        decided = np.cumsum(images, axis=1)
        # Risk at the middle image of each run of w ties, (w + 1) / 2: exact for single images.
        middle = 0.5 * (images + 1.0)
        failed = np.cumsum(errors, axis=1) - errors + errors * middle / np.maximum(images, 1.0)
        risk = failed / (decided - images + middle)
        return np.asarray((risk * images).sum(axis=1) / decided[:, -1])

    samples = resample_ranked(values, wrong, index, n_groups, area, n_resamples, seed)
    return bootstrap_estimate(curve.aurc, samples, values.size, n_groups)


def _expected_risk(errors: FloatArray, images: FloatArray) -> FloatArray:
    """Risk after each image where errors fall evenly within runs of equal confidence, shape (N,)."""
    run = np.repeat(np.arange(images.size), images.astype(np.int64))
    before = np.cumsum(images) - images
    failed_before = np.cumsum(errors) - errors
    position = np.arange(1, run.size + 1, dtype=np.float64)
    failed = failed_before[run] + (position - before[run]) * (errors / images)[run]
    risk: FloatArray = failed / position
    return risk
