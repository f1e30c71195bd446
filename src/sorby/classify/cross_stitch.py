"""Two copies of a network, one a task, that learn after every stage how much each takes of the other."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, cast

import torch
from torch import nn

from sorby.backbone.architecture import Backbone
from sorby.classify.network import embedding_width
from sorby.errors import InputError


class CrossStitched(nn.Module):
    """Images (N, 3, H, W) to both copies' embeddings one after the other (N, 2 D).

    After every stage the maps of both copies are mixed by a 2 x 2 matrix a channel, which starts at .9 own and .1 of
    the other (Misra et al. 2016, eq. 1 and section 3.3).

    Parameters
    ----------
    module : torch.nn.Module
        A timm EfficientNet or ResNet without classifier.

    Raises
    ------
    InputError
        The network is of another build.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.first, self.second = module, copy.deepcopy(module)
        self.num_features = 2 * embedding_width(module)
        widths = [_width(stage) for stage in _stages(module)[1:-1]]
        own = torch.tensor([[0.9, 0.1], [0.1, 0.9]]).unsqueeze(2)
        self.stitches = nn.ParameterList(nn.Parameter(own.repeat(1, 1, width)) for width in widths)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Say for layer-wise rates which parameters lie how deep, as timm's models do; the stitches lie last."""
        del coarse
        stages = len(self.stitches)
        own = r"^(?:first|second)\."
        stem = rf"{own}(?:conv_stem|conv1|bn1)\b"
        return {
            "stem": stem,
            "blocks": [
                (rf"{own}blocks\.(\d+)", None),
                (rf"{own}layer(\d+)", None),
                (rf"{own}(?:conv_head|bn2)\b", (stages + 1,)),
                (r"^stitches\b", (stages + 2,)),
            ],
        }

    def no_weight_decay(self) -> set[str]:
        """Name the stitches: decay would pull the towers apart and shrink both."""
        return {name for name, _ in self.named_parameters() if name.startswith("stitches")}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return both embeddings."""
        first, second = _stages(self.first), _stages(self.second)
        a, b = first[0](images), second[0](images)
        for left, right, stitch in zip(first[1:-1], second[1:-1], self.stitches, strict=True):
            a, b = left(a), right(b)
            share = stitch[..., None, None]  # (2, 2, C, 1, 1)
            a, b = share[0, 0] * a + share[0, 1] * b, share[1, 0] * a + share[1, 1] * b
        return torch.cat([first[-1](a), second[-1](b)], dim=1)


def _stages(module: nn.Module) -> list[nn.Sequential]:
    """Return stem, stages and end of a timm network; the parts stay the network's own."""
    children = dict(module.named_children())

    def chain(*names: str) -> nn.Sequential:
        return nn.Sequential(*(children[name] for name in names))

    if {"conv_stem", "blocks", "conv_head"} <= set(children):
        stages = [nn.Sequential(stage) for stage in cast(nn.Sequential, children["blocks"])]
        return [chain("conv_stem", "bn1"), *stages, chain("conv_head", "bn2", "global_pool")]
    if {"layer1", "layer4"} <= set(children):
        stages = [chain(f"layer{k}") for k in range(1, 5)]
        return [chain("conv1", "bn1", "act1", "maxpool"), *stages, chain("global_pool")]
    raise InputError(
        f"cross-stitch units cannot be put into a {type(module).__name__}",
        "use an EfficientNet or a ResNet, or head.sharing=hard",
    )


def _width(stage: nn.Module) -> int:
    """Return the channels that a stage gives: those of its last normalisation."""
    return [part for part in stage.modules() if isinstance(part, nn.BatchNorm2d)][-1].num_features


def cross_stitched(backbone: Backbone) -> Backbone:
    """Return a backbone of two stitched copies of *backbone*."""
    return replace(backbone, module=CrossStitched(backbone.module))
