"""Losses that answer unequal class counts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

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


class FocalLoss(nn.Module):
    """Mean of (1 - p_t)^gamma CE (Lin et al. 2017, eq. 4 with alpha = 1).

    Parameters
    ----------
    gamma : float
        0 gives cross-entropy.
    """

    def __init__(self, gamma: float = 2.0) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of logits (N, C) and labels (N,)."""
        log_p = functional.log_softmax(logits, dim=1).gather(1, labels.unsqueeze(1)).squeeze(1)
        return -((1 - log_p.exp()) ** self.gamma * log_p).mean()


def make_loss(
    balance: BalanceSection, labels: npt.NDArray[np.intp], n_classes: int, label_smoothing: float = 0.0
) -> nn.Module:
    """Return the loss that a recipe asks for, weights taken from the training labels."""
    if balance.loss == "focal":
        return FocalLoss(balance.gamma)
    weight = None
    if balance.loss == "class-weights":
        weight = torch.tensor(class_weights(labels, n_classes), dtype=torch.float32)
    return nn.CrossEntropyLoss(weight=weight, label_smoothing=label_smoothing)
