"""Cues of a surface: drawn lines and spots whose answers are known, and phantoms whose grinding is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from sorby.errors import InputError
from sorby.measure.surface_texture import pooled_texture, surface_texture
from sorby.phantom.corrosion import CorrosionSpecimen, FieldPlan, render


def stripes(angle_deg: float, size: int = 200, spacing: float = 12.0) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    across = -x * np.sin(np.radians(angle_deg)) + y * np.cos(np.radians(angle_deg))
    return (127 + 80 * np.sin(2 * np.pi * across / spacing)).astype(np.uint8)


def apart(a: float, b: float) -> float:
    gap = abs(a - b) % 180
    return min(gap, 180 - gap)


@pytest.mark.parametrize("angle", [0, 31, 90, 137])
def test_stripes_have_their_direction(angle: float) -> None:
    found = surface_texture(stripes(angle), 1.0)
    assert found.cue == "linear"
    assert found.anisotropy > 0.95
    assert apart(found.direction_deg, angle) < 1.0  # sampling of a sine on square pixels


def test_a_turned_picture_turns_the_direction_and_nothing_else() -> None:
    picture = stripes(31)
    before, after = surface_texture(picture, 1.0), surface_texture(np.rot90(picture).copy(), 1.0)
    # Rows grow downwards, so a quarter turn to the left takes 90 degrees off.
    assert apart(after.direction_deg, before.direction_deg - 90) < 0.5
    assert after.anisotropy == pytest.approx(before.anisotropy, abs=1e-3)


def test_noise_has_no_direction(rng: np.random.Generator) -> None:
    noise = np.clip(rng.normal(128, 40, (300, 300)), 0, 255).astype(np.uint8)
    assert surface_texture(noise, 1.0).anisotropy < 0.1


def test_spots_are_counted_and_stripes_are_none() -> None:
    places = np.zeros((240, 240))
    places[20::40, 20::40] = 1.0
    spots = gaussian_filter(places, 3.0)
    picture = (200 - 150 * spots / spots.max()).astype(np.uint8)
    found = surface_texture(picture, 1.0)
    assert found.blobs_per_mm2 * 0.228**2 == pytest.approx(36)  # a margin of 6 um is looked at by nobody
    # The determinant answers most strongly at the spot's own width: a diameter of 2 sqrt(2) sigma, between two scales.
    assert 0.7 < found.blob_um / (2 * np.sqrt(2) * 3.0) < 1.5
    assert surface_texture(stripes(31), 1.0).blobs_per_mm2 == 0


def test_the_answer_does_not_depend_on_the_pixel_size() -> None:
    coarse = surface_texture(stripes(31, 200, 12.0), 1.0)
    fine = surface_texture(stripes(31, 400, 24.0), 0.5)
    assert apart(coarse.direction_deg, fine.direction_deg) < 1.0
    assert fine.anisotropy == pytest.approx(coarse.anisotropy, abs=0.03)


def test_grinding_of_phantom_steel_is_found_and_spots_follow_the_attack() -> None:
    shares, seen = [], []
    for seed, severity in ((1, 0), (2, 1), (3, 1), (4, 2), (5, 3), (6, 4)):
        coupon = CorrosionSpecimen.draw(seed, "316L", severity=severity)
        view = render(coupon, FieldPlan(1, coupon.hours), (225, 225))
        found = surface_texture(view.pixels, view.pixel_size_um)
        shares.append(view.attacked_fraction)
        seen.append(found.attacked_share)
        if severity < 3:  # past that, attack hides the strides
            assert found.cue == "linear"
            assert apart(found.direction_deg, float(np.degrees(coupon.appearance.grind_angle))) < 8.0
    # Order, not scale: phantoms of one magnification differ in contrast and focus.
    assert np.corrcoef(np.argsort(np.argsort(shares)), np.argsort(np.argsort(seen)))[0, 1] > 0.8


def test_the_reading_names_what_was_found() -> None:
    assert surface_texture(stripes(31), 1.0).reading == "linear, 0.99 along 31 deg"
    flat = surface_texture(np.full((64, 64), 90, np.uint8), 1.0)
    assert flat.cue == "plain"
    assert flat.anisotropy == 0


def test_parts_that_agree_make_a_line_and_crossed_ones_none() -> None:
    one, other = surface_texture(stripes(20), 1.0), surface_texture(stripes(110), 1.0)
    assert apart(pooled_texture([one, one]).direction_deg, 20) < 1.0
    assert pooled_texture([one, other]).anisotropy < 0.05
    with pytest.raises(InputError, match="no part"):
        pooled_texture([])


def test_what_cannot_be_told_is_refused() -> None:
    with pytest.raises(InputError, match="pixel size of 0 um"):
        surface_texture(stripes(0), 0.0)
    with pytest.raises(InputError, match="too little surface"):
        surface_texture(stripes(0, 20), 1.0)
    with pytest.raises(InputError, match="too little surface"):
        surface_texture(stripes(0), 1.0, np.zeros((200, 200), bool))


def test_depth_is_reduced_before_looking() -> None:
    deep = stripes(31).astype(np.uint16) * 257
    assert apart(surface_texture(deep, 1.0).direction_deg, 31) < 1.0
