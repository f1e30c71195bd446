"""Readouts: from features to the raw numbers that a composition turns into class scores."""

from __future__ import annotations

from typing import Protocol, cast

import torch
from torch import nn


class Readout(Protocol):
    """What every readout offers beside ``forward``: features (N, D) to raw numbers (N, K).

    Attributes
    ----------
    reads : str
        Name of the layer that reads the features, where it is one.
    """

    reads: str

    def weights(self) -> list[torch.Tensor]:
        """Return the weight matrices that are kept small in training."""


def _begin(layers: list[nn.Linear], generator: torch.Generator) -> None:
    """Give layers weights of variance 1 / inputs and no bias."""
    for layer in layers:
        nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
        nn.init.zeros_(layer.bias)


class LinearReadout(nn.Module):
    """One linear layer (N, D) to (N, K)."""

    reads = "linear"

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return raw numbers (N, K)."""
        return cast(torch.Tensor, self.linear(features))

    def weights(self) -> list[torch.Tensor]:
        """Return the one matrix."""
        return [self.linear.weight]


class SharedReadout(nn.Module):
    """Hard parameter sharing (Caruana 1997): one hidden layer that every task reads.

    Parameters
    ----------
    inputs, hidden, outputs : int
    generator : torch.Generator
        Of the initial weights.
    """

    reads = "trunk"

    def __init__(self, inputs: int, hidden: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        self.trunk = nn.Linear(inputs, hidden)
        self.tasks = nn.Linear(hidden, outputs)
        _begin([self.trunk, self.tasks], generator)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return raw numbers (N, K)."""
        return cast(torch.Tensor, self.tasks(torch.tanh(self.trunk(features))))

    def weights(self) -> list[torch.Tensor]:
        """Return the matrices of trunk and tasks."""
        return [self.trunk.weight, self.tasks.weight]


class CrossStitchReadout(nn.Module):
    """Soft sharing (Misra et al. 2016, eq. 1): a tower a task, and units that learn how much each takes of the other.

    The first tower answers the first *first* outputs (the subtype), the second the rest (sizes and lengths).

    Parameters
    ----------
    inputs, hidden, outputs, first : int
    generator : torch.Generator
        Of the initial weights.
    """

    reads = "towers"

    def __init__(self, inputs: int, hidden: int, outputs: int, first: int, generator: torch.Generator) -> None:
        super().__init__()
        self.towers = nn.Linear(inputs, 2 * hidden)
        self.stitch = nn.Parameter(torch.tensor([[0.9, 0.1], [0.1, 0.9]]).unsqueeze(2).repeat(1, 1, hidden))
        self.first = nn.Linear(hidden, first)
        self.second = nn.Linear(hidden, outputs - first)
        _begin([self.towers, self.first, self.second], generator)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return raw numbers (N, K)."""
        a, b = torch.tanh(self.towers(features)).chunk(2, dim=1)
        mixed_a = self.stitch[0, 0] * a + self.stitch[0, 1] * b
        mixed_b = self.stitch[1, 0] * a + self.stitch[1, 1] * b
        return torch.cat([self.first(mixed_a), self.second(mixed_b)], dim=1)

    def weights(self) -> list[torch.Tensor]:
        """Return the matrices of towers and tasks; the stitches are free."""
        return [self.towers.weight, self.first.weight, self.second.weight]


class TowersReadout(nn.Module):
    """Each half of the features answers its own outputs: the reading of a network with two stitched towers.

    Parameters
    ----------
    inputs, outputs, first : int
        *inputs* counts both halves; the first one answers the first *first* outputs.
    generator : torch.Generator
        Of the initial weights.
    """

    def __init__(self, inputs: int, outputs: int, first: int, generator: torch.Generator) -> None:
        super().__init__()
        self.first = nn.Linear(inputs // 2, first)
        self.second = nn.Linear(inputs // 2, outputs - first)
        _begin([self.first, self.second], generator)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return raw numbers (N, K)."""
        a, b = features.chunk(2, dim=1)
        return torch.cat([self.first(a), self.second(b)], dim=1)

    def weights(self) -> list[torch.Tensor]:
        """Return both matrices."""
        return [self.first.weight, self.second.weight]
