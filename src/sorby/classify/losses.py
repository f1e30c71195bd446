"""Losses that answer unequal class counts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from sorby.classify.heads import Head
from sorby.classify.heads.targets import TargetTensors
from sorby.classify.recipe import BalanceSection


def class_weights(labels: npt.NDArray[np.intp], n_classes: int) -> npt.NDArray[np.float64]:
    """Return n / (C n_c) for each class, shape (C,): weights whose average over the images is 1.

    A class without images gets 0; it cannot be learnt.
    """
    counts = np.bincount(labels, minlength=n_classes).astype(np.float64)
    present = counts > 0
    weights = np.zeros(n_classes)
    weights[present] = len(labels) / (present.sum() * counts[present])
    return weights


def focal_factor(scores: torch.Tensor, labels: torch.Tensor, gamma: float) -> torch.Tensor:
    """Return (1 - p_t)^gamma for each example, shape (N,) (Lin et al. 2017, eq. 4 with alpha = 1); 0 gives ones."""
    log_p = functional.log_softmax(scores, dim=1).gather(1, labels.unsqueeze(1)).squeeze(1)
    return (1 - log_p.exp()) ** gamma


class HeadLoss(nn.Module):
    """The mean of a head's own losses, corrected for unequal class counts as the recipe asks.

    Parameters
    ----------
    balance : BalanceSection
    labels : ndarray of int
        Of the training images; class weights come from their counts.
    n_classes : int
    length_weight, label_smoothing : float
    """

    def __init__(
        self,
        balance: BalanceSection,
        labels: npt.NDArray[np.intp],
        n_classes: int,
        length_weight: float = 1.0,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.balance, self.length_weight, self.label_smoothing = balance, length_weight, label_smoothing
        weight = class_weights(labels, n_classes) if balance.loss == "class-weights" else np.ones(n_classes)
        self.register_buffer("weight", torch.tensor(weight, dtype=torch.float32))
        self.weight: torch.Tensor

    def forward(self, head: Head, embedding: torch.Tensor, targets: TargetTensors) -> torch.Tensor:
        """Return the mean loss of a batch from its embedding (N, D)."""
        found = head.losses(embedding, targets, self.length_weight)
        if self.label_smoothing:
            even = -functional.log_softmax(head(embedding).float(), dim=1).mean(dim=1)
            found = (1 - self.label_smoothing) * found + self.label_smoothing * even
        if self.balance.loss == "focal":
            found = found * focal_factor(head(embedding).float(), targets.labels, self.balance.gamma)
        weight = self.weight[targets.labels]
        return (weight * found).sum() / weight.sum().clamp_min(1e-12)

    def mixed(
        self, head: Head, embedding: torch.Tensor, first: TargetTensors, second: TargetTensors, share: float
    ) -> torch.Tensor:
        """Return the mean loss of blended images: *share* of each is of the first label, the rest of the second.

        Cross-entropy is linear in the target, so this is the cross-entropy against the blended labels.
        """
        return share * self.forward(head, embedding, first) + (1 - share) * self.forward(head, embedding, second)
