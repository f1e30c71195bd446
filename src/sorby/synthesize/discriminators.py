"""Networks that tell originals from generated images: a classifier, and a judge of patches."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

_SLOPE = 0.2


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
    """One score a patch: (N, 1, H, W) to (N, 1, about H / 8, W / 8); each sees 38 px.

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
