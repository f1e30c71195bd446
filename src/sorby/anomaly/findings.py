"""From the maps of an image's views to findings: where it is anomalous, how large, how strongly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects, label, maximum, zoom

from sorby.anomaly.views import ViewStack

Array = npt.NDArray[np.float32]
_TOUCHING = np.ones((3, 3), dtype=bool)  # 8-connected


@dataclass(frozen=True)
class Finding:
    """A connected region at or above the threshold.

    Attributes
    ----------
    x, y, w, h : float
        Box in pixels of the image: left, top, width, height.
    score : float
        Largest value of the map inside.
    area_px : float
        Area in pixels of the image, counted in cells of the map.
    """

    x: float
    y: float
    w: float
    h: float
    score: float
    area_px: float

    def area_um2(self, pixel_size_um: float | None) -> float | None:
        """Return the area in square micrometres, None where the scale is not known."""
        return None if pixel_size_um is None else self.area_px * pixel_size_um**2


@dataclass(frozen=True)
class WholeMap:
    """The maps of all views, put together.

    Attributes
    ----------
    values : ndarray of float32, (rows, columns)
        Where views overlap, the larger value; NaN where no view looked.
    cell : (float, float)
        Height and width of a cell in pixels of the image.
    size : (int, int)
        Height and width of the image.
    origin : (float, float)
        Top and left of the first cell in pixels of the image; above 0 or below.
    """

    values: Array
    cell: tuple[float, float]
    size: tuple[int, int]
    origin: tuple[float, float] = (0.0, 0.0)

    def box(self, rows: slice, columns: slice) -> tuple[float, float, float, float]:
        """Return left, top, width and height of a block of cells, as far as it lies in the image."""
        (high, wide), (first, left) = self.cell, self.origin
        top, bottom = (min(max(first + row * high, 0.0), float(self.size[0])) for row in (rows.start, rows.stop))
        sides = (columns.start, columns.stop)
        begin, end = (min(max(left + column * wide, 0.0), float(self.size[1])) for column in sides)
        return begin, top, end - begin, bottom - top


def put_together(maps: Array, stack: ViewStack, *, centred: bool = False) -> WholeMap:
    """Lay the maps (V, h, w) of an image's views over the image.

    A view lies at the nearest whole cell, so a tile that was shifted to the border may sit half a cell off.
    *centred*: cells lie about pixel stride * i (see `sorby.anomaly.embedding.GridChoice`).
    """
    boxes = stack.boxes
    down, across = maps.shape[1:]
    cell = (float(boxes[0, 2] - boxes[0, 0]) / down, float(boxes[0, 3] - boxes[0, 1]) / across)
    rows = max(1, round(stack.size[0] / cell[0]))
    columns = max(1, round(stack.size[1] / cell[1]))
    values = np.full((rows, columns), np.nan, np.float32)
    for each, (top, left, bottom, right) in zip(maps, boxes.tolist(), strict=True):
        height = min(rows, max(1, round((bottom - top) / cell[0])))
        width = min(columns, max(1, round((right - left) / cell[1])))
        if each.shape != (height, width):
            each = zoom(each, (height / each.shape[0], width / each.shape[1]), order=1)
        first = min(max(0, round(top / cell[0])), rows - height), min(max(0, round(left / cell[1])), columns - width)
        part = values[first[0] : first[0] + height, first[1] : first[1] + width]
        np.fmax(part, each, out=part)
    origin = (-cell[0] / 2, -cell[1] / 2) if centred else (0.0, 0.0)
    return WholeMap(values, cell, stack.size, origin)


def find(whole: WholeMap, threshold: float) -> list[Finding]:
    """Return the regions at or above the threshold, strongest first."""
    above = whole.values >= threshold
    regions, count = label(above, structure=_TOUCHING)
    if not count:
        return []
    numbers = np.arange(1, count + 1)
    strongest = maximum(whole.values, regions, numbers)
    sizes = np.bincount(regions.ravel())[1:]
    cell_px = whole.cell[0] * whole.cell[1]
    found = [
        Finding(*whole.box(rows, columns), float(score), float(size) * cell_px)
        for (rows, columns), score, size in zip(find_objects(regions), strongest, sizes, strict=True)
    ]
    return sorted(found, key=lambda each: -each.score)
