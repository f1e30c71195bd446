"""Means over repeats against values worked by hand, and the published tables' way of printing."""

import math

import numpy as np
import pytest

from sorby.errors import InputError
from sorby.evidence.repeat_intervals import beside_published, each_over_repeats, implied_sd, over_repeats


def spread_to(mean, sd, n):
    """n values with exactly this mean and sample standard deviation."""
    values = np.linspace(-1, 1, n)
    return mean + sd * values / values.std(ddof=1)


def test_both_margins_of_four_values_worked_by_hand():
    found = over_repeats([1, 2, 3, 4])
    assert found.mean == 2.5
    assert found.sd == pytest.approx(math.sqrt(5 / 3))
    assert found.t_margin == pytest.approx(3.182446 * math.sqrt(5 / 3) / 2, rel=1e-6)  # t(.975, 3) from tables
    assert found.z_margin == pytest.approx(1.96 * math.sqrt(5 / 4) / 2)


def test_the_z_form_is_narrower_and_nears_the_t_form_with_many_repeats():
    few, many = over_repeats(spread_to(0.3, 0.1, 5)), over_repeats(spread_to(0.3, 0.1, 3000))
    assert few.z_margin < 0.65 * few.t_margin
    assert many.z_margin == pytest.approx(many.t_margin, rel=2e-3)


@pytest.mark.parametrize(
    ("mean", "margin", "words"),
    [(33.6, 2.8, "33.6 ± 2.8"), (65.3, 5.1, "65.3 ± 5.1"), (40.3, 1.3, "40.3 ± 1.3"), (2.0, 1.6, "2.0 ± 1.6")],
)
def test_thirty_repeats_with_the_published_mean_and_margin_print_as_published(mean, margin, words):
    # Yan et al. (2023), tables 5 and 6. Either form may be theirs; the spread implied by it leads back to the margin.
    for form, sd in implied_sd(margin, 30).items():
        assert over_repeats(spread_to(mean / 100, sd / 100, 30)).printed(form) == words


def test_repeats_without_the_class_are_left_out_and_counted():
    found = over_repeats([0.2, None, 0.4, math.nan])
    assert (found.mean, found.n, found.undefined) == (pytest.approx(0.3), 2, 2)
    assert "not defined in 2 of 4 repeats" in found.as_dict()["note"]


def test_one_repeat_has_no_interval():
    found = over_repeats([0.5]).as_dict()
    assert found["ci95"] is None
    assert found["sd"] is None
    assert over_repeats([0.5]).printed() == "50.0"


def test_the_interval_says_that_repeats_share_their_test_images():
    assert "test images are the same" in over_repeats([0.1, 0.2]).as_dict()["note"]


def test_figures_that_all_repeats_have_are_gathered():
    found = each_over_repeats([{"ap": 0.1, "ap50": 0.3}, {"ap": 0.2, "ap50": None, "odd": 1.0}])
    assert list(found) == ["ap", "ap50"]
    assert found["ap"].mean == pytest.approx(0.15)
    assert found["ap50"].undefined == 1


def test_t_intervals_hold_the_mean_as_often_as_they_say():
    # 2,000 trials of 5 normal repeats: 95 % with a standard deviation of .5 %; three of these either way.
    draws = np.random.default_rng(6).normal(0, 1, (2000, 5))
    held = np.mean([abs(each.mean) <= each.t_margin for each in map(over_repeats, draws)])
    held_z = np.mean([abs(each.mean) <= each.z_margin for each in map(over_repeats, draws)])
    assert held == pytest.approx(0.95, abs=0.015)
    assert held_z < 0.89  # of five repeats the z form is far too narrow


def test_the_same_numbers_beside_themselves_differ_by_nothing_with_a_wider_margin():
    ours = over_repeats(spread_to(0.336, implied_sd(0.028, 30)["t"], 30))
    found = beside_published(ours, 0.336, 0.028, 30)
    assert found.difference == pytest.approx(0)
    # Two equal variances: sqrt(2) wider, less the little that more degrees of freedom give.
    assert found.margin == pytest.approx(math.sqrt(2) * 0.028, rel=0.03)


def test_no_repeat_is_refused():
    for call in (lambda: over_repeats([]), lambda: each_over_repeats([]), lambda: implied_sd(1.0, 1)):
        with pytest.raises(InputError):
            call()
