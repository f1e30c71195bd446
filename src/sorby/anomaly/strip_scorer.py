"""A detector on strips of a moving web: as fast as the processor's caches allow, with the same map as on tiles.

A strip is cut into overlapping panels, and each panel is one call of the graph. A backbone's first maps
take fifty bytes for each pixel of its input; a panel of half a megapixel keeps them near the processor, a strip of
several megapixels would send them out to memory and back between any two layers.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import openvino
from torch import nn

from sorby.anomaly.smoothing import smooth_grid
from sorby.backbone.architecture import to_onnx
from sorby.backbone.runtime import Precision, compile_for_cpu

Strip = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]
_PANEL_PX = 640  # widest panel; 640 squared loses least to margins and caches together, of 512 to 1,024
_STEP_PX = 32  # the coarsest cell any backbone has


class StripScorer:
    """Scores strips (rows, width) of 8-bit grey values.

    Parameters
    ----------
    graph : torch.nn.Module
        uint8 images (N, H, W, 1) of any size to distances (N, h, w).
    width : int
        Columns of the web; strips are `width` wide, rounded up to 32.
    rows : int
        Rows of a strip with both margins, a multiple of 32.
    stride : int
        Pixels between cells.
    margin_px : int
        Frame whose scores lean on padding.
    sigma_cells : float
        Smoothing.
    threshold : float
    precision : {"auto", "fp32", "bf16"}

    Attributes
    ----------
    rows, width, stride, margin_px, threshold
        As given; *width* rounded up.
    slots : int
        Strips that may be under way at once.
    precision : str
        What is really used.
    """

    def __init__(
        self,
        graph: nn.Module,
        width: int,
        *,
        rows: int,
        stride: int,
        margin_px: int,
        sigma_cells: float,
        threshold: float,
        precision: Precision = "auto",
    ) -> None:
        if rows % _STEP_PX or rows <= 4 * margin_px:
            raise ValueError(f"rows must be a multiple of {_STEP_PX} above {4 * margin_px}, not {rows}")
        self.rows, self.stride, self.margin_px, self.threshold = rows, stride, margin_px, threshold
        self.width = -(-width // _STEP_PX) * _STEP_PX
        self._sigma = sigma_cells
        self._lefts, self._panel = panels(self.width, margin_px)
        onnx = to_onnx(graph, rows, self._panel, 1, ("map",))
        compiled, self.precision = compile_for_cpu(onnx, (1, rows, self._panel, 1), precision)
        streams = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        # While one strip is put together and judged, another is computed and a third waits for the first free stream.
        self.slots = 3 if len(self._lefts) >= streams else streams + 2
        self._requests: list[list[openvino.InferRequest]] = [
            [compiled.create_infer_request() for _ in self._lefts] for _ in range(self.slots)
        ]

    def start(self, slot: int, strip: Strip) -> None:
        """Begin to score a strip (rows, width) in a free slot; returns at once."""
        if strip.shape != (self.rows, self.width):
            raise ValueError(f"a strip of {strip.shape} for a scorer of {(self.rows, self.width)}")
        for request, left in zip(self._requests[slot], self._lefts, strict=True):
            request.get_input_tensor().data[0, :, :, 0] = strip[:, left : left + self._panel]
            request.start_async()

    def finish(self, slot: int) -> Array:
        """Wait for the strip in *slot* and return its map (rows / stride, width / stride)."""
        values = np.empty((self.rows // self.stride, self.width // self.stride), np.float32)
        margin, wide = self.margin_px // self.stride, self._panel // self.stride
        end = 0
        for request, left in zip(self._requests[slot], self._lefts, strict=True):
            request.wait()
            found = request.get_output_tensor(0).data[0]
            first = left // self.stride
            begin = end if left else 0
            end = first + wide - (margin if left + self._panel < self.width else 0)
            values[:, begin:end] = found[:, begin - first : end - first]
        smoothed: Array = smooth_grid(values[None], self._sigma)[0]
        return smoothed


def panels(width: int, margin_px: int) -> tuple[list[int], int]:
    """Return the left edges and the common width of overlapping panels that cover *width*.

    Neighbours share two margins at least; all edges are multiples of 32.

    Examples
    --------
    >>> panels(640, 16)
    ([0], 640)
    >>> lefts, panel = panels(6272, 16)
    >>> lefts[-1] + panel == 6272, panel <= 640
    (True, True)
    """
    if width <= _PANEL_PX:
        return [0], width
    count = math.ceil((width - 2 * margin_px) / (_PANEL_PX - 2 * margin_px))
    panel = -(-math.ceil((width - 2 * margin_px) / count + 2 * margin_px) // _STEP_PX) * _STEP_PX
    while True:
        room = width - panel
        lefts = [round(room * k / (count - 1) / _STEP_PX) * _STEP_PX for k in range(count)]
        if all(b - a <= panel - 2 * margin_px for a, b in itertools.pairwise(lefts)):
            return lefts, panel
        panel += _STEP_PX
