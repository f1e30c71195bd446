"""The sheet on which a person names findings: numbered pictures, one of each, as PNG and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from sorby._version import __version__
from sorby.files import atomic_write, write_text
from sorby.micrograph import Pixels, resize, to_rgb, to_uint8
from sorby.report.drawing import short
from sorby.report.page import render
from sorby.report.thumbnails import Picture, embed

Uint8Image = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]

_SHOWN_PX = 224  # edge of a picture on the sheet
_LEAST_PX = 96  # of the image, that are shown at least
_TIMES = 2.5  # the longer side of a finding
_ACROSS, _GAP, _HEAD = 5, 12, 30
_INK, _FRAME, _MUTED = "#1b1f23", "#ff2d95", "#57606a"


@dataclass(frozen=True, eq=False)
class SheetEntry:
    """One finding on the sheet.

    Attributes
    ----------
    number : int
    picture : ndarray of uint8, shape (224, 224, 3)
        See `close_up`.
    guess : str
        What it may be; empty where nobody knows yet.
    words : str
        Where it lies.
    """

    number: int
    picture: Uint8Image
    guess: str
    words: str


def close_up(pixels: Pixels, box: Box) -> Uint8Image:
    """Return a finding with its surroundings, corners about it, 224 pixels wide and high.

    The contrast is stretched to what is shown: a faint scratch must be seen by whoever names it.
    """
    side = round(max(_LEAST_PX, _TIMES * max(box[2] - box[0], box[3] - box[1])))
    left, top = round((box[0] + box[2] - side) / 2), round((box[1] + box[3] - side) / 2)
    shown = pixels[max(0, top) : top + side, max(0, left) : left + side]
    byte = to_rgb(to_uint8(shown)).astype(np.float32)
    low, high = np.percentile(byte, (0.5, 99.5))
    byte = np.clip((byte - low) * (255 / max(float(high - low), 24.0)), 0, 255).astype(np.uint8)
    whole = np.full((side, side, 3), 235, np.uint8)
    first = max(0, -top), max(0, -left)
    whole[first[0] : first[0] + byte.shape[0], first[1] : first[1] + byte.shape[1]] = byte
    picture = Image.fromarray(np.ascontiguousarray(resize(whole, (_SHOWN_PX, _SHOWN_PX))))
    unit = _SHOWN_PX / side
    corners = [(value - origin) * unit for value, origin in zip(box, (left, top) * 2, strict=True)]
    _draw_corners(ImageDraw.Draw(picture), corners)
    return np.asarray(picture)


def _draw_corners(draw: ImageDraw.ImageDraw, box: Sequence[float]) -> None:
    """Mark a box by its corners alone, a little outside, so that nothing of the finding is covered."""
    left, top, right, bottom = box[0] - 4, box[1] - 4, box[2] + 4, box[3] + 4
    arm = max(6.0, min(right - left, bottom - top) / 4)
    for x, to_x in ((left, left + arm), (right, right - arm)):
        for y, to_y in ((top, top + arm), (bottom, bottom - arm)):
            draw.line([(to_x, y), (x, y), (x, to_y)], fill=_FRAME, width=2)


def write_sheet_picture(path: Path, entries: Sequence[SheetEntry]) -> None:
    """Write the sheet as one PNG: five pictures a row, the number large above each."""
    rows = -(-len(entries) // _ACROSS)
    across = min(_ACROSS, max(1, len(entries)))
    size = across * (_SHOWN_PX + _GAP) + _GAP, max(1, rows) * (_SHOWN_PX + _HEAD + _GAP) + _GAP
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(22), ImageFont.load_default(15)
    for k, entry in enumerate(entries):
        left = _GAP + k % _ACROSS * (_SHOWN_PX + _GAP)
        top = _GAP + k // _ACROSS * (_SHOWN_PX + _HEAD + _GAP)
        draw.text((left, top), str(entry.number), fill=_INK, font=large)
        if entry.guess:
            indent = draw.textlength(str(entry.number), font=large) + 10
            draw.text((left + indent, top + 6), short(f"{entry.guess}?", 22), fill=_MUTED, font=small)
        sheet.paste(Image.fromarray(entry.picture), (left, top + _HEAD))
    with atomic_write(path) as file:
        sheet.save(file, format="PNG", compress_level=4)


def write_sheet_page(path: Path, entries: Sequence[SheetEntry], names: Sequence[str], table: str) -> None:
    """Write the sheet as a page.

    Parameters
    ----------
    path : Path
    entries : sequence of SheetEntry
    names : sequence of str
        Used so far.
    table : str
        Name of the file that takes the labels.
    """
    shown: list[tuple[SheetEntry, Picture]] = [
        (each, embed(each.picture, f"finding {each.number} with its surroundings")) for each in entries
    ]
    write_text(
        path,
        render(
            "naming.html",
            title="Findings to be named",
            sorby_version=__version__,
            shown=shown,
            names=names,
            table=table,
        ),
    )
