"""Networks for a dozen originals: a latent vector sets the manner of a surface, noise sets what lies where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from sorby.synthesize.generators import central

_SLOPE = 0.2
_FIRST_CELLS = 8
_PLACES = 8  # maps of noise at the coarsest size
_WIDEST = 4  # coarse maps have at most so many times the channels of the finest
_GRAIN = 0.1  # of the range of grey: where the strength of the last noise begins


class ModulatedConvolution(nn.Module):
    """Convolve, add noise, normalise, and let the latent vector scale and shift: (N, a, H, W) to (N, b, H, W).

    References
    ----------
    Noise and modulation at every size: T. Karras et al., CVPR 2019 (arXiv 1812.04948).
    """

    def __init__(self, inside: int, outside: int, latent: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inside, outside, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outside, affine=False)
        self.strength = nn.Parameter(torch.full((1, outside, 1, 1), 0.1))
        self.manner = nn.Linear(latent, 2 * outside)
        nn.init.normal_(self.manner.weight, std=0.5 / math.sqrt(latent))
        nn.init.zeros_(self.manner.bias)

    def forward(self, x: torch.Tensor, latent: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return maps (N, b, H, W) of maps, latent vectors (N, l) and noise (N, 1, H, W)."""
        x = self.norm(self.convolution(x) + self.strength * noise)
        scale, shift = self.manner(latent)[:, :, None, None].chunk(2, dim=1)
        return functional.leaky_relu(torch.addcmul(shift.to(x.dtype), x, (1.0 + scale).to(x.dtype)), _SLOPE)


class ModulatedGenerator(nn.Module):
    """From a latent vector and noise to grey images in [-1, 1].

    The latent vector gives a coarse layout and modulates every convolution: the manner of the surface, such as the
    direction of its grinding. Maps of noise on 8 x 8 cells say what lies where, so that the same feature need not be
    learnt for each place. The last doubling rearranges four channels into two by two pixels, which costs a quarter;
    the last noise has a strength for each pixel, for the microscope's shot noise depends on brightness. Sizes other
    than 16 times a power of two are cut from the middle.

    Parameters
    ----------
    size_px : int
        Edge of the images.
    latent : int
        Length of the latent vector.
    width : int
        Channels at half the size; each halving doubles them, up to four times.

    Attributes
    ----------
    noise_shapes : tuple of tuple of int
        Of the standard normal numbers that make one image.

    References
    ----------
    T. Karras et al., CVPR 2019 (arXiv 1812.04948); rearranged channels: W. Shi et al., CVPR 2016 (arXiv 1609.05158).
    """

    def __init__(self, size_px: int, latent: int, width: int) -> None:
        super().__init__()
        doublings = max(1, math.ceil(math.log2(size_px / (2 * _FIRST_CELLS))))
        widths = [width * min(_WIDEST, 2 ** (doublings - k)) for k in range(doublings + 1)]
        self.size_px, self.first_width = size_px, widths[0]
        self.layout = nn.Linear(latent, widths[0] * (_FIRST_CELLS // 2) ** 2)
        self.first = ModulatedConvolution(widths[0] + _PLACES, widths[0], latent)
        self.doublings = nn.ModuleList(ModulatedConvolution(a, b, latent) for a, b in pairwise(widths))
        self.out = nn.Conv2d(widths[-1], 8, 3, padding=1)
        edges = [_FIRST_CELLS * 2**k for k in range(doublings + 1)]
        self.noise_shapes: tuple[tuple[int, ...], ...] = (
            (latent,),
            (_PLACES, _FIRST_CELLS, _FIRST_CELLS),
            *((1, edge, edge) for edge in edges),
            (4, edges[-1], edges[-1]),
        )

    def forward(self, noise: Sequence[torch.Tensor], condition: torch.Tensor | None = None) -> torch.Tensor:
        """Return images (N, 1, H, W) in [-1, 1]; there is nothing to condition on."""
        latent, places, first, *others, last = noise
        coarse = self.layout(latent).view(-1, self.first_width, _FIRST_CELLS // 2, _FIRST_CELLS // 2)
        x = functional.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
        x = torch.cat([x, places.to(x.dtype)], dim=1).contiguous(memory_format=torch.channels_last)
        x = self.first(x, latent, first)
        for doubling, here in zip(self.doublings, others, strict=True):
            x = doubling(functional.interpolate(x, scale_factor=2.0, mode="nearest"), latent, here)
        mean, strength = self.out(x).float().chunk(2, dim=1)
        levels = mean + _GRAIN * functional.softplus(strength) * last
        return central(torch.tanh(functional.pixel_shuffle(levels, 2)), self.size_px)


class SmallDataDiscriminator(nn.Module):
    """Scores (N, 2 k) of images (N, 1, H, W): of k patches, an eighth of the edge apart, and k times of the whole.

    Patches tell texture, and there are many of them in a few originals; the whole tells layout, and sees by the spread
    of the batch a generator that repeats itself. Two by two pixels enter as channels.

    Parameters
    ----------
    size_px : int
    width : int
        Channels at half the size.

    References
    ----------
    The spread of the batch: T. Karras et al., ICLR 2018 (arXiv 1710.10196).
    """

    def __init__(self, size_px: int, width: int) -> None:
        super().__init__()
        count = max(3, math.floor(math.log2(size_px / _FIRST_CELLS)))
        widths = [width * min(_WIDEST, 2**k) for k in range(count + 1)]
        pairs = list(pairwise(widths))
        self.first = nn.Conv2d(4, widths[0], 3, padding=1)
        self.fine = nn.Sequential(*(_halving(a, b) for a, b in pairs[:2]))
        self.coarse = nn.Sequential(*(_halving(a, b) for a, b in pairs[2:]))
        self.patches = nn.Sequential(
            nn.Conv2d(widths[2], widths[2], 3, padding=1), nn.LeakyReLU(_SLOPE), nn.Conv2d(widths[2], 1, 1)
        )
        self.last = nn.Conv2d(widths[-1] + 1, widths[-1], 3, padding=1)
        self.whole = nn.Linear(widths[-1], 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, _SLOPE)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return scores; sides are trimmed to an even number of pixels."""
        height, width = (length // 2 * 2 for length in images.shape[-2:])
        x = functional.pixel_unshuffle(images[..., :height, :width], 2)
        fine = self.fine(functional.leaky_relu(self.first(x), _SLOPE))
        coarse = self.coarse(fine)
        spread = (coarse.float().var(dim=0, unbiased=False) + 1e-6).sqrt().mean()  # a root has no slope at 0
        spread = spread.expand(len(coarse), 1, *coarse.shape[2:]).to(coarse.dtype)
        last = functional.leaky_relu(self.last(torch.cat([coarse, spread], 1)), _SLOPE)
        whole = self.whole(last.mean(dim=(2, 3))).float()
        patches = self.patches(fine).flatten(1).float()
        return torch.cat([patches, whole.expand(-1, patches.shape[1])], 1)


def _halving(inside: int, outside: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inside, outside, 4, stride=2, padding=1), nn.LeakyReLU(_SLOPE))
