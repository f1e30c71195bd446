"""Backbones by name, timm's and the published ones for surfaces; the graph from pixels to pooled stage features."""

from __future__ import annotations

import io
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from sorby.backbone.half_storage import halved, too_large
from sorby.backbone.memory import require_memory
from sorby.backbone.surface_networks import SURFACE_NETWORKS, build_surface_network, weight_count
from sorby.backbone.weights import PACKAGED, WeightSource, check_name, fill
from sorby.errors import InputError

Pooling = Literal["mean+std", "mean", "cls", "cls+mean"]


@dataclass(frozen=True, eq=False)
class Backbone:
    """A feature network and where its weights came from.

    Attributes
    ----------
    name : str
        timm name.
    module : torch.nn.Module
        timm model without classifier.
    mean, std : tuple of float
        Channel normalisation on pixels scaled to 0..1.
    source : WeightSource
        Origin of the weights.
    """

    name: str
    module: nn.Module
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    source: WeightSource

    @property
    def key(self) -> str:
        """Identity of architecture and weights, for caches."""
        return f"{self.name}:{self.source.sha256 or self.source.detail}"


def load(
    name: str,
    *,
    pretrained: bool = True,
    seed: int = 0,
    size: tuple[int, int] | None = None,
    **options: object,
) -> Backbone:
    """Return a backbone by its timm name.

    Parameters
    ----------
    name : str
        E.g. ``efficientnet_lite0`` (its weights come with sorby), any other timm name, or one of
        `sorby.backbone.surface_networks`.
    pretrained : bool
        Fill it with pretrained weights; where none can be found that is an error. False gives random weights
        from *seed*, recorded as such.
    size : tuple of int, optional
        Height and width of the images to come. Networks with position embeddings (ViT, Swin) are resampled to
        it after their weights are loaded; surface networks are built for it; the others take any size.
    **options
        Passed to ``timm.create_model`` (``drop_path_rate`` ...).

    Raises
    ------
    InputError
        Nobody knows the name, the network cannot take the size or an option, or it does not fit into memory.
    MissingPartError
        No pretrained weights were found.
    """
    check_name(name)
    if name in SURFACE_NETWORKS:
        return _surface(name, pretrained, seed, size, options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = timm.create_model(name, pretrained=False, num_classes=0, **options)
    configuration = timm.models.get_pretrained_cfg(name)
    mean = tuple(configuration.mean) if configuration else (0.485, 0.456, 0.406)
    std = tuple(configuration.std) if configuration else (0.229, 0.224, 0.225)
    source = fill(module, name) if pretrained else WeightSource("random", f"seed {seed}")
    if source.kind == "package":
        mean, std = PACKAGED[name].mean, PACKAGED[name].std
    if size is not None:
        _take_size(module, name, size)
    return Backbone(name, module.eval(), mean, std, source)


def _surface(
    name: str, pretrained: bool, seed: int, size: tuple[int, int] | None, options: dict[str, object]
) -> Backbone:
    """Return a surface network; its pixels are only divided by 255, as published."""
    if options:
        raise InputError(f"{name} knows no {next(iter(options))}", "leave it out; see finetune.drop_path")
    require_memory(name, weight_count(name, size), 1, "the weights alone")
    module = build_surface_network(name, size, seed)
    source = fill(module, name) if pretrained else WeightSource("random", f"seed {seed}")
    return Backbone(name, module.eval(), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), source)


def drops_patches(name: str) -> bool:
    """Whether a network can leave patches out in training: timm's plain vision transformers do."""
    check_name(name)
    if name in SURFACE_NETWORKS:
        return False
    with torch.device("meta"):  # shapes alone
        return isinstance(timm.create_model(name, pretrained=False, num_classes=0), VisionTransformer)


def _take_size(module: nn.Module, name: str, size: tuple[int, int]) -> None:
    """Resample the position embeddings of a network that has them to images of *size*."""
    if not module.default_cfg.get("fixed_input_size") or not hasattr(module, "set_input_size"):  # type: ignore[union-attr, operator]
        return
    step = getattr(getattr(module, "patch_embed", None), "patch_size", (1, 1))
    if any(side % part for side, part in zip(size, step, strict=True)):
        raise InputError(
            f"{name} cannot take images of {size[0]} x {size[1]} px",
            f"image.height and image.width must be multiples of {step[0]}",
        )
    try:
        module.set_input_size(img_size=size)  # type: ignore[operator]
    except (AssertionError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{name} cannot take images of {size[0]} x {size[1]} px ({error})", "use its own size"
        ) from error


class Normalise(nn.Module):
    """uint8 images (N, H, W, 1 or 3) to normalised float (N, 3, H, W)."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("scale", 1 / (255 * torch.tensor(std).view(1, 3, 1, 1)), persistent=False)
        self.register_buffer("shift", -(torch.tensor(mean) / torch.tensor(std)).view(1, 3, 1, 1), persistent=False)
        self.only_scales = not any(mean)
        self.scale: torch.Tensor
        self.shift: torch.Tensor

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalise; a grey channel is repeated."""
        pixels = images.permute(0, 3, 1, 2).to(self.scale.dtype)
        if self.only_scales and images.shape[3] == 1:
            # OpenVINO folds a bare factor into the first convolution and forgets that it also repeats the channel.
            pixels = torch.cat([pixels, pixels, pixels], dim=1)
        return pixels.expand(-1, 3, -1, -1) * self.scale + self.shift


def stage_indices(module: nn.Module, count: int = 4) -> tuple[int, ...]:
    """Return which intermediate outputs of a timm model stand for its *count* stages.

    The last *count* stages of a convolutional network; for a transformer *count* blocks, evenly spaced to the end.
    """
    total = len(module.feature_info)  # type: ignore[arg-type]
    if total <= count + 2:
        return tuple(range(max(0, total - count), total))
    return tuple(round((k + 1) * total / count) - 1 for k in range(count))


class StageFeatures(nn.Module):
    """uint8 images (N, H, W, 1 or 3) to features (N, D): mean and standard deviation of each stage's channels.

    Second-order statistics carry texture, which is what tells most microstructures apart.

    Parameters
    ----------
    backbone : Backbone
    stages : tuple of int, optional
        Indices as for timm's ``forward_intermediates``: stages of a convolutional network, blocks of a transformer.
        The last four stages by default, or four blocks evenly spaced to the end.
    pooling : {"mean+std", "mean", "cls", "cls+mean"}
        What is taken of each stage: channel means and standard deviations, means alone, the class token, or both
        class token and means of the patch tokens. The last two pass the network's final norm, as in Oquab et al.
        (2023), and need a network with a class token.
    views : {1, 4, 8}
        Average the features over the image alone, its flips (4), or its flips and quarter turns (8, square
        images only). The features of an image and of its mirror image are then the same.
    """

    def __init__(
        self,
        backbone: Backbone,
        stages: tuple[int, ...] | None = None,
        views: int = 1,
        pooling: Pooling = "mean+std",
    ) -> None:
        super().__init__()
        self.normalise = Normalise(backbone.mean, backbone.std)
        self.module = backbone.module
        self.stages = stages or stage_indices(backbone.module)
        self.views, self.pooling = views, pooling
        _check_places(backbone, self.stages, pooling)

    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the stages' feature maps, each (N, C, h, w)."""
        found: list[torch.Tensor] = self.module.forward_intermediates(  # type: ignore[operator]
            self.normalise(images), indices=list(self.stages), intermediates_only=True
        )
        return found

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        """Pool every stage of the images as they stand and concatenate, stage by stage."""
        if self.pooling == "mean+std":
            return torch.cat([statistics(each) for each in self.maps(images)], dim=1)
        if self.pooling == "mean":
            return torch.cat([each.mean((2, 3)) for each in self.maps(images)], dim=1)
        found = self.module.forward_intermediates(  # type: ignore[operator]
            self.normalise(images),
            indices=list(self.stages),
            return_prefix_tokens=True,
            norm=True,
            intermediates_only=True,
        )
        parts = []
        for patches, prefix in found:
            parts += [prefix[:, 0], patches.mean((2, 3))] if self.pooling == "cls+mean" else [prefix[:, 0]]
        return torch.cat(parts, dim=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Pool every stage, averaged over the views."""
        each = [self.pooled(view) for view in _views(images, self.views)]
        return each[0] if len(each) == 1 else torch.stack(each).mean(0)


def _check_places(backbone: Backbone, stages: tuple[int, ...], pooling: Pooling) -> None:
    """Refuse stages and tokens that the network does not have."""
    count = len(backbone.module.feature_info)  # type: ignore[arg-type]
    if list(stages) != sorted(set(stages)) or stages[0] < 0 or stages[-1] >= count:
        raise InputError(
            f"{backbone.name} has stages 0 to {count - 1}, not {list(stages)}", "backbone.stages: a rising list"
        )
    if pooling.startswith("cls") and not getattr(backbone.module, "has_class_token", False):
        raise InputError(
            f"{backbone.name} has no class token for backbone.pooling={pooling}", "mean or mean+std fit every network"
        )


def _views(images: torch.Tensor, count: int) -> list[torch.Tensor]:
    """Return the flips, and for 8 the flips of the transposed images, of a batch (N, H, W, C)."""
    if count == 1:
        return [images]
    bases = [images] if count == 4 else [images, images.transpose(1, 2)]
    return [torch.flip(base, axes) if axes else base for base in bases for axes in ([], [1], [2], [1, 2])]


def statistics(maps: torch.Tensor) -> torch.Tensor:
    """Return channel means and standard deviations (N, 2C) of maps (N, C, h, w)."""
    flat = maps.flatten(2)
    mean = flat.mean(2)
    variance = (flat - mean.unsqueeze(2)).square().mean(2)
    return torch.cat([mean, (variance + 1e-12).sqrt()], dim=1)


def to_onnx(graph: nn.Module, height: int, width: int, channels: int, outputs: tuple[str, ...]) -> bytes:
    """Write a graph on uint8 images (N, *height*, *width*, *channels*) as ONNX, N free.

    The TorchScript exporter is used because it takes half a second where the newer one takes eight for the same
    graph; a test holds the result against torch. Weights that one file cannot hold are stored as `halved` says.
    """
    buffer = io.BytesIO()
    example = torch.zeros(2, height, width, channels, dtype=torch.uint8)
    device = next((parameter.device for parameter in graph.parameters()), torch.device("cpu"))
    large = too_large(graph)
    with warnings.catch_warnings(), halved(graph) if large else nullcontext():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.eval().to("cpu"),
            (example,),
            buffer,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=17,
            do_constant_folding=not large,  # which would unfold the halves
            input_names=["images"],
            output_names=list(outputs),
            dynamic_axes={name: {0: "n"} for name in ("images", *outputs)},
        )
    graph.to(device)
    return buffer.getvalue()
