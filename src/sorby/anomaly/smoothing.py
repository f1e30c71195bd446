"""From a distance map to the map that is judged: smoothed where it was made, or exactly as Yan et al. did it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field
from scipy.ndimage import gaussian_filter
from torch.nn import functional

Array = npt.NDArray[np.float32]


class Smoothing(BaseModel):
    """How a distance map is smoothed.

    Attributes
    ----------
    kind : {"grid", "pixels"}
        ``grid``: a separable Gaussian on the feature grid; what is shown is interpolated from it. ``pixels``: the map
        is interpolated (bilinear, corners not aligned) to the image's size first and smoothed there, as in the code
        that Yan et al. (2023) built on; the same picture for ten times the work.
    sigma_px : float
        Standard deviation in pixels of the network's input; 0 for none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["grid", "pixels"] = "grid"
    sigma_px: float = Field(4.0, ge=0, le=64)


def smooth_grid(maps: Array, sigma_cells: float) -> Array:
    """Smooth maps (N, h, w) on their own grid by a separable Gaussian, cut off at three deviations, edges repeated."""
    if sigma_cells == 0:
        return maps
    return np.asarray(gaussian_filter(maps, (0, sigma_cells, sigma_cells), mode="nearest", truncate=3.0), np.float32)


def at_pixels(maps: Array, size: tuple[int, int], *, centred: bool = False) -> Array:
    """Return maps (N, h, w) interpolated bilinearly to *size*.

    Parameters
    ----------
    maps : ndarray of float32, (N, h, w)
    size : (int, int)
        Height and width in pixels, multiples of the map's.
    centred : bool
        Cell i lies at pixel stride * i (see `sorby.anomaly.embedding.GridChoice`) and not at the middle of its
        square; beyond the last cells the map is continued as it is.
    """
    given = torch.from_numpy(np.ascontiguousarray(maps))[:, None]
    if not centred:
        spread = functional.interpolate(given, size=size, mode="bilinear", align_corners=False)
        return np.asarray(spread[:, 0].numpy(), dtype=np.float32)
    down, across = size[0] // maps.shape[1], size[1] // maps.shape[2]
    inner = (maps.shape[1] - 1) * down + 1, (maps.shape[2] - 1) * across + 1
    spread = functional.interpolate(given, size=inner, mode="bilinear", align_corners=True)
    spread = functional.pad(spread, (0, size[1] - inner[1], 0, size[0] - inner[0]), mode="replicate")
    return np.asarray(spread[:, 0].numpy(), dtype=np.float32)


def smooth_pixels(maps: Array, size: tuple[int, int], sigma_px: float, *, centred: bool = False) -> Array:
    """Interpolate distance maps to *size* and smooth them there: the published order of the two."""
    spread = at_pixels(maps, size, centred=centred)
    if sigma_px == 0:
        return spread
    return np.stack([gaussian_filter(each, sigma=sigma_px) for each in spread]).astype(np.float32)
