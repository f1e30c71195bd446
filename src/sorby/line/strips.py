"""From blocks of any height to overlapping strips of one height, so that no defect is cut.

A strip has a core, which counts, and a margin above and below, which the detector only looks at. Cores tile the web
without gap or overlap; margins are real lines wherever there are any, and mirrored ones at the ends of a segment: the
beginning and end of the roll, a gap, a change of width.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.line.lines import Incident, Item, Lane, LineBlock, LostLines, web_width
from sorby.line.scorer import GreyStrip


@dataclass(frozen=True)
class Bookmark:
    """Enough to make the same strips again from a strip on.

    Attributes
    ----------
    cursor : JSON value
        Of the first block the strip needs.
    block_row : int
        Line of the web at which that block begins.
    segment_row : int
        Line at which the segment began; no margin reaches beyond.
    core_row : int
        First line of the strip's core.
    joins : bool
    """

    cursor: Any
    block_row: int
    segment_row: int
    core_row: int
    joins: bool

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "cursor": self.cursor, "block_row": self.block_row, "segment_row": self.segment_row,
            "core_row": self.core_row, "joins": self.joins,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Strip:
    """Lines to be scored together.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (rows, columns)
        Real lines only: those of the core and what there is of the margins.
    top : int
        Lines of margin above the core.
    core_row, core_rows : int
        First line of the core on the web, and how many there are.
    lanes : tuple of Lane
    joins : bool
        The core continues that of the strip before.
    incidents : tuple of Incident
        With their lines on the web.
    quarantined : tuple of (str, str)
        File and reason.
    arrived : float
        When the last line it needed arrived.
    bookmark : Bookmark
    """

    pixels: GreyStrip
    top: int
    core_row: int
    core_rows: int
    lanes: tuple[Lane, ...]
    joins: bool
    incidents: tuple[Incident, ...]
    quarantined: tuple[tuple[str, str], ...]
    arrived: float
    bookmark: Bookmark

    @property
    def core(self) -> GreyStrip:
        """The pixels that count, (core_rows, columns)."""
        return self.pixels[self.top : self.top + self.core_rows]

    @property
    def end_row(self) -> int:
        """Line of the web after the core's last."""
        return self.core_row + self.core_rows

    def without_pixels(self) -> Strip:
        """Return the strip's place on the web alone."""
        return replace(self, pixels=np.empty((0, self.pixels.shape[1]), np.uint8))


@dataclass(frozen=True)
class EndOfRoll:
    """What is left to say when no strip follows."""

    row: int
    incidents: tuple[Incident, ...]
    quarantined: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Buffered:
    row: int
    block: LineBlock

    @property
    def end(self) -> int:
        return self.row + self.block.rows


class StripMaker:
    """Cuts what comes into strips.

    Parameters
    ----------
    rows : int
        Of a strip with both margins.
    margin : int
    start : Bookmark, optional
        Make the strips from this one on.
    row : int
        Line of the web at which the first block begins, without a bookmark.
    """

    def __init__(self, rows: int, margin: int, start: Bookmark | None = None, row: int = 0) -> None:
        if rows <= 2 * margin:
            raise InputError(
                f"strips of {rows} rows have no core beside two margins of {margin}", "use strips with more rows"
            )
        self._core, self._margin = rows - 2 * margin, margin
        self._buffer: deque[_Buffered] = deque()
        self._lanes: tuple[Lane, ...] | None = None
        self._incidents: list[Incident] = []
        self._quarantined: list[tuple[str, str]] = []
        self._segment_row = start.segment_row if start else row
        self._next = start.core_row if start else row
        self._end = start.block_row if start else row
        self._joins = start.joins if start else False

    def feed(self, item: Item) -> Iterator[Strip]:
        """Take what came and yield the strips that are complete."""
        if isinstance(item, LostLines):
            yield from self._lose(item)
            return
        if item.rows == 0:
            self._incidents += [replace(each, row=self._end + each.row) for each in item.incidents]
            return
        changed = self._lanes is not None and item.lanes != self._lanes
        if self._lanes is not None and (changed or item.breaks):
            yield from self._flush()
            if changed:
                self._note_width(item)
            self._begin(joins=not item.breaks)
        self._lanes = item.lanes
        self._incidents += [replace(each, row=self._end + each.row) for each in item.incidents]
        self._buffer.append(_Buffered(self._end, item))
        self._end += item.rows
        while self._end - self._next >= self._core + self._margin:
            yield self._emit(self._core)

    def finish(self) -> Iterator[Strip | EndOfRoll]:
        """Yield the strips that are left, then the end."""
        yield from self._flush()
        yield EndOfRoll(self._end, tuple(self._incidents), tuple(self._quarantined))

    def _lose(self, lost: LostLines) -> Iterator[Strip]:
        incident = Incident("gap", self._end, lost.rows, lost.lane, lost.message)
        if lost.advances:
            yield from self._flush()
            incident = replace(incident, row=self._end)
            self._end += lost.rows or 0
            self._begin(joins=False)
        self._incidents.append(incident)
        if lost.quarantined:
            self._quarantined.append((lost.origin, lost.quarantined))

    def _begin(self, *, joins: bool) -> None:
        self._buffer.clear()
        self._segment_row = self._next = self._end
        self._joins = joins
        self._lanes = None

    def _note_width(self, block: LineBlock) -> None:
        assert self._lanes is not None
        before, after = web_width(self._lanes), web_width(block.lanes)
        if before != after:
            message = f"{block.origin}: lines are {after} pixels wide from here, {before} before; left edges aligned"
            self._incidents.append(Incident("width-change", self._end, block.rows, 0, message))

    def _flush(self) -> Iterator[Strip]:
        while self._next < self._end and self._buffer:
            yield self._emit(min(self._core, self._end - self._next))

    def _emit(self, core_rows: int) -> Strip:
        first = max(self._segment_row, self._next - self._margin)
        last = min(self._end, self._next + core_rows + self._margin)
        while self._buffer[0].end <= first:
            self._buffer.popleft()
        parts = [
            each.block.pixels[max(0, first - each.row) : last - each.row] for each in self._buffer if each.row < last
        ]
        head, tail = self._buffer[0], max((each for each in self._buffer if each.row < last), key=lambda each: each.row)
        assert self._lanes is not None
        strip = Strip(
            pixels=parts[0] if len(parts) == 1 else np.concatenate(parts),
            top=self._next - first,
            core_row=self._next,
            core_rows=core_rows,
            lanes=self._lanes,
            joins=self._joins,
            incidents=tuple(self._incidents),
            quarantined=tuple(self._quarantined),
            arrived=tail.block.arrived,
            bookmark=Bookmark(head.block.cursor, head.row, self._segment_row, self._next, self._joins),
        )
        self._incidents.clear()
        self._quarantined.clear()
        self._next += core_rows
        self._joins = True
        return strip


@dataclass(frozen=True)
class Window:
    """Columns of a lane that go to the detector together.

    Attributes
    ----------
    left : int
        Lane column at the detector's column 0; negative where the margin is mirrored.
    keep : (int, int)
        Lane columns whose scores count.
    """

    left: int
    keep: tuple[int, int]


def windows(lane_width: int, scorer_width: int, margin: int, stride: int) -> list[Window]:
    """Split a lane into as many windows as the detector's width asks for.

    Parameters
    ----------
    lane_width, scorer_width, margin, stride : int
        Pixels.

    Returns
    -------
    list of Window
        Their *keep* ranges tile the lane. One window suffices where the lane fits; what room there is then goes to
        mirrored margins at both edges.

    Raises
    ------
    InputError
        The lane is wider than the detector, whose width leaves nothing beside its margins.
    """
    if lane_width <= scorer_width:
        left = min(margin, (scorer_width - lane_width) // 2) // stride * stride
        return [Window(-left, (0, lane_width))]
    core = scorer_width - 2 * margin
    if core <= 0:
        raise InputError(
            f"a detector {scorer_width} pixels wide has no core beside two margins of {margin}", "use a wider one"
        )
    return [Window(at - margin, (at, min(at + core, lane_width))) for at in range(0, lane_width, core)]


def mirrored(n: int, first: int, count: int) -> npt.NDArray[np.intp]:
    """Return *count* indices from *first* on into an axis of length *n*, mirrored at both ends (edges not repeated)."""
    index = np.arange(first, first + count)
    if n == 1:
        return np.zeros(count, np.intp)
    index = np.abs(index) % (2 * n - 2)
    return np.asarray(np.where(index < n, index, 2 * n - 2 - index), np.intp)


def cut(strip: Strip, lane: Lane, window: Window, rows: int, width: int, margin: int) -> GreyStrip:
    """Return what the detector gets for one window of a strip.

    Parameters
    ----------
    strip : Strip
    lane : Lane
    window : Window
    rows, width, margin : int
        The detector's; the core begins at row *margin*.

    Returns
    -------
    ndarray of uint8, shape (rows, width), contiguous
        Real pixels where there are any, mirrored ones elsewhere.
    """
    pixels = strip.pixels[:, lane.first : lane.first + lane.width]
    above = strip.top - margin
    low, high = max(0, window.left), min(lane.width, window.left + width)
    out = np.empty((rows, width), np.uint8)
    at = low - window.left
    middle = out[:, at : at + high - low]
    if above >= 0 and above + rows <= pixels.shape[0]:
        middle[:] = pixels[above : above + rows, low:high]
    else:
        middle[:] = pixels[mirrored(pixels.shape[0], above, rows), low:high]
    if at:
        out[:, :at] = middle[:, mirrored(high - low, -at, at)]
    rest = width - at - (high - low)
    if rest:
        out[:, width - rest :] = middle[:, mirrored(high - low, high - low, rest)]
    return out
