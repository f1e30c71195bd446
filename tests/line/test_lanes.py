"""Lanes read in step show the web once, each at its place."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sorby.errors import InputError
from sorby.line.lines import Item, LineBlock, LostLines
from sorby.line.side_by_side import Camera, SideBySide
from sorby.line.sources import ArraySource
from webs import Pixels, web


def _source(pixels: Pixels, rows: int) -> ArraySource:
    return ArraySource(lambda: [pixels[a : a + rows] for a in range(0, len(pixels), rows)], rows_total=len(pixels))


def _blocks(source: SideBySide) -> list[LineBlock]:
    return [item for item in source.items() if isinstance(item, LineBlock)]


def test_lanes_with_frames_of_different_heights_are_read_in_step() -> None:
    whole = web(120, 100)
    source = SideBySide([Camera(_source(whole[:, :60], 30), 0), Camera(_source(whole[:, 60:], 24), 60)])
    blocks = _blocks(source)
    assert np.array_equal(np.concatenate([block.pixels for block in blocks]), whole)
    assert [(lane.number, lane.first, lane.width, lane.across_px) for lane in blocks[0].lanes] == [
        (0, 0, 60, 0), (1, 60, 40, 60),
    ]  # fmt: skip
    assert source.rows_total == 120


def test_a_camera_further_down_the_web_drops_what_lies_before_the_beginning() -> None:
    whole = web(120, 100)
    late = np.concatenate([web(37, 40, 9), whole[:, 60:]])
    source = SideBySide([Camera(_source(whole[:, :60], 30), 0), Camera(_source(late, 24), 60, 37)])
    together = [block.pixels for block in _blocks(source) if len(block.lanes) == 2]
    assert np.array_equal(np.concatenate(together), whole)


def test_while_one_lane_is_blind_the_others_go_on() -> None:
    whole = web(120, 100)

    def left() -> list[Pixels | Item]:
        return [whole[:30, :60], LostLines(30, "lost", "left"), whole[60:, :60]]

    source = SideBySide([Camera(ArraySource(left), 0), Camera(_source(whole[:, 60:], 120), 60)])
    items = list(source.items())
    assert [(item.lane, item.rows, item.advances) for item in items if isinstance(item, LostLines)] == [(0, 30, False)]
    blocks = [item for item in items if isinstance(item, LineBlock)]
    assert [(block.rows, [lane.number for lane in block.lanes]) for block in blocks] == [
        (30, [0, 1]),
        (30, [1]),
        (60, [0, 1]),
    ]
    assert np.array_equal(blocks[1].pixels, whole[30:60, 60:])


def test_a_lane_that_ends_early_is_told_once() -> None:
    whole = web(120, 100)
    source = SideBySide([Camera(_source(whole[:, :60], 30), 0), Camera(_source(whole[:60, 60:], 30), 60)])
    lost = [item for item in source.items() if isinstance(item, LostLines)]
    assert [(item.lane, item.rows) for item in lost] == [(1, None)]
    assert sum(block.rows for block in _blocks(source)) == 120


def test_every_cursor_takes_all_lanes_up() -> None:
    whole = web(120, 100)

    def left() -> list[Pixels | Item]:
        return [whole[:30, :60], LostLines(20, "lost", "left"), whole[50:, :60]]

    source = SideBySide([Camera(ArraySource(left), 0), Camera(_source(whole[:90, 60:], 24), 60, 3)])
    items = list(source.items())
    for number, item in enumerate(items):
        again = list(source.items(json.loads(json.dumps(item.cursor))))
        assert [(type(each), each.rows) for each in again] == [(type(each), each.rows) for each in items[number:]]
        for one, other in zip(again, items[number:], strict=True):
            if isinstance(one, LineBlock) and isinstance(other, LineBlock):
                assert np.array_equal(one.pixels, other.pixels)


def test_offsets_left_of_the_edge_are_refused() -> None:
    with pytest.raises(InputError, match="not below zero"):
        SideBySide([Camera(_source(web(10, 20), 10), -4)])
