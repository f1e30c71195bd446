"""Per-region overlap (PRO): every defect counts the same, however large it is.

A region is an 8-connected component of a ground-truth mask, its overlap the share of its pixels that are called
defective. The curve sets the mean overlap against the false positive rate over all good pixels of all images, which
include the good pixels of defective images. Its area up to a false positive rate, divided by that rate, is the
PRO-AUC; .3 is the usual limit.

References
----------
P. Bergmann, M. Fauser, D. Sattlegger, C. Steger, "Uninformed students", CVPR (2020), section 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.evidence._types import FloatArray
from sorby.evidence.defect_regions import Maps, Masks, paired, with_defects
from sorby.evidence.pixel_ranking import PixelRanking, rank_pixels
from sorby.evidence.score_sorting import blocks

FPR_LIMIT = 0.3


@dataclass(frozen=True, eq=False)
class PROCurve:
    """Corners of the exact curve, from no pixel called defective to all; straight between them.

    Attributes
    ----------
    fpr : ndarray of float64, shape (T,)
        Share of the good pixels called defective.
    overlap : ndarray of float64, shape (T,)
        Mean overlap of the regions.
    threshold : ndarray of float, shape (T,)
        Pixels that score as much or more are called defective.
    """

    fpr: FloatArray
    overlap: FloatArray
    threshold: npt.NDArray[np.floating]


def pro_curve(maps: Maps | PixelRanking, masks: Masks | None = None, weights: npt.ArrayLike | None = None) -> PROCurve:
    """Mean per-region overlap against the false positive rate, at every threshold where it bends.

    Parameters
    ----------
    maps : sequence of ndarray of float, each shape (h, w), or PixelRanking
        A ranking that is already there need not be made again.
    masks : sequence of ndarray of bool, each shape (h, w), or None for a good image
    weights : array_like, shape (N,), optional
        An image of weight 2 counts twice, with its regions and with its good pixels.

    Returns
    -------
    PROCurve
        From (0, 0) to (1, 1); empty without a region or without a good pixel.

    Raises
    ------
    InputError
        If maps and masks do not fit, or a score is not a number.
    """
    ranking = _ranking(maps, masks, weights)
    if not ranking.defined:
        return PROCurve(np.zeros(0), np.zeros(0), np.zeros(0))
    reached = np.minimum(np.cumsum(ranking.overlap), 1.0)
    before = np.concatenate([[0.0], reached[:-1]])
    above, upto = ranking.good_above / ranking.n_good, ranking.good_from / ranking.n_good
    # Just above a defect score the good pixels that outscore it are called already, the defect pixels not yet.
    just_above = np.nextafter(ranking.values, np.inf, dtype=ranking.values.dtype)
    return PROCurve(
        fpr=np.concatenate([[0.0], np.stack([above, upto], axis=1).ravel(), [1.0]]),
        overlap=np.concatenate([[0.0], np.stack([before, reached], axis=1).ravel(), [1.0]]),
        threshold=np.concatenate([[np.inf], np.stack([just_above, ranking.values], axis=1).ravel(), [-np.inf]]),
    )


def pro_auc(
    maps: Maps | PixelRanking,
    masks: Masks | None = None,
    weights: npt.ArrayLike | None = None,
    *,
    fpr_limit: float = FPR_LIMIT,
) -> float:
    """Area under the PRO curve up to a false positive rate, divided by that rate; exact.

    Parameters
    ----------
    maps, masks, weights
        As for `pro_curve`.
    fpr_limit : float
        Above 0, at most 1. The curve is interpolated at the limit.

    Returns
    -------
    float
        0 to 1; a map that knows nothing reaches ``fpr_limit / 2``. NaN without a region or without a good pixel.

    Raises
    ------
    InputError
        If the limit is out of range, maps and masks do not fit, or a score is not a number.
    """
    check_limit(fpr_limit)
    ranking = _ranking(maps, masks, weights)
    if not ranking.defined:
        return float("nan")
    parts = [
        float(
            area_to_limit(
                ranking.good_above[part] / ranking.n_good,
                ranking.good_from[part] / ranking.n_good,
                ranking.overlap[part],
                fpr_limit,
            )
        )
        for part in blocks(ranking.values.size)
    ]
    return min(math.fsum(parts), 1.0)  # rounding is no better than perfect


def area_to_limit(above: FloatArray, upto: FloatArray, gained: FloatArray, limit: float) -> FloatArray:
    """Area under a curve that gains *gained* between the rates *above* and *upto*, up to *limit*, normalised.

    Each gain is a ramp from 0 to 1 that stays; the curve is their sum, and so is its area.

    Parameters
    ----------
    above, upto : ndarray, shape (..., T)
        False positive rate just above a threshold and at it.
    gained : ndarray, shape (..., T)
        What the curve gains there.
    limit : float

    Returns
    -------
    ndarray, shape (...)
    """
    inside = np.clip(limit - above, 0.0, None)
    width = upto - above
    of_cut_ramp = inside**2 / (2.0 * np.where(width > 0, width, 1.0))
    area = np.where(upto > limit, of_cut_ramp, inside - 0.5 * width)
    return np.asarray((gained * area).sum(axis=-1) / limit, dtype=np.float64)


def check_limit(fpr_limit: float) -> None:
    """Refuse a limit of the false positive rate that is none."""
    if not 0 < fpr_limit <= 1:
        raise InputError(f"the limit of the false positive rate must lie above 0 and at most at 1, not {fpr_limit}")


@dataclass(frozen=True, eq=False)
class ThresholdPRO:
    """Overlap of the regions with the pixels that reach one threshold; 1 is the best.

    Two means that differ where images have different numbers of regions, and agree where each has one: over all
    regions (Yan et al. 2023, standard runs and inner loop), and over images after the mean within each (their outer
    loop, which holds out one image at a time).

    Attributes
    ----------
    by_region : float
        Mean over all regions; NaN without any.
    by_image : float
        Mean over defective images of the mean over their regions; NaN without any.
    per_image : ndarray of float64, shape (N,)
        Mean over the regions of each image; NaN for good ones.
    regions : tuple of ndarray of float64
        Overlap of each region, for each image; empty for good ones.
    """

    by_region: float
    by_image: float
    per_image: FloatArray
    regions: tuple[FloatArray, ...]


def threshold_pro(maps: Maps, masks: Masks, threshold: float, weights: npt.ArrayLike | None = None) -> ThresholdPRO:
    """Mean per-region overlap at one threshold, over regions and over images.

    Parameters
    ----------
    maps : sequence of ndarray of float, each shape (h, w)
    masks : sequence of ndarray of bool, each shape (h, w), or None for a good image
    threshold : float
        Pixels that score as much or more are called defective.
    weights : array_like, shape (N,), optional
        An image of weight 2 counts twice; good images have no regions and do not matter.

    Returns
    -------
    ThresholdPRO

    Raises
    ------
    InputError
        If maps and masks do not fit.
    """
    images = paired(maps, masks, weights)
    regions = [np.zeros(0)] * len(images)
    per_image = np.full(len(images), np.nan)
    for k, _, pixels in with_defects(images):
        regions[k] = pixels.overlaps(threshold)
        per_image[k] = regions[k].mean()
    counted = np.array([image.weight for image in images])
    number = np.array([each.size for each in regions], dtype=np.float64)
    means = np.nan_to_num(per_image)
    return ThresholdPRO(
        by_region=_mean(means, counted * number),
        by_image=_mean(means, counted * (number > 0)),
        per_image=per_image,
        regions=tuple(regions),
    )


def _mean(values: FloatArray, weights: FloatArray) -> float:
    total = float(weights.sum())
    return float((values * weights).sum()) / total if total else float("nan")


def _ranking(maps: Maps | PixelRanking, masks: Masks | None, weights: npt.ArrayLike | None) -> PixelRanking:
    return maps if isinstance(maps, PixelRanking) else rank_pixels(maps, [] if masks is None else masks, weights)
