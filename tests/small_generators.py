"""Small originals and small recipes: networks of four channels on pictures of 32 to 64 px."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.synthesize import SynthesisRecipe, load_recipe

SMALL: dict[str, Any] = {
    "image.size_px": 32,
    "image.original_px": 40,
    "network.width": 4,
    "network.discriminator_width": 4,
    "network.latent": 8,
    "condition.sketch_px": 8,
    "training.steps": 6,
    "training.batch_size": 4,
    "training.report_every": 2,
    "training.keep_every": 3,
    "training.precision": "fp32",
}


def small(method: str, **settings: Any) -> SynthesisRecipe:
    """Return the recipe of a method, small; ``training__steps=3`` sets training.steps."""
    return load_recipe(method, {**SMALL, **{key.replace("__", "."): value for key, value in settings.items()}})


def surfaces(count: int, edge: int = 40, *, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Return striped and noisy pictures, (count, edge, edge)."""
    rng = np.random.default_rng(seed)
    down, across = rng.normal(size=(2, count, 1, 1))
    x = np.arange(edge)[:, None] * down + np.arange(edge) * across
    return np.clip(128 + 60 * np.sin(x) + 15 * rng.standard_normal(x.shape), 0, 255).astype(np.uint8)


def sequences(count: int, frames: int = 7, edge: int = 40) -> npt.NDArray[np.uint8]:
    """Return pictures that drift by a pixel a frame, (count, frames, edge, edge)."""
    wide = surfaces(count, edge + frames)
    return np.stack([wide[:, :edge, k : k + edge] for k in range(frames)], axis=1)
