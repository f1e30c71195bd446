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
_LAYOUT_CELLS = 4
_FIRST_CELLS = 16
_MARGIN_CELLS = 1  # on each side, cut off in the end: convolutions see the edge, a surface has none
_LONGEST_PX, _SHORTEST_PX = 128.0, 5.0
_PLACES = 8  # maps of noise at the coarsest size
_WIDEST = 4  # coarse maps have at most so many times the channels of the finest
_WAVE = 0.1  # where the strength of waves begins: marks are learnt, not presumed
_NOISE = 0.2  # of the spread of a channel: where the strength of noise begins
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
        self.strength = nn.Parameter(torch.full((1, outside, 1, 1), _NOISE))
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

    The latent vector gives a layout of 4 x 4 cells and modulates every convolution: the manner of the surface. Maps of
    noise on 16 x 16 cells say what lies where, so that a feature need not be learnt place by
    place. Parallel waves of random phase, in a direction that the latent vector has, are there for marks that run
    through the whole image, as of grinding. The last doubling rearranges four channels into two by two pixels, which
    costs a quarter; the last noise has a strength for each pixel, for the microscope's shot noise depends on
    brightness. A margin of a cell, and what goes beyond sizes other than 32 times a power of two, is cut off.

    Parameters
    ----------
    size_px : int
        Edge of the images.
    latent : int
        Length of the latent vector.
    width : int
        Channels at half the size; each halving doubles them, up to four times.
    waves : int
        How many parallel waves; 0 for none.

    Attributes
    ----------
    noise_shapes : tuple of tuple of int
        Of the standard normal numbers that make one image.

    References
    ----------
    T. Karras et al., CVPR 2019 (arXiv 1812.04948); rearranged channels: W. Shi et al., CVPR 2016 (arXiv 1609.05158).
    """

    def __init__(self, size_px: int, latent: int, width: int, waves: int = 16) -> None:
        super().__init__()
        cells = _FIRST_CELLS + 2 * _MARGIN_CELLS
        doublings = math.ceil(math.log2(size_px / (2 * _FIRST_CELLS)))
        widths = [width * min(_WIDEST, 2 ** (doublings - k)) for k in range(doublings + 1)]
        self.size_px, self.first_width, self.cell_px = size_px, widths[0], 2.0 ** (doublings + 1)
        self.layout = nn.Linear(latent, widths[0] * _LAYOUT_CELLS**2)
        self.first = ModulatedConvolution(widths[0] + _PLACES + waves, widths[0], latent)
        self.second = ModulatedConvolution(widths[0], widths[0], latent)
        self.doublings = nn.ModuleList(ModulatedConvolution(a + waves, b, latent) for a, b in pairwise(widths))
        self.out = nn.Conv2d(widths[-1], 8, 3, padding=1)
        self.wave_strength = nn.Parameter(torch.full((doublings + 1, waves), _WAVE))
        edges = [cells * 2**k for k in range(doublings + 1)]
        self.noise_shapes: tuple[tuple[int, ...], ...] = (
            (latent,),
            (waves,),
            (_PLACES, cells, cells),
            *((1, edge, edge) for edge in (edges[0], *edges)),
            (4, edges[-1], edges[-1]),
        )

    def forward(self, noise: Sequence[torch.Tensor], condition: torch.Tensor | None = None) -> torch.Tensor:
        """Return images (N, 1, H, W) in [-1, 1]; there is nothing to condition on."""
        latent, phases, places, first, second, *others, last = noise
        coarse = self.layout(latent).view(-1, self.first_width, _LAYOUT_CELLS, _LAYOUT_CELLS)
        edge = places.shape[-1]
        x = functional.interpolate(coarse, size=(edge, edge), mode="bilinear", align_corners=False)
        waves = self.wave_strength[0, :, None, None] * parallel_waves(latent, phases, edge, self.cell_px)
        x = torch.cat([x, places.to(x.dtype), waves.to(x.dtype)], dim=1).contiguous(memory_format=torch.channels_last)
        x = self.second(self.first(x, latent, first), latent, second)
        for doubling, here, strength in zip(self.doublings, others, self.wave_strength[1:], strict=True):
            edge = here.shape[-1]
            cell_px = self.cell_px * places.shape[-1] / edge
            waves = strength[:, None, None] * parallel_waves(latent, phases, edge, cell_px)
            x = doubling(torch.cat([_grown(x), waves.to(x.dtype)], dim=1), latent, here)
        mean, grain = self.out(x).float().chunk(2, dim=1)
        levels = mean + _GRAIN * functional.softplus(grain) * last
        return central(torch.tanh(functional.pixel_shuffle(levels, 2)), self.size_px)


def parallel_waves(latent: torch.Tensor, phases: torch.Tensor, edge: int, cell_px: float) -> torch.Tensor:
    """Return waves (N, w, edge, edge) across one direction, of lengths from 128 down to 5 px.

    Their direction is that of the latent vector's first two numbers, the same at every size; waves shorter than two
    cells are left out (zero) where the cells are coarse.

    Parameters
    ----------
    latent : Tensor, shape (N, l)
    phases : Tensor, shape (N, w)
        Standard normal numbers; times pi.
    edge : int
        Cells a side.
    cell_px : float
        Edge of a cell in pixels of the image.

    References
    ----------
    U. Bergmann, N. Jetchev, R. Vollgraf, ICML 2017 (arXiv 1705.06566), whose waves have learnt directions.
    """
    count = phases.shape[1]
    place = (torch.arange(edge, device=latent.device) - (edge - 1) / 2) * cell_px
    across = functional.normalize(latent[:, :2].float(), dim=1)
    distance = across[:, 0, None, None] * place[None, :, None] + across[:, 1, None, None] * place[None, None, :]
    exponents = torch.linspace(0.0, 1.0, count, device=latent.device)
    lengths = _LONGEST_PX * (_SHORTEST_PX / _LONGEST_PX) ** exponents
    angle = 2 * math.pi * distance[:, None] / lengths[None, :, None, None] + math.pi * phases[:, :, None, None]
    return torch.sin(angle) * (lengths >= 2 * cell_px)[None, :, None, None]


def _grown(x: torch.Tensor) -> torch.Tensor:
    """Double maps smoothly: cells that are repeated would put features on their lattice."""
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


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
        count = max(3, math.floor(math.log2(size_px / 8)))
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
