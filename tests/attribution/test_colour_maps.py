"""The six colour maps: brighter is more, from end to end, and each is a colour of its own."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.attribution.colour_maps import (
    COLOUR_MAPS,
    LEVELS,
    coloured,
    colours,
    lab_to_srgb,
    lightness,
    map_for_layer,
)
from sorby.errors import InputError

NAMES = list(COLOUR_MAPS)


def test_the_six_published_names_in_their_order() -> None:
    assert NAMES == ["blue_RGB", "aqua", "moonlight", "bronze", "red_lava", "bone"]


@pytest.mark.parametrize("name", NAMES)
def test_lightness_rises_from_dark_to_light(name: str) -> None:
    level = lightness(colours(name))
    # Rounding to 8 bits may leave two steps alike, never turn one round.
    assert (np.diff(level) >= 0).all()
    assert level[0] < 10
    assert level[-1] > 94
    assert (level[8:] - level[:-8] > 0).all()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "bone"])
def test_equal_steps_of_the_value_are_equal_steps_of_lightness(name: str) -> None:
    level = lightness(colours(name))
    # One of 255 steps of a channel changes lightness by up to .8 where it is darkest.
    np.testing.assert_allclose(level, np.linspace(level[0], level[-1], LEVELS), atol=0.9)


def test_bone_is_black_and_white_with_a_steep_middle() -> None:
    rgb = colours("bone").astype(int)
    assert (np.ptp(rgb, axis=1) <= 12).all()
    level = lightness(colours("bone"))
    assert level[170] - level[85] > 0.75 * (level[-1] - level[0])


def test_maps_have_the_colours_of_their_names() -> None:
    red, green, blue = range(3)
    middle = {name: colours(name)[110].astype(int) for name in NAMES}
    assert middle["blue_RGB"].argmax() == blue
    assert middle["moonlight"].argmax() == blue
    assert middle["aqua"][red] < min(middle["aqua"][green], middle["aqua"][blue])
    for name in ("bronze", "red_lava"):
        assert middle[name][red] > middle[name][green] > middle[name][blue]
    apart = [np.abs(a - b).sum() for k, a in enumerate(middle.values()) for b in list(middle.values())[:k]]
    assert min(apart) > 30


def test_colour_science_agrees_with_published_values() -> None:
    # sRGB primaries in CIELAB under D65 (B. Lindbloom): red is 53.24, 80.09, 67.20.
    np.testing.assert_allclose(lab_to_srgb(np.array([53.2408, 80.0925, 67.2032])), [1, 0, 0], atol=2e-3)
    np.testing.assert_allclose(lightness(np.array([255, 0, 0], np.uint8)), 53.24, atol=0.01)
    np.testing.assert_allclose(lightness(np.array([[0] * 3, [255] * 3, [119] * 3], np.uint8)), [0, 100, 50.0], atol=0.1)


def test_layers_have_their_published_maps_and_others_take_turns() -> None:
    assert [map_for_layer(k) for k in (3, 5, 7, 8, 1, 4)] == NAMES
    assert {map_for_layer(k) for k in range(9, 15)} == set(NAMES)


def test_values_beyond_the_ends_take_the_end_s_colour() -> None:
    found = coloured(np.array([[-1.0, 0.0, 1.0, 2.0]]), "aqua")
    assert found.shape == (1, 4, 3)
    np.testing.assert_array_equal(found[0, [0, 3]], colours("aqua")[[0, -1]])
    with pytest.raises(InputError, match="no colour map named 'jet'"):
        colours("jet")
