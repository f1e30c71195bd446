"""Average precision of ranked findings, for any weights of the images: 101 points, 11 points, or every point.

A resample of images is a set of whole weights, so an interval costs new sums, never a new matching.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sorby.evidence._types import FloatArray, IntArray
from sorby.evidence.detection_matching import Matching, Scene

Form = Literal["coco", "voc07", "voc"]
"""How the curve is integrated: at 101 recalls, at 11 (VOC 2007), or under every corner (VOC 2010)."""

_POINTS = {"coco": np.linspace(0.0, 1.0, 101), "voc07": np.arange(11) / 10.0}
_BLOCK_CELLS = 2_000_000


@dataclass(frozen=True, eq=False)
class Ranking:
    """The findings of one class over all images, the surest first.

    Attributes
    ----------
    score : ndarray, shape (D,)
    image : ndarray of int, shape (D,)
    hit, left_out : ndarray of bool, shape (T, D)
        As in `Matching`.
    positives : ndarray, shape (n_images,)
        Boxes to be found on each image.
    """

    score: FloatArray
    image: IntArray
    hit: npt.NDArray[np.bool_]
    left_out: npt.NDArray[np.bool_]
    positives: FloatArray


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall as the score falls, a corner for each finding that counts.

    Attributes
    ----------
    score, precision, recall : ndarray, shape (D,)
    hits, alarms : ndarray, shape (D,)
        Boxes found and false alarms so far.
    n_boxes, n_images : int
    """

    score: FloatArray
    precision: FloatArray
    recall: FloatArray
    hits: FloatArray
    alarms: FloatArray
    n_boxes: int
    n_images: int


def rankings(boxes: Scene, matching: Matching, areas: tuple[float, float] = (0.0, np.inf)) -> list[Ranking]:
    """Rank the findings of each class.

    Parameters
    ----------
    boxes : Scene
    matching : Matching
    areas : (least, most)
        As given to the matching.
    """
    size = np.prod(np.clip(boxes.truth_boxes[:, 2:] - boxes.truth_boxes[:, :2], 0, None), axis=1)
    positives = boxes.counted((size >= areas[0]) & (size <= areas[1]))
    found = []
    for code in range(boxes.n_classes):
        of_class = np.flatnonzero(boxes.found_class == code)
        order = of_class[np.argsort(-boxes.score[of_class], kind="stable")]
        found.append(
            Ranking(boxes.score[order], boxes.found_image[order], matching.hit[:, order],
                    matching.left_out[:, order], positives[code])
        )  # fmt: skip
    return found


def average_precisions(ranking: Ranking, form: Form = "coco", weights: FloatArray | None = None) -> FloatArray:
    """Return the average precision at each overlap, for each set of weights of the images.

    Precision at a recall is the highest at that recall or a higher one.

    Parameters
    ----------
    ranking : Ranking
    form : {"coco", "voc07", "voc"}
    weights : ndarray, shape (B, n_images), optional
        How often each image counts; once each if not given, and then B is 1.

    Returns
    -------
    ndarray of float64, shape (B, T)
        NaN where there is no box to be found.
    """
    draws = np.ones((1, ranking.positives.size)) if weights is None else weights
    block = max(1, _BLOCK_CELLS // max(1, ranking.score.size))
    parts = [_precisions(ranking, form, draws[k : k + block]) for k in range(0, len(draws), block)]
    return np.concatenate(parts)


def curve(rankings_of: Sequence[Ranking], level: int = 0) -> Curve:
    """Return precision and recall over falling scores, the findings of several classes put together.

    Parameters
    ----------
    rankings_of : sequence of Ranking
        One class, or all of them.
    level : int
        Which of the overlaps.
    """
    keep = [~each.left_out[level] for each in rankings_of]
    score = np.concatenate([each.score[k] for each, k in zip(rankings_of, keep, strict=True)] or [np.zeros(0)])
    hit = np.concatenate([each.hit[level, k] for each, k in zip(rankings_of, keep, strict=True)] or [np.zeros(0, bool)])
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(hit[order], dtype=np.float64)
    alarms = np.arange(1, hits.size + 1) - hits
    n_boxes = int(sum(each.positives.sum() for each in rankings_of))
    n_images = len(rankings_of[0].positives) if rankings_of else 0
    recall = hits / n_boxes if n_boxes else np.full(hits.size, np.nan)
    return Curve(score[order], hits / np.arange(1, hits.size + 1), recall, hits, alarms, n_boxes, n_images)


def _precisions(ranking: Ranking, form: Form, draws: FloatArray) -> FloatArray:
    positives = draws @ ranking.positives
    none = positives <= 0
    weight = draws[:, ranking.image]
    seen = np.cumsum(weight, axis=1)
    found = np.empty((len(draws), len(ranking.hit)))
    for level, (hit, left_out) in enumerate(zip(ranking.hit, ranking.left_out, strict=True)):
        at = np.flatnonzero(hit)
        counted = seen if not left_out.any() else np.cumsum(weight * ~left_out, axis=1)
        hits = np.cumsum(weight[:, at], axis=1)
        # Precision peaks at hits, so no other finding need be looked at.
        precision = np.divide(hits, counted[:, at], out=np.zeros_like(hits), where=hits > 0)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = hits / np.where(none, 1.0, positives)[:, None]
        found[:, level] = _area(best, recall, form)
    found[none] = np.nan
    return found


def _area(best: FloatArray, recall: FloatArray, form: Form) -> FloatArray:
    """Integrate the falling envelope *best* over *recall*, both of shape (B, hits)."""
    if form == "voc":
        steps = np.diff(recall, axis=1, prepend=0.0)
        return np.asarray((best * steps).sum(axis=1))
    points = _POINTS[form]
    reached = np.searchsorted(points, recall, side="right")
    return np.asarray((best * np.diff(reached, axis=1, prepend=0)).sum(axis=1) / points.size)
