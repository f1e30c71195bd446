"""Residue on a fracture surface: carbon films (dark and smooth) and metal rubbed off a fixture (bright and smooth).

Both lie on the surface and hide its fine relief. A place counts as stained where it is clearly darker or brighter than
the surface as a whole over many pixels, and not among its roughest. Pores are dark but small and rough-rimmed; shadows
of the detector are broad, and are taken off first.

A warning, not a measurement. The thresholds were chosen on one set of phantoms; on another, flagging from 6 % of the
surface spared 97 % of the clean pictures and found 23 % of those with residue on 5 % or more of the picture (area under
the ROC curve .86). What covers the whole picture, as at 4,000x and above, has nothing to stand out from. A flag that is
taught on marked pictures (`sorby.classify.flags.FlagHead`) finds nearly twice as many.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_opening, gaussian_filter

from sorby.measure.surface_outline import beyond_specimen
from sorby.micrograph import Pixels, resize, to_grey, to_uint8

Mask = npt.NDArray[np.bool_]

_SIDE_PX = 320
_LOCAL_PX = 4.0
_DARKER, _BRIGHTER = 0.10, 0.12  # of full scale, against the surface's median
_FLATTEST = 0.7  # share of the surface that may be stained: its roughest places are none
_OPENING_PX = 5  # smaller stains are pores and bright edges


@dataclass(frozen=True, eq=False)
class Stains:
    """What lies on the surface.

    Attributes
    ----------
    dark, bright : ndarray of bool, shape (h, w)
        Carbon-like and metal-like stains, at the reduced size they were looked for at.
    surface : ndarray of bool, shape (h, w)
        The specimen; what lies behind it is left out.
    """

    dark: Mask
    bright: Mask
    surface: Mask

    @property
    def dark_share(self) -> float:
        """Share of the surface under carbon-like stains."""
        return float(self.dark.sum() / max(1, int(self.surface.sum())))

    @property
    def bright_share(self) -> float:
        """Share of the surface under metal-like stains."""
        return float(self.bright.sum() / max(1, int(self.surface.sum())))


def find_stains(pixels: Pixels) -> Stains:
    """Find residue in a picture without info bar.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3)

    Returns
    -------
    Stains
    """
    grey = to_grey(to_uint8(pixels)).astype(np.float32) / np.float32(255)
    factor = max(1.0, max(grey.shape) / _SIDE_PX)
    if factor > 1:
        grey = resize(grey, (max(8, round(grey.shape[0] / factor)), max(8, round(grey.shape[1] / factor))))
    values = grey.astype(np.float64)
    surface = ~beyond_specimen(values)
    level = gaussian_filter(values, _LOCAL_PX) - _tilt(values, surface)
    middle = float(np.median(level[surface])) if surface.any() else 0.0
    contrast = _log_contrast(values)
    flat = contrast < (np.quantile(contrast[surface], _FLATTEST) if surface.any() else 0.0)
    shape = np.ones((_OPENING_PX, _OPENING_PX), bool)
    dark = binary_opening(surface & flat & (level < middle - _DARKER), shape)
    bright = binary_opening(surface & flat & (level > middle + _BRIGHTER), shape)
    return Stains(np.asarray(dark), np.asarray(bright), surface)


def _log_contrast(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the logarithm of the local contrast at fine scale."""
    fine = gaussian_filter(values, 1.0) - gaussian_filter(values, 3.0)
    return np.asarray(0.5 * np.log(gaussian_filter(fine * fine, 3.0) + 1e-7))


def _tilt(values: npt.NDArray[np.float64], surface: Mask) -> npt.NDArray[np.float64]:
    """Return the plane of brightness through the surface: where the detector stands."""
    y, x = np.mgrid[0.0 : 1.0 : values.shape[0] * 1j, 0.0 : 1.0 : values.shape[1] * 1j] - 0.5
    if surface.sum() < 16:
        return np.zeros_like(values)
    design = np.stack([x[surface], y[surface], np.ones(int(surface.sum()))], axis=1)
    found = np.linalg.lstsq(design, values[surface], rcond=None)[0]
    return np.asarray(found[0] * x + found[1] * y)
