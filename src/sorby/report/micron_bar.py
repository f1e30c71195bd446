"""A micron bar in a strip of its own below a picture, so that it hides nothing of it."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from sorby.micrograph import Pixels, to_rgb, to_uint8

_SHARE = 0.2  # of the width that the bar takes at most
_LEAST_STRIP_PX = 28


def round_length_um(most_um: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20 ... (and .5, .2 ...) micrometres not above *most_um*."""
    power = 10.0 ** math.floor(math.log10(most_um))
    return float(max(step * power for step in (1, 2, 5) if step * power <= most_um * (1 + 1e-9)))


def length_words(length_um: float) -> str:
    """Return a length with its unit: nm below a micrometre, mm from a thousand on."""
    if length_um < 1:
        return f"{1000 * length_um:g} nm"
    return f"{length_um:g} µm" if length_um < 1000 else f"{length_um / 1000:g} mm"


def strip_height(width: int) -> int:
    """Return the height of the strip below a picture of so many columns, pixels."""
    return max(_LEAST_STRIP_PX, round(width * 0.045))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans as matplotlib carries it; Pillow's own font has no micro sign."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def with_micron_bar(pixels: Pixels, pixel_size_um: float | None) -> npt.NDArray[np.uint8]:
    """Return an 8-bit picture with a micron bar below it.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3)
    pixel_size_um : float or None
        Where None, the picture comes back without a strip.

    Returns
    -------
    ndarray of uint8, shape (H + strip, W) or (H + strip, W, 3)
        Grey stays grey.
    """
    byte = to_uint8(pixels)
    if pixel_size_um is None:
        return byte
    width = byte.shape[1]
    strip = strip_height(width)
    length_um = round_length_um(_SHARE * width * pixel_size_um)
    length_px = max(1, round(length_um / pixel_size_um))
    canvas = Image.new("L", (width, strip), 255)
    draw = ImageDraw.Draw(canvas)
    margin, thickness = strip // 4, max(2, strip // 6)
    top = (strip - thickness) // 2
    draw.rectangle([margin, top, margin + length_px - 1, top + thickness - 1], fill=0)
    font = _font(max(10, round(0.55 * strip)))
    draw.text((2 * margin + length_px, strip / 2), length_words(length_um), fill=0, font=font, anchor="lm")
    drawn = np.asarray(canvas, dtype=np.uint8)
    return np.concatenate([byte, drawn if byte.ndim == 2 else to_rgb(drawn)], axis=0)
