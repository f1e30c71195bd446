"""A generator for few originals: skip-layer excitation, noise at every size, gated convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

_GATE_CELLS = 4  # a deep map is reduced to 4 x 4 before it gates a fine one
_REACH = 3  # doublings between the map that gates and the one that is gated
_GRAIN = 0.1  # of the range of grey: where the strength of the last noise begins


class NoiseInjection(nn.Module):
    """Add one map of noise, (N, 1, H, W), to all channels, each with a strength of its own that is learnt."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return (N, C, H, W)."""
        return x + self.strength * noise


class GatedDoubling(nn.Module):
    """Double the size, then convolve, add noise, normalise and gate: (N, a, H, W) to (N, b, 2H, 2W)."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inside, 2 * outside, 3, padding=1, bias=False)
        self.noise = NoiseInjection(2 * outside)
        self.norm = nn.BatchNorm2d(2 * outside)

    def forward(self, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return (N, b, 2H, 2W)."""
        x = self.convolution(functional.interpolate(x, scale_factor=2.0, mode="nearest"))
        return functional.glu(self.norm(self.noise(x, noise)), dim=1)


class SkipExcitation(nn.Module):
    """Let a coarse map say how strongly each channel of a fine one speaks: (N, a, h, w), (N, b, H, W) to the latter."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(_GATE_CELLS),
            nn.Conv2d(coarse, fine, _GATE_CELLS),
            nn.SiLU(),
            nn.Conv2d(fine, fine, 1),
            nn.Sigmoid(),
        )

    def forward(self, coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        """Return the fine map, channel by channel weighted."""
        weighted: torch.Tensor = fine * self.gate(coarse)
        return weighted


class SkipExcitationGenerator(nn.Module):
    """From a latent vector and noise to grey images in [-1, 1].

    4 x 4 cells are doubled until they reach half the size; the last doubling rearranges four channels into two by two
    pixels, which costs a quarter. Sizes that are no power of two are cut from the middle. Noise enters at every size,
    at the last one with a strength for each pixel, so that the microscope's shot noise, which depends on brightness,
    need not be made from the latent vector.

    Parameters
    ----------
    size_px : int
        Edge of the images.
    latent : int
        Length of the latent vector.
    width : int
        Channels at half the size; each halving doubles them, up to eight times.

    Attributes
    ----------
    noise_shapes : tuple of tuple of int
        Of the standard normal numbers that make one image.

    References
    ----------
    B. Liu et al., ICLR 2021 (arXiv 2101.04775); noise at every size after T. Karras et al., CVPR 2019
    (arXiv 1812.04948); rearranged channels after W. Shi et al., CVPR 2016 (arXiv 1609.05158).
    """

    def __init__(self, size_px: int, latent: int, width: int) -> None:
        super().__init__()
        doublings = max(1, math.ceil(math.log2(size_px / 8)))
        widths = [width * min(8, 2 ** (doublings - k)) for k in range(doublings + 1)]
        self.size_px = size_px
        self.first = nn.Sequential(
            nn.ConvTranspose2d(latent, 2 * widths[0], 4, bias=False), nn.BatchNorm2d(2 * widths[0]), nn.GLU(dim=1)
        )
        pairs = pairwise(widths)
        self.doublings = nn.ModuleList(GatedDoubling(a, b) for a, b in pairs)
        self.skips = nn.ModuleList(SkipExcitation(widths[k - _REACH], widths[k]) for k in range(_REACH, doublings + 1))
        self.out = nn.Conv2d(widths[-1], 8, 3, padding=1)
        edges = [8 * 2**k for k in range(doublings)]
        self.noise_shapes: tuple[tuple[int, ...], ...] = (
            (latent,),
            *((1, edge, edge) for edge in edges),
            (4, edges[-1], edges[-1]),
        )

    def forward(self, noise: Sequence[torch.Tensor], condition: torch.Tensor | None = None) -> torch.Tensor:
        """Return images (N, 1, H, W) in [-1, 1]; there is nothing to condition on."""
        x = self.first(noise[0][:, :, None, None])
        maps = [x]
        for k, doubling in enumerate(self.doublings, 1):
            x = doubling(x, noise[k])
            if k >= _REACH:
                x = self.skips[k - _REACH](maps[k - _REACH], x)
            maps.append(x)
        mean, strength = self.out(x).float().chunk(2, dim=1)
        levels = mean + _GRAIN * functional.softplus(strength) * noise[-1]
        return central(torch.tanh(functional.pixel_shuffle(levels, 2)), self.size_px)


def central(images: torch.Tensor, size_px: int) -> torch.Tensor:
    """Return the middle *size_px* x *size_px* of images (N, C, H, W)."""
    top, left = ((length - size_px) // 2 for length in images.shape[-2:])
    return images[..., top : top + size_px, left : left + size_px]
