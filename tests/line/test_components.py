"""Regions traced strip by strip are those of the whole web, whatever the cuts."""

from __future__ import annotations

import itertools
import json

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.draw import polygon

from sorby.line.components import Region, RegionTracer
from sorby.line.defects import smallest_rectangle

Scores = npt.NDArray[np.float32]


def _trace(scores: Scores, cuts: list[int], stride: int = 4, piece: int = 10**9, reload: bool = False) -> list[Region]:
    tracer = RegionTracer(stride, 0.5, piece)
    found: list[Region] = []
    edges = [0, *sorted({c for c in cuts if 0 < c < len(scores)}), len(scores)]
    for a, b in itertools.pairwise(edges):
        found += tracer.add(scores[a:b], a * stride, joins=a > 0)
        if reload:
            state = json.loads(json.dumps(tracer.state(), allow_nan=False))
            tracer = RegionTracer(stride, 0.5, piece)
            tracer.restore(state)
    return found + tracer.close()


def _facts(regions: list[Region]) -> set[tuple[object, ...]]:
    return {
        (r.rows, r.cols, r.cells, r.peak, round(r.score, 5), round(r.mean_score, 5),
         tuple(np.round(r.centre, 6)), tuple(np.round(r.extents_mm, 6)), r.streak)
        for r in regions
    }  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 0.6), st.lists(st.integers(1, 39), max_size=8))
def test_cuts_change_nothing(seed: int, share: float, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.random((40, 23)).astype(np.float32)
    scores = np.where(rng.random(scores.shape) < share, 0.5 + scores, 0).astype(np.float32)
    whole = _facts(_trace(scores, []))
    assert _facts(_trace(scores, cuts)) == whole
    assert _facts(_trace(scores, cuts, reload=True)) == whole


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 0.6))
def test_regions_are_the_eight_connected_components(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    found = rng.random((30, 30)) < share
    labels, n = ndimage.label(found, structure=np.ones((3, 3)))
    regions = _trace(found.astype(np.float32), [7, 8, 20])
    assert sorted(r.cells for r in regions) == sorted(np.bincount(labels.ravel())[1:].tolist())
    assert len(regions) == n


def test_arms_that_meet_late_are_one_defect() -> None:
    scores = np.zeros((30, 20), np.float32)
    scores[:, 2] = scores[:, 17] = 1  # a U that closes in the last strip
    scores[29, 2:18] = 1
    regions = _trace(scores, [5, 10, 15, 20, 25])
    assert [r.cells for r in regions] == [int(scores.sum())]


def test_diagonal_neighbours_across_a_cut_belong_together() -> None:
    scores = np.zeros((4, 4), np.float32)
    scores[1, 1] = scores[2, 2] = 1
    assert len(_trace(scores, [2])) == 1
    scores[1, 1], scores[1, 0] = 0, 1
    assert len(_trace(scores, [2])) == 2


def test_a_break_in_the_web_separates() -> None:
    tracer = RegionTracer(4, 0.5, 10**9)
    ones = np.ones((2, 2), np.float32)
    assert tracer.add(ones, 0, joins=False) == []
    assert len(tracer.add(ones, 8, joins=False)) == 1


def test_a_streak_is_closed_in_pieces_that_name_it() -> None:
    scores = np.zeros((1000, 9), np.float32)
    scores[10:990, 4] = 1
    tracer = RegionTracer(1, 0.5, 100)
    pieces: list[Region] = []
    for a in range(0, 1000, 20):
        pieces += tracer.add(scores[a : a + 20], a, joins=a > 0)
        assert tracer.open_regions <= 1
    pieces += tracer.close()
    assert sum(piece.cells for piece in pieces) == 980
    assert {piece.streak for piece in pieces} == {1}
    assert [piece.continues for piece in pieces] == [True] * (len(pieces) - 1) + [False]
    assert [piece.rows[0] for piece in pieces[1:]] == [piece.rows[1] for piece in pieces[:-1]]


def test_memory_is_bounded_by_the_width_not_by_the_length() -> None:
    rng = np.random.default_rng(1)
    tracer, width, state = RegionTracer(4, 0.5, 4000), 64, 0
    for k in range(400):
        tracer.add((rng.random((16, width)) < 0.3).astype(np.float32), 64 * k, joins=k > 0)
        assert tracer.open_regions <= (width + 1) // 2
        state = max(state, len(json.dumps(tracer.state())))
    assert state < 32 * 2500  # an open region takes 2 kB


@pytest.mark.parametrize("angle", range(0, 180, 15))
def test_length_width_and_orientation_of_a_turned_bar(angle: int) -> None:
    length, width, stride = 240.0, 60.0, 2
    t = np.radians(angle)
    axis, side = np.array([np.cos(t), np.sin(t)]), np.array([-np.sin(t), np.cos(t)])
    corners = np.array([s * length / 2 * axis + u * width / 2 * side for s, u in ((1, 1), (1, -1), (-1, -1), (-1, 1))])
    image = np.zeros((300, 300), np.float32)
    rows, cols = polygon(*((corners + 150).T))
    image[rows, cols] = 1
    cells = image.reshape(150, 2, 150, 2).max(axis=(1, 3))
    (region,) = _trace(cells, [40, 75], stride=stride)
    found = smallest_rectangle(region.extents_mm)
    # A cell counts when a corner of it is touched: up to two diagonals more. Directions are 2 degrees apart.
    assert found[0] == pytest.approx(length, abs=2 * stride * 1.42 + length * np.sin(np.radians(1)))
    assert found[1] == pytest.approx(width, abs=2 * stride * 1.42 + length * np.sin(np.radians(1)))
    assert (found[2] - angle + 90) % 180 - 90 == pytest.approx(0, abs=2)


def test_a_single_cell_is_a_square_of_its_size() -> None:
    scores = np.zeros((5, 5), np.float32)
    scores[2, 3] = 1
    tracer = RegionTracer(8, 0.5, 100, (0.05, 0.025))
    (region,) = tracer.add(scores, 0, joins=False)
    assert region.rows == (16, 24)
    assert region.cols == (24, 32)
    assert region.centre == (20, 28)
    assert smallest_rectangle(region.extents_mm)[:2] == pytest.approx((0.4, 0.2))
