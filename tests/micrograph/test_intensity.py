"""Depth and colour change by the stated rule."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sorby.errors import ImageError
from sorby.micrograph import to_grey, to_rgb, to_uint8


def test_full_range_is_division_by_257_rounded_and_undoes_replication():
    eight = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(to_uint8(eight.astype(np.uint16) * 257, "full-range"), eight)
    edges = np.array([[0, 128, 129, 65535]], np.uint16)
    np.testing.assert_array_equal(to_uint8(edges, "full-range"), [[0, 0, 1, 255]])


@pytest.mark.parametrize("rule", ["percentile", "full-range"])
def test_eight_bits_pass_untouched(rng, rule):
    pixels = rng.integers(90, 110, (5, 7), dtype=np.uint8)
    assert to_uint8(pixels, rule) is pixels


@pytest.mark.parametrize("shape", [(101, 67), (40, 30, 3)])
def test_percentiles_of_sixteen_bits_are_those_of_numpy(rng, shape):
    pixels = rng.normal(20_000, 3_000, shape).clip(0, 65535).astype(np.uint16)
    low, high = np.percentile(pixels, (0.1, 99.9))
    expected = np.rint(np.clip((pixels - low) / (high - low), 0, 1) * 255)
    # one grey level where a value lands on a half
    assert np.abs(to_uint8(pixels).astype(int) - expected).max() <= 1
    assert np.mean(to_uint8(pixels) != expected) < 1e-3


def test_sixteen_bits_and_the_same_values_as_floats_agree(rng):
    pixels = rng.integers(0, 65536, (64, 64), dtype=np.uint16)
    a, b = to_uint8(pixels).astype(int), to_uint8(pixels.astype(np.float32)).astype(int)
    assert np.abs(a - b).max() <= 1


def test_percentile_forgets_gain_and_offset_of_the_detector(rng):
    pixels = rng.integers(0, 10_000, (64, 64)).astype(np.uint16)
    np.testing.assert_array_equal(to_uint8(pixels), to_uint8(pixels * 5 + 1000))


def test_a_flat_image_is_mid_grey_and_a_lone_defect_on_a_saturated_field_survives():
    for dtype in (np.uint16, np.float32):
        flat = np.full((50, 50), 65535, dtype)
        assert (to_uint8(flat) == 128).all()
        flat[3, 4] = 1000
        stretched = to_uint8(flat)
        assert (stretched[3, 4], stretched[0, 0]) == (0, 255)


def test_floats_without_a_stated_range_are_refused_by_full_range():
    np.testing.assert_array_equal(to_uint8(np.array([[0, 0.5, 1]], np.float32), "full-range"), [[0, 128, 255]])
    with pytest.raises(ImageError, match="no stated full range"):
        to_uint8(np.array([[0, 2]], np.float32), "full-range")


def test_rules_and_percentiles_are_checked():
    pixels = np.zeros((2, 2), np.uint16)
    with pytest.raises(ValueError, match="rule must be one of percentile, full-range"):
        to_uint8(pixels, "minmax")
    with pytest.raises(ValueError, match="percentiles"):
        to_uint8(pixels, low=50, high=50)


def test_grey_is_rec_601_as_pillow_computes_it(rng):
    pixels = rng.integers(0, 256, (60, 50, 3), dtype=np.uint8)
    np.testing.assert_array_equal(to_grey(pixels), np.array(Image.fromarray(pixels).convert("L")))
    expected = pixels @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(to_grey(pixels.astype(np.float32)), expected, atol=0.01)
    np.testing.assert_allclose(to_grey(pixels.astype(np.uint16) * 257), expected * 257, atol=2)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_grey_to_colour_and_back_changes_nothing(rng, dtype):
    grey = rng.integers(0, 256, (12, 9)).astype(dtype)
    assert to_rgb(grey).shape == (12, 9, 3)
    np.testing.assert_array_equal(to_grey(to_rgb(grey)), grey)
    assert to_grey(grey) is grey
