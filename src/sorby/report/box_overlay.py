"""Boxes drawn into a picture, for those who look at it in any program."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from sorby.evidence.boxes import FoundBoxes
from sorby.micrograph import Pixels, to_rgb, to_uint8

#: Of classes in turn; told apart with any colour vision, and named beside each box anyway.
_COLOURS = ("#ff8c00", "#3ca0ff", "#00c08b", "#f2e135", "#e377c2", "#b8de29")
_MOST_PX = 1600  # of the longer side; a larger image is shown smaller
_LEAST_PX = 480  # of the longer side; a smaller image is shown larger


def boxes_over(pixels: Pixels, found: FoundBoxes, classes: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return a picture (h, w, 3) with findings outlined and named, the weakest drawn first.

    Parameters
    ----------
    pixels : ndarray, (H, W) or (H, W, 3)
        Of any depth.
    found : FoundBoxes
        In its pixels.
    classes : sequence of str
    """
    picture = Image.fromarray(to_rgb(to_uint8(pixels)))
    longer = max(picture.size)
    factor = min(1.0, _MOST_PX / longer) if longer >= _LEAST_PX else float(round(_LEAST_PX / longer))
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    resample = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS
    picture = picture.resize(size, resample)
    pen, line = ImageDraw.Draw(picture), max(2, round(max(size) / 500))
    font = ImageFont.load_default(max(10, round(max(size) / 70)))
    order = np.argsort(found.scores, kind="stable").tolist()
    for k in order:
        left, top, right, bottom = (float(value) * factor for value in found.boxes[k])
        label = int(found.labels[k])
        colour = _COLOURS[label % len(_COLOURS)]
        frame = (left - line, top - line, max(right, left + 1) + line, max(bottom, top + 1) + line)
        pen.rectangle((frame[0] - 1, frame[1] - 1, frame[2] + 1, frame[3] + 1), outline="black", width=line + 2)
        pen.rectangle(frame, outline=colour, width=line)
        _write(pen, f"{classes[label]} {found.scores[k]:.2f}", (left, top, bottom), size, font, colour)
    return np.asarray(picture, np.uint8)


def _write(
    pen: ImageDraw.ImageDraw,
    words: str,
    box: tuple[float, float, float],
    size: tuple[int, int],
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    colour: str,
) -> None:
    """Put words above a box, or below it where there is no room, on a dark ground."""
    left, top, bottom = box
    x0, y0, x1, y1 = pen.textbbox((0, 0), words, font=font)
    wide, high = x1 - x0 + 6, y1 - y0 + 6
    x = min(max(0.0, left), max(0.0, size[0] - wide))
    y = top - high - 3 if top - high - 3 >= 0 else min(bottom + 3, size[1] - high)
    pen.rectangle((x, y, x + wide, y + high), fill="black")
    pen.text((x + 3 - x0, y + 3 - y0), words, fill=colour, font=font)
