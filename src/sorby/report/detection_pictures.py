"""Boxes on pictures: drawn as lines over the image, so that they stay thin and sharp at any size.

True boxes are solid blue, findings dashed orange, wrong findings dotted; each has a dark seam so that it is seen on
bright and dark surfaces alike. Boxes too small to be seen at the printed size are ringed. Large images are cut to a
window about the defect in question, and the words below say which.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sorby.micrograph import Pixels
from sorby.report.anomaly_pictures import raised
from sorby.report.drawing import short
from sorby.report.thumbnails import embed, shrink

Line = Literal["true", "found", "wrong", "ignored"]

LEGEND = (
    "Blue, solid: true boxes. Orange, dashed: findings that are right. Yellow, dotted: findings that are wrong. Grey,"
    " dash and dot: regions that nobody is asked about."
)

_WIDTH = 300.0  # units of a drawing, about one pixel each on the page
_MOST_PX = 640  # of the longer side of the image inside
_WHOLE_PX = 700  # an image whose longer side is no larger is shown whole
_LEAST_WINDOW_PX = 220
_TIMES = 7  # a window's side, in lengths of the box it is about
_RING_BELOW = 9.0  # units; a smaller box gets a ring
_MOST_TAGS, _TAG_HIGH = 14, 12.0
_STYLES: dict[str, tuple[str, str]] = {
    "true": ("#3ca0ff", ""),
    "found": ("#ff8c00", "7 4"),
    "wrong": ("#ffe14a", "2.2 3.2"),
    "ignored": ("#c8c8c8", "8 3 2 3"),
}


@dataclass(frozen=True)
class Mark:
    """A box to be drawn.

    Attributes
    ----------
    box : tuple of float
        Left, top, right, bottom in pixels of the image.
    line : {"true", "found", "wrong", "ignored"}
    words : str
        Beside it.
    """

    box: tuple[float, float, float, float]
    line: Line
    words: str = ""


@dataclass(frozen=True)
class Window:
    """The part of an image that is shown: left, top, right, bottom in whole pixels."""

    left: int
    top: int
    right: int
    bottom: int
    whole: bool

    def said(self) -> str:
        """Say what part it is."""
        if self.whole:
            return f"whole image, {self.right} × {self.bottom} px"
        return f"part of {self.right - self.left} × {self.bottom - self.top} px at x {self.left}, y {self.top}"


def window_about(
    shape: tuple[int, ...], box: tuple[float, float, float, float] | None, *, whole: bool = False
) -> Window:
    """Return the part of an image to be shown about a box.

    Parameters
    ----------
    shape : tuple of int
        Of the image, (H, W) first.
    box : tuple of float or None
        What it is about; the whole image for None.
    whole : bool
        Never cut.
    """
    height, width = shape[:2]
    if box is None or whole or max(height, width) <= _WHOLE_PX:
        return Window(0, 0, width, height, True)
    longer = max(box[2] - box[0], box[3] - box[1])
    side = max(_LEAST_WINDOW_PX, math.ceil(_TIMES * longer))
    if side >= max(height, width):
        return Window(0, 0, width, height, True)
    across, down = min(side, width), min(side, height)
    left = int(np.clip(round((box[0] + box[2] - across) / 2), 0, width - across))
    top = int(np.clip(round((box[1] + box[3] - down) / 2), 0, height - down))
    return Window(left, top, left + across, top + down, False)


def boxed(pixels: Pixels, marks: Sequence[Mark], description: str, window: Window | None = None) -> str:
    """Draw boxes over an image.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3)
    marks : sequence of Mark
    description : str
        What is to be seen, for readers who do not see it.
    window : Window, optional
        The part to be shown.

    Returns
    -------
    str
        One SVG element; words in it are escaped.
    """
    view = window_about(pixels.shape, None) if window is None else window
    part = pixels[view.top : view.bottom, view.left : view.right]
    picture, _ = raised(shrink(part, _MOST_PX))
    unit = _WIDTH / (view.right - view.left)
    height = (view.bottom - view.top) * unit
    parts = [
        f'<image width="{_WIDTH:g}" height="{height:.1f}" preserveAspectRatio="none" href="{embed(picture, "").uri}"/>'
    ]
    tags: list[str] = []
    taken: list[tuple[float, float, float]] = []
    for mark in marks:
        if not _inside(mark.box, view):
            continue
        box = [(value - origin) * unit for value, origin in zip(mark.box, (view.left, view.top) * 2, strict=True)]
        parts += _outline(box, mark.line)
        if mark.words and len(taken) < _MOST_TAGS:
            tags += _tag(box, short(mark.words, 26), height, taken)
    parts += tags
    title = html.escape(description)
    return (
        f'<svg class="boxes" role="img" aria-label="{title}" viewBox="0 0 {_WIDTH:g} {height:.1f}">'
        f"<title>{title}</title>" + "".join(parts) + "</svg>"
    )


def _inside(box: tuple[float, float, float, float], view: Window) -> bool:
    return box[2] > view.left and box[0] < view.right and box[3] > view.top and box[1] < view.bottom


def _outline(box: Sequence[float], line: Line) -> list[str]:
    colour, dashes = _STYLES[line]
    left, top, right, bottom = box
    shape = f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(right - left, 1):.1f}" height="{max(bottom - top, 1):.1f}"'
    if max(right - left, bottom - top) < _RING_BELOW:
        radius = _RING_BELOW + (2.5 if line != "true" else 0.0)
        shape = f'<circle cx="{(left + right) / 2:.1f}" cy="{(top + bottom) / 2:.1f}" r="{radius:.1f}"'
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    seam = f'{shape} fill="none" stroke="#000" stroke-opacity=".45" stroke-width="3.6"/>'
    return [seam, f'{shape} fill="none" stroke="{colour}" stroke-width="2.2"{dashed}/>']


def _tag(box: Sequence[float], words: str, height: float, taken: list[tuple[float, float, float]]) -> list[str]:
    """Put words, light on dark, where no other words stand: above the box, below, inside; none where all is taken."""
    wide = 5.3 * len(words) + 6
    above, under, low = box[1] - _TAG_HIGH - 2, box[1] + 2, box[3] - _TAG_HIGH - 2
    left, right = box[0] + 2, box[2] - wide - 2
    places = [(box[0], above), (box[0], box[3] + 2), (left, under), (left, low), (right, under), (right, low)]
    for x, y in places:
        across = min(max(0.0, x), _WIDTH - wide)
        if not 0 <= y <= height - _TAG_HIGH:
            continue
        if any(abs(y - top) < _TAG_HIGH and across < end and start < across + wide for start, top, end in taken):
            continue
        taken.append((across, y, across + wide))
        return [
            f'<rect x="{across:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{_TAG_HIGH:g}" fill="#000"'
            ' fill-opacity=".62"/>'
            f'<text x="{across + 3:.1f}" y="{y + 9:.1f}" font-size="9.5" fill="#fff">{html.escape(words)}</text>'
        ]
    return []
