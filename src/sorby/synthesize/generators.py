"""The generators of the corrosion paper: five transposed convolutions from noise, and a U-Net."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

_SLOPE = 0.2


class FiveLayerGenerator(nn.Module):
    """Noise through five transposed convolutions to grey images in [-1, 1].

    "The generator network consists of a five-layer network with leaky ReLU as an activation function and batch
    normalization" (Bhat et al. 2023, section 2), without sizes; the layout is that of A. Radford et al. (ICLR 2016,
    arXiv 1511.06434). The first layer spreads the latent vector over ``ceil(size_px / 16)`` cells a side, each of the
    other four doubles them, and what is too much is cut off around: 8 cells for 128 px, 29 for 450 px (464 less 14).

    Parameters
    ----------
    size_px : int
    latent : int
    width : int
        Channels before the last layer; each layer before has twice as many.

    Attributes
    ----------
    noise_shapes : tuple of tuple of int
        Of the standard normal numbers that make one image.
    """

    def __init__(self, size_px: int, latent: int, width: int) -> None:
        super().__init__()
        self.size_px = size_px
        self.first_cells = math.ceil(size_px / 16)
        widths = [8 * width, 4 * width, 2 * width, width]
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent, widths[0], self.first_cells, bias=False)]
        for inside, outside in zip(widths, [*widths[1:], 1], strict=True):
            layers += [nn.BatchNorm2d(inside), nn.LeakyReLU(_SLOPE)]
            layers.append(nn.ConvTranspose2d(inside, outside, 4, stride=2, padding=1, bias=outside == 1))
        self.layers = nn.Sequential(*layers)
        self.noise_shapes: tuple[tuple[int, ...], ...] = ((latent,),)

    def forward(self, noise: Sequence[torch.Tensor], condition: torch.Tensor | None = None) -> torch.Tensor:
        """Return images (N, 1, H, W); there is nothing to condition on."""
        return central(torch.tanh(self.layers(noise[0][:, :, None, None]).float()), self.size_px)


class UNetGenerator(nn.Module):
    """Encoder and decoder with skips: (N, c, H, W) and noise to (N, 1, H, W) in [-1, 1].

    Four levels after W. Liu et al. (CVPR 2018), with leaky ReLU and batch normalisation. Sides that do not divide by
    eight (450) are mirrored out and cut back.

    Parameters
    ----------
    size_px : int
    channels : int
        Of the condition: four frames, or one sketch.
    width : int
        Channels at full size; doubled at each halving.
    noise_channels : int
        Maps of noise beside the condition, at full size; 0 makes the image follow from the condition alone.

    References
    ----------
    O. Ronneberger, P. Fischer, T. Brox, MICCAI 2015 (arXiv 1505.04597).
    """

    def __init__(self, size_px: int, channels: int, width: int, noise_channels: int = 0) -> None:
        super().__init__()
        self.size_px = size_px
        widths = [width, 2 * width, 4 * width, 8 * width]
        befores = [channels + noise_channels, *widths[:-1]]
        self.down = nn.ModuleList(_double(a, b) for a, b in zip(befores, widths, strict=True))
        pairs = list(pairwise(widths))[::-1]
        # Mixed and doubled rather than convolved by stride, which leaves a lattice of two pixels on even surfaces.
        self.grow = nn.ModuleList(
            nn.Sequential(nn.Conv2d(deep, shallow, 1), nn.Upsample(scale_factor=2.0, mode="nearest"))
            for shallow, deep in pairs
        )
        self.up = nn.ModuleList(_double(2 * shallow, shallow) for shallow, _ in pairs)
        self.out = nn.Conv2d(width, 1, 3, padding=1)
        self.noise_shapes: tuple[tuple[int, ...], ...] = ()
        if noise_channels:
            self.noise_shapes = ((noise_channels, size_px, size_px),)

    def forward(self, noise: Sequence[torch.Tensor], condition: torch.Tensor | None = None) -> torch.Tensor:
        """Return images (N, 1, H, W) of conditions (N, c, H, W)."""
        if condition is None:
            raise ValueError("a U-Net generator needs a condition")
        x = torch.cat([condition, *noise], dim=1)
        over = -self.size_px % 8
        x = functional.pad(x, (0, over, 0, over), mode="reflect") if over else x
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else functional.max_pool2d(x, 2))
            skips.append(x)
        skips.pop()
        for grow, block in zip(self.grow, self.up, strict=True):
            x = block(torch.cat([skips.pop(), grow(x)], dim=1))
        return torch.tanh(self.out(x).float())[..., : self.size_px, : self.size_px]


def central(images: torch.Tensor, size_px: int) -> torch.Tensor:
    """Return the middle *size_px* x *size_px* of images (N, C, H, W)."""
    top, left = ((length - size_px) // 2 for length in images.shape[-2:])
    return images[..., top : top + size_px, left : left + size_px]


def _double(inside: int, outside: int) -> nn.Module:
    layers: list[nn.Module] = []
    for channels in (inside, outside):
        layers += [nn.Conv2d(channels, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside)]
        layers.append(nn.LeakyReLU(_SLOPE))
    return nn.Sequential(*layers)
