"""The fine-tuned network: a backbone and a linear head, from uint8 pixels to logits and embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm.optim
import torch
from torch import nn

from sorby.backbone.architecture import Backbone, Normalise
from sorby.classify.heads import Head
from sorby.classify.recipe import FinetuneSection


class ClassifierNetwork(nn.Module):
    """uint8 images (N, H, W, 1 or 3) to class scores (N, C) and embedding (N, D).

    Parameters
    ----------
    backbones : sequence of Backbone
        Their modules are trained in place; embeddings stand one after the other. One, except where stages were
        trained apart.
    head : Head
        Reads the embedding.
    """

    def __init__(self, backbones: Sequence[Backbone], head: Head) -> None:
        super().__init__()
        self.normalise = nn.ModuleList(Normalise(each.mean, each.std) for each in backbones)
        self.networks = nn.ModuleList(each.module for each in backbones)
        self.head = head

    @property
    def module(self) -> nn.Module:
        """The first network."""
        return self.networks[0]

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Return the embedding (N, D)."""
        each = [module(normalise(images)) for module, normalise in zip(self.networks, self.normalise, strict=True)]
        return torch.cat(each, dim=1)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scores and embedding."""
        embedding = self.embed(images)
        return self.head(embedding), embedding


def embedding_width(module: nn.Module) -> int:
    """Return the length of the pooled embedding, which some architectures widen before their classifier."""
    width = getattr(module, "head_hidden_size", None) or module.num_features
    return int(width)  # type: ignore[arg-type]


def parameter_groups(network: ClassifierNetwork, section: FinetuneSection) -> list[dict[str, Any]]:
    """Return the optimiser's groups: layer-wise decayed rates for the backbone, the full rate for the head.

    Each group carries ``lr_scale``; biases and norms have no weight decay.
    """
    groups: list[dict[str, Any]] = timm.optim.param_groups_layer_decay(
        network.module, weight_decay=section.weight_decay, layer_decay=section.layer_decay
    )
    heavy = {id(weight) for weight in network.head.readout.weights()}
    decayed = [each for each in network.head.parameters() if id(each) in heavy]
    free = [each for each in network.head.parameters() if id(each) not in heavy]
    groups.append({"params": decayed, "weight_decay": section.weight_decay, "lr_scale": 1.0})
    groups.append({"params": free, "weight_decay": 0.0, "lr_scale": 1.0})
    return groups
