"""From a distance map to the map that is judged: smoothed where it was made, or exactly as Yan et al. did it."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field
from scipy.ndimage import gaussian_filter
from torch import nn
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


class GridBlur(nn.Module):
    """Smooth maps (N, h, w) by a separable Gaussian, cut off at three standard deviations, edges repeated."""

    def __init__(self, sigma_cells: float) -> None:
        super().__init__()
        self.reach = max(1, math.ceil(3 * sigma_cells)) if sigma_cells > 0 else 0
        if self.reach:
            steps = torch.arange(-self.reach, self.reach + 1, dtype=torch.float64)
            kernel = torch.exp(-0.5 * (steps / sigma_cells) ** 2)
            self.register_buffer("kernel", (kernel / kernel.sum()).float(), persistent=False)
            self.kernel: torch.Tensor

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the smoothed maps."""
        if not self.reach:
            return maps
        padded = functional.pad(maps[:, None], [self.reach] * 4, mode="replicate")
        across = functional.conv2d(padded, self.kernel.view(1, 1, 1, -1))
        return functional.conv2d(across, self.kernel.view(1, 1, -1, 1))[:, 0]


def at_pixels(maps: Array, size: tuple[int, int]) -> Array:
    """Return maps (N, h, w) interpolated to *size*: bilinear, corners not aligned."""
    spread = functional.interpolate(torch.from_numpy(maps)[:, None], size=size, mode="bilinear", align_corners=False)
    return np.asarray(spread[:, 0].numpy(), dtype=np.float32)


def smooth_pixels(maps: Array, size: tuple[int, int], sigma_px: float) -> Array:
    """Interpolate distance maps to *size* and smooth them there: the published order of the two."""
    spread = at_pixels(maps, size)
    if sigma_px == 0:
        return spread
    return np.stack([gaussian_filter(each, sigma=sigma_px) for each in spread]).astype(np.float32)
