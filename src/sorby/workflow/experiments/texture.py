"""Classical texture measures: local binary patterns, co-occurrence, a Gabor bank, granulometry."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.feature import graycomatrix, graycoprops, local_binary_pattern

SIDE_PX = 256
"""Images are resized to this square before they are measured."""

_RADII = ((8, 1), (16, 2), (24, 3))
_LEVELS = 32
_DISTANCES = (1, 2, 4, 8)
_ANGLES = (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
_PROPERTIES = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation")
_PERIODS_PX = (4.0, 8.0, 16.0, 32.0)
_DIRECTIONS = 6
_OPENINGS_PX = (3, 5, 7, 9, 13, 17, 23, 31)

GROUPS = ("lbp", "glcm", "gabor", "granulometry")
LENGTHS = {
    "lbp": sum(points + 2 for points, _ in _RADII),
    "glcm": 2 * len(_PROPERTIES) * len(_DISTANCES),
    "gabor": 4 * len(_PERIODS_PX),
    "granulometry": 2 * len(_OPENINGS_PX),
}
"""Features in each group."""

Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def describe_texture(grey: Grey) -> Floats:
    """Return all measures of one image.

    Parameters
    ----------
    grey : ndarray of uint8, shape (SIDE_PX, SIDE_PX)

    Returns
    -------
    ndarray of float32, shape (sum of LENGTHS,)
        Groups in the order of `GROUPS`.
    """
    return np.concatenate([binary_patterns(grey), cooccurrence(grey), gabor_energies(grey), granulometry(grey)])


def binary_patterns(grey: Grey) -> Floats:
    """Histograms of rotation-invariant uniform local binary patterns at three radii.

    References
    ----------
    T. Ojala, M. Pietikäinen, T. Mäenpää, IEEE Trans. Pattern Anal. Mach. Intell. 24 (2002).
    """
    found = []
    for points, radius in _RADII:
        codes = local_binary_pattern(grey, points, radius, method="uniform").astype(np.intp)
        found.append(np.bincount(codes.ravel(), minlength=points + 2) / codes.size)
    return np.concatenate(found).astype(np.float32)


def cooccurrence(grey: Grey) -> Floats:
    """Mean and range over four directions of Haralick's co-occurrence statistics at four distances.

    References
    ----------
    R. M. Haralick, K. Shanmugam, I. Dinstein, IEEE Trans. Syst. Man Cybern. 3 (1973).
    """
    quantised = (grey // (256 // _LEVELS)).astype(np.uint8)
    matrix = graycomatrix(quantised, _DISTANCES, _ANGLES, levels=_LEVELS, symmetric=True, normed=True)
    found = []
    for name in _PROPERTIES:
        values = graycoprops(matrix, name)  # distances x angles
        found += [values.mean(axis=1), np.ptp(values, axis=1)]
    return np.concatenate(found).astype(np.float32)


@cache
def _gabor_bank(side: int) -> Floats:
    """Return the transfer functions of the bank, shape (periods, directions, side, side // 2 + 1)."""
    v, u = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]
    bank = np.empty((len(_PERIODS_PX), _DIRECTIONS, side, side // 2 + 1), np.float32)
    for p, period in enumerate(_PERIODS_PX):
        for d in range(_DIRECTIONS):
            angle = np.pi * d / _DIRECTIONS
            along = u * np.cos(angle) + v * np.sin(angle)
            across = -u * np.sin(angle) + v * np.cos(angle)
            width = 0.35 / period  # about one octave
            # Real images have symmetric spectra: both lobes belong to one filter.
            lobes = [np.exp(-(((along - s / period) ** 2 + across**2) / (2 * width**2))) for s in (1, -1)]
            bank[p, d] = lobes[0] + lobes[1]
    return bank


def gabor_energies(grey: Grey) -> Floats:
    """Energy of a Gabor bank: for each period mean, spread, largest and smallest over directions, as logarithms.

    References
    ----------
    B. S. Manjunath, W. Y. Ma, IEEE Trans. Pattern Anal. Mach. Intell. 18 (1996).
    """
    image = grey.astype(np.float32)
    spectrum = np.abs(np.fft.rfft2(image - image.mean())) ** 2
    # Parseval: the energy of a filtered image is the sum of its filtered spectrum.
    energy = (spectrum * _gabor_bank(grey.shape[0]) ** 2).sum(axis=(2, 3)) / image.size**2
    log = np.log(energy + 1e-6)
    return np.concatenate([log.mean(1), log.std(1), log.max(1), log.min(1)]).astype(np.float32)


def granulometry(grey: Grey) -> Floats:
    """Brightness that openings (light features) and closings (dark ones) by growing squares take away.

    References
    ----------
    G. Matheron, "Random sets and integral geometry", Wiley (1975).
    """
    light, dark = [float(grey.mean())], [float(grey.mean())]
    for size in _OPENINGS_PX:
        light.append(float(ndimage.grey_opening(grey, size=(size, size)).mean()))
        dark.append(float(ndimage.grey_closing(grey, size=(size, size)).mean()))
    return np.concatenate([-np.diff(light), np.diff(dark)]).astype(np.float32)
