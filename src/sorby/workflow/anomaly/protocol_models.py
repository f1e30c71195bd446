"""A detector fitted on some of the kept maps, and its maps of others: the inner work of a protocol's run."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sorby.anomaly.detector import Detector
from sorby.anomaly.embedding import FeatureChoice, Levels
from sorby.anomaly.memory import GaussianMemory, PatchMemory, new_memory
from sorby.anomaly.memory_bank import NearestPatches
from sorby.anomaly.recipe import AnomalyRecipe
from sorby.backbone.architecture import load as load_backbone
from sorby.backbone.preprocessing import Uint8Image
from sorby.backbone.runtime import Runtime, run
from sorby.workflow.anomaly.kept_maps import KeptMaps, each
from sorby.workflow.anomaly.place_distances import distances_from, distances_once, place_rows

Rows = npt.NDArray[np.intp]
Floats32 = npt.NDArray[np.float32]

#: Vectors that are added to the sums at once: fewer passes over the covariances, and still a few hundred megabytes.
_AT_ONCE = 96
_JUDGED_AT_ONCE = 36


def detectors(recipe: AnomalyRecipe, features: Sequence[int | None]) -> list[Detector]:
    """Return an unfitted detector for each number of features, all on one backbone.

    Parameters
    ----------
    recipe : AnomalyRecipe
    features : sequence of int or None
        None for all channels. The random choice is that of ``features.seed``, the same in every run.

    Raises
    ------
    MissingPartError
        Pretrained weights are not at hand.
    """
    size = (recipe.image.height, recipe.image.width)
    pretrained = recipe.backbone.weights == "pretrained"
    backbone = load_backbone(recipe.backbone.name, pretrained=pretrained, seed=recipe.seed, size=size)
    found = []
    for count in features:
        if count is None:
            choice = FeatureChoice(kind="all", seed=recipe.features.seed)
        else:
            kind = "random" if recipe.features.kind == "all" else recipe.features.kind
            choice = FeatureChoice(kind=kind, count=count, seed=recipe.features.seed)
        found.append(Detector(recipe.model_copy(update={"features": choice}), backbone))
    return found


def judged_once(detector: Detector, train: Levels, test: Levels, images: Rows, turns: int) -> Floats32:
    """Fit on some maps of good sub-images and return the smoothed maps (m, H, W) of others.

    Parameters
    ----------
    detector : Detector
    train, test : Levels
        Backbone maps, see `KeptMaps.take`; *train* holds *turns* views of each image.
    images : ndarray of int
        Rows of the training images.
    turns : int
    """
    with torch.inference_mode():
        if detector.recipe.density.kind == "position":
            of = detector.embedding.levels
            epsilon = detector.recipe.density.epsilon
            return _finished(detector, distances_once(detector.embedding, of(train), of(test), epsilon))
        return _finished(detector, fitted(detector, train, images, turns)(detector.embedding.levels(test)))


def fitted(detector: Detector, train: Levels, images: Rows, turns: int) -> nn.Module:
    """Fit on some maps of good sub-images; return the graph from levels to distances, as it would be deployed."""
    memory = new_memory(detector.recipe, detector.grid_size)
    # A bank of patches must know whose each is; sums need not, and take many at once in fewer passes.
    step = turns if isinstance(memory, PatchMemory) else max(turns, _AT_ONCE // turns * turns)
    with torch.inference_mode():
        for begin in range(0, len(images) * turns, step):
            part = [level[begin : begin + step] for level in train]
            memory.add(detector.embedding.assemble(detector.embedding.levels(part)), int(images[begin // turns]))
        memory.finish()
        return memory.density(detector.embedding)


def learn_all(
    models: Sequence[Detector], runtime: Runtime, pixels: Uint8Image, rows: Rows, also: Rows
) -> tuple[list[GaussianMemory | PatchMemory], KeptMaps]:
    """Fit every detector on many good sub-images in one pass and constant memory; keep the maps of a few of them.

    Parameters
    ----------
    models : sequence of Detector
    runtime : Runtime
    pixels : ndarray of uint8, (N, H, W, C)
    rows : ndarray of int
        The good ones, rising.
    also : ndarray of int
        Those whose maps are kept, so that they can be taken out again.
    """
    memories = [new_memory(model.recipe, model.grid_size) for model in models]
    waiting: list[list[npt.NDArray[np.float16]]] = []
    numbers: list[int] = []
    wanted = set(also.tolist())
    kept: list[list[npt.NDArray[np.float16]]] = []
    single = any(isinstance(memory, PatchMemory) for memory in memories)

    def flush() -> None:
        levels = [torch.from_numpy(np.stack(level).astype(np.float32)) for level in zip(*waiting, strict=True)]
        for model, memory in zip(models, memories, strict=True):
            memory.add(model.embedding.assemble(model.embedding.levels(levels)), numbers[0])
        waiting.clear()
        numbers.clear()

    with torch.inference_mode():
        for row, maps in each(runtime, pixels, rows, label="learning good tiles"):
            waiting.append(maps)
            numbers.append(row)
            if row in wanted:
                kept.append(maps)
            if len(waiting) == (1 if single else _AT_ONCE):
                flush()
        if waiting:
            flush()
        for memory in memories:
            memory.finish()
    levels = [np.stack(level)[:, None] for level in zip(*kept, strict=True)] if kept else []
    return memories, KeptMaps(np.asarray(also), 1, levels)


def judged_without(
    detector: Detector, memory: GaussianMemory | PatchMemory, out: Levels, rows: Rows, test: Levels
) -> Floats32:
    """Return the smoothed maps (m, H, W) of others, as if some sub-images had not been learnt.

    Parameters
    ----------
    detector : Detector
    memory : GaussianMemory or PatchMemory
    out : Levels
        Backbone maps of the sub-images to be taken out.
    rows : ndarray of int
        Their rows.
    test : Levels
        Backbone maps of those to be judged.
    """
    embedding = detector.embedding
    with torch.inference_mode():
        asked = embedding.levels(test)
        if isinstance(memory, GaussianMemory) and not memory.pooled:
            sums = memory.filled().without(place_rows(embedding.assemble(embedding.levels(out))))
            return _finished(detector, distances_from(embedding, sums, asked, memory.epsilon))
        return _finished(detector, graph_without(detector, memory, out, rows)(asked))


def graph_without(detector: Detector, memory: GaussianMemory | PatchMemory, out: Levels, rows: Rows) -> nn.Module:
    """Return the graph from levels to distances as it were without some of the sub-images."""
    if isinstance(memory, PatchMemory):
        arrays = memory.arrays()
        others = ~np.isin(arrays["owners"], rows)
        return NearestPatches(detector.embedding, arrays["patches"][others], detector.recipe.density.neighbours)
    with torch.inference_mode():
        return memory.without(detector.embedding.assemble(detector.embedding.levels(out)), 0, detector.embedding)


def judged(detector: Detector, density: nn.Module, maps: Levels) -> Floats32:
    """Return smoothed maps (m, H, W) of raw distances in the network's pixels, of backbone maps."""
    parts = []
    with torch.inference_mode():
        for begin in range(0, len(maps[0]), _JUDGED_AT_ONCE):
            part = [level[begin : begin + _JUDGED_AT_ONCE] for level in maps]
            parts.append(_finished(detector, density(detector.embedding.levels(part))))
    return np.concatenate(parts)


def timed(detector: Detector, density: nn.Module, runtime: Runtime, pixels: Uint8Image) -> tuple[float, float]:
    """Return inference and total seconds of a test set, by the definitions of Yan et al. (2023).

    Inference: distances of all test images, with interpolation and smoothing. Total: from the first feature to the
    last map. Decoding and cutting the sheets are in neither.

    Parameters
    ----------
    detector : Detector
    density : nn.Module
    runtime : Runtime
        From `sorby.workflow.anomaly.kept_maps.backbone_runtime`.
    pixels : ndarray of uint8, (n, H, W, C)
        The test set, duplicates included.
    """
    started = time.perf_counter()
    levels = [torch.from_numpy(level) for level in run(runtime, pixels)]
    extracted = time.perf_counter()
    judged(detector, density, levels)
    ended = time.perf_counter()
    return ended - extracted, ended - started


def _finished(detector: Detector, distances: torch.Tensor) -> Floats32:
    return np.asarray(detector.in_pixels(detector.finished(distances.numpy())), np.float32)
