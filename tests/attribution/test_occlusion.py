"""Occlusion against scores whose fall can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attribution_networks import Trained
from torch import Tensor, nn

from sorby.attribution import occlusion, occlusion_passes
from sorby.errors import InputError


class Weighted(nn.Module):
    """Logit 0 is a weighted sum of the pixels of channel 0; logit 1 its negative."""

    def __init__(self, weight: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("weight", torch.from_numpy(weight.astype(np.float32)))

    def forward(self, x: Tensor) -> Tensor:
        total = (x[:, 0] * self.weight).sum((1, 2))
        return torch.stack([total, -total], dim=1)


def test_a_linear_score_falls_by_what_the_patch_held(rng):
    weight = rng.normal(size=(12, 16))
    image = rng.random((1, 1, 12, 16), dtype=np.float32)
    found = occlusion(Weighted(weight), image, 0, cells=2)
    # 2 cells: windows of 6 x 8 px at 0, 3, 6 rows and 0, 4, 8 columns
    fall, count = np.zeros((12, 16)), np.zeros((12, 16))
    for top in (0, 3, 6):
        for left in (0, 4, 8):
            patch = np.s_[top : top + 6, left : left + 8]
            fall[patch] += (weight[patch] * (image[0, 0][patch] - image.mean())).sum()
            count[patch] += 1
    expected = np.maximum(fall / count, 0)
    # float32 logits of order ten
    np.testing.assert_allclose(found.maps[0] * found.peaks[0], expected, atol=1e-4)


def test_only_patches_over_the_decisive_pixel_matter():
    weight = np.zeros((32, 32))
    weight[9, 22] = 1
    image = np.zeros((1, 1, 32, 32), np.float32)
    image[0, 0, 9, 22] = 1
    found = occlusion(Weighted(weight), image, 0, cells=8)
    lit = np.argwhere(found.maps[0] > 0)
    assert found.maps[0, 9, 22] == 1
    assert np.abs(lit - [9, 22]).max() < 4  # a patch is 4 px wide
    assert occlusion(Weighted(weight), image, 1, cells=8).blank.all()


def test_an_even_image_covered_with_its_own_mean_stays_the_same():
    image = np.full((1, 3, 24, 24), 0.3, np.float32)
    found = occlusion(Trained(), image, cells=3)
    assert found.peaks.max() < 1e-5  # rounding of the mean


def test_a_blurred_cover_hides_texture_from_the_score_but_not_brightness(rng):
    image = (0.5 + 0.3 * rng.standard_normal((1, 1, 48, 48))).astype(np.float32)
    image[..., 24:] += 2.0
    bright = Weighted(np.pad(np.ones((48, 16)), ((0, 0), (32, 0))))  # sums the bright side
    by_mean = occlusion(bright, image, 0, cells=6, fill="mean")
    by_blur = occlusion(bright, image, 0, cells=6, fill="blur")
    assert by_blur.peaks[0] < 0.3 * by_mean.peaks[0]


def test_a_function_is_explained_like_the_module_behind_it(images):
    model = Trained().eval()

    def predict(batch: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return model(torch.from_numpy(batch)).numpy()

    of_module = occlusion(model, images[:2], 1, cells=3)
    of_function = occlusion(predict, images[:2], 1, cells=3)
    np.testing.assert_allclose(of_function.maps, of_module.maps, atol=1e-6)


def test_the_cost_is_the_stated_number_of_passes(rng):
    seen = []

    def predict(batch: np.ndarray) -> np.ndarray:
        assert batch.dtype == np.uint8
        seen.append(len(batch))
        return batch.reshape(len(batch), -1)[:, :2].astype(float)

    raw = rng.integers(0, 256, (3, 20, 28, 1), dtype=np.uint8)
    found = occlusion(predict, raw, cells=4, batch_size=10)
    assert sum(seen) == 3 * found.passes == 3 * occlusion_passes(4)
    assert max(seen) <= 10
    assert found.maps.shape == (3, 20, 28)


def test_the_model_keeps_its_mode(images):
    model = Trained().train()
    occlusion(model, images[:1], cells=2)
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("arguments", [{"cells": 0}, {"cells": 99}, {"fill": "noise"}, {"targets": 7}])
def test_a_wrong_request_is_refused(images, arguments):
    with pytest.raises(InputError):
        occlusion(Trained(), images, **arguments)
