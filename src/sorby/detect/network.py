"""The network, stage by stage: pixels to pyramid, pyramid to proposals, proposals to descriptions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign, box_iou, roi_align
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from sorby.backbone.architecture import Backbone, Normalise
from sorby.detect.losses import MOST_IGNORED, share_inside
from sorby.detect.pooling import level_of, pool_boxes
from sorby.detect.predictors import Predictor
from sorby.detect.recipe import DetectRecipe
from sorby.errors import InputError

Levels = OrderedDict[str, torch.Tensor]
_STRIDES = (4, 8, 16, 32)
_ROI_LEVELS = ("0", "1", "2", "3")
_BACKGROUND_BELOW = 0.3  # intersection over union
_TEXTURE_CELLS = 4
_SURROUNDINGS = 3.0  # times as wide and as high as the proposal


def pyramid_stages(backbone: Backbone) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return which of a backbone's intermediate maps have strides 4, 8, 16 and 32, and their channels.

    Raises
    ------
    InputError
        It has no such maps: a vision transformer, say.
    """
    facts = list(backbone.module.feature_info)  # type: ignore[arg-type]
    last = {int(fact["reduction"]): (k, int(fact["num_chs"])) for k, fact in enumerate(facts)}
    if any(stride not in last for stride in _STRIDES):
        raise InputError(
            f"{backbone.name} has no maps of strides 4 to 32 for a feature pyramid",
            "take a convolutional network, e.g. efficientnet_lite0 or resnet50",
        )
    chosen = [last[stride] for stride in _STRIDES]
    return tuple(k for k, _ in chosen), tuple(channels for _, channels in chosen)


class _ProposalNetwork(RegionProposalNetwork):  # type: ignore[misc]
    """Region proposals that are not blamed for what nobody labelled."""

    def assign_targets_to_anchors(
        self, anchors: list[torch.Tensor], targets: list[dict[str, torch.Tensor]]
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return labels (1, 0, or -1 for what does not count) and boxes; ignored regions are no background."""
        real = [{"boxes": each["boxes"][~each["ignored"]]} for each in targets]
        labels, boxes = super().assign_targets_to_anchors(anchors, real)
        for label, places, target in zip(labels, anchors, targets, strict=True):
            regions = target["boxes"][target["ignored"]]
            if len(regions):
                near = box_iou(places, regions).max(dim=1).values >= _BACKGROUND_BELOW
                label[(label == 0) & (near | (share_inside(places, regions) >= MOST_IGNORED))] = -1.0
        return labels, boxes


class Stages(nn.Module):
    """All stages before the predictor.

    Parameters
    ----------
    recipe : DetectRecipe
    backbone : Backbone
    """

    def __init__(self, recipe: DetectRecipe, backbone: Backbone) -> None:
        super().__init__()
        self.recipe = recipe
        self.normalise = Normalise(backbone.mean, backbone.std)
        self.body = backbone.module
        self.indices, self.map_channels = pyramid_stages(backbone)
        channels = recipe.pyramid.channels
        self.pyramid = FeaturePyramidNetwork(list(self.map_channels), channels, LastLevelMaxPool())
        generator = AnchorGenerator(
            tuple((size,) for size in recipe.anchors.sizes), (tuple(recipe.anchors.ratios),) * len(recipe.anchors.sizes)
        )
        section = recipe.proposals
        self.rpn = _ProposalNetwork(
            generator,
            RPNHead(channels, generator.num_anchors_per_location()[0]),
            fg_iou_thresh=0.7,
            bg_iou_thresh=_BACKGROUND_BELOW,
            batch_size_per_image=256,
            positive_fraction=0.5,
            pre_nms_top_n={"training": 2 * section.before, "testing": section.before},
            post_nms_top_n={"training": section.train, "testing": section.test},
            nms_thresh=section.overlap,
        )
        self.pool = MultiScaleRoIAlign(list(_ROI_LEVELS), output_size=recipe.box.pool, sampling_ratio=2)
        self.box_head = TwoMLPHead(channels * recipe.box.pool**2, recipe.box.width)

    @property
    def description_length(self) -> int:
        """Numbers that describe a proposal to the classifier."""
        views = {"head": 0, "texture": 1, "context": 2}[self.recipe.box.describe]
        return self.recipe.box.width + views * 2 * sum(self.map_channels)

    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the backbone's maps of uint8 images (N, H, W, C), strides 4 to 32."""
        found: list[torch.Tensor] = self.body.forward_intermediates(  # type: ignore[operator]
            self.normalise(images), indices=list(self.indices), intermediates_only=True
        )
        return found

    def levels(self, maps: Sequence[torch.Tensor]) -> Levels:
        """Return the pyramid: ``0`` to ``3`` and ``pool``."""
        found: Levels = self.pyramid(OrderedDict((str(k), each) for k, each in enumerate(maps)))
        return found

    def propose(
        self, levels: Levels, size: tuple[int, int], targets: list[dict[str, torch.Tensor]] | None = None
    ) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
        """Return each image's proposals in pixels of the input, and the losses of targets (``boxes``, ``ignored``)."""
        count = len(levels["0"])
        images = ImageList(levels["0"].new_zeros((count, 1, *size)), [size] * count)
        proposals, losses = self.rpn(images, levels, targets)
        return proposals, losses

    def describe(
        self, maps: Sequence[torch.Tensor], levels: Levels, boxes: list[torch.Tensor], size: tuple[int, int]
    ) -> torch.Tensor:
        """Return the description (sum of boxes, D) of each box: hidden layers first, textures behind them."""
        hidden: torch.Tensor = self.box_head(self._pooled(levels, boxes, size))
        textures = box_textures(maps, boxes, size, self.recipe.box.describe)
        return torch.cat([hidden.float(), *textures], dim=1) if textures else hidden

    def _pooled(self, levels: Levels, boxes: list[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:
        """Return what lies under the boxes, (sum of boxes, C, pool, pool)."""
        if not torch.onnx.is_in_onnx_export():
            cells = self.recipe.box.pool
            rows = pooled_cells(levels, boxes, cells)
            return rows.transpose(1, 2).reshape(len(rows), -1, cells, cells)
        # A graph takes the operator that inference engines know.
        chosen = OrderedDict((key, levels[key]) for key in _ROI_LEVELS)
        pooled: torch.Tensor = self.pool(chosen, boxes, [size] * len(boxes))
        return pooled


def pooled_cells(levels: Levels, boxes: list[torch.Tensor], cells: int) -> torch.Tensor:
    """Return what lies under the boxes of each image cell by cell, (sum of boxes, cells * cells, C)."""
    together = torch.cat(boxes)
    maps = [levels[key] for key in _ROI_LEVELS]
    return pool_boxes(maps, _STRIDES, together, _image_of(boxes), level_of(together, len(maps)), cells)


def box_textures(
    maps: Sequence[torch.Tensor], boxes: list[torch.Tensor], size: tuple[int, int], describe: str
) -> list[torch.Tensor]:
    """Return what a description holds besides the hidden layers: nothing, textures, those of the surroundings too."""
    if describe == "head":
        return []
    inside = texture(maps, boxes)
    return [inside] if describe == "texture" else [inside, texture(maps, [surroundings(each, size) for each in boxes])]


class DetectorNetwork(nn.Module):
    """Stages and predictor.

    Parameters
    ----------
    recipe : DetectRecipe
    backbone : Backbone
    n_classes : int
    """

    def __init__(self, recipe: DetectRecipe, backbone: Backbone, n_classes: int) -> None:
        super().__init__()
        self.stages = Stages(recipe, backbone)
        self.predictor = Predictor(self.stages.description_length, recipe.box.width, n_classes, recipe.box)


def texture(maps: Sequence[torch.Tensor], boxes: list[torch.Tensor]) -> torch.Tensor:
    """Return mean and standard deviation of every map's channels inside boxes, (sum of boxes, 2 * channels)."""
    parts = []
    for stride, each in zip(_STRIDES, maps, strict=True):
        cells = _cells_inside(each.float(), stride, boxes)
        mean = cells.mean(1)
        parts += [mean, ((cells - mean.unsqueeze(1)).square().mean(1) + 1e-6).sqrt()]
    return torch.cat(parts, dim=1)


def _cells_inside(values: torch.Tensor, stride: int, boxes: list[torch.Tensor]) -> torch.Tensor:
    """Return a map's values on a grid inside each box, (sum of boxes, cells, C)."""
    if torch.onnx.is_in_onnx_export():
        found: torch.Tensor = roi_align(values, boxes, _TEXTURE_CELLS, 1 / stride, sampling_ratio=2, aligned=True)
        return found.flatten(2).transpose(1, 2)
    together = torch.cat(boxes)
    level = torch.zeros(len(together), dtype=torch.int64, device=together.device)
    return pool_boxes([values], [stride], together, _image_of(boxes), level, _TEXTURE_CELLS, aligned=True)


def _image_of(boxes: list[torch.Tensor]) -> torch.Tensor:
    """Return which image each of the boxes lies on."""
    counts = torch.tensor([len(each) for each in boxes], device=boxes[0].device)
    return torch.repeat_interleave(torch.arange(len(boxes), device=boxes[0].device), counts)


def surroundings(boxes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return boxes widened about their centres, cut to an image of *size* (height, width)."""
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) * (_SURROUNDINGS / 2)
    limits = boxes.new_tensor([size[1], size[0]])
    low = (centre - half).clamp(min=0)
    return torch.cat([low, torch.minimum(centre + half, limits)], dim=1)
