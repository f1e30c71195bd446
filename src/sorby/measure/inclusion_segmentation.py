"""Inclusions found by darkness against their surroundings, robust to uneven light and to a tinted matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sorby.errors import ImageError, InputError
from sorby.micrograph import Pixels, to_uint8

Mask = npt.NDArray[np.bool_]
Reals = npt.NDArray[np.float32]

DARKNESS = 0.5
"""Share of the matrix brightness that a pixel must lose to be inclusion; see `benchmarks/inclusions.py`."""
MIN_AREA_PX = 9
"""Smaller objects are noise."""

_REDUCE = 4
_LEAST_WINDOW_PX = 48
# Somewhat less darkness continues an inclusion that was begun, so that grey rims are not cut off by one level.
_RIM = 0.75
_MOST_COVERED = 0.35


@dataclass(frozen=True, eq=False)
class InclusionMap:
    """Inclusions of one field.

    Attributes
    ----------
    labels : ndarray of int32, (H, W)
        Inclusions 1 .. n, 8-connected; 0 is matrix.
    darkness : ndarray of float32, (H, W)
        1 - brightness over local matrix brightness, 0 .. 1.
    """

    labels: npt.NDArray[np.int32]
    darkness: Reals

    @property
    def mask(self) -> Mask:
        """Inclusion pixels, (H, W)."""
        found: Mask = self.labels > 0
        return found


def find_inclusions(
    pixels: Pixels, *, darkness: float = DARKNESS, min_area_px: int = MIN_AREA_PX, window_px: int | None = None
) -> InclusionMap:
    """Find dark inclusions on a polished or etched section.

    Brightness is the largest of the colour channels, because an inclusion is dark in all of them and a tinted grain
    is not; it is divided by the median of its surroundings, which follows uneven light and grain tints.

    Parameters
    ----------
    pixels : ndarray, (H, W) or (H, W, 3), uint8 or uint16 or float32
    darkness : float
        Share of the local matrix brightness that an inclusion's core must lose, 0 .. 1.
    min_area_px : int
        Smaller objects are left out.
    window_px : int, optional
        Side of the median window; a tenth of the shorter side where not given. An inclusion must cover less than
        half of it.

    Returns
    -------
    InclusionMap

    Raises
    ------
    ImageError
        The image is one flat grey or all but black, or so much of it is dark that there is no matrix to compare with.
    InputError
        *darkness* lies outside 0 .. 1.
    """
    if not 0 < darkness < 1:
        raise InputError(f"darkness must lie between 0 and 1, not {darkness}", f"the default is {DARKNESS}")
    lost = relative_darkness(pixels, window_px)
    mask = _linked(lost, darkness, _RIM * darkness)
    labels = _large_enough(ndimage.binary_fill_holes(mask), min_area_px)
    if (labels > 0).mean() > _MOST_COVERED:
        raise ImageError(
            f"{100 * (labels > 0).mean():.0f} % of the field is dark: no matrix to compare inclusions with",
            "is it a micrograph of inclusions, or inverted?",
        )
    return InclusionMap(labels, lost)


def inclusions_from_mask(mask: Mask, min_area_px: int = MIN_AREA_PX) -> InclusionMap:
    """Take inclusions from a mask, drawn or by a model."""
    return InclusionMap(_large_enough(mask, min_area_px), mask.astype(np.float32))


def relative_darkness(pixels: Pixels, window_px: int | None = None) -> Reals:
    """Return which share of the local matrix brightness each pixel lacks, 0 .. 1, (H, W); see `find_inclusions`.

    Raises
    ------
    ImageError
        The image is one flat grey or all but black.
    """
    eight = to_uint8(pixels)
    bright = (eight if eight.ndim == 2 else eight.max(axis=2)).astype(np.float32)
    if bright.max() - bright.min() < 3:
        raise ImageError("one flat grey: no inclusion can be told from the matrix", "check the exposure and the file")
    if np.median(bright) < 3:
        raise ImageError("all but black: no matrix to compare inclusions with", "check the exposure and the file")
    smooth = ndimage.gaussian_filter(bright, 0.8)
    window = window_px or max(_LEAST_WINDOW_PX, min(bright.shape) // 10)
    small = smooth[::_REDUCE, ::_REDUCE]
    level = ndimage.median_filter(small, max(3, window // _REDUCE | 1), mode="reflect")
    rows = np.minimum(np.arange(bright.shape[0]) / _REDUCE, level.shape[0] - 1)
    cols = np.minimum(np.arange(bright.shape[1]) / _REDUCE, level.shape[1] - 1)
    matrix = ndimage.map_coordinates(level, np.meshgrid(rows, cols, indexing="ij"), order=1, mode="nearest")
    return np.asarray(np.clip(1.0 - smooth / np.maximum(matrix, 1.0), 0.0, 1.0), np.float32)


def _linked(strength: Reals, high: float, low: float) -> Mask:
    parts, n = ndimage.label(strength > low, structure=np.ones((3, 3)))
    kept = np.zeros(n + 1, bool)
    kept[np.unique(parts[strength > high])] = True
    kept[0] = False
    found: Mask = kept[parts]
    return found


def _large_enough(mask: Mask, min_area_px: int) -> npt.NDArray[np.int32]:
    parts, n = ndimage.label(mask, structure=np.ones((3, 3)))
    kept = np.bincount(parts.ravel(), minlength=n + 1) >= min_area_px
    kept[0] = False
    numbers = np.zeros(n + 1, np.int32)
    numbers[kept] = np.arange(1, kept.sum() + 1)
    labels: npt.NDArray[np.int32] = numbers[parts]
    return labels
