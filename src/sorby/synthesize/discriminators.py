"""Networks that tell originals from generated images: a classifier, a judge of patches, one for few originals."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

_SLOPE = 0.2
_LAST_CELLS = 4


def _strided(inside: int, outside: int) -> list[nn.Module]:
    return [nn.Conv2d(inside, outside, 4, stride=2, padding=1), nn.LeakyReLU(_SLOPE)]


class ImageClassifier(nn.Module):
    """A classifier with one output: (N, 1, H, W) to (N, 1), near 1 for originals, near 0 for generated images.

    Four strided convolutions and one that looks at the mean of what they found.

    Parameters
    ----------
    width : int
        Channels after the first convolution; each further one doubles them.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [1, width, 2 * width, 4 * width, 8 * width]
        pairs = pairwise(widths)
        self.features = nn.Sequential(*(layer for a, b in pairs for layer in _strided(a, b)))
        self.out = nn.Linear(widths[-1], 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return scores (N, 1)."""
        score: torch.Tensor = self.out(self.features(images).mean(dim=(2, 3))).float()
        return score


class PatchDiscriminator(nn.Module):
    """One score a patch: (N, 1, H, W) to (N, 1, about H / 8, W / 8); each sees 46 px.

    Parameters
    ----------
    width : int
        Channels after the first convolution.

    References
    ----------
    P. Isola et al., CVPR 2017 (arXiv 1611.07004).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        layers = [*_strided(1, width), *_strided(width, 2 * width), *_strided(2 * width, 4 * width)]
        layers.append(nn.Conv2d(4 * width, 1, 3, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return scores of patches."""
        scores: torch.Tensor = self.layers(images).float()
        return scores


def _held(layer: nn.Module) -> nn.Module:
    """Hold a layer's spectral norm at one."""
    held: nn.Module = spectral_norm(layer)
    return held


class SmallDataDiscriminator(nn.Module):
    """Scores (N, 2 k) of images (N, 1, H, W): of k patches, an eighth of the edge apart, and k times of the whole.

    Spectral norms keep it from growing sure of a dozen originals; the spread over the batch shows it a generator that
    repeats itself. Two by two pixels enter as channels, which costs a quarter and loses none of them.

    Parameters
    ----------
    size_px : int
    width : int
        Channels at half the size.

    References
    ----------
    T. Miyato et al., ICLR 2018 (arXiv 1802.05957); T. Karras et al., ICLR 2018 (arXiv 1710.10196).
    """

    def __init__(self, size_px: int, width: int) -> None:
        super().__init__()
        count = max(3, math.floor(math.log2(size_px / (2 * _LAST_CELLS))))
        widths = [width * min(8, 2**k) for k in range(count + 1)]
        pairs = list(pairwise(widths))
        self.first = _held(nn.Conv2d(4, widths[0], 3, padding=1))
        self.fine = nn.Sequential(*(_halving(a, b) for a, b in pairs[:2]))
        self.coarse = nn.Sequential(*(_halving(a, b) for a, b in pairs[2:]))
        self.patches = nn.Sequential(
            _held(nn.Conv2d(widths[2], widths[2], 3, padding=1)),
            nn.LeakyReLU(_SLOPE),
            _held(nn.Conv2d(widths[2], 1, 1)),
        )
        self.last = _held(nn.Conv2d(widths[-1] + 1, widths[-1], 3, padding=1))
        self.whole = _held(nn.Linear(widths[-1], 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return scores; sides are trimmed to an even number of pixels."""
        height, width = (length // 2 * 2 for length in images.shape[-2:])
        x = functional.pixel_unshuffle(images[..., :height, :width], 2)
        fine = self.fine(functional.leaky_relu(self.first(x), _SLOPE))
        coarse = self.coarse(fine)
        spread = coarse.float().std(dim=0, unbiased=False).mean().expand(len(coarse), 1, *coarse.shape[2:])
        last = functional.leaky_relu(self.last(torch.cat([coarse, spread.to(coarse.dtype)], 1)), _SLOPE)
        whole = self.whole(last.mean(dim=(2, 3))).float()
        patches = self.patches(fine).flatten(1).float()
        return torch.cat([patches, whole.expand(-1, patches.shape[1])], 1)


def _halving(inside: int, outside: int) -> nn.Module:
    return nn.Sequential(_held(nn.Conv2d(inside, outside, 4, stride=2, padding=1)), nn.LeakyReLU(_SLOPE))
