"""Six colour maps for looking into a network, after the names of Bhat et al. (2023), Fig. 9.

The paper names them filters and gives no colours. Ours are built in CIELAB: lightness rises from end to end, so that
a brighter place is a larger value in colour, in grey print and for readers who do not tell all colours apart; hue and
saturation make the name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError

Floats = npt.NDArray[np.float64]

LEVELS = 256
_WHITE = np.array([0.95047, 1.0, 1.08883])  # of D65
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_FROM_XYZ = np.linalg.inv(_TO_XYZ)
_KNEE = 6 / 29


@dataclass(frozen=True)
class ColourPath:
    """A way through CIELAB.

    Attributes
    ----------
    purpose : str
        What the paper says it is for.
    lightness : tuple of (float, float)
        Places from 0 to 1 and the lightness there, 0 to 100, rising.
    colour : tuple of (float, float, float)
        Places from 0 to 1 and a* and b* there.
    """

    purpose: str
    lightness: tuple[tuple[float, float], ...]
    colour: tuple[tuple[float, float, float], ...]


#: The maps in the order in which the paper lists them.
COLOUR_MAPS: Mapping[str, ColourPath] = {
    "blue_RGB": ColourPath(
        "contrast of subtle patterns",
        ((0.0, 8.0), (1.0, 97.0)),
        ((0.0, 35.0, -60.0), (0.3, 20.0, -65.0), (0.55, -30.0, -10.0), (0.75, -60.0, 50.0), (1.0, 0.0, 12.0)),
    ),
    "aqua": ColourPath(
        "fine texture",
        ((0.0, 6.0), (1.0, 96.0)),
        ((0.0, 2.0, -18.0), (0.4, -18.0, -22.0), (0.75, -38.0, -12.0), (1.0, -12.0, 2.0)),
    ),
    "moonlight": ColourPath(
        "relief",
        ((0.0, 3.0), (1.0, 98.0)),
        ((0.0, 3.0, -8.0), (0.45, 2.0, -24.0), (0.8, -2.0, -14.0), (1.0, 0.0, 3.0)),
    ),
    "bronze": ColourPath(
        "warm tones, rust",
        ((0.0, 5.0), (1.0, 95.0)),
        ((0.0, 8.0, 6.0), (0.4, 22.0, 34.0), (0.75, 14.0, 44.0), (1.0, 2.0, 16.0)),
    ),
    "red_lava": ColourPath(
        "strong contrast",
        ((0.0, 2.0), (1.0, 96.0)),
        ((0.0, 6.0, 2.0), (0.35, 58.0, 42.0), (0.6, 62.0, 62.0), (0.85, 8.0, 78.0), (1.0, -4.0, 30.0)),
    ),
    "bone": ColourPath(
        "black and white",
        ((0.0, 1.0), (0.35, 12.0), (0.65, 88.0), (1.0, 99.0)),
        ((0.0, 0.0, 0.0), (0.5, 0.0, 3.0), (1.0, 0.0, 3.0)),
    ),
}

#: Layers of the published figure and the map each was shown in.
PUBLISHED_LAYERS: Mapping[int, str] = dict(zip((3, 5, 7, 8, 1, 4), COLOUR_MAPS, strict=True))


def map_for_layer(number: int) -> str:
    """Name the map of a layer, counted from 1: as published, or in turn where the paper shows no such layer."""
    names = tuple(COLOUR_MAPS)
    return PUBLISHED_LAYERS.get(number, names[(number - 1) % len(names)])


def lab_to_srgb(lab: Floats) -> Floats:
    """Return sRGB (..., 3), 1 the brightest, of CIELAB (..., 3) under D65; outside of 0..1 there is no such colour."""
    level = (lab[..., 0] + 16) / 116
    folded = np.stack([level + lab[..., 1] / 500, level, level - lab[..., 2] / 200], axis=-1)
    xyz = _WHITE * np.where(folded > _KNEE, folded**3, 3 * _KNEE**2 * (folded - 4 / 29))
    linear = xyz @ _FROM_XYZ.T
    bright = 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055
    return np.asarray(np.where(linear > 0.0031308, bright, 12.92 * linear), np.float64)


def lightness(rgb: npt.NDArray[np.uint8]) -> Floats:
    """Return CIE L* (...) of 8-bit sRGB (..., 3), 0 to 100."""
    value = rgb.astype(np.float64) / 255
    linear = np.where(value > 0.04045, ((value + 0.055) / 1.055) ** 2.4, value / 12.92)
    bright = linear @ _TO_XYZ[1]
    folded = np.where(bright > _KNEE**3, np.cbrt(bright), bright / (3 * _KNEE**2) + 4 / 29)
    return np.asarray(116 * folded - 16, np.float64)


@cache
def colours(name: str) -> npt.NDArray[np.uint8]:
    """Return the 256 colours of a map, shape (256, 3), dark to light.

    Raises
    ------
    InputError
        There is no such map.
    """
    if name not in COLOUR_MAPS:
        raise InputError(f"no colour map named {name!r}", f"one of: {', '.join(COLOUR_MAPS)}")
    path = COLOUR_MAPS[name]
    place = np.linspace(0, 1, LEVELS)
    light, colour = np.array(path.lightness), np.array(path.colour)
    level = np.interp(place, light[:, 0], light[:, 1])
    hue = np.stack([np.interp(place, colour[:, 0], colour[:, k]) for k in (1, 2)], axis=1)
    kept = _greatest_share(level, hue)
    lab = np.column_stack([level, kept[:, None] * hue])
    found = np.rint(255 * np.clip(lab_to_srgb(lab), 0, 1)).astype(np.uint8)
    found.flags.writeable = False
    return found


def _greatest_share(level: Floats, hue: Floats) -> Floats:
    """Return how much of each colour's saturation a screen can show at its lightness, shape (n,)."""
    shares = np.linspace(1, 0, 101)
    lab = np.empty((len(shares), len(level), 3))
    lab[..., 0], lab[..., 1:] = level, shares[:, None, None] * hue
    rgb = lab_to_srgb(lab)
    shown = ((rgb >= 0) & (rgb <= 1)).all(axis=-1)
    return np.asarray(shares[shown.argmax(axis=0)], np.float64)


def coloured(values: npt.NDArray[np.floating], name: str) -> npt.NDArray[np.uint8]:
    """Return values (...), 0 to 1, in the colours of a map, shape (..., 3); beyond the ends in those of the ends."""
    level = np.clip(np.rint(np.nan_to_num(values) * (LEVELS - 1)), 0, LEVELS - 1).astype(np.intp)
    found: npt.NDArray[np.uint8] = colours(name)[level]
    return found
