"""How much of an image a map lights up, and how much of that lies on a marked cue.

References
----------
.. [1] Zhang et al., Top-down neural attention by excitation backprop, IJCV 126 (2018) (the pointing game).
.. [2] Wang et al., Score-CAM, CVPR workshops 2020 (the energy inside a mask).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError


@dataclass(frozen=True, eq=False)
class Coverage:
    """Statistics of N maps; the last five are None without masks.

    Attributes
    ----------
    area : ndarray of float64 (N,)
        Area of activation: share of pixels at or above *level* times the map's peak; 0 for a blank map.
    peak_yx : ndarray of int64 (N, 2)
        Row and column of the peak (the first, if several).
    blank : ndarray of bool (N,)
        Maps that are zero everywhere.
    mask_area : ndarray of float64 (N,)
        Share of pixels inside the mask: what `inside` would be for an even map.
    inside : ndarray of float64 (N,)
        Share of the map's energy (its sum) inside the mask; NaN for a blank map.
    lift : ndarray of float64 (N,)
        ``inside / mask_area``: above 1 the map prefers the cue; NaN for a blank map or an empty mask.
    overlap : ndarray of float64 (N,)
        Intersection over union of the mask and the area of activation; NaN if both are empty.
    hit : ndarray of bool (N,)
        Pointing game: the peak lies in the mask or within the tolerance; False for a blank map or an empty mask.
    """

    area: npt.NDArray[np.float64]
    peak_yx: npt.NDArray[np.int64]
    blank: npt.NDArray[np.bool_]
    mask_area: npt.NDArray[np.float64] | None = None
    inside: npt.NDArray[np.float64] | None = None
    lift: npt.NDArray[np.float64] | None = None
    overlap: npt.NDArray[np.float64] | None = None
    hit: npt.NDArray[np.bool_] | None = None


def coverage(
    maps: npt.NDArray[Any],
    masks: npt.NDArray[Any] | None = None,
    *,
    level: float = 0.5,
    tolerance_px: float = 0.0,
) -> Coverage:
    """Measure the area of activation and, given masks, the overlap with a cue.

    Parameters
    ----------
    maps : ndarray of float, shape (N, H, W) or (H, W)
        Non-negative, as in ``Attribution.maps``; the scale does not matter.
    masks : ndarray, same shape, optional
        Above zero inside the cue (fracture mirror, hackle, pore ...), at the resolution of the maps.
    level : float
        Share of the peak that counts as active.
    tolerance_px : float
        The pointing game accepts a peak this near to the mask, in map pixels ([1]_ uses 15).

    Returns
    -------
    Coverage

    Raises
    ------
    InputError
        If the shapes differ, or a map is negative or not finite.
    """
    maps = np.asarray(maps, dtype=np.float64)
    maps = maps[None] if maps.ndim == 2 else maps
    if maps.ndim != 3 or not maps.size or not np.isfinite(maps).all() or maps.min() < 0:
        raise InputError("coverage needs finite, non-negative maps of shape N x H x W")
    n, _, width = maps.shape
    flat = maps.reshape(n, -1)
    peaks = flat.max(1)
    blank = peaks == 0
    active = (flat >= level * peaks[:, None]) & ~blank[:, None]
    peak_yx = np.stack(np.divmod(flat.argmax(1), width), axis=1).astype(np.int64)
    if masks is None:
        return Coverage(active.mean(1), peak_yx, blank)

    marked = np.asarray(masks) > 0
    marked = marked[None] if marked.ndim == 2 else marked
    if marked.shape != maps.shape:
        raise InputError(
            f"masks of shape {marked.shape} do not fit maps of shape {maps.shape}",
            "bring masks to the resolution of the maps",
        )
    distance = _distance_to_mask(peak_yx, marked)
    marked = marked.reshape(n, -1)
    mask_area = marked.mean(1)
    inside = _ratio((flat * marked).sum(1), flat.sum(1))
    return Coverage(
        area=active.mean(1),
        peak_yx=peak_yx,
        blank=blank,
        mask_area=mask_area,
        inside=inside,
        lift=_ratio(inside, mask_area),
        overlap=_ratio((active & marked).sum(1), (active | marked).sum(1)),
        hit=(distance <= tolerance_px) & ~blank,
    )


def _ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Part / whole, NaN where the whole is zero."""
    result = np.full(len(part), np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _distance_to_mask(peak_yx: npt.NDArray[np.int64], marked: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Distance in pixels from each peak to its mask (n, H, W); infinite for an empty mask."""
    height, width = marked.shape[1:]
    squared = (np.arange(height)[None, :, None] - peak_yx[:, 0, None, None]) ** 2.0 + (
        np.arange(width)[None, None, :] - peak_yx[:, 1, None, None]
    ) ** 2.0
    nearest = np.where(marked, squared, np.inf).min((1, 2))
    return np.asarray(np.sqrt(nearest), dtype=np.float64)
