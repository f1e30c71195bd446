"""A box detector on the line: strips of a moving web in, maps of scores and names out.

The line traces regions of cells from strip to strip. A box is laid on the map as the cells it covers, each with the
score of the strongest box there and its name, so that a defect across two strips is one defect, and bears its class.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from sorby.backbone.runtime import Precision
from sorby.detect.detector import Detector
from sorby.evidence.boxes import FoundBoxes
from sorby.line.scorer import GreyStrip, NamedMap
from sorby.workflow.detection.large_images import in_tiles

_STRIDE = 4
_STEP_PX = 32
_LEAST_MARGIN = 32
_MOST = 2000  # findings of a strip


class BoxStripScorer:
    """Finds boxes on strips (rows, width) of 8-bit grey values, in tiles as large as the images that taught it.

    Parameters
    ----------
    detector : Detector
    width : int
        Columns of the web; strips are so wide, rounded up to 32.
    rows : int
        Rows of a strip with both margins, a multiple of 32.
    precision : {"auto", "fp32", "bf16"}

    Attributes
    ----------
    classes : tuple of str
        What the names of its maps stand for.
    rows, width, stride, margin_px, threshold, slots
        See `sorby.line.scorer.StripScorer`. The margin shows the largest taught box whole, as far as there is room.
    precision : str
        As asked for.

    Raises
    ------
    ValueError
        The strips have too few rows for their margins.
    """

    stride, slots = _STRIDE, 1

    def __init__(self, detector: Detector, width: int, *, rows: int, precision: Precision = "auto") -> None:
        if rows % _STEP_PX or rows <= 4 * _LEAST_MARGIN:
            raise ValueError(f"rows must be a multiple of {_STEP_PX} above {4 * _LEAST_MARGIN}, not {rows}")
        largest = float(detector.facts.get("largest_box_px") or 0.0)
        wanted = math.ceil(largest / _STEP_PX) * _STEP_PX
        self.margin_px = int(np.clip(wanted, _LEAST_MARGIN, rows // 4 // _STEP_PX * _STEP_PX))
        self.rows, self.width = rows, -(-width // _STEP_PX) * _STEP_PX
        self.classes, self.threshold, self.precision = detector.classes, detector.threshold, precision
        suited = in_tiles(detector, self.rows, self.width)
        output = suited.recipe.output.model_copy(update={"most": _MOST})
        self._detector = replace(suited, recipe=suited.recipe.model_copy(update={"output": output}))
        self._precision = precision
        self._strips: dict[int, GreyStrip] = {}

    def start(self, slot: int, strip: GreyStrip) -> None:
        """Take a strip (rows, width) in a free slot."""
        if strip.shape != (self.rows, self.width):
            raise ValueError(f"a strip of {strip.shape} for a scorer of {(self.rows, self.width)}")
        self._strips[slot] = strip

    def finish(self, slot: int) -> NamedMap:
        """Find what is on the strip in *slot* and return its map."""
        strip = self._strips.pop(slot)
        (found,) = self._detector.detect([strip], device="cpu", precision=self._precision)
        return painted(found, self.rows, self.width, self.stride)


def painted(found: FoundBoxes, rows: int, width: int, stride: int) -> NamedMap:
    """Lay boxes on a map of cells, the strongest on top.

    Parameters
    ----------
    found : FoundBoxes
        In pixels of an image of *rows* by *width*.
    rows, width, stride : int

    Returns
    -------
    NamedMap
        A cell belongs to a box that covers its centre; a box smaller than that, to the cell its own centre lies in.
    """
    shape = (rows // stride, width // stride)
    scores, names = np.zeros(shape, np.float32), np.full(shape, -1, np.int16)
    for k in np.argsort(found.scores, kind="stable").tolist():
        left, top, right, bottom = (float(side) / stride for side in found.boxes[k])
        down, across = _cells(top, bottom, shape[0]), _cells(left, right, shape[1])
        scores[down, across], names[down, across] = found.scores[k], found.labels[k]
    return NamedMap(scores, names)


def _cells(low: float, high: float, count: int) -> slice:
    """Return the cells whose centres lie between two places, at least one."""
    first, last = math.ceil(low - 0.5), math.ceil(high - 0.5)
    if last <= first:
        first = math.floor((low + high) / 2)
        last = first + 1
    first = min(max(first, 0), count - 1)
    return slice(first, min(max(last, first + 1), count))
