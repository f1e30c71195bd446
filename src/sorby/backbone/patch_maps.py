"""Patch maps: what a backbone says of each place of an image, at several depths, cut off after the last one used."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from sorby.backbone.architecture import Backbone, Normalise
from sorby.errors import InputError


class PatchMaps(nn.Module):
    """uint8 images (N, H, W, 1 or 3) to feature maps (N, C, h, w), finest first.

    Parameters
    ----------
    backbone : Backbone
    stages : sequence of int, optional
        Indices as for timm's ``forward_intermediates``: stages of a convolutional network, blocks of a transformer.
    blocks : sequence of int, optional
        Blocks of an EfficientNet counted from 1 over all stages, as Yan et al. (2023) count them: 3, 7 and 17 of B4
        are the first blocks of its stages 2, 3 and 5. Either these or *stages*.

    Attributes
    ----------
    channels : tuple of int
        Channels of each map.
    strides : tuple of int
        Pixels between the cells of each map.

    Raises
    ------
    InputError
        The network has no such stage or block, or its maps do not nest.
    """

    def __init__(
        self, backbone: Backbone, stages: Sequence[int] | None = None, blocks: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        if (stages is None) == (blocks is None):
            raise InputError("either stages or blocks of the backbone are read", "give one of the two")
        self.normalise = Normalise(backbone.mean, backbone.std)
        self.module = backbone.module
        self.grey_stem = _let_stem_take_grey(backbone)
        self.stages = None if stages is None else tuple(stages)
        self.blocks = None if blocks is None else tuple(blocks)
        self._check(backbone.name)
        self.channels, self.strides = self._measure(backbone.name)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps of a batch."""
        if self.grey_stem and images.shape[3] == 1:
            first = self.normalise.scale[:, :1], self.normalise.shift[:, :1]
            pixels = images.permute(0, 3, 1, 2).to(first[0].dtype) * first[0] + first[1]
        else:
            pixels = self.normalise(images)
        if self.blocks is not None:
            return self._walk(pixels)
        found: list[torch.Tensor] = self.module.forward_intermediates(  # type: ignore[operator]
            pixels, indices=list(self.stages or ()), intermediates_only=True, stop_early=True
        )
        return found

    def _walk(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Run an EfficientNet block by block up to the last one wanted."""
        wanted = self.blocks or ()
        x = self.module.bn1(self.module.conv_stem(pixels))  # type: ignore[operator]
        found = []
        number = 0
        for stage in self.module.blocks:  # type: ignore[union-attr]
            for block in stage:
                number += 1
                x = block(x)
                if number in wanted:
                    found.append(x)
                if number == wanted[-1]:
                    return found
        raise AssertionError("the last block was checked to exist")

    def _check(self, name: str) -> None:
        """Refuse places that the network does not have, in a line that names those it has."""
        wanted = self.stages if self.blocks is None else self.blocks
        first = 0 if self.blocks is None else 1
        if not wanted or list(wanted) != sorted(set(wanted)):
            raise InputError(f"{list(wanted or ())} is no rising list of stages or blocks", "e.g. stages 1, 2, 3")
        if self.blocks is not None:
            if not all(hasattr(self.module, part) for part in ("conv_stem", "bn1", "blocks")):
                raise InputError(f"{name}: has no numbered blocks", "give stages instead of blocks")
            count = sum(len(stage) for stage in self.module.blocks)  # type: ignore[union-attr, misc]
        else:
            count = len(self.module.feature_info)  # type: ignore[arg-type]
        if wanted[0] < first or wanted[-1] >= count + first:
            what = "blocks" if self.blocks is not None else "stages"
            raise InputError(f"{name}: has {what} {first} to {count + first - 1}, not {list(wanted)}", f"choose {what}")

    def _measure(self, name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Run a blank image through and read channels and strides off the maps."""
        grid = getattr(self.module, "patch_embed", None)
        size = tuple(grid.img_size) if grid is not None and getattr(grid, "img_size", None) else (128, 128)
        blank = torch.zeros(1, *size, 1, dtype=torch.uint8)
        was = self.module.training
        with torch.inference_mode():
            maps = self.eval()(blank)
        self.module.train(was)
        strides = tuple(size[0] // found.shape[2] for found in maps)
        nested = all(coarse % fine == 0 for fine, coarse in itertools.pairwise(strides))
        if not nested:
            raise InputError(f"{name}: maps at strides {list(strides)} do not nest", "choose other stages")
        return tuple(found.shape[1] for found in maps), strides


class GreyableConv2d(nn.Conv2d):
    """A network's first convolution that also takes one grey channel: what three equal ones would give."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Convolve (N, 3, H, W) or (N, 1, H, W)."""
        weight = self.weight.sum(1, keepdim=True) if pixels.shape[1] == 1 else self.weight
        found: torch.Tensor = self._conv_forward(pixels, weight, self.bias)
        return found


def _let_stem_take_grey(backbone: Backbone) -> bool:
    """Let the first convolution take one channel where all channels are normalised alike; return whether it does.

    A third of the input to read and of the first convolution to compute, with the same result. Parameters keep their
    names.
    """
    if len(set(backbone.mean)) > 1 or len(set(backbone.std)) > 1:
        return False
    stems = ("conv_stem", "conv1")
    name = next((each for each in stems if type(getattr(backbone.module, each, None)) is nn.Conv2d), "")
    if not name:  # done before, or another kind of network
        return any(isinstance(getattr(backbone.module, each, None), GreyableConv2d) for each in stems)
    old: nn.Conv2d = getattr(backbone.module, name)
    if old.in_channels != 3 or old.groups != 1 or old.padding_mode != "zeros":
        return False
    shape: dict[str, Any] = {name: getattr(old, name) for name in ("kernel_size", "stride", "padding", "dilation")}
    new = GreyableConv2d(3, old.out_channels, bias=old.bias is not None, **shape)
    new.weight, new.bias = old.weight, old.bias
    setattr(backbone.module, name, new)
    return True
