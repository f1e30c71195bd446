"""Counting along test lines: intersections with grain boundaries and intercepts of grains, with the standards' weights.

A line is followed over a label image: every grain has its own number, 0 is boundary. Where the labels leave no
boundary pixels between grains each cut is seen by itself; where the boundary has a width, a line can run through
the meeting point of three grains or touch a boundary without leaving its grain, and then the weights decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Labels = npt.NDArray[np.integer[Any]]
Points = npt.NDArray[np.float64]

_GRAZE_PX = 2.0
"""A visit to a neighbour shorter than this, from and to the same grain, is a step of the pixel grid, not a cut."""


@dataclass(frozen=True)
class CountingWeights:
    """What each event along a test line counts.

    Attributes
    ----------
    name : str
    crossing : float
        A boundary is cut.
    tangent : float
        A boundary is touched and the line stays in its grain.
    triple : float
        The line runs through a point where three grains meet.
    end_in_grain : float
        What the segment at an open end counts as an intercept.
    end_on_boundary : float
        An open end lies on a boundary, as an intersection.
    """

    name: str
    crossing: float = 1.0
    tangent: float = 0.5
    triple: float = 1.5
    end_in_grain: float = 0.5
    end_on_boundary: float = 0.5


ISO_643_WEIGHTS = CountingWeights("crossing 1, tangent 0.5, triple point 1.5, end in a grain 0.5")
"""ISO 643, intercept method."""

ASTM_E112_WEIGHTS = CountingWeights("crossing 1, tangent 1, triple point 1.5, end in a grain 0.5", tangent=1.0)
"""ASTM E112, section 12: a tangential intersection scores 1, which is where it differs."""


@dataclass(frozen=True)
class LineCount:
    """Events along one or more test lines; counts of several add up.

    Attributes
    ----------
    length_px : float
    crossings, tangents, triples : int
        Boundaries cut, touched, and cut where three grains meet (not among the crossings).
    ends_in_grain, ends_on_boundary : int
        Open ends of lines.
    whole_segments, end_segments, through_segments : int
        Stretches within one grain that end at boundaries on both sides, on one side, on neither.
    """

    length_px: float = 0.0
    crossings: int = 0
    tangents: int = 0
    triples: int = 0
    ends_in_grain: int = 0
    ends_on_boundary: int = 0
    whole_segments: int = 0
    end_segments: int = 0
    through_segments: int = 0

    def __add__(self, other: LineCount) -> LineCount:
        return LineCount(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def intersections(self, weights: CountingWeights = ISO_643_WEIGHTS) -> float:
        """Return P, the weighted number of boundary intersections."""
        return (
            weights.crossing * self.crossings
            + weights.triple * self.triples
            + weights.tangent * self.tangents
            + weights.end_on_boundary * self.ends_on_boundary
        )

    def intercepts(self, weights: CountingWeights = ISO_643_WEIGHTS) -> float:
        """Return N, the weighted number of intercepted grains.

        A line that never leaves its grain has two ends in it: what both take off leaves nothing to count.
        """
        both_ends = max(0.0, 1.0 - 2.0 * (1.0 - weights.end_in_grain))
        return (
            self.whole_segments
            + weights.end_in_grain * self.end_segments
            + both_ends * self.through_segments
            + weights.tangent * self.tangents
        )


def count_along(labels: Labels, points: Points, *, closed: bool = False) -> LineCount:
    """Follow one test line over a label image.

    Parameters
    ----------
    labels : ndarray of int, (H, W)
        Grains 1, 2 ...; 0 is boundary. Labels without any 0 are a complete partition.
    points : ndarray of float, (n, 2)
        Row and column along the line, at most half a pixel apart, all inside the image. A closed line does not
        repeat its first point.
    closed : bool
        Whether the last point joins the first.

    Returns
    -------
    LineCount
    """
    rows, cols = np.rint(points).astype(np.intp).T
    ids = labels[rows, cols]
    steps = np.hypot(*np.diff(points, axis=0).T)
    length = float(steps.sum()) + (float(np.hypot(*(points[0] - points[-1]))) if closed else 0.0)
    if closed:  # begin where a grain begins, so that no run is cut in two
        change = np.flatnonzero(ids != np.roll(ids, 1))
        if not change.size:
            return LineCount(length_px=length)
        turn = next((int(k) for k in change if ids[k] != 0), int(change[0]))
        ids, rows, cols = (np.roll(each, -turn) for each in (ids, rows, cols))
    starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    pitch = length / max(1, len(ids) - (0 if closed else 1))
    lengths = np.diff(np.concatenate([starts, [len(ids)]])) * pitch
    runs = [int(each) for each in ids[starts]]
    spans = [(int(a), int(b)) for a, b in zip(starts, [*starts[1:], len(ids)], strict=True)]
    meets = [run == 0 and _three_meet(labels, rows[a:b], cols[a:b]) for run, (a, b) in zip(runs, spans, strict=True)]
    return _events(runs, lengths.tolist(), meets, length, closed)


def _events(runs: list[int], lengths: list[float], meets: list[bool], length: float, closed: bool) -> LineCount:
    """Turn runs of labels into counts."""
    kinds: list[str] = []
    here = 0  # the grain the line is in
    first_on_boundary = not closed and runs[0] == 0
    last_on_boundary = not closed and runs[-1] == 0
    count = len(runs)
    k = 1 if first_on_boundary else 0
    here = runs[k] if k < count else 0
    if here == 0:  # the whole line lies on a boundary
        return LineCount(length_px=length, ends_on_boundary=0 if closed else 2)
    k += 1
    while k < count:
        place = k
        via_boundary = runs[k] == 0
        if via_boundary:
            k += 1
        if k >= count:
            if closed:  # the boundary before the point where we began
                kinds.append("triple" if meets[place] else "crossing")
            break
        there = runs[k]
        if there == here:
            kinds.append("tangent")
        elif _grazes(runs, lengths, k, here):
            k += 2 if runs[k + 1] == 0 else 1
        else:
            kinds.append("triple" if via_boundary and meets[place] else "crossing")
            here = there
        k += 1
    if closed and runs[-1] != 0 and runs[-1] != runs[0]:
        kinds.append("crossing")
    cuts = sum(kind != "tangent" for kind in kinds)
    segments = cuts if closed else cuts + 1
    open_ends = 0 if closed else 2 - int(first_on_boundary) - int(last_on_boundary)
    through = int(not closed and cuts == 0 and open_ends == 2)
    ends = 0 if through else open_ends
    return LineCount(
        length_px=length,
        crossings=kinds.count("crossing"),
        tangents=kinds.count("tangent"),
        triples=kinds.count("triple"),
        ends_in_grain=open_ends,
        ends_on_boundary=int(first_on_boundary) + int(last_on_boundary),
        whole_segments=max(0, segments - ends - through),
        end_segments=ends,
        through_segments=through,
    )


def _grazes(runs: list[int], lengths: list[float], k: int, here: int) -> bool:
    """Whether run *k* is a short visit from and back to the grain *here*."""
    if lengths[k] >= _GRAZE_PX or k + 1 >= len(runs):
        return False
    back = k + 2 if runs[k + 1] == 0 else k + 1
    return back < len(runs) and runs[back] == here


def _three_meet(labels: Labels, rows: npt.NDArray[np.intp], cols: npt.NDArray[np.intp]) -> bool:
    """Whether three grains touch one of these boundary pixels (eight neighbours)."""
    height, width = labels.shape
    around = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)])
    r = np.clip(rows[:, None] + around[:, 0], 0, height - 1)
    c = np.clip(cols[:, None] + around[:, 1], 0, width - 1)
    found = np.sort(labels[r, c], axis=1)
    distinct = (np.diff(found, axis=1) != 0).sum(axis=1) + 1 - (found[:, 0] == 0)
    return bool((distinct >= 3).any())


def straight_line(start: tuple[float, float], end: tuple[float, float], step: float = 0.5) -> Points:
    """Return points (row, column) from *start* to *end*, at most *step* pixels apart."""
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    n = max(2, int(np.ceil(np.hypot(*(b - a)) / step)) + 1)
    return a + np.linspace(0.0, 1.0, n)[:, None] * (b - a)


def circle(centre: tuple[float, float], radius: float, step: float = 0.5) -> Points:
    """Return points (row, column) once round a circle, without repeating the first."""
    n = max(8, int(np.ceil(2 * np.pi * radius / step)))
    angle = 2 * np.pi * np.arange(n) / n
    return np.stack([centre[0] + radius * np.sin(angle), centre[1] + radius * np.cos(angle)], axis=1)


def parallel_lines(shape: tuple[int, int], angle_deg: float, n: int) -> list[Points]:
    """Return *n* evenly spaced test lines across a field, at an angle to the rows.

    Parameters
    ----------
    shape : tuple of int
        (H, W) of the field.
    angle_deg : float
        0 runs along the rows, 90 along the columns, counted anticlockwise as seen.
    n : int
        Lines before those shorter than a quarter of the shorter side (in the corners) are left out.

    Returns
    -------
    list of ndarray, (points, 2)
    """
    height, width = shape[0] - 1.0, shape[1] - 1.0
    direction = np.array([-np.sin(np.deg2rad(angle_deg)), np.cos(np.deg2rad(angle_deg))])
    normal = np.array([direction[1], -direction[0]])
    centre = np.array([height, width]) / 2
    reach = abs(normal[0]) * height / 2 + abs(normal[1]) * width / 2
    lines = []
    for offset in (np.arange(n) + 0.5) / n * 2 * reach - reach:
        ends = _chord(centre + offset * normal, direction, height, width)
        if ends is not None and np.hypot(*(ends[1] - ends[0])) >= min(height, width) / 4:
            lines.append(straight_line(tuple(ends[0]), tuple(ends[1])))
    return lines


def three_circles(shape: tuple[int, int]) -> list[Points]:
    """Return Abrams' three concentric circles, diameters 3 : 2 : 1, at five placements in the field.

    One set fills the middle, its largest circle nine tenths of the shorter side; four of half the size lie in the
    quarters. One set alone cuts some eighty boundaries of a field of 150 grains, too few for a number by itself.

    References
    ----------
    H. Abrams, Metallography 4 (1971) 59; ASTM E112, circular intercept procedures, five placements.
    """
    rows, cols = shape[0] - 1.0, shape[1] - 1.0
    largest = 0.45 * min(rows, cols)
    places = [((0.5, 0.5), largest)]
    places += [((i, j), largest / 2) for i in (0.25, 0.75) for j in (0.25, 0.75)]
    return [circle((i * rows, j * cols), radius * part) for (i, j), radius in places for part in (1.0, 2 / 3, 1 / 3)]


def count_all(labels: Labels, lines: Sequence[Points], *, closed: bool = False) -> LineCount:
    """Add up the counts of several test lines."""
    total = LineCount()
    for points in lines:
        total += count_along(labels, points, closed=closed)
    return total


def grains_from_boundaries(boundary: npt.NDArray[np.bool_], min_grain_px: int = 9) -> npt.NDArray[np.int32]:
    """Return a complete partition into grains from a boundary map of any line width.

    Regions enclosed by boundary pixels (4-connected, so that an 8-connected line of one pixel closes) are grains.
    Boundary pixels go to the nearest grain, so that the boundary runs along their middle; spurs and open ends,
    which enclose nothing, disappear.

    Parameters
    ----------
    boundary : ndarray of bool, (H, W)
    min_grain_px : int
        Smaller regions are pixel traps within the line, not grains.

    Returns
    -------
    ndarray of int32, (H, W)
        Grains 1 .. n, no 0; all 0 where the map leaves no region.
    """
    regions, n = ndimage.label(~boundary)
    if n == 0:
        return np.zeros(boundary.shape, np.int32)
    sizes = np.bincount(regions.ravel(), minlength=n + 1)
    kept = sizes >= min_grain_px
    kept[0] = False
    if not kept.any():
        return np.zeros(boundary.shape, np.int32)
    numbers = np.zeros(n + 1, np.int32)
    numbers[kept] = np.arange(1, kept.sum() + 1)
    labels: npt.NDArray[np.int32] = numbers[regions]
    nearest = ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    complete: npt.NDArray[np.int32] = labels[tuple(nearest)]
    return complete


def boundary_of(labels: Labels) -> npt.NDArray[np.bool_]:
    """Return the one-sided boundary map of a complete partition: pixels whose right or lower neighbour differs."""
    edge = np.zeros(labels.shape, bool)
    edge[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    edge[:-1] |= labels[1:] != labels[:-1]
    return edge


def _chord(
    point: npt.NDArray[np.float64], direction: npt.NDArray[np.float64], height: float, width: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Clip an endless line to the field; None where it misses it."""
    low, high = -np.inf, np.inf
    for position, slope, limit in ((point[0], direction[0], height), (point[1], direction[1], width)):
        if abs(slope) < 1e-12:
            if not 0 <= position <= limit:
                return None
            continue
        a, b = sorted(((0 - position) / slope, (limit - position) / slope))
        low, high = max(low, a), min(high, b)
    if high <= low:
        return None
    clipped = [np.clip(point + t * direction, 0, [height, width]) for t in (low, high)]
    return clipped[0], clipped[1]
