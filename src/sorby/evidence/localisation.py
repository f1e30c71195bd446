"""Every figure of an anomaly map with its interval, in one call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from sorby.evidence._types import FloatArray, IntArray
from sorby.evidence.defect_regions import MappedImage, Maps, Masks, defect_pixels, paired
from sorby.evidence.false_alarms import FalseAlarms, region_false_alarms
from sorby.evidence.intervals import (
    RESAMPLES,
    Estimate,
    bootstrap_estimate,
    cluster_bootstrap,
    proportion,
    resample_counts,
    specimen_index,
    sum_by_group,
)
from sorby.evidence.metrics import ap_from_counts, auc_from_counts, descending_ties
from sorby.evidence.pixel_ranking import PixelRanking, best_f1_threshold, image_auroc, rank_images
from sorby.evidence.region_overlap import FPR_LIMIT, ThresholdPRO, area_to_limit, check_limit, pro_auc, threshold_pro

_GRID = 128  # steps of the bootstrap's score grid, once over the defect pixels and once over the good ones
_CHOSEN_HERE = "the threshold was chosen on these very pixels: optimistic"


class LocalisationScores(TypedDict):
    """What `localisation` returns.

    The first five need no threshold; the rest hold at `threshold`, which is NaN (and they with it) if none was given
    and no mask shows a defect. `threshold_source` is ``"given"`` or ``"best F1 on these pixels"``.
    """

    image_auroc: Estimate
    pixel_auroc: Estimate
    pixel_average_precision: Estimate
    pro_auc: Estimate
    fpr_limit: float
    threshold: float
    threshold_source: str
    pixel_f1: Estimate
    pixel_precision: Estimate
    pixel_recall: Estimate
    threshold_pro_by_region: Estimate
    threshold_pro_by_image: Estimate
    false_regions_per_image: Estimate
    false_regions_per_mpx: Estimate
    image_specificity: Estimate
    pixel_specificity: Estimate
    n: int
    n_good: int
    n_defective: int
    n_regions: int
    n_specimens: int


def localisation(
    maps: Maps,
    masks: Masks,
    *,
    groups: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    threshold: float | None = None,
    fpr_limit: float = FPR_LIMIT,
    seed: int = 0,
    n_resamples: int = RESAMPLES,
) -> LocalisationScores:
    """Score anomaly maps against masks: every figure with a 95 % interval.

    Values are exact. Intervals come from resampling whole images (or specimens). Ranking every pixel anew in each
    resample would take hours, so *for the bootstrap only* the pixels of each image are counted between about 250
    scores, chosen where the defect pixels and the false positive rate change, and resamples add up these counts;
    what the grid moves the figure of all images by is taken off each resample. A threshold, given or chosen here, is
    held fixed in the resamples.

    Parameters
    ----------
    maps : sequence of ndarray of float, each shape (h, w)
        Larger means more anomalous; sizes may differ.
    masks : sequence of ndarray of bool, each shape (h, w), or None for a good image
    groups : array_like, shape (N,), optional
        Specimen (sheet, tile) of each image; resampled whole. Without it images count as independent.
    weights : array_like, shape (N,), optional
        An image of weight 2 counts twice. The figures of false alarms count each image once all the same.
    threshold : float, optional
        Pixels that score as much or more are called defective; the best F1 on these pixels where not given, and
        the figures at it then say that they are optimistic.
    fpr_limit : float
        Of the PRO-AUC.
    seed, n_resamples : int
        Of the bootstrap.

    Returns
    -------
    LocalisationScores

    Raises
    ------
    InputError
        If maps, masks, groups and weights do not fit, a score is not a number, or the limit is out of range.
    """
    check_limit(fpr_limit)
    images = paired(maps, masks, weights)
    index, n_groups = specimen_index(groups, len(images))
    draw = _Draw(index, n_groups, seed, n_resamples)
    ranking = rank_images(images)
    result = _threshold_free(images, ranking, draw, fpr_limit)
    chosen = threshold is None
    if threshold is None:
        threshold = best_f1_threshold(ranking).threshold if ranking.n_defect else math.nan
    at_threshold = _at_threshold(images, maps, masks, weights, threshold, draw, _CHOSEN_HERE if chosen else "")
    defective = np.array([image.mask is not None for image in images])
    return LocalisationScores(
        image_auroc=result["image_auroc"],
        pixel_auroc=result["pixel_auroc"],
        pixel_average_precision=result["pixel_average_precision"],
        pro_auc=result["pro_auc"],
        fpr_limit=float(fpr_limit),
        threshold=float(threshold),
        threshold_source="best F1 on these pixels" if chosen else "given",
        pixel_f1=at_threshold["pixel_f1"],
        pixel_precision=at_threshold["pixel_precision"],
        pixel_recall=at_threshold["pixel_recall"],
        threshold_pro_by_region=at_threshold["threshold_pro_by_region"],
        threshold_pro_by_image=at_threshold["threshold_pro_by_image"],
        false_regions_per_image=at_threshold["false_regions_per_image"],
        false_regions_per_mpx=at_threshold["false_regions_per_mpx"],
        image_specificity=at_threshold["image_specificity"],
        pixel_specificity=at_threshold["pixel_specificity"],
        n=len(images),
        n_good=int((~defective).sum()),
        n_defective=int(defective.sum()),
        n_regions=sum(defect_pixels(image).sizes.size for image in images if image.mask is not None),
        n_specimens=n_groups,
    )


@dataclass(frozen=True, eq=False)
class _Draw:
    """How resamples are drawn: the specimen of each image, and the same seed for every figure."""

    index: IntArray
    n_groups: int
    seed: int
    n_resamples: int

    def tables(self, rows: FloatArray) -> FloatArray:
        """Resample the specimens' sums of the images' rows (N, T); returns (B, T)."""
        per_group = sum_by_group(rows, self.index, self.n_groups)
        return cluster_bootstrap(per_group, lambda summed: summed, self.n_resamples, self.seed)

    def estimate(self, value: float, samples: FloatArray, n: int, note: str = "") -> Estimate:
        """Return the figure with the percentile interval of its resamples."""
        found = bootstrap_estimate(value, samples, self.index.size, self.n_groups, note)
        return replace(found, n=n)


def _threshold_free(
    images: Sequence[MappedImage], ranking: PixelRanking, draw: _Draw, limit: float
) -> dict[str, Estimate]:
    """Figures of the ranking alone, of images and of pixels."""
    scores = np.array([image.scores.max() for image in images], dtype=np.float64)
    defective = np.array([image.mask is not None for image in images])
    weights = np.array([image.weight for image in images])
    by_image = image_auroc(scores, defective, weights)
    found = {
        "image_auroc": draw.estimate(by_image, _resampled_image_auroc(scores, defective, weights, draw), len(images))
    }
    exact = {
        "pixel_auroc": ranking.auroc(),
        "pixel_average_precision": ranking.average_precision(),
        "pro_auc": pro_auc(ranking, fpr_limit=limit),
    }
    if not ranking.defined:
        undefined = np.full(draw.n_resamples, math.nan)
        return found | {name: draw.estimate(value, undefined, len(images)) for name, value in exact.items()}
    rows = _counts_on_grid(images, _grid(ranking))
    on_grid = _from_counts(rows.sum(axis=0, keepdims=True), limit)
    per_group = sum_by_group(rows, draw.index, draw.n_groups)
    samples = cluster_bootstrap(
        per_group, lambda summed: np.stack([*_from_counts(summed, limit).values()], axis=1), draw.n_resamples, draw.seed
    )
    for column, (name, value) in enumerate(exact.items()):
        moved = np.clip(samples[:, column] + (value - on_grid[name]), 0.0, 1.0)
        found[name] = draw.estimate(value, moved, len(images))
    return found


def image_auroc_estimate(
    scores: npt.ArrayLike,
    defective: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    *,
    weights: npt.ArrayLike | None = None,
    seed: int = 0,
    n_resamples: int = RESAMPLES,
) -> Estimate:
    """Return the area under the ROC curve of image scores, with its interval from resampling images or specimens.

    Parameters
    ----------
    scores : array_like, shape (N,)
        Larger means more anomalous.
    defective : array_like of bool, shape (N,)
    groups : array_like, shape (N,), optional
        Specimen of each image; resampled whole.
    weights : array_like, shape (N,), optional
        An image of weight 2 counts twice.
    seed, n_resamples : int
        Of the bootstrap.

    Raises
    ------
    InputError
        If shapes do not fit.
    """
    values, bad = np.asarray(scores, np.float64), np.asarray(defective, np.bool_)
    times = np.ones(values.size) if weights is None else np.asarray(weights, np.float64)
    index, n_groups = specimen_index(groups, values.size)
    draw = _Draw(index, n_groups, seed, n_resamples)
    return draw.estimate(image_auroc(values, bad, times), _resampled_image_auroc(values, bad, times, draw), values.size)


def _resampled_image_auroc(
    scores: FloatArray, defective: npt.NDArray[np.bool_], weights: FloatArray, draw: _Draw
) -> FloatArray:
    """Area under the ROC curve over images in each resample, shape (B,)."""
    order, starts = descending_ties(scores)
    bad, good = (weights * defective)[order], (weights * ~defective)[order]
    samples = []
    for drawn in resample_counts(draw.n_groups, draw.n_resamples, draw.seed):
        times = drawn[:, draw.index[order]]
        positives = np.add.reduceat(times * bad, starts, axis=1)
        samples.append(auc_from_counts(positives, np.add.reduceat(times * good, starts, axis=1)))
    return np.concatenate(samples)


def _grid(ranking: PixelRanking) -> npt.NDArray[np.floating]:
    """Scores, rising, between which pixels are counted: even steps of the defect pixels and of the good ones."""
    steps = np.linspace(0.0, 1.0, _GRID)
    by_defect = np.searchsorted(np.cumsum(ranking.defect) / ranking.n_defect, steps)
    by_good = np.searchsorted(ranking.good_from / ranking.n_good, steps**2)  # finer where few good pixels score
    at = np.unique(np.clip(np.concatenate([by_defect, by_good]), 0, ranking.values.size - 1))
    rising: npt.NDArray[np.floating] = ranking.values[at][::-1]
    return rising


def _counts_on_grid(images: Sequence[MappedImage], grid: npt.NDArray[np.floating]) -> FloatArray:
    """For each image the good pixels, defect pixels and overlap between the scores of the grid, highest first.

    The last column is the number of regions; shape (N, 3 (T + 1) + 1).
    """
    bins = grid.size + 1
    rows = np.zeros((len(images), 3 * bins + 1))
    for k, image in enumerate(images):
        good = np.sort(image.scores.ravel() if image.mask is None else image.scores[~image.mask])
        below = np.concatenate([[0], np.searchsorted(good, grid, side="left"), [good.size]])
        rows[k, :bins] = np.diff(below)[::-1]
        if image.mask is not None:
            pixels = defect_pixels(image)
            place = bins - 1 - np.searchsorted(grid, pixels.scores, side="right")
            rows[k, bins : 2 * bins] = np.bincount(place, minlength=bins)
            rows[k, 2 * bins : 3 * bins] = np.bincount(place, (1.0 / pixels.sizes)[pixels.region], minlength=bins)
            rows[k, -1] = pixels.sizes.size
        rows[k] *= image.weight
    return rows


def _from_counts(summed: FloatArray, limit: float) -> dict[str, FloatArray]:
    """Figures of summed rows of `_counts_on_grid`, each shape (B,)."""
    bins = (summed.shape[1] - 1) // 3
    good, defect, overlap = (summed[:, i * bins : (i + 1) * bins] for i in range(3))
    n_good, n_regions = good.sum(axis=1), summed[:, -1]
    known = (n_good > 0) & (n_regions > 0)
    upto = np.cumsum(good, axis=1) / np.where(known, n_good, 1.0)[:, None]
    above = np.concatenate([np.zeros((len(upto), 1)), upto[:, :-1]], axis=1)
    area = area_to_limit(above, upto, overlap / np.where(known, n_regions, 1.0)[:, None], limit)
    return {
        "pixel_auroc": auc_from_counts(defect, good),
        "pixel_average_precision": ap_from_counts(defect, good),
        "pro_auc": np.where(known, area, math.nan),
    }


def _at_threshold(
    images: Sequence[MappedImage],
    maps: Maps,
    masks: Masks,
    weights: npt.ArrayLike | None,
    threshold: float,
    draw: _Draw,
    note: str,
) -> dict[str, Estimate]:
    """Figures that hold at one threshold."""
    overlap = threshold_pro(maps, masks, threshold, weights)
    alarms = region_false_alarms(maps, masks, threshold)
    rows = _counts_at_threshold(images, overlap, alarms)
    values = _figures_at_threshold(rows.sum(axis=0, keepdims=True))
    samples = _figures_at_threshold(draw.tables(rows))
    n_good = int(alarms.good_images.sum())
    n_bad = len(images) - n_good
    of = dict.fromkeys(values, len(images)) | {
        "threshold_pro_by_region": n_bad, "threshold_pro_by_image": n_bad, "image_specificity": n_good,
    }  # fmt: skip
    known = not math.isnan(threshold)
    found = {
        name: draw.estimate(float(value[0]) if known else math.nan, samples[name], of[name], note if known else "")
        for name, value in values.items()
    }
    if known and draw.n_groups == len(images):
        found["image_specificity"] = proportion(n_good - alarms.alarmed_good_images, n_good, note if n_good else "")
    return found


def _counts_at_threshold(images: Sequence[MappedImage], overlap: ThresholdPRO, alarms: FalseAlarms) -> FloatArray:
    """For each image what adds up at a threshold, shape (N, 14); see `_figures_at_threshold` for the columns."""
    weight = np.array([image.weight for image in images])
    bad = (alarms.pixels - alarms.good_pixels).astype(np.float64)
    hit = np.zeros(len(images))
    for k, image in enumerate(images):
        if image.mask is not None:
            hit[k] = np.count_nonzero(defect_pixels(image).scores >= alarms.threshold)
    number = np.array([each.size for each in overlap.regions], dtype=np.float64)
    mean = np.nan_to_num(overlap.per_image)
    weighted = np.stack([hit, bad, alarms.called_good_pixels, mean * number, number, mean, number > 0], axis=1)
    silent = alarms.good_images & (alarms.regions == 0)
    once = np.stack([
        np.ones(len(images)), alarms.pixels / 1e6, alarms.regions, alarms.good_images, silent,
        alarms.good_pixels, alarms.called_good_pixels,
    ], axis=1)  # fmt: skip
    return np.concatenate([weighted * weight[:, None], once.astype(np.float64)], axis=1)


def _figures_at_threshold(summed: FloatArray) -> dict[str, FloatArray]:
    """Figures of summed rows of `_counts_at_threshold`, each shape (B,); NaN where undefined."""
    hit, bad, called_good, overlap, regions, means, defective = summed[:, :7].T
    n_images, mpx, false, good_images, silent, good_pixels, alarmed_pixels = summed[:, 7:].T
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "pixel_f1": hit / (0.5 * (bad + hit + called_good)),
            "pixel_precision": hit / (hit + called_good),
            "pixel_recall": hit / bad,
            "threshold_pro_by_region": overlap / regions,
            "threshold_pro_by_image": means / defective,
            "false_regions_per_image": false / n_images,
            "false_regions_per_mpx": false / mpx,
            "image_specificity": silent / good_images,
            "pixel_specificity": 1.0 - alarmed_pixels / good_pixels,
        }
