"""An anomaly detector: good images in, then distance maps and thresholds out; and its form as a bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sorby.anomaly.embedding import Embedding, Levels
from sorby.anomaly.memory import GaussianMemory, PatchMemory, new_memory
from sorby.anomaly.recipe import AnomalyRecipe
from sorby.anomaly.smoothing import at_pixels, smooth_grid, smooth_pixels
from sorby.anomaly.strip_scorer import StripScorer
from sorby.anomaly.thresholds import Threshold
from sorby.anomaly.views import View, ViewStack, each_view
from sorby.backbone.architecture import Backbone, to_onnx
from sorby.backbone.architecture import load as load_backbone
from sorby.backbone.patch_maps import PatchMaps
from sorby.backbone.pipeline import stream
from sorby.backbone.runtime import Device, OpenVINORuntime, Precision, Runtime, TorchRuntime, resolve_device
from sorby.backbone.silent_channels import with_silent_channels
from sorby.errors import InputError, Quarantined, SorbyError

Array = npt.NDArray[np.float32]
Progress = Callable[[int], None]
_AT_ONCE = 16  # views whose vectors are remembered together: a whole sheet's would not fit in memory


class MapGraph(nn.Module):
    """uint8 images (N, H, W, C) to distance maps (N, h, w) on the feature grid: backbone and distance, one graph.

    Smoothing stays outside: a graph in bfloat16 gives distances to about three digits, and maxima of smoothed maps
    would tie; averaged in float32 they do not.

    Parameters
    ----------
    embedding : Embedding
    density : nn.Module
        Levels to distances, see `sorby.anomaly.mahalanobis_maps` and `sorby.anomaly.memory_bank`.
    """

    def __init__(self, embedding: Embedding, density: nn.Module) -> None:
        super().__init__()
        self.embedding = embedding
        self.density = density

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the maps."""
        found: torch.Tensor = self.density(self.embedding(images))
        return found


class LevelGraph(nn.Module):
    """uint8 images to the levels of an embedding, as a tuple, for fitting."""

    def __init__(self, embedding: Embedding) -> None:
        super().__init__()
        self.embedding = embedding

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the levels."""
        return tuple(self.embedding(images))


@dataclass(frozen=True)
class ImageMaps:
    """What a detector says of one image.

    Attributes
    ----------
    path : Path
    maps : ndarray of float32, (V, h, w)
        Of its views, on the feature grid (smoothing ``grid``) or in the network's pixels (smoothing ``pixels``).
    stack : ViewStack
        The views themselves, with their boxes.
    """

    path: Path
    maps: Array
    stack: ViewStack

    @property
    def view_scores(self) -> npt.NDArray[np.float64]:
        """The largest value of each view's map, (V,)."""
        return np.asarray(self.maps.reshape(len(self.maps), -1).max(1), np.float64)

    @property
    def score(self) -> float:
        """The largest value anywhere: the score of the image (Yan et al. 2023)."""
        return float(self.view_scores.max())


class Detector:
    """Scores images by their distance from good ones.

    Parameters
    ----------
    recipe : AnomalyRecipe
    backbone : Backbone

    Attributes
    ----------
    memory : GaussianMemory or PatchMemory or None
        What is remembered; None before `fit`.
    threshold : Threshold or None
        None until it was calibrated.
    depths : set of str
        Types of the good images' pixels; deeper ones are stretched and look otherwise. Empty where not known.
    """

    def __init__(self, recipe: AnomalyRecipe, backbone: Backbone) -> None:
        self.recipe = recipe
        self.backbone = backbone
        maps = PatchMaps(backbone, recipe.backbone.stages, recipe.backbone.blocks)
        self.embedding = Embedding(maps, recipe.features, recipe.grid).eval()
        self.memory: GaussianMemory | PatchMemory | None = None
        self.threshold: Threshold | None = None
        self.depths: set[str] = set()
        self._runtime: Runtime | None = None
        self._levels: Runtime | None = None
        self._onnx: bytes | None = None

    @classmethod
    def blank(cls, recipe: AnomalyRecipe) -> Detector:
        """Return an unfitted detector, its backbone with the weights that the recipe asks for.

        Raises
        ------
        MissingPartError
            Pretrained weights are not at hand.
        """
        size = (recipe.image.height, recipe.image.width)
        pretrained = recipe.backbone.weights == "pretrained"
        return cls(recipe, load_backbone(recipe.backbone.name, pretrained=pretrained, seed=recipe.seed, size=size))

    @property
    def stride(self) -> int:
        """Pixels of the network's input between the cells of a map."""
        return self.embedding.strides[0]

    @property
    def grid_size(self) -> tuple[int, int]:
        """Cells of a map, down and across."""
        return self.recipe.image.height // self.stride, self.recipe.image.width // self.stride

    @property
    def sigma_cells(self) -> float:
        """Standard deviation of the smoothing on the grid, in cells."""
        return self.recipe.smoothing.sigma_px / self.stride

    @property
    def margin_cells(self) -> int:
        """Cells around a view's map that are not judged."""
        return self.recipe.views.margin_px // self.stride

    @property
    def judged_cells(self) -> tuple[int, int]:
        """Cells of a map that are judged, down and across."""
        margin = 2 * self.margin_cells
        return self.grid_size[0] - margin, self.grid_size[1] - margin

    def strip_scorer(self, width: int, *, rows: int = 640, precision: Precision = "auto") -> StripScorer:
        """Return the detector compiled for strips of a web, see `sorby.anomaly.strip_scorer.StripScorer`.

        Raises
        ------
        InputError
            The density knows places, so it cannot move along a web; or there is no threshold.
        """
        if self.recipe.density.kind == "position":
            raise InputError(
                "a detector of density.kind=position knows places and cannot judge a moving web",
                "fit it with --recipe web (density.kind=pooled)",
            )
        if self.recipe.smoothing.kind != "grid":
            raise InputError("strips are smoothed on the grid", "fit with smoothing.kind=grid")
        if self.threshold is None:
            raise InputError("the detector has no threshold", "fit it again")
        margin = max(self.recipe.views.margin_px, 32)
        return StripScorer(
            self.graph(), width, rows=rows, stride=self.stride, margin_px=-(-margin // 32) * 32,
            sigma_cells=self.sigma_cells, threshold=self.threshold.value, precision=self._precision(precision),
        )  # fmt: skip

    def judged(self, maps: Any) -> Any:
        """Return maps (..., h, w) without the margins."""
        m = self.margin_cells
        return maps[..., m:-m, m:-m] if m else maps

    def graph(self, density: nn.Module | None = None) -> MapGraph:
        """Return the graph from pixels to maps, with the fitted density or another one."""
        density = density or self.filled().density(self.embedding)
        return MapGraph(with_silent_channels(self.embedding), density).eval()

    def filled(self) -> GaussianMemory | PatchMemory:
        """Return the memory.

        Raises
        ------
        InputError
            The detector was not fitted.
        """
        if self.memory is None:
            raise InputError("the detector was not fitted", "fit it on good images first")
        return self.memory

    def onnx(self) -> bytes:
        """Return the graph as ONNX: ``images`` uint8 (n, H, W, C) to ``map`` (n, h, w)."""
        if self._onnx is None:
            image = self.recipe.image
            self._onnx = to_onnx(self.graph(), image.height, image.width, image.channels, ("map",))
        return self._onnx

    def runtime(self, device: Device = "auto", precision: Precision = "auto") -> Runtime:
        """Return what runs the graph: torch on CUDA, OpenVINO otherwise; made once."""
        if self._runtime is None:
            self._runtime = self._run_as(self.graph, self.onnx, device, self._precision(precision))
        return self._runtime

    def level_runtime(self, device: Device = "auto", precision: Precision = "auto") -> Runtime:
        """Return what turns images into levels, in the same precision as `runtime`."""
        if self._levels is None:
            image = self.recipe.image
            names = tuple(f"level_{k}" for k in range(len(self.embedding.strides)))
            graph = LevelGraph(with_silent_channels(self.embedding)).eval()

            def onnx() -> bytes:
                return to_onnx(graph, image.height, image.width, image.channels, names)

            self._levels = self._run_as(lambda: graph, onnx, device, precision)
        return self._levels

    def _precision(self, asked: Precision) -> Precision:
        """Nearest patches are differences of large squares, which bfloat16 cannot hold."""
        return "fp32" if self.recipe.density.kind == "nearest" and asked == "auto" else asked

    def _run_as(
        self, graph: Callable[[], nn.Module], onnx: Callable[[], bytes], device: Device, precision: Precision
    ) -> Runtime:
        if resolve_device(device) == "cuda":
            return TorchRuntime(graph(), device="cuda", precision=precision)
        image = self.recipe.image
        return OpenVINORuntime(onnx(), (image.height, image.width, image.channels), precision=precision)

    def take_graph(self, onnx: bytes) -> None:
        """Run this graph, which was exported from the same memory, instead of making it anew."""
        self._runtime, self._onnx = None, onnx

    def changed(self) -> None:
        """Forget the graphs made from the memory as it was."""
        self._runtime, self._onnx = None, None

    def fit(
        self, paths: Sequence[Path], *, device: Device = "auto", progress: Progress | None = None
    ) -> tuple[list[int], list[Quarantined]]:
        """Remember good images, in memory that does not grow with their number.

        Parameters
        ----------
        paths : sequence of Path
        device : {"auto", "cpu", "cuda"}
        progress : callable, optional
            Called with the number of images just finished.

        Returns
        -------
        kept : list of int
            Positions of the images that were remembered.
        quarantined : list of Quarantined

        Raises
        ------
        InputError
            Too few good images could be read.
        """
        self.memory = new_memory(self.recipe, self.grid_size)
        kept, quarantined = self.learn(paths, device=device, progress=progress)
        self.memory.finish()
        return kept, quarantined

    def learn(
        self,
        paths: Sequence[Path],
        *,
        first: int = 0,
        forget: Sequence[int] | None = None,
        device: Device = "auto",
        progress: Progress | None = None,
    ) -> tuple[list[int], list[Quarantined]]:
        """Add images to the memory as numbers *first*, *first* + 1 ...; or take those with numbers *forget* out."""
        memory = self.filled()
        kept: list[int] = []
        quarantined: list[Quarantined] = []
        for k, found, last in self._parts(paths, _AT_ONCE, device):
            if isinstance(found, SorbyError):
                quarantined.append(Quarantined.from_error(paths[k], found))
            elif forget is None:
                memory.add(found, first + len(kept))
            else:
                memory.remove(found, forget[k])
            if last:
                kept += [] if isinstance(found, SorbyError) else [k]
                if progress is not None:
                    progress(1)
        self.changed()
        return kept, quarantined

    def vectors(
        self, paths: Sequence[Path], *, device: Device = "auto"
    ) -> Iterator[tuple[int, torch.Tensor | SorbyError]]:
        """Yield each image's vectors (V, D, h, w), augmented views included, in the order given."""
        for k, found, _ in self._parts(paths, None, device):
            yield k, found

    def _parts(
        self, paths: Sequence[Path], at_once: int | None, device: Device
    ) -> Iterator[tuple[int, torch.Tensor | SorbyError, bool]]:
        """Yield vectors of *at_once* views (all of an image where None) and whether they are its image's last."""
        runtime = self.level_runtime(device)
        source = each_view(paths, self.recipe.image, self.recipe.views)
        shown = ((view, turn) for view in source for turn in range(self.turns))
        collected: list[torch.Tensor] = []
        for (view, turn), outcome in stream(shown, lambda item: turned(item[0].pixels(), item[1]), runtime):
            if isinstance(outcome, SorbyError):
                if turn == 0:
                    yield view.image, outcome, True
                continue
            levels: Levels = [torch.from_numpy(level)[None] for level in outcome]
            collected.append(self.judged(self.embedding.assemble(levels)))
            last = view.number == view.count - 1 and turn == self.turns - 1
            if last or (at_once is not None and len(collected) >= at_once):
                yield view.image, torch.cat(collected), last
                collected = []

    @property
    def turns(self) -> int:
        """How many ways each good view is shown when fitting."""
        return {"none": 1, "flips": 4, "turns": 8}[self.recipe.augment]

    def score(
        self, paths: Iterable[Path], *, device: Device = "auto", progress: Progress | None = None
    ) -> Iterator[tuple[int, ImageMaps | SorbyError]]:
        """Yield the maps of each image, in the order given, a few images in memory at a time."""
        known: list[Path] = []

        def remember() -> Iterator[Path]:
            for path in paths:
                known.append(path)
                yield path

        source = each_view(remember(), self.recipe.image, self.recipe.views)
        collected: list[Array] = []
        for view, outcome in stream(source, View.pixels, self.runtime(device)):
            path = known[view.image]
            if isinstance(outcome, SorbyError):
                yield view.image, outcome
            else:
                collected.append(outcome[0])
                if view.number < view.count - 1:
                    continue
                assert isinstance(view.stack, ViewStack)
                yield view.image, ImageMaps(path, self.judged(self.finished(np.stack(collected))), view.stack)
                collected = []
            if progress is not None:
                progress(1)

    def finished(self, distances: Array) -> Array:
        """Return smoothed maps of distances (V, h, w): (V, h, w), or (V, H, W) where smoothing is in pixels."""
        smoothing, image = self.recipe.smoothing, self.recipe.image
        if smoothing.kind == "grid":
            return smooth_grid(distances, self.sigma_cells)
        size = (image.height, image.width)
        return smooth_pixels(distances, size, smoothing.sigma_px, centred=self.embedding.centred)

    def in_pixels(self, maps: Array) -> Array:
        """Return maps (V, h, w) in the network's pixels (V, H, W), for showing and for pixel scores."""
        size = self.judged_size
        return maps if maps.shape[1:] == size else at_pixels(maps, size, centred=self.embedding.centred)

    @property
    def judged_size(self) -> tuple[int, int]:
        """Height and width in the network's pixels of what is judged of a view."""
        image, margin = self.recipe.image, 2 * self.margin_cells * self.stride
        return image.height - margin, image.width - margin


def turned(pixels: npt.NDArray[np.uint8], turn: int) -> npt.NDArray[np.uint8]:
    """Return one of the flips (0-3) and transposed flips (4-7) of pixels (H, W, C)."""
    base = pixels if turn < 4 else pixels.swapaxes(0, 1)
    axes = {0: (), 1: (0,), 2: (1,), 3: (0, 1)}[turn % 4]
    return np.ascontiguousarray(np.flip(base, axes)) if axes else np.ascontiguousarray(base)


def score_meaning(recipe: AnomalyRecipe) -> str:
    """Say in words what a score is."""
    kind = recipe.density.kind
    if kind == "nearest":
        return "mean distance of a patch's features to the nearest remembered good patches; no unit, larger is stranger"
    whose = "the good images at the same place" if kind == "position" else "all places of the good images"
    return (
        f"Mahalanobis distance of a place's features from {whose}, in standard deviations of the good ones"
        " (raw, never rescaled by the images under test); an image's score is the largest value of its map"
    )


def backbone_facts(recipe: AnomalyRecipe, backbone: Backbone) -> dict[str, Any]:
    """Return what a bundle says about the network."""
    return {
        "name": backbone.name,
        "mean": list(backbone.mean),
        "std": list(backbone.std),
        "weights": backbone.source.kind,
        "weights_detail": backbone.source.detail,
        "weights_sha256": backbone.source.sha256,
        "stages": None if recipe.backbone.stages is None else list(recipe.backbone.stages),
        "blocks": None if recipe.backbone.blocks is None else list(recipe.backbone.blocks),
    }
