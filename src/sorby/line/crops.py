"""Pictures of defects, cut from the last strips that passed."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

import numpy as np
from PIL import Image

from sorby.files import explained
from sorby.line.components import Region
from sorby.line.scorer import GreyStrip
from sorby.line.strips import Bookmark, Strip

CONTEXT_PX, LEAST_PX, MOST_PX = 24, 96, 384
"""Surroundings shown on each side, and the least and largest edge of a picture."""


class RecentStrips:
    """The strips that passed last, as many as the longest open defect may reach back.

    Parameters
    ----------
    rows : int
        Lines to keep.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._strips: deque[Strip] = deque()

    def add(self, strip: Strip) -> None:
        """Take a strip and let go of what lies too far back."""
        self._strips.append(strip)
        while len(self._strips) > 1 and self._strips[1].core_row <= strip.end_row - self._rows:
            self._strips.popleft()

    @property
    def newest(self) -> Strip | None:
        """The strip taken last."""
        return self._strips[-1] if self._strips else None

    @property
    def kept_rows(self) -> int:
        """Lines kept."""
        return sum(strip.core_rows for strip in self._strips)

    @property
    def bookmark(self) -> Bookmark | None:
        """Of the oldest strip kept: from there on the strips must be made again to have the same pictures."""
        return self._strips[0].bookmark if self._strips else None

    def crop(self, region: Region) -> GreyStrip | None:
        """Return the picture of a region with its surroundings; None where its lines are no longer kept.

        Parameters
        ----------
        region : Region
            One larger than the largest picture is shown around its peak.

        Returns
        -------
        ndarray of uint8, shape (at most 384, at most 384)
        """
        rows, cols = _window(region.rows, region.peak[0]), _window(region.cols, region.peak[1])
        parts = [
            strip.core[max(0, rows[0] - strip.core_row) : rows[1] - strip.core_row]
            for strip in self._strips
            if strip.core_row < rows[1] and strip.end_row > rows[0] and self._lane_columns(strip, region)
        ]
        if not parts:
            return None
        owner = next(strip for strip in self._strips if strip.core_row < rows[1] and strip.end_row > rows[0])
        columns = self._lane_columns(owner, region)
        if columns is None:
            return None
        first, width, across = columns
        low, high = max(0, cols[0] - across), min(width, cols[1] - across)
        cut = [part[:, first + low : first + high] for part in parts]
        widths = {part.shape[1] for part in cut}
        if len(widths) > 1 or 0 in widths:  # the lines changed their width within the picture
            cut = [part for part in cut if part.shape[1] == max(widths)]
        return np.concatenate(cut) if cut and max(widths) else None

    @staticmethod
    def _lane_columns(strip: Strip, region: Region) -> tuple[int, int, int] | None:
        """Return first column, width and place of the lane that shows the region's peak best."""
        column = region.peak[1]
        seeing = [lane for lane in strip.lanes if lane.across_px <= column < lane.across_px + lane.width]
        if not seeing:
            return None
        lane = max(seeing, key=lambda each: min(column - each.across_px, each.across_px + each.width - column))
        return lane.first, lane.width, lane.across_px


def write_crop(path: Path, pixels: GreyStrip) -> None:
    """Write a grey PNG, complete or not at all.

    It is not forced to the disk: the line would wait for each picture. A process that is killed loses none.
    """
    partial = path.with_name(f".{path.name}.partial")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(pixels)).save(partial, format="PNG", compress_level=3)
        os.replace(partial, path)


def _window(span: tuple[int, int], peak: int) -> tuple[int, int]:
    """Return where a picture begins and ends on one axis; the beginning is never below 0."""
    size = span[1] - span[0] + 2 * CONTEXT_PX
    if size > MOST_PX:
        first = min(max(peak - MOST_PX // 2, span[0] - CONTEXT_PX), span[1] + CONTEXT_PX - MOST_PX)
        return max(0, first), max(0, first) + MOST_PX
    size = max(size, LEAST_PX)
    first = max(0, (span[0] + span[1] - size) // 2)
    return first, first + size
