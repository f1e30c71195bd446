"""The last layer: which class a proposal shows, and how its box should move."""

from __future__ import annotations

import torch
from torch import nn

from sorby.detect.recipe import BoxSection

_EPSILON = 1e-5
_CLASS_STD, _BOX_STD = 0.01, 0.001


class Predictor(nn.Module):
    """From a proposal's description to class scores, background last, and box offsets.

    Parameters
    ----------
    inputs : int
        Length of the description; the first *hidden* of it are what the box regression reads.
    hidden : int
    n_classes : int
        Without background.
    section : BoxSection

    Notes
    -----
    The cosine form is Wang et al. (2020), eq. 2: scale * w.x / (|w| |x|), no bias, norms kept above 1e-5.
    """

    def __init__(self, inputs: int, hidden: int, n_classes: int, section: BoxSection) -> None:
        super().__init__()
        self.cosine, self.hidden, self.n_classes = section.classifier == "cosine", hidden, n_classes
        self.agnostic = section.regression == "agnostic"
        self.scale = section.scale
        self.classes = nn.Linear(inputs, n_classes + 1, bias=not self.cosine)
        self.boxes = nn.Linear(hidden, 4 if self.agnostic else 4 * n_classes)
        # What few examples see is brought to mean 0 and deviation 1, so that no channel rules by its units.
        self.register_buffer("centre", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        self.centre: torch.Tensor
        self.spread: torch.Tensor
        nn.init.normal_(self.classes.weight, std=_CLASS_STD)
        nn.init.normal_(self.boxes.weight, std=_BOX_STD)
        nn.init.zeros_(self.boxes.bias)
        if not self.cosine:
            nn.init.zeros_(self.classes.bias)

    def standardised(self, described: torch.Tensor) -> torch.Tensor:
        """Return descriptions as the classifier reads them; of length 1 in the cosine form."""
        values = (described - self.centre) / self.spread
        return values / (values.norm(dim=1, keepdim=True) + _EPSILON) if self.cosine else values

    def similarities(self, values: torch.Tensor) -> torch.Tensor:
        """Return logits (n, classes + 1) of standardised descriptions."""
        if not self.cosine:
            logits: torch.Tensor = self.classes(values)
            return logits
        weights = self.classes.weight / (self.classes.weight.norm(dim=1, keepdim=True) + _EPSILON)
        similar: torch.Tensor = self.scale * values @ weights.t()
        return similar

    def class_scores(self, described: torch.Tensor) -> torch.Tensor:
        """Return logits (n, classes + 1)."""
        return self.similarities(self.standardised(described))

    def forward(self, described: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (n, classes + 1) and offsets (n, 4 or 4 * classes)."""
        return self.class_scores(described), self.boxes(described[:, : self.hidden])
