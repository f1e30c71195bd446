"""Tiles cover the image, and a defect across their borders is one finding with one box."""

import numpy as np
import pytest

from sorby.detect.recipe import ImageSection
from sorby.detect.tiles import merged, tile_boxes
from sorby.evidence.boxes import FoundBoxes

SECTION = ImageSection(tile_px=100, overlap_px=20)


def _seen(truth: np.ndarray, tiles: np.ndarray, label: int = 0) -> list[FoundBoxes]:
    """What a perfect detector sees of boxes in each tile."""
    parts = []
    for left, top, right, bottom in tiles:
        cut = np.clip(truth, [left, top, left, top], [right, bottom, right, bottom]) - [left, top, left, top]
        cut = cut[((cut[:, 2:] - cut[:, :2]) > 1).all(1)]
        parts.append(FoundBoxes(cut.astype(np.float32), np.full(len(cut), label), np.full(len(cut), 0.9, np.float32)))
    return parts


@pytest.mark.parametrize("size", [(100, 100), (101, 350), (333, 240), (50, 400)])
def test_tiles_cover_every_pixel(size):
    covered = np.zeros(size, bool)
    for left, top, right, bottom in tile_boxes(*size, SECTION):
        assert right <= size[1]
        assert bottom <= size[0]
        covered[top:bottom, left:right] = True
    assert covered.all()


def test_a_small_image_is_one_tile_and_without_a_tile_size_every_image_is():
    assert tile_boxes(80, 100, SECTION).tolist() == [[0, 0, 100, 80]]
    assert tile_boxes(5000, 4000, ImageSection()).tolist() == [[0, 0, 4000, 5000]]


def test_a_scratch_through_many_tiles_becomes_one_box():
    tiles = tile_boxes(300, 400, SECTION)
    truth = np.array([[5.0, 140, 390, 150]])
    found = merged(_seen(truth, tiles), tiles, (300, 400), 0.5)
    assert found.boxes.round().tolist() == truth.tolist()


def test_a_region_over_a_corner_of_four_tiles_becomes_one_box():
    tiles = tile_boxes(180, 180, SECTION)
    truth = np.array([[60.0, 50, 130, 140]])
    assert merged(_seen(truth, tiles), tiles, (180, 180), 0.5).boxes.round().tolist() == truth.tolist()


def test_what_two_tiles_see_whole_is_kept_once_and_neighbours_stay_two():
    tiles = tile_boxes(100, 180, SECTION)
    truth = np.array([[82.0, 10, 98, 30], [84.0, 50, 96, 60]])
    found = merged(_seen(truth, tiles), tiles, (100, 180), 0.5)
    assert sorted(found.boxes.round().tolist()) == sorted(truth.tolist())


def test_classes_are_not_joined_across_a_border():
    tiles = tile_boxes(100, 180, SECTION)
    left, right = _seen(np.array([[60.0, 40, 120, 50]]), tiles)
    other = FoundBoxes(right.boxes, np.ones(len(right), np.intp), right.scores)
    assert sorted(merged([left, other], tiles, (100, 180), 0.5).labels.tolist()) == [0, 1]


def test_one_place_has_one_name_across_tiles_where_that_is_asked_for():
    tiles = np.array([[0, 0, 100, 100], [50, 0, 150, 100]])
    mark = FoundBoxes(np.array([[60, 40, 80, 60]], np.float32), np.array([0]), np.array([0.9], np.float32))
    other = FoundBoxes(np.array([[10, 40, 30, 60]], np.float32), np.array([1]), np.array([0.8], np.float32))
    assert len(merged([mark, other], tiles, (100, 150), 0.5)) == 2
    alone = merged([mark, other], tiles, (100, 150), 0.5, across_classes=True)
    assert alone.labels.tolist() == [0]


def test_weak_findings_along_borders_do_not_chain_real_ones_together():
    tiles = tile_boxes(260, 420, SECTION)
    rng = np.random.default_rng(0)
    real = [np.array([30.0, 30, 60, 60]), np.array([330.0, 200, 360, 230])]
    parts = []
    for left, top, right, bottom in tiles:
        weak = rng.uniform(0, 60, (30, 2))
        boxes = [np.concatenate([weak, np.minimum(weak + rng.uniform(20, 100, (30, 2)), 100)], axis=1)]
        scores = [rng.uniform(0.02, 0.3, 30)]
        for box in real:
            if left <= box[0] and box[2] <= right and top <= box[1] and box[3] <= bottom:
                boxes.append(box[None] - [left, top, left, top])
                scores.append(np.array([0.9]))
        # A whole tile as one weak finding is what a chain begins with.
        boxes.append(np.array([[0.0, 0, right - left, bottom - top]]))
        scores.append(np.array([0.25]))
        together = np.concatenate(boxes).astype(np.float32)
        found = np.concatenate(scores).astype(np.float32)
        parts.append(FoundBoxes(together, np.zeros(len(together), np.intp), found))
    sure = merged(parts, tiles, (260, 420), 0.5).above(0.5)
    assert sorted(sure.boxes.tolist()) == sorted(box.tolist() for box in real)
