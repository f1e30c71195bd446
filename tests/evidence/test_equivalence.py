"""Two one-sided tests against scipy and statsmodels, and what may be concluded from them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sorby.errors import InputError
from sorby.evidence.equivalence import (
    FEWEST_NAMED,
    clustered_tost,
    macro_f1_tost,
    paired_tost,
    within_specimen_difference,
)


def test_paired_tost_is_the_larger_of_two_one_sided_t_tests() -> None:
    gaps = np.random.default_rng(1).normal(0.01, 0.1, 40)
    found = paired_tost(gaps, 0.05)
    above = stats.ttest_1samp(gaps, -0.05, alternative="greater").pvalue
    below = stats.ttest_1samp(gaps, 0.05, alternative="less").pvalue
    assert found.p_equivalence == pytest.approx(max(above, below), rel=1e-9)
    assert found.p_difference == pytest.approx(stats.ttest_1samp(gaps, 0.0).pvalue, rel=1e-9)


def test_paired_tost_agrees_with_statsmodels() -> None:
    weightstats = pytest.importorskip("statsmodels.stats.weightstats", reason="statsmodels is the oracle")
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.8, 0.1, 25), rng.normal(0.79, 0.1, 25)
    p, _, _ = weightstats.ttost_paired(a, b, -0.05, 0.05)
    assert paired_tost(a - b, 0.05).p_equivalence == pytest.approx(p, rel=1e-9)


def test_equivalence_is_shown_exactly_where_the_90_per_cent_interval_lies_inside_the_margin() -> None:
    rng = np.random.default_rng(3)
    for spread in (0.02, 0.1, 0.15, 0.2, 0.5):
        found = paired_tost(rng.normal(0.0, spread, 30), 0.05)
        assert found.ci90 is not None
        inside = found.ci90[0] > -0.05 and found.ci90[1] < 0.05
        assert inside == (found.p_equivalence <= 0.05)


def test_conclusions_tell_equivalent_worse_and_not_shown_apart() -> None:
    rng = np.random.default_rng(4)
    assert paired_tost(rng.normal(0.0, 0.03, 50), 0.05).conclusion() == "equivalent"
    assert paired_tost(rng.normal(-0.3, 0.1, 50), 0.05).conclusion() == "worse"
    assert paired_tost(rng.normal(0.0, 0.5, 10), 0.05).conclusion() == "not shown"


def test_too_few_specimens_or_no_spread_show_nothing() -> None:
    for gaps, said in (([0.1, 0.0], "too few specimens"), ([0.0] * 20, "not shown")):
        found = paired_tost(gaps, 0.05)
        assert found.conclusion() == said
        assert found.ci90 is None


def test_below_ten_specimens_nothing_is_named_however_small_p_and_the_numbers_stay() -> None:
    rng = np.random.default_rng(8)
    gaps = rng.normal(-0.5, 0.02, FEWEST_NAMED)
    few, enough = paired_tost(gaps[:-1], 0.05), paired_tost(gaps, 0.05)
    assert few.p_difference < 1e-6
    assert few.ci95 is not None
    assert (few.conclusion(), few.conclusion(0.001, 0.001)) == ("too few specimens",) * 2
    assert enough.conclusion() == "worse"


@pytest.mark.parametrize(("n", "least", "most"), [(6, 0.08, 1.0), (40, 0.0, 0.08)])
def test_the_bootstrap_of_macro_f1_finds_differences_that_are_not_there_among_few_specimens(n, least, most) -> None:
    """400 trials: a rate of 5 % has a standard error of 1.1 points, so 8 % lies beyond chance."""
    found = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        specimens, truth = np.repeat(np.arange(n), 3), np.repeat(np.arange(n) % 2, 3)
        # Both conditions are right equally often; images of a specimen share its difficulty.
        ease = rng.beta(3, 1, n)[specimens]
        a, b = (np.where(rng.random(3 * n) < ease, truth, 1 - truth) for _ in range(2))
        found.append(macro_f1_tost(truth, a, specimens, truth, b, specimens, 2, 0.05, n_resamples=200, seed=seed))
    rate = np.mean([each.p_difference <= 0.05 for each in found])
    assert least <= rate <= most
    assert n >= FEWEST_NAMED or {each.conclusion() for each in found} == {"too few specimens"}


def test_the_clustered_test_is_ordinary_where_every_image_is_a_specimen_and_wider_where_images_repeat() -> None:
    rng = np.random.default_rng(5)
    a, b = (rng.random(60) < 0.8).astype(float), (rng.random(60) < 0.7).astype(float)
    single = clustered_tost(a, b, np.arange(60), 60 + np.arange(60), 0.05)
    repeated = clustered_tost(
        np.tile(a, 4), np.tile(b, 4), np.tile(np.arange(60), 4), np.tile(60 + np.arange(60), 4), 0.05
    )
    assert single.ci95 is not None
    assert repeated.ci95 is not None
    # Copies of images are no new evidence; only the small-sample factor (n - 1) / (n - 2) differs.
    assert np.ptp(repeated.ci95) == pytest.approx(np.ptp(single.ci95), rel=0.01)
    welch = np.sqrt(a.var() / 60 + b.var() / 60)
    assert np.ptp(single.ci95) / 2 / stats.t.ppf(0.975, 119) == pytest.approx(welch, rel=0.02)


def test_clustered_errors_agree_with_statsmodels() -> None:
    api = pytest.importorskip("statsmodels.api", reason="statsmodels is the oracle")
    rng = np.random.default_rng(6)
    specimen = rng.integers(0, 25, 200)
    condition = rng.integers(0, 2, 200)
    right = (rng.random(200) < 0.6 + 0.2 * (specimen % 2)).astype(float)
    model = api.OLS(right, api.add_constant(condition)).fit(
        cov_type="cluster", cov_kwds={"groups": specimen}, use_t=True
    )
    here, there = condition == 1, condition == 0
    found = clustered_tost(right[here], right[there], specimen[here], specimen[there], 0.05)
    assert found.difference == pytest.approx(model.params[1], abs=1e-12)
    assert found.p_difference == pytest.approx(model.pvalues[1], rel=1e-6)


def test_macro_f1_of_the_same_verdicts_does_not_differ_and_of_guesses_is_worse() -> None:
    rng = np.random.default_rng(7)
    specimens = np.repeat(np.arange(40), 3)
    truth = specimens % 3
    right = np.where(rng.random(120) < 0.9, truth, rng.integers(0, 3, 120))
    guess = rng.integers(0, 3, 120)
    worse = macro_f1_tost(truth, guess, specimens, truth, right, specimens, 3, 0.05, n_resamples=500)
    assert worse.conclusion() == "worse"
    again = np.where(rng.random(120) < 0.97, right, guess)
    same = macro_f1_tost(truth, again, specimens, truth, right, specimens, 3, 0.2, n_resamples=500)
    assert same.conclusion() == "equivalent"


def test_only_specimens_seen_under_both_conditions_are_paired() -> None:
    gaps = within_specimen_difference([1, 0, 1], ["a", "a", "b"], [1, 0, 1], ["a", "c", "c"])
    assert gaps.tolist() == [-0.5]


def test_a_margin_of_zero_is_refused() -> None:
    with pytest.raises(InputError, match="margin"):
        paired_tost([0.1, 0.2, 0.3], 0.0)
