"""The three networks that Bhat et al. (2023) describe for corroding surfaces, as backbones built for an image size.

The paper's table, its text and its figure of several models joined agree in little; each is built as it reads, and
what a description leaves open is said beside it. Their classifying layer, one sigmoid output, is the head's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from sorby.errors import InputError

Size = tuple[int, int]

_CONVOLUTION_DROPOUT = 0.25  # the paper says that there is dropout, not how much
_DENSE_DROPOUT = 0.5


@dataclass(frozen=True)
class SurfacePlan:
    """What a surface network is made of.

    Attributes
    ----------
    size : tuple of int
        Height and width in pixels that the paper states.
    widths : tuple of int
        Channels after each convolution, valid and 3 x 3 unless *kernels* says otherwise.
    dense : tuple of int
        Widths of the hidden dense layers, ReLU after each.
    kernels : tuple of int
        Edge of the convolutions, one for each branch.
    branch_width : int
        Width of the dense layer that ends each branch; 0 where there is one branch, which ends in its maps.
    batch_norm : bool
        Whether batch normalisation stands between convolution and ReLU.
    last_pool : bool
        Whether the last convolution is followed by a pool as well.
    convolution_dropout, dense_dropout : float
        Share of values left out in training, after each group of convolution and pool, and after the last dense
        layer.
    """

    size: Size
    widths: tuple[int, ...]
    dense: tuple[int, ...]
    kernels: tuple[int, ...] = (3,)
    branch_width: int = 0
    batch_norm: bool = False
    last_pool: bool = True
    convolution_dropout: float = 0.0
    dense_dropout: float = 0.0


#: The networks by name. Of ``bhat-text`` the paper states five convolutions, four pools, four dense layers, 4096 and
#: the weights of the first dense layer, which ask for 256 channels at the end; the other widths are ours, and its
#: 1 204 892 convolutional weights fit no stack of 3 x 3 convolutions. Of ``bhat-branches`` it states that models'
#: outputs are joined before four layers with one hidden one, and 4096; that they are three (it writes of an "M3") and
#: differ in the size of their convolutions is ours, and each is taken as far as Table 6 goes without its last layer.
SURFACE_NETWORKS: Mapping[str, SurfacePlan] = {
    "bhat-table6": SurfacePlan((150, 150), (32, 64, 128, 128), (512,), dense_dropout=_DENSE_DROPOUT),
    "bhat-text": SurfacePlan(
        (450, 450),
        (32, 64, 128, 256, 256),
        (4096, 4096, 4096),
        batch_norm=True,
        last_pool=False,
        convolution_dropout=_CONVOLUTION_DROPOUT,
    ),
    "bhat-branches": SurfacePlan(
        (150, 150), (32, 64, 128, 128), (4096,), kernels=(3, 5, 7), branch_width=512, dense_dropout=_DENSE_DROPOUT
    ),
}


class ConvolutionStack(nn.Sequential):
    """Images (N, 3, H, W) to the maps (N, C, h, w) after the last convolution and pool.

    Parameters
    ----------
    plan : SurfacePlan
    kernel : int
    """

    def __init__(self, plan: SurfacePlan, kernel: int) -> None:
        super().__init__()
        inputs = 3
        for k, outputs in enumerate(plan.widths, 1):
            self.add_module(f"conv{k}", nn.Conv2d(inputs, outputs, kernel))
            if plan.batch_norm:
                self.add_module(f"norm{k}", nn.BatchNorm2d(outputs))
            self.add_module(f"relu{k}", nn.ReLU())
            if plan.last_pool or k < len(plan.widths):
                self.add_module(f"pool{k}", nn.MaxPool2d(2))
            if plan.convolution_dropout:
                self.add_module(f"dropout{k}", nn.Dropout(plan.convolution_dropout))
            inputs = outputs

    def after_each_convolution(self, images: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Return the rectified maps of every convolution, and the last maps."""
        found = []
        for name, layer in self.named_children():
            images = layer(images)
            if name.startswith("relu"):
                found.append(images)
        return found, images


def map_size(plan: SurfacePlan, kernel: int, size: Size) -> Size:
    """Return height and width of the last maps of a branch for images of *size*.

    Raises
    ------
    InputError
        Nothing is left of so small an image.
    """
    height, width = size
    for k in range(1, len(plan.widths) + 1):
        height, width = height - kernel + 1, width - kernel + 1
        if plan.last_pool or k < len(plan.widths):
            height, width = height // 2, width // 2
        if min(height, width) < 1:
            raise InputError(
                f"images of {size[0]} x {size[1]} px are too small for {len(plan.widths)} valid convolutions of"
                f" {kernel} x {kernel} px",
                f"the published size is image.height={plan.size[0]}, image.width={plan.size[1]}",
            )
    return height, width


class SurfaceNetwork(nn.Module):
    """Normalised images (N, 3, H, W) to the last hidden layer (N, D), for images of one size.

    It offers what sorby asks of timm's models: ``forward_intermediates`` (the rectified maps of every convolution),
    ``feature_info``, ``group_matcher``, ``num_features``.

    Parameters
    ----------
    plan : SurfacePlan
    size : tuple of int
        Height and width of the images.
    """

    def __init__(self, plan: SurfacePlan, size: Size) -> None:
        super().__init__()
        self.size, self.default_cfg = size, {"input_size": (3, *size)}
        self.branches = nn.ModuleList(ConvolutionStack(plan, kernel) for kernel in plan.kernels)
        flat = [math.prod(map_size(plan, kernel, size)) * plan.widths[-1] for kernel in plan.kernels]
        self.branch_ends = nn.ModuleList(
            nn.Sequential(nn.Linear(inputs, plan.branch_width), nn.ReLU()) if plan.branch_width else nn.Identity()
            for inputs in flat
        )
        inputs = plan.branch_width * len(flat) or sum(flat)
        layers: list[nn.Module] = []
        for outputs in plan.dense:
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
            inputs = outputs
        if plan.dense_dropout:
            layers.append(nn.Dropout(plan.dense_dropout))
        self.dense = nn.Sequential(*layers)
        self.num_features = plan.dense[-1]
        self.feature_info = [
            {"num_chs": width, "reduction": 2**k, "module": f"branches.{branch}.relu{k + 1}"}
            for branch in range(len(plan.kernels))
            for k, width in enumerate(plan.widths)
        ]

    @property
    def map_layers(self) -> tuple[str, ...]:
        """Names of the layers that feed the dense ones side by side: the last convolution of every branch."""
        last = max(int(info["module"].rsplit("relu", 1)[1]) for info in self.feature_info)
        return tuple(f"branches.{branch}.conv{last}" for branch in range(len(self.branches)))

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Say for layer-wise rates which parameters lie how deep, as timm's models do."""
        del coarse
        return {
            "convolutions": r"^branches\.\d+\.(?:conv|norm)(\d+)",
            "ends": r"^branch_ends\.",
            "dense": r"^dense\.(\d+)",
        }

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the embedding (N, D).

        Raises
        ------
        InputError
            The images have another size.
        """
        if images.shape[2] != self.size[0] or images.shape[3] != self.size[1]:
            height, width = int(images.shape[2]), int(images.shape[3])
            raise InputError(
                f"the network was built for images of {self.size[0]} x {self.size[1]} px, not {height} x {width}",
                "its dense layer reads every position; build it for the size",
            )
        ends = [end(branch(images).flatten(1)) for branch, end in zip(self.branches, self.branch_ends, strict=True)]
        return cast(torch.Tensor, self.dense(torch.cat(ends, dim=1)))

    def forward_intermediates(
        self, images: torch.Tensor, indices: list[int], intermediates_only: bool = True, **_: object
    ) -> list[torch.Tensor]:
        """Return the rectified maps (N, C, h, w) of some convolutions, counted branch by branch."""
        del intermediates_only
        found: list[torch.Tensor] = []
        for branch in self.branches:
            found += cast(ConvolutionStack, branch).after_each_convolution(images)[0]
        return [found[k] for k in indices]


def weight_count(name: str, size: Size | None = None) -> int:
    """Count the parameters of a surface network without its head; nothing of it is held in memory."""
    return sum(parameter.numel() for parameter in _shape_of(name, size).parameters())


def build_surface_network(name: str, size: Size | None = None, seed: int = 0) -> SurfaceNetwork:
    """Return a surface network with seeded first weights.

    Weights are uniform by Glorot and Bengio's rule and biases zero, as the framework that printed Table 6 begins.

    Parameters
    ----------
    name : str
        Of ``SURFACE_NETWORKS``.
    size : tuple of int, optional
        Height and width of the images; the published ones where absent.
    seed : int

    Raises
    ------
    InputError
        The images are too small.
    """
    network = _shape_of(name, size).to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(cast(torch.Tensor, layer.bias))
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
    return network


def surface_network_shapes(name: str) -> Callable[[], nn.Module]:
    """Return what builds a surface network of its published size on the current default device."""
    return lambda: SurfaceNetwork(SURFACE_NETWORKS[name], SURFACE_NETWORKS[name].size)


def _shape_of(name: str, size: Size | None) -> SurfaceNetwork:
    plan = SURFACE_NETWORKS[name]
    with torch.device("meta"):
        return SurfaceNetwork(plan, size or plan.size)
