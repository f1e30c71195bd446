"""Attribute agreement: the cross tables of the manual's example, exact intervals, gaps and trials."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from sorby.errors import InputError
from sorby.evidence.appraisers import attribute_agreement, band, exact_proportion

# The example of the MSA manual, 50 parts x 3 trials: ratings of each appraiser against the reference as counts
# (0 called 0, 0 called 1, 1 called 0, 1 called 1), 0 being a bad part.
MANUAL = {"A": (45, 3, 5, 97), "B": (45, 3, 2, 100), "C": (42, 6, 9, 93)}
KAPPA = {"A": 0.88, "B": 0.92, "C": 0.77}
MISSES = {"A": 0.063, "B": 0.063, "C": 0.125}
FALSE_ALARMS = {"A": 0.049, "B": 0.020, "C": 0.088}


def _from_counts(counts: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Lay pooled ratings out as 150 items of one trial: miss rates and kappa pool trials anyhow."""
    truth = np.repeat([0, 0, 1, 1], counts)
    called = np.repeat([0, 1, 0, 1], counts)
    return called, truth


@pytest.mark.parametrize("name", MANUAL)
def test_the_manuals_kappa_miss_rate_and_false_alarm_rate(name: str) -> None:
    called, truth = _from_counts(MANUAL[name])
    found = attribute_agreement(called[:, None, None], truth, appraisers=[name], bad=[0]).appraisers[0]
    assert found.kappa is not None
    assert found.miss_rate is not None
    assert found.false_alarm_rate is not None
    # Printed to two and three digits.
    assert found.kappa.value == pytest.approx(KAPPA[name], abs=0.005)
    assert found.miss_rate.value == pytest.approx(MISSES[name], abs=0.0006)
    assert found.false_alarm_rate.value == pytest.approx(FALSE_ALARMS[name], abs=0.0006)


def test_the_manuals_limits_are_rules_of_thumb_in_three_bands() -> None:
    # Effectiveness of the manual's three appraisers: 84, 90 and 80 %.
    assert [band(value, (0.9, 0.8)) for value in (0.84, 0.9, 0.8, 0.79)] == [
        "marginal", "acceptable", "marginal", "unacceptable"]  # fmt: skip
    assert [band(value, (0.02, 0.05), low_is_good=True) for value in (0.02, 0.05, 0.063)] == [
        "acceptable", "marginal", "unacceptable"]  # fmt: skip
    assert band(float("nan"), (0.9, 0.8)) == "not defined"


@pytest.mark.parametrize(("hits", "n"), [(0, 12), (12, 12), (42, 50), (1, 3)])
def test_intervals_are_clopper_pearsons(hits: int, n: int) -> None:
    expected = binomtest(hits, n).proportion_ci(method="exact")
    assert exact_proportion(hits, n).ci95 == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_agreement_within_with_and_between_is_counted_by_item() -> None:
    standard = ["ok", "ok", "nok", "nok"]
    ratings = np.array(
        [
            [["ok", "ok"], ["ok", "ok"]],  # all right
            [["ok", "nok"], ["ok", "ok"]],  # the first contradicts himself
            [["ok", "ok"], ["nok", "nok"]],  # the first is steadily wrong
            [["nok", "nok"], ["nok", "nok"]],
        ],
        dtype=object,
    )
    found = attribute_agreement(ratings, standard, appraisers=["first", "second"], bad=["nok"])
    first, second = found.appraisers
    assert (first.within.value, second.within.value) == (0.75, 1.0)
    assert (first.with_standard.value, second.with_standard.value) == (0.5, 1.0)
    assert (first.mixed.value, second.mixed.value) == (0.25, 0.0)
    assert found.between.value == found.all_with_standard.value == 0.5
    assert first.miss_rate is not None
    assert first.false_alarm_rate is not None
    assert (first.miss_rate.value, first.false_alarm_rate.value) == (2 / 4, 1 / 4)
    assert second.kappa is not None
    assert second.kappa.value == pytest.approx(1.0)


def test_agreement_never_grows_from_one_appraiser_to_all(rng: np.random.Generator) -> None:
    ratings, standard = rng.integers(0, 3, (60, 4, 2)), rng.integers(0, 3, 60)
    found = attribute_agreement(ratings, standard)
    least = min(each.within.value for each in found.appraisers)
    assert found.all_with_standard.value <= found.between.value <= least
    assert all(each.with_standard.value <= each.within.value for each in found.appraisers)
    assert all(each.miss_rate is None for each in found.appraisers)
    assert len(found.pairs) == 6


def test_a_crowd_is_not_compared_two_by_two_and_that_is_said(rng: np.random.Generator) -> None:
    found = attribute_agreement(rng.integers(0, 2, (5, 41, 1)), [0, 1, 0, 1, 1])
    assert found.pairs == {}
    assert found.as_dict()["pairs_left_out"]
    assert found.fleiss is not None


def test_a_gap_takes_the_item_from_that_appraiser_and_from_all_together() -> None:
    ratings = np.array([[["a"], ["a"]], [["b"], [None]], [["b"], ["b"]]], dtype=object)
    found = attribute_agreement(ratings, ["a", "b", None])
    assert [each.with_standard.n for each in found.appraisers] == [2, 1]
    assert (found.between.n, found.all_with_standard.n) == (2, 1)
    assert "left out" in found.between.note
    assert np.isnan(found.appraisers[0].within.value)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"ratings of shape \(3, 2\)"):
        attribute_agreement(np.zeros((3, 2)), [0, 1, 0])
    with pytest.raises(InputError, match="a standard of shape"):
        attribute_agreement(np.zeros((3, 2, 1)), [0, 1])
