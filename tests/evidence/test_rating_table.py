"""Votes, pairs of raters, repeated ratings, and ratings put into order."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.errors import InputError
from sorby.evidence import (
    kendall_w,
    majority_vote,
    pairwise_accuracy,
    rater_accuracy,
    rating_table,
    repeatability,
)


def test_none_nan_empty_and_minus_one_are_all_gaps() -> None:
    table = rating_table([[7, None], [np.nan, 8], ["", 9], [-1, -1.0]])
    assert table.codes.tolist() == [[0, -1], [-1, 1], [-1, 2], [-1, -1]]
    assert table.categories == (7, 8, 9)
    assert table.counts.sum(axis=1).tolist() == [1, 1, 1, 0]


def test_whole_numbers_that_a_gap_turned_into_floats_stay_the_same_category() -> None:
    assert rating_table(np.array([[7.0, np.nan], [7.0, 8.0]])).categories == (7, 8)


def test_majority_vote_says_where_votes_tie() -> None:
    vote = majority_vote([["G7", "G7", "B8"], ["G7", "B8", ""], ["", "", ""]])
    assert vote.choice.tolist() == ["G7", "B8", None]
    assert vote.tied.tolist() == [False, True, False]
    assert vote.share[:2] == pytest.approx([2 / 3, 1 / 2])
    assert np.isnan(vote.share[2])


def test_pairwise_accuracy_counts_the_items_both_rated() -> None:
    found = pairwise_accuracy([[1, 1, -1], [2, 2, 2], [1, 2, 2], [3, -1, -1]])
    assert found.matrix[0, 1] == pytest.approx(2 / 3)
    assert found.matrix[1, 2] == pytest.approx(1.0)
    assert np.diag(found.matrix) == pytest.approx(1.0)
    assert found.mean.value == pytest.approx((1 + 3 + 1) / (1 + 3 + 3))  # agreeing pairs of ratings over all pairs


def test_mean_of_pairs_is_fleiss_observed_agreement_where_nobody_left_a_gap(rng: np.random.Generator) -> None:
    from sorby.evidence import fleiss_kappa

    ratings = rng.integers(0, 3, (40, 6))
    assert pairwise_accuracy(ratings).mean.value == pytest.approx(fleiss_kappa(ratings).observed)


def test_rater_accuracy_leaves_gaps_and_unknown_truths_out() -> None:
    first, second = rater_accuracy([["G7", "G7"], ["G8", ""], ["B8", "B8"]], ["G7", "G7", None])
    assert (first.value, first.n) == (0.5, 2)
    assert (second.value, second.n) == (1.0, 1)


def test_repeatability_is_one_for_a_rater_who_says_the_same_twice_and_kappa_zero_for_a_guesser(
    rng: np.random.Generator,
) -> None:
    once = rng.integers(0, 4, (500, 1))
    again = repeatability(once, once)
    assert again.pooled.value == 1.0
    assert again.kappa == pytest.approx(1.0)
    guessed = repeatability(rng.integers(0, 4, (500, 3)), rng.integers(0, 4, (500, 3)))
    assert guessed.pooled.value == pytest.approx(0.25, abs=0.035)  # 1500 pairs: three standard errors
    assert guessed.kappa == pytest.approx(0.0, abs=0.045)
    assert len(guessed.per_rater) == 3


def test_kendalls_w_of_the_textbook_example() -> None:
    # Siegel and Castellan (1988), table 9.9: three executives rank six applicants, W = .16.
    ranks = np.array([[1, 6, 3, 2, 5, 4], [1, 5, 6, 4, 2, 3], [6, 3, 2, 5, 4, 1]]).T
    assert kendall_w(ranks).value == pytest.approx(0.16, abs=0.005)


def test_kendalls_w_is_one_for_equal_orders_however_the_raters_scale_them() -> None:
    truth = np.arange(12)
    assert kendall_w(np.column_stack([truth, 3 * truth + 1, truth**2])).value == pytest.approx(1.0)


def test_kendalls_w_is_the_mean_spearman_correlation_rescaled(rng: np.random.Generator) -> None:
    from scipy.stats import spearmanr

    ratings = np.clip(rng.integers(5, 11, 30)[:, None] + rng.integers(-2, 3, (30, 4)), 5, 10)  # with many ties
    rho = spearmanr(ratings).statistic
    mean = rho[np.triu_indices(4, 1)].mean()
    # Exact without ties: W = (1 + (m - 1) rho) / m; with ties each pair has its own denominator.
    assert kendall_w(ratings).value == pytest.approx((1 + 3 * mean) / 4, abs=0.01)


def test_passes_of_different_shape_and_names_without_order_are_refused() -> None:
    with pytest.raises(InputError, match="shapes"):
        repeatability([[1, 2]], [[1]])
    with pytest.raises(InputError, match="order"):
        kendall_w([["G7", "G8"]] * 4)
    with pytest.raises(InputError, match="every cell is a gap"):
        rating_table([[None, ""]])
