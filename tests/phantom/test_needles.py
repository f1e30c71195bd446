"""Needles: lengths from a stated law, shapes that cover what they should."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.phantom.needles import Lognormal, NeedleTable, largest_mean_um, local_coordinates, ownership


def one_needle(length_um: float, width_um: float, angle: float, size: int) -> NeedleTable:
    def column(value: float) -> np.ndarray:
        return np.array([value], dtype=np.float64)

    whole = np.zeros(1, dtype=np.int64)
    return NeedleTable(
        column(size / 2), column(size / 2), column(length_um), column(width_um), column(angle), whole, whole
    )


def test_lognormal_moments_are_those_of_its_draws(rng: np.random.Generator) -> None:
    law = Lognormal.from_mean(8.0, 0.35)
    drawn = law.draw(200_000, rng)
    # Four standard errors: .35 * 8 / sqrt(2e5) = .006 um.
    assert drawn.mean() == pytest.approx(8.0, abs=0.03)
    assert law.moment(1) == pytest.approx(law.mean_um)
    assert np.square(drawn).mean() == pytest.approx(law.moment(2), rel=0.01)
    assert np.mean(drawn > 11.0) == pytest.approx(law.survival(11.0), abs=0.004)


def test_expected_length_of_the_largest_is_what_sorting_gives(rng: np.random.Generator) -> None:
    fine, coarse = Lognormal(4.0, 0.35), Lognormal(18.0, 0.3)
    drawn = np.concatenate([fine.draw(297_000, rng), coarse.draw(3_000, rng)])
    largest = np.sort(drawn)[-6000:].mean()  # 2 %
    assert largest_mean_um([(0.99, fine), (0.01, coarse)], 0.02) == pytest.approx(largest, rel=0.01)


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 2, 2.5])
def test_a_drawn_needle_has_its_length_at_any_angle(angle: float) -> None:
    needle = one_needle(60.0, 8.0, angle, 200)
    row, column = np.nonzero(ownership(needle, (200, 200), 0.5))
    along = (column + 0.5 - 100) * np.cos(angle) + (row + 0.5 - 100) * np.sin(angle)
    # 60 um at .5 um a pixel are 120 pixels; the tips are thinner than a pixel.
    assert np.ptp(along) == pytest.approx(120, abs=6)
    across = (row + 0.5 - 100) * np.cos(angle) - (column + 0.5 - 100) * np.sin(angle)
    assert np.ptp(across) == pytest.approx(16, abs=2)


def test_local_coordinates_run_from_tip_to_tip_and_edge_to_edge() -> None:
    needle = one_needle(60.0, 8.0, 0.7, 200)
    owner = ownership(needle, (200, 200), 0.5)
    along, across = local_coordinates(owner, needle, 0.5)
    assert np.abs(along).max() == pytest.approx(1.0, abs=0.05)
    assert np.abs(across).max() == pytest.approx(1.0, abs=0.12)  # half a pixel on a half width of eight
    assert along.mean() == pytest.approx(0.0, abs=0.02)


def test_the_later_needle_lies_on_top() -> None:
    lying = one_needle(60.0, 8.0, 0.0, 200)
    both = NeedleTable(**{k: np.concatenate([v, v]) for k, v in lying.columns().items()})
    both.angle[1] = np.pi / 2
    owner = ownership(both, (200, 200), 0.5)
    assert owner[100, 100] == 2
    assert owner[100, 60] == 1
    assert owner[0, 0] == 0


def test_centres_count_only_inside_the_mask() -> None:
    needles = one_needle(5.0, 1.0, 0.0, 20)
    mask = np.zeros((20, 20), dtype=bool)
    assert not needles.centred_in(mask).any()
    mask[10, 10] = True
    assert needles.centred_in(mask).all()
    needles.x_px[:] = -3.0
    assert not needles.centred_in(np.ones((20, 20), dtype=bool)).any()
