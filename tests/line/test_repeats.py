"""A roller's mark is found with its period; scattered defects are not taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.line.clusters import find_clusters
from sorby.line.repeats import RepeatSearch, find_repeats


def test_a_roller_of_100_mm_diameter_is_named(rng: np.random.Generator) -> None:
    period = np.pi * 100
    x = 40 + period * np.arange(60) + rng.normal(0, 0.3, 60)
    y = 75 + rng.normal(0, 0.3, 60)
    (repeat,) = find_repeats(x, y)
    assert repeat.ci95[0] <= period <= repeat.ci95[1]
    assert repeat.diameter_mm == pytest.approx(100, abs=0.02)
    assert (repeat.count, repeat.slots) == (60, 60)
    assert repeat.members == tuple(range(60))


def test_it_is_found_among_scattered_defects_and_with_turns_missing(rng: np.random.Generator) -> None:
    period, turns = 314.159, 200
    seen = rng.random(turns) < 0.8
    x = np.r_[rng.uniform(0, period * turns, 800), (150 + period * np.arange(turns) + rng.normal(0, 0.3, turns))[seen]]
    y = np.r_[rng.uniform(0, 200, 800), 60 + rng.normal(0, 0.3, seen.sum())]
    found = find_repeats(x, y)
    assert found[0].period_mm == pytest.approx(period, abs=0.01)  # the fundamental, no multiple of it
    own = np.arange(800, 800 + seen.sum())
    assert len(set(found[0].members) & set(own.tolist())) > 0.97 * seen.sum()
    assert len(found) == 1


def test_two_rollers_are_told_apart(rng: np.random.Generator) -> None:
    a, b = 10 + 200.0 * np.arange(30), 25 + 347.0 * np.arange(18)
    x = np.r_[a, b]
    y = np.r_[np.full(30, 40.0), np.full(18, 41.0)]
    assert sorted(round(repeat.period_mm) for repeat in find_repeats(x, y)) == [200, 347]


def test_six_exact_marks_suffice_among_a_few_others() -> None:
    """A coarse tolerance would leave them to chance; the finer ones that are tried do not."""
    x = np.r_[82.6 + 62.85 * np.arange(6), 199.9, 202.2, 461.6]
    y = np.r_[np.full(6, 40.2), 39.6, 41.9, 38.7]
    (repeat,) = find_repeats(x, y, RepeatSearch(least_period_mm=30))
    assert repeat.period_mm == pytest.approx(62.85, abs=0.01)
    assert repeat.count == 6


def test_scattered_defects_show_a_repeat_at_most_as_often_as_stated() -> None:
    rng = np.random.default_rng(11)
    search = RepeatSearch(p_value=0.05)
    false = 0
    for _ in range(100):
        n = int(rng.integers(20, 150))
        false += bool(find_repeats(rng.uniform(0, 20_000, n), rng.uniform(0, 150, n), search))
    # The p-value is an upper bound: 5 of 100 at most on average; 10 would happen in 1 of 90 such tests at exactly 5.
    assert false <= 10


def test_marks_too_far_to_the_side_do_not_count() -> None:
    x = 300.0 * np.arange(12)
    assert find_repeats(x, np.linspace(0, 200, 12)) == []


def test_fewer_than_four_are_no_repeat_and_none_is_none() -> None:
    assert find_repeats(np.array([0.0, 300.0, 600.0]), np.zeros(3)) == []
    assert find_repeats(np.empty(0), np.empty(0)) == []


def test_the_interval_knows_that_positions_lie_on_a_grid() -> None:
    x = np.round(101.3 * np.arange(8) / 4) * 4
    (repeat,) = find_repeats(x, np.zeros(8), RepeatSearch(resolution_mm=4.0, along_tolerance_mm=4.0))
    assert repeat.ci95[0] < 101.3 < repeat.ci95[1]
    even = find_repeats(100.0 * np.arange(8), np.zeros(8), RepeatSearch(resolution_mm=4.0))[0]
    assert even.ci95[1] - even.ci95[0] > 0.5


def test_clusters_are_dense_groups_numbered_along_the_web(rng: np.random.Generator) -> None:
    far, near = rng.normal((900, 50), 2, (12, 2)), rng.normal((200, 80), 2, (9, 2))
    lone = np.array([[500.0, 10.0], [1500.0, 90.0]])
    points = np.concatenate([far, near, lone])
    labels, clusters = find_clusters(points[:, 0], points[:, 1])
    assert [(c.number, c.count) for c in clusters] == [(1, 9), (2, 12)]
    assert labels.tolist() == [2] * 12 + [1] * 9 + [0, 0]
    assert find_clusters(np.zeros(2), np.zeros(2))[1] == []
