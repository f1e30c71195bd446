"""Sequential verdicts: hand-made cases, and the promise over all looks on simulated specimens."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.errors import InputError
from sorby.evidence import softmax
from sorby.evidence.sequential import fit_stopping, microscope_time, stop, time_saved


def _series(n: int, seed: int, looks: int = 4, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that get clearer with each look, with a first look that is often misleading."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    scores = rng.normal(0.0, 1.0, (n, looks, classes))
    scores[np.arange(n), :, labels] += np.linspace(0.5, 4.0, looks)
    return np.asarray(softmax(scores.reshape(-1, classes))).reshape(scores.shape), labels


def test_a_series_ends_at_its_first_single_class() -> None:
    sets = np.array([[[1, 1, 0], [0, 1, 0], [1, 0, 0]], [[1, 1, 1], [1, 1, 0], [1, 1, 0]]], bool)
    found = stop(sets, np.ones((2, 3), bool))
    assert found.look.tolist() == [1, 2]
    assert found.decided.tolist() == [True, False]
    assert found.label.tolist() == [1, -1]


def test_a_look_that_was_not_taken_cannot_end_a_series() -> None:
    sets = np.array([[[0, 1], [0, 1], [0, 1]], [[1, 1], [1, 1], [0, 1]]], bool)
    found = stop(sets, [[False, True, True], [True, True, False]])
    assert found.look.tolist() == [1, 1]
    assert found.decided.tolist() == [True, False]


def test_an_empty_set_decides_nothing() -> None:
    found = stop(np.zeros((1, 2, 3), bool), np.ones((1, 2), bool))
    assert not found.decided[0]


def test_time_counts_images_and_changes_of_magnification() -> None:
    spent = microscope_time([[1, 0, 2], [0, 1, 1]], image_s=60, change_s=20)
    assert spent.tolist() == [[60, 60, 200], [0, 60, 140]]


def test_time_saved_is_a_ratio_of_sums() -> None:
    found = time_saved([10.0, 40.0], [100.0, 100.0])
    assert found.value == pytest.approx(0.75)


@pytest.mark.parametrize("spending", ["joint", "bonferroni"])
def test_the_truth_is_in_the_sets_of_all_looks_as_often_as_promised(spending: str) -> None:
    covered, wrong = [], []
    for seed in range(20):
        taught, labels = _series(200, seed)
        rule = fit_stopping(taught, labels, 0.1, spending=spending)  # type: ignore[arg-type]
        assert "exchangeable specimens" in rule.guarantee
        assert "images" not in rule.guarantee
        fresh, truth = _series(500, 1000 + seed)
        sets = rule.sets(fresh)
        covered.append(np.take_along_axis(sets, truth[:, None, None], axis=2)[:, :, 0].all(axis=1).mean())
        ends = stop(sets, np.ones(sets.shape[:2], bool))
        wrong.append((ends.decided & (ends.label != truth)).mean())
    # 20 calibrations of 200: the mean coverage has a standard error of about .006.
    assert np.mean(covered) >= 0.9 - 0.02
    assert np.mean(wrong) <= 0.1 + 0.02


def test_looks_decided_one_by_one_err_more_often_than_promised() -> None:
    """What the shared level is for: four looks at 10 % each miss more than 10 % of the specimens."""
    missed = []
    for seed in range(10):
        taught, labels = _series(200, seed)
        fresh, truth = _series(500, 1000 + seed)
        single = [fit_stopping(taught[:, [k]], labels, 0.1).sets(fresh[:, [k]])[:, 0] for k in range(4)]
        sets = np.stack(single, axis=1)
        missed.append(1 - np.take_along_axis(sets, truth[:, None, None], axis=2)[:, :, 0].all(axis=1).mean())
    assert np.mean(missed) > 0.15


def test_a_look_that_has_not_come_holds_every_class() -> None:
    taught, labels = _series(50, 1)
    rule = fit_stopping(taught, labels, 0.2)
    fresh = taught[:1].copy()
    fresh[0, 0] = np.nan
    assert rule.sets(fresh)[0, 0].all()


def test_bonferroni_levels_add_up() -> None:
    taught, labels = _series(100, 2)
    rule = fit_stopping(taught, labels, 0.2, spending="bonferroni", weights=(1, 1, 2, 4))
    assert rule.alphas == pytest.approx((0.025, 0.025, 0.05, 0.1))
    assert sum(rule.alphas) == pytest.approx(0.2)


def test_too_few_calibration_specimens_are_said_and_decide_nothing() -> None:
    taught, labels = _series(6, 3)
    rule = fit_stopping(taught, labels, 0.05)
    assert rule.shortage
    assert rule.sets(taught).all()


def test_a_specimen_without_a_look_is_refused() -> None:
    with pytest.raises(InputError, match="no look"):
        stop(np.ones((1, 2, 2), bool), np.zeros((1, 2), bool))
