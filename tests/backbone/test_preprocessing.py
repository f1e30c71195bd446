"""Shading: what uneven light does to an image is taken out, a defect stays. Info bars: the picture alone is seen."""

import numpy as np
import pytest

from info_bars import picture, with_bar
from sorby.backbone.preprocessing import Preprocessing, flat_field


def test_a_flat_field_undoes_uneven_light_and_exposure_but_keeps_a_spot() -> None:
    rng = np.random.default_rng(0)
    surface = rng.normal(150, 5, (128, 128))
    surface[60:66, 60:66] = 60
    ramp = np.linspace(0.3, 1.0, 128)
    even, shaded = flat_field(surface.astype(np.uint8)), flat_field((surface * ramp).astype(np.uint8))
    inside = slice(16, -16)  # a smooth mean bends at the border
    assert (
        np.corrcoef(even[inside, inside].ravel(), shaded[inside, inside].ravel())[0, 1] > 0.9
    )  # the dark side keeps fewer grey levels
    left, right = shaded[inside, 16:40].mean(), shaded[inside, 88:112].mean()
    assert abs(left - right) < 0.05 * right
    assert shaded[60:66, 60:66].mean() < 0.6 * shaded[inside, inside].mean()


def test_shading_is_a_setting_that_changes_pixels_and_key_only_where_asked_for() -> None:
    pixels = np.tile(np.linspace(40, 220, 64).astype(np.uint8), (64, 1))
    plain, flat = Preprocessing(height=64, width=64), Preprocessing(height=64, width=64, shading="flat")
    assert plain.key != flat.key
    assert plain.key == Preprocessing(height=64, width=64, shading="none").key
    np.testing.assert_array_equal(plain.prepare(pixels)[..., 0], pixels)
    assert np.ptp(flat.prepare(pixels)[:, 8:-8].astype(float)) < 0.5 * np.ptp(pixels[:, 8:-8].astype(float))


@pytest.mark.parametrize("top", [False, True])
def test_a_bar_that_is_found_leaves_no_trace_in_the_networks_pixels(top: bool) -> None:
    rule = Preprocessing(height=64, width=96, info_bar="found")
    barred = with_bar("light", top=top).pixels
    np.testing.assert_array_equal(rule.prepare(barred), rule.prepare(picture()))
    assert rule.window(barred) == (52 if top else 0, 0, *picture().shape)
    assert (rule.prepare(barred) != Preprocessing(height=64, width=96).prepare(barred)).any()


def test_the_fixed_share_is_cut_bar_or_no_bar() -> None:
    rule = Preprocessing(height=64, width=96, info_bar="fixed")
    assert rule.window(picture()) == (0, 0, 640 - round(0.09 * 640), 960)


def test_taking_bars_off_changes_the_key_only_where_asked_for() -> None:
    keys = {Preprocessing(info_bar=how).key for how in ("keep", "found", "fixed")}
    assert len(keys) == 3
    assert Preprocessing(info_bar="keep").key == Preprocessing().key
