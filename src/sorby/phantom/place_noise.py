"""Noise that is a function of place: the same micrometre has the same value in every picture, whatever its scale.

Values at the nodes of a lattice come from a hash of the node's number and a seed, so nothing is stored, and a picture
computes only the nodes it shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import map_coordinates

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]

#: Bicubic interpolation of white noise loses a quarter of its deviation.
_REGAIN = np.float32(1.35)
#: An octave finer than this many pixels is left out, one finer than twice that is faded.
_FINEST_PX = 1.6


@dataclass(frozen=True)
class Window:
    """A rectangle of a surface and the pixels it falls on.

    Attributes
    ----------
    left_um, top_um : float
        Outer corner of the first pixel.
    pixel_um : float
        Pixel size.
    width, height : int
        Pixels.
    """

    left_um: float
    top_um: float
    pixel_um: float
    width: int
    height: int

    @property
    def x_um(self) -> Float32:
        """Centres of the columns, shape (1, width)."""
        return (self.left_um + (np.arange(self.width) + 0.5) * self.pixel_um).astype(np.float32)[None, :]

    @property
    def y_um(self) -> Float32:
        """Centres of the rows, shape (height, 1)."""
        return (self.top_um + (np.arange(self.height) + 0.5) * self.pixel_um).astype(np.float32)[:, None]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    @property
    def field_um(self) -> float:
        """Width of the field."""
        return self.width * self.pixel_um

    def part(self, rows: slice, columns: slice) -> Window:
        """Return the window of some rows and columns (given with start and stop)."""
        return Window(
            self.left_um + columns.start * self.pixel_um,
            self.top_um + rows.start * self.pixel_um,
            self.pixel_um,
            columns.stop - columns.start,
            rows.stop - rows.start,
        )

    def rows_and_columns(self, x_um: float, y_um: float, reach_um: float) -> tuple[slice, slice]:
        """Return which rows and columns lie within *reach_um* of a point, along each axis; empty slices where none."""

        def span(start: float, centre: float, count: int) -> slice:
            first = int(np.clip(np.floor((centre - reach_um - start) / self.pixel_um), 0, count))
            last = int(np.clip(np.ceil((centre + reach_um - start) / self.pixel_um), 0, count))
            return slice(first, max(first, last))

        return span(self.top_um, y_um, self.height), span(self.left_um, x_um, self.width)


def hashed(i: Int64, j: Int64, seed: int) -> UInt64:
    """Return 64 well mixed bits of the node (i, j), broadcast (the finaliser of splitmix64, twice)."""
    with np.errstate(over="ignore"):
        key = i.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed & 0xFFFFFFFFFFFFFFFF)
        bits = _mixed(_mixed(key) + j.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F))
    return bits


def uniform(bits: UInt64, part: int = 0) -> Float32:
    """Return numbers in 0..1 from bits; *part* 0, 1 or 2 takes other bits of the same."""
    return (((bits >> np.uint64(21 * part)) & np.uint64(0x1FFFFF)).astype(np.float32)) / np.float32(0x200000)


def white(i: Int64, j: Int64, seed: int) -> Float32:
    """Return white noise of unit deviation (triangular) at nodes."""
    bits = hashed(i, j, seed)
    return (uniform(bits, 0) + uniform(bits, 1) - np.float32(1.0)) * np.float32(np.sqrt(6.0))


def smooth(window: Window, wavelength_um: float, seed: int, *, stretch: float = 1.0) -> Float32:
    """Return one octave of smooth noise of about unit deviation over a window.

    Parameters
    ----------
    window : Window
    wavelength_um : float
        Pitch of the lattice. Where it nears the pixel the noise fades to nothing instead of turning into aliases.
    seed : int
    stretch : float
        Pitch along y relative to x.

    Returns
    -------
    ndarray of float32, shape (height, width)
    """
    fade = float(np.clip(min(wavelength_um, wavelength_um * stretch) / window.pixel_um / _FINEST_PX - 1.0, 0.0, 1.0))
    if fade == 0.0:
        return np.zeros(window.shape, dtype=np.float32)
    pitch_x, pitch_y = wavelength_um, wavelength_um * stretch
    left, top = window.left_um / pitch_x, window.top_um / pitch_y
    right = left + window.width * window.pixel_um / pitch_x
    bottom = top + window.height * window.pixel_um / pitch_y
    first_i, first_j = int(np.floor(left)) - 3, int(np.floor(top)) - 3
    i = np.arange(first_i, int(np.ceil(right)) + 4, dtype=np.int64)[None, :]
    j = np.arange(first_j, int(np.ceil(bottom)) + 4, dtype=np.int64)[:, None]
    box = (left - first_i + 0.5, top - first_j + 0.5, right - first_i + 0.5, bottom - first_j + 0.5)
    nodes = Image.fromarray(np.ascontiguousarray(white(i, j, seed)))
    field = nodes.resize((window.width, window.height), Image.Resampling.BICUBIC, box=box)
    return np.asarray(field, dtype=np.float32) * (_REGAIN * np.float32(fade))


def at_points(u: Float32, v: Float32, seed: int, *, period: int = 0) -> Float32:
    """Return linear lattice noise of unit pitch at points, creased along the lattice lines.

    Parameters
    ----------
    u, v : ndarray of float32
        Coordinates in cells, of one shape.
    seed : int
    period : int
        Number of cells after which the noise repeats along *u*; 0 for never.
    """
    first_i, first_j = int(np.floor(u.min())) - 1, int(np.floor(v.min())) - 1
    i = np.arange(first_i, int(np.floor(u.max())) + 3, dtype=np.int64)[:, None]
    j = np.arange(first_j, int(np.floor(v.max())) + 3, dtype=np.int64)[None, :]
    nodes = white(np.mod(i, period) if period else i, j, seed)
    values = map_coordinates(nodes, np.stack([u - first_i, v - first_j]), order=1, mode="nearest", output=np.float32)
    return np.asarray(values, dtype=np.float32)


def along(u: Float32, seed: int) -> Float32:
    """Return smooth noise of one coordinate (in cells), of about unit deviation."""
    first = int(np.floor(u.min())) - 1
    nodes = np.arange(first, int(np.floor(u.max())) + 3, dtype=np.int64)
    values = white(nodes, np.zeros_like(nodes), seed)
    t = u - first
    whole = np.floor(t).astype(np.int64)
    part = (t - whole).astype(np.float32)
    blend = part * part * (3 - 2 * part)
    return np.asarray((values[whole] * (1 - blend) + values[whole + 1] * blend) * np.float32(1.3), dtype=np.float32)


def _mixed(bits: UInt64) -> UInt64:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
