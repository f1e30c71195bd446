"""The fine-tuned network: a backbone and a linear head, from uint8 pixels to logits and embedding."""

from __future__ import annotations

from typing import Any

import timm.optim
import torch
from torch import nn

from sorby.backbone.architecture import Backbone, Normalise
from sorby.classify.recipe import FinetuneSection


class ClassifierNetwork(nn.Module):
    """uint8 images (N, H, W, 1 or 3) to logits (N, C) and embedding (N, D).

    Parameters
    ----------
    backbone : Backbone
        Its module is trained in place.
    n_classes : int
    seed : int
        Of the head's initial weights.
    """

    def __init__(self, backbone: Backbone, n_classes: int, seed: int = 0) -> None:
        super().__init__()
        self.normalise = Normalise(backbone.mean, backbone.std)
        self.module = backbone.module
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.head = nn.Linear(self._width(), n_classes)
        nn.init.zeros_(self.head.bias)

    def _width(self) -> int:
        """Return the length of the pooled embedding, which some architectures widen before their classifier."""
        width = getattr(self.module, "head_hidden_size", None) or self.module.num_features
        return int(width)  # type: ignore[arg-type]

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits and embedding."""
        embedding = self.module(self.normalise(images))
        return self.head(embedding), embedding


def parameter_groups(network: ClassifierNetwork, section: FinetuneSection) -> list[dict[str, Any]]:
    """Return AdamW groups: layer-wise decayed rates for the backbone, the full rate for the head.

    Each group carries ``lr_scale``; biases and norms have no weight decay.
    """
    groups: list[dict[str, Any]] = timm.optim.param_groups_layer_decay(
        network.module, weight_decay=section.weight_decay, layer_decay=section.layer_decay
    )
    groups.append({"params": [network.head.weight], "weight_decay": section.weight_decay, "lr_scale": 1.0})
    groups.append({"params": [network.head.bias], "weight_decay": 0.0, "lr_scale": 1.0})
    return groups
