"""Large images in overlapping tiles, and findings put together again across their borders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sorby.detect.recipe import ImageSection
from sorby.evidence.boxes import BoxArray, FoundBoxes, areas, box_iou, overlap
from sorby.micrograph.tiling import Tiler

TileBoxes = npt.NDArray[np.int64]
_TOUCHES = 2.0  # pixels from an inner border within which a finding counts as cut by it
_SHARED = 0.5  # intersection over union, within what both tiles see
_WEAKEST = 0.5  # of the best score of a group that a finding is joined with
_SAME_PLACE = 0.5


def tile_boxes(height: int, width: int, section: ImageSection) -> TileBoxes:
    """Return where tiles lie, (n, 4): left, top, right, bottom, row by row; the last ones are moved inwards.

    An image no larger than a tile is one tile.
    """
    if section.tile_px is None or max(height, width) <= section.tile_px:
        return np.array([[0, 0, width, height]], np.int64)
    edges = min(section.tile_px, height), min(section.tile_px, width)
    shared = min(section.overlap_px, edges[0] - 1), min(section.overlap_px, edges[1] - 1)
    return Tiler.fixed_pixels(*edges, overlap=shared).plan(height, width).boxes[:, [1, 0, 3, 2]]


def merged(
    parts: Sequence[FoundBoxes],
    tiles: TileBoxes,
    size: tuple[int, int],
    overlap_limit: float,
    *,
    across_classes: bool = False,
) -> FoundBoxes:
    """Put the findings of tiles together.

    A finding that an inner border cuts is joined with the finding of the same class in the neighbouring tile that
    continues it: in the strip that both see, they agree by half (intersection over union), and the weaker scores at
    least half of the strongest that it is joined with, so that weak findings along the borders do not chain real ones
    together. The union of joined boxes takes the highest score. What two tiles see whole is kept once.

    Parameters
    ----------
    parts : sequence of FoundBoxes
        Of each tile, in pixels of the tile.
    tiles : ndarray of int, shape (n, 4)
    size : (int, int)
        Height and width of the image.
    overlap_limit : float
        Intersection over union from which two findings of a class are one.
    across_classes : bool
        Of two tiles' findings of different classes on one place, keep only the stronger.
    """
    boxes = np.concatenate(
        [each.boxes + np.array([tile[0], tile[1]] * 2, np.float32) for each, tile in zip(parts, tiles, strict=True)]
    ).astype(np.float32)
    labels = np.concatenate([each.labels for each in parts])
    scores = np.concatenate([each.scores for each in parts])
    owner = np.repeat(np.arange(len(parts)), [len(each) for each in parts])
    if len(tiles) == 1 or not len(boxes):
        return FoundBoxes(boxes, labels, scores)
    group = _groups(_joined(boxes, labels, owner, tiles, size), scores)
    count = int(group.max()) + 1
    united = np.empty((count, 4), np.float32)
    united[:, :2], united[:, 2:] = np.inf, 0
    np.minimum.at(united[:, :2], group, boxes[:, :2])
    np.maximum.at(united[:, 2:], group, boxes[:, 2:])
    best = np.zeros(count, np.float32)
    np.maximum.at(best, group, scores)
    name = np.empty(count, np.intp)
    name[group] = labels  # all of a group have one
    return _once(FoundBoxes(united, name, best), overlap_limit, across_classes=across_classes)


def _groups(pairs: npt.NDArray[np.intp], scores: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """Return the group of each finding; the surest pairs are joined first, and weak findings only to weak groups."""
    leader, best = np.arange(len(scores)), scores.copy()
    for first, second in pairs[np.argsort(-scores[pairs].min(axis=1), kind="stable")]:
        one, other = leader[first], leader[second]
        if one != other and min(best[one], best[other]) >= _WEAKEST * max(best[one], best[other]):
            leader[leader == other] = one
            best[one] = max(best[one], best[other])
    groups: npt.NDArray[np.intp] = np.unique(leader, return_inverse=True)[1].astype(np.intp)
    return groups


def _joined(
    boxes: BoxArray, labels: npt.NDArray[np.intp], owner: npt.NDArray[np.intp], tiles: TileBoxes, size: tuple[int, int]
) -> npt.NDArray[np.intp]:
    """Return the pairs (n, 2) of findings that continue each other across an inner border."""
    own = tiles[owner].astype(np.float32)
    limits = np.array([0, 0, size[1], size[0]], np.float32)
    cut = ((np.abs(boxes - own) <= _TOUCHES) & (np.abs(own - limits) > 0)).any(axis=1)
    order = np.argsort(boxes[:, 0], kind="stable")
    pairs = []
    for here in np.flatnonzero(cut):
        near = order[: np.searchsorted(boxes[order, 0], boxes[here, 2], side="right")]
        near = near[(owner[near] != owner[here]) & (labels[near] == labels[here]) & (boxes[near, 2] >= boxes[here, 0])]
        if not len(near):
            continue
        shared = np.concatenate(
            [np.maximum(own[near, :2], own[here, :2]), np.minimum(own[near, 2:], own[here, 2:])], axis=1
        )
        mine, theirs = _within(boxes[here][None], shared), _within(boxes[near], shared)
        both = areas(_within(mine, theirs))
        union = areas(mine) + areas(theirs) - both
        agree = np.divide(both, union, out=np.zeros_like(both), where=union > 0)
        # Of each neighbouring tile the finding that agrees best.
        ranked = np.lexsort((-agree, owner[near]))
        ranked = ranked[np.unique(owner[near][ranked], return_index=True)[1]]
        pairs += [(int(here), int(other)) for other in near[ranked[agree[ranked] >= _SHARED]]]
    return np.array(pairs, np.intp).reshape(-1, 2)


def _within(boxes: BoxArray, regions: BoxArray) -> BoxArray:
    low, high = np.maximum(boxes[:, :2], regions[:, :2]), np.minimum(boxes[:, 2:], regions[:, 2:])
    return np.concatenate([low, np.maximum(low, high)], axis=1).astype(np.float32)


def _once(found: FoundBoxes, limit: float, *, across_classes: bool) -> FoundBoxes:
    """Keep the strongest of findings of a class that lie on one place, or within one another.

    Across classes, lying within another is no reason: a pit on a stain is two defects.
    """
    order = np.argsort(-found.scores, kind="stable")
    boxes, labels = found.boxes[order], found.labels[order]
    kept: list[int] = []
    for k in range(len(order)):
        same = [j for j in kept if labels[j] == labels[k]]
        if across_classes and kept and float(box_iou(boxes[k][None], boxes[kept]).max()) > limit:
            continue
        if same:
            mine, others = boxes[k][None], boxes[same]
            inside = overlap(mine, others)[0] / max(float(areas(mine)[0]), 1e-6)
            if float(box_iou(mine, others).max()) > limit or float(inside.max()) > 1 - _SAME_PLACE / 2:
                continue
        kept.append(k)
    return found.of(order[kept])
