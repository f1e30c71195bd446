"""A head that knows the magnification: features and an embedding of it, read together by a small network.

The prototype in Schmid et al.'s program: a number for the magnification through two layers (1-32-64) beside the image's
features, both read by 512-256-128 units with dropout. They saw no improvement.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sorby.classify.heads.logistic import Examples, standardisation

Scaling = Literal["log10", "z", "minmax", "raw"]
Floats = npt.NDArray[np.float64]

_EMBEDDED, _HIDDEN = (32, 64), (512, 256, 128)
_DROPOUT = 0.3
_EPOCHS, _BATCH, _RATE, _DECAY = 40, 64, 1e-3, 1e-2
_LEAST_STEPS = 300  # few images need more epochs to be learnt at all
_WHOLE_MAGNIFICATIONS = 1e-3  # keeps a single magnification from being divided by nothing


class MagnificationReadout(nn.Module):
    """Features with the magnification as last column (N, D + 1) to raw numbers (N, K).

    An unknown magnification (NaN) is taken as the mean of the taught ones; whoever asks must say so.

    Parameters
    ----------
    inputs, outputs : int
        *inputs* counts the magnification.
    scaling : {"log10", "z", "minmax", "raw"}
        How the magnification becomes a number: its logarithm, standardised; standardised itself; brought to 0..1 by
        the taught range; or as it is. The prototype does not standardise logarithms, which all lie on one side of
        zero, where a layer of rectifiers without bias is a straight line and slow to bend.
    generator : torch.Generator
        Of the initial weights.
    """

    reads = "joint.0"

    def __init__(self, inputs: int, outputs: int, scaling: Scaling, generator: torch.Generator) -> None:
        super().__init__()
        self.scaling = scaling
        widths: tuple[int, ...] = (1, *_EMBEDDED)
        self.embed = nn.Sequential(*(part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.ReLU())))
        widths = (inputs - 1 + _EMBEDDED[-1], *_HIDDEN)
        joint: list[nn.Module] = []
        for a, b in pairwise(widths):
            joint += [nn.Linear(a, b), nn.ReLU(), nn.Dropout(_DROPOUT)]
        self.joint = nn.Sequential(*joint, nn.Linear(_HIDDEN[-1], outputs))
        for layer in self._layers():
            nn.init.normal_(layer.weight, std=(2 / layer.in_features) ** 0.5, generator=generator)  # He et al. 2015
            nn.init.zeros_(layer.bias)
        self.register_buffer("feature_mean", torch.zeros(inputs - 1))
        self.register_buffer("feature_spread", torch.ones(inputs - 1))
        self.register_buffer("shift", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("usual", torch.zeros(()))
        self.feature_mean: torch.Tensor
        self.feature_spread: torch.Tensor
        self.shift: torch.Tensor
        self.scale: torch.Tensor
        self.usual: torch.Tensor

    def _layers(self) -> list[nn.Linear]:
        return [part for part in (*self.embed, *self.joint) if isinstance(part, nn.Linear)]

    def weights(self) -> list[torch.Tensor]:
        """Return the weight matrices."""
        return [layer.weight for layer in self._layers()]

    def adapt(self, features: npt.NDArray[np.float32]) -> None:
        """Take scales from the taught images' features and magnifications, shape (n, D + 1)."""
        mean, spread = standardisation(features[:, :-1])
        self.feature_mean.copy_(torch.from_numpy(mean))
        self.feature_spread.copy_(torch.from_numpy(spread))
        known = features[:, -1][np.isfinite(features[:, -1])].astype(np.float64)
        shift, scale = 0.0, 1.0
        if self.scaling == "log10":
            known = np.log10(known)
        if self.scaling in ("log10", "z"):
            shift, scale = float(known.mean()), float(known.std())
        elif self.scaling == "minmax":
            shift, scale = float(known.min()), float(np.ptp(known))
        self.shift.fill_(shift)
        self.scale.fill_(max(scale, _WHOLE_MAGNIFICATIONS))
        self.usual.fill_((float(known.mean()) - float(self.shift)) / float(self.scale))

    def encode(self, magnification: torch.Tensor) -> torch.Tensor:
        """Return magnifications as the numbers that are embedded; NaN becomes the taught mean."""
        number = magnification.log10() if self.scaling == "log10" else magnification
        found = (number - self.shift) / self.scale
        return torch.where(torch.isfinite(found), found, self.usual)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return raw numbers (N, K)."""
        image = (features[:, :-1] - self.feature_mean) / self.feature_spread
        side = self.embed(self.encode(features[:, -1:]))
        return cast(torch.Tensor, self.joint(torch.cat([image, side], dim=1)))


def train_readout(
    readout: MagnificationReadout, features: npt.NDArray[np.float32], examples: Examples, seed: int
) -> None:
    """Train by AdamW and cross-entropy for a fixed number of epochs (few images for longer), the rate by a cosine.

    Parameters
    ----------
    readout : MagnificationReadout
        Changed in place.
    features : ndarray of float32, shape (n, D + 1)
    examples : Examples
        Labels and weights of rows of *features*.
    seed : int
        Of order and dropout.
    """
    readout.adapt(features[np.unique(examples.image)])
    x = torch.from_numpy(features[examples.image])
    y = torch.from_numpy(examples.label.astype(np.int64))
    weight = torch.from_numpy((examples.weight / examples.weight.mean()).astype(np.float32))
    rng = np.random.default_rng([seed, len(x)])
    optimiser = torch.optim.AdamW(readout.parameters(), lr=_RATE, weight_decay=_DECAY)
    an_epoch = -(-len(x) // _BATCH)
    epochs = max(_EPOCHS, -(-_LEAST_STEPS // an_epoch))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * an_epoch)
    readout.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(epochs):
            order = torch.from_numpy(rng.permutation(len(x)))
            for rows in torch.split(order, _BATCH):
                optimiser.zero_grad()
                loss = nn.functional.cross_entropy(readout(x[rows]), y[rows], reduction="none")
                (weight[rows] * loss).mean().backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
    readout.eval()
