"""Readouts: from features to the raw numbers that a composition turns into class scores."""

from __future__ import annotations

from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

Floats = npt.NDArray[np.float64]


class Readout(Protocol):
    """What every readout offers beside ``forward``: features (N, D) to raw numbers (N, K)."""

    def weights(self) -> list[torch.Tensor]:
        """Return the weight matrices that are kept small in training."""

    def absorb(self, mean: Floats, spread: Floats) -> None:
        """Take the standardisation ``(x - mean) / spread`` of the features into the first weights."""


def absorb_standardisation(layer: nn.Linear, mean: Floats, spread: Floats) -> None:
    """Change a layer for standardised features into the same layer for raw ones."""
    with torch.no_grad():
        weight = layer.weight.double() / torch.from_numpy(spread)
        bias = layer.bias.double() - weight @ torch.from_numpy(mean)
        layer.weight.copy_(weight.float())
        layer.bias.copy_(bias.float())


class LinearReadout(nn.Module):
    """One linear layer (N, D) to (N, K)."""

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

    def absorb(self, mean: Floats, spread: Floats) -> None:
        """See `absorb_standardisation`."""
        absorb_standardisation(self.linear, mean, spread)


class SharedReadout(nn.Module):
    """Hard parameter sharing (Caruana 1997): one hidden layer that every task reads.

    Parameters
    ----------
    inputs, hidden, outputs : int
    """

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.trunk = nn.Linear(inputs, hidden)
        self.tasks = nn.Linear(hidden, outputs)
        nn.init.normal_(self.trunk.weight, std=inputs**-0.5)
        nn.init.zeros_(self.trunk.bias)
        nn.init.normal_(self.tasks.weight, std=hidden**-0.5)
        nn.init.zeros_(self.tasks.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return raw numbers (N, K)."""
        return cast(torch.Tensor, self.tasks(torch.tanh(self.trunk(features))))

    def weights(self) -> list[torch.Tensor]:
        """Return the matrices of trunk and tasks."""
        return [self.trunk.weight, self.tasks.weight]

    def absorb(self, mean: Floats, spread: Floats) -> None:
        """See `absorb_standardisation`."""
        absorb_standardisation(self.trunk, mean, spread)


class CrossStitchReadout(nn.Module):
    """Soft sharing (Misra et al. 2016, eq. 1): a tower a task, and units that learn how much each takes of the other.

    The first tower answers the first *first* outputs (the subtype), the second the rest (sizes and lengths).

    Parameters
    ----------
    inputs, hidden, outputs, first : int
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, first: int) -> None:
        super().__init__()
        self.towers = nn.Linear(inputs, 2 * hidden)
        self.stitch = nn.Parameter(torch.tensor([[0.9, 0.1], [0.1, 0.9]]).unsqueeze(2).repeat(1, 1, hidden))
        self.first = nn.Linear(hidden, first)
        self.second = nn.Linear(hidden, outputs - first)
        nn.init.normal_(self.towers.weight, std=inputs**-0.5)
        nn.init.zeros_(self.towers.bias)
        for task in (self.first, self.second):
            nn.init.normal_(task.weight, std=hidden**-0.5)
            nn.init.zeros_(task.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return raw numbers (N, K)."""
        a, b = torch.tanh(self.towers(features)).chunk(2, dim=1)
        mixed_a = self.stitch[0, 0] * a + self.stitch[0, 1] * b
        mixed_b = self.stitch[1, 0] * a + self.stitch[1, 1] * b
        return torch.cat([self.first(mixed_a), self.second(mixed_b)], dim=1)

    def weights(self) -> list[torch.Tensor]:
        """Return the matrices of towers and tasks; the stitches are free."""
        return [self.towers.weight, self.first.weight, self.second.weight]

    def absorb(self, mean: Floats, spread: Floats) -> None:
        """See `absorb_standardisation`."""
        absorb_standardisation(self.towers, mean, spread)


class TowersReadout(nn.Module):
    """Each half of the features answers its own outputs: the reading of a network with two stitched towers.

    Parameters
    ----------
    inputs, outputs, first : int
        *inputs* counts both halves; the first one answers the first *first* outputs.
    """

    def __init__(self, inputs: int, outputs: int, first: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs // 2, first)
        self.second = nn.Linear(inputs // 2, outputs - first)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return raw numbers (N, K)."""
        a, b = features.chunk(2, dim=1)
        return torch.cat([self.first(a), self.second(b)], dim=1)

    def weights(self) -> list[torch.Tensor]:
        """Return both matrices."""
        return [self.first.weight, self.second.weight]

    def absorb(self, mean: Floats, spread: Floats) -> None:
        """See `absorb_standardisation`."""
        half = len(mean) // 2
        absorb_standardisation(self.first, mean[:half], spread[:half])
        absorb_standardisation(self.second, mean[half:], spread[half:])
