"""Average precision of ranked findings, for any weights of the images: 101 points, 11 points, or every point.

A resample of images is a set of whole weights, so an interval costs new sums, never a new matching.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array

from sorby.evidence._types import FloatArray, IntArray
from sorby.evidence.detection_matching import Matching, Scene

Form = Literal["coco", "voc07", "voc"]
"""How the curve is integrated: at 101 recalls, at 11 (VOC 2007), or under every corner (VOC 2010)."""

_POINTS = {"coco": np.linspace(0.0, 1.0, 101), "voc07": np.arange(11) / 10.0}
_DENSE_CELLS = 20_000_000  # of a table of findings; a larger one is nearly all zeros and kept so


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
    (found,) = precisions_by_form(ranking, [form], weights)
    return np.asarray(found)


def precisions_by_form(ranking: Ranking, forms: Sequence[Form], weights: FloatArray | None = None) -> FloatArray:
    """Return average precisions in several forms, shape (F, B, T); see `average_precisions`.

    Parameters
    ----------
    ranking : Ranking
    forms : sequence of {"coco", "voc07", "voc"}
    weights : ndarray, shape (B, n_images), optional
    """
    draws = np.ones((1, ranking.positives.size)) if weights is None else weights
    positives = draws @ ranking.positives
    none = positives <= 0
    found = np.empty((len(forms), len(draws), len(ranking.hit)))
    shared = None if ranking.left_out.any() else _Seen(ranking, np.asarray(ranking.hit.any(axis=0)), None)
    for level, (hit, left_out) in enumerate(zip(ranking.hit, ranking.left_out, strict=True)):
        at = np.flatnonzero(hit)
        seen = shared or _Seen(ranking, hit, left_out)
        hits = np.cumsum(draws[:, ranking.image[at]], axis=1)
        # Precision peaks at hits, so it is needed nowhere else.
        precision = np.divide(hits, seen.upto(at, draws), out=np.zeros_like(hits), where=hits > 0)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = hits / np.where(none, 1.0, positives)[:, None]
        for k, form in enumerate(forms):
            found[k, :, level] = _area(best, recall, form)
    found[:, none] = np.nan
    return found


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


class _Seen:
    """How many findings stand at or before certain places, for any weights of the images.

    Findings are counted by image and by the stretch between two such places once, which makes a resample a product of
    matrices however many findings there are.
    """

    def __init__(self, ranking: Ranking, places: npt.NDArray[np.bool_], left_out: npt.NDArray[np.bool_] | None) -> None:
        self.places = np.flatnonzero(places)
        stretch = np.searchsorted(self.places, np.arange(ranking.score.size))
        counted = stretch < self.places.size
        if left_out is not None:
            counted &= ~left_out
        n_images = ranking.positives.size
        keys = ranking.image[counted] * self.places.size + stretch[counted]
        self.table: Any
        if n_images * self.places.size > _DENSE_CELLS:
            rows, columns = np.divmod(keys, self.places.size)
            self.table = coo_array((np.ones(keys.size), (rows, columns)), (n_images, self.places.size)).tocsr()
        else:
            counts = np.bincount(keys, minlength=n_images * self.places.size)
            self.table = counts.reshape(n_images, self.places.size).astype(np.float64)
        self._last: tuple[FloatArray, FloatArray] | None = None

    def upto(self, at: IntArray, draws: FloatArray) -> FloatArray:
        """Return the weight of findings up to each place *at*, shape (B, places)."""
        if self._last is None or self._last[0] is not draws:
            self._last = draws, np.cumsum(draws @ self.table, axis=1)
        summed: FloatArray = self._last[1][:, np.searchsorted(self.places, at)]
        return summed


def _area(best: FloatArray, recall: FloatArray, form: Form) -> FloatArray:
    """Integrate the falling envelope *best* over *recall*, both of shape (B, hits)."""
    if form == "voc":
        steps = np.diff(recall, axis=1, prepend=0.0)
        return np.asarray((best * steps).sum(axis=1))
    points = _POINTS[form]
    reached = np.searchsorted(points, recall, side="right")
    return np.asarray((best * np.diff(reached, axis=1, prepend=0)).sum(axis=1) / points.size)
