"""The map of a plate: its picture, the grade of every cell over it, a legend and a scale bar."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sorby.report.thumbnails import shrink

_LONGEST_PX = 1600
_WIDTH_IN, _DPI = 9.0, 150
_ALPHA = 0.45
_NOT_JUDGED = "0.35"


@dataclass(frozen=True, eq=False)
class PlateDrawn:
    """What a map shows.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (H, W) or (H, W, 3)
    top, left : ndarray of int
        Edges of the cells in pixels.
    called : ndarray of int, shape (rows, columns)
        Class of each cell; -1 where none was judged.
    on_plate : ndarray of bool, shape (rows, columns)
    classes : sequence of str
    pixel_size_um : float
    """

    pixels: npt.NDArray[np.uint8]
    top: npt.NDArray[np.int64]
    left: npt.NDArray[np.int64]
    called: npt.NDArray[np.int64]
    on_plate: npt.NDArray[np.bool_]
    classes: Sequence[str]
    pixel_size_um: float


def bar_length_um(width_um: float) -> float:
    """Return a round length, 1, 2 or 5 times a power of ten, of at most a quarter of the width."""
    power = 10.0 ** np.floor(np.log10(width_um / 4))
    return float(power * max(step for step in (1, 2, 5) if step * power <= width_um / 4))


def plate_png(drawn: PlateDrawn) -> bytes:
    """Return the map as PNG.

    Parameters
    ----------
    drawn : PlateDrawn
    """
    um = drawn.pixel_size_um / 1e3
    height, width = drawn.pixels.shape[0] * um, drawn.pixels.shape[1] * um
    figure = Figure(figsize=(_WIDTH_IN, max(2.5, _WIDTH_IN * 0.84 * height / width + 0.5)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(shrink(drawn.pixels, _LONGEST_PX), extent=(0, width, height, 0), interpolation="antialiased")
    count = len(drawn.classes)
    colours = colormaps["viridis"](np.linspace(0.05, 0.95, count))
    edges_x, edges_y = drawn.left * um, drawn.top * um
    graded = np.ma.masked_where(drawn.called < 0, drawn.called)
    axes.pcolormesh(
        edges_x, edges_y, graded, cmap=ListedColormap(colours), vmin=-0.5, vmax=count - 0.5, alpha=_ALPHA, linewidth=0
    )
    without = drawn.on_plate & (drawn.called < 0)
    if without.any():
        open_cells = np.ma.masked_where(~without, np.zeros(without.shape))
        axes.pcolor(edges_x, edges_y, open_cells, hatch="////", alpha=0.0, edgecolor=_NOT_JUDGED)
    legend = [Patch(facecolor=colours[k], alpha=_ALPHA, label=f"severity {name}")
              for k, name in enumerate(drawn.classes)]  # fmt: skip
    legend.append(Patch(facecolor="none", edgecolor=_NOT_JUDGED, hatch="////", label="not judged"))
    _scale_bar(axes, width, height)
    axes.set(xlim=(0, width), ylim=(height, 0), xlabel="mm", ylabel="mm", aspect="equal")
    figure.legend(handles=legend, loc="outside upper center", ncols=min(6, len(legend)), frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def _scale_bar(axes: Axes, width_mm: float, height_mm: float) -> None:
    length = bar_length_um(width_mm * 1e3)
    x, y = 0.04 * width_mm, height_mm - 0.05 * height_mm
    name = f"{length:g} µm" if length < 1000 else f"{length / 1000:g} mm"
    axes.plot([x, x + length / 1e3], [y, y], color="black", linewidth=6, solid_capstyle="butt")
    axes.plot([x, x + length / 1e3], [y, y], color="white", linewidth=3.5, solid_capstyle="butt")
    box = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1.5}
    axes.text(x + length / 2e3, y - 0.03 * height_mm, name, ha="center", va="bottom", fontsize=9, bbox=box)
