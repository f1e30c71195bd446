"""Boxes go with their pixels through fitting, filling, mirrors, turns, scaling and back."""

import numpy as np
import pytest

from sorby.detect.pictures import Example, changed, fit, stacked, viewed
from sorby.detect.recipe import ImageSection, TeachingSection
from sorby.evidence.boxes import TrueBoxes

BOX = np.array([[20, 30, 44, 70]], np.float32)


def _example(height: int = 96, width: int = 128) -> Example:
    """Grey, with one white rectangle where its box says."""
    pixels = np.full((height, width, 1), 60, np.uint8)
    pixels[30:70, 20:44] = 250
    return Example(pixels, TrueBoxes(BOX, np.array([0])))


def _bright(pixels: np.ndarray) -> list[float]:
    rows, columns = np.nonzero(pixels[..., 0] > 160)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("view", range(8))
def test_boxes_follow_every_view(view):
    seen = viewed(_example(), view)
    assert seen.truth.boxes[0].tolist() == _bright(seen.pixels)


def test_the_eight_views_are_different():
    rng = np.random.default_rng(0)
    square = Example(rng.integers(0, 255, (32, 32, 1), np.uint8), TrueBoxes())
    assert len({viewed(square, view).pixels.tobytes() for view in range(8)}) == 8


@pytest.mark.parametrize("seed", range(12))
def test_boxes_follow_every_change(seed):
    section = TeachingSection(scales=(0.6, 1.6), lighting=0.0, turns=True)
    seen = changed(_example(), section, np.random.default_rng(seed))
    assert seen.pixels.shape == (96, 128, 1)
    for box in seen.truth.boxes:  # resampling softens an edge by a pixel or two
        assert np.abs(np.array(_bright(seen.pixels)) - box).max() <= 2.0


def test_a_box_that_is_cut_away_is_no_longer_asked_for():
    section = TeachingSection(scales=(3.9, 4.0), lighting=0.0, flips=False)
    counts = [len(changed(_example(), section, np.random.default_rng(seed)).truth) for seed in range(40)]
    assert 0 in counts
    assert 1 in counts


@pytest.mark.parametrize(
    ("size", "wanted"), [((200, 200), (256, 256)), ((100, 400), (256, 1024)), ((100, 900), (114, 1024))]
)
def test_fitting_keeps_the_aspect_and_the_limits(size, wanted):
    fitted = fit(np.zeros(size, np.uint8), ImageSection())
    assert fitted.size == wanted
    assert all(side % 32 == 0 for side in fitted.pixels.shape[:2])


def test_boxes_come_back_from_the_input():
    fitted = fit(np.zeros((150, 333), np.uint8), ImageSection())
    np.testing.assert_allclose(fitted.to_image(fitted.to_input(BOX)), BOX, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_any_depth_and_colour_is_brought_to_the_same_form(dtype):
    rng = np.random.default_rng(0)
    top = {np.uint8: 255, np.uint16: 65535, np.float32: 1.0}[dtype]
    grey = (rng.random((80, 90)) * top).astype(dtype)
    colour = np.repeat(grey[:, :, None], 3, axis=2)
    for pixels in (grey, colour):
        assert fit(pixels, ImageSection(short_side=64)).pixels.shape[2] == 1
        assert fit(pixels, ImageSection(short_side=64, colour="rgb")).pixels.shape[2] == 3


def test_a_batch_is_filled_to_its_largest():
    batch = stacked([_example(96, 128), _example(128, 96)])
    assert batch.shape == (2, 128, 128, 1)
