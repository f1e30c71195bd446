"""Hidden channels rounded up to what a processor's matrix unit takes at a time; the added ones stay zero."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import nn

_Graph = TypeVar("_Graph", bound=nn.Module)

TILE_CHANNELS = 32
"""Channels of bfloat16 in one row of a matrix tile (Intel AMX)."""


def with_silent_channels(graph: _Graph, multiple: int = TILE_CHANNELS) -> _Graph:
    """Return a copy of a graph whose inverted bottlenecks are *multiple* channels wide or a multiple of that.

    A product over 144 channels leaves half a tile over, which is copied to be filled up: a third of the time of some
    layers. Channels with zero weights behind a zero bias change no sum, so the copy's results are the same.
    Blocks with squeeze and excitation are left alone: the activations cost more there than the products.

    Parameters
    ----------
    graph : torch.nn.Module
        For inference; the original is not touched.
    multiple : int
    """
    wide = copy.deepcopy(graph)
    block: Any
    for block in wide.modules():
        if _is_plain_bottleneck(block) and block.conv_pw.out_channels % multiple:
            _widen(block, -(-block.conv_pw.out_channels // multiple) * multiple)
    return wide


def _is_plain_bottleneck(block: Any) -> bool:
    """Whether a module is an inverted bottleneck as timm builds it: wider, depthwise, narrower, nothing in between."""
    parts = ("conv_pw", "conv_dw", "conv_pwl")
    if not all(isinstance(getattr(block, part, None), nn.Conv2d) for part in parts):
        return False
    plain = all(getattr(block, part).bias is None for part in parts)
    return plain and all(isinstance(getattr(block, part, None), nn.Identity) for part in ("se", "aa"))


def _widen(block: Any, hidden: int) -> None:
    """Give a bottleneck *hidden* channels."""
    block.conv_pw = _wider(block.conv_pw, block.conv_pw.in_channels, hidden)
    block.conv_dw = _wider(block.conv_dw, hidden, hidden)
    block.conv_pwl = _wider(block.conv_pwl, hidden, block.conv_pwl.out_channels)
    for norm in (block.bn1, block.bn2):
        for name, fill in (("weight", 0.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            value = getattr(norm, name)
            padded = torch.cat([value.data, value.new_full((hidden - len(value),), fill)])
            setattr(norm, name, nn.Parameter(padded) if isinstance(value, nn.Parameter) else padded)
        norm.num_features = hidden


def _wider(old: nn.Conv2d, inputs: int, outputs: int) -> nn.Conv2d:
    """Return a convolution of more channels, the added weights zero."""
    groups = outputs if old.groups > 1 else 1
    shape: dict[str, Any] = {name: getattr(old, name) for name in ("kernel_size", "stride", "padding", "dilation")}
    new = nn.Conv2d(inputs, outputs, groups=groups, bias=False, padding_mode=old.padding_mode, **shape)
    weight = torch.zeros_like(new.weight)
    weight[: old.weight.shape[0], : old.weight.shape[1]] = old.weight.data
    new.weight = nn.Parameter(weight)
    return new.eval()
