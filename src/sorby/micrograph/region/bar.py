"""The micron bar and its lettering: drawn on the picture, so straight, even and sharp as no structure is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, binary_fill_holes, find_objects, label, maximum_filter, minimum_filter

Mask = npt.NDArray[np.bool_]
UInt8 = npt.NDArray[np.uint8]

_SHORTEST, _LONGEST = 0.05, 0.7  # of the picture's width; a bar is usually a tenth to a third of it
_EVEN = 6  # grey levels between neighbours on a drawn line, JPEG noise included
_STEP = 56  # grey levels between the bar and what it lies on
_REACH, _REACH_SHARE = 3, 0.005  # within which the step must happen: pixels, or of the shorter side where that is more


@dataclass(frozen=True)
class _Box:
    """A box of the picture: rows top to bottom, columns left to right, ends excluded."""

    top: int
    left: int
    bottom: int
    right: int

    def around(self, other: _Box) -> _Box:
        return _Box(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )

    def grown(self, rows: int, columns: int, shape: tuple[int, int]) -> _Box:
        return _Box(
            max(0, self.top - rows),
            max(0, self.left - columns),
            min(shape[0], self.bottom + rows),
            min(shape[1], self.right + columns),
        )

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)


def find_bar(grey: UInt8) -> Mask:
    """Return which pixels the micron bar covers, with its lettering and the panel it stands on.

    Parameters
    ----------
    grey : ndarray of uint8, shape (H, W)

    Returns
    -------
    ndarray of bool, shape (H, W)
        Rectangles; all False where no bar is found.

    Notes
    -----
    A bar is a horizontal rectangle of one grey value, a twentieth to seven tenths of the picture's width long, that
    differs by a step from what lies above and below over its whole length and from what lies at its ends. Lettering
    is looked for above and below it. Vertical bars, slanted ones and those without an even line are not found.
    """
    covered = np.zeros(grey.shape, dtype=bool)
    lines = _lines(grey)
    panels = [panel for panel in (_panel(grey, line) for line in lines) if panel is not None]
    for panel in panels:
        covered[panel.grown(1, 1, (grey.shape[0], grey.shape[1])).slices] = True
    on_panel = covered.copy()
    for line in lines:
        # The margin of a panel beside its bar is straight and even too.
        if not on_panel[line.slices].all():
            covered[_with_lettering(grey, line).slices] = True
    return covered


def _lines(grey: UInt8) -> list[_Box]:
    """Return the straight, even, sharply bounded horizontal lines."""
    width = grey.shape[1]
    shortest = max(12, int(_SHORTEST * width))
    if width <= shortest:
        return []
    runs = _long_runs(np.abs(np.diff(grey.astype(np.int16), axis=1)) <= _EVEN, shortest - 1)
    level = grey.astype(np.int16)
    reach = _reach(grey.shape)
    found = []
    # Dark and bright pixels are joined apart, so that a black line on its white panel is a thing of its own.
    for side in (level < 96, level > 160, (level >= 96) & (level <= 160)):
        pieces, _ = label(runs & side)
        for rows, columns in find_objects(pieces):
            box = _core(level, _Box(rows.start, columns.start, rows.stop, columns.stop))
            if box.right - box.left <= _LONGEST * width and _is_bar(level, box, reach):
                found.append(box)
    return found


def _core(level: npt.NDArray[np.int16], box: _Box) -> _Box:
    """Return the rows of a piece that have its utmost value: resizing leaves even rows of in-between values."""
    rows = np.median(level[box.slices], axis=1)
    middle = float(np.median(rows))
    utmost = float(rows.min() if middle < 128 else rows.max())
    same = np.flatnonzero(np.abs(rows - utmost) <= 2 * _EVEN)
    return _Box(box.top + int(same[0]), box.left, box.top + int(same[-1]) + 1, box.right)


def _reach(shape: tuple[int, ...]) -> int:
    """Return within how many pixels of a bar its surroundings begin."""
    return max(_REACH, round(_REACH_SHARE * min(shape)))


def _long_runs(even: Mask, shortest: int) -> Mask:
    """Mark the pixels, shape (H, W), of horizontal runs of at least *shortest* even steps, shape (H, W - 1)."""
    height, steps = even.shape
    padded = np.zeros((height, steps + 2), dtype=np.int8)
    padded[:, 1:-1] = even
    change = np.diff(padded, axis=1)
    row, start = np.nonzero(change == 1)
    _, stop = np.nonzero(change == -1)
    long = stop - start >= shortest
    marks = np.zeros((height, steps + 2), dtype=np.int32)
    np.add.at(marks, (row[long], start[long]), 1)
    np.add.at(marks, (row[long], stop[long] + 1), -1)
    return np.asarray(np.cumsum(marks, axis=1)[:, : steps + 1] > 0)


def _is_bar(level: npt.NDArray[np.int16], box: _Box, reach: int) -> bool:
    """Whether a piece is a filled rectangle of one value that ends in a step on all four sides."""
    tall, long = box.bottom - box.top, box.right - box.left
    inside = level[box.slices]
    value = int(np.median(inside))
    if tall > 0.3 * long or (np.abs(inside - value) <= 3 * _EVEN).mean() < 0.9:
        return False
    height, width = level.shape
    above = level[max(0, box.top - reach) : box.top, box.left : box.right]
    below = level[box.bottom : min(height, box.bottom + reach), box.left : box.right]
    ends = (
        level[box.top : box.bottom, max(0, box.left - reach) : box.left].T,
        level[box.top : box.bottom, box.right : min(width, box.right + reach)].T,
    )
    steps = [_share_of_step(side, value) for side in (above, below, *ends)]
    return min(steps[:2]) >= 0.9 and min(steps[2:]) >= 0.5


def _share_of_step(beside: npt.NDArray[np.int16], value: int) -> float:
    """Return for which share of a side, shape (reach, length), the grey value jumps within reach."""
    if beside.size == 0:
        return 0.0
    return float((np.abs(beside - value).max(axis=0) >= _STEP).mean())


def _with_lettering(grey: UInt8, bar: _Box) -> _Box:
    """Return a bar that stands on the picture itself with the lettering beside it."""
    found = bar
    text = _lettering(grey, bar)
    if text is not None:
        found = bar.around(text)
        margin = max(2, (text.bottom - text.top) // 4)
    else:
        margin = max(2, bar.bottom - bar.top)
    return found.grown(margin, margin, grey.shape)


def _panel(grey: UInt8, bar: _Box) -> _Box | None:
    """Return the even box that the bar stands on, if there is one."""
    beside = _reach(grey.shape) + 1
    ring_box = bar.grown(beside, beside, (grey.shape[0], grey.shape[1]))
    ring = np.concatenate([grey[ring_box.top, ring_box.left : ring_box.right],
                           grey[ring_box.bottom - 1, ring_box.left : ring_box.right]]).astype(np.int16)  # fmt: skip
    value = int(np.median(ring))
    if (np.abs(ring - value) <= _EVEN).mean() < 0.9:
        return None
    even = np.abs(grey.astype(np.int16) - value) <= _EVEN
    pieces, _ = label(even)
    row = pieces[ring_box.top, ring_box.left : ring_box.right]
    if not row.any():
        return None
    number = int(np.bincount(row[row > 0]).argmax())
    rows, columns = find_objects(pieces)[number - 1]
    box = _Box(rows.start, columns.start, rows.stop, columns.stop)
    filled = binary_fill_holes(pieces[box.slices] == number)
    whole = (box.bottom - box.top) * (box.right - box.left) > 0.5 * grey.size
    return None if whole or filled.mean() < 0.9 else box


def _lettering(grey: UInt8, bar: _Box) -> _Box | None:
    """Return the box of the sharp strokes just above, below or beside a bar that stands on the picture itself."""
    height, width = grey.shape
    high = max(16, round(0.09 * min(height, width)))
    window = bar.grown(high, high // 2, (height, width))
    part = grey[window.slices].astype(np.int16)
    value = int(np.median(grey[bar.slices]))
    # A stroke holds the bar's own value and, within a pixel, one as far from it as drawing makes it.
    near = _reach(grey.shape)
    span = maximum_filter(part, near) - minimum_filter(part, near)
    strokes = (np.abs(part - value) <= 24) & (span >= 150)
    local = _Box(bar.top - window.top, bar.left - window.left, bar.bottom - window.top, bar.right - window.left)
    strokes[local.grown(near, near, (part.shape[0], part.shape[1])).slices] = False
    pieces, _ = label(binary_dilation(strokes, np.ones((3, 3), bool), iterations=max(2, high // 8)))
    best: _Box | None = None
    for number, (rows, columns) in enumerate(find_objects(pieces), start=1):
        inked = int((strokes[rows, columns] & (pieces[rows, columns] == number)).sum())
        if inked < 12:
            continue
        ys, xs = np.nonzero(strokes & (pieces == number))
        box = _Box(ys.min() + window.top, xs.min() + window.left, ys.max() + 1 + window.top, xs.max() + 1 + window.left)
        best = box if best is None else best.around(box)
    return best
