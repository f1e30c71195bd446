"""The stages through OpenVINO: dense maps in one graph, the hidden layers in another, boxes between them in float32.

Coordinates never pass through a bfloat16 graph, which would round them to whole pixels and more.
"""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import openvino
import torch
from torch import nn
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import clip_boxes_to_image, nms, remove_small_boxes

from sorby.backbone.runtime import Precision, resolve_precision
from sorby.detect.described import Looked
from sorby.detect.network import Levels, Stages, box_textures, pooled_cells
from sorby.detect.pictures import Uint8Image

_KEYS = ("0", "1", "2", "3", "pool")
_MOST_SHAPES = 8  # of batches and images for which graphs are kept; images of several sizes take turns
_LANES = 2  # while one batch is between its graphs, which a core does alone, the other core runs a graph
_EXPORTING = threading.Lock()  # torch exports one graph at a time in a process


class _Dense(nn.Module):
    """Pixels to objectness, offsets, pyramid and the backbone's maps, channels last."""

    def __init__(self, stages: Stages, maps: bool) -> None:
        super().__init__()
        self.stages, self.with_maps = stages, maps

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        maps = self.stages.maps(images)
        levels = self.stages.levels(maps)
        objectness, offsets = self.stages.rpn.head(list(levels.values()))
        kept = [*objectness, *offsets, *(levels[key] for key in _KEYS[:-1]), *(maps if self.with_maps else [])]
        return tuple(each.permute(0, 2, 3, 1) for each in kept)


class _Maps(nn.Module):
    """Pixels to the backbone's maps, channels last as OpenVINO hands them over fastest."""

    def __init__(self, stages: Stages) -> None:
        super().__init__()
        self.stages = stages

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(each.permute(0, 2, 3, 1) for each in self.stages.maps(images))


class _Hidden(nn.Module):
    """The hidden layers, on pooled values cell by cell as `pool_boxes` gives them: no value has to change its place."""

    def __init__(self, stages: Stages) -> None:
        super().__init__()
        head, cells = stages.box_head, stages.recipe.box.pool**2
        weight = head.fc6.weight.detach()
        by_cell = weight.reshape(len(weight), -1, cells).transpose(1, 2).reshape(len(weight), -1)
        self.first = nn.Linear(by_cell.shape[1], len(weight))
        self.first.load_state_dict({"weight": by_cell, "bias": head.fc6.bias.detach()})
        self.second = head.fc7

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.relu(self.second(torch.relu(self.first(rows))))
        return found


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
    threads : int
        Of a graph; 0 for all cores.
    """

    def __init__(self, stages: Stages, precision: Precision = "auto", threads: int = 0) -> None:
        self.precision: Literal["fp32", "bf16"] = resolve_precision(precision)
        self._stages, self._threads = stages.eval(), threads
        self._core = openvino.Core()
        self._with_maps = stages.recipe.box.describe != "head"
        self._dense: dict[tuple[int, ...], openvino.InferRequest] = {}
        self._hidden: openvino.InferRequest | None = None
        self._anchors: dict[tuple[int, int], list[torch.Tensor]] = {}

    @cached_property
    def lanes(self) -> Sequence[OpenVINORunner]:
        """Runners that share the cores, each with graphs of its own."""
        cores = os.cpu_count() or 1
        if self._threads or cores < _LANES:
            return ()
        return tuple(OpenVINORunner(self._stages, self.precision, cores // _LANES) for _ in range(_LANES))

    def look(self, images: Uint8Image) -> Looked:
        """Run everything up to the proposals on a batch (N, H, W, C)."""
        request = self._dense_for(images.shape)
        request.infer({0: np.ascontiguousarray(images)})
        out = [torch.from_numpy(np.array(each.data, np.float32)) for each in request.output_tensors]
        size = (images.shape[1], images.shape[2])
        proposals = self._proposals(out[:5], out[5:10], size)
        maps = [each.permute(0, 3, 1, 2) for each in out[10:]]
        return Looked(maps[4:], Levels(zip(_KEYS[:-1], maps[:4], strict=True)), proposals, size)

    @torch.inference_mode()
    def _proposals(
        self, objectness: list[torch.Tensor], offsets: list[torch.Tensor], size: tuple[int, int]
    ) -> list[torch.Tensor]:
        """Choose as the proposal network does in torch, but decode only what may be chosen.

        Parameters
        ----------
        objectness, offsets : list of Tensor
            Of each level, (N, h, w, anchors) and (N, h, w, 4 * anchors).
        size : (int, int)
        """
        rpn, section = self._stages.rpn, self._stages.recipe.proposals
        boxes, scores = [], []
        for places, moves, anchors in zip(objectness, offsets, self._anchors_of(objectness, size), strict=True):
            count = len(places)
            best, which = places.reshape(count, -1).topk(min(section.before, places[0].numel()), dim=1)
            chosen = moves.reshape(count, -1, 4).gather(1, which[..., None].expand(-1, -1, 4))
            decoded = rpn.box_coder.decode_single(chosen.reshape(-1, 4), anchors[which.reshape(-1)])
            boxes.append(clip_boxes_to_image(decoded, size).reshape(count, -1, 4))
            scores.append(best)
        return [
            self._strongest([each[k] for each in boxes], [each[k] for each in scores]) for k in range(len(boxes[0]))
        ]

    def _strongest(self, boxes: list[torch.Tensor], scores: list[torch.Tensor]) -> torch.Tensor:
        """Suppress within each level of an image, which is less work than all at once, and keep the strongest."""
        section, kept, best = self._stages.recipe.proposals, [], []
        for places, score in zip(boxes, scores, strict=True):
            real = remove_small_boxes(places, self._stages.rpn.min_size)
            chosen = real[nms(places[real], score[real], section.overlap)]
            kept.append(places[chosen])
            best.append(score[chosen])
        together = torch.cat(best)
        order = torch.argsort(together, descending=True, stable=True)[: section.test]
        return torch.cat(kept)[order]

    def _anchors_of(self, objectness: list[torch.Tensor], size: tuple[int, int]) -> list[torch.Tensor]:
        """Return the anchors of each level, (h * w * anchors, 4), made once for a size."""
        if size not in self._anchors:
            if len(self._anchors) >= _MOST_SHAPES:
                self._anchors.pop(next(iter(self._anchors)))
            # Only the shapes of the maps count.
            shapes = [torch.empty(1, 1, *each.shape[1:3]) for each in objectness]
            together = self._stages.rpn.anchor_generator(ImageList(torch.empty(1, 1, *size), [size]), shapes)[0]
            self._anchors[size] = list(together.split([each[0].numel() for each in objectness]))
        return self._anchors[size]

    @torch.inference_mode()
    def describe(self, looked: Looked, boxes: list[torch.Tensor]) -> torch.Tensor:
        """Return the descriptions of boxes of each image, (sum of boxes, D) float32."""
        section = self._stages.recipe.box
        rows = pooled_cells(looked.levels, boxes, section.pool).flatten(1)
        hidden = torch.from_numpy(self._hidden_layers(rows.numpy()))
        return torch.cat([hidden, *box_textures(looked.maps, boxes, looked.size, section.describe)], dim=1)

    def _hidden_layers(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if not len(rows):
            return np.zeros((0, self._stages.recipe.box.width), np.float32)
        if self._hidden is None:
            graph, example = _Hidden(self._stages), torch.zeros(2, rows.shape[1])
            self._hidden = compiled(self._core, graph, example, "rows", None, self.precision, self._threads)
        self._hidden.infer({0: np.ascontiguousarray(rows)})
        return np.array(self._hidden.output_tensors[0].data, np.float32)

    def _dense_for(self, shape: tuple[int, ...]) -> openvino.InferRequest:
        if shape not in self._dense:
            if len(self._dense) >= _MOST_SHAPES:
                self._dense.pop(next(iter(self._dense)))
            example = torch.zeros(shape, dtype=torch.uint8)
            graph = _Dense(self._stages, self._with_maps)
            self._dense[shape] = compiled(self._core, graph, example, "images", shape, self.precision, self._threads)
        return self._dense[shape]


def compiled(
    core: openvino.Core, graph: nn.Module, example: torch.Tensor, name: str, shape: Sequence[int] | None,
    precision: str, threads: int = 0,
) -> openvino.InferRequest:  # fmt: skip
    """Compile a module for the CPU; for the shape of *example*, or for any number of rows where *shape* is None."""
    buffer = io.BytesIO()
    with _EXPORTING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        modes = [(part, part.training) for part in graph.modules()]
        torch.onnx.export(
            graph.eval(), (example,), buffer,  # type: ignore[arg-type]
            dynamo=False, opset_version=17, input_names=[name],
            dynamic_axes=None if shape is not None else {name: {0: "n"}},
        )  # fmt: skip
        for part, training in modes:
            part.training = training
    model = core.read_model(buffer.getvalue())
    hints: dict[str, str | int] = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    if threads:
        # Pinned, the graphs of two lanes would wait for the same core.
        hints |= {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
    return core.compile_model(model, "CPU", hints).create_infer_request()
