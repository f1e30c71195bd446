"""Cores tile the web once; margins are the real neighbouring lines."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorby.errors import InputError
from sorby.line.lines import Incident, Item, LineBlock, LostLines, one_lane
from sorby.line.strips import Bookmark, EndOfRoll, Strip, StripMaker, Window, cut, mirrored, windows
from webs import Pixels, web


def _block(pixels: Pixels, cursor: int = 0) -> LineBlock:
    return LineBlock(pixels, one_lane(pixels.shape[1]), "test", cursor)


def _strips(items: list[Item], rows: int = 96, margin: int = 16) -> tuple[list[Strip], EndOfRoll]:
    maker = StripMaker(rows, margin)
    found = [strip for item in items for strip in maker.feed(item)]
    *rest, end = list(maker.finish())
    assert isinstance(end, EndOfRoll)
    return [*found, *(strip for strip in rest if isinstance(strip, Strip))], end


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 150), min_size=1, max_size=12))
def test_cores_give_the_web_back_whatever_the_height_of_blocks(heights: list[int]) -> None:
    whole = web(sum(heights), 32)
    cuts = np.cumsum([0, *heights])
    strips, end = _strips([_block(whole[a:b]) for a, b in itertools.pairwise(cuts)])
    assert np.array_equal(np.concatenate([strip.core for strip in strips]), whole)
    assert [strip.core_row for strip in strips[1:]] == [strip.end_row for strip in strips[:-1]]
    assert end.row == len(whole)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 150), min_size=1, max_size=8))
def test_what_the_detector_sees_is_the_web_with_its_ends_mirrored(heights: list[int]) -> None:
    whole = web(sum(heights), 32)
    cuts = np.cumsum([0, *heights])
    strips, _ = _strips([_block(whole[a:b]) for a, b in itertools.pairwise(cuts)])
    lane, window = one_lane(32)[0], Window(0, (0, 32))
    for strip in strips[:-2]:  # those that do not touch the end see real lines below
        seen = cut(strip, lane, window, 96, 32, 16)
        rows = mirrored(len(whole), strip.core_row - 16, 96)
        real = strip.core_row - 16 + np.arange(96) < len(whole)
        assert np.array_equal(seen[real], whole[rows][real])


def test_a_gap_keeps_its_place_and_no_margin_reaches_across() -> None:
    first, second = np.full((100, 16), 10, np.uint8), np.full((100, 16), 200, np.uint8)
    strips, end = _strips([_block(first), LostLines(50, "missing", "test"), _block(second)])
    assert end.row == 250
    after = [strip for strip in strips if strip.core_row >= 150]
    assert after[0].core_row == 150
    assert not after[0].joins
    assert {int(strip.pixels.max()) for strip in strips if strip.core_row < 150} == {10}
    assert {int(strip.pixels.min()) for strip in after} == {200}
    assert [(each.kind, each.row, each.rows) for each in after[0].incidents] == [("gap", 100, 50)]


def test_a_gap_of_unknown_length_takes_no_room_and_says_so() -> None:
    strips, end = _strips([_block(web(100, 16)), LostLines(None, "lost", "test"), _block(web(100, 16))])
    assert end.row == 200
    assert [each.rows for strip in strips for each in strip.incidents] == [None]


def test_a_new_width_begins_a_segment_and_is_told() -> None:
    strips, _ = _strips([_block(web(100, 32)), _block(web(100, 48))])
    assert [strip.lanes[0].width for strip in strips if strip.core_row < 100] == [32, 32]
    changed = next(strip for strip in strips if strip.core_row == 100)
    assert changed.joins
    assert [each.kind for each in changed.incidents] == ["width-change"]


def test_incidents_carry_their_line_of_the_web() -> None:
    odd = LineBlock(web(40, 16), one_lane(16), "test", incidents=(Incident("saturation", 0, 40, 0, "bright"),))
    strips, _ = _strips([_block(web(130, 16)), odd])
    assert [each.row for strip in strips for each in strip.incidents] == [130]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 90), min_size=6, max_size=14), st.integers(0, 30))
def test_a_bookmark_makes_the_same_strips_again(heights: list[int], which: int) -> None:
    whole = web(sum(heights), 16)
    cuts = np.cumsum([0, *heights])
    items: list[Item] = [_block(whole[a:b], i) for i, (a, b) in enumerate(itertools.pairwise(cuts))]
    items.insert(4, LostLines(20, "lost", "test", 4))
    items[5:] = [LineBlock(i.pixels, i.lanes, i.origin, i.cursor + 1) for i in items[5:] if isinstance(i, LineBlock)]
    strips, _ = _strips(items)
    chosen = strips[which % len(strips)]
    mark = chosen.bookmark
    again = StripMaker(96, 16, Bookmark(**mark.as_dict()))
    made = [strip for item in items[mark.cursor :] for strip in again.feed(item)]
    made += [strip for strip in again.finish() if isinstance(strip, Strip)]
    expected = [strip for strip in strips if strip.core_row >= chosen.core_row]
    assert [(strip.core_row, strip.core_rows, strip.joins) for strip in made] == [
        (strip.core_row, strip.core_rows, strip.joins) for strip in expected
    ]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(made, expected, strict=True))


@given(
    st.integers(1, 3000), st.sampled_from([160, 256, 512]), st.sampled_from([0, 16, 32]), st.sampled_from([4, 8, 16])
)
def test_windows_tile_the_lane_and_lie_on_the_grid_of_cells(width: int, scorer: int, margin: int, stride: int) -> None:
    found = windows(width, scorer, margin, stride)
    assert [each.keep[0] for each in found] == [0, *(each.keep[1] for each in found[:-1])]
    assert found[-1].keep[1] == width
    for each in found:
        assert (each.keep[0] - each.left) % stride == 0
        assert each.left + scorer >= each.keep[1]


def test_strips_without_a_core_are_refused() -> None:
    with pytest.raises(InputError, match="no core"):
        StripMaker(64, 32)
    with pytest.raises(InputError, match="no core"):
        windows(200, 64, 32, 8)


def test_mirroring_does_not_repeat_the_edge() -> None:
    assert mirrored(4, -2, 8).tolist() == [2, 1, 0, 1, 2, 3, 2, 1]
    assert mirrored(1, -2, 4).tolist() == [0, 0, 0, 0]
