import math

import numpy as np
import pytest
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from sorby.evidence import (
    Estimate,
    cluster_bootstrap,
    percentile_interval,
    score,
    specimen_index,
    wilson,
    wilson_bounds,
)
from sorby.evidence.scorecard import ranking_scores


def test_wilson_agrees_with_statsmodels_and_keeps_its_ends():
    for k, n in ((0, 10), (3, 10), (10, 10), (295, 326)):
        low, high = wilson(k, n)
        assert (low, high) == pytest.approx(proportion_confint(k, n, method="wilson"), abs=1e-12)
        assert 0.0 <= low <= k / n <= high <= 1.0
    assert wilson_bounds([0, 10], [10, 10])[0][0] == 0.0
    assert wilson(0, 0) == (0.0, 1.0)


def test_wilson_covers_a_proportion_about_95_times_in_100():
    k = np.arange(61)
    low, high = wilson_bounds(k, 60)
    shares = np.linspace(0.05, 0.95, 91)
    inside = (low[:, None] <= shares) & (shares <= high[:, None])
    cover = (binom.pmf(k[:, None], 60, shares) * inside).sum(axis=0)
    # Brown, Cai and DasGupta (2001): mean coverage close to nominal, dips of some points.
    assert cover.mean() == pytest.approx(0.95, abs=0.006)
    assert cover.min() > 0.91


def test_independent_images_give_the_standard_error_of_a_proportion():
    hits = np.r_[np.ones(80), np.zeros(20)]
    table = np.stack([hits, np.ones(100)], axis=1)
    samples = cluster_bootstrap(table, lambda t: t[:, 0] / t[:, 1], 20_000, seed=3)
    # Standard error of a bootstrap standard error from 20,000 resamples is half a percent.
    assert samples.std() == pytest.approx(math.sqrt(0.8 * 0.2 / 100), rel=0.02)


def test_putting_equal_specimens_together_does_not_change_the_distribution(rng):
    hits = (rng.random(300) < 0.7).astype(float)
    table = np.stack([hits, np.ones(300)], axis=1)
    together = cluster_bootstrap(table, lambda t: t[:, 0] / t[:, 1], 4000)
    jitter = np.stack([hits + rng.normal(0, 1e-9, 300), np.ones(300)], axis=1)
    one_by_one = cluster_bootstrap(jitter, lambda t: t[:, 0] / t[:, 1], 4000)
    assert percentile_interval(together) == pytest.approx(percentile_interval(one_by_one), abs=0.01)


def test_images_of_one_specimen_do_not_count_as_independent_evidence(rng):
    specimen_right = rng.random(40) < 0.8
    truth = np.zeros(400, int)
    predicted = np.repeat(~specimen_right, 10).astype(int)
    grouped = score(truth, predicted, 2, np.repeat(np.arange(40), 10))["accuracy"]
    naive = score(truth, predicted, 2)["accuracy"]
    width = [hi - lo for lo, hi in (grouped.ci95, naive.ci95)]
    # Ten copies of each specimen: the honest interval is sqrt(10) wider.
    assert width[0] / width[1] == pytest.approx(math.sqrt(10), rel=0.1)
    assert naive.method == "Wilson"
    assert "specimen" in grouped.method


def test_the_grouped_interval_covers_the_truth():
    rng = np.random.default_rng(5)
    covered = 0
    for trial in range(200):
        ability = rng.beta(8, 2, 60)  # mean .8, specimens differ
        right = (rng.random((60, 6)) < ability[:, None]).ravel()
        found = score(np.zeros(360, int), (~right).astype(int), 2, np.repeat(np.arange(60), 6), trial, 500)
        low, high = found["accuracy"].ci95
        covered += low <= 0.8 <= high
    # Percentile bootstrap of 60 specimens: nominal .95; the binomial spread of 200 trials is .015.
    assert 0.89 <= covered / 200 <= 0.99


def test_a_flawless_result_is_not_certainty():
    truth = np.repeat([0, 1, 2], 20)
    found = score(truth, truth, 3)
    assert found["accuracy"].ci95 == pytest.approx(wilson(60, 60))
    for name in ("macro_f1", "balanced_accuracy", "weighted_f1", "cohen_kappa"):
        low, high = found[name].ci95
        assert high == 1.0
        assert 0.85 < low < 0.99
    grouped = score(truth, truth, 3, np.repeat(np.arange(12), 5))
    assert grouped["accuracy"].ci95 == pytest.approx(wilson(12, 12))
    assert grouped["macro_f1"].ci95[0] < found["macro_f1"].ci95[0]
    assert grouped["per_class"][0]["recall"].ci95 == pytest.approx(wilson(4, 4))
    assert found["per_class"][0]["f1"].ci95[0] == pytest.approx(2 * wilson(20, 20)[0] / (1 + wilson(20, 20)[0]))


def test_every_interval_holds_its_value(rng):
    truth = rng.integers(0, 4, 300)
    probabilities = rng.dirichlet(np.ones(4), 300) + 1.5 * np.eye(4)[truth] * (rng.random(300) < 0.7)[:, None]
    found = score(truth, probabilities / probabilities.sum(1, keepdims=True), 4, rng.integers(0, 80, 300))
    estimates = [v for v in found.values() if isinstance(v, Estimate)]
    estimates += [v for c in found["per_class"] for v in c.values() if isinstance(v, Estimate)]
    assert len(estimates) == 7 + 12
    assert all(e.ci95[0] <= e.value <= e.ci95[1] for e in estimates)


def test_one_specimen_gives_no_interval_and_says_so():
    found = score([0, 1, 1], [0, 1, 0], 2, ["a", "a", "a"])["accuracy"]
    assert found.ci95 is None
    assert "no spread" in found.note
    assert found.as_dict()["ci95"] is None


def test_few_specimens_are_pointed_out(rng):
    truth = rng.integers(0, 2, 50)
    found = score(truth, rng.integers(0, 2, 50), 2, rng.integers(0, 5, 50))
    assert "only 5 specimens" in found["accuracy"].note


def test_undefined_figures_are_null_in_json_and_not_a_number_in_python():
    kappa = score([0, 0], [0, 0], 2)["cohen_kappa"]
    assert math.isnan(kappa.value)
    assert kappa.as_dict()["value"] is None


def test_absent_classes_are_listed_without_an_interval():
    per_class = score([0, 0, 1], [0, 1, 1], 3)["per_class"]
    assert per_class[2]["recall"].ci95 is None
    assert per_class[2]["support"] == 0


def test_binary_probabilities_add_ranking_figures_that_match_hanley_and_mcneil(rng):
    truth = np.r_[np.zeros(150, int), np.ones(150, int)]
    p1 = 1 / (1 + np.exp(-rng.normal(1.5 * truth - 0.75)))
    found = score(truth, np.stack([1 - p1, p1], axis=1), 2)
    auc = found["auroc"].value
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    se = math.sqrt((auc * (1 - auc) + 149 * (q1 - auc**2) + 149 * (q2 - auc**2)) / 150**2)
    low, high = found["auroc"].ci95
    # The closed form assumes exponential scores; a fifth of the width covers that and the resampling.
    assert (high - low) / 2 == pytest.approx(1.96 * se, rel=0.2)
    assert "average_precision" in found
    assert "auroc" not in score(truth, truth, 2)


def test_ranking_resamples_handle_ties_like_the_point_estimate(rng):
    truth, coarse = rng.integers(0, 2, 200), rng.integers(0, 4, 200)
    auc, ap = ranking_scores(truth, coarse, n_resamples=400)
    assert auc.ci95[0] < auc.value < auc.ci95[1]
    assert ap.ci95[0] < ap.value < ap.ci95[1]


def test_a_seed_gives_the_same_interval_again(rng):
    truth, predicted, groups = rng.integers(0, 3, 90), rng.integers(0, 3, 90), rng.integers(0, 30, 90)
    first, again, other = (score(truth, predicted, 3, groups, seed)["macro_f1"] for seed in (1, 1, 2))
    assert first == again
    assert first.ci95 != other.ci95


def test_images_of_unknown_specimen_are_their_own_specimens():
    index, n = specimen_index(np.array(["a", None, "a", float("nan"), ""], dtype=object), 5)
    assert n == 4
    assert index[0] == index[2]
    assert len(set(index.tolist())) == 4
