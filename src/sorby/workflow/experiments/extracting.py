"""Frozen features of a bench and of other images, by the same network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sorby.backbone import FeatureExtractor
from sorby.backbone import load as load_backbone
from sorby.errors import InputError, Quarantined
from sorby.progress import bar
from sorby.workflow.experiments.bench import Bench

Features = npt.NDArray[np.float32]


def extractor_of(bench: Bench) -> FeatureExtractor:
    """Return the feature extractor of the bench's recipe."""
    rule, recipe = bench.plan.preprocessing, bench.recipe
    backbone = load_backbone(
        recipe.backbone.name, pretrained=recipe.backbone.pretrained, seed=recipe.seed, size=(rule.height, rule.width)
    )
    return FeatureExtractor(
        backbone,
        rule,
        device=bench.device,
        views=recipe.head.views,
        stages=recipe.backbone.stages,
        pooling=recipe.backbone.pooling,
    )


def bench_features(bench: Bench, extractor: FeatureExtractor | None = None) -> Features:
    """Return the features of every row of the bench, shape (n, D).

    Raises
    ------
    InputError
        An image cannot be read, or the recipe fine-tunes, so that features differ from fold to fold.
    """
    if bench.recipe.regime != "frozen":
        raise InputError("this experiment needs frozen features", "--set regime=frozen")
    with bar("features", bench.n) as advance:
        found = (extractor or extractor_of(bench)).extract(
            bench.corpus.paths(), list(bench.corpus.table["sha256"]), advance
        )
    if len(found.kept) < bench.n:
        raise InputError(f"{found.quarantined[0].file}: {found.quarantined[0].reason}", "take it out of the data")
    return found.features


def file_features(extractor: FeatureExtractor, files: Sequence[Path]) -> tuple[Features, list[Quarantined]]:
    """Return the features of other images, and those that cannot be read.

    Raises
    ------
    InputError
        None of them can be read.
    """
    found = extractor.extract(files)
    if not len(found.kept):
        raise InputError(f"{files[0]}: {found.quarantined[0].reason}", "no image of this folder can be read")
    return found.features, found.quarantined
