"""What is laid over an image in the viewer: transparent pictures of the whole image, at most 2,048 pixels long.

The viewer stretches each over the image and fades it, so all of them cover the whole image whatever part a model saw.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageFont

LONGEST_PX = 2048
#: Of classes in turn; told apart with any colour vision, and named beside each box anyway.
COLOURS = ("#ff8c00", "#3ca0ff", "#00c08b", "#f2e135", "#e377c2", "#b8de29")
_OPAQUE = 0.75  # where a map is at its peak; the viewer fades from there

Floats = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]
Size = tuple[int, int]
Region = tuple[float, float, float, float]


def shown_size(height: int, width: int) -> tuple[int, int]:
    """Return height and width of an image's overlays."""
    factor = min(1.0, LONGEST_PX / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def heat_map(level: Floats, size: Size, region: Region | None = None) -> bytes:
    """Draw where a classifier looked.

    Parameters
    ----------
    level : ndarray, (h, w)
        0 to 1; what is 0 is transparent.
    size : (int, int)
        Height and width of the image.
    region : (top, left, height, width), optional
        What the classifier saw, in pixels of the image; it may reach beyond the image.

    Returns
    -------
    bytes
        A PNG with transparency, of `shown_size`.
    """
    return _coloured(_placed(np.clip(level, 0, 1), size, region, Image.Resampling.BILINEAR), "inferno")


def score_map(values: Floats, threshold: float, size: Size, region: Region | None = None) -> bytes:
    """Draw an anomaly map: nothing below half the threshold, full colour from one and a half times it on."""
    level = np.nan_to_num(values, nan=0.0) / max(threshold, 1e-12)
    return heat_map(np.clip(level - 0.5, 0, 1), size, region)


def _placed(values: Floats, size: Size, region: Region | None, resampling: Image.Resampling) -> Floats:
    """Return values of a region of an image on the whole overlay; 0 elsewhere."""
    top, left, height, width = region or (0, 0, *size)
    shown = shown_size(*size)
    down, across = shown[0] / size[0], shown[1] / size[1]
    patch = Image.fromarray(np.ascontiguousarray(values, np.float32)).resize(
        (max(1, round(width * across)), max(1, round(height * down))), resampling
    )
    whole = Image.new("F", (shown[1], shown[0]), 0.0)
    whole.paste(patch, (round(left * across), round(top * down)))
    return np.asarray(whole, np.float32)


def mask(inside: npt.NDArray[np.bool_], size: Size, region: Region | None = None, colour: str = "#00e5ff") -> bytes:
    """Draw a mask, its inside tinted and its outline full."""
    found = _placed(inside.astype(np.float32), size, region, Image.Resampling.NEAREST) > 0.5
    padded = np.pad(found, 1, mode="edge")
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    rgba = np.zeros((*found.shape, 4), np.uint8)
    rgba[..., :3] = Image.new("RGB", (1, 1), colour).getpixel((0, 0))
    rgba[..., 3] = np.where(found & ~inner, 255, np.where(found, 90, 0))
    return _png(Image.fromarray(rgba))


def boxes(found: Sequence[tuple[Box, int, str]], size: Size) -> bytes:
    """Draw boxes with their names.

    Parameters
    ----------
    found : sequence of (box, class, words)
        Left, top, right, bottom in pixels of the image; the number of the class chooses the colour.
    size : (int, int)
        Height and width of the image.
    """
    shown = shown_size(*size)
    factor = shown[1] / size[1]
    picture = Image.new("RGBA", (shown[1], shown[0]), (0, 0, 0, 0))
    pen, line = ImageDraw.Draw(picture), max(2, round(max(shown) / 500))
    font = ImageFont.load_default(max(11, round(max(shown) / 70)))
    for (left, top, right, bottom), number, words in found:
        colour = COLOURS[number % len(COLOURS)]
        frame = [left * factor - line, top * factor - line, right * factor + line, bottom * factor + line]
        frame[2], frame[3] = max(frame[2], frame[0] + 2 * line), max(frame[3], frame[1] + 2 * line)
        pen.rectangle((frame[0] - 1, frame[1] - 1, frame[2] + 1, frame[3] + 1), outline="black", width=line + 2)
        pen.rectangle(tuple(frame), outline=colour, width=line)
        _write(pen, words, frame, shown, font, colour)
    return _png(picture)


def lines(ends: npt.NDArray[np.float64], kinds: npt.NDArray[np.int64], size: Size) -> bytes:
    """Draw lines, one colour for each kind.

    Parameters
    ----------
    ends : ndarray, (n, 4)
        x and y of both ends, in pixels of the image.
    kinds : ndarray of int, (n,)
    size : (int, int)
        Height and width of the image.
    """
    shown = shown_size(*size)
    picture = Image.new("RGBA", (shown[1], shown[0]), (0, 0, 0, 0))
    pen, width = ImageDraw.Draw(picture), max(1, round(max(shown) / 700))
    for line, kind in zip((ends * (shown[1] / size[1])).tolist(), kinds.tolist(), strict=True):
        pen.line(line, fill=COLOURS[kind % len(COLOURS)], width=width)
    return _png(picture)


def _write(
    pen: ImageDraw.ImageDraw,
    words: str,
    frame: Sequence[float],
    shown: Size,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    colour: str,
) -> None:
    """Put words above a box, or below it where there is no room, on a dark ground."""
    x0, y0, x1, y1 = pen.textbbox((0, 0), words, font=font)
    wide, high = x1 - x0 + 6, y1 - y0 + 6
    x = min(max(0.0, frame[0]), max(0.0, shown[1] - wide))
    y = frame[1] - high - 2 if frame[1] - high - 2 >= 0 else min(frame[3] + 2, shown[0] - high)
    pen.rectangle((x, y, x + wide, y + high), fill=(0, 0, 0, 200))
    pen.text((x + 3 - x0, y + 3 - y0), words, fill=colour, font=font)


def _coloured(level: Floats, colormap: str) -> bytes:
    rgba = colormaps[colormap](np.linspace(0, 1, 256), bytes=True)[np.rint(level * 255).astype(np.uint8)]
    rgba[..., 3] = np.rint(np.clip(level * 1.5, 0, 1) * 255 * _OPAQUE).astype(np.uint8)
    return _png(Image.fromarray(rgba))


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
