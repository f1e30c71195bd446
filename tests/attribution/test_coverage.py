"""Coverage on maps whose areas and energies can be counted."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.attribution import coverage
from sorby.errors import InputError


def block(top: int, left: int, height: int, width: int) -> np.ndarray:
    """Ones in a rectangle of a 20 x 20 field."""
    field = np.zeros((20, 20))
    field[top : top + height, left : left + width] = 1
    return field


def test_the_area_of_activation_is_the_share_above_half_the_peak():
    ramp = np.tile((np.arange(20) + 1) / 20, (20, 1))
    found = coverage(np.stack([block(0, 0, 10, 10), ramp, np.ones((20, 20))]))
    np.testing.assert_allclose(found.area, [0.25, 0.55, 1.0])
    np.testing.assert_allclose(coverage(7 * ramp).area, [0.55])  # the scale does not matter
    np.testing.assert_allclose(coverage(ramp, level=0.9).area, [0.15])


def test_an_even_map_prefers_no_cue():
    found = coverage(np.full((20, 20), 0.3), block(2, 3, 5, 8))
    np.testing.assert_allclose(found.inside, 40 / 400)
    np.testing.assert_allclose(found.lift, 1.0)


def test_the_energy_inside_a_cue_and_the_overlap_are_counted():
    cam, mask = block(0, 0, 10, 10), block(0, 5, 10, 10)
    found = coverage(cam, mask)
    np.testing.assert_allclose(found.inside, 0.5)
    np.testing.assert_allclose(found.overlap, 50 / 150)
    np.testing.assert_allclose(found.mask_area, 0.25)
    np.testing.assert_allclose(found.lift, 2.0)


def test_the_pointing_game_allows_a_tolerance_in_pixels():
    cam = np.zeros((20, 20))
    cam[10, 10] = 1
    mask = block(7, 14, 3, 3)  # nearest mask pixel: 1 row, 4 columns away
    assert not coverage(cam, mask, tolerance_px=4.1).hit[0]
    assert coverage(cam, mask, tolerance_px=4.2).hit[0]
    assert coverage(cam, block(9, 9, 3, 3)).hit[0]
    np.testing.assert_array_equal(coverage(cam).peak_yx, [[10, 10]])


def test_a_blank_map_and_an_empty_mask_have_no_share():
    found = coverage(
        np.stack([np.zeros((20, 20)), block(0, 0, 2, 2)]), np.stack([block(0, 0, 2, 2), np.zeros((20, 20))])
    )
    np.testing.assert_array_equal(found.blank, [True, False])
    assert found.area[0] == 0
    assert np.isnan(found.inside[0])
    assert found.inside[1] == 0
    assert np.isnan(found.lift).all()
    assert not found.hit.any()


def test_turning_map_and_mask_together_changes_nothing(rng):
    cams, masks = rng.random((4, 20, 30)), rng.random((4, 20, 30)) > 0.7
    upright = coverage(cams, masks, tolerance_px=1.0)
    turned = coverage(np.rot90(cams, axes=(1, 2)), np.rot90(masks, axes=(1, 2)), tolerance_px=1.0)
    for name in ("area", "inside", "lift", "overlap", "hit"):
        np.testing.assert_allclose(getattr(turned, name), getattr(upright, name))


@pytest.mark.parametrize("cam", [np.full((5, 5), -1.0), np.full((5, 5), np.nan), np.zeros(5)])
def test_a_signed_or_broken_map_is_refused(cam):
    with pytest.raises(InputError, match="non-negative"):
        coverage(cam)


def test_a_mask_of_another_resolution_is_refused():
    with pytest.raises(InputError, match="do not fit"):
        coverage(np.ones((5, 5)), np.ones((10, 10)))
