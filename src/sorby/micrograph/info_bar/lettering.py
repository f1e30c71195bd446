"""What stands on an info bar, taken apart: pieces of text, drawn lines, and what separates fields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects, label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sorby.micrograph.info_bar.drawn_bar import DrawnBar, find_drawn_bars

UInt8 = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Boxes = npt.NDArray[np.int64]
"""Rows of top, left, bottom, right; the last two lie just outside."""

_STROKE = 0.4  # of the contrast between ground and lettering: what differs by more is ink
_FULL = 0.9  # of the bar's width or height: a frame or a separator, no letter
_LINE = 5.0  # a piece longer than so many times its height is drawn, not written
_LOWEST_LETTER_PX = 4
_TALLEST_LETTER = 0.62  # of the bar's height: separators and logos are taller; a bar of one line is the exception
_GAP = 1.1  # of the taller one's height: letters farther apart belong to different pieces
_OVERLAP = 0.5  # of the lower one's height: letters on one line
_RATIO = 2.4  # of heights on one line, points and dashes apart
_MARGIN = 0.22  # of a line's height, around what is cut out


@dataclass(frozen=True, eq=False)
class Lettering:
    """The ink of an info bar.

    Attributes
    ----------
    ink : ndarray of bool, shape (H, W)
        Everything that is not ground.
    pieces : ndarray of int, shape (n, 4)
        Boxes of connected ink: top, left, bottom, right.
    text : ndarray of int, shape (m, 4)
        Boxes of pieces of text, from top to bottom and left to right.
    drawn : list of DrawnBar
        What may be the scale bar.
    """

    ink: Mask
    pieces: Boxes
    text: Boxes
    drawn: list[DrawnBar]


def take_apart(bar: UInt8, tone: int) -> Lettering:
    """Find ink, its connected pieces, and among them text and drawn scale bars.

    Parameters
    ----------
    bar : ndarray of uint8, shape (H, W)
        Rows of the info bar.
    tone : int
        Grey value of its ground.
    """
    ink = ink_of(bar, tone)
    labels, _ = label(ink, np.ones((3, 3), bool))
    pieces = np.array(
        [(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in find_objects(labels)], dtype=np.int64
    ).reshape(-1, 4)
    drawn, taken = find_drawn_bars(bar, tone, ink, pieces)
    return Lettering(ink, pieces, _text(pieces[~taken], ink.shape[0], ink.shape[1]), drawn)


def ink_of(bar: UInt8, tone: int) -> Mask:
    """Return what differs from the ground by a good part of the lettering's contrast, shape (H, W)."""
    offset = np.abs(bar.astype(np.int16) - tone)
    return np.asarray(offset >= _STROKE * max(64.0, float(offset.max())))


def _text(pieces: Boxes, height: int, width: int) -> Boxes:
    """Return the boxes of text: letters joined with their neighbours on a line."""
    if not len(pieces):
        return pieces
    tall, wide = pieces[:, 2] - pieces[:, 0], pieces[:, 3] - pieces[:, 1]
    drawn = (wide >= _LINE * tall) & (wide >= 0.02 * width)
    separator = (tall >= _LINE * wide) & (tall >= 0.4 * height)
    at_border = (pieces[:, 0] == 0) | (pieces[:, 2] == height)
    frame = (wide >= _FULL * width) | (tall >= _FULL * height) | (at_border & (wide >= 3 * tall))
    letters = pieces[~(drawn | separator | frame) & (wide <= 0.25 * width)]
    letters = letters[(letters[:, 2] - letters[:, 0]) <= max(_TALLEST_LETTER * height, _LOWEST_LETTER_PX)]
    lines = _joined(letters)
    # What is lower than any letter is a rest of a line, or dirt.
    lines = lines[(lines[:, 2] - lines[:, 0]) >= _LOWEST_LETTER_PX]
    order = np.lexsort((lines[:, 1], (lines[:, 0] + lines[:, 2]) // max(1, height // 4)))
    return np.asarray(lines[order])


def _joined(letters: Boxes) -> Boxes:
    """Join the boxes of letters that stand beside each other on a line; every pair is compared at once."""
    if not len(letters):
        return letters
    top, left, bottom, right = letters.T
    tall = bottom - top
    overlap = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    lower, higher = np.minimum(tall[:, None], tall), np.maximum(tall[:, None], tall)
    apart = np.maximum(left[:, None], left) - np.minimum(right[:, None], right)
    points = (lower <= 0.45 * higher) & (apart <= 0.6 * higher)  # points, commas, dashes, dots on letters
    beside = (overlap >= _OVERLAP * lower) & (apart <= _GAP * higher) & ((higher <= _RATIO * lower) | points)
    beside |= (overlap > -0.35 * higher) & (apart <= 0) & points  # the dot over an i, the strokes of an equals sign
    first, second = np.nonzero(beside)
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(len(letters), len(letters)))
    count, group = connected_components(graph, directed=False)
    boxes = np.empty((count, 4), np.int64)
    for column, take, start in (
        (0, np.minimum, 1 << 30),
        (1, np.minimum, 1 << 30),
        (2, np.maximum, 0),
        (3, np.maximum, 0),
    ):
        edges = np.full(count, start, np.int64)
        take.at(edges, group, letters[:, column])
        boxes[:, column] = edges
    return boxes


def cut_out(bar: UInt8, box: npt.NDArray[np.int64], tone: int) -> UInt8:
    """Return a piece of text with a margin of ground around it, whatever else stands there.

    Parameters
    ----------
    bar : ndarray of uint8, shape (H, W)
    box : ndarray of int, shape (4,)
    tone : int
        Grey value of the ground.
    """
    top, left, bottom, right = (int(edge) for edge in box)
    margin = max(2, round(_MARGIN * (bottom - top)))
    canvas = np.full((bottom - top + 2 * margin, right - left + 2 * margin), tone, np.uint8)
    # One pixel around the ink keeps its soft edge.
    upper, lower = max(0, top - 1), min(bar.shape[0], bottom + 1)
    before, after = max(0, left - 1), min(bar.shape[1], right + 1)
    rows, columns = margin - (top - upper), margin - (left - before)
    canvas[rows : rows + lower - upper, columns : columns + after - before] = bar[upper:lower, before:after]
    return canvas
