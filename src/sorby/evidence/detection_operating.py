"""What a detector does at one score: boxes found, false alarms for each image, images caught, images left in peace.

Beside the figures by box stand those by image, and two that need no agreement on the border of a defect: whether the
centre of a found box lies in the defect, and how much of the defect's area lies under found boxes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.evidence._types import FloatArray, IntArray
from sorby.evidence.detection_intervals import BoxEstimate, Draws, box_estimate, dictionaries
from sorby.evidence.detection_matching import Matching, Scene
from sorby.evidence.detection_precision import Curve
from sorby.evidence.intervals import cluster_bootstrap, specimen_index, sum_by_group, wilson

_GRID = 2048  # lines of a grid of box edges; with more, areas are exact to that part of the image
_COLUMNS = (
    "hits", "boxes", "alarms", "found", "images", "defective", "caught", "good", "silent",
    "centred_boxes", "centred_found", "covered", "area",
)  # fmt: skip
#: The figures of an operating point: what is divided by what.
_SHARES = {
    "recall": ("hits", "boxes"),
    "precision": ("hits", "found"),
    "false_per_image": ("alarms", "images"),
    "images_caught": ("caught", "defective"),
    "images_silent": ("silent", "good"),
    "centre_recall": ("centred_boxes", "boxes"),
    "centre_precision": ("centred_found", "found"),
    "area_covered": ("covered", "area"),
}


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """What happens when every finding of at least this score is reported.

    Attributes
    ----------
    score : float
    chosen : str
        How the score was chosen.
    f1 : float
        Harmonic mean of precision and recall.
    hits, missed, alarms : int
        Boxes found, boxes missed, findings that met no box of their class.
    figures : mapping of str to BoxEstimate
        ``recall``, ``precision``, ``false_per_image``; ``images_caught`` (share of images with a defect of which at
        least one was found), ``images_silent`` (share of images without any on which nothing was reported);
        ``centre_recall`` (boxes that hold the centre of a finding of their class), ``centre_precision`` (findings whose
        centre lies in a box of their class), ``area_covered`` (share of the boxes' area under findings of whatever
        class).
    """

    score: float
    chosen: str
    f1: float
    hits: int
    missed: int
    alarms: int
    figures: dict[str, BoxEstimate]

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary fit for JSON."""
        return {
            "score": self.score, "chosen": self.chosen, "f1": self.f1 if math.isfinite(self.f1) else None,
            "hits": self.hits, "missed": self.missed, "alarms": self.alarms,
            **dictionaries(self.figures),
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Froc:
    """Recall against false alarms for each image as the score falls.

    Attributes
    ----------
    score, false_per_image, recall : ndarray, shape (K,)

    References
    ----------
    P. C. Bunch et al., "A free response approach to the measurement and characterization of radiographic-observer
    performance", Proc. SPIE 127 (1977).
    """

    score: FloatArray
    false_per_image: FloatArray
    recall: FloatArray

    def recall_at(self, false_per_image: float) -> float:
        """Return the greatest recall with at most so many false alarms for each image."""
        allowed = self.recall[self.false_per_image <= false_per_image]
        return float(allowed.max(initial=0.0))


def froc(pooled: Curve) -> Froc:
    """Return the free-response curve of findings.

    Parameters
    ----------
    pooled : Curve
        Of all classes together.
    """
    end = _ends_of_ties(pooled.score)
    images = max(1, pooled.n_images)
    return Froc(pooled.score[end], pooled.alarms[end] / images, pooled.recall[end])


def score_of_best_f1(pooled: Curve) -> float | None:
    """Return the score at which precision and recall balance best; None if no box is ever found.

    Parameters
    ----------
    pooled : Curve
        Of all classes together, or of one.
    """
    end = _ends_of_ties(pooled.score)
    if not end.size or not pooled.n_boxes or pooled.hits[-1] == 0:
        return None
    reported = pooled.hits[end] + pooled.alarms[end]
    return float(pooled.score[end][np.argmax(2 * pooled.hits[end] / (reported + pooled.n_boxes))])


def operating_point(
    boxes: Scene, matching: Matching, score: float, chosen: str, draws: Draws, *, level: int = 0
) -> OperatingPoint:
    """Judge what is reported at one score.

    Parameters
    ----------
    boxes : Scene
    matching : Matching
    score : float
        Findings of this score or more are reported.
    chosen : str
        How it was chosen, for the reader.
    draws : Draws
        How images are drawn anew for the intervals.
    level : int
        Which overlap of the matching makes a hit.
    """
    table = _image_table(boxes, matching, score, level)
    sums = dict(zip(_COLUMNS, table.sum(axis=0).tolist(), strict=True))
    index, n_groups = specimen_index(draws.groups, boxes.n_images)
    above, below = (np.array([_COLUMNS.index(pair[side]) for pair in _SHARES.values()], np.intp) for side in (0, 1))

    def shares(summed: FloatArray) -> FloatArray:
        top, bottom = summed[..., above], summed[..., below]
        return np.asarray(np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0))

    values, drawn = shares(table.sum(axis=0)), np.full((draws.resamples, len(_SHARES)), np.nan)
    if draws.resamples and n_groups > 1:
        drawn = cluster_bootstrap(sum_by_group(table, index, n_groups), shares, draws.resamples, draws.seed)
    n_boxes, figures = int(sums["boxes"]), {}
    for k, (name, (_, of)) in enumerate(_SHARES.items()):
        behind = int(sums[of]) if of in ("defective", "good") else boxes.n_images
        figures[name] = box_estimate(
            float(values[k]), drawn[:, k], draws, boxes.n_images, 0 if of == "good" else n_boxes, behind=behind
        )
        if of in ("defective", "good") and draws.resamples and values[k] in (0.0, 1.0):
            apart = len(np.unique(index[table[:, _COLUMNS.index(of)] > 0]))
            figures[name] = _all_alike(figures[name], apart)
    hits, alarms = int(sums["hits"]), int(sums["alarms"])
    f1 = 2 * hits / (hits + alarms + n_boxes) if hits + alarms + n_boxes else math.nan
    return OperatingPoint(float(score), chosen, f1, hits, n_boxes - hits, alarms, figures)


def _all_alike(share: BoxEstimate, n: int) -> BoxEstimate:
    """Bound a share of images that is 0 or 1, which draws of them anew cannot."""
    bounds = wilson(share.value * n, n)
    return replace(share, ci95=bounds, method=f"Wilson, {n} independent images or specimens, all alike", note="")


def what_scores_cost(
    boxes: Scene, matching: Matching, scores: npt.ArrayLike, *, level: int = 0
) -> list[dict[str, Any]]:
    """Return recall, precision and alarms at several scores, without intervals.

    Parameters
    ----------
    boxes : Scene
    matching : Matching
    scores : array_like, shape (K,)
    level : int
        Which overlap of the matching makes a hit.

    Returns
    -------
    list of dict
        ``score``, ``recall``, ``precision``, ``false_per_image``, ``images_caught``, ``images_silent``, ``hits``,
        ``missed``, ``alarms``; None where undefined.
    """
    rows = []
    for score in np.asarray(scores, dtype=np.float64).tolist():
        sums = dict(zip(_COLUMNS, _image_table(boxes, matching, score, level, forms=False).sum(axis=0), strict=True))
        row = {"score": score, "hits": int(sums["hits"]), "missed": int(sums["boxes"] - sums["hits"]),
               "alarms": int(sums["alarms"])}  # fmt: skip
        for name in ("recall", "precision", "false_per_image", "images_caught", "images_silent"):
            above, below = (float(sums[column]) for column in _SHARES[name])
            row[name] = above / below if below else None
        rows.append(row)
    return rows


def _image_table(boxes: Scene, matching: Matching, score: float, level: int, *, forms: bool = True) -> FloatArray:
    """Count for each image what the figures add up, shape (n_images, columns); *forms* that forgive cost more."""
    n = boxes.n_images
    reported = (boxes.score >= score) & ~matching.left_out[level]
    hit = reported & matching.hit[level]
    real = ~boxes.ignored

    def tally(image: IntArray, which: npt.NDArray[np.bool_]) -> FloatArray:
        return np.asarray(np.bincount(image[which], minlength=n), np.float64)

    hits, found = tally(boxes.found_image, hit), tally(boxes.found_image, reported)
    n_boxes = tally(boxes.truth_image, real)
    defective, good = n_boxes > 0, np.bincount(boxes.truth_image, minlength=n) == 0
    centred_boxes, centred_found = np.zeros_like(real), np.zeros_like(reported)
    covered, area = np.zeros(n), np.zeros(n)
    if forms:
        centred_boxes, centred_found = _centred(boxes, reported)
        covered, area = _coverage(boxes, boxes.score >= score)
    return np.stack([
        hits, n_boxes, found - hits, found, np.ones(n), defective, defective & (hits > 0), good, good & (found == 0),
        tally(boxes.truth_image, real & centred_boxes), tally(boxes.found_image, reported & centred_found), covered,
        area,
    ], axis=1).astype(np.float64)  # fmt: skip


def _centred(boxes: Scene, reported: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which true boxes hold the centre of a finding of their class, and which findings lie so."""
    held, holds = np.zeros(boxes.ignored.size, bool), np.zeros(boxes.score.size, bool)
    centres = (boxes.found_boxes[:, :2] + boxes.found_boxes[:, 2:]) / 2
    for code in range(boxes.n_classes):
        truth = np.flatnonzero((boxes.truth_class == code) & ~boxes.ignored)
        found = np.flatnonzero((boxes.found_class == code) & reported)
        for k in np.unique(boxes.found_image[found]):
            here = truth[slice(*np.searchsorted(boxes.truth_image[truth], [k, k + 1]))]
            those = found[slice(*np.searchsorted(boxes.found_image[found], [k, k + 1]))]
            low, high = boxes.truth_boxes[here, :2], boxes.truth_boxes[here, 2:]
            inside = (centres[those, None] >= low) & (centres[those, None] < high)
            within = inside[..., 0] & inside[..., 1]
            held[here] |= within.any(axis=0)
            holds[those] = within.any(axis=1)
    return held, holds


def _coverage(boxes: Scene, shown: npt.NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Return for each image the area of its true boxes under findings, and their area, overlaps counted once."""
    covered, area = np.zeros(boxes.n_images), np.zeros(boxes.n_images)
    truth, found = np.flatnonzero(~boxes.ignored), np.flatnonzero(shown)
    for k in np.unique(boxes.truth_image[truth]):
        here = truth[slice(*np.searchsorted(boxes.truth_image[truth], [k, k + 1]))]
        those = found[slice(*np.searchsorted(boxes.found_image[found], [k, k + 1]))]
        covered[k], area[k] = _areas_of_unions(boxes.truth_boxes[here], boxes.found_boxes[those])
    return covered, area


def _areas_of_unions(truth: FloatArray, found: FloatArray) -> tuple[float, float]:
    """Return the area common to two unions of boxes, and that of the first one."""
    everything = np.concatenate([truth, found])
    x, y = (_lines(everything[:, axis::2]) for axis in (0, 1))
    masks = [_union(each, x, y) for each in (truth, found)]
    cells = np.diff(y)[:, None] * np.diff(x)
    return float(cells[masks[0] & masks[1]].sum()), float(cells[masks[0]].sum())


def _lines(edges: FloatArray) -> FloatArray:
    exact = np.unique(edges)
    return exact if exact.size <= _GRID else np.linspace(exact[0], exact[-1], _GRID)


def _union(boxes: FloatArray, x: FloatArray, y: FloatArray) -> npt.NDArray[np.bool_]:
    """Return which cells between the lines *x* and *y* lie in a box; edges go to the line nearest."""
    depth = np.zeros((y.size, x.size), np.int32)
    left, right = (_nearest(x, boxes[:, axis]) for axis in (0, 2))
    top, bottom = (_nearest(y, boxes[:, axis]) for axis in (1, 3))
    for row, column, step in ((top, left, 1), (top, right, -1), (bottom, left, -1), (bottom, right, 1)):
        np.add.at(depth, (row, column), step)
    inside: npt.NDArray[np.bool_] = depth.cumsum(axis=0).cumsum(axis=1)[:-1, :-1] > 0
    return inside


def _nearest(lines: FloatArray, values: FloatArray) -> IntArray:
    return np.searchsorted((lines[1:] + lines[:-1]) / 2, values, side="right").astype(np.int64)


def _ends_of_ties(score: FloatArray) -> IntArray:
    """Return the last place of each run of equal scores."""
    return np.flatnonzero(np.r_[score[1:] != score[:-1], True][: score.size]).astype(np.int64)
