"""The layout of a surface without its detail, and layouts that no original has: what a still's generator is shown."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from sorby.synthesize.optical_flow import drawn_back

_SHARPNESS = 6.0  # of the border between two views; larger is harder


def sketch(images: torch.Tensor, cell_px: int) -> torch.Tensor:
    """Average images (N, C, H, W) over cells and spread the means smoothly again.

    A generator that is given the whole parent learns to hand it back. From its sketch it must make the surface.
    """
    return _spread(_cells(images, cell_px), images.shape[-2:])


def new_layout(views: torch.Tensor, cell_px: int, warp: float, rng: np.random.Generator) -> torch.Tensor:
    """Return a sketch that mixes two views of a parent, each bent, along a random border.

    Parameters
    ----------
    views : Tensor, shape (2, H, W)
        Windows of one original.
    cell_px : int
    warp : float
        Standard deviation of the bending, in cells.
    rng : numpy.random.Generator

    Returns
    -------
    Tensor, shape (1, H, W)
    """
    size = views.shape[-2:]
    cells = _cells(views[:, None], cell_px)
    coarse = torch.from_numpy(rng.standard_normal((5, 4, 4)).astype(np.float32))[None]
    smooth = functional.interpolate(coarse, size=cells.shape[-2:], mode="bicubic", align_corners=False)[0]
    bent = drawn_back(cells, warp * smooth[:4].reshape(2, 2, *cells.shape[-2:]))
    share = torch.sigmoid(_SHARPNESS * smooth[4])
    mixed = share * bent[0, 0] + (1.0 - share) * bent[1, 0]
    return _spread(mixed[None, None], size)[0]


def _cells(images: torch.Tensor, cell_px: int) -> torch.Tensor:
    return functional.avg_pool2d(images, cell_px, ceil_mode=True, count_include_pad=False)


def _spread(cells: torch.Tensor, size: torch.Size) -> torch.Tensor:
    return functional.interpolate(cells, size=tuple(size), mode="bicubic", align_corners=False)
