"""Figures of grades: known answers, and what they must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from sorby.errors import InputError
from sorby.evidence import (
    compare_grades,
    from_grades,
    grades_of,
    middle_grade,
    ranked_probability,
    score_grades,
)

GRADES = np.arange(5)


def test_only_distinct_whole_numbers_are_grades() -> None:
    assert grades_of(["0", "2", "10"]).tolist() == [0, 2, 10]
    for classes in (["316L", "AZ31B"], ["G8", "G9"], ["0", "00"], ["3"], ["-1", "0"], ["1.5", "2"], ["²", "3"]):
        assert grades_of(classes) is None


def test_weighted_kappa_is_that_of_scikit_learn(rng: np.random.Generator) -> None:
    truth = rng.integers(0, 5, 300)
    called = np.clip(truth + rng.integers(-2, 3, 300), 0, 4)
    found = score_grades(truth, called, GRADES)
    assert found["weighted_kappa"].value == pytest.approx(cohen_kappa_score(truth, called, weights="quadratic"))
    assert found["mean_absolute_error"].value == pytest.approx(np.abs(truth - called).mean())
    assert found["mean_error"].value == pytest.approx((called - truth).mean())
    assert found["within_one"].value == pytest.approx((np.abs(truth - called) <= 1).mean())


def test_a_call_one_grade_off_everywhere_is_within_one_and_never_right() -> None:
    truth = np.array([0, 1, 2, 3] * 5)
    found = score_grades(truth, truth + 1, GRADES)
    assert found["mean_absolute_error"].value == 1
    assert found["mean_error"].value == 1
    assert found["within_one"].value == 1
    low, high = found["within_one"].ci95
    assert low < 1
    assert high == 1


def test_a_missing_grade_makes_the_step_over_it_count_twice() -> None:
    confusion = [[0, 1], [0, 1]]
    assert from_grades(confusion, [0, 2]).mean_absolute_error == 1.0
    assert from_grades(confusion, [0, 1]).mean_absolute_error == 0.5


def test_one_grade_throughout_leaves_kappa_undefined() -> None:
    found = score_grades([2, 2, 2], [2, 2, 2], GRADES)
    assert np.isnan(found["weighted_kappa"].value)
    assert found["weighted_kappa"].ci95 is None


def test_intervals_by_specimen_are_wider_than_those_that_take_its_images_as_independent() -> None:
    # Ten images of each of 12 specimens that err alike: 12 observations and not 120.
    specimens = np.repeat(np.arange(12), 10)
    truth = np.repeat(np.arange(12) % 4, 10)
    called = truth + np.repeat(np.arange(12) % 2, 10)
    apart = score_grades(truth, called, GRADES)["mean_absolute_error"].ci95
    together = score_grades(truth, called, GRADES, specimens)["mean_absolute_error"].ci95
    assert np.ptp(together) > 2 * np.ptp(apart)


def test_differences_have_the_sign_of_a_minus_b(rng: np.random.Generator) -> None:
    truth = rng.integers(0, 5, 200)
    near = np.clip(truth + rng.integers(0, 2, 200), 0, 4)
    far = 4 - truth
    gaps = compare_grades(truth, near, far, GRADES)
    assert gaps["mean_absolute_error"].ci95[1] < 0
    assert gaps["weighted_kappa"].ci95[0] > 0
    same = compare_grades(truth, near, near, GRADES)["mean_absolute_error"]
    assert same.value == 0
    assert same.ci95 is None  # no spread, which is no evidence of a difference of exactly nothing


def test_the_median_grade_has_the_least_expected_distance(rng: np.random.Generator) -> None:
    p = rng.dirichlet(np.full(5, 0.5), 200)
    cost = p @ np.abs(GRADES[:, None] - GRADES[None, :])
    rows = np.arange(200)
    assert np.allclose(cost[rows, middle_grade(p, GRADES)], cost.min(axis=1))


def test_classes_need_not_stand_in_order() -> None:
    p = np.array([[0.1, 0.2, 0.7]])
    grades = [2, 0, 1]
    assert middle_grade(p, grades).tolist() == [2]
    assert ranked_probability(p, [2], grades)[0] == pytest.approx(0.2**2 + 0.1**2)


def test_ranked_probability_of_sure_forecasts_is_their_distance() -> None:
    sure = np.eye(5)
    assert ranked_probability(sure, np.arange(5), GRADES).tolist() == [0] * 5
    assert ranked_probability(sure, [0, 0, 0, 0, 0], GRADES).tolist() == [0, 1, 2, 3, 4]
    # A step over a missing grade counts as the two that it is.
    assert ranked_probability(np.eye(2), [0, 0], [0, 2]).tolist() == [0, 2]


def test_nothing_to_score_is_said() -> None:
    with pytest.raises(InputError, match="no image"):
        score_grades([], [], GRADES)
    with pytest.raises(InputError, match="do not fit"):
        score_grades([5], [0], GRADES)
