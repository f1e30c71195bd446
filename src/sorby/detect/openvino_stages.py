"""The stages through OpenVINO: dense maps in one graph, the hidden layers in another, boxes between them in float32.

Coordinates never pass through a bfloat16 graph, which would round them to whole pixels and more.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import openvino
import torch
from torch import nn
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import concat_box_prediction_layers

from sorby.backbone.runtime import Precision, resolve_precision
from sorby.detect.described import Looked
from sorby.detect.network import Levels, Stages, box_textures, pooled_rows
from sorby.detect.pictures import Uint8Image

_KEYS = ("0", "1", "2", "3", "pool")
_MOST_SHAPES = 8  # of batches and images for which graphs are kept; images of several sizes take turns


class _Dense(nn.Module):
    """Pixels to backbone maps, pyramid, objectness and offsets."""

    def __init__(self, stages: Stages, maps: bool) -> None:
        super().__init__()
        self.stages, self.with_maps = stages, maps

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        maps = self.stages.maps(images)
        levels = self.stages.levels(maps)
        objectness, offsets = self.stages.rpn.head(list(levels.values()))
        kept = [
            each.permute(0, 2, 3, 1)
            for each in [*(levels[key] for key in _KEYS[:-1]), *(maps if self.with_maps else [])]
        ]
        return (*objectness, *offsets, *kept)


class _Maps(nn.Module):
    """Pixels to the backbone's maps, channels last as OpenVINO hands them over fastest."""

    def __init__(self, stages: Stages) -> None:
        super().__init__()
        self.stages = stages

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(each.permute(0, 2, 3, 1) for each in self.stages.maps(images))


class FrozenMaps:
    """A frozen backbone on the CPU while the rest is taught: several times as fast as in torch.

    Parameters
    ----------
    stages : Stages
        Whose backbone does not change any more.
    precision : {"auto", "fp32", "bf16"}
    """

    def __init__(self, stages: Stages, precision: Precision = "auto") -> None:
        self._stages, self._precision = stages, resolve_precision(precision)
        self._core = openvino.Core()
        self._requests: dict[tuple[int, ...], openvino.InferRequest] = {}

    def __call__(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps, each (N, C, h, w), of uint8 images (N, H, W, C)."""
        shape = tuple(images.shape)
        if shape not in self._requests:
            if len(self._requests) >= _MOST_SHAPES:
                self._requests.pop(next(iter(self._requests)))
            example = torch.zeros(shape, dtype=torch.uint8)
            graph = _Maps(self._stages)
            self._requests[shape] = compiled(self._core, graph, example, "images", shape, self._precision)
        request = self._requests[shape]
        request.infer({0: images.numpy()})
        return [
            torch.from_numpy(np.array(each.data, np.float32)).permute(0, 3, 1, 2) for each in request.output_tensors
        ]


class OpenVINORunner:
    """Stages compiled for the CPU; a graph for each size of batch and image, made when it is first seen.

    Parameters
    ----------
    stages : Stages
    precision : {"auto", "fp32", "bf16"}
    """

    def __init__(self, stages: Stages, precision: Precision = "auto") -> None:
        self._stages, self.precision = stages.eval(), resolve_precision(precision)
        self._core = openvino.Core()
        self._with_maps = stages.recipe.box.describe != "head"
        self._dense: dict[tuple[int, ...], openvino.InferRequest] = {}
        self._hidden: openvino.InferRequest | None = None

    def look(self, images: Uint8Image) -> Looked:
        """Run everything up to the proposals on a batch (N, H, W, C)."""
        request = self._dense_for(images.shape)
        request.infer({0: np.ascontiguousarray(images)})
        out = [torch.from_numpy(np.array(each.data, np.float32)) for each in request.output_tensors]
        objectness, offsets, kept = out[:5], out[5:10], out[10:]
        channels_last = [each.permute(0, 3, 1, 2) for each in kept]
        levels = Levels(zip(_KEYS[:-1], channels_last[:4], strict=True))
        size = (images.shape[1], images.shape[2])
        proposals = self._proposals(objectness, offsets, levels, size, len(images))
        return Looked(channels_last[4:], levels, proposals, size)

    @torch.inference_mode()
    def _proposals(
        self,
        objectness: list[torch.Tensor],
        offsets: list[torch.Tensor],
        levels: Levels,
        size: tuple[int, int],
        count: int,
    ) -> list[torch.Tensor]:
        """Decode and choose as the proposal network does in torch."""
        rpn = self._stages.rpn
        # Only the shapes of the maps count for the anchors.
        shapes = [each.new_empty((count, 1, *each.shape[-2:])) for each in objectness]
        anchors = rpn.anchor_generator(ImageList(torch.empty(count, 1, *size), [size] * count), shapes)
        each_level = [each[0].numel() for each in objectness]
        flat_objectness, flat_offsets = concat_box_prediction_layers(objectness, offsets)
        proposals = rpn.box_coder.decode(flat_offsets, anchors).view(count, -1, 4)
        chosen, _ = rpn.filter_proposals(proposals, flat_objectness, [size] * count, each_level)
        return list(chosen)

    @torch.inference_mode()
    def describe(self, looked: Looked, boxes: list[torch.Tensor]) -> torch.Tensor:
        """Return the descriptions of boxes of each image, (sum of boxes, D) float32."""
        section = self._stages.recipe.box
        rows = pooled_rows(looked.levels, boxes, section.pool)
        hidden = torch.from_numpy(self._hidden_layers(rows.numpy()))
        return torch.cat([hidden, *box_textures(looked.maps, boxes, looked.size, section.describe)], dim=1)

    def _hidden_layers(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if not len(rows):
            return np.zeros((0, self._stages.recipe.box.width), np.float32)
        if self._hidden is None:
            example = torch.zeros(2, *rows.shape[1:])
            self._hidden = compiled(self._core, self._stages.box_head, example, "rows", None, self.precision)
        self._hidden.infer({0: np.ascontiguousarray(rows)})
        return np.array(self._hidden.output_tensors[0].data, np.float32)

    def _dense_for(self, shape: tuple[int, ...]) -> openvino.InferRequest:
        if shape not in self._dense:
            if len(self._dense) >= _MOST_SHAPES:
                self._dense.pop(next(iter(self._dense)))
            example = torch.zeros(shape, dtype=torch.uint8)
            graph = _Dense(self._stages, self._with_maps)
            self._dense[shape] = compiled(self._core, graph, example, "images", shape, self.precision)
        return self._dense[shape]


def compiled(
    core: openvino.Core, graph: nn.Module, example: torch.Tensor, name: str, shape: Sequence[int] | None, precision: str
) -> openvino.InferRequest:
    """Compile a module for the CPU; for the shape of *example*, or for any number of rows where *shape* is None."""
    buffer = io.BytesIO()
    modes = [(part, part.training) for part in graph.modules()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.eval(), (example,), buffer,  # type: ignore[arg-type]
            dynamo=False, opset_version=17, input_names=[name],
            dynamic_axes=None if shape is not None else {name: {0: "n"}},
        )  # fmt: skip
    for part, training in modes:
        part.training = training
    model = core.read_model(buffer.getvalue())
    hints = {"INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32", "PERFORMANCE_HINT": "LATENCY"}
    return core.compile_model(model, "CPU", hints).create_infer_request()
