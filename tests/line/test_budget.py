"""The paper's arithmetic on line speed, recomputed (Yan et al. 2023), and the model that fits its totals better."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.errors import InputError
from sorby.line.budget import line_need, parse_sheet, parse_speed, published_estimates, tiles_along
from sorby.line.timing import difference_note, fit_timing, proportional_s

INCH = 25.4


def test_equation_1_on_the_printed_numbers() -> None:
    assert proportional_s(4181, 75, 1.6) == pytest.approx(89.19, abs=0.005)
    assert proportional_s(4181, 75, 1.64) == pytest.approx(91.42, abs=0.005)
    assert proportional_s(4181, 75, 1.37) == pytest.approx(76.37, abs=0.005)
    assert proportional_s(104, 75, 1.6) == pytest.approx(2.219, abs=0.0005)
    assert proportional_s(46219, 1, 0.04) / 60 == pytest.approx(30.81, abs=0.005)
    assert proportional_s(18, 1, 0.04) == pytest.approx(0.72)
    share = 75**2 / (4 * 8 * 11 * INCH**2)
    assert share * 4181 == pytest.approx(103.6, abs=0.05)


def test_four_sheets_at_ten_feet_a_minute_leave_22_seconds_and_5_26_ms_a_tile() -> None:
    need = line_need(8 * INCH, 44 * INCH, 34.0, parse_speed("10 ft/min"), tiles=4181)
    assert need.seconds == pytest.approx(22.0)
    assert need.ms_per_tile == pytest.approx(5.26, abs=0.005)
    assert need.tiles_per_s == pytest.approx(190, abs=0.5)
    # 190 tiles of 224 x 224 pixels are 9.5 million pixels a second; the web itself brings a little less, for the
    # outermost tiles reach beyond it.
    assert need.mpix_per_s_tiles == pytest.approx(9.5, abs=0.05)
    assert need.mpix_per_s < need.mpix_per_s_tiles


def test_lanes_share_the_width() -> None:
    one = line_need(200, 280, 34, 3.0)
    four = line_need(200, 280, 34, 3.0, lanes=4)
    assert four.ms_per_tile == pytest.approx(4 * one.ms_per_tile)
    assert four.mpix_per_s == pytest.approx(one.mpix_per_s / 4)
    assert four.lines_per_s == one.lines_per_s


def test_tiles_cover_border_and_overlap() -> None:
    assert tiles_along(224, 224, 224) == 1
    assert tiles_along(225, 224, 224) == 2
    assert tiles_along(448, 224, 112) == 3
    assert tiles_along(100, 224, 224) == 1
    assert line_need(8 * INCH, 11 * INCH, 34.0, 3.0).tiles == 27 * 37
    with pytest.raises(InputError, match="not below"):
        line_need(200, 280, 34, 3.0, overlap_px=224)


@pytest.mark.parametrize(
    ("text", "m_per_min"),
    [("10 ft/min", 3.048), ("3 m/min", 3), ("50 mm/s", 3), ("120in/min", 3.048), ("60 m per h", 1)],
)
def test_speeds(text: str, m_per_min: float) -> None:
    assert parse_speed(text) == pytest.approx(m_per_min)


@pytest.mark.parametrize("text", ["", "fast", "10", "10 ft", "0 ft/min", "-3 m/min", "10 parsec/min"])
def test_what_is_no_speed_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no speed"):
        parse_speed(text)


def test_sheets() -> None:
    assert parse_sheet("8x11in") == pytest.approx((203.2, 279.4))
    assert parse_sheet("20 x 28 cm") == pytest.approx((200, 280))
    with pytest.raises(InputError, match="no size"):
        parse_sheet("8x11")


def test_the_published_totals_fit_a_fixed_and_a_linear_part() -> None:
    """Totals of Table 1 with 100 features: 1.09, 3.99 and 10.78 s for 72, 324 and 900 tiles."""
    tiles, seconds = np.array([72, 324, 900]), np.array([1.09, 3.99, 10.78])
    assert np.round(1000 * seconds / tiles, 1).tolist() == [15.1, 12.3, 12.0]
    model = fit_timing(tiles.tolist(), seconds.tolist())
    assert np.allclose([model.predict(n) for n in tiles], seconds, atol=0.05)  # the totals are printed to 0.01 s
    assert 1000 * model.each_s == pytest.approx(11.7, abs=0.1)
    assert model.fixed_s > 0
    assert model.predict(4181) == pytest.approx(49, abs=1)  # still 2.2 times the 22 s there are
    assert proportional_s(4181, 72, 1.09) == pytest.approx(63.3, abs=0.05)
    assert "do not grow" in difference_note(4181, 72, 1.09, model)
    assert difference_note(4181, 900, 10.78, model) == ""


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    n, covered = np.array([10, 50, 100, 200, 400]), 0
    for _ in range(400):
        model = fit_timing(n.tolist(), (0.3 + 0.01 * n + rng.normal(0, 0.02, 5)).tolist())
        interval = model.interval(1000)
        assert interval is not None
        covered += interval[0] <= 10.3 <= interval[1]
    assert covered == pytest.approx(380, abs=20)  # binomial sd 4.4


def test_measurements_that_give_no_line_are_refused() -> None:
    for n, seconds in (([10, 10], [1, 1]), ([10], [1]), ([10, 20], [1]), ([0, 20], [1, 2])):
        with pytest.raises(InputError):
            fit_timing(n, seconds)
    assert fit_timing([10, 20], [1, 2]).interval(30) is None


def test_published_figures_stand_beside_what_their_own_numbers_give() -> None:
    rows = {row["what"]: row for row in published_estimates()}
    assert rows["18 crops of a sheet of scratches at .04 s"]["recomputed_s"] == pytest.approx(0.72)
    assert rows["104 tiles of 75 x 75 mm"]["recomputed_s"] == pytest.approx(2.219)
