"""Which fields of a recipe a search may change, and within which limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sorby.backbone.architecture import drops_patches
from sorby.backbone.surface_networks import SURFACE_NETWORKS
from sorby.classify.recipe import Recipe


@dataclass(frozen=True)
class Real:
    """A real number from *low* to *high*, on a logarithmic scale where *log*."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Whole:
    """A whole number from *low* to *high*, both included."""

    low: int
    high: int


@dataclass(frozen=True)
class Choice:
    """One of some values, without order."""

    options: tuple[Any, ...]


Dimension = Real | Whole | Choice

#: Schmid et al., supplement, table S3. Patches are dropped by vision transformers only.
FINETUNING: Mapping[str, Dimension] = {
    "finetune.learning_rate": Real(1e-6, 1e-4, log=True),
    "finetune.weight_decay": Real(0.0, 0.3),
    "finetune.drop_path": Choice((0.0, 0.1, 0.2)),
    "finetune.label_smoothing": Choice((0.0, 0.05, 0.1)),
    "finetune.warmup_steps": Whole(50, 500),
    "finetune.layer_decay": Real(0.6, 1.0),
    "finetune.randaugment_ops": Whole(1, 3),
    "finetune.randaugment_magnitude": Whole(5, 15),
    "finetune.patch_drop": Real(0.0, 0.2),
}

#: What Bhat et al. (2023) say that they searched, optimisers and losses, and the learning rate with them.
SURFACES: Mapping[str, Dimension] = {
    "finetune.optimiser": Choice(("adam", "adamw", "sgd", "rmsprop")),
    "finetune.learning_rate": Real(1e-5, 1e-2, log=True),
    "finetune.label_smoothing": Choice((0.0, 0.05, 0.1)),
    "balance.loss": Choice(("plain", "class-weights", "focal")),
}

#: Heads on frozen features; the strength of each is found by its own inner folds and needs no search.
FROZEN: Mapping[str, Dimension] = {
    "head.views": Choice((1, 4)),
    "head.sharing": Choice(("none", "hard")),
    "head.hidden": Whole(16, 128),
    "balance.loss": Choice(("plain", "class-weights")),
    "balance.sampling": Choice(("plain", "oversample")),
}


def search_space(recipe: Recipe) -> dict[str, Dimension]:
    """Return the dimensions that mean something for a recipe, by field.

    A field that the recipe's regime, network or augmentation would not use is left out, so that every dimension of a
    search reaches the training.
    """
    if recipe.regime == "frozen":
        space = dict(FROZEN)
        if recipe.head.kind != "flat":
            del space["head.sharing"], space["head.hidden"]
        return space
    if recipe.backbone.name in SURFACE_NETWORKS:
        return dict(SURFACES)
    space = dict(FINETUNING)
    if recipe.augment != "fracture":
        del space["finetune.randaugment_ops"], space["finetune.randaugment_magnitude"]
    if not drops_patches(recipe.backbone.name):
        del space["finetune.patch_drop"]
    return space


def described(dimension: Dimension) -> str:
    """Say a dimension in words."""
    if isinstance(dimension, Choice):
        return ", ".join(str(option) for option in dimension.options)
    scale = ", logarithmic" if isinstance(dimension, Real) and dimension.log else ""
    return f"{dimension.low:g} to {dimension.high:g}{scale}"
