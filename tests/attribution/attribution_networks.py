"""Tiny seeded networks whose maps are known beforehand."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class ChannelMean(nn.Module):
    """Logit c is the mean of channel c after a 1 x 1 convolution and a rectifier, plus a bias."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.conv = nn.Conv2d(3, 4, 1)
        self.act = nn.ReLU(inplace=inplace)
        self.head = nn.Linear(4, 4)
        with torch.no_grad():
            self.conv.weight.copy_(torch.rand(self.conv.weight.shape, generator=generator))
            self.conv.bias.zero_()
            self.head.weight.copy_(torch.eye(4))
            self.head.bias.copy_(torch.tensor([0.5, -0.25, 0.0, 1.0]))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.conv(x)).mean((2, 3)))


class PooledStages(nn.Module):
    """Frozen stages, mean and standard deviation of each, standardisation, linear head."""

    def __init__(self, n_classes: int = 3, frozen_pass: bool = False, from_uint8: bool = False) -> None:
        super().__init__()
        torch.manual_seed(2)
        widths = (3, 6, 8, 10)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1), nn.ReLU(inplace=True)) for a, b in pairwise(widths)
        )
        size = 2 * sum(widths[1:])
        self.register_buffer("centre", torch.rand(size))
        self.register_buffer("scale", 0.5 + torch.rand(size))
        self.head = nn.Linear(size, n_classes)
        self.frozen_pass, self.from_uint8 = frozen_pass, from_uint8

    def features(self, x: Tensor) -> Tensor:
        found = []
        if self.from_uint8:
            x = x.permute(0, 3, 1, 2).float() / 255
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen_pass):
            for stage in self.stages:
                x = stage(x)
                found.append(x)
        return torch.cat([f(s) for s in found for f in (lambda m: m.mean((2, 3)), lambda m: m.std((2, 3)))], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head((self.features(x) - self.centre) / self.scale)


class Trained(nn.Module):
    """Two convolutions, batch normalisation, dropout, average pooling, linear head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
        )
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(32, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.drop(self.body(x).mean((2, 3))))


class Tokens(nn.Module):
    """Patches of 4 px as tokens behind one class token; the logits are the means of the patch tokens."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.embed = nn.Conv2d(3, 5, 4, stride=4)
        self.block = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([torch.zeros_like(tokens[:, :1]), tokens], dim=1)
        return self.block(tokens)[:, 1:].mean(1)
