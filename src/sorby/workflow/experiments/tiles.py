"""Strategy 1 of Durmaz et al.: micrographs as tiles of the network's size, put together again per image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from sorby.backbone import Preprocessing
from sorby.backbone import load as load_backbone
from sorby.backbone.architecture import StageFeatures, to_onnx
from sorby.backbone.cache import FeatureCache
from sorby.backbone.pipeline import prepared
from sorby.backbone.runtime import OpenVINORuntime, Runtime, TorchRuntime, resolve_device, run
from sorby.classify import Recipe
from sorby.errors import InputError, SorbyError
from sorby.evidence import fit_temperature, softmax
from sorby.micrograph import read
from sorby.micrograph.tiling import Tiler, aggregate
from sorby.progress import bar
from sorby.workflow.experiments.bench import Bench, Floats, Rows
from sorby.workflow.experiments.linear import fit_at, fit_flat

#: Tiles along each side; 2 x 2 quarters of a 512 px image are close to the network's 224 px.
GRID = (2, 2)
_BATCH = 16

Features = npt.NDArray[np.float32]


class TileLearner:
    """A linear head on features of tiles.

    Parameters
    ----------
    bench : Bench
    recipe : Recipe
        ``image.height`` and ``image.width`` are the size a tile gets.
    vote : bool
        Whether each tile is classified with its image's label and probabilities are averaged; otherwise features
        are averaged and the image is classified once. Both use the strength that inner folds choose for the latter.
    """

    def __init__(self, bench: Bench, recipe: Recipe, *, vote: bool) -> None:
        self._bench, self._recipe, self._vote = bench, recipe, vote
        self._features = tile_features(bench, recipe)

    def predict(self, train: Rows, test: Rows, name: str) -> Floats:
        """Teach on the tiles of *train* and return the probabilities of the images *test*."""
        del name
        bench, recipe, n_classes = self._bench, self._recipe, len(self._bench.classes)
        groups = None if bench.plan.groups is None else bench.plan.groups[train]
        labels, mean = bench.labels[train], self._features.mean(axis=1)
        flat = fit_flat(mean[train], labels, n_classes, groups, recipe)
        if not self._vote:
            return softmax(flat.model(mean[test]), fit_temperature(flat.cross_logits, labels))
        tiles, size = self._features.shape[1:]
        # scikit-learn's C weighs a sum over rows: with so many times the rows the same strength is so much smaller.
        part = self._features[train].reshape(-1, size), np.repeat(labels, tiles)
        model = fit_at([part], n_classes, flat.c / tiles)[0]
        logits = model(self._features[test].reshape(-1, size))
        return aggregate(softmax(logits), np.repeat(np.arange(len(test)), tiles), "mean")


def voted_tiles(bench: Bench, recipe: Recipe) -> TileLearner:
    """Return strategy 1 as published: classify tiles, put their verdicts together."""
    return TileLearner(bench, recipe, vote=True)


def averaged_tiles(bench: Bench, recipe: Recipe) -> TileLearner:
    """Return its quieter relative: average the tiles' features, classify the image."""
    return TileLearner(bench, recipe, vote=False)


def tile_features(bench: Bench, recipe: Recipe) -> Features:
    """Return the features of every image's tiles, shape (n, tiles, D); kept in the feature cache.

    Raises
    ------
    InputError
        An image cannot be read.
    """
    rule = bench.plan.preprocessing
    rule = rule.model_copy(update={"height": recipe.image.height, "width": recipe.image.width, "sizing": "resize"})
    backbone = load_backbone(
        recipe.backbone.name, pretrained=recipe.backbone.pretrained, seed=recipe.seed, size=(rule.height, rule.width)
    )
    graph = StageFeatures(backbone, views=1)
    runtime: Runtime
    if resolve_device(bench.device) == "cuda":
        runtime = TorchRuntime(graph, device="cuda")
    else:
        shape = (rule.height, rule.width, rule.channels)
        runtime = OpenVINORuntime(to_onnx(graph, *shape, ("features",)), shape)
    hashes, paths = list(bench.corpus.table["sha256"]), bench.corpus.paths()
    cache = FeatureCache(f"tiles{GRID}|{backbone.key}|{graph.stages}|{rule.key}|{runtime.name}-{runtime.precision}")
    vectors = cache.get(hashes)
    todo = [k for k, digest in enumerate(hashes) if digest not in vectors]
    tiles = GRID[0] * GRID[1]

    with bar("tiles", len(todo)) as advance:
        for start in range(0, len(todo), _BATCH):
            part = todo[start : start + _BATCH]
            cut = []
            for k, outcome in prepared(part, lambda k: _cut(rule, paths[k])):
                if isinstance(outcome, SorbyError):
                    raise InputError(f"{paths[k]}: {outcome.message}", "take it out of the data") from outcome
                cut.append(outcome)
            found = run(runtime, np.concatenate(cut).reshape(-1, rule.height, rule.width, rule.channels))[0]
            fresh = [(hashes[k], found[j * tiles : (j + 1) * tiles].ravel()) for j, k in enumerate(part)]
            cache.put(fresh)
            vectors.update(fresh)
            advance(len(part))
    return np.stack([vectors[digest] for digest in hashes]).reshape(len(hashes), tiles, -1)


def _cut(rule: Preprocessing, path: Path) -> npt.NDArray[np.uint8]:
    """Read an image and return its tiles below one another, shape (tiles * height, width, channels)."""
    pixels = read(path).pixels
    pieces = Tiler.fixed_grid(*GRID).tiles(pixels)
    return np.concatenate([rule.prepare(piece) for piece in pieces])
