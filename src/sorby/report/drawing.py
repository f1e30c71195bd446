"""Line art for a page: matplotlib figures as inline SVG that takes its colours from the page's style sheet."""

from __future__ import annotations

import html
import io
import re
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Colours that no figure uses by chance; `to_svg` replaces each by the style sheet's variable, so that one drawing
# serves light and dark pages and paper.
INK, MUTED, GRID, PAPER = "#010101", "#020202", "#030303", "#040404"
BLUE, ORANGE, GREEN = "#0a0b0c", "#0b0c0d", "#0c0d0e"
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    PAPER: "var(--paper)",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    GREEN: "var(--green)",
}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud and is small
    "svg.hashsalt": "sorby",  # the same figure, the same bytes
    "text.parse_math": False,  # a label may hold a dollar sign
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}
_DECIMALS = re.compile(r"(\.\d\d)\d+")
_GEOMETRY = re.compile(r' (?:d|x|y|width|height|transform|points|viewBox)="[^"]*"')


@contextmanager
def style() -> Iterator[None]:
    """Apply the report's figure settings while the block runs; draw and export inside it."""
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        # The page's fonts show what matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def new_figure(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes; nothing global is touched.

    Parameters
    ----------
    width_in, height_in : float
        Size in inches, which fixes the proportions and the size of text within the drawing.
    """
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.add_subplot()


def short(label: str, length: int = 22) -> str:
    """Return *label* on one line of at most *length* characters, without control characters."""
    text = "".join(" " if unicodedata.category(letter).startswith("C") else letter for letter in str(label))
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def to_svg(figure: Figure, name: str, description: str) -> str:
    """Export *figure* as an SVG element for HTML.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    name : str
        Unique on the page; prefixes the element's internal references.
    description : str
        What it shows, for readers who do not see it.

    Returns
    -------
    str
        ``<svg ...>...</svg>`` without metadata, namespaces or addresses; markup in labels is escaped.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index("<svg") :].strip()
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r"<!--.*?-->", "", drawing, flags=re.DOTALL)
    drawing = _GEOMETRY.sub(lambda found: _DECIMALS.sub(r"\1", found.group()), drawing)
    drawing = _own_references(drawing, name)
    for colour, variable in _VARIABLES.items():
        drawing = drawing.replace(colour, variable)
    drawing = drawing.replace("'DejaVu Sans', ", "").replace("xlink:href", "href")
    view = re.search(r'viewBox="([^"]*)"', drawing)
    assert view is not None, "matplotlib writes a viewBox"
    width = float(view.group(1).split()[2])
    title = html.escape(description)
    head = (
        f'<svg class="figure" role="img" aria-label="{title}" viewBox="{view.group(1)}"'
        f' style="max-width:{width / 0.72:.0f}px"><title>{title}</title>'
    )
    return re.sub(r"\s*\n\s*", "\n", head + drawing[drawing.index(">") + 1 :])


def _own_references(drawing: str, name: str) -> str:
    """Prefix the identifiers that the drawing refers to and drop all others, which would repeat on the page."""
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', drawing))

    def rename(found: re.Match[str]) -> str:
        return f' id="{name}-{found.group(1)}"' if found.group(1) in used else ""

    drawing = re.sub(r' id="([^"]*)"', rename, drawing)
    return re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", drawing)
