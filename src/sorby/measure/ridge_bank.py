"""Oriented band-pass filters in micrometres: how strongly each place answers to lines of a width and a direction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.ndimage import distance_transform_edt, zoom

Float32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

#: Centre wavelengths in micrometres; a needle answers most to about twice its width.
BANDS_UM = (0.85, 1.25, 1.85, 2.7, 4.0)
DIRECTIONS = 12
_RADIAL = 0.30  # deviation of the natural logarithm of the frequency
_ANGULAR = 0.16  # deviation of the direction in radians; the filter is then about one wavelength long


@dataclass(frozen=True, eq=False)
class Band:
    """One band's filters for pictures of one shape.

    Attributes
    ----------
    wavelength_um : float
        Centre wavelength in micrometres.
    rows, columns : ndarray of int
        Which frequencies of the full spectrum the band needs; the rest are zero, so answers come on a coarser grid.
    radial : ndarray of float32, shape (len(rows), len(columns))
        Weight by frequency.
    angle : ndarray of float32, shape (len(rows), len(columns))
        Direction of each frequency in radians.
    pixel_um : tuple of float
        Height and width of a pixel of the answers in micrometres.
    """

    wavelength_um: float
    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    radial: Float32
    angle: Float32
    pixel_um: tuple[float, float]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the answers."""
        return len(self.rows), len(self.columns)

    def filter(self, direction: int) -> Float32:
        """Return the analytic filter of a direction: its answer's real part is even, its modulus the envelope.

        Made when needed: twelve of a large micrograph would not fit beside each other.
        """
        off = self.angle - np.float32(np.pi * direction / DIRECTIONS)
        off = np.mod(off + np.float32(np.pi), np.float32(2 * np.pi)) - np.float32(np.pi)
        return np.asarray(self.radial * np.exp(-(off**2) / np.float32(2 * _ANGULAR**2)))


def padded_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Return the next larger shape that transforms quickly."""
    return fft.next_fast_len(shape[0], True), fft.next_fast_len(shape[1], True)


def line_angle(direction: int) -> float:
    """Return the angle of the lines that a direction's filter answers to, radians from the x axis towards y."""
    return float(np.pi * direction / DIRECTIONS + np.pi / 2) % float(np.pi)


def make_band(wavelength_um: float, shape: tuple[int, int], pixel_size_um: float) -> Band:
    """Return the filters of one band.

    Log-Gabor in frequency, Gaussian in direction (Field 1987; Kovesi 1999), one-sided, so that the answer is
    analytic and its modulus does not depend on whether needles are dark or bright.

    Parameters
    ----------
    wavelength_um : float
        Centre wavelength in micrometres.
    shape : tuple of int
        From :func:`padded_shape`.
    pixel_size_um : float
        Pixel size in micrometres.
    """
    height, width = shape
    keep = [min(n, 2 * int(np.ceil(2.0 / wavelength_um * n * pixel_size_um))) for n in shape]
    rows = np.r_[0 : (keep[0] + 1) // 2, height - keep[0] // 2 : height].astype(np.intp)
    columns = np.r_[0 : (keep[1] + 1) // 2, width - keep[1] // 2 : width].astype(np.intp)
    y = fft.fftfreq(height, pixel_size_um)[rows][:, None]
    x = fft.fftfreq(width, pixel_size_um)[columns][None, :]
    radius, angle = np.hypot(y, x), np.arctan2(y, x)
    radial = np.exp(-(np.log(np.maximum(radius, 1e-9) * wavelength_um) ** 2) / (2 * _RADIAL**2))
    return Band(
        wavelength_um,
        rows,
        columns,
        radial.astype(np.float32),
        angle.astype(np.float32),
        (pixel_size_um * height / len(rows), pixel_size_um * width / len(columns)),
    )


def answers(band: Band, spectrum: npt.NDArray[Any]) -> Iterator[npt.NDArray[np.complex64]]:
    """Yield the band's analytic answer for each direction, shape ``band.shape``."""
    part = spectrum[np.ix_(band.rows, band.columns)]
    gain = np.float32(part.size / spectrum.size)
    for direction in range(DIRECTIONS):
        yield np.asarray(fft.ifft2(part * band.filter(direction)) * gain)


def interior(valid: Mask, band: Band, shape: tuple[int, int]) -> Mask:
    """Return where the band's answers see only valid surface, on the band's grid.

    Parameters
    ----------
    valid : ndarray of bool, shape (height, width)
        Where the surface may be looked at.
    band : Band
        The band.
    shape : tuple of int
        The padded shape that the band was made for.
    """
    whole = np.zeros(shape, dtype=np.float32)
    whole[: valid.shape[0], : valid.shape[1]] = valid
    if band.shape != shape:
        factors = (band.shape[0] / shape[0], band.shape[1] / shape[1])
        whole = zoom(whole, factors, order=1, grid_mode=True, mode="nearest")
    away = distance_transform_edt(np.pad(whole > 0.99, 1), sampling=band.pixel_um)[1:-1, 1:-1]
    return np.asarray(away > 0.7 * band.wavelength_um)
