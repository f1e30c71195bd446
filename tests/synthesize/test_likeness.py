"""Generated beside real: values of known pairs, and spectra of known textures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from sorby.synthesize.likeness import nearest_likeness, pair_likeness, radial_spectrum, spectral_difference


def _surfaces(rng: np.random.Generator, count: int, scale_px: float) -> np.ndarray:
    smooth = ndimage.gaussian_filter(rng.normal(size=(count, 64, 64)), (0, scale_px, scale_px), mode="wrap")
    return np.clip(128 + 30 * smooth / smooth.std(axis=(1, 2), keepdims=True), 0, 255).astype(np.uint8)


def test_equal_images_have_no_difference(rng: np.random.Generator) -> None:
    images = _surfaces(rng, 3, 2)
    found = pair_likeness(images, images)
    assert found["ssim"] == pytest.approx(1)
    assert found["intensity"] == pytest.approx(0)
    assert found["gradient"] == pytest.approx(0)


def test_a_step_in_brightness_is_intensity_and_no_gradient() -> None:
    dark, bright = np.full((1, 20, 20), 100, np.uint8), np.full((1, 20, 20), 151, np.uint8)
    found = pair_likeness(dark, bright)
    assert found["intensity"][0] == pytest.approx(51 / 255, rel=1e-6)
    assert found["gradient"][0] == 0


def test_one_edge_has_its_known_gradient() -> None:
    flat, edge = np.zeros((1, 20, 20), np.uint8), np.zeros((1, 20, 20), np.uint8)
    edge[:, :, 10:] = 255
    # One of 19 differences along each row is 1, none down the columns.
    assert pair_likeness(flat, edge)["gradient"][0] == pytest.approx(1 / 19)


def test_a_wave_has_its_power_in_its_ring() -> None:
    wave = 128 + 60 * np.sin(2 * np.pi * np.arange(64) / 8)  # an eighth of a cycle a pixel: a quarter of the range
    image = np.broadcast_to(wave, (1, 64, 64)).astype(np.uint8)
    assert radial_spectrum(image, 24)[0].argmax() == 24 // 4


def test_another_scale_of_texture_is_told_from_the_same(rng: np.random.Generator) -> None:
    real, same, coarser = _surfaces(rng, 16, 1.5), _surfaces(rng, 16, 1.5), _surfaces(rng, 16, 3.0)
    specimens = [str(k // 2) for k in range(16)]
    alike, other = (spectral_difference(real, each, specimens) for each in (same, coarser))
    assert alike["difference"] < alike["between_real"]["largest"] < other["difference"]


def test_reals_without_another_specimen_have_no_reference(rng: np.random.Generator) -> None:
    images = _surfaces(rng, 2, 2)
    found = nearest_likeness(images, images, np.array([0, 1]), None)
    assert found["ssim"] == {"generated": pytest.approx(1), "real": None}
