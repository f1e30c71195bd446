"""Textures that anybody can tell apart, standing in for microstructures: seeded, small, written in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image
from scipy import ndimage

SMALL = {"image.height": 64, "image.width": 64}
"""Recipe settings for these textures."""

CLASSES = ("blobs", "checks", "stripes")
SIZE = 72

Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Trained:
    """A finished training, shared by the tests; nobody may change it."""

    data: Path
    run: Path
    bundle: Path
    result: dict[str, Any]


def texture(kind: str, rng: np.random.Generator, size: int = SIZE) -> Grey:
    """One grey image of a kind, its phase, contrast and noise drawn from *rng*."""
    y, x = np.mgrid[:size, :size] + rng.uniform(0, 20, (2, 1, 1))
    if kind == "stripes":
        base = np.sin(2 * np.pi * x / rng.uniform(7, 9))
    elif kind == "checks":
        base = np.sign(np.sin(2 * np.pi * x / 16)) * np.sign(np.sin(2 * np.pi * y / 16))
    elif kind == "blobs":
        base = ndimage.gaussian_filter(rng.normal(size=(size, size)), 5)
        base = base / np.abs(base).max()
    elif kind == "rings":  # never taught
        base = np.sign(np.sin(np.hypot(x - size / 2, y - size / 2) ** 2 / 40))
    else:
        raise ValueError(kind)
    grey = 128 + rng.uniform(50, 70) * base + rng.normal(0, 6, (size, size))
    return np.clip(grey, 0, 255).astype(np.uint8)


def textures(kinds: Sequence[str], per_class: int, seed: int, size: int = SIZE) -> tuple[Grey, npt.NDArray[np.intp]]:
    """Return images (N, size, size, 1) and their class numbers, class after class."""
    rng = np.random.default_rng(seed)
    images = [texture(kind, rng, size) for kind in kinds for _ in range(per_class)]
    return np.stack(images)[..., None], np.repeat(np.arange(len(kinds)), per_class)


def write_folder(
    folder: Path, per_class: int = 20, kinds: Sequence[str] = CLASSES, seed: int = 0, size: int = SIZE
) -> Path:
    """Write one folder a class."""
    rng = np.random.default_rng(seed)
    for kind in kinds:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for k in range(per_class):
            Image.fromarray(texture(kind, rng, size)).save(folder / kind / f"{kind}-{k:03d}.png")
    return folder


def write_table(
    folder: Path,
    specimens: int = 10,
    per_specimen: int = 2,
    kinds: Sequence[str] = CLASSES,
    seed: int = 0,
    names: dict[str, str] | None = None,
) -> Path:
    """Write images and ``labels.csv`` with columns picture, structure, piece; several images a specimen."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for kind in kinds:
        for specimen in range(specimens):
            for k in range(per_specimen):
                name = f"{kind}-{specimen:02d}-{k}.png"
                Image.fromarray(texture(kind, rng)).save(folder / "images" / name)
                label = (names or {}).get(kind, kind)
                rows.append({"picture": f"images/{name}", "structure": label, "piece": f"{kind}-{specimen}"})
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    return folder / "labels.csv"
