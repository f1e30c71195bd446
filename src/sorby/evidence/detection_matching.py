"""Which found box met which true box: the two published rules, over all images at once.

COCO goes through the found boxes of an image and class from the surest down; each takes the free true box that it
overlaps best. VOC looks only at the true box that it overlaps best, free or not. Neither depends on boxes of lower
score, so that one matching serves every score threshold and every resample of images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.evidence._types import FloatArray, IntArray
from sorby.evidence.boxes import FoundBoxes, TrueBoxes

Bools = npt.NDArray[np.bool_]

#: Overlaps at which COCO's average precision is taken.
COCO_IOUS = np.linspace(0.5, 0.95, 10)
#: Found boxes of an image and class that are looked at, the surest ones.
MAX_DETECTIONS = 100
_BLOCK = 4_000_000  # pairs of boxes compared at once
_NEAR = 0.1  # overlap below which two boxes have nothing to do with each other (Bolya et al., 2020)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Found and true boxes of one image that overlap, of whatever classes.

    Attributes
    ----------
    found, truth : ndarray of int, shape (P,)
        Which ones.
    iou : ndarray of float64, shape (P,)
        Intersection over union.
    inside : ndarray of float64, shape (P,)
        Share of the found box that lies in the true one.
    """

    found: IntArray
    truth: IntArray
    iou: FloatArray
    inside: FloatArray

    def of(self, which: Bools | IntArray) -> Pairs:
        """Return a choice of them."""
        return Pairs(self.found[which], self.truth[which], self.iou[which], self.inside[which])


@dataclass(frozen=True, eq=False)
class Scene:
    """The boxes of all images in a row.

    Attributes
    ----------
    n_images, n_classes : int
    truth_boxes, found_boxes : ndarray of float64, shapes (N, 4) and (D, 4)
    truth_class, found_class, truth_image, found_image : ndarray of int
    ignored : ndarray of bool, shape (N,)
    score : ndarray of float64, shape (D,)
    source : ndarray of int, shape (D,)
        Place of each found box among those given for its image. Found boxes stand by image, then class, then falling
        score; of an image and class only the surest are kept.
    cut : int
        Found boxes that were left out for that.
    pairs : Pairs
    """

    n_images: int
    n_classes: int
    truth_boxes: FloatArray
    truth_class: IntArray
    truth_image: IntArray
    ignored: Bools
    found_boxes: FloatArray
    found_class: IntArray
    found_image: IntArray
    score: FloatArray
    source: IntArray
    cut: int
    pairs: Pairs

    def counted(self, which: Bools | None = None) -> FloatArray:
        """Return how many boxes there are to find, by class and image, shape (C, n_images)."""
        keep = ~self.ignored if which is None else ~self.ignored & which
        keys = self.truth_class[keep] * self.n_images + self.truth_image[keep]
        counts = np.bincount(keys, minlength=self.n_classes * self.n_images)
        return counts.reshape(self.n_classes, self.n_images).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Matching:
    """What each found box met, at each overlap.

    Attributes
    ----------
    ious : ndarray, shape (T,)
    met : ndarray of int, shape (T, D)
        The true box; -1 for none.
    hit : ndarray of bool, shape (T, D)
        Whether that was a box to be found.
    left_out : ndarray of bool, shape (T, D)
        Found boxes that count neither for nor against: they met an ignored box, or are of a size not asked about.
    """

    ious: FloatArray
    met: IntArray
    hit: Bools
    left_out: Bools


def scene(
    truth: Sequence[TrueBoxes],
    found: Sequence[FoundBoxes],
    n_classes: int,
    *,
    max_detections: int = MAX_DETECTIONS,
    merged: bool = False,
) -> Scene:
    """Put the boxes of all images in a row and find those that overlap.

    Parameters
    ----------
    truth, found : sequences of TrueBoxes and FoundBoxes, an image each
    n_classes : int
    max_detections : int
        Found boxes looked at for an image and class, the surest first.
    merged : bool
        Take all classes as one.

    Raises
    ------
    InputError
        If the two differ in length, a label names no class, or a box or score is not a finite number.
    """
    if len(truth) != len(found):
        raise InputError(f"{len(truth)} annotated images but findings on {len(found)}", "give both for each image")
    _check(truth, found, n_classes)
    n_true, n_found = [len(each) for each in truth], [len(each) for each in found]
    truth_image, found_image = np.repeat(np.arange(len(truth)), n_true), np.repeat(np.arange(len(found)), n_found)
    truth_class, found_class = _joined([t.labels for t in truth], int), _joined([f.labels for f in found], int)
    if merged:
        truth_class, found_class, n_classes = np.zeros_like(truth_class), np.zeros_like(found_class), 1
    score, found_boxes = _joined([f.scores for f in found], float), _joined([f.boxes for f in found], float, 4)
    truth_boxes = _joined([t.boxes for t in truth], float, 4)
    ignored = _joined([t.flags for t in truth], bool)
    source = np.arange(len(score)) - np.repeat(np.cumsum([0, *n_found])[:-1], n_found).astype(np.int64)
    order = np.lexsort((-score, found_class, found_image))
    order = order[_place_in_run(found_image[order], found_class[order]) < max_detections]
    kept = found_boxes[order], found_image[order]
    return Scene(
        len(truth), n_classes, truth_boxes, truth_class, truth_image, ignored, kept[0], found_class[order], kept[1],
        score[order], source[order], len(score) - len(order), _pairs(*kept, truth_boxes, truth_image, ignored),
    )  # fmt: skip


def coco_matching(
    boxes: Scene, ious: npt.ArrayLike = COCO_IOUS, areas: tuple[float, float] = (0.0, np.inf)
) -> Matching:
    """Match as COCO's evaluator does.

    An ignored region takes any number of boxes, each judged by the share of it that lies inside. A true box of another
    size than asked about may be met, but counts for nothing; so does a found box of another size that met nothing.

    Parameters
    ----------
    boxes : Scene
    ious : array_like, shape (T,)
        Least overlaps.
    areas : (least, most)
        Square pixels of the true boxes asked about, both included.

    References
    ----------
    T.-Y. Lin et al., "Microsoft COCO: Common Objects in Context", ECCV (2014), and its evaluation protocol.
    """
    levels = np.asarray(ious, dtype=np.float64)
    asked = _of_size(boxes.truth_boxes, areas)
    out = boxes.ignored | ~asked
    pairs = _same_class(boxes)
    value = np.where(boxes.ignored[pairs.truth], pairs.inside, pairs.iou)
    # Best first: boxes that count before those that do not, then by overlap; the later one of equals.
    order = np.lexsort((-pairs.truth, -value, out[pairs.truth], pairs.found))
    found, truth, value = pairs.found[order], pairs.truth[order], value[order]
    place = _place_in_run(found, out[truth])
    met = np.full((levels.size, boxes.score.size), -1, np.int64)
    few = place < _most_of_a_group(boxes)
    _take_turns(boxes, found[few], truth[few], value[few], levels, met)
    nothing, safe = met < 0, np.maximum(met, 0)
    met_out = ~nothing & out[safe] if len(out) else np.zeros(met.shape, bool)
    strange = nothing & ~_of_size(boxes.found_boxes, areas)[None]
    return Matching(levels, met, ~nothing & ~met_out, met_out | strange)


def voc_matching(boxes: Scene, ious: npt.ArrayLike = COCO_IOUS) -> Matching:
    """Match as Pascal VOC's evaluator does: to the true box overlapped best, and a second time is a false alarm.

    The overlap must exceed the limit, as in the article and in the evaluator of TFA; COCO's may equal it.

    Parameters
    ----------
    boxes : Scene
    ious : array_like, shape (T,)

    References
    ----------
    M. Everingham et al., IJCV 88 (2010), section 4.2. X. Wang et al., "Frustratingly Simple Few-Shot Object
    Detection", ICML (2020).
    """
    levels = np.asarray(ious, dtype=np.float64)
    pairs = _same_class(boxes)
    order = np.lexsort((pairs.truth, -pairs.iou, pairs.found))
    best = pairs.of(order[_place_in_run(pairs.found[order]) == 0])
    met = np.full((levels.size, boxes.score.size), -1, np.int64)
    hit, left_out = np.zeros(met.shape, bool), np.zeros(met.shape, bool)
    for level, of_level in enumerate(levels):
        near = best.of(best.iou > of_level)
        met[level, near.found] = near.truth
        ignored = boxes.ignored[near.truth]
        left_out[level, near.found[ignored]] = True
        # Found boxes stand by falling score, so the first that names a true box is the surest.
        _, first = np.unique(near.truth[~ignored], return_index=True)
        hit[level, near.found[~ignored][first]] = True
    met[~hit & ~left_out] = -1
    return Matching(levels, met, hit, left_out)


def box_areas(boxes: FloatArray) -> FloatArray:
    """Return areas in square pixels, shape (n,), of boxes in double precision."""
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    return np.asarray(sides[:, 0] * sides[:, 1])


def _check(truth: Sequence[TrueBoxes], found: Sequence[FoundBoxes], n_classes: int) -> None:
    given: list[tuple[str, Sequence[TrueBoxes | FoundBoxes]]] = [("truth", truth), ("findings", found)]
    for what, images in given:
        for k, each in enumerate(images):
            if len(each) and not 0 <= int(each.labels.min()) <= int(each.labels.max()) < n_classes:
                raise InputError(f"{what}, image {k}: a label names none of the {n_classes} classes")
            if not np.isfinite(each.boxes).all():
                raise InputError(f"{what}, image {k}: a box is not of finite numbers")
    for k, each in enumerate(found):
        if not np.isfinite(each.scores).all():
            raise InputError(f"findings, image {k}: a score is not a finite number")


def _joined(parts: Sequence[npt.NDArray[Any]], kind: type, columns: int = 0) -> npt.NDArray[Any]:
    empty = np.zeros((0, columns) if columns else 0)
    return np.concatenate([empty, *parts]).astype(kind)


def _place_in_run(*keys: npt.NDArray[Any]) -> IntArray:
    """Return how many before it have the same keys, for entries that stand together."""
    n = len(keys[0])
    new = np.ones(n, bool)
    if n:
        new[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    starts = np.flatnonzero(new)
    return np.arange(n, dtype=np.int64) - np.repeat(starts, np.diff(np.r_[starts, n]))


def _pairs(
    found_boxes: FloatArray, found_image: IntArray, truth_boxes: FloatArray, truth_image: IntArray, ignored: Bools
) -> Pairs:
    """Find the boxes that overlap enough to matter, image by image, in blocks of bounded memory."""
    parts = [Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))]
    found_area, truth_area = box_areas(found_boxes), box_areas(truth_boxes)
    for found, truth in _blocks(found_image, truth_image):
        one, other = found_boxes[found, None], truth_boxes[None, truth]
        sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
        shared = np.clip(sides[..., 0], 0, None) * np.clip(sides[..., 1], 0, None)
        # Written in the order of COCO's evaluator, so that an overlap of exactly one half is one here too.
        union = found_area[found, None] + truth_area[None, truth] - shared
        iou = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
        alone = np.broadcast_to(found_area[found, None], shared.shape)
        inside = np.divide(shared, alone, out=np.zeros_like(shared), where=alone > 0)
        i, j = np.nonzero((iou >= _NEAR) | (ignored[None, truth] & (inside >= _NEAR)))
        parts.append(Pairs(i + found.start, j + truth.start, iou[i, j], inside[i, j]))
    return Pairs(*(np.concatenate([getattr(part, name) for part in parts])
                   for name in ("found", "truth", "iou", "inside")))  # fmt: skip


def _blocks(found_image: IntArray, truth_image: IntArray) -> Iterator[tuple[slice, slice]]:
    """Yield stretches of found and true boxes of one image."""
    for image in np.intersect1d(found_image, truth_image):
        begin, end = np.searchsorted(found_image, [image, image + 1])
        first, last = np.searchsorted(truth_image, [image, image + 1])
        step = max(1, _BLOCK // int(last - first))
        for k in range(int(begin), int(end), step):
            yield slice(k, min(k + step, int(end))), slice(int(first), int(last))


def _same_class(boxes: Scene) -> Pairs:
    return boxes.pairs.of(boxes.found_class[boxes.pairs.found] == boxes.truth_class[boxes.pairs.truth])


def _of_size(boxes: FloatArray, areas: tuple[float, float]) -> Bools:
    size = box_areas(boxes)
    return np.asarray((size >= areas[0]) & (size <= areas[1]))


def _most_of_a_group(boxes: Scene) -> int:
    return int(_place_in_run(boxes.found_image, boxes.found_class).max(initial=-1)) + 1


def _take_turns(
    boxes: Scene, found: IntArray, truth: IntArray, value: FloatArray, levels: FloatArray, met: IntArray
) -> None:
    """Let the found boxes of all images and classes choose, the surest of each first.

    A box never needs more wishes than there are boxes before it in its group, so longer lists are cut by the caller.
    """
    if not found.size:
        return
    who, first = np.unique(found, return_index=True)
    wishes = _place_in_run(found)
    table = np.full((who.size, int(wishes.max()) + 1), -1, np.int64)
    worth = np.full(table.shape, -1.0)
    row = np.repeat(np.arange(who.size), np.diff(np.r_[first, found.size]))
    table[row, wishes], worth[row, wishes] = truth, value
    taken = np.zeros((boxes.ignored.size, levels.size), bool)
    turn = _place_in_run(boxes.found_image[who], boxes.found_class[who])
    order = np.argsort(turn, kind="stable")
    ends = np.cumsum(np.bincount(turn))
    for begin, end in zip(np.r_[0, ends[:-1]], ends, strict=True):
        now = order[begin:end]
        open_ = (worth[now, :, None] >= levels) & ~taken[table[now]]
        wish, some = open_.argmax(axis=1), open_.any(axis=1)
        k, level = np.nonzero(some)
        chosen = table[now[k], wish[k, level]]
        met[level, who[now[k]]] = chosen
        single = ~boxes.ignored[chosen]
        taken[chosen[single], level[single]] = True
