"""Table 1 of the fracture study: per fold, the share of validation images with a near-duplicate in the training part.

Schmid et al. looked up each validation image's nearest training images by perceptual hash and verified them by SSIM
at seven thresholds. Their radius and number of neighbours are not stated, so both are parameters here. All their
entries are whole numbers of 1,772 images (1,773 in the first fold) to within rounding, although the study states
8,493 images, whose fifths are 1,698 or 1,699: some 8,861 images were audited.

The table measures repeated pictures. It does not measure that a specimen stands on both sides: another magnification
or another field of the same specimen is no near-duplicate of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

THRESHOLDS = (0.50, 0.60, 0.70, 0.80, 0.85, 0.90, 0.95)
"""SSIM values of the fracture study's table; an image at the threshold counts."""

NOT_SPECIMENS = (
    "Another magnification or another field of the same specimen is not a near-duplicate, so this table does not"
    " measure whether specimens stand on both sides; the count of shared specimens does."
)

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LeakageTable:
    """Validation images with a confirmed neighbour in the training part, by fold and threshold.

    Attributes
    ----------
    thresholds : tuple of float
        SSIM values, rising.
    counts : ndarray of int, shape (folds, thresholds)
    n : ndarray of int, shape (folds,)
        Validation images of each fold: the denominators.
    """

    thresholds: tuple[float, ...]
    counts: Counts
    n: Counts

    @property
    def percent(self) -> npt.NDArray[np.float64]:
        """Shares in percent, shape (folds, thresholds)."""
        return np.asarray(100.0 * self.counts / np.maximum(self.n, 1)[:, None])

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """Mean of the folds' percentages."""
        return np.asarray(self.percent.mean(axis=0))

    @property
    def sd(self) -> npt.NDArray[np.float64]:
        """Sample standard deviation over folds (denominator folds - 1); NaN for one fold."""
        if len(self.n) < 2:
            return np.full(len(self.thresholds), np.nan)
        return np.asarray(self.percent.std(axis=0, ddof=1))

    def as_dict(self) -> dict[str, Any]:
        """Return thresholds, a row a fold with counts and denominators, and mean and SD in percent, for JSON."""
        rows = zip(self.n.tolist(), self.counts.tolist(), self.percent.tolist(), strict=True)
        return {
            "thresholds": list(self.thresholds),
            "folds": [{"fold": k, "n": n, "counts": c, "percent": p} for k, (n, c, p) in enumerate(rows, start=1)],
            "mean": self.mean.tolist(),
            "sd": [None if np.isnan(value) else value for value in self.sd.tolist()],
        }


def confirmed_counts(best: npt.ArrayLike, thresholds: tuple[float, ...] = THRESHOLDS) -> Counts:
    """Count the images whose most similar neighbour reaches each threshold.

    Parameters
    ----------
    best : array_like, shape (n,)
        Largest SSIM of each validation image among its neighbours, below 0 where it has none.
    thresholds : tuple of float
        Inclusive.

    Returns
    -------
    ndarray of int, shape (thresholds,)
        Never rising from a threshold to a higher one.
    """
    values = np.asarray(best, np.float64)[:, None]
    return np.asarray((values >= np.asarray(thresholds)).sum(axis=0, dtype=np.int64))


PUBLISHED_PERCENT = (
    (16.64, 6.83, 1.97, 0.79, 0.79, 0.79, 0.62),
    (14.56, 6.10, 1.81, 0.45, 0.34, 0.34, 0.28),
    (14.84, 6.26, 1.92, 0.56, 0.45, 0.45, 0.45),
    (16.42, 6.04, 2.26, 0.90, 0.73, 0.51, 0.45),
    (15.75, 5.64, 2.09, 0.68, 0.56, 0.45, 0.40),
)
"""Table 1 as printed, in percent: five folds, seven thresholds."""

PUBLISHED_N = (1773, 1772, 1772, 1772, 1772)
"""Denominators that the printed shares follow from; the study does not state them."""


def published_table() -> LeakageTable:
    """Return the published table as the whole numbers of images that its percentages stand for."""
    n = np.array(PUBLISHED_N)
    counts = np.rint(np.array(PUBLISHED_PERCENT) / 100 * n[:, None]).astype(np.int64)
    return LeakageTable(THRESHOLDS, counts, n)


PUBLISHED_NOTE = (
    "Not comparable as it stands: other images, and the study states neither its radius nor its number of"
    " neighbours. Its denominators follow from the percentages; they fit about 8,861 images,"
    " not the 8,493 it states."
)
