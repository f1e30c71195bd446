"""Dawid and Skene's model finds the truth behind ratings, and who rates how."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.errors import InputError
from sorby.evidence import rater_model


def _panel(items: int, rng: np.random.Generator, gaps: float = 0.1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ratings of four ordered classes by two good raters and five who grade one class too fine, mostly."""
    truth = rng.integers(0, 4, items)
    good = np.full((4, 4), 0.05) + 0.80 * np.eye(4)
    fine = np.full((4, 4), 0.05)
    fine[np.arange(4), np.minimum(np.arange(4) + 1, 3)] += 0.50
    fine[np.arange(4), np.arange(4)] += 0.30
    fine /= fine.sum(axis=1, keepdims=True)
    confusion = np.stack([good] * 2 + [fine] * 5)
    steps = confusion.cumsum(axis=2)[:, truth].transpose(1, 0, 2)
    ratings = (rng.random((items, 7, 1)) > steps).sum(axis=2)
    return truth, np.where(rng.random((items, 7)) < gaps, -1, ratings), confusion


def _majority(ratings: np.ndarray) -> np.ndarray:
    return (ratings[:, :, None] == np.arange(4)).sum(axis=1).argmax(axis=1)


def test_it_recovers_the_truth_better_than_the_majority_that_shares_a_bias(rng: np.random.Generator) -> None:
    truth, ratings, _ = _panel(400, rng)
    model = rater_model(ratings, 4, ordered=np.zeros(4))
    assert model.converged
    majority = np.mean(_majority(ratings) == truth)
    # The majority of biased raters is wrong on a third of the items; the margin is five standard errors.
    assert np.mean(model.label == truth) > majority + 0.12


def test_it_recovers_each_raters_confusion_matrix(rng: np.random.Generator) -> None:
    _, ratings, confusion = _panel(4000, rng, gaps=0.2)
    model = rater_model(ratings, 4)
    # 800 ratings for each row: shares scatter by .017, and the posterior's errors add a little.
    assert np.abs(model.confusion - confusion).max() < 0.08
    assert np.abs(model.confusion - confusion).mean() < 0.02


def test_probabilities_are_calibrated(rng: np.random.Generator) -> None:
    truth, ratings, _ = _panel(3000, rng)
    model = rater_model(ratings, 4)
    top = model.posterior.max(axis=1)
    assert top.mean() == pytest.approx(np.mean(model.label == truth), abs=0.03)


def test_the_log_posterior_never_falls(rng: np.random.Generator) -> None:
    _, ratings, _ = _panel(150, rng, gaps=0.4)
    model = rater_model(ratings, 4, ordered=np.zeros(4), max_iterations=60, tolerance=0.0)
    assert not model.converged
    assert model.iterations == 60
    assert np.diff(model.log_posterior).min() > -1e-8


def test_an_item_without_ratings_gets_the_prior_and_a_class_known_absent_stays_absent() -> None:
    ratings = np.array([[0, 0, 1], [1, 1, 1], [-1, -1, -1]])
    model = rater_model(ratings, 3, class_prior=[0.7, 0.3, 0.0])
    assert model.posterior[2] == pytest.approx([0.7, 0.3, 0.0])
    assert model.posterior[:, 2].max() == 0.0


def test_a_rater_of_few_ratings_is_thought_to_be_mostly_right_and_to_miss_by_one_class() -> None:
    ratings = np.full((40, 3), -1)
    ratings[:, :2] = np.repeat(np.arange(4), 10)[:, None]
    model = rater_model(ratings, 4, ordered=np.zeros(4))
    silent = model.confusion[2]
    assert np.array_equal(silent.argmax(axis=1), np.arange(4))
    assert silent[0, 1] > 2 * silent[0, 2]


def test_subtypes_are_scales_of_their_own() -> None:
    # G7 G8 B7 B8: G8 and B7 follow each other in the list, not on a scale.
    model = rater_model(np.full((2, 1), -1), 4, ordered=np.array([0, 0, 1, 1]))
    assert model.confusion[0, 1, 0] > 2 * model.confusion[0, 1, 2]


def test_ratings_outside_the_classes_are_refused() -> None:
    with pytest.raises(InputError, match=r"outside 0\.\.2"):
        rater_model([[0, 3]], 3)
    with pytest.raises(InputError, match="type <U2"):
        rater_model([["G7", "G8"]], 3)
    with pytest.raises(InputError, match="above 0"):
        rater_model([[0, 1]], 3, smoothing=(1.0, 0.0, 0.0))
