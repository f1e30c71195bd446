"""The image generator: new variants each epoch, one batch at a time, nothing stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sorby.backbone import Preprocessing
from sorby.classify import augmentation
from sorby.synthesize.image_generator import ImageGenerator
from textures import write_folder


@pytest.fixture
def generator(tmp_path: Path) -> ImageGenerator:
    folder = write_folder(tmp_path / "images", per_class=4, kinds=("blobs", "stripes"))
    rule = Preprocessing(height=48, width=48)
    return ImageGenerator(sorted(folder.rglob("*.png")), rule, batch_size=3, seed=2)


def test_every_epoch_shows_every_image_once_in_new_variants(generator: ImageGenerator) -> None:
    shown = []
    for number in (0, 1):
        batches = list(generator.epoch(number))
        rows = np.concatenate([rows for _, rows in batches])
        assert sorted(rows) == list(range(8))
        assert max(len(pixels) for pixels, _ in batches) == 3  # no more is held in memory
        shown.append(np.concatenate([pixels for pixels, _ in batches])[np.argsort(rows)])
    assert all((first != second).any() for first, second in zip(*shown, strict=True))


def test_an_epoch_can_be_shown_again_and_writes_nothing(generator: ImageGenerator) -> None:
    folder = generator.paths[0].parents[1]
    before = sorted(folder.rglob("*"))
    first, again = (np.concatenate([pixels for pixels, _ in generator.epoch(5)]) for _ in range(2))
    assert (first == again).all()
    assert sorted(folder.rglob("*")) == before


def test_the_recipe_setting_changes_images_as_the_generator_does(rng: np.random.Generator) -> None:
    change = augmentation.make("corrosion")
    assert change is not None
    image = torch.from_numpy(rng.integers(60, 200, (1, 40, 40), dtype=np.uint8))
    torch.manual_seed(0)
    first, second = change(image), change(image)
    torch.manual_seed(0)
    assert (change(image) == first).all()
    assert first.shape == image.shape
    assert first.dtype == torch.uint8
    assert (first != second).any()
