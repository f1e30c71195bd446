"""Every pixel ranked by its score: ROC, precision and recall of score maps, exact and quick.

All figures of a ranking change only where a *defect* pixel is ranked, and these are few. So the scores of the
good pixels are sorted once, as plain numbers and in place, and asked at the scores of the defect pixels how many lie
above. No table over all pixels is made and nothing is binned: a figure here is the figure of the whole sweep over
every threshold, ties included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.evidence._types import BoolArray, FloatArray
from sorby.evidence.defect_regions import MappedImage, Maps, Masks, paired
from sorby.evidence.metrics import auc_from_counts, counts_by_threshold, descending_ties
from sorby.evidence.score_sorting import add_ranks, defect_scores, good_scores


@dataclass(frozen=True, eq=False)
class PixelRanking:
    """What a sweep over all thresholds meets, at the distinct scores of defect pixels, highest first.

    Attributes
    ----------
    values : ndarray of float, shape (U,)
        The distinct scores of defect pixels, falling.
    defect : ndarray of float64, shape (U,)
        Defect pixels of exactly this score.
    overlap : ndarray of float64, shape (U,)
        What they add to the mean overlap of the regions; the sum over all is 1.
    good_above, good_from : ndarray of float64, shape (U,)
        Good pixels that score more, and as much or more.
    n_defect, n_good, n_regions : float
        Totals. All counts are weighted where images are.
    """

    values: npt.NDArray[Any]
    defect: FloatArray
    overlap: FloatArray
    good_above: FloatArray
    good_from: FloatArray
    n_defect: float
    n_good: float
    n_regions: float

    @property
    def defined(self) -> bool:
        """Whether there are both good and defect pixels to compare."""
        return self.n_defect > 0 and self.n_good > 0

    def auroc(self) -> float:
        """Area under the ROC curve of all pixels, ties counting half; NaN without good or defect pixels."""
        if not self.defined:
            return float("nan")
        beaten = self.n_good - 0.5 * (self.good_above + self.good_from)
        return float((self.defect * beaten).sum() / (self.n_defect * self.n_good))

    def roc(self) -> tuple[FloatArray, FloatArray]:
        """Return the corners of the ROC curve of all pixels, from (0, 0) to (1, 1); empty where it is undefined.

        Returns
        -------
        false_positive_rate, true_positive_rate : ndarray of float64, shape (2 U + 2,)
        """
        if not self.defined:
            return np.zeros(0), np.zeros(0)
        found = np.concatenate([[0.0], np.cumsum(self.defect)]) / self.n_defect
        false = np.stack([self.good_above, self.good_from], axis=1).ravel() / self.n_good
        true = np.stack([found[:-1], found[1:]], axis=1).ravel()
        return np.concatenate([[0.0], false, [1.0]]), np.concatenate([[0.0], true, [1.0]])

    def average_precision(self) -> float:
        """Precision summed over the steps in recall (no interpolation); NaN without defect pixels."""
        if not self.n_defect:
            return float("nan")
        found = np.cumsum(self.defect)
        return float((self.defect * (found / (found + self.good_from))).sum() / self.n_defect)


def rank_pixels(maps: Maps, masks: Masks, weights: npt.ArrayLike | None = None) -> PixelRanking:
    """Rank all pixels once; the ROC, precision-recall and region-overlap figures follow from the result.

    Parameters
    ----------
    maps : sequence of ndarray of float, each shape (h, w)
        Larger means more anomalous; sizes may differ.
    masks : sequence of ndarray of bool, each shape (h, w), or None for a good image
    weights : array_like, shape (N,), optional
        An image of weight 2 counts as if it were there twice. Meant for a few distinct values.

    Returns
    -------
    PixelRanking

    Raises
    ------
    InputError
        If maps and masks do not fit, or a score is not a number.
    """
    return rank_images(paired(maps, masks, weights))


def rank_images(images: Sequence[MappedImage]) -> PixelRanking:
    """Rank the pixels of images already checked; see `rank_pixels`."""
    dtype = np.result_type(np.float32, *{image.scores.dtype for image in images})
    counted = [image for image in images if image.weight]
    found = defect_scores(counted, dtype)
    above, upto, n_good = np.zeros(found.values.size), np.zeros(found.values.size), 0.0
    for weight in sorted({image.weight for image in counted}):
        good = good_scores([image for image in counted if image.weight == weight], dtype)
        add_ranks(good, found.values, weight, above, upto)
        n_good += weight * good.size
    if found.n_regions:
        np.divide(found.share, found.n_regions, out=found.share)
    return PixelRanking(
        values=found.values,
        defect=found.weight,
        overlap=found.share,
        good_above=above,
        good_from=upto,
        n_defect=float(found.weight.sum()),
        n_good=n_good,
        n_regions=found.n_regions,
    )


def pixel_auroc(maps: Maps, masks: Masks, weights: npt.ArrayLike | None = None) -> float:
    """Area under the ROC curve over all pixels of all images, exact, ties counting half.

    Parameters
    ----------
    maps : sequence of ndarray of float, each shape (h, w)
    masks : sequence of ndarray of bool, each shape (h, w), or None for a good image
    weights : array_like, shape (N,), optional
        An image of weight 2 counts twice.

    Returns
    -------
    float
        NaN without a defect pixel or without a good one.

    Notes
    -----
    Defects fill few pixels, so this figure is high for nearly any map; read it beside `pro_auc`.
    """
    return rank_pixels(maps, masks, weights).auroc()


def pixel_average_precision(maps: Maps, masks: Masks, weights: npt.ArrayLike | None = None) -> float:
    """Average precision over all pixels of all images, exact.

    Parameters
    ----------
    maps, masks, weights
        As for `pixel_auroc`.

    Returns
    -------
    float
        NaN without a defect pixel. By chance it equals the share of defect pixels.
    """
    return rank_pixels(maps, masks, weights).average_precision()


@dataclass(frozen=True)
class F1Threshold:
    """The threshold of the highest pixel F1 and what it reaches *on the pixels that chose it*.

    Attributes
    ----------
    threshold : float
        Pixels that score as much or more are called defective.
    f1, precision, recall : float
        Over all pixels. Optimistic: the threshold has seen these labels.
    """

    threshold: float
    f1: float
    precision: float
    recall: float


def best_f1_threshold(
    maps: Maps | PixelRanking, masks: Masks | None = None, weights: npt.ArrayLike | None = None
) -> F1Threshold:
    """Return the score whose threshold gives the highest pixel F1 = TP / (TP + (FP + FN) / 2).

    Every score of every pixel is tried, as by the largest entry of a precision-recall curve. (At a score that only
    good pixels have, F1 is lower than at the next defect pixel above, so none of these can win.) Of equal F1 the
    lowest threshold is taken. The choice sees the labels: a score computed on the same images is optimistic, and the
    threshold moves when images are duplicated (Yan et al. 2023 duplicated the good ones), for F1 depends on how
    common defects are.

    Parameters
    ----------
    maps : sequence of ndarray of float, each shape (h, w), or PixelRanking
        A ranking that is already there need not be made again.
    masks : sequence of ndarray of bool, each shape (h, w), or None for a good image
    weights : array_like, shape (N,), optional
        An image of weight 2 counts twice.

    Returns
    -------
    F1Threshold

    Raises
    ------
    InputError
        If no pixel is defective, or maps and masks do not fit.
    """
    ranking = maps if isinstance(maps, PixelRanking) else rank_pixels(maps, [] if masks is None else masks, weights)
    if not ranking.n_defect:
        raise InputError("no mask shows a defect pixel: F1 has no best threshold", "set one from good images")
    found = np.cumsum(ranking.defect)
    f1 = found / (found + 0.5 * (ranking.good_from + ranking.n_defect - found))
    k = f1.size - 1 - int(np.argmax(f1[::-1]))
    precision = found[k] / (found[k] + ranking.good_from[k])
    return F1Threshold(float(ranking.values[k]), float(f1[k]), float(precision), float(found[k] / ranking.n_defect))


def image_scores(maps: Maps) -> FloatArray:
    """Return the score of each image: the maximum of its map, shape (N,)."""
    return np.array([np.max(scores) for scores in maps], dtype=np.float64)


def defective_images(masks: Masks) -> BoolArray:
    """Return which masks show any defect, shape (N,)."""
    return np.array([mask is not None and bool(np.any(mask)) for mask in masks], dtype=bool)


def image_auroc(scores: npt.ArrayLike, defective: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """Area under the ROC curve over images: the chance that a defective one outscores a good one.

    Parameters
    ----------
    scores : array_like, shape (N,)
        One score an image, `image_scores` of the maps say.
    defective : array_like of bool, shape (N,)
        `defective_images` of the masks, or labels where there are no masks.
    weights : array_like, shape (N,), optional
        Duplicating all good images changes nothing here.

    Returns
    -------
    float
        NaN if one kind is missing.

    Raises
    ------
    InputError
        If the numbers of scores, labels and weights differ.
    """
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(defective, dtype=bool)
    if values.ndim != 1 or truth.shape != values.shape:
        raise InputError(f"image scores of shape {values.shape} but labels of shape {truth.shape}")
    if weights is None:
        return float(auc_from_counts(*counts_by_threshold(truth, values)))
    counted = np.asarray(weights, dtype=np.float64)
    if counted.shape != values.shape:
        raise InputError(f"image scores of shape {values.shape} but weights of shape {counted.shape}")
    order, starts = descending_ties(values)
    if not order.size:
        return float("nan")
    ranked, bad = counted[order], truth[order]
    return float(auc_from_counts(np.add.reduceat(ranked * bad, starts), np.add.reduceat(ranked * ~bad, starts)))


def image_roc(scores: npt.ArrayLike, defective: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """ROC curve over images, one corner for each distinct score.

    Parameters
    ----------
    scores : array_like, shape (N,)
    defective : array_like of bool, shape (N,)

    Returns
    -------
    false_positive_rate, true_positive_rate : ndarray of float64, shape (T + 1,)
        From (0, 0) to (1, 1); empty if one kind of image is missing.
    """
    positives, negatives = counts_by_threshold(defective, scores)
    if not (positives.sum() and negatives.sum()):
        return np.zeros(0), np.zeros(0)
    false, true = np.cumsum(negatives) / negatives.sum(), np.cumsum(positives) / positives.sum()
    return np.concatenate([[0.0], false]), np.concatenate([[0.0], true])
