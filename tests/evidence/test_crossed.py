"""Intervals over images and raters: what they cover, and what they must not depend on."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.errors import InputError
from sorby.evidence.crossed import crossed_difference, crossed_share
from sorby.evidence.intervals import wilson


def _simulate(rng: np.random.Generator, images: int, raters: int) -> np.ndarray:
    """Ratings whose rightness depends on how hard the image is and on how good the rater is; the mean is .5."""
    odds = 1.5 * rng.standard_normal((images, 1)) + 0.8 * rng.standard_normal((1, raters))
    return rng.random((images, raters)) < 1 / (1 + np.exp(-odds))


def test_the_interval_covers_the_share_of_other_images_and_raters() -> None:
    """By symmetry the population's share is one half; counting ratings as independent covers it far too seldom."""
    rng = np.random.default_rng(5)
    crossed = plain = 0
    panels = 100
    for k in range(panels):
        hits = _simulate(rng, 30, 12)
        low, high = crossed_share(hits, np.ones_like(hits), n_resamples=400, seed=k).ci95 or (0, 1)
        crossed += low <= 0.5 <= high
        low, high = wilson(int(hits.sum()), hits.size)
        plain += low <= 0.5 <= high
    # 95 % less four standard errors of 100 panels; the pigeonhole bootstrap errs on the wide side.
    assert crossed / panels > 0.86
    assert plain / panels < 0.7


def test_gaps_do_not_count_whatever_stands_there() -> None:
    hits = np.array([[1.0, np.nan], [0.0, 1.0], [1.0, 7.0]])
    counted = np.array([[True, False], [True, True], [True, False]])
    found = crossed_share(hits, counted)
    assert (found.value, found.n) == (0.75, 4)


def test_the_order_of_images_and_raters_changes_nothing_that_is_told(rng: np.random.Generator) -> None:
    hits = _simulate(rng, 40, 14)
    mixed = hits[rng.permutation(40)][:, rng.permutation(14)]
    one, other = (crossed_share(each, np.ones_like(each), n_resamples=4000) for each in (hits, mixed))
    assert one.value == other.value
    # Other draws meet other rows: ends agree within the noise of 4000 resamples.
    assert one.ci95 == pytest.approx(other.ci95, abs=0.02)


def test_one_rater_leaves_the_bootstrap_over_images(rng: np.random.Generator) -> None:
    hits = rng.random((100, 1)) < 0.8
    found = crossed_share(hits, np.ones_like(hits))
    assert found.method.startswith("bootstrap over images,")
    assert found.ci95 == pytest.approx(wilson(int(hits.sum()), 100), abs=0.03)


def test_an_appraiser_like_the_panel_differs_by_nothing_and_a_better_one_by_what_it_is_better(
    rng: np.random.Generator,
) -> None:
    hits = rng.random((60, 10)) < 0.6
    found = crossed_difference(hits, np.ones_like(hits), np.ones(60))
    assert found.value == pytest.approx(1 - hits.mean())
    assert found.ci95 is not None
    assert found.ci95[0] > 0
    same = crossed_difference(hits, np.ones_like(hits), hits.mean(axis=1))
    assert same.value == pytest.approx(0, abs=1e-12)


def test_images_that_one_side_did_not_rate_are_left_out_for_both() -> None:
    hits = np.array([[1, 1], [0, 0], [1, 0]])
    found = crossed_difference(hits, np.ones_like(hits), [1.0, np.nan, 1.0])
    assert found.value == pytest.approx(1.0 - 0.75)
    assert found.n == 4


def test_nothing_to_count_is_no_number_and_shapes_must_fit() -> None:
    assert np.isnan(crossed_share(np.ones((3, 2)), np.zeros((3, 2))).value)
    with pytest.raises(InputError, match="shape"):
        crossed_share(np.ones((3, 2)), np.ones((2, 3)))
