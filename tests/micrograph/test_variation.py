"""Variants of a picture: known moves, no black corners, and what the published image generator may change."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.micrograph.variation import DRAWS, PUBLISHED, Ranges, Variation


def _surface(rng: np.random.Generator, shape: tuple[int, ...] = (60, 60)) -> np.ndarray:
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(rng.normal(size=shape[:2]), 3)
    return (128 + 40 * smooth / np.abs(smooth).max()).astype(np.uint8)


def test_no_change_is_no_change(rng: np.random.Generator) -> None:
    picture = _surface(rng)
    assert (Variation().apply(picture) == picture).all()


def test_turns_flips_and_shifts_by_whole_pixels_move_pixels_only(rng: np.random.Generator) -> None:
    picture = _surface(rng)
    assert (Variation(flip=(True, False)).apply(picture) == picture[::-1]).all()
    assert (Variation(flip=(False, True)).apply(picture) == picture[:, ::-1]).all()
    assert (Variation(rotation_deg=180).apply(picture) == picture[::-1, ::-1]).mean() > 0.999  # rounding of sines
    quarter = Variation(rotation_deg=90).apply(picture)
    assert max((np.rot90(picture, k) == quarter).mean() for k in (1, 3)) > 0.999
    moved = Variation(shift=(0.1, 0.0)).apply(picture)
    assert (moved[6:] == picture[:-6]).mean() > 0.999


def test_zoom_enlarges_about_the_middle() -> None:
    picture = np.zeros((61, 61), np.uint8)
    picture[25:36, 25:36] = 200
    assert (Variation(zoom=2.0).apply(picture) > 100).sum() == pytest.approx(4 * 121, rel=0.1)
    assert (Variation(zoom=0.5).apply(picture) > 100).sum() >= 25


def test_brightness_is_a_factor(rng: np.random.Generator) -> None:
    picture = _surface(rng)
    assert Variation(gain=0.5).apply(picture).mean() == pytest.approx(picture.mean() / 2, abs=0.5)


def test_what_comes_into_view_is_surface_and_not_black(rng: np.random.Generator) -> None:
    picture = _surface(rng)
    for draws in rng.random((50, DRAWS)):
        changed = Variation.drawn(draws, Ranges(brightness=0.0)).apply(picture)
        assert changed.min() >= picture.min()
        # The mean of a few reflected corners differs from the picture's by less than its contrast.
        assert abs(changed.mean() - picture.mean()) < picture.std()


def test_every_kind_of_change_occurs_within_its_range(rng: np.random.Generator) -> None:
    drawn = [Variation.drawn(draws) for draws in rng.random((400, DRAWS))]
    angles = np.array([each.rotation_deg for each in drawn])
    assert angles.min() < -170
    assert angles.max() > 170
    assert {each.flip for each in drawn} == {(a, b) for a in (False, True) for b in (False, True)}
    assert max(abs(each.shift[0]) for each in drawn) <= PUBLISHED.shift
    assert 1 / PUBLISHED.zoom <= min(each.zoom for each in drawn) < 1 < max(each.zoom for each in drawn)
    assert min(each.gain for each in drawn) < 0.9 < 1.1 < max(each.gain for each in drawn)


def test_colour_is_changed_as_one(rng: np.random.Generator) -> None:
    grey = _surface(rng)
    variation = Variation.drawn(rng.random(DRAWS))
    colour = variation.apply(np.stack([grey, grey, grey], axis=-1))
    assert (colour == variation.apply(grey)[..., None]).all()
