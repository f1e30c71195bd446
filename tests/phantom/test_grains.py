"""Grain phantoms: the label image is the truth, and the structure has the grain size asked for."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import label as connected

from sorby.errors import InputError
from sorby.phantom import render_grains
from sorby.phantom.grains import GrainPhantom, grain_size_number, grains_per_mm2


def test_grain_size_eight_has_the_grains_per_square_millimetre_of_the_standard() -> None:
    # ASTM E112-13, Table 4: G 8 has 1984.0 grains per mm2 at 1x, G 5 has 248.0.
    assert grains_per_mm2(8) == pytest.approx(1984.0, rel=0.002)
    assert grains_per_mm2(5) == pytest.approx(248.0, rel=0.002)
    assert grain_size_number(grains_per_mm2(6.5)) == pytest.approx(6.5, abs=1e-9)


@pytest.mark.parametrize("wanted", [4.0, 8.0, 11.0])
def test_fields_of_a_structure_have_its_grain_size_on_average(wanted: float) -> None:
    found = [render_grains(wanted, seed, size_px=384).grain_size_g for seed in range(16)]
    # One field scatters by .03, the mean of 16 by less than .01: .03 is three standard errors and more.
    assert np.mean(found) == pytest.approx(wanted, abs=0.03)


def test_every_grain_is_one_connected_piece_and_no_pixel_is_without_one() -> None:
    phantom = render_grains(7, 3)
    assert phantom.labels.min() == 1
    assert int(connected(phantom.labels, connectivity=1).max()) == phantom.sections


def test_quarters_count_in_the_corners_and_halves_on_the_sides() -> None:
    # A 3 x 3 chequer of equal grains: 1 inner + 4 halves + 4 quarters = 4 whole grains.
    labels = np.kron(np.arange(1, 10).reshape(3, 3), np.ones((20, 20))).astype(np.int32)
    some = np.zeros(labels.shape, dtype=bool)
    chequer = GrainPhantom(labels.astype(np.uint8), labels, some, some, some, ~some, 10.0, 0.0, 0)
    assert chequer.count == pytest.approx(4.0)
    assert chequer.area_mm2 == pytest.approx(0.36)
    # Each row and each column of 60 pixels crosses two boundaries: 59 steps of 10 um for 2 intercepts.
    assert chequer.mean_intercept_um == pytest.approx(295.0)


def test_grain_size_does_not_depend_on_the_magnification_it_is_seen_at() -> None:
    near = np.mean([render_grains(8, seed, pixel_size_um=0.4).grain_size_g for seed in range(8)])
    far = np.mean([render_grains(8, seed, pixel_size_um=0.8).grain_size_g for seed in range(8)])
    assert near == pytest.approx(far, abs=0.06)  # 80 and 330 grains a field: standard error about .02


def test_boundaries_are_darker_than_grains_where_etched_and_not_where_missing() -> None:
    phantom = render_grains(8, 5, missing=0.3, grain_contrast=0.0, noise=0.0)
    inside = phantom.pixels[~phantom.boundary].mean()
    assert phantom.pixels[phantom.etched].mean() < inside - 15
    assert phantom.pixels[phantom.boundary & ~phantom.etched].mean() > inside - 15
    assert phantom.truth()["boundary_etched_share"] == pytest.approx(0.7, abs=0.08)


def test_twins_darken_lines_but_change_no_grain() -> None:
    plain, twinned = render_grains(8, 2, grain_contrast=0.0), render_grains(8, 2, grain_contrast=0.0, twins=0.6)
    assert np.array_equal(plain.labels, twinned.labels)
    assert twinned.twins.sum() > 500
    assert twinned.pixels[twinned.twins].mean() < plain.pixels[twinned.twins].mean() - 15


def test_the_same_seed_gives_the_same_pixels_and_another_seed_other_ones() -> None:
    first, again, other = (render_grains(8, seed, size_px=128) for seed in (1, 1, 2))
    assert np.array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels, other.pixels)


def test_a_pixel_size_that_cannot_show_the_grains_is_refused() -> None:
    with pytest.raises(InputError, match="grains"):
        render_grains(12, 0, pixel_size_um=2.0)
    with pytest.raises(InputError, match="grains"):
        render_grains(1, 0, pixel_size_um=0.2)
