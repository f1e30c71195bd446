"""Overlap of maps and cues: known cases, chance by enumeration, and what it must not depend on."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.errors import InputError
from sorby.study import cue_overlap


def _disc(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> np.ndarray:
    y, x = np.indices(shape)
    return np.hypot(y - centre[0], x - centre[1]) <= radius


def test_a_map_that_is_the_cue_overlaps_wholly_and_not_by_chance() -> None:
    mask = _disc((40, 60), (15, 20), 6)
    found = cue_overlap(mask.astype(float), mask)
    assert found.mass.value == pytest.approx(1)
    assert found.iou.value == pytest.approx(1)
    assert found.mass.p == found.iou.p == pytest.approx(1 / mask.size)


def test_an_even_map_has_inside_what_the_cue_covers() -> None:
    mask = _disc((30, 30), (10, 10), 5)
    found = cue_overlap(np.full((30, 30), 3.0), mask)
    assert found.mass.value == pytest.approx(mask.mean())
    assert found.mass.p == 1


def test_by_chance_is_every_shift_counted_out(rng: np.random.Generator) -> None:
    heat, mask = rng.random((7, 9)) ** 4, rng.random((7, 9)) < 0.3
    found = cue_overlap(heat, mask, quantile=0.7)
    hot = (heat > np.quantile(heat, 0.7)) & (heat > 0)
    shifts = [(i, j) for i in range(7) for j in range(9)]
    mass = [np.roll(heat, shift, (0, 1))[mask].sum() / heat.sum() for shift in shifts]
    moved = [np.roll(hot, shift, (0, 1)) for shift in shifts]
    iou = [(each & mask).sum() / (each | mask).sum() for each in moved]
    for measured, counted in ((found.mass, mass), (found.iou, iou)):
        assert measured.value == pytest.approx(counted[0])
        assert measured.chance_mean == pytest.approx(np.mean(counted))
        assert measured.chance_high == pytest.approx(np.quantile(counted, 0.95))
        assert measured.p == pytest.approx(np.mean(np.array(counted) >= counted[0] - 1e-9))
    # Exactly: over all shifts every pixel lies under the mask equally often.
    assert found.mass.chance_mean == pytest.approx(mask.mean())


def test_neither_scale_nor_flip_matters(rng: np.random.Generator) -> None:
    heat, mask = rng.random((20, 24)), _disc((20, 24), (5, 8), 4)
    one, other = cue_overlap(heat, mask), cue_overlap(7 * heat[::-1, ::-1], mask[::-1, ::-1])
    assert one.mass.value == pytest.approx(other.mass.value)
    assert one.iou.p == pytest.approx(other.iou.p)


def test_a_map_beside_the_cue_has_nothing_in_it_and_a_blank_one_says_nothing() -> None:
    mask = _disc((40, 40), (10, 10), 4)
    beside = cue_overlap(_disc((40, 40), (30, 30), 4).astype(float), mask)
    assert beside.mass.value == pytest.approx(0, abs=1e-9)
    assert beside.mass.p == 1
    blank = cue_overlap(np.zeros((40, 40)), mask)
    assert np.isnan(blank.mass.value)
    assert blank.as_dict()["mass"]["value"] is None


@pytest.mark.parametrize(
    ("heat", "mask", "says"),
    [
        (np.zeros((3, 3)), np.zeros((3, 4)), "shape"),
        (-np.ones((3, 3)), np.ones((3, 3)), "not negative"),
        (np.full((3, 3), np.nan), np.ones((3, 3)), "finite"),
    ],
)
def test_maps_and_masks_that_do_not_fit_are_refused(heat: np.ndarray, mask: np.ndarray, says: str) -> None:
    with pytest.raises(InputError, match=says):
        cue_overlap(heat, mask)
