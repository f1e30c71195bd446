"""The size strategies of the bearing-steel study."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.micrograph import mean_size, mirror_pad_or_crop, mode_size, resize, to_size


def test_the_most_frequent_size_wins_and_ties_go_to_the_larger():
    assert mode_size([(1994, 1994), (1994, 1994), (2500, 3000)]) == (1994, 1994)
    assert mode_size([(10, 10), (20, 5), (20, 20)]) == (20, 20)


def test_the_mean_size_is_rounded():
    assert mean_size([(100, 200), (101, 201)]) == (100, 200)  # halves go to even
    assert mean_size(iter([(100, 200), (103, 203)])) == (102, 202)


@pytest.mark.parametrize("function", [mode_size, mean_size])
def test_no_sizes_have_no_typical_size(function):
    with pytest.raises(ValueError, match="no sizes"):
        function([])


def test_padding_mirrors_about_the_border_pixel():
    row = np.array([[1, 2, 3, 4]], np.uint8)
    np.testing.assert_array_equal(mirror_pad_or_crop(row, (1, 8)), [[3, 2, 1, 2, 3, 4, 3, 2]])


@pytest.mark.parametrize("size", [(9, 17), (40, 31), (9, 60), (100, 5), (20, 21), (1, 1)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_padding_is_numpys_reflection_and_cropping_keeps_the_middle(rng, size, channels):
    pixels = rng.integers(0, 256, (20, 21, *channels), dtype=np.uint8)
    pads, crops = [], []
    for have, want in zip((20, 21), size, strict=True):
        before = max(want - have, 0) // 2
        pads.append((before, max(want - have, 0) - before))
        start = max(have - want, 0) // 2
        crops.append(slice(start, start + min(want, have)))
    expected = np.pad(pixels[tuple(crops)], [*pads, *[(0, 0)] * len(channels)], mode="reflect")
    np.testing.assert_array_equal(mirror_pad_or_crop(pixels, size), expected)


def test_a_single_row_can_be_padded():
    assert (mirror_pad_or_crop(np.full((1, 3), 7, np.uint8), (4, 9)) == 7).all()


def test_padding_then_cropping_gives_the_image_back(rng):
    pixels = rng.integers(0, 65536, (33, 20), dtype=np.uint16)
    np.testing.assert_array_equal(mirror_pad_or_crop(mirror_pad_or_crop(pixels, (90, 47)), (33, 20)), pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_resizing_keeps_type_flat_fields_and_mean(rng, dtype, channels):
    flat = np.full((50, 40, *channels), 200, dtype)
    for size in ((13, 90), (7, 7), (100, 80)):
        resized = resize(flat, size)
        assert resized.shape == (*size, *channels)
        assert resized.dtype == dtype
        assert (resized == 200).all()
    pixels = rng.integers(0, 256, (512, 512, *channels)).astype(dtype)
    # Antialiasing averages: noise of SD 74 over 64 x 64 pixels leaves little; the mean stays.
    small = resize(pixels, (8, 8)).astype(float)
    assert abs(small.mean() - pixels.mean()) < 1
    assert small.std() < 5


def test_resizing_does_not_alias_a_fine_grating():
    grating = np.tile(np.array([0, 255], np.uint8), (256, 128))
    assert np.ptp(resize(grating, (32, 37)).astype(int)) < 40  # nearest neighbour would keep all 255


def test_sixteen_bit_resizing_agrees_with_eight_bit(rng):
    eight = resize(np.kron(rng.integers(0, 256, (8, 8)), np.ones((9, 9))).astype(np.uint8), (40, 50))
    rng = np.random.default_rng(1863)
    sixteen = resize(np.kron(rng.integers(0, 256, (8, 8)), np.ones((9, 9))).astype(np.uint16) * 257, (40, 50))
    assert np.abs(eight - sixteen / 257).max() <= 1.5  # two passes, each rounded to eight bits


def test_the_right_size_is_left_alone_and_others_go_by_name(rng):
    pixels = rng.integers(0, 256, (6, 5), dtype=np.uint8)
    assert to_size(pixels, (6, 5), "mirror") is pixels
    assert to_size(pixels, (6, 5), "resize") is pixels
    np.testing.assert_array_equal(to_size(pixels, (4, 9), "mirror"), mirror_pad_or_crop(pixels, (4, 9)))
    np.testing.assert_array_equal(to_size(pixels, (4, 9), "resize"), resize(pixels, (4, 9)))
    with pytest.raises(ValueError, match="sizing must be one of resize, mirror"):
        to_size(pixels, (4, 9), "squash")
    with pytest.raises(ValueError, match="at least 1"):
        resize(pixels, (0, 4))
