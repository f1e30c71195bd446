"""The drawn scale bar: a line with or without end marks, a line broken by its label, or a row of ticks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Float = npt.NDArray[np.float64]
Boxes = npt.NDArray[np.int64]
Kind = Literal["line", "broken line", "ticks"]

_SHORTEST, _SHORTEST_PX = 0.015, 16  # of the image's width
_LONGEST = 0.9
_SHORTEST_HALF_PX = 5  # of a line broken by its label, which must then have a mark at its outer end
_THICK = 0.35  # of its length: a bar is longer than so
_FEWEST_TICKS = 4
_EVENLY = 0.06  # of the spacing between ticks


@dataclass(frozen=True)
class DrawnBar:
    """A scale bar as drawn, in pixels of the info bar.

    Attributes
    ----------
    kind : {"line", "broken line", "ticks"}
    left, right : float
        Its ends: the middles of its end marks or outermost ticks, the edges of a plain line.
    top, bottom : int
        Rows it covers, end marks included; the last is just outside.
    marked_left, marked_right : bool
        Whether there are end marks.
    """

    kind: Kind
    left: float
    right: float
    top: int
    bottom: int
    marked_left: bool
    marked_right: bool

    @property
    def marked(self) -> bool:
        """Whether both ends have marks."""
        return self.marked_left and self.marked_right

    @property
    def length_px(self) -> float:
        """Its length in pixels, to a fraction of one."""
        return self.right - self.left


def find_drawn_bars(bar: UInt8, tone: int, ink: Mask, pieces: Boxes) -> tuple[list[DrawnBar], Mask]:
    """Find everything that may be the scale bar.

    Parameters
    ----------
    bar : ndarray of uint8, shape (H, W)
    tone : int
        Grey value of the ground.
    ink : ndarray of bool, shape (H, W)
    pieces : ndarray of int, shape (n, 4)
        Boxes of connected ink: top, left, bottom, right.

    Returns
    -------
    bars : list of DrawnBar
        Whole ones first, then the halves of broken ones.
    taken : ndarray of bool, shape (n,)
        Pieces that are lines or ticks, and no letters.
    """
    density = _density(bar, tone)
    shortest = max(_SHORTEST_PX, _SHORTEST * ink.shape[1])
    taken = np.zeros(len(pieces), dtype=bool)
    lines: list[DrawnBar] = []
    stumps: list[DrawnBar] = []
    for index in _long_pieces(ink, pieces):
        line = _line(density, ink, pieces[index])
        if line is None:
            continue
        if pieces[index, 3] - pieces[index, 1] >= shortest:
            lines.append(line)
            taken[index] = True
        elif line.marked_left != line.marked_right:  # or a letter such as L; it stays among the letters
            stumps.append(line)
    ticks, members = _ticks(density, pieces)
    taken[members] = True
    return [*ticks, *_broken([*lines, *stumps]), *lines], taken


def _density(bar: UInt8, tone: int) -> Float:
    """Return how inked each pixel is, 0 to 1: edges are soft, and hold the position to a fraction of a pixel."""
    offset = np.abs(bar.astype(np.float64) - tone)
    return np.asarray(np.clip(offset / max(64.0, float(offset.max())), 0, 1))


def _long_pieces(ink: Mask, pieces: Boxes) -> list[int]:
    """Return the pieces that may be lines: long, inside the bar, filled or with one long stroke."""
    height, width = ink.shape
    top, left, bottom, right = pieces.T if len(pieces) else np.empty((4, 0), np.int64)
    wide = right - left
    inside = (top > 0) & (bottom < height) & (left > 0) & (right < width)
    long = (wide >= _SHORTEST_HALF_PX) & (wide <= _LONGEST * width)
    return [int(index) for index in np.flatnonzero(inside & long)]


def _line(density: Float, ink: Mask, box: npt.NDArray[np.int64]) -> DrawnBar | None:
    """Return a piece as a line, None where it is none."""
    top, left, bottom, right = (int(edge) for edge in box)
    inside = ink[top:bottom, left:right]
    across = right - left
    stroke = inside.mean(axis=1) >= 0.95
    if not stroke.any():
        return None
    rows = np.flatnonzero(stroke)
    thick = int(rows[-1] - rows[0]) + 1
    if thick > _THICK * across or not stroke[rows[0] : rows[-1] + 1].all():
        return None
    # Beside the stroke there may be end marks only.
    rest = np.delete(inside, np.arange(rows[0], rows[-1] + 1), axis=0)
    marks = rest.mean(axis=0) if len(rest) else np.zeros(across)
    near = max(2, round(0.12 * across), min(6, across // 4))
    if (marks[near : across - near] > 0.5).any():
        return None
    first, last = _end_mark(density, ink, box, rows, near)
    stretch = density[top + rows[0] : top + rows[-1] + 1, max(0, left - 2) : right + 2]
    middle = stretch[len(stretch) // 2]
    plain_left = max(0, left - 2) + float(np.argmax(middle >= 0.5)) + _soft(middle)
    plain_right = max(0, left - 2) + len(middle) - float(np.argmax(middle[::-1] >= 0.5)) - _soft(middle[::-1])
    return DrawnBar(
        "line",
        first if first is not None else plain_left,
        last if last is not None else plain_right,
        top,
        bottom,
        first is not None,
        last is not None,
    )


def _soft(profile: Float) -> float:
    """Return by how much an edge lies before the first pixel that is more than half inked, negative outwards."""
    first = int(np.argmax(profile >= 0.5))
    before = float(profile[first - 1]) if first > 0 else 0.0
    return float((1 - profile[first]) - before)


def _end_mark(
    density: Float, ink: Mask, box: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], near: int
) -> tuple[float | None, float | None]:
    """Return the middles of the upright marks at both ends, None where there is none."""
    top, left, bottom, right = (int(edge) for edge in box)
    beyond = np.ones(bottom - top, dtype=bool)
    beyond[rows[0] : rows[-1] + 1] = False
    if beyond.sum() < 2:
        return None, None
    columns = density[top:bottom, left:right][beyond]
    inked = ink[top:bottom, left:right][beyond]
    ends = []
    for part, seen, start in (
        (columns[:, :near], inked[:, :near], left),
        (columns[:, -near:], inked[:, -near:], right - near),
    ):
        weight = part.mean(axis=0) * (seen.mean(axis=0) >= 0.3)
        ends.append(start + float((weight * (np.arange(near) + 0.5)).sum() / weight.sum()) if weight.sum() else None)
    return ends[0], ends[1]


def _broken(lines: list[DrawnBar]) -> list[DrawnBar]:
    """Join two lines of one row, thickness and length: a scale bar broken by its label."""
    whole = []
    for k, first in enumerate(lines):
        for second in lines[k + 1 :]:
            one, other = sorted((first, second), key=lambda line: line.left)
            longer = max(one.length_px, other.length_px)
            level = abs(one.top - other.top) <= 2 and abs(one.bottom - other.bottom) <= 2
            alike = abs(one.length_px - other.length_px) <= 0.2 * longer + 2
            outwards = one.marked_left >= one.marked_right and other.marked_right >= other.marked_left
            if level and alike and outwards and other.left - one.right <= 3 * longer + 80:
                top, bottom = min(one.top, other.top), max(one.bottom, other.bottom)
                ends = one.marked_left, other.marked_right
                whole.append(DrawnBar("broken line", one.left, other.right, top, bottom, *ends))
    return whole


def _ticks(density: Float, pieces: Boxes) -> tuple[list[DrawnBar], npt.NDArray[np.int64]]:
    """Return a row of equal, evenly spaced upright strokes as a bar from the first to the last."""
    nothing = np.empty(0, np.int64)
    if len(pieces) < _FEWEST_TICKS:
        return [], nothing
    height, width = density.shape
    tall, wide = pieces[:, 2] - pieces[:, 0], pieces[:, 3] - pieces[:, 1]
    slender = np.flatnonzero((tall >= 1.5 * wide) & (tall <= 0.6 * height) & (wide <= max(6, 0.01 * width)))
    found: list[DrawnBar] = []
    members = nothing
    for key in np.unique(pieces[slender][:, [0, 2]], axis=0):
        group = slender[(np.abs(pieces[slender][:, [0, 2]] - key) <= 1).all(axis=1)]
        group = group[np.argsort(pieces[group, 1])]
        if len(group) < _FEWEST_TICKS or len(group) <= len(members):
            continue
        middles = _middles(density, pieces[group])
        number = np.arange(len(group))
        step, start = np.polyfit(number, middles, 1)
        # Letters like l and 1 are no ticks: ticks stand apart, evenly, and have their rows to themselves.
        if step < 2.5 * wide[group].max() or np.abs(middles - start - step * number).max() > _EVENLY * step + 0.5:
            continue
        if _strangers(pieces, group):
            continue
        top, bottom = int(pieces[group, 0].min()), int(pieces[group, 2].max())
        found = [DrawnBar("ticks", float(start), float(start + step * number[-1]), top, bottom, True, True)]
        members = group
    return found, members


def _strangers(pieces: Boxes, group: npt.NDArray[np.int64]) -> bool:
    """Whether anything else stands in the upper half of the ticks' rows, between the first and the last."""
    top, left, bottom, right = pieces.T
    upper, lower = pieces[group, 0].min(), (pieces[group, 0].min() + pieces[group, 2].max()) / 2
    among = (top < lower) & (bottom > upper) & (left >= pieces[group, 1].min()) & (right <= pieces[group, 3].max())
    among[group] = False
    return bool(among.any())


def _middles(density: Float, boxes: Boxes) -> Float:
    """Return the centre of ink across each box, in pixels from the left edge of the image."""
    cumulated = np.cumsum(density, axis=0)
    middles = []
    for top, left, bottom, right in boxes:
        before, after = max(0, left - 1), min(density.shape[1], right + 1)
        profile = cumulated[bottom - 1, before:after] - (cumulated[top - 1, before:after] if top else 0)
        middles.append(before + float((profile * (np.arange(after - before) + 0.5)).sum() / profile.sum()))
    return np.array(middles)
