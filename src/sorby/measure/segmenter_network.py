"""A small U-Net: pixels in, the probability that each belongs to what the labels marked."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

WIDTHS = (24, 40, 64)
"""Channels at half, quarter and eighth resolution; about 160,000 parameters."""

_SOFTENING = 8.0  # grey levels: a field without contrast is not blown up to full contrast


class DoubleConvolution(nn.Sequential):
    """Two 3 x 3 convolutions, (N, a, H, W) to (N, b, H, W), each normalised and rectified."""

    def __init__(self, inside: int, outside: int) -> None:
        layers: list[nn.Module] = []
        for channels in (inside, outside):
            layers += [nn.Conv2d(channels, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(True)]
        super().__init__(*layers)


class SmallUNet(nn.Module):
    """Encoder and decoder with skips; sides must divide by ``2 ** len(widths)``.

    Two by two pixels enter as channels and leave as such, which costs a quarter and loses none of them (W. Shi et
    al., CVPR 2016, arXiv 1609.05158).

    Takes uint8 RGB (N, H, W, 3). Brightness and contrast of each picture are taken out inside the graph, so that
    training and use cannot differ in it.

    Parameters
    ----------
    widths : tuple of int
        Channels of each level.

    References
    ----------
    O. Ronneberger, P. Fischer, T. Brox, MICCAI 2015 (arXiv 1505.04597).
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.widths = tuple(widths)
        befores = (12, *self.widths[:-1])
        self.down = nn.ModuleList(DoubleConvolution(a, b) for a, b in zip(befores, self.widths, strict=True))
        pairs = list(zip(self.widths[:-1], self.widths[1:], strict=True))[::-1]
        self.up = nn.ModuleList(DoubleConvolution(shallow + deep, shallow) for shallow, deep in pairs)
        self.out = nn.Conv2d(self.widths[0], 4, 1)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (N, H, W) of uint8 images (N, H, W, 3)."""
        x = images.permute(0, 3, 1, 2).float()
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        spread = (x - mean).square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        x = functional.pixel_unshuffle((x - mean) / (spread + _SOFTENING), 2)
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else functional.max_pool2d(x, 2))
            skips.append(x)
        skips.pop()
        for block in self.up:
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = block(torch.cat([skips.pop(), x], dim=1))
        found: torch.Tensor = functional.pixel_shuffle(self.out(x), 2).squeeze(1)
        return found

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return probabilities (N, H, W)."""
        return torch.sigmoid(self.logits(images).float())


def overlap_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return binary cross-entropy plus soft Dice loss of logits and truth (0 or 1), both (N, H, W).

    Cross-entropy gives every pixel a say, Dice keeps thin boundaries from being drowned by background.

    References
    ----------
    F. Milletari, N. Navab, S.-A. Ahmadi, 3DV 2016 (arXiv 1606.04797).
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, truth)
    probability = torch.sigmoid(logits)
    shared = 2 * (probability * truth).sum() + 1.0
    dice = 1.0 - shared / (probability.sum() + truth.sum() + 1.0)
    return entropy + dice
