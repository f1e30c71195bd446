"""Textures of random phase: filtered noise drawn in the frequency domain, where a filter is a product."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.fft import irfft2, next_fast_len

from sorby.phantom.defects.picture import Float32


@lru_cache(maxsize=16)
def _frequencies(rows: int, columns: int) -> tuple[Float32, Float32]:
    """Return vertical and horizontal frequencies of a real transform, in cycles a pixel."""
    vertical = np.fft.fftfreq(rows).astype(np.float32)[:, None]
    horizontal = np.fft.rfftfreq(columns).astype(np.float32)[None, :]
    return vertical, horizontal


def _phases(shape: tuple[int, int], rng: np.random.Generator) -> tuple[int, int, np.ndarray]:
    rows, columns = next_fast_len(shape[0] + 8, real=True), next_fast_len(shape[1] + 8, real=True)
    half = columns // 2 + 1
    parts = rng.standard_normal((rows, half, 2), dtype=np.float32)
    return rows, columns, parts.view(np.complex64)[..., 0]


def _squared(rows: int, columns: int, elongation: float, angle_deg: float) -> Float32:
    """Return the squared frequency, that along *angle_deg* counted *elongation* times."""
    vertical, horizontal = _frequencies(rows, columns)
    turn = np.deg2rad(angle_deg)
    cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    along = (horizontal * cosine + vertical * sine) * np.float32(elongation)
    across = vertical * cosine - horizontal * sine
    return np.asarray(along * along + across * across, dtype=np.float32)


def _finished(shape: tuple[int, int], spectrum: np.ndarray, rows: int, columns: int) -> Float32:
    field = irfft2(spectrum, s=(rows, columns))[: shape[0], : shape[1]].astype(np.float32)
    field -= field.mean()
    return np.asarray(field / max(float(field.std()), 1e-9), dtype=np.float32)


def band_noise(
    shape: tuple[int, int],
    wavelength_px: float,
    rng: np.random.Generator,
    *,
    octaves: float = 0.5,
    elongation: float = 1.0,
    angle_deg: float = 0.0,
) -> Float32:
    """Return noise about one wavelength: grains, dots, brushed lines.

    Parameters
    ----------
    shape : tuple of int
        Height and width.
    wavelength_px : float
        Of its strongest component, across the elongation.
    rng : numpy.random.Generator
    octaves : float
        Deviation of its spectrum around that wavelength.
    elongation : float
        How many times longer its grains are along *angle_deg* than across.
    angle_deg : float
        0 along rows, 90 along columns.

    Returns
    -------
    ndarray of float32, shape (height, width)
        Zero mean, unit deviation.
    """
    rows, columns, spectrum = _phases(shape, rng)
    squared = _squared(rows, columns, elongation, angle_deg)
    squared[0, 0] = 1e-12
    # log2 of frequency x wavelength from squares, so that no root is taken.
    distance = np.float32(0.5) * np.log2(squared) + np.float32(np.log2(wavelength_px))
    spectrum *= np.exp(np.float32(-0.5 / octaves**2) * distance * distance)
    spectrum[0, 0] = 0
    return _finished(shape, spectrum, rows, columns)


def sloped_noise(
    shape: tuple[int, int],
    slope: float,
    rng: np.random.Generator,
    *,
    largest_px: float = 120.0,
    elongation: float = 1.0,
    angle_deg: float = 0.0,
) -> Float32:
    """Return noise whose amplitude falls as frequency to the power of *slope*: from sand (0) to clouds (2 and more).

    Parameters
    ----------
    shape, rng, elongation, angle_deg
        As for :func:`band_noise`.
    slope : float
    largest_px : float
        Above this wavelength the spectrum is flat.

    Returns
    -------
    ndarray of float32, shape (height, width)
        Zero mean, unit deviation.
    """
    rows, columns, spectrum = _phases(shape, rng)
    squared = _squared(rows, columns, elongation, angle_deg) + np.float32(largest_px**-2)
    spectrum *= squared ** np.float32(-0.5 * slope)
    spectrum[0, 0] = 0
    return _finished(shape, spectrum, rows, columns)
