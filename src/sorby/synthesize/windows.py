"""Windows of originals, their turns and flips, and changes of images that a discriminator may not hold against them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

Grey = npt.NDArray[np.uint8]


def window(original: Grey, size_px: int, rng: np.random.Generator, *, flips: bool, turns: bool) -> Grey:
    """Return a random window of an original, flipped and turned by quarters where asked.

    Parameters
    ----------
    original : ndarray of uint8, shape (..., H, W)
        A picture, or the frames of a sequence, which are cut and turned alike.
    size_px : int
    rng : numpy.random.Generator
    flips, turns : bool

    Returns
    -------
    ndarray of uint8, shape (..., size_px, size_px)
    """
    top, left = (int(rng.integers(0, length - size_px + 1)) for length in original.shape[-2:])
    cut = original[..., top : top + size_px, left : left + size_px]
    choice = rng.integers(0, (2, 2, 4))
    if flips and choice[0]:
        cut = cut[..., ::-1]
    if flips and choice[1]:
        cut = cut[..., ::-1, :]
    if turns:
        cut = np.rot90(cut, int(choice[2]), axes=(-2, -1))
    return np.ascontiguousarray(cut)


def windows(originals: Sequence[Grey], size_px: int, count: int, *, seed: int) -> tuple[Grey, npt.NDArray[np.intp]]:
    """Return windows of originals as they are, for comparing generated images with: each original equally often.

    Parameters
    ----------
    originals : sequence of ndarray of uint8, shape (H, W)
    size_px : int
    count : int
    seed : int

    Returns
    -------
    pixels : ndarray of uint8, shape (count, size_px, size_px)
    source : ndarray of int, shape (count,)
        Which original each was cut from.
    """
    rng = np.random.default_rng(seed)
    source = np.arange(count) % len(originals)
    return np.stack([window(originals[k], size_px, rng, flips=False, turns=False) for k in source.tolist()]), source


def to_signed(pixels: npt.NDArray[Any]) -> torch.Tensor:
    """Return uint8 pixels as float32 in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).float() / 127.5 - 1.0


def to_grey_levels(images: torch.Tensor) -> Grey:
    """Return images in [-1, 1] as uint8."""
    levels: Grey = ((images.clamp(-1, 1) + 1.0) * 127.5).round().to(torch.uint8).cpu().numpy()
    return levels


def changed_alike(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Change brightness, contrast, place and a patch of each image, (N, 1, H, W), so that gradients still pass.

    Originals and generated images are both changed before the discriminator sees them; so it cannot learn a dozen
    originals by heart, and the generator is not taught the changes.

    References
    ----------
    S. Zhao et al., NeurIPS 2020 (arXiv 2006.10738).
    """
    count, _, height, width = images.shape
    draw = torch.rand((6, count), generator=generator).to(images.device)
    images = images + (draw[0] - 0.5).view(-1, 1, 1, 1) * 0.4
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = (images - mean) * (draw[1] / 2 + 0.75).view(-1, 1, 1, 1) + mean
    theta = torch.zeros(count, 2, 3, device=images.device)
    theta[:, 0, 0] = theta[:, 1, 1] = 1.0
    reach = max(1, round(min(height, width) / 8))
    theta[:, 0, 2] = torch.round((draw[2] - 0.5) * 2 * reach) * 2 / width
    theta[:, 1, 2] = torch.round((draw[3] - 0.5) * 2 * reach) * 2 / height
    grid = functional.affine_grid(theta, [count, 1, height, width], align_corners=False)
    images = functional.grid_sample(images, grid, mode="nearest", padding_mode="reflection", align_corners=False)
    rows = torch.arange(height, device=images.device).view(1, 1, -1, 1)
    columns = torch.arange(width, device=images.device).view(1, 1, 1, -1)
    inside = (rows - (draw[4] * height).view(-1, 1, 1, 1)).abs() < height / 5
    inside = inside & ((columns - (draw[5] * width).view(-1, 1, 1, 1)).abs() < width / 5)
    return images.masked_fill(inside, 0.0)
