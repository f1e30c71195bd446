"""Logistic regression with specimens that are hard throughout."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from sorby.evidence.mixed_logistic import fit_mixed_logistic


def _drawn(seed: int, sd: float, specimens: int = 300, images: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(specimens), images)
    condition = np.tile(np.arange(images) % 2, specimens)
    hard = sd * rng.standard_normal(specimens)
    right = rng.random(groups.size) < expit(0.5 + 1.0 * condition + hard[groups])
    return np.stack([np.ones(groups.size), condition], axis=1), right, groups


def test_effects_and_spread_between_specimens_are_found() -> None:
    found = fit_mixed_logistic(*_drawn(1, 1.5))
    assert found.converged
    # 1,800 images: the effect has a standard error of about .12, the deviation one of about .12.
    assert found.effects[1] == pytest.approx(1.0, abs=0.4)
    assert found.specimen_sd == pytest.approx(1.5, abs=0.4)
    low, high = found.intervals()[1]
    assert low < 1.0 < high


def test_without_spread_it_is_ordinary_logistic_regression() -> None:
    api = pytest.importorskip("statsmodels.api", reason="statsmodels is the oracle")
    design, right, _ = _drawn(2, 0.0, specimens=100)
    plain = api.Logit(right.astype(float), design).fit(disp=0)
    found = fit_mixed_logistic(design, right, np.zeros(right.size, int))  # one specimen: nothing between specimens
    # The weak prior moves an effect by about its variance over 25.
    assert found.effects[1] == pytest.approx(plain.params[1], abs=0.02)
    assert found.errors[1] == pytest.approx(plain.bse[1], rel=0.02)


def test_more_nodes_do_not_change_the_answer() -> None:
    data = _drawn(3, 1.0, specimens=60)
    few, many = fit_mixed_logistic(*data, n_nodes=21), fit_mixed_logistic(*data, n_nodes=61)
    assert few.effects == pytest.approx(many.effects, abs=1e-3)
    assert few.log_likelihood == pytest.approx(many.log_likelihood, abs=1e-3)


def test_a_condition_that_is_always_right_keeps_a_finite_effect() -> None:
    design = np.stack([np.ones(40), np.repeat([0.0, 1.0], 20)], axis=1)
    right = np.r_[np.arange(20) % 2 == 0, np.ones(20, bool)]
    found = fit_mixed_logistic(design, right, np.tile(np.arange(20), 2))
    assert np.isfinite(found.effects).all()
    assert found.effects[1] > 1.0
