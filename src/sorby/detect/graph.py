"""A detector as one graph for other programs: pixels in, boxes, classes and scores out, suppression inside."""

from __future__ import annotations

import io
import warnings

import torch
from torch import nn
from torchvision.ops import batched_nms, clip_boxes_to_image, nms

from sorby.bundle import OpenBundle
from sorby.detect.decoding import LEAST_SIDE
from sorby.detect.detector import Detector
from sorby.detect.detector_bundle import from_bundle
from sorby.detect.losses import CODER

OPSET = 17
OUTPUTS = ("boxes", "labels", "scores")


class DetectorGraph(nn.Module):
    """Everything between a fitted image and its findings.

    Parameters
    ----------
    detector : Detector
    size : (int, int)
        Height and width of the input, multiples of 32.
    """

    def __init__(self, detector: Detector, size: tuple[int, int]) -> None:
        super().__init__()
        self.stages, self.predictor = detector.stages, detector.predictor
        self.section, self.size = detector.recipe.output, size

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return boxes (k, 4) in pixels of the input, labels (k,) and scores (k,) of one image, strongest first.

        Parameters
        ----------
        images : Tensor of uint8, shape (1, H, W, C)
        """
        views = [self._candidates(images, view) for view in range(self.section.views)]
        boxes, labels, scores = (
            views[0] if len(views) == 1 else [torch.cat(parts) for parts in zip(*views, strict=True)]
        )
        if len(views) > 1:
            kept = self._kept(boxes, labels, scores)
            boxes, labels, scores = boxes[kept], labels[kept], scores[kept]
        shown = torch.where(scores >= self.section.score)[0][: self.section.most]
        return boxes[shown], labels[shown], scores[shown]

    def _candidates(self, images: torch.Tensor, view: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return what is found on a mirrored view, in pixels of the image itself, the weak as well."""
        axes = [axis for bit, axis in ((1, 2), (2, 1)) if view & bit]
        pixels = torch.flip(images, axes) if axes else images
        maps = self.stages.maps(pixels)
        levels = self.stages.levels(maps)
        proposals, _ = self.stages.propose(levels, self.size)
        described = self.stages.describe(maps, levels, proposals, self.size)
        logits, offsets = self.predictor(described)
        n = self.predictor.n_classes
        scores = torch.softmax(logits, dim=1)[:, :n].reshape(-1)
        moved = CODER.decode_single(offsets, proposals[0])
        boxes = clip_boxes_to_image(moved.reshape(-1, 1 if self.predictor.agnostic else n, 4), self.size)
        boxes = boxes.expand(-1, n, 4).reshape(-1, 4)
        labels = torch.arange(n).expand_as(logits[:, :n]).reshape(-1)
        # Nothing is dropped before suppression, which some engines refuse for an empty list; the weak suppress nothing.
        large = (boxes[:, 2:] - boxes[:, :2] >= LEAST_SIDE).all(dim=1)
        scores = torch.where(large, scores, torch.full_like(scores, -1.0))
        kept = self._kept(boxes, labels, scores)
        return self._mirrored(boxes[kept], view), labels[kept], scores[kept]

    def _kept(self, boxes: torch.Tensor, labels: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        limit = self.section.overlap
        alone = self.section.across_classes
        kept: torch.Tensor = nms(boxes, scores, limit) if alone else batched_nms(boxes, scores, labels, limit)
        return kept

    def _mirrored(self, boxes: torch.Tensor, view: int) -> torch.Tensor:
        """Return the boxes of a mirrored view on the image itself."""
        left, top, right, bottom = boxes.unbind(1)
        if view & 1:
            left, right = self.size[1] - right, self.size[1] - left
        if view & 2:
            top, bottom = self.size[0] - bottom, self.size[0] - top
        return torch.stack([left, top, right, bottom], dim=1)


def detector_onnx(detector: Detector, size: tuple[int, int] | None = None) -> bytes:
    """Return a detector as an ONNX graph of opset 17 in float32.

    Parameters
    ----------
    detector : Detector
    size : (int, int), optional
        Height and width of the input; the square of the recipe's shorter side by default. Images are to be fitted to
        it as `sorby.detect.pictures.fit` does: scaled with their aspect, filled up with grey 127 on the right and
        below.

    Returns
    -------
    bytes
        Input ``images`` uint8 (1, H, W, C); outputs ``boxes`` (k, 4), ``labels`` (k,), ``scores`` (k,).

    Raises
    ------
    ValueError
        The size is no multiple of 32.
    """
    side = -(-detector.recipe.image.short_side // 32) * 32
    height, width = size or (side, side)
    if height % 32 or width % 32 or min(height, width) < 32:
        raise ValueError(f"height and width must be multiples of 32, not {height} and {width}")
    graph = DetectorGraph(detector, (height, width)).eval()
    example = torch.randint(0, 256, (1, height, width, detector.recipe.image.channels), dtype=torch.uint8)
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph, (example,), buffer,  # type: ignore[arg-type]
            dynamo=False, opset_version=OPSET, input_names=["images"], output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "findings"} for name in OUTPUTS},
        )  # fmt: skip
    return buffer.getvalue()


def graph_of_bundle(bundle: OpenBundle) -> bytes:
    """Return the graph of a detector bundle, for `sorby.bundle.export`."""
    return detector_onnx(from_bundle(bundle))
