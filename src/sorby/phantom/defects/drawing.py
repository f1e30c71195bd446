"""What the drawing of any mark needs: its window, its strength on a surface, strokes and blobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy.ndimage import grey_dilation

from sorby.phantom.defects.grounds import Ground
from sorby.phantom.defects.picture import Bool, Float32, Float64, Mark
from sorby.phantom.fields import smooth_noise

#: Strokes are drawn this many times larger and reduced, which gives them smooth edges.
_FINE = 3
#: A mark is drawn around where it has this share of its strength.
SEEN = 0.35


@dataclass(frozen=True)
class Window:
    """A part of the picture: rows *top* to *bottom*, columns *left* to *right*."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    def of(self, field: Float32) -> Float32:
        """Return this part of a field."""
        return field[self.top : self.bottom, self.left : self.right]

    def grid(self) -> tuple[Float32, Float32]:
        """Return the rows, shape (h, 1), and columns, shape (1, w), of its pixels in the picture."""
        rows = np.arange(self.top, self.bottom, dtype=np.float32)[:, None]
        return rows, np.arange(self.left, self.right, dtype=np.float32)[None, :]


def window_around(
    shape: tuple[int, int], left: float, top: float, right: float, bottom: float, margin: float
) -> Window | None:
    """Return the part of a picture that holds a rectangle and a margin; None where nothing of it is inside."""
    first_row, first_column = max(0, int(np.floor(top - margin))), max(0, int(np.floor(left - margin)))
    last_row, last_column = min(shape[0], int(np.ceil(bottom + margin))), min(shape[1], int(np.ceil(right + margin)))
    if last_row - first_row < 3 or last_column - first_column < 3:
        return None
    return Window(first_row, first_column, last_row, last_column)


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw evenly on a logarithmic scale."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def strength(
    ground: Ground,
    window: Window,
    rng: np.random.Generator,
    *,
    dark: float,
    low: float = 1.8,
    high: float = 7.0,
    floor: tuple[float, float] = (8.0, 30.0),
) -> float:
    """Return by how many grey levels a mark differs from its surface, below 0 where it is darker.

    Parameters
    ----------
    ground : Ground
    window : Window
        Where it lies.
    rng : numpy.random.Generator
    dark : float
        Chance that it is dark; it is turned round where the surface leaves no room for it.
    low, high : float
        Range of its strength in deviations of the surface's grain.
    floor : tuple of float
        Range in grey levels of what it has at least, however smooth the surface is.
    """
    mean = float(window.of(ground.field).mean())
    wanted = max(between(rng, low, high) * ground.grain, between(rng, *floor))
    # On an overexposed surface a dark mark must first come down to white.
    down, up = max(min(mean, 255.0) - 6.0, 0.0), max(250.0 - mean, 0.0)
    is_dark = bool(rng.random() < dark)
    if (down if is_dark else up) < 0.5 * wanted and (up if is_dark else down) > (down if is_dark else up):
        is_dark = not is_dark
    if is_dark:
        return -(min(wanted, 0.9 * down) + max(mean - 255.0, 0.0))
    return min(wanted, up)


def finished(kind: str, window: Window, delta: npt.NDArray[Any], mask: Bool, widened: int = 0) -> Mark | None:
    """Return a mark; None where nothing of it would be marked.

    Parameters
    ----------
    kind : str
    window : Window
    delta : ndarray of float, shape (h, w)
    mask : ndarray of bool, shape (h, w)
    widened : int
        Pixels by which a hand draws around it.
    """
    body = mask
    if widened > 0 and mask.any():
        mask = grey_dilation(mask.astype(np.uint8), size=(2 * widened + 1, 2 * widened + 1)) > 0
    if int(mask.sum()) < 4:
        return None
    return Mark(kind, window.top, window.left, delta.astype(np.float32), mask, body)


def stroked(window: Window, lines: list[tuple[Float64, Float64, Float64]]) -> Float32:
    """Return how far strokes cover each pixel of a window, 0 to 1.

    Parameters
    ----------
    window : Window
    lines : list of tuple of ndarray
        Of each stroke its points, shape (n, 2), x and y in the picture, and of the n - 1 pieces between them their
        widths in pixels and pressures, 0 to 1.
    """
    height, width = window.shape
    image = Image.new("L", (width * _FINE, height * _FINE), 0)
    pen = ImageDraw.Draw(image)
    for points, widths, pressures in lines:
        places = ((points - (window.left, window.top)) * _FINE).tolist()
        broad = np.maximum(np.rint(widths * _FINE), 1).astype(int).tolist()
        # A stroke thinner than the finest pen presses less instead.
        grey = np.rint(255 * np.clip(pressures * np.minimum(widths * _FINE, 1), 0, 1)).astype(int).tolist()
        for i in range(len(places) - 1):
            pen.line([*places[i], *places[i + 1]], fill=grey[i], width=broad[i])
    return np.asarray(image.reduce(_FINE), dtype=np.float32) / np.float32(255)


def path(
    x: float, y: float, length: float, angle_deg: float, rng: np.random.Generator, *, bend: float, jitter: float
) -> Float64:
    """Return points along a line of some length, shape (n, 2).

    Parameters
    ----------
    x, y : float
        Its middle.
    length, angle_deg : float
        In pixels; 0 along rows.
    rng : numpy.random.Generator
    bend : float
        Deviation of its turn from end to end, in radians.
    jitter : float
        Deviation of the direction from piece to piece, in radians.
    """
    count = int(np.clip(length / 6, 3, 48))
    heading = np.deg2rad(angle_deg) + bend * rng.standard_normal() * np.linspace(-0.5, 0.5, count)
    heading = heading + jitter * np.convolve(rng.standard_normal(count + 2), (0.25, 0.5, 0.25), mode="valid")
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=1) * (length / count)
    points = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    return np.asarray(points - points.mean(axis=0) + (x, y), dtype=np.float64)


def blob(
    window: Window,
    centre: tuple[float, float],
    axes: tuple[float, float],
    angle_deg: float,
    rng: np.random.Generator,
    *,
    ragged: float,
    soft: float,
) -> Float32:
    """Return how far an irregular ellipse covers each pixel of a window, 0 to 1.

    Parameters
    ----------
    window : Window
    centre : tuple of float
        Its x and y in the picture.
    axes : tuple of float
        Half axes in pixels, the first along *angle_deg*.
    rng : numpy.random.Generator
    ragged : float
        Deviation of its outline, as a share of its radius.
    soft : float
        Width of its border, as a share of its radius.
    """
    return edged(radius(window, centre, axes, angle_deg, rng, ragged=ragged), soft)


def radius(
    window: Window,
    centre: tuple[float, float],
    axes: tuple[float, float],
    angle_deg: float,
    rng: np.random.Generator,
    *,
    ragged: float,
) -> Float32:
    """Return the distance of each pixel from a centre, 1 on the outline of :func:`blob`."""
    rows, columns = window.grid()
    turn = np.deg2rad(angle_deg)
    dx, dy = columns - np.float32(centre[0]), rows - np.float32(centre[1])
    u = (dx * np.float32(np.cos(turn)) + dy * np.float32(np.sin(turn))) / np.float32(axes[0])
    v = (dy * np.float32(np.cos(turn)) - dx * np.float32(np.sin(turn))) / np.float32(axes[1])
    distance = np.sqrt(u * u + v * v)
    if ragged > 0:
        coarse = max(2.0, 0.9 * float(np.sqrt(axes[0] * axes[1])))
        uneven = smooth_noise(window.shape, coarse, rng)
        if coarse > 8:
            uneven = uneven + np.float32(0.45) * smooth_noise(window.shape, coarse / 3.5, rng)
        distance = distance * (1 + np.float32(ragged) * np.clip(uneven, -1.8, 1.8))
    return np.asarray(distance, dtype=np.float32)


def edged(distance: Float32, soft: float) -> Float32:
    """Return 1 within distance 1 and 0 without, the border *soft* wide and smooth."""
    t = np.clip((1 - distance) / np.float32(max(soft, 1e-3)) + np.float32(0.5), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)
