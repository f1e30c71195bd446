"""The threshold of a rare class: exact on hand-made cases, kept on simulated ones."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.errors import InputError
from sorby.evidence.precision_control import precision_control


def test_the_loosest_threshold_that_reaches_the_precision_is_taken() -> None:
    p = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    truth = np.array([1, 1, 0, 1, 0, 0], bool)
    found = precision_control(p, truth, 0.75)
    assert found.threshold == 0.6
    assert found.precision.value == 0.75
    assert found.recall.value == 1.0
    assert precision_control(p, truth, 0.9).threshold == 0.8
    assert precision_control(p, truth, 0.9).recall.value == pytest.approx(2 / 3)


def test_a_precision_that_nothing_reaches_calls_nothing() -> None:
    found = precision_control([0.9, 0.2], [False, True], 0.9)
    assert not found.attained
    assert found.n_calls == 0
    assert not found.calls([0.99]).any()
    assert found.as_dict()["threshold"] is None


def test_only_the_most_probable_class_is_called() -> None:
    found = precision_control([0.6, 0.45, 0.4], [True, True, False], 0.5, most_probable=[True, False, False])
    assert found.n_calls == 1
    assert found.recall_without.value == 0.5


def test_a_confident_threshold_keeps_the_precision_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)

    def drawn(n: int) -> tuple[np.ndarray, np.ndarray]:
        p = rng.random(n)
        return p, rng.random(n) < p  # calibrated: precision above t is (1 + t) / 2

    broken, attained = 0, 0
    for _ in range(200):
        found = precision_control(*drawn(150), 0.8, confidence=0.9)
        if found.attained:
            attained += 1
            broken += (1 + found.threshold) / 2 < 0.8
    assert attained > 50  # otherwise the promise would be kept by never calling
    assert broken / 200 <= 0.1 + 0.05


def test_a_confident_threshold_is_stricter() -> None:
    rng = np.random.default_rng(1)
    p = rng.random(400)
    truth = rng.random(400) < p
    assert precision_control(p, truth, 0.8, confidence=0.9).threshold >= precision_control(p, truth, 0.8).threshold


def test_a_class_without_specimens_is_refused() -> None:
    with pytest.raises(InputError, match="no calibration specimen"):
        precision_control([0.5, 0.6], [False, False], 0.9)
