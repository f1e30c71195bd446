"""Overlays keep the image's geometry; colour maps are what they claim to be."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.attribution import UNIFORM_COLORMAPS, overlay
from sorby.errors import InputError

RAMP = np.linspace(0, 1, 256, dtype=np.float32)[None]


def lightness(colormap: str) -> np.ndarray:
    """CIE L* along a colour map."""
    from skimage.color import rgb2lab

    colours = overlay(np.zeros((1, 256), np.uint8), RAMP, colormap, alpha=1.0)
    return rgb2lab(colours)[0, :, 0]


@pytest.mark.parametrize("shape", [(30, 90), (90, 30, 1), (41, 57, 3)])
def test_an_overlay_has_the_size_and_aspect_of_the_original(rng, shape):
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    result = overlay(image, rng.random((7, 7)))
    assert result.shape == (*shape[:2], 3)
    assert result.dtype == np.uint8


def test_jet_runs_from_dark_blue_to_dark_red():
    ends = overlay(np.zeros((1, 2), np.uint8), np.array([[0.0, 1.0]]), "jet", alpha=1.0)
    np.testing.assert_allclose(ends[0], [[0, 0, 127.5], [127.5, 0, 0]], atol=0.5)  # half full scale


@pytest.mark.parametrize("colormap", UNIFORM_COLORMAPS)
def test_a_perceptually_uniform_map_grows_steadily_lighter(colormap):
    assert (np.diff(lightness(colormap)) > -0.5).all()  # 8-bit colours round L* by up to .5
    assert lightness(colormap)[-1] - lightness(colormap)[0] > 50


def test_jet_is_not_perceptually_uniform():
    assert lightness("jet").argmax() < 200  # yellow and cyan outshine the top of the scale


def test_alpha_runs_from_the_image_to_the_map(rng):
    image = rng.integers(0, 256, (8, 9, 3), dtype=np.uint8)
    cam = rng.random((8, 9))
    np.testing.assert_array_equal(overlay(image, cam, alpha=0.0), image)
    colours = overlay(image, cam, alpha=1.0)
    np.testing.assert_array_equal(overlay(image[::-1], cam, alpha=1.0), colours)
    half = overlay(image, cam, alpha=0.5).astype(int)
    assert np.abs(half - (image.astype(int) + colours) / 2).max() <= 0.5


def test_the_map_is_stretched_over_the_original_in_place():
    cam = np.zeros((4, 4))
    cam[3, 0] = 1  # lower left
    result = overlay(np.zeros((40, 120), np.uint8), cam, "viridis", alpha=1.0)
    red = result[..., 0].astype(int)  # viridis is yellow at the top
    y, x = np.unravel_index(red.argmax(), red.shape)
    assert y >= 30
    assert x < 30


def test_pixels_the_model_did_not_see_keep_their_look(rng):
    image = rng.integers(0, 256, (20, 30), dtype=np.uint8)
    result = overlay(image, rng.random((5, 5)), region=(4, 6, 10, 12))
    outside = np.ones((20, 30), bool)
    outside[4:14, 6:18] = False
    np.testing.assert_array_equal(result[outside], np.repeat(image[outside][:, None], 3, 1))
    assert (result[~outside] != image[~outside][:, None]).any()


def test_padding_around_the_image_is_cut_from_the_map():
    cam = np.arange(64, dtype=float).reshape(8, 8) / 63
    padded = overlay(np.zeros((4, 6), np.uint8), cam, alpha=1.0, region=(-2, -1, 8, 8))
    cut = overlay(np.zeros((4, 6), np.uint8), cam[2:6, 1:7], alpha=1.0)
    np.testing.assert_array_equal(padded, cut)


def test_a_region_beside_the_image_colours_nothing():
    image = np.full((6, 6), 9, np.uint8)
    for region in ((6, 0, 3, 3), (-5, 0, 3, 3), (0, 50, 3, 3)):
        assert (overlay(image, np.ones((2, 2)), region=region) == 9).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colormap": "nicest"}, "unknown colour map"),
        ({"cam": np.full((4, 4), 3.0)}, "outside 0 to 1"),
        ({"cam": np.full((4, 4), np.nan)}, "outside 0 to 1"),
        ({"cam": np.zeros((1, 4, 4))}, "H x W"),
        ({"image": np.zeros((4, 4), np.uint16)}, "uint8"),
        ({"alpha": 2.0}, "alpha"),
        ({"region": (0, 0, 0, 4)}, "region"),
    ],
)
def test_a_wrong_overlay_is_refused(change, message):
    arguments = {"image": np.zeros((4, 4), np.uint8), "cam": np.zeros((4, 4))} | change
    with pytest.raises(InputError, match=message):
        overlay(**arguments)
