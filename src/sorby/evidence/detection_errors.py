"""What kind of mistakes a detector makes, what each kind costs, and which box met which on every image.

The kinds are those of TIDE: a finding that met nothing names a defect wrongly, lies beside it, both, repeats another
finding, or stands where nothing is; a true box that no finding points at is missed. A kind costs what the average
precision gains when it alone is mended.

References
----------
D. Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV (2020).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.evidence._types import FloatArray, IntArray
from sorby.evidence.boxes import FoundBoxes, TrueBoxes
from sorby.evidence.detection_matching import MAX_DETECTIONS, Bools, Matching, Scene, box_areas, coco_matching, scene
from sorby.evidence.detection_precision import Ranking, average_precisions, rankings

#: What became of a finding, by code.
FINDING_KINDS = ("hit", "misnamed", "misplaced", "both", "duplicate", "background", "ignored")
HIT, MISNAMED, MISPLACED, BOTH, DUPLICATE, BACKGROUND, IGNORED = range(7)
#: What became of a true box at a score, by code: found; found with a lower score; only misnamed; only misplaced.
TRUTH_KINDS = ("found", "unsure", "misnamed", "misplaced", "missed", "ignored")
FOUND, UNSURE, ONLY_MISNAMED, ONLY_MISPLACED, MISSED, TRUTH_IGNORED = range(6)

_FIT, _NEAR = 0.5, 0.1  # overlaps from which a box fits, and from which it points at something
_BLOCK_PAIRS = 1_000_000  # compared at once


@dataclass(frozen=True, eq=False)
class ImageListing:
    """What met what on one image, as the page shows it.

    Attributes
    ----------
    image : int
    found : ndarray of int, shape (m,)
        Findings at or above the score, as given for the image, the surest first.
    kinds : ndarray of int, shape (m,)
        Codes of `FINDING_KINDS`.
    target : ndarray of int, shape (m,)
        True box of the image that each met or points at; -1 for none.
    overlap : ndarray of float64, shape (m,)
        Intersection over union with it.
    doubled : ndarray of bool, shape (m,)
        Misnamed findings on a defect that was also named right: two classes on one place.
    truth_kinds : ndarray of int, shape (n,)
        Codes of `TRUTH_KINDS`.
    best_score : ndarray of float64, shape (n,)
        Score of the finding that met each true box, whatever the threshold; NaN where none did.
    met_by : ndarray of int, shape (n,)
        That finding, as given for the image; -1 where none did.
    """

    image: int
    found: IntArray
    kinds: IntArray
    target: IntArray
    overlap: FloatArray
    doubled: Bools
    truth_kinds: IntArray
    best_score: FloatArray
    met_by: IntArray

    @property
    def n_errors(self) -> int:
        """Findings that are wrong and true boxes not found."""
        wrong = ~np.isin(self.kinds, (HIT, IGNORED))
        return int(wrong.sum() + np.isin(self.truth_kinds, (UNSURE, MISSED)).sum())


@dataclass(frozen=True, eq=False)
class DetectionErrors:
    """The mistakes on a set of images.

    Attributes
    ----------
    classes : tuple of str
    score : float
        Counts, confusion and listings are of findings at or above it; what a kind costs is of all findings.
    ap50 : float
        Average precision at an overlap of one half, mean over classes.
    cost : mapping of str to float
        Gain in `ap50` when a kind is mended: ``misnamed``, ``misplaced``, ``both``, ``duplicate``, ``background``,
        ``missed``; also ``false_alarms`` (every wrong finding withdrawn) and ``all_missed`` (every box that was not
        met struck from the list). Gains of several kinds do not add up.
    counts : mapping of str to int
        Findings of each kind, ``doubled`` among the misnamed ones.
    truth_counts : mapping of str to int
        True boxes by what became of them.
    confusion : ndarray of int, shape (C + 1, C + 1)
        True class (row) against named class (column); the last row are findings on background, the last column boxes
        that nothing met.
    """

    classes: tuple[str, ...]
    score: float
    ap50: float
    cost: dict[str, float]
    counts: dict[str, int]
    truth_counts: dict[str, int]
    confusion: IntArray
    _scene: Scene
    _kinds: IntArray
    _target: IntArray
    _overlap: FloatArray
    _met: IntArray
    _is_double: Bools
    _states: IntArray

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary fit for JSON."""
        return {
            "score": self.score, "ap50": _finite(self.ap50),
            "ap50_gained": {name: _finite(value) for name, value in self.cost.items()},
            "findings": self.counts, "true_boxes": self.truth_counts,
            "confusion": self.confusion.tolist(), "confusion_labels": [*self.classes, "background"],
        }  # fmt: skip

    def listing(self, image: int) -> ImageListing:
        """Return what met what on one image at `score`."""
        boxes = self._scene
        first, last = np.searchsorted(boxes.truth_image, [image, image + 1])
        begin, end = np.searchsorted(boxes.found_image, [image, image + 1])
        here = np.arange(begin, end)[boxes.score[begin:end] >= self.score]
        here = here[np.argsort(-boxes.score[here], kind="stable")]
        truth = np.arange(first, last)
        target = self._target[here]
        best, met_by, met = np.full(last - first, np.nan), np.full(last - first, -1), self._met[begin:end]
        best[met[met >= 0] - first] = boxes.score[begin:end][met >= 0]
        met_by[met[met >= 0] - first] = boxes.source[begin:end][met >= 0]
        return ImageListing(
            image, boxes.source[here], self._kinds[here], np.where(target >= 0, target - first, -1),
            self._overlap[here], self._is_double[here], self._states[truth], best, met_by,
        )  # fmt: skip


def detection_errors(
    truth: Sequence[TrueBoxes],
    found: Sequence[FoundBoxes],
    classes: Sequence[str],
    score: float,
    *,
    max_detections: int = MAX_DETECTIONS,
) -> DetectionErrors:
    """Sort findings and true boxes by what went wrong.

    A finding that met nothing is, the first that holds: a duplicate (half over a box of its class that another finding
    took), misnamed (half over one of another class), misplaced (a tenth over one of its class), both (a tenth over one
    of another), or background.

    Parameters
    ----------
    truth, found : sequences of TrueBoxes and FoundBoxes, an image each
    classes : sequence of str
    score : float
        Findings are counted from here on.
    max_detections : int
        Findings looked at of an image and class.
    """
    names = tuple(classes)
    boxes = scene(truth, found, len(names), max_detections=max_detections)
    matching = coco_matching(boxes, [_FIT])
    kinds, target, overlap = _kinds(boxes, matching)
    met = np.where(matching.hit[0], matching.met[0], -1)
    shown = boxes.score >= score
    states = _truth_kinds(boxes, kinds, target, met, score)
    counts = {name: int(((kinds == code) & shown).sum()) for code, name in enumerate(FINDING_KINDS)}
    doubled = _doubled(kinds, target, met, shown)
    counts["doubled"] = int(doubled.sum())
    ranked = rankings(boxes, matching)
    plain = _mean_ap(ranked)
    return DetectionErrors(
        names, float(score), plain, _costs(boxes, matching, kinds, target, plain), counts,
        {name: int((states == code).sum()) for code, name in enumerate(TRUTH_KINDS)},
        _confusion(boxes, met, shown), boxes, kinds, target, overlap, met, doubled, states,
    )  # fmt: skip


def ambiguous_places(truth: Sequence[TrueBoxes], share: float = 0.5) -> list[tuple[int, int, int]]:
    """Return pairs of true boxes of different classes on one place: image, box, other box.

    Where annotators put two names on one place, no detector can be right by both.

    Parameters
    ----------
    truth : sequence of TrueBoxes, an image each
    share : float
        Of the smaller box that lies in the other.

    References
    ----------
    A. Yan et al., Int. J. Hydrogen Energy 48(50) 18978 (2023), figure 11.
    """
    places = []
    for image, each in enumerate(truth):
        real = np.flatnonzero(~each.flags)
        boxes = each.boxes[real].astype(np.float64)
        size = box_areas(boxes)
        for i, j in _side_by_side(boxes):
            sides = np.clip(np.minimum(boxes[i, 2:], boxes[j, 2:]) - np.maximum(boxes[i, :2], boxes[j, :2]), 0, None)
            shared = sides[:, 0] * sides[:, 1]
            two = (each.labels[real[i]] != each.labels[real[j]]) & (shared > 0)
            two &= shared >= share * np.minimum(size[i], size[j])
            both = np.sort(np.stack([real[i[two]], real[j[two]]], axis=1), axis=1)
            places += [(image, *pair) for pair in both.tolist()]
    return places


def listings(errors: DetectionErrors, images: npt.ArrayLike | None = None) -> list[ImageListing]:
    """Return what met what on several images, or on all."""
    which = np.arange(errors._scene.n_images) if images is None else np.asarray(images)
    return [errors.listing(int(k)) for k in which]


def _side_by_side(boxes: FloatArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield pairs of boxes whose extents in x overlap, in blocks of bounded memory."""
    order = np.argsort(boxes[:, 0], kind="stable")
    n = order.size
    # Sorted by their left ends, a box can only overlap those that begin before it ends.
    n_pairs = np.maximum(np.searchsorted(boxes[order, 0], boxes[order, 2], side="left") - np.arange(n) - 1, 0)
    block = np.cumsum(n_pairs) // _BLOCK_PAIRS
    for k in np.unique(block):
        rows = np.flatnonzero(block == k)
        here = n_pairs[rows]
        one = np.repeat(rows, here)
        yield order[one], order[one + 1 + np.arange(one.size) - np.repeat(np.cumsum(here) - here, here)]


def _kinds(boxes: Scene, matching: Matching) -> tuple[IntArray, IntArray, FloatArray]:
    """Return for each finding its kind, the true box it met or points at, and the overlap with that."""
    n = boxes.score.size
    kinds, target, overlap = np.full(n, BACKGROUND, np.int64), np.full(n, -1, np.int64), np.zeros(n)
    pairs = boxes.pairs
    same = boxes.found_class[pairs.found] == boxes.truth_class[pairs.truth]
    real, fits = ~boxes.ignored[pairs.truth], pairs.iou >= _FIT
    taken = np.zeros(boxes.ignored.size, bool)
    taken[matching.met[0][matching.hit[0]]] = True
    # The last rule that holds has the final word, so the strongest comes last.
    rules = (
        (BOTH, ~same & real), (MISPLACED, same & real), (MISNAMED, ~same & real & fits),
        (DUPLICATE, same & real & fits & taken[pairs.truth]),
    )  # fmt: skip
    for code, holds in rules:
        order = np.flatnonzero(holds)[np.argsort(pairs.iou[holds], kind="stable")]
        kinds[pairs.found[order]] = code
        target[pairs.found[order]], overlap[pairs.found[order]] = pairs.truth[order], pairs.iou[order]
    hit, out = matching.hit[0], matching.left_out[0]
    kinds[hit], kinds[out] = HIT, IGNORED
    settled = hit | out
    target[settled] = matching.met[0][settled]
    own = np.full(n, 0.0)
    exact = pairs.truth == target[pairs.found]
    own[pairs.found[exact]] = pairs.iou[exact]
    overlap[settled] = own[settled]
    return kinds, target, overlap


def _doubled(kinds: IntArray, target: IntArray, met: IntArray, shown: Bools) -> Bools:
    """Return misnamed findings whose true box was also found under its own name."""
    named = met[(met >= 0) & shown]
    return np.asarray(shown & (kinds == MISNAMED) & np.isin(target, named))


def _truth_kinds(boxes: Scene, kinds: IntArray, target: IntArray, met: IntArray, score: float) -> IntArray:
    shown = boxes.score >= score
    states = np.full(boxes.ignored.size, MISSED, np.int64)
    for code, kind in ((ONLY_MISPLACED, MISPLACED), (ONLY_MISNAMED, MISNAMED)):
        states[target[shown & (kinds == kind)]] = code
    # Whatever else points at it: a box that was met below the score is found by lowering the score.
    states[met[(met >= 0) & ~shown]] = UNSURE
    states[met[(met >= 0) & shown]] = FOUND
    states[boxes.ignored] = TRUTH_IGNORED
    return states


def _costs(boxes: Scene, matching: Matching, kinds: IntArray, target: IntArray, plain: float) -> dict[str, float]:
    """Mend one kind at a time and see what the average precision gains."""
    hit, out = matching.hit[0], matching.left_out[0]
    taken = np.zeros(boxes.ignored.size, bool)
    taken[matching.met[0][hit]] = True
    wrong = ~hit & ~out

    def ap(label: IntArray, is_hit: Bools, dropped: Bools, struck: Bools) -> float:
        changed = replace(boxes, found_class=label, ignored=boxes.ignored | struck)
        return _mean_ap(rankings(changed, Matching(matching.ious, matching.met, is_hit[None], dropped[None])))

    none = np.zeros(boxes.ignored.size, bool)
    mended: dict[str, float] = {}
    for name, code in (("misnamed", MISNAMED), ("misplaced", MISPLACED)):
        of_kind = np.flatnonzero(kinds == code)
        open_ = of_kind[~taken[target[of_kind]]]
        order = open_[np.argsort(-boxes.score[open_], kind="stable")]
        _, first = np.unique(target[order], return_index=True)
        better = hit.copy()
        better[order[first]] = True
        label = boxes.found_class.copy()
        label[order[first]] = boxes.truth_class[target[order[first]]]
        mended[name] = ap(label, better, out | ((kinds == code) & ~better), none)
    for name, code in (("both", BOTH), ("duplicate", DUPLICATE), ("background", BACKGROUND)):
        mended[name] = ap(boxes.found_class, hit, out | (kinds == code), none)
    pointed = np.zeros_like(none)
    pointed[target[np.isin(kinds, (MISNAMED, MISPLACED))]] = True
    mended["missed"] = ap(boxes.found_class, hit, out, ~taken & ~pointed)
    mended["false_alarms"] = ap(boxes.found_class, hit, out | wrong, none)
    mended["all_missed"] = ap(boxes.found_class, hit, out, ~taken)
    return {name: value - plain for name, value in mended.items()}


def _mean_ap(ranked: Sequence[Ranking]) -> float:
    by_class = np.array([average_precisions(each)[0, 0] for each in ranked])
    known = by_class[~np.isnan(by_class)]
    return float(known.mean()) if known.size else float("nan")


def _confusion(boxes: Scene, met: IntArray, shown: Bools) -> IntArray:
    """Count true against named classes: first each finding by its own match, then the rest by overlap alone."""
    c = boxes.n_classes
    pairs = boxes.pairs
    partner = np.where(shown, met, -1)
    free = ~boxes.ignored
    free[partner[partner >= 0]] = False
    rest = (pairs.iou >= _FIT) & free[pairs.truth] & (shown & (partner < 0))[pairs.found]
    order = np.flatnonzero(rest)[np.lexsort((-pairs.iou[rest], -boxes.score[pairs.found[rest]]))]
    for k in order.tolist():  # greedy, the surest first; only findings over a box of another class come here
        one, other = pairs.found[k], pairs.truth[k]
        if partner[one] < 0 and free[other]:
            partner[one], free[other] = other, False
    on_ignored = np.zeros(shown.size, bool)
    over = boxes.ignored[pairs.truth] & (pairs.inside >= _FIT)
    on_ignored[pairs.found[over]] = True
    with_partner = np.flatnonzero(partner >= 0)
    alone = np.flatnonzero(shown & (partner < 0) & ~on_ignored)
    table = np.zeros((c + 1, c + 1), np.int64)
    np.add.at(table, (boxes.truth_class[partner[with_partner]], boxes.found_class[with_partner]), 1)
    np.add.at(table, (np.full(alone.size, c), boxes.found_class[alone]), 1)
    np.add.at(table, (boxes.truth_class[free], np.full(int(free.sum()), c)), 1)
    return table


def _finite(value: float) -> float | None:
    """Return None for what JSON cannot hold."""
    return float(value) if np.isfinite(value) else None
