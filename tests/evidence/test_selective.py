import numpy as np
import pytest

from sorby.errors import InputError
from sorby.evidence import aurc_estimate, risk_coverage


def test_curve_of_a_worked_example():
    found = risk_coverage([0.9, 0.8, 0.7, 0.6], [True, False, True, True])
    assert found.coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert found.risk == pytest.approx([0, 1 / 2, 1 / 3, 1 / 4])
    assert found.aurc == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert found.oracle == pytest.approx(1 / 16)
    assert found.excess == pytest.approx(found.aurc - 1 / 16)


def test_errors_that_all_come_last_cost_nothing():
    found = risk_coverage(np.arange(10.0)[::-1], np.arange(10) < 7)
    assert found.excess == pytest.approx(0.0, abs=1e-12)


def test_a_confidence_that_says_nothing_has_the_overall_risk_everywhere():
    found = risk_coverage(np.ones(50), np.arange(50) % 5 > 0)
    assert found.coverage.tolist() == [1.0]
    assert found.aurc == pytest.approx(0.2)


def test_equal_confidences_count_as_the_mean_over_their_orders(rng):
    coarse, right = rng.integers(0, 4, 60).astype(float), rng.random(60) < 0.7
    shuffled = [risk_coverage(coarse + 1e-6 * rng.random(60), right).aurc for _ in range(3000)]
    assert risk_coverage(coarse, right).aurc == pytest.approx(np.mean(shuffled), abs=0.003)


def test_full_coverage_has_the_error_rate_and_the_rank_alone_matters(rng):
    confidence, right = rng.random(200), rng.random(200) < 0.8
    found = risk_coverage(confidence, right)
    assert found.risk[-1] == pytest.approx(1 - right.mean())
    assert risk_coverage(np.exp(5 * confidence), right).aurc == pytest.approx(found.aurc)
    assert np.all((found.ci95_low <= found.risk) & (found.risk <= found.ci95_high))


def test_the_largest_coverage_at_a_risk_is_found():
    found = risk_coverage([0.9, 0.8, 0.7, 0.6], [True, True, True, False])
    assert found.at_risk(0.1) == (0.75, 0.7)
    assert risk_coverage([0.9], [False]).at_risk(0.1) == (0.0, np.inf)


def test_the_area_has_an_interval_around_it(rng):
    confidence = rng.random(400)
    right = rng.random(400) < 0.6 + 0.4 * confidence
    by_image = aurc_estimate(confidence, right, n_resamples=500)
    assert by_image.value == pytest.approx(risk_coverage(confidence, right).aurc)
    assert by_image.ci95[0] < by_image.value < by_image.ci95[1]
    assert "specimen" in aurc_estimate(confidence, right, np.arange(400) // 8, n_resamples=100).method


def test_different_images_are_refused():
    with pytest.raises(InputError):
        risk_coverage([0.5, 0.6], [True])
