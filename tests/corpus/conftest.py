"""Small folders of images with known content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Draw = Callable[..., Path]


@pytest.fixture
def draw(rng: np.random.Generator) -> Draw:
    """Write an image of noise, different at every call, and return its path."""

    def write(path: Path, size: tuple[int, int] = (24, 20)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(path)
        return path

    return write


@pytest.fixture
def two_classes(tmp_path: Path, draw: Draw) -> Path:
    """A folder with five images of pearlite and four of bainite."""
    for name, count in (("pearlite", 5), ("bainite", 4)):
        for k in range(count):
            draw(tmp_path / "steel" / name / f"{k}.png")
    return tmp_path / "steel"
