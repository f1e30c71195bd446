"""Where a picture shows the specimen and where it looks past it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, label

_DARK = 0.13  # of full scale, smoothed: holders and the chamber lie below it
_LEAST_SHARE = 0.015  # of the picture
_SMOOTHING_PX = 4.0


def beyond_specimen(grey: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return what lies behind the specimen: dark, and at the border; empty where there is none.

    Parameters
    ----------
    grey : ndarray, shape (H, W)
        0 to 1.

    Returns
    -------
    ndarray of bool, shape (H, W)
    """
    parts, n = label(gaussian_filter(grey, _SMOOTHING_PX) < _DARK)
    if n == 0:
        return np.zeros(grey.shape, bool)
    border = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    sizes = np.bincount(parts.ravel(), minlength=n + 1)
    kept = [number for number in border if number and sizes[number] >= _LEAST_SHARE * grey.size]
    return np.asarray(np.isin(parts, kept))
