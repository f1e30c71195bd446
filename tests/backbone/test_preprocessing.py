"""Shading: what uneven light does to an image is taken out, a defect stays."""

import numpy as np

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
