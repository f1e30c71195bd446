import numpy as np
import pytest
import sklearn.metrics as sk

from sorby.errors import InputError
from sorby.evidence import (
    brier,
    calibration_report,
    expected_calibration_error,
    fit_temperature,
    log_loss,
    reliability_curve,
    softmax,
)


def draw_labels(rng, probabilities):
    return (probabilities.cumsum(axis=1) < rng.random((len(probabilities), 1))).sum(axis=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_a_model_was_distorted_by_is_found_again(rng, temperature):
    honest = rng.normal(0, 2, (20_000, 6))
    labels = draw_labels(rng, softmax(honest))
    # Standard error about 1 % for 20,000 images.
    assert fit_temperature(honest * temperature, labels) == pytest.approx(temperature, rel=0.03)


def test_the_temperature_is_where_the_loss_is_least(rng):
    logits = rng.normal(0, 3, (500, 4))
    labels = draw_labels(rng, softmax(logits / 2))
    best = fit_temperature(logits, labels, smoothing=0.0)
    losses = [log_loss(softmax(logits, best * factor), labels) for factor in (0.98, 1.0, 1.02)]
    assert np.argmin(losses) == 1


def test_twenty_images_without_error_do_not_make_a_model_certain():
    labels = np.tile([0, 1], 10)
    logits = 4.0 * np.eye(2)[labels]
    p = softmax(logits, fit_temperature(logits, labels))
    # Rule of succession: 21/22 after 20 successes.
    assert p.max(axis=1) == pytest.approx(21 / 22)
    assert fit_temperature(logits, labels, smoothing=0.0) < 0.1


def test_logits_that_say_nothing_do_not_break_the_fit():
    assert np.isfinite(fit_temperature(np.zeros((5, 3)), [0, 1, 2, 0, 1]))
    with pytest.raises(InputError):
        fit_temperature([[np.inf, 0.0]], [0])


def test_huge_logits_do_not_overflow():
    assert softmax([1e4, 0.0]).tolist() == [1.0, 0.0]


def test_calibrated_probabilities_have_little_ece_and_distorted_ones_more(rng):
    logits = rng.normal(0, 2, (20_000, 5))
    labels = draw_labels(rng, softmax(logits))
    assert expected_calibration_error(softmax(logits), labels) < 0.012
    assert expected_calibration_error(softmax(3 * logits), labels) > 0.1


def test_ece_of_a_worked_example():
    # Confidence .95 in ten images of which eight are right, .65 in ten of which seven are.
    p = np.repeat([[0.95, 0.05], [0.65, 0.35]], 10, axis=0)
    labels = np.r_[np.zeros(8), np.ones(2), np.zeros(7), np.ones(3)].astype(int)
    assert expected_calibration_error(p, labels) == pytest.approx(0.5 * 0.15 + 0.5 * 0.05)


@pytest.mark.parametrize("spacing", ["width", "mass"])
def test_a_reliability_curve_loses_no_image(rng, spacing):
    p = rng.dirichlet(np.ones(3), 500)
    labels = rng.integers(0, 3, 500)
    curve = reliability_curve(p, labels, 10, spacing)
    assert curve.count.sum() == 500
    assert np.all((curve.low <= curve.confidence) & (curve.confidence <= curve.high))
    assert (curve.count * curve.accuracy).sum() == pytest.approx((p.argmax(1) == labels).sum())
    assert np.all((curve.ci95_low <= curve.accuracy) & (curve.accuracy <= curve.ci95_high))


def test_proper_scores_agree_with_scikit_learn(rng):
    p = rng.dirichlet(np.ones(3), 200)
    labels = rng.integers(0, 3, 200)
    assert log_loss(p, labels) == pytest.approx(sk.log_loss(labels, p))
    binary = rng.random(200)
    truth = rng.integers(0, 2, 200)
    both = np.stack([1 - binary, binary], axis=1)
    assert brier(both, truth) == pytest.approx(2 * sk.brier_score_loss(truth, binary))
    assert brier([[1.0, 0.0]], [1]) == 2.0


def test_the_report_repeats_the_single_figures_with_intervals(rng):
    p = rng.dirichlet(np.ones(3), 300)
    labels = rng.integers(0, 3, 300)
    report = calibration_report(p, labels, rng.integers(0, 60, 300))
    assert report["ece"].value == pytest.approx(expected_calibration_error(p, labels))
    assert report["brier"].value == pytest.approx(brier(p, labels))
    assert report["log_loss"].ci95[0] < log_loss(p, labels) < report["log_loss"].ci95[1]
