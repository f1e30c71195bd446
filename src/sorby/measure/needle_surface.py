"""Bringing a micrograph to what needles are looked for in: even light, even contrast, carbides taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, gaussian_filter, zoom

Float32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_FINE_ENOUGH_UM = 0.27  # pixels are averaged in blocks up to this size: finer ones hold no more of a needle
_LIGHT_UM, _CONTRAST_UM = 4.0, 10.0  # deviations of the windows in which light and contrast are levelled
_PARTICLE_UM = 0.32
_PARTICLE_CURVATURE = 3.0
_HALO_UM = 0.55


@dataclass(frozen=True, eq=False)
class Surface:
    """A micrograph made ready.

    Attributes
    ----------
    relief : ndarray of float32, shape (height, width)
        Local contrast: grey value less its local mean, in local mean deviations, clipped to -3..3; 0 where invalid.
    valid : ndarray of bool, shape (height, width)
        Region of interest.
    pixel_size_um : float
        Pixel size in micrometres after averaging.
    block : int
        How many pixels of the micrograph a pixel's side averages.
    particle_share : float
        Share of the region that round particles (carbides, pores) and their halos took.
    flat : bool
        There is no contrast at all.
    """

    relief: Float32
    valid: Mask
    pixel_size_um: float
    block: int
    particle_share: float
    flat: bool


def block_mean(values: npt.NDArray[Any], block: int) -> Float32:
    """Return means of square blocks; rows and columns that fill no block are left out."""
    height, width = values.shape[0] // block * block, values.shape[1] // block * block
    cut = values[:height, :width].astype(np.float32)
    if block == 1:
        return cut
    return np.asarray(cut.reshape(height // block, block, width // block, block).mean(axis=(1, 3)))


def smooth(values: Float32, sigma_px: float) -> Float32:
    """Return *values* under a Gaussian; wide ones are computed on a coarser grid, which is much quicker."""
    block = max(1, int(sigma_px / 2.5))
    if block == 1:
        return np.asarray(gaussian_filter(values, sigma_px, mode="nearest", truncate=3.0))
    height, width = values.shape
    padded = np.pad(values, ((0, -height % block), (0, -width % block)), mode="edge")
    coarse = gaussian_filter(block_mean(padded, block), sigma_px / block, mode="nearest", truncate=3.0)
    return np.asarray(zoom(coarse, block, order=1, grid_mode=True, mode="nearest")[:height, :width])


def _relief(grey: Float32, valid: Mask, pixel_size_um: float) -> tuple[Float32, bool]:
    """Return the local contrast and whether there is none."""
    inside = valid.astype(np.float32)
    light, contrast = _LIGHT_UM / pixel_size_um, _CONTRAST_UM / pixel_size_um
    mean = smooth(grey * inside, light) / np.maximum(smooth(inside, light), 1e-3)
    rest = (grey - mean) * inside
    deviation = smooth(np.abs(rest), contrast) / np.maximum(smooth(inside, contrast), 1e-3)
    typical = float(np.median(deviation[valid])) if valid.any() else 0.0
    scale = float(np.abs(grey[valid]).max()) if valid.any() else 0.0
    if typical <= 1e-6 * max(scale, 1e-30):
        return np.zeros_like(grey), True
    # A place without contrast must not be blown up to look like its neighbours.
    relief = rest / np.maximum(deviation, 0.1 * typical)
    return np.asarray(np.clip(relief, -3, 3) * inside, dtype=np.float32), False


def _particles(relief: Float32, valid: Mask, pixel_size_um: float) -> Mask:
    """Return round particles with their halos: curved alike in all directions, whatever their sign.

    The smaller curvature of a line is near zero, that of a disc is as large as the other (eigenvalues of the
    Hessian, Lindeberg 1998).
    """
    sigma = _PARTICLE_UM / pixel_size_um
    xx, yy, xy = (
        gaussian_filter(relief, sigma, order=order, mode="nearest", truncate=3.0) for order in ((0, 2), (2, 0), (1, 1))
    )
    mean, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    # The usual curvature is that of the region: outside, the relief is flat.
    cores = (np.abs(mean) - spread > _PARTICLE_CURVATURE * np.median(spread[valid])) & valid
    if not cores.any():
        return np.asarray(cores)
    return np.asarray((distance_transform_edt(~cores, sampling=pixel_size_um) < _HALO_UM) & valid)


def make_surface(grey: npt.NDArray[Any], region: Mask, pixel_size_um: float) -> Surface:
    """Return what needles are looked for in.

    Parameters
    ----------
    grey : ndarray, shape (height, width)
        Grey values of any depth; neither their range nor their polarity matters.
    region : ndarray of bool, shape (height, width)
        Region of interest.
    pixel_size_um : float
        Pixel size in micrometres.
    """
    block = max(1, int(_FINE_ENOUGH_UM / pixel_size_um))
    values, valid = block_mean(grey, block), block_mean(region, block) > 0.99
    pixel_um = pixel_size_um * block
    relief, flat = _relief(values, valid, pixel_um)
    if flat:
        return Surface(relief, valid, pixel_um, block, 0.0, True)
    particles = _particles(relief, valid, pixel_um)
    kept = (valid & ~particles).astype(np.float32)
    around = smooth(relief * kept, 0.8 / pixel_um) / np.maximum(smooth(kept, 0.8 / pixel_um), 1e-3)
    relief = np.where(particles, around, relief)
    return Surface(relief, valid, pixel_um, block, float(particles[valid].mean()), False)
