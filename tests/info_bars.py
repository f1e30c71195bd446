"""Micrographs with info bars in layouts of several makes, drawn with a scale bar of known length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

WIDTH, HEIGHT = 960, 640
_SANS = str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


@dataclass(frozen=True)
class Words:
    """What a bar says."""

    magnification: str = "Mag = 5.00 K X"
    voltage: str = "EHT = 15.00 kV"
    distance: str = "WD = 8.5 mm"
    detector: str = "Signal A = SE2"
    label: str = "2 µm"


@dataclass(frozen=True, eq=False)
class Drawn:
    """A micrograph with its truth."""

    pixels: np.ndarray
    bar_top: int
    bar_rows: int
    length_px: float


def picture(seed: int = 0, *, rows: int = HEIGHT, columns: int = WIDTH, level: float = 110, contrast: float = 40):
    """Return a rough surface with detector noise, uint8."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.standard_normal((rows, columns)), 6)
    noisy = level + contrast * field / field.std() + rng.normal(0, 8, field.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def with_bar(
    layout: str, words: Words | None = None, *, length: int = 120, seed: int = 0, top: bool = False, **look: float
) -> Drawn:
    """Return a picture with a bar of one layout below it, or above it."""
    bar, measured = LAYOUTS[layout](words or Words(), length)
    surface = picture(seed, **look)
    pixels = np.vstack([bar, surface] if top else [surface, bar])
    return Drawn(pixels, 0 if top else len(surface), len(bar), measured)


def _sheet(rows: int, paper: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("L", (WIDTH, rows), paper)
    return image, ImageDraw.Draw(image)


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_SANS, size)


def _light(words: Words, length: int) -> tuple[np.ndarray, float]:
    """Black on white, label above a line with end marks, fields in a row; a drawn border."""
    image, draw = _sheet(52, 255)
    draw.rectangle((0, 0, WIDTH - 1, 51), outline=0)
    draw.text((22, 15), words.label, fill=0, font=_font(17), anchor="lm")
    for x in (20, 20 + length):
        draw.line((x, 27, x, 45), fill=0, width=1)
    draw.line((20, 36, 20 + length, 36), fill=0, width=2)
    x = max(20 + length, 120) + 50
    for text in (words.magnification, words.voltage, words.distance, words.detector):
        draw.text((x, 26), text, fill=0, font=_font(18), anchor="lm")
        x += int(_font(18).getlength(text)) + 24
    return np.asarray(image), float(length)


def _ticks(words: Words, length: int) -> tuple[np.ndarray, float]:
    """White on black; eleven ticks at the upper edge, large letters."""
    image, draw = _sheet(56, 0)
    right = WIDTH - 20
    step = length / 10
    for k in range(11):
        x = round(right - length + k * step)
        draw.rectangle((x - 1, 3, x + 1, 13), fill=255)
    draw.text((right, 36), words.label, fill=255, font=_font(25), anchor="rm")
    draw.text((40, 36), f"{words.voltage} {words.distance} {words.magnification} {words.detector}", fill=255,
              font=_font(22), anchor="lm")  # fmt: skip
    return np.asarray(image), float(length)


def _cells(words: Words, length: int) -> tuple[np.ndarray, float]:
    """White on nearly black, framed cells with headings, the scale bar broken by its label."""
    image, draw = _sheet(66, 6)
    draw.rectangle((0, 0, WIDTH - 1, 65), outline=250)
    x = 0
    cells = (("mag", words.magnification), ("HV", words.voltage), ("WD", words.distance), ("det", words.detector))
    for heading, text in cells:
        wide = int(max(_font(19).getlength(text), _font(19).getlength(heading))) + 26
        draw.text((x + wide / 2, 19), heading, fill=250, font=_font(19), anchor="mm")
        draw.text((x + wide / 2, 47), text, fill=250, font=_font(19), anchor="mm")
        x += wide
        draw.line((x, 0, x, 65), fill=250)
    left, y = WIDTH - length - 40, 20
    draw.line((left, y, left + length, y), fill=250, width=2)
    for end in (left, left + length):
        draw.line((end, y - 5, end, y + 6), fill=250)
    half = _font(19).getlength(words.label) / 2 + 8
    draw.rectangle((left + length / 2 - half, y - 8, left + length / 2 + half, y + 9), fill=6)
    draw.text((left + length / 2, y), words.label, fill=250, font=_font(19), anchor="mm")
    return np.asarray(image), float(length)


def _plain(words: Words, length: int) -> tuple[np.ndarray, float]:
    """Dark letters on light grey in one line; a thick plain line after its label."""
    image, draw = _sheet(40, 225)
    text = f"{words.detector}   {words.voltage}   {words.magnification}   {words.distance}"
    draw.text((16, 20), text, fill=15, font=_font(18), anchor="lm")
    left = WIDTH - 24 - length
    draw.rectangle((left, 18, left + length - 1, 22), fill=15)
    draw.text((left - 12, 20), words.label, fill=15, font=_font(18), anchor="rm")
    return np.asarray(image), float(length)


LAYOUTS: dict[str, Callable[[Words, int], tuple[np.ndarray, float]]] = {
    "light": _light,
    "ticks": _ticks,
    "cells": _cells,
    "plain": _plain,
}
