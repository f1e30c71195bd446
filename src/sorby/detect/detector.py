"""A detector that is ready: images in, boxes out, whatever their size and whatever runs the network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torchvision.ops import batched_nms

from sorby.backbone import architecture, runtime
from sorby.backbone.architecture import Backbone
from sorby.detect.decoding import LEAST_SIDE, decode
from sorby.detect.described import DescribedImage, Lessons, StageRunner, TorchRunner, describe_images
from sorby.detect.network import DetectorNetwork, Stages
from sorby.detect.openvino_stages import OpenVINORunner
from sorby.detect.pictures import Fitted, fit, viewed_boxes, viewed_pixels
from sorby.detect.predictors import Predictor
from sorby.detect.recipe import DetectRecipe
from sorby.detect.tiles import TileBoxes, merged, tile_boxes
from sorby.evidence.boxes import FoundBoxes, clipped, no_boxes
from sorby.micrograph import to_uint8

Image = npt.NDArray[np.generic]
_AT_ONCE = 64  # tiles whose pixels are held together
_VALUES_AT_ONCE = 50_000_000  # of the images they come from, which whoever gave them may hold until their findings come


@dataclass(frozen=True, eq=False)
class Detector:
    """Stages, a predictor and what its classes are called.

    Attributes
    ----------
    recipe : DetectRecipe
    classes : tuple of str
    backbone : Backbone
        Where the network came from.
    stages : Stages
    predictor : Predictor
    threshold : float
        Score from which a finding is shown; see `sorby.workflow.detection`.
    shots : Lessons or None
        Examples of its classes, described: with them a later few-shot teaching does not forget these classes.
    facts : dict
        What it was taught from, for the bundle.
    """

    recipe: DetectRecipe
    classes: tuple[str, ...]
    backbone: Backbone
    stages: Stages
    predictor: Predictor
    threshold: float = 0.5
    shots: Lessons | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    _runners: dict[tuple[str, str], StageRunner] = field(default_factory=dict, repr=False)

    def with_predictor(
        self, recipe: DetectRecipe, classes: Sequence[str], predictor: Predictor, **changes: Any
    ) -> Detector:
        """Return a detector with the same stages and another predictor; runners that are ready stay so."""
        return replace(self, recipe=recipe, classes=tuple(classes), predictor=predictor, **changes)

    def runner(self, device: runtime.Device = "auto", precision: runtime.Precision = "auto") -> StageRunner:
        """Return what runs the stages: OpenVINO on the CPU, torch on CUDA; made once."""
        target = runtime.resolve_device(device)
        key = (target, precision)
        if key not in self._runners:
            if target == "cuda":
                self._runners[key] = TorchRunner(self.stages, "cuda")
            else:
                self._runners[key] = OpenVINORunner(self.stages, precision)
        return self._runners[key]

    def detect(
        self,
        images: Iterable[Image],
        *,
        device: runtime.Device = "auto",
        precision: runtime.Precision = "auto",
        score: float | None = None,
    ) -> Iterator[FoundBoxes]:
        """Yield what is on each image.

        Parameters
        ----------
        images : iterable of ndarray, (H, W) or (H, W, 3)
            uint8, uint16 or float32.
        device : {"auto", "cpu", "cuda"}
        precision : {"auto", "fp32", "bf16"}
            On the CPU.
        score : float, optional
            Least score; the detector's threshold by default.

        Yields
        ------
        FoundBoxes
            In pixels of the image, strongest first.
        """
        least = self.threshold if score is None else score
        for group in _grouped(images, self.recipe):
            fitted = list(chain.from_iterable(pieces for pieces, _, _ in group))
            found = iter(self.found_on(fitted, device, precision))
            for pieces, tiles, size in group:
                yield self.joined([next(found) for _ in pieces], tiles, size).above(least)

    def joined(self, parts: Sequence[FoundBoxes], tiles: TileBoxes, size: tuple[int, int]) -> FoundBoxes:
        """Return what is on an image of *size* (height, width) from what was found on its pieces, strongest first."""
        output = self.recipe.output
        whole = merged(parts, tiles, size, output.overlap, across_classes=output.across_classes)
        return whole.of(np.argsort(-whole.scores, kind="stable")[: self.recipe.output.most])

    def found_on(
        self, fitted: Sequence[Fitted], device: runtime.Device = "auto", precision: runtime.Precision = "auto"
    ) -> list[FoundBoxes]:
        """Return what is on each of some pieces, in pixels of the piece as it was before it was fitted."""
        views = range(self.recipe.output.views)
        pictures = (viewed_pixels(piece.pixels, view) for piece in fitted for view in views)
        described = describe_images(self.runner(device, precision), pictures)
        return [self.found_in_views([next(described) for _ in views], piece) for piece in fitted]

    def found_in_views(self, described: Sequence[DescribedImage], fitted: Fitted) -> FoundBoxes:
        """Return what is on a piece of which the first mirrors are described, itself first, as `found` does."""
        if len(described) == 1:
            return self.found(described[0], fitted)
        size = described[0].size
        seen = [view for view, each in enumerate(described) if len(each.proposals)]
        if not seen:
            return FoundBoxes(no_boxes())
        parts = [predicted(self.predictor, described[view], size, self.recipe) for view in seen]
        boxes = np.concatenate([viewed_boxes(part[0], view, size) for view, part in zip(seen, parts, strict=True)])
        labels, scores = (np.concatenate([part[k] for part in parts]) for k in (1, 2))
        # A mirrored view has the filling on the other side, so that only here boxes can be cut to the image.
        boxes = clipped(boxes, *fitted.size)
        large = (boxes[:, 2:] - boxes[:, :2] >= LEAST_SIDE).all(axis=1)
        boxes, labels, scores = boxes[large], labels[large], scores[large]
        section = self.recipe.output
        classes = np.zeros_like(labels) if section.across_classes else labels
        kept = batched_nms(
            torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(classes), section.overlap
        )[: section.most].numpy()
        return FoundBoxes(fitted.to_image(boxes[kept]), labels[kept], scores[kept])

    def found(self, described: DescribedImage, fitted: Fitted) -> FoundBoxes:
        """Return what the predictor finds on one piece, in pixels of the piece as it was before it was fitted."""
        if not len(described.proposals):
            return FoundBoxes(no_boxes())
        boxes, labels, scores = predicted(self.predictor, described, fitted.size, self.recipe)
        return FoundBoxes(fitted.to_image(boxes), labels, scores)


@torch.inference_mode()
def predicted(
    predictor: Predictor, described: DescribedImage, size: tuple[int, int], recipe: DetectRecipe
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Return boxes (n, 4) in pixels of the input, labels and scores."""
    logits, offsets = predictor(described.described.float())
    boxes, labels, scores = decode(predictor, logits, offsets, described.proposals, size, recipe.output)
    return boxes.numpy(), labels.numpy().astype(np.intp), scores.numpy()


def build(recipe: DetectRecipe, classes: Sequence[str], *, seed: int | None = None) -> Detector:
    """Return a detector with a pretrained backbone and everything else random.

    Raises
    ------
    InputError
        The backbone has no maps for a pyramid.
    MissingPartError
        Its weights are not at hand.
    """
    backbone = architecture.load(recipe.backbone.name, pretrained=recipe.backbone.weights == "pretrained")
    seed = recipe.seed if seed is None else seed
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DetectorNetwork(recipe, backbone, len(classes)).eval()
    return Detector(recipe, tuple(classes), backbone, network.stages, network.predictor)


def pieces_of(image: Image, recipe: DetectRecipe) -> tuple[list[Fitted], TileBoxes]:
    """Return an image, or its tiles, at the network's size, and where they lie."""
    image = to_uint8(image)  # as a whole: tiles of a deep image keep one contrast
    tiles = tile_boxes(image.shape[0], image.shape[1], recipe.image)
    return [fit(image[top:bottom, left:right], recipe.image) for left, top, right, bottom in tiles.tolist()], tiles


_Pieces = tuple[list[Fitted], TileBoxes, tuple[int, int]]


def _grouped(images: Iterable[Image], recipe: DetectRecipe) -> Iterator[list[_Pieces]]:
    """Collect images until there are tiles enough to keep the processor busy, never more than one image beyond."""
    group: list[_Pieces] = []
    held = values = 0
    for image in images:
        pieces, tiles = pieces_of(image, recipe)
        group.append((pieces, tiles, (image.shape[0], image.shape[1])))
        held, values = held + len(pieces), values + image.size
        if held >= _AT_ONCE or values >= _VALUES_AT_ONCE:
            yield group
            group, held, values = [], 0, 0
    if group:
        yield group
