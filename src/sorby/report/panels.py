"""Pictures with lettering: rows of panels with headings, notes and a colour scale, as one SVG element.

Pictures are JPEG inside the element, masks PNG; text is text and takes its colours from the page's style sheet.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image

from sorby.report.drawing import short
from sorby.report.thumbnails import Uint8Image, embed

# Lengths in units of the drawing; the page shows about 1.2 px for each.
_WIDTH, _GAP, _LINE = 150.0, 8.0, 11.5
_LETTERS_ACROSS = 34  # that fit below a panel
_LETTER, _WIDEST = 5.5, 940.0  # of a label, and how far labels may widen a sheet
_BAR_HEIGHT = 7.0
_PX_A_UNIT = 1.2


@dataclass(frozen=True)
class ColourScale:
    """What the colours of a heat map stand for.

    Attributes
    ----------
    low, high : float
        Scores drawn in the first and last colour; what lies beyond is drawn as these.
    threshold : float
        Marked where it lies between, named where it does not.
    colormap : str
        A name in matplotlib's registry.
    """

    low: float
    high: float
    threshold: float
    colormap: str = "inferno"

    def colours(self, scores: npt.NDArray[np.floating]) -> Uint8Image:
        """Return scores as colours, shape (h, w, 3)."""
        span = self.high - self.low
        level = np.clip((scores - self.low) / span, 0, 1) if span > 0 else np.zeros(scores.shape)
        return np.asarray(matplotlib.colormaps[self.colormap](level, bytes=True), dtype=np.uint8)[..., :3]


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture of a sheet.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
    heading : str
        Above it.
    notes : tuple of str
        Lines below it.
    scale : ColourScale or None
        Drawn below it.
    rings : tuple of (x, y, radius)
        Circles around what is easily overlooked, in pixels.
    exact : bool
        Encode without loss, for masks.
    """

    pixels: Uint8Image
    heading: str = ""
    notes: tuple[str, ...] = ()
    scale: ColourScale | None = None
    rings: tuple[tuple[float, float, float], ...] = ()
    exact: bool = False


def panel_sheet(
    rows: Sequence[Sequence[Panel]], description: str, labels: Sequence[str] = (), *, empty: str = "nothing to show"
) -> str:
    """Lay panels out in rows.

    Parameters
    ----------
    rows : sequence of sequences of Panel
    description : str
        What the sheet shows, for readers who do not see it.
    labels : sequence of str
        One line above each row; none where not given.
    empty : str
        The only words of a sheet without panels.

    Returns
    -------
    str
        ``<svg ...>...</svg>``; markup in headings, notes and labels is escaped.
    """
    names = labels or [""] * len(rows)
    across = max((len(row) for row in rows), default=1)
    longest = max(map(len, (*names, empty if not rows else "")), default=0)
    width, top = max(across * (_WIDTH + _GAP) - _GAP, min(longest * _LETTER, _WIDEST)), 0.0
    parts: list[str] = []
    shown: list[str] | None = None
    for row, label in zip(rows, names, strict=True):
        if label:
            top += 1.3 * _LINE
            parts.append(_text(0, top - 0.35 * _LINE, short(label, int(width / _LETTER)), 9.5, weight="600"))
        headings = [panel.heading for panel in row]
        if headings != shown and any(headings):
            top += 1.15 * _LINE
            parts += [
                _text(k * (_WIDTH + _GAP), top - 0.35 * _LINE, short(heading, _LETTERS_ACROSS), 9)
                for k, heading in enumerate(headings)
            ]
        shown = headings
        below = max(_WIDTH * panel.pixels.shape[0] / panel.pixels.shape[1] for panel in row)
        for k, panel in enumerate(row):
            parts += _drawn(panel, k * (_WIDTH + _GAP), top, top + below)
        lines = max(len(panel.notes) + 2 * (panel.scale is not None) for panel in row)
        top += below + (lines + 0.6) * _LINE
    if not rows:
        top = 2 * _LINE
        parts.append(_text(0, 1.3 * _LINE, short(empty, int(width / _LETTER)), 9.5))
    title = html.escape(description)
    return (
        f'<svg class="figure" role="img" aria-label="{title}" viewBox="0 0 {width:.1f} {top:.1f}"'
        f' style="max-width:{width * _PX_A_UNIT:.0f}px"><title>{title}</title>\n' + "\n".join(parts) + "\n</svg>"
    )


def _drawn(panel: Panel, left: float, top: float, below: float) -> list[str]:
    """One panel with its rings, scale and notes; these begin at *below*."""
    height, width = panel.pixels.shape[:2]
    shown = _WIDTH * height / width
    uri = _png(panel.pixels) if panel.exact else embed(panel.pixels, "").uri
    parts = [_image(uri, left, top, _WIDTH, shown)]
    unit = _WIDTH / width
    parts += [
        f'<circle cx="{left + x * unit:.1f}" cy="{top + y * unit:.1f}" r="{radius * unit:.1f}" fill="none"'
        ' stroke="var(--orange)" stroke-width="1.2"/>'
        for x, y, radius in panel.rings
    ]
    line = below + _LINE
    if panel.scale is not None:
        parts += _scale(panel.scale, left, below)
        line += 2 * _LINE
    parts += [
        _text(left, line + k * _LINE, short(note, _LETTERS_ACROSS), 8, colour="muted")
        for k, note in enumerate(panel.notes)
    ]
    return parts


def _scale(scale: ColourScale, left: float, below: float) -> list[str]:
    """Colour bar with its ends and the threshold."""
    top = below + 4
    steps = np.linspace(scale.low, scale.high, 128)[None]
    parts = [_image(_png(scale.colours(steps)), left, top, _WIDTH, _BAR_HEIGHT)]
    line = top + _BAR_HEIGHT + 0.85 * _LINE
    low, high = (_text(x, line, f"{value:.3g}", 8, anchor=anchor, colour="muted") for x, value, anchor in (
        (left, scale.low, "start"), (left + _WIDTH, scale.high, "end"),
    ))  # fmt: skip
    where = (scale.threshold - scale.low) / (scale.high - scale.low) if scale.high > scale.low else -1.0
    if 0 <= where <= 1:
        x = left + where * _WIDTH
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 2.5:.1f}" y2="{top + _BAR_HEIGHT + 2.5:.1f}"'
            ' stroke="var(--ink)" stroke-width="1.6"/>'
        )
        words = f"threshold {scale.threshold:.3g}"
    else:
        words = f"threshold {scale.threshold:.3g}, {'above' if scale.threshold > scale.high else 'below'}"
    return [*parts, low, _text(left + _WIDTH / 2, line, words, 8, anchor="middle", colour="muted"), high]


def _text(
    x: float, y: float, words: str, size: float, *, anchor: str = "start", colour: str = "ink", weight: str = "400"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" font-weight="{weight}" text-anchor="{anchor}"'
        f' fill="var(--{colour})">{html.escape(words)}</text>'
    )


def _image(uri: str, left: float, top: float, width: float, height: float) -> str:
    return (
        f'<image x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"'
        f' preserveAspectRatio="none" href="{uri}"/>'
    )


def _png(pixels: Uint8Image) -> str:
    """Return pixels (h, w, 3) as a PNG within a data URI."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
