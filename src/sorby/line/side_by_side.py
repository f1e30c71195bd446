"""Several cameras side by side: lanes with known offsets, read in step, as one source.

The pixels of overlapping lanes are not mixed: cameras differ in gain, and a seam drawn into the picture would be a
defect to the detector. Lanes are scored one by one, and their maps laid over each other on the web (the larger score
counts), so a defect on the seam is one defect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sorby.errors import InputError
from sorby.line.lines import Incident, Item, Lane, LineBlock, LineSource, LostLines


@dataclass(frozen=True)
class Camera:
    """One source and where it looks.

    Attributes
    ----------
    source : LineSource
    across_px : int
        Column of the web that its first column shows.
    along_px : int
        Lines of the web by which its first line lies ahead of the roll's beginning (a camera mounted further down the
        web sees a place later): so many of its lines are dropped at the start.
    """

    source: LineSource
    across_px: int
    along_px: int = 0


_ENDED = "ended"


class _Reading:
    """The item that one lane is at, and how much of it has been used."""

    def __init__(self, camera: Camera, number: int, cursor: Any) -> None:
        self.number, self.camera = number, camera
        self.item: Item | None = None
        self.used = 0
        self.told: list[Incident] = []
        self.rewindable = True
        if cursor == _ENDED:
            return
        at, used = (None, camera.along_px) if cursor is None else (cursor[0], int(cursor[1]))
        self._items = camera.source.items(at)
        self._take(used, told=cursor is not None and used > 0)

    def _take(self, skip: int, *, told: bool) -> None:
        """Go on to the item that holds the line *skip* lines ahead."""
        while True:
            self.item = next(self._items, None)
            if self.item is None:
                return
            self.rewindable = self.rewindable and self.item.cursor is not None
            if isinstance(self.item, LineBlock) and not told:
                self.told += [
                    replace(each, lane=self.number, row=max(0, each.row - skip)) for each in self.item.incidents
                ]
            rows = self.item.rows
            if rows is not None and skip < rows:
                self.used = skip
                return
            if rows is None:  # lost lines of unknown number take no room; they are passed on as they are
                self.used = 0
                return
            skip -= rows

    @property
    def left(self) -> int | None:
        """Lines left of the item; None at the end of the lane, 0 for a loss of unknown length."""
        if self.item is None:
            return None
        return 0 if self.item.rows is None else self.item.rows - self.used

    @property
    def cursor(self) -> Any:
        """Where to take the lane up."""
        return _ENDED if self.item is None else [self.item.cursor, self.used]

    def advance(self, rows: int) -> None:
        """Use *rows* lines."""
        if self.item is None:
            return
        self.used += rows
        if self.left == 0:
            self._take(0, told=False)


class SideBySide:
    """Cameras read in step.

    Parameters
    ----------
    cameras : sequence of Camera
        From left to right.

    Raises
    ------
    InputError
        A camera looks left of the web's edge, or its shift along the web is negative.
    """

    def __init__(self, cameras: Sequence[Camera]) -> None:
        self._cameras = list(cameras)
        for number, camera in enumerate(self._cameras):
            if camera.across_px < 0 or camera.along_px < 0:
                raise InputError(
                    f"lane {number}: offset {camera.across_px} px across, {camera.along_px} px along: not below zero",
                    "count across from the web's left edge, and along from the lane that sees a place first",
                )

    @property
    def width(self) -> int:
        """Columns of the widest lane."""
        return max(camera.source.width for camera in self._cameras)

    @property
    def rows_total(self) -> int | None:
        """Lines of the longest lane."""
        totals = [(camera.source.rows_total, camera.along_px) for camera in self._cameras]
        known = [total - along for total, along in totals if total is not None]
        return max(known) if len(known) == len(totals) else None

    def identity(self) -> dict[str, Any]:
        """Return every lane's source and place."""
        return {
            "lanes": [
                {**camera.source.identity(), "across_px": camera.across_px, "along_px": camera.along_px}
                for camera in self._cameras
            ]
        }

    def items(self, cursor: Any = None) -> Iterator[Item]:
        """Yield blocks of all lanes as far as each of them reaches; a cursor holds one of each lane."""
        lanes = [
            _Reading(camera, number, None if cursor is None else cursor["lanes"][number])
            for number, camera in enumerate(self._cameras)
        ]
        # Losses and ends that have been passed on; a cursor keeps them, so that they are not told twice.
        told: set[int] = set() if cursor is None else set(cursor["told"])
        while any(lane.item is not None for lane in lanes):
            for lane in lanes:
                if lane.number in told:
                    continue
                loss = self._loss(lane)
                if loss is not None:
                    yield replace(loss, cursor=self._cursor(lanes, told), lane=lane.number, advances=False)
                    told.add(lane.number)
                    if lane.item is not None and lane.item.rows is None:
                        lane.advance(0)
                        told.discard(lane.number)
            rows = min((lane.left for lane in lanes if lane.left), default=0)
            if rows == 0:
                continue
            yield self._together(lanes, rows, self._cursor(lanes, told))
            for lane in lanes:
                lane.advance(rows)
                if lane.item is not None and lane.used == 0:
                    told.discard(lane.number)

    @staticmethod
    def _loss(lane: _Reading) -> LostLines | None:
        """Return what is to be told before this lane's next line."""
        if lane.item is None:
            return LostLines(None, f"lane {lane.number} ended before the others", "")
        return lane.item if isinstance(lane.item, LostLines) else None

    @staticmethod
    def _cursor(lanes: Sequence[_Reading], told: set[int]) -> Any:
        if not all(lane.rewindable for lane in lanes):
            return None
        return {"lanes": [lane.cursor for lane in lanes], "told": sorted(told)}

    @staticmethod
    def _together(lanes: Sequence[_Reading], rows: int, cursor: Any) -> Item:
        seen = [(lane, lane.item) for lane in lanes if isinstance(lane.item, LineBlock)]
        if not seen:
            return LostLines(rows, "no lane shows these lines", "", cursor)
        parts = [item.pixels[lane.used : lane.used + rows] for lane, item in seen]
        first = np.cumsum([0, *(part.shape[1] for part in parts)])
        layout = tuple(
            Lane(lane.number, int(at), part.shape[1], lane.camera.across_px)
            for (lane, _), part, at in zip(seen, parts, first, strict=False)
        )
        incidents = tuple(each for lane, _ in seen for each in lane.told)
        for lane, _ in seen:
            lane.told.clear()
        return LineBlock(
            pixels=parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1),
            lanes=layout,
            origin=" + ".join(item.origin for _, item in seen),
            cursor=cursor,
            incidents=incidents,
            breaks=any(item.breaks and lane.used == 0 for lane, item in seen),
            arrived=max(item.arrived for _, item in seen),
        )
