"""What a surface hands to the microscope, and what steel and magnesium have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sorby.phantom.corrosion.specimen import Appearance
from sorby.phantom.place_noise import Float32, Window, at_points, smooth

#: Forms of attack, as numbered in masks of forms; where two meet, the later one stands.
FORMS: Mapping[str, int] = {"sound": 0, "track": 1, "intergranular": 2, "film": 3, "nodule": 4, "stride": 5, "pit": 6}


@dataclass(frozen=True)
class Relief:
    """A surface over a window; arrays have shape (height, width).

    Attributes
    ----------
    height_um : ndarray of float32
    shade : ndarray of float32
        Brightness of the matter itself, added to that of slopes; 0 for bare metal.
    insulating : ndarray of float32
        0 for metal, 1 for thick product: what charges.
    forms : ndarray of uint8
        Form of attack, see :data:`FORMS`.
    product_um : ndarray of float32
        Thickness of corrosion product.
    pits : ndarray of float64, shape (n, 3)
        Centre x and y and radius in µm of the pits of the window.
    """

    height_um: Float32
    shade: Float32
    insulating: Float32
    forms: npt.NDArray[np.uint8]
    product_um: Float32
    pits: npt.NDArray[np.float64]


def grinding(look: Appearance, window: Window, seed: int) -> Float32:
    """Return the height of grinding lines in µm: finite lines side by side, few of them deep, and older ones across.

    Parameters
    ----------
    look : Appearance
    window : Window
    seed : int
    """
    # A hand that grinds sways a little.
    sway = 1.5 * smooth(window, 420.0, seed)
    along, across = turned(window, look.grind_angle)
    across = across + sway
    height = np.zeros(window.shape, dtype=np.float32)
    for octave, (spacing, length, depth) in enumerate(((2.6, 900.0, 0.30), (1.0, 420.0, 0.20), (0.42, 160.0, 0.10))):
        pitch = spacing * look.grind_um
        seen = float(np.clip(pitch / window.pixel_um / 1.5 - 0.7, 0.0, 1.0))
        if seen > 0:
            lines = at_points(across / np.float32(pitch), along / np.float32(length), seed + 1 + octave)
            # Grains of abrasive cut narrow furrows and leave broader land between them.
            furrows = np.minimum(lines, 0.0) * 1.4 + np.maximum(lines, 0.0) * 0.5
            height += np.float32(depth * seen) * furrows
    pitch = 1.9 * look.grind_um
    if pitch > 1.5 * window.pixel_um:
        rare = at_points(across / np.float32(pitch), along / 1500.0, seed + 5)
        height -= 0.9 * np.clip(rare - 1.55, 0.0, None)
        if look.cross_grind > 0.05:
            along, across = turned(window, look.grind_angle + 1.2)
            older = at_points(across / np.float32(pitch), along / 700.0, seed + 6)
            height -= np.float32(0.9 * look.cross_grind) * np.clip(older - 0.8, 0.0, None)
    return height * np.float32(look.grind_depth)


def strides(look: Appearance, window: Window, seed: int, share: Float32) -> Float32:
    """Return how deep within an opened furrow pixels lie, 0 outside to 1: attack that follows grinding lines.

    Parameters
    ----------
    look : Appearance
    window : Window
    seed : int
    share : ndarray of float32, shape (height, width)
        Expected share of the area in furrows.
    """
    along, across = turned(window, look.grind_angle)
    across = across + 1.5 * smooth(window, 420.0, seed) + 0.35 * smooth(window, 5.0, seed + 11)
    pitch = np.float32(0.8 * look.grind_um)
    field = at_points(across / pitch, along / 230.0, seed + 12)
    values, below = _stride_quantiles()
    rank = np.interp(field, values, below).astype(np.float32)
    return np.clip((share - rank) / np.maximum(share, 0.02), 0.0, 1.0).astype(np.float32)


@lru_cache(maxsize=1)
def _stride_quantiles() -> tuple[Float32, Float32]:
    """Return values of the stride field and the share of the plane that lies below each."""
    places = np.arange(0.0, 300.0, 0.23, dtype=np.float32)
    field = at_points(places[None, :] + places[:, None] * 0, places[:, None] + places[None, :] * 0, 316)
    below = np.linspace(0.0, 1.0, 257)
    return np.quantile(field, below).astype(np.float32), below.astype(np.float32)


def warped(
    u_um: Float32, v_um: Float32, window: Window, waves: Sequence[tuple[float, float]], seed: int
) -> tuple[Float32, Float32]:
    """Return coordinates pushed about by smooth noise, so that what is drawn in them has ragged outlines.

    The push depends on the place alone: an outline keeps its shape as it grows.

    Parameters
    ----------
    u_um, v_um : ndarray of float32
        Coordinates of the window's pixels (broadcast).
    window : Window
    waves : sequence of tuple of float
        Amplitude and wavelength in µm of each part of the push.
    seed : int
    """
    push_u, push_v = np.zeros(window.shape, dtype=np.float32), np.zeros(window.shape, dtype=np.float32)
    for number, (amplitude, wavelength) in enumerate(waves):
        push_u += amplitude * smooth(window, wavelength, seed + 2 * number)
        push_v += amplitude * smooth(window, wavelength, seed + 2 * number + 1)
    return u_um + push_u, v_um + push_v


def turned(window: Window, angle: float) -> tuple[Float32, Float32]:
    """Return coordinates of the pixels along a direction and across it, in µm."""
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return window.x_um * cosine + window.y_um * sine, window.y_um * cosine - window.x_um * sine


def untwisted(along: Float32, across: Float32, angle: float) -> tuple[Float32, Float32]:
    """Return x and y of places given along a direction and across it: the way back from :func:`turned`."""
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return along * cosine - across * sine, along * sine + across * cosine


def within(window: Window, x_um: Float32, y_um: Float32, radii_um: Float32) -> npt.NDArray[np.float64]:
    """Return x, y and radius of those spots whose centre lies in the window, shape (n, 3)."""
    right, bottom = window.left_um + window.field_um, window.top_um + window.height * window.pixel_um
    here = (x_um >= window.left_um) & (x_um < right) & (y_um >= window.top_um) & (y_um < bottom)
    return np.column_stack([x_um[here], y_um[here], radii_um[here]]).astype(np.float64)


def step(value: Float32, soft: float) -> Float32:
    """Return 0 below 0, 1 above *soft*, a straight rise between."""
    return np.asarray(np.clip(value / np.float32(soft), 0.0, 1.0), dtype=np.float32)
