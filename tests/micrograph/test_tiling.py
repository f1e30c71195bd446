"""Tiles cover the image, are equal, and give it back to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorby.micrograph import Tiler, aggregate


@st.composite
def tilers(draw):
    overlap = (draw(st.integers(0, 9)), draw(st.integers(0, 9)))
    if draw(st.booleans()):
        return Tiler.fixed_grid(draw(st.integers(1, 6)), draw(st.integers(1, 6)), overlap=overlap)
    height = draw(st.integers(overlap[0] + 1, 40))
    width = draw(st.integers(overlap[1] + 1, 40))
    return Tiler.fixed_pixels(height, width, overlap=overlap, edge=draw(st.sampled_from(["shift", "mirror"])))


@given(tilers(), st.integers(6, 60), st.integers(6, 60), st.sampled_from(["u1", "u2", "f4", "f8"]), st.booleans())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_untiling_gives_the_image_back_exactly(tiler, height, width, dtype, colour):
    rng = np.random.default_rng(height * 100 + width)
    image = (rng.random((height, width, 3) if colour else (height, width)) * 250).astype(dtype)
    plan = tiler.plan(height, width)
    tiles = tiler.tiles(image)
    assert tiles.shape[:3] == (plan.grid[0] * plan.grid[1], *plan.tile)
    for blend in ("mean", "max"):
        back = tiler.untile(tiles, (height, width), blend=blend)
        assert back.dtype == image.dtype
        np.testing.assert_array_equal(back, image)


@given(tilers(), st.integers(6, 60), st.integers(6, 60))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_neighbours_share_at_least_the_overlap(tiler, height, width):
    plan = tiler.plan(height, width)
    for axis in (0, 1):
        starts = np.unique(plan.boxes[:, axis])
        shared = plan.tile[axis] - np.diff(starts)
        # a fixed grid rounds its starts, which costs one pixel at the most
        assert (shared >= min(tiler.overlap[axis], plan.tile[axis]) - (tiler.grid is not None)).all()


def test_fixed_pixels_move_the_last_tile_inwards_mirror_it_or_drop_it():
    def lefts(edge):
        return np.unique(Tiler.fixed_pixels(4, 4, edge=edge).plan(4, 10).boxes[:, 1]).tolist()

    assert lefts("shift") == [0, 4, 6]
    assert lefts("mirror") == [0, 4, 8]
    assert lefts("drop") == [0, 4]
    row = np.tile(np.arange(10, dtype=np.uint8), (4, 1))
    last = Tiler.fixed_pixels(4, 4, edge="mirror").tiles(row)[-1]
    assert last[0].tolist() == [8, 9, 8, 7]


def test_the_published_grids_divide_their_images_without_rest():
    plan = Tiler.fixed_pixels(128, 128).plan(1024, 1536)
    assert (plan.grid, len(plan)) == ((8, 12), 96)
    plan = Tiler.fixed_grid(3, 3).plan(1994, 1994)
    assert plan.tile == (665, 665)
    assert plan.boxes[-1].tolist() == [1329, 1329, 1994, 1994]


def test_an_image_smaller_than_a_tile_is_mirrored_or_gives_no_tile():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    tiler = Tiler.fixed_pixels(8, 8)
    np.testing.assert_array_equal(tiler.untile(tiler.tiles(image), (3, 4)), image)
    assert len(Tiler.fixed_pixels(8, 8, edge="drop").plan(3, 4)) == 0


def test_pixels_that_no_tile_covers_are_nan():
    plan = Tiler.fixed_pixels(4, 4, edge="drop").plan(4, 10)
    back = plan.untile(np.ones((2, 4, 4), np.float32))
    assert np.isnan(back[:, 8:]).all()
    assert (back[:, :8] == 1).all()


def test_overlapping_maps_are_averaged_or_their_maximum_taken():
    plan = Tiler.fixed_pixels(1, 4, overlap=(0, 2)).plan(1, 6)
    assert plan.untile_values([1.0, 3.0]).tolist() == [[1, 1, 2, 2, 3, 3]]
    assert plan.untile_values([1.0, 3.0], blend="max").tolist() == [[1, 1, 3, 3, 3, 3]]
    assert plan.untile_values(np.eye(2)).shape == (1, 6, 2)


def test_impossible_tilings_are_refused():
    for arguments in ({}, {"grid": (2, 2), "tile": (4, 4)}):
        with pytest.raises(ValueError, match="either a grid or a tile"):
            Tiler(**arguments)
    with pytest.raises(ValueError, match="smaller than the tile"):
        Tiler.fixed_pixels(4, 4, overlap=4)
    with pytest.raises(ValueError, match="do not fit"):
        Tiler.fixed_grid(5, 1).plan(4, 4)
    with pytest.raises(ValueError, match="edge must be one of"):
        Tiler.fixed_pixels(4, 4, edge="wrap")
    plan = Tiler.fixed_grid(2, 2).plan(4, 4)
    with pytest.raises(ValueError, match="plan is for"):
        plan.tiles(np.zeros((5, 4)))
    with pytest.raises(ValueError, match="expected tiles"):
        plan.untile(np.zeros((3, 2, 2)))


TILES = np.array([[0.9, 0.1, 0.0], [0.4, 0.6, 0.0], [0.2, 0.5, 0.3]])


def test_tile_probabilities_become_the_images_by_mean_max_or_majority():
    np.testing.assert_allclose(aggregate(TILES), [0.5, 0.4, 0.1])
    np.testing.assert_allclose(aggregate(TILES, rule="max"), np.array([0.9, 0.6, 0.3]) / 1.8)
    # the tie break weighs 1e-9
    np.testing.assert_allclose(aggregate(TILES, rule="majority"), [1 / 3, 2 / 3, 0], atol=1e-8)


def test_a_tied_vote_is_decided_by_mean_probability():
    assert aggregate([[0.45, 0.55], [0.9, 0.1]], rule="majority").argmax() == 0
    assert aggregate([[0.1, 0.9], [0.55, 0.45]], rule="majority").argmax() == 1


@pytest.mark.parametrize("rule", ["mean", "max", "majority"])
def test_aggregation_minds_neither_the_order_of_tiles_nor_other_images(rng, rule):
    probabilities = rng.dirichlet(np.ones(4), 60)
    images = rng.integers(0, 5, 60)
    together = aggregate(probabilities, images, rule)
    np.testing.assert_allclose(together.sum(axis=1), 1)
    shuffled = rng.permutation(60)
    np.testing.assert_allclose(aggregate(probabilities[shuffled], images[shuffled], rule), together, atol=1e-12)
    for image in range(5):
        np.testing.assert_allclose(aggregate(probabilities[images == image], rule=rule), together[image], atol=1e-12)


def test_aggregation_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="image 1 has no tile"):
        aggregate(TILES, [0, 0, 2])
    with pytest.raises(ValueError, match="one index"):
        aggregate(TILES, [0, 0])
    with pytest.raises(ValueError, match="tiles, classes"):
        aggregate(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="rule must be one of"):
        aggregate(TILES, rule="median")
