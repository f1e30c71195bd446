"""The optimisers that a recipe may name, and what each keeps for every weight."""

from __future__ import annotations

from typing import Any

import torch

from sorby.classify.recipe import FinetuneSection

_MOMENTUM = 0.9  # of plain gradients, which hardly move without
_RHO = 0.9  # of RMSprop's running mean of squares

#: Numbers that the optimiser holds for each weight between two steps.
STATE_PER_WEIGHT = {"adamw": 2, "adam": 2, "sgd": 1, "rmsprop": 1}


def make_optimiser(section: FinetuneSection, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Return the recipe's optimiser for groups of parameters that carry their own weight decay."""
    rate = section.learning_rate
    if section.optimiser == "adam":
        return torch.optim.Adam(groups, lr=rate)
    if section.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=_MOMENTUM)
    if section.optimiser == "rmsprop":
        return torch.optim.RMSprop(groups, lr=rate, alpha=_RHO)
    return torch.optim.AdamW(groups, lr=rate)


def numbers_per_weight(section: FinetuneSection, *, host: bool, on_gpu: bool) -> int:
    """Count the numbers of 4 bytes that a training holds for each weight at its fullest moment.

    Parameters
    ----------
    section : FinetuneSection
    host : bool
        Of the computer's memory; otherwise of the GPU's.
    on_gpu : bool
        Whether the network learns on a GPU; then the computer only writes checkpoints.
    """
    state = STATE_PER_WEIGHT[section.optimiser]
    kept = 1 if section.keep == "last" else 2  # the network as it is, and at its best epoch
    learning = 2 + state + kept  # weights and gradients first
    writing = 2 * (kept + state)  # the checkpoint's tensors and its bytes
    if on_gpu:
        return writing if host else learning
    return learning + writing
