"""From maps to defects while the web moves: 8-connected regions, merged across strips, in constant memory.

Each strip's cells at or above the threshold are labelled; regions that reach the strip's last row stay open and are
united with whatever touches them in the next. Of an open region only sums and extremes are kept, which add up when
two regions prove to be one: cells, centre, scores, peak, and how far it reaches in ninety directions, from which the
smallest rectangle around it follows (rotating calipers, two degrees apart). The open regions are at most half as many
as a row has cells, whatever the length of the roll.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse

from sorby.line.scorer import NameMap, ScoreMap

DIRECTIONS = 90
_ANGLES = np.pi * np.arange(DIRECTIONS) / DIRECTIONS
_COS, _SIN = np.cos(_ANGLES), np.sin(_ANGLES)
_EIGHT = np.ones((3, 3), bool)
_Ints = npt.NDArray[np.int64]

#: Columns of the table of regions and how two regions' values combine.
_SUMS = ("cells", "sum_row", "sum_col", "sum_score")
_LEAST = ("row0", "col0")
_MOST = ("row1", "col1", "streak")
_PEAK = ("peak", "peak_row", "peak_col", "name")
_NAMES = (*_SUMS, *_LEAST, *_MOST, *_PEAK)


@dataclass(frozen=True, eq=False)
class Region:
    """A closed region; rows and columns are pixels of the web, cell edges included.

    Attributes
    ----------
    cells : int
    centre : (float, float)
        Mean row and column of its cells' centres.
    score, mean_score : float
    peak : (int, int)
        Row and column of the first pixel of the cell with the largest score.
    rows, cols : (int, int)
        First and one past the last.
    extents_mm : ndarray, shape (90,)
        How far it reaches in each direction; direction k runs at 2k degrees from the web's own.
    streak : int
        Number of the streak it is a piece of, 0 for none.
    continues : bool
        It was closed for its length and goes on in the next piece.
    name : int
        Class of the cell with the largest score; -1 where the detector names none.
    """

    cells: int
    centre: tuple[float, float]
    score: float
    mean_score: float
    peak: tuple[int, int]
    rows: tuple[int, int]
    cols: tuple[int, int]
    extents_mm: npt.NDArray[np.float64]
    streak: int
    continues: bool
    name: int = -1


class RegionTracer:
    """Labels the maps of successive strips.

    Parameters
    ----------
    stride : int
        Edge of a cell, pixels.
    threshold : float
    piece_rows : int
        A region open for more lines than this is closed in pieces, which bear the number of their streak.
    pixel_mm : (float, float)
        Size of a pixel along and across the web.
    """

    def __init__(
        self, stride: int, threshold: float, piece_rows: int, pixel_mm: tuple[float, float] = (1.0, 1.0)
    ) -> None:
        self._stride, self._threshold, self._piece_rows = stride, threshold, piece_rows
        self._pixel_mm = pixel_mm
        self._table = _empty()
        self._reach = np.empty((0, 2, DIRECTIONS))
        self._edge: _Ints = np.zeros(0, np.int64)
        self._streaks = 0

    @property
    def open_regions(self) -> int:
        """Regions that may go on in the next strip."""
        return len(self._table["cells"])

    def add(self, scores: ScoreMap, row: int, *, joins: bool, names: NameMap | None = None) -> list[Region]:
        """Take the map of a strip's core.

        Parameters
        ----------
        scores : ndarray of float32, shape (H, W)
            Cells of the whole web; -inf where nothing was seen.
        row : int
            Line of the web at which the first cell begins.
        joins : bool
            The map continues the one before without a gap.
        names : ndarray of int16, shape (H, W), optional
            Class of each cell.

        Returns
        -------
        list of Region
            Those that can no longer grow, in the order of their first rows.
        """
        closed = [] if joins else self.close()
        found = scores >= self._threshold
        labels, n = ndimage.label(found, structure=_EIGHT) if found.any() else (np.zeros(found.shape, np.int32), 0)
        if n == 0 and self.open_regions == 0:
            self._edge = np.zeros(scores.shape[1], np.int64)
            return closed
        table, reach = self._measure(labels, n, scores, row, names)
        group = self._unite(labels[0], n)
        merged, merged_reach = _merge(self._table, self._reach, table, reach, group)
        k = self.open_regions
        last = np.where(labels[-1] > 0, group[k + np.maximum(labels[-1].astype(np.int64) - 1, 0)] + 1 if n else 0, 0)
        closed += self._settle(merged, merged_reach, last)
        return closed

    def close(self) -> list[Region]:
        """Close every open region: the roll ends, or lines were lost."""
        regions = self._regions(self._table, self._reach, np.arange(self.open_regions), continues=False)
        self._table, self._reach = _empty(), np.empty((0, 2, DIRECTIONS))
        self._edge = np.zeros(self._edge.shape, np.int64)
        return regions

    def state(self) -> dict[str, Any]:
        """Return the open regions as a JSON object, every bit of them."""
        return {
            "streaks": self._streaks,
            "edge": [int(value) for value in self._edge] if self.open_regions else len(self._edge),
            "table": {name: values.tolist() for name, values in self._finite(self._table).items()},
            "reach": base64.b64encode(np.ascontiguousarray(self._reach, "<f8").tobytes()).decode("ascii"),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self._streaks = state["streaks"]
        edge = state["edge"]
        self._edge = np.zeros(edge, np.int64) if isinstance(edge, int) else np.array(edge, np.int64)
        blank = [None] * len(state["table"]["cells"])  # a journal from before regions had names
        self._table = {name: np.array(state["table"].get(name, blank), np.float64) for name in _NAMES}
        self._table = {name: np.where(np.isnan(v), _BLANK[name], v) for name, v in self._table.items()}
        self._reach = np.frombuffer(base64.b64decode(state["reach"]), "<f8").reshape(-1, 2, DIRECTIONS).copy()

    @staticmethod
    def _finite(table: dict[str, npt.NDArray[np.float64]]) -> dict[str, npt.NDArray[Any]]:
        """Replace the infinities of blank regions by None, for JSON has none."""
        return {
            name: np.array([value if np.isfinite(value) else None for value in values.tolist()], object)
            for name, values in table.items()
        }

    def _measure(
        self, labels: npt.NDArray[Any], n: int, scores: ScoreMap, row: int, names: NameMap | None
    ) -> tuple[dict[str, npt.NDArray[np.float64]], npt.NDArray[np.float64]]:
        """Return the table of a strip's own regions and their reach."""
        if n == 0:
            return _empty(), np.empty((0, 2, DIRECTIONS))
        at_row, at_col = np.nonzero(labels)
        label = labels[at_row, at_col].astype(np.int64) - 1
        order = np.argsort(label, kind="stable")
        label, at_row, at_col = label[order], at_row[order], at_col[order]
        value = scores[at_row, at_col].astype(np.float64)
        rows, cols = (row + at_row * self._stride).astype(np.float64), (at_col * self._stride).astype(np.float64)
        first = np.flatnonzero(np.r_[True, label[1:] != label[:-1]])
        best = np.lexsort((cols, rows, -value, label))[first]
        table = {
            "cells": np.diff(np.r_[first, len(label)]).astype(np.float64),
            "sum_row": np.add.reduceat(rows, first),
            "sum_col": np.add.reduceat(cols, first),
            "sum_score": np.add.reduceat(value, first),
            "row0": np.minimum.reduceat(rows, first),
            "col0": np.minimum.reduceat(cols, first),
            "row1": np.maximum.reduceat(rows, first) + self._stride,
            "col1": np.maximum.reduceat(cols, first) + self._stride,
            "streak": np.zeros(n),
            "peak": value[best],
            "peak_row": rows[best],
            "peak_col": cols[best],
            "name": np.full(n, -1.0) if names is None else names[at_row, at_col][best].astype(np.float64),
        }
        return table, _reach(label, rows * self._pixel_mm[0], cols * self._pixel_mm[1])

    def _unite(self, first_row: npt.NDArray[Any], n: int) -> _Ints:
        """Return the group of each open region, then of each new one; those that touch share a group."""
        k, width = self.open_regions, len(first_row)
        pairs: list[npt.NDArray[np.int64]] = []
        if k and len(self._edge) == 0:
            raise AssertionError("open regions without an edge")
        edge = np.zeros(width, np.int64)
        edge[: min(width, len(self._edge))] = self._edge[:width]
        for shift in (-1, 0, 1):
            upper = np.zeros(width, np.int64)
            lo, hi = max(0, shift), min(width, width + shift)
            upper[lo:hi] = edge[lo - shift : hi - shift]
            touching = (upper > 0) & (first_row > 0)
            pairs.append(np.stack([upper[touching] - 1, k + first_row[touching].astype(np.int64) - 1]))
        one, other = np.concatenate(pairs, axis=1)
        graph = sparse.coo_matrix((np.ones(len(one), np.int8), (one, other)), shape=(k + n, k + n))
        return np.asarray(sparse.csgraph.connected_components(graph, directed=False)[1], np.int64)

    def _settle(
        self, table: dict[str, npt.NDArray[np.float64]], reach: npt.NDArray[np.float64], last: _Ints
    ) -> list[Region]:
        """Close what does not reach the last row, and what is too long; keep the rest open."""
        n = len(table["cells"])
        is_open = np.zeros(n, bool)
        is_open[last[last > 0] - 1] = True
        ended = np.flatnonzero(~is_open & (table["cells"] > 0))
        regions = self._regions(table, reach, ended, continues=False)
        too_long = is_open & (table["row1"] - table["row0"] >= self._piece_rows)
        for index in np.flatnonzero(too_long):
            if table["streak"][index] == 0:
                self._streaks += 1
                table["streak"][index] = self._streaks
        regions += self._regions(table, reach, np.flatnonzero(too_long), continues=True)
        for name in _NAMES:
            if name != "streak":
                table[name][too_long] = _BLANK[name]
        reach[too_long] = np.array([np.inf, -np.inf])[:, None]
        kept = np.flatnonzero(is_open)
        self._table, self._reach = {name: values[kept] for name, values in table.items()}, reach[kept]
        number = np.zeros(n + 1, np.int64)
        number[kept + 1] = np.arange(1, len(kept) + 1)
        self._edge = number[last]
        return regions

    def _regions(
        self, table: dict[str, npt.NDArray[np.float64]], reach: npt.NDArray[np.float64], which: Any, *, continues: bool
    ) -> list[Region]:
        half = self._stride / 2
        spread = half * (self._pixel_mm[0] * np.abs(_COS) + self._pixel_mm[1] * np.abs(_SIN))
        order = sorted((int(i) for i in which if table["cells"][i]), key=lambda i: (table["row0"][i], table["col0"][i]))
        return [
            Region(
                cells=int(table["cells"][i]),
                centre=(
                    float(table["sum_row"][i] / table["cells"][i] + half),
                    float(table["sum_col"][i] / table["cells"][i] + half),
                ),
                score=float(table["peak"][i]),
                mean_score=float(table["sum_score"][i] / table["cells"][i]),
                peak=(int(table["peak_row"][i]), int(table["peak_col"][i])),
                rows=(int(table["row0"][i]), int(table["row1"][i])),
                cols=(int(table["col0"][i]), int(table["col1"][i])),
                extents_mm=np.asarray(reach[i, 1] - reach[i, 0] + 2 * spread),
                streak=int(table["streak"][i]),
                continues=continues,
                name=int(max(table["name"][i], -1)),
            )
            for i in order
        ]


#: The table entry of a region without cells, neutral when merged.
_BLANK = {
    **dict.fromkeys(_SUMS, 0.0),
    **dict.fromkeys(_LEAST, np.inf),
    **dict.fromkeys(_MOST, -np.inf),
    **dict.fromkeys(_PEAK, -np.inf),
    "streak": 0.0,
}


def _empty() -> dict[str, npt.NDArray[np.float64]]:
    return {name: np.empty(0) for name in _NAMES}


def _reach(label: _Ints, rows: npt.NDArray[np.float64], cols: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return (regions, 2, directions): least and largest projection of the cells' corners.

    Only the first and last cell of each row of a region can be extreme; cells come sorted by label, row and column.
    """
    change = np.r_[True, (label[1:] != label[:-1]) | (rows[1:] != rows[:-1])]
    ends = np.unique(np.r_[np.flatnonzero(change), np.flatnonzero(np.r_[change[1:], True])])
    label, along = label[ends], rows[ends, None] * _COS + cols[ends, None] * _SIN
    first = np.flatnonzero(np.r_[True, label[1:] != label[:-1]])
    return np.stack([np.minimum.reduceat(along, first), np.maximum.reduceat(along, first)], axis=1)


def _merge(
    old: dict[str, npt.NDArray[np.float64]],
    old_reach: npt.NDArray[np.float64],
    new: dict[str, npt.NDArray[np.float64]],
    new_reach: npt.NDArray[np.float64],
    group: _Ints,
) -> tuple[dict[str, npt.NDArray[np.float64]], npt.NDArray[np.float64]]:
    """Combine the entries of each group."""
    table = {name: np.concatenate([old[name], new[name]]) for name in _NAMES}
    reach = np.concatenate([old_reach, new_reach])
    order = np.lexsort((table["peak_col"], table["peak_row"], -table["peak"], group))
    ranked = group[order]
    first = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    merged = {name: np.add.reduceat(table[name][order], first) for name in _SUMS}
    merged |= {name: np.minimum.reduceat(table[name][order], first) for name in _LEAST}
    merged |= {name: np.maximum.reduceat(table[name][order], first) for name in _MOST}
    merged |= {name: table[name][order][first] for name in _PEAK}
    low = np.minimum.reduceat(reach[order, 0], first)
    return merged, np.stack([low, np.maximum.reduceat(reach[order, 1], first)], axis=1)
