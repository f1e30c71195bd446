"""The rim of the specimen beside the resin: rounded by polishing, and stained where etchant crept out of the gap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, binary_fill_holes, distance_transform_edt, gaussian_filter

Mask = npt.NDArray[np.bool_]
Float32 = npt.NDArray[np.float32]

_RIM = 0.02  # of the shorter side: always left out, the edge is rounded and out of focus there
_DEEPEST = 0.12  # of the shorter side: no stain is looked for beyond
_ALONG, _FURTHER_IN = 0.05, 0.1  # of the shorter side: how far brightness is averaged, along the edge and further in
_COARSE_PX = 200  # shorter side of the picture on which the stain is followed, pixel by pixel of depth
_STAINED = 0.3  # of the way from the specimen's brightness to the resin's


def find_bleeding(grey: Float32, background: Mask, ignored: Mask, resin_tone: float) -> Mask:
    """Return the zone along the resin that shows the specimen altered.

    Parameters
    ----------
    grey : ndarray of float32, shape (H, W)
        Brightness, 0..1.
    background : ndarray of bool, shape (H, W)
        Resin or defocused background.
    ignored : ndarray of bool, shape (H, W)
        The micron bar.
    resin_tone : float
        Median brightness of the resin, 0..1; nan where there is only defocused background, and then no stain is
        looked for.

    Returns
    -------
    ndarray of bool, shape (H, W)
        The rim and the stain, without the background.

    Notes
    -----
    Etchant that creeps out of the gap between resin and specimen over-etches a seam. Depth below the edge is cut
    into bands; in each, brightness is averaged along the edge and compared with the specimen's further in. A band is
    stained where it lies a fifth of the way towards the resin's brightness, and the stain ends at the first band
    that does not. It works whichever of both is the brighter, so also on inverted pictures.
    """
    if not background.any() or background.all():
        return np.zeros(background.shape, dtype=bool)
    side = min(grey.shape)
    rim = distance_transform_edt(~background) <= _RIM * side
    if np.isfinite(resin_tone):
        rim |= _stain(grey, background, ignored, resin_tone)
    return np.asarray(rim & ~background)


def _stain(grey: Float32, background: Mask, ignored: Mask, resin_tone: float) -> Mask:
    """Return where brightness lies on the way to the resin's, from the edge inwards without a gap."""
    full = grey.shape
    factor = max(1, round(min(full) / _COARSE_PX))
    grey, background, ignored = _coarse(grey, factor), _coarse(background, factor) > 0, _coarse(ignored, factor) > 0
    side = min(grey.shape)
    depth = distance_transform_edt(~background).astype(np.float32)
    sound = (depth > _DEEPEST * side) & (depth <= 3 * _DEEPEST * side) & ~ignored
    if sound.sum() < 0.01 * grey.size:
        return np.zeros(full, dtype=bool)
    reference = _average(grey, sound, _FURTHER_IN * side)
    stained = depth <= 0
    reached = stained
    for outer in np.arange(1, int(_DEEPEST * side) + 1):
        band = (depth > outer - 1) & (depth <= outer) & ~ignored
        towards = (reference - _average(grey, band, _ALONG * side)) / (reference - resin_tone)
        # Only beside what was stained nearer to the edge.
        reached = band & (towards > _STAINED) & binary_dilation(reached, np.ones((3, 3), bool), iterations=2)
        if not reached.any():
            break
        stained = stained | reached
    zone = binary_fill_holes(stained) & ~background
    return np.asarray(np.kron(zone, np.ones((factor, factor), bool)))[: full[0], : full[1]]


def _average(grey: Float32, where: Mask, sigma: float) -> Float32:
    """Return around each pixel the mean brightness of the pixels *where*."""
    weight = gaussian_filter(where.astype(np.float32), sigma)
    total = gaussian_filter(np.where(where, grey, np.float32(0)), sigma)
    return np.asarray(total / np.maximum(weight, 1e-9), dtype=np.float32)


def _coarse(values: npt.NDArray[np.generic], factor: int) -> Float32:
    """Return the means of squares of pixels; the last row and column of squares repeat the border."""
    if factor == 1:
        return values.astype(np.float32)
    height, width = values.shape
    padded = np.pad(values.astype(np.float32), ((0, -height % factor), (0, -width % factor)), mode="edge")
    return np.asarray(padded.reshape(padded.shape[0] // factor, factor, -1, factor).mean(axis=(1, 3)))
