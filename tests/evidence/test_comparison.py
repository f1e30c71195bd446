import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar

from sorby.errors import InputError
from sorby.evidence import compare, mcnemar, mcnemar_p, paired_bootstrap, paired_difference


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 5), (3, 12), (40, 22)])
def test_mcnemar_agrees_with_statsmodels(b, c):
    exact, mid = mcnemar_p(b, c)
    if b + c:
        assert exact == pytest.approx(sm_mcnemar([[9, b], [c, 4]], exact=True).pvalue)
    assert 0 < mid <= exact <= 1


def test_mcnemar_looks_only_at_images_where_the_models_differ():
    a = np.array([1, 1, 1, 0, 0, 1], bool)
    b = np.array([1, 0, 0, 0, 1, 1], bool)
    found = mcnemar(a, b)
    assert (found.only_a, found.only_b, found.both, found.neither) == (2, 1, 2, 1)
    assert mcnemar(b, a).p_value == found.p_value
    assert "not independent" in mcnemar(a, b, [1, 1, 2, 2, 3, 3]).note


def test_a_model_does_not_differ_from_itself(rng):
    truth, predicted = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    found = paired_bootstrap(truth, predicted, predicted, 3, "macro_f1")
    assert found.value == 0.0
    assert found.ci95 is None
    assert "no spread" in found.note


def test_the_difference_changes_sign_with_the_order(rng):
    truth = rng.integers(0, 3, 300)
    a = np.where(rng.random(300) < 0.9, truth, 0)
    b = np.where(rng.random(300) < 0.7, truth, 1)
    test, forward = compare(truth, a, b, 3, seed=4)
    _, backward = compare(truth, b, a, 3, seed=4)
    assert test.p_value < 0.01
    assert "zero lies outside" in forward["accuracy"].note
    for name, estimate in forward.items():
        assert estimate.value == pytest.approx(-backward[name].value)
        assert estimate.ci95[0] < estimate.value < estimate.ci95[1]


def test_pairing_makes_the_interval_of_the_difference_as_narrow_as_theory_says(rng):
    truth = np.zeros(1000, int)
    a = (rng.random(1000) < 0.3).astype(int)
    b = np.where(rng.random(1000) < 0.05, 1 - a, a)
    gap = (a == 0).astype(float) - (b == 0)
    low, high = paired_bootstrap(truth, a, b, 2).ci95
    assert (high - low) / 2 == pytest.approx(1.96 * gap.std() / np.sqrt(1000), rel=0.1)
    assert paired_difference(a == 0, b == 0).value == pytest.approx(gap.mean())


def test_specimens_widen_the_difference(rng):
    gain = np.repeat(rng.normal(0.1, 1, 30), 10)
    by_image = paired_difference(gain, np.zeros(300))
    by_specimen = paired_difference(gain, np.zeros(300), np.repeat(np.arange(30), 10))
    widths = [e.ci95[1] - e.ci95[0] for e in (by_image, by_specimen)]
    assert widths[1] > 2.5 * widths[0]


def test_unequal_lengths_and_unknown_metrics_are_refused():
    with pytest.raises(InputError):
        mcnemar([True], [True, False])
    with pytest.raises(InputError, match="cannot be compared"):
        paired_bootstrap([0, 1], [0, 1], [0, 1], 2, "auroc")
