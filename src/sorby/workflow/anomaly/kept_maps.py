"""What the backbone says of each sub-image, computed once, so that many fits on parts of them take seconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sorby.anomaly.detector import Detector, turned
from sorby.anomaly.embedding import Levels
from sorby.backbone.architecture import to_onnx
from sorby.backbone.patch_maps import PatchMaps
from sorby.backbone.pipeline import stream
from sorby.backbone.preprocessing import Uint8Image
from sorby.backbone.runtime import Device, OpenVINORuntime, Runtime, TorchRuntime, resolve_device
from sorby.errors import InputError, SorbyError
from sorby.progress import bar

Rows = npt.NDArray[np.intp]
Half = npt.NDArray[np.float16]


class _Maps(nn.Module):
    """uint8 images to the backbone's maps, as a tuple."""

    def __init__(self, maps: PatchMaps) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps."""
        return tuple(self.maps(images))


def backbone_runtime(detector: Detector, device: Device = "auto") -> Runtime:
    """Return what turns images into the maps of the detector's backbone, before features are chosen."""
    graph, image = _Maps(detector.embedding.maps).eval(), detector.recipe.image
    if resolve_device(device) == "cuda":
        return TorchRuntime(graph, device="cuda")
    names = tuple(f"map_{k}" for k in range(len(detector.embedding.maps.channels)))
    onnx = to_onnx(graph, image.height, image.width, image.channels, names)
    return OpenVINORuntime(onnx, (image.height, image.width, image.channels))


@dataclass(frozen=True, eq=False)
class KeptMaps:
    """Backbone maps of some sub-images, in half precision.

    Attributes
    ----------
    rows : ndarray of int, (n,)
        Which sub-images, rising.
    turns : int
        Views of each: itself, then its flips and transposed flips.
    maps : list of ndarray of float16, each (n, turns, C, h, w)
    """

    rows: Rows
    turns: int
    maps: list[Half]

    def take(self, rows: Sequence[int] | Rows, turns: int = 1) -> Levels:
        """Return the maps of some sub-images, each with its first *turns* views, as float32 (m * turns, C, h, w)."""
        at = np.searchsorted(self.rows, rows)
        return [torch.from_numpy(each[at, :turns].astype(np.float32)).flatten(0, 1) for each in self.maps]


def keep(runtime: Runtime, pixels: Uint8Image, rows: Rows, turns: int = 1, label: str = "features") -> KeptMaps:
    """Run the backbone over some sub-images and keep its maps.

    Float16 holds what bfloat16 or ReLU6 features have to say; everything downstream uses the same rounded numbers, so
    that images can be added to sums and taken out again exactly.

    Parameters
    ----------
    runtime : Runtime
        From `backbone_runtime`.
    pixels : ndarray of uint8, (N, H, W, C)
    rows : ndarray of int, (n,)
        Which of them, rising.
    turns : int
        1, 4 (flips) or 8 (flips and quarter turns).
    label : str
        Of the progress bar.
    """
    found: list[list[Half]] = []
    for _, maps in each(runtime, pixels, rows, turns, label):
        found.append(maps)
    kept = [np.stack(level).reshape(len(rows), turns, *level[0].shape) for level in zip(*found, strict=True)]
    return KeptMaps(np.asarray(rows), turns, kept)


def each(
    runtime: Runtime, pixels: Uint8Image, rows: Rows, turns: int = 1, label: str = "features"
) -> Iterator[tuple[int, list[Half]]]:
    """Yield row and maps (C, h, w) of one view after the other, in constant memory."""
    items = [(int(row), turn) for row in rows for turn in range(turns)]
    with bar(label, len(items)) as advance:
        for (row, _), outcome in stream(items, lambda item: turned(pixels[item[0]], item[1]), runtime):
            if isinstance(outcome, SorbyError):
                raise outcome
            maps = [level.astype(np.float16) for level in outcome]
            if not all(np.isfinite(level).all() for level in maps):
                raise InputError("features of the backbone exceed half precision", "choose other stages or blocks")
            advance(1)
            yield row, maps
