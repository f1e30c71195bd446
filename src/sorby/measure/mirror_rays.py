"""How far lines point at a place: the picture seen along rays from it.

Hackle runs along the way the crack ran, so about the origin of a fracture brightness varies more across the rays than
along them; in the mirror it varies alike both ways. The difference over the sum, of mean squared slopes, says so
whatever contrast, noise and grain are.
"""

from __future__ import annotations

import math
import warnings as python_warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: Sectors about a place.
SECTORS = 36
#: Natural logarithm of the ratio of neighbouring radii, and the least radius in pixels.
STEP, NEAREST_PX = 0.04, 6.0
_RAYS_A_SECTOR = 6
_SLOPE_PX, _MEAN_PX, _MARGIN_PX = 1.2, 1.8, 5.0
_DARK, _DARK_MEAN_PX = 0.10, 2.0  # of full scale: what lies behind the specimen, and deep pores


@dataclass(frozen=True, eq=False)
class Rays:
    """How far lines point at a place, by sector and radius.

    Attributes
    ----------
    pointing : ndarray, shape (SECTORS, R)
        -1 (lines run around the place) to 1 (lines point at it), medians over the rays of a sector; 0 where unseen.
    seen : ndarray of bool, shape (SECTORS, R)
        Whether half of the rays are in the picture there, and not in the dark.
    radii : ndarray, shape (R,)
        Pixels, in geometric steps of `STEP`.
    """

    pointing: Floats
    seen: Mask
    radii: Floats

    @property
    def angles(self) -> Floats:
        """Directions of the sectors, shape (SECTORS,), radians, x to the right and y downwards."""
        return np.arange(SECTORS, dtype=np.float64) * (2 * np.pi / SECTORS)


@dataclass(frozen=True, eq=False)
class Slopes:
    """Mean products of slopes of a picture, shape (3, H, W): gx gx, gx gy, gy gy; and the picture, smoothed."""

    products: Floats
    grey: Floats

    @classmethod
    def of(cls, grey: Floats) -> Slopes:
        """Compute them for a picture (H, W) of values 0 to 1."""
        gx, gy = gaussian_filter(grey, _SLOPE_PX, order=(0, 1)), gaussian_filter(grey, _SLOPE_PX, order=(1, 0))
        products = [gaussian_filter(product, _MEAN_PX) for product in (gx * gx, gx * gy, gy * gy)]
        return cls(np.array(products), gaussian_filter(grey, _DARK_MEAN_PX))

    def about(self, place: tuple[float, float]) -> Rays:
        """Return what rays from a place (x, y in pixels) see."""
        height, width = self.grey.shape
        farthest = math.hypot(max(place[0], width - place[0]), max(place[1], height - place[1]))
        radii = np.exp(np.arange(math.log(NEAREST_PX), math.log(max(farthest, 4 * NEAREST_PX)), STEP))
        rays = SECTORS * _RAYS_A_SECTOR
        angles = (np.arange(rays) - (_RAYS_A_SECTOR - 1) / 2) * (2 * np.pi / rays)
        cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
        places = [place[1] + radii * sin, place[0] + radii * cos]
        inside = (places[1] > _MARGIN_PX) & (places[1] < width - 1 - _MARGIN_PX)
        inside &= (places[0] > _MARGIN_PX) & (places[0] < height - 1 - _MARGIN_PX)
        xx, xy, yy = (map_coordinates(part, places, order=1, mode="nearest") for part in self.products)
        across = sin * sin * xx - 2 * sin * cos * xy + cos * cos * yy
        along = cos * cos * xx + 2 * sin * cos * xy + sin * sin * yy
        pointing = np.where(inside, (across - along) / (across + along + 1e-9), np.nan)
        lit = inside & (map_coordinates(self.grey, places, order=1, mode="nearest") > _DARK)

        by_sector = (SECTORS, _RAYS_A_SECTOR, len(radii))
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore", RuntimeWarning)  # sectors out of the picture are NaN, and not seen
            medians = np.nanmedian(pointing.reshape(by_sector), axis=1)
        seen = lit.reshape(by_sector).mean(axis=1) >= 0.5
        return Rays(np.where(seen, medians, 0.0), seen, radii)
