import numpy as np
import pytest
from scipy.stats import betabinom

from sorby.errors import InputError
from sorby.evidence import (
    attainability,
    conformal_from_arrays,
    conformal_scores,
    coverage,
    describe_sets,
    enough_for,
    fit_conformal,
    needed,
    softmax,
)


def specimens(rng, n, n_classes=4, noise=1.2):
    """Labels and the imperfect probabilities of a model."""
    labels = rng.choice(n_classes, n, p=np.arange(1, n_classes + 1) / (n_classes * (n_classes + 1) / 2))
    return softmax(2.0 * np.eye(n_classes)[labels] + noise * rng.normal(size=(n, n_classes))), labels


def test_aps_of_a_worked_example():
    scores = conformal_scores([[0.2, 0.5, 0.3]], "aps")
    assert scores[0] == pytest.approx([1.0, 0.5, 0.8])
    assert conformal_scores([[0.2, 0.5, 0.3]], "aps", [1.0])[0] == pytest.approx([0.8, 0.0, 0.5])


@pytest.mark.parametrize(("method", "randomised"), [("lac", False), ("aps", False), ("aps", True)])
def test_split_sets_keep_their_level_exactly_as_theory_says(method, randomised):
    rng = np.random.default_rng(11)
    n, trials, alpha = 99, 300, 0.1
    covered = []
    for trial in range(trials):
        p, labels = specimens(rng, n + 200)
        sets = fit_conformal(p[:n], labels[:n], alpha, method=method, randomised=randomised, seed=trial)
        covered.append(coverage(sets.sets(p[n:], seed=trial + 1000), labels[n:]).value)
    # Coverage given the calibration is Beta(90, 10): mean .9, so the mean of 300 trials is known to .003.
    spread = betabinom(200, 90, 10).std() / 200 / np.sqrt(trials)
    assert np.mean(covered) >= 0.9 - 3 * spread
    assert np.mean(covered) <= 0.9 + 3 * spread


def test_class_conditional_sets_keep_the_level_in_the_rarest_class_where_marginal_ones_do_not():
    rng = np.random.default_rng(12)
    marginal, conditional = [], []
    for _ in range(60):
        p, labels = specimens(rng, 900)
        p[:, 0] *= 0.3  # the model slights the rarest class
        p /= p.sum(axis=1, keepdims=True)
        rare = labels[500:] == 0
        for flag, out in ((False, marginal), (True, conditional)):
            sets = fit_conformal(p[:500], labels[:500], 0.1, class_conditional=flag).sets(p[500:])
            out.append(sets[rare, 0].mean())
    assert np.mean(marginal) < 0.8
    # About 50 calibration images of the class: expected coverage .900 to .919, standard error .008.
    assert 0.885 <= np.mean(conditional) <= 0.945


def cross_fitted(rng, n, n_folds, n_new, n_classes=3):
    """Nearest-mean classifiers fitted without one fold each, their held-out and their new probabilities."""
    labels = rng.integers(0, n_classes, n + n_new)
    x = np.eye(n_classes)[labels] * 1.6 + rng.normal(size=(n + n_new, n_classes))
    fold = rng.permutation(n) % n_folds
    held, new = np.empty((n, n_classes)), np.empty((n_folds, n_new, n_classes))
    for k in range(n_folds):
        taught = np.flatnonzero(fold != k)
        means = np.stack([x[taught][labels[taught] == c].mean(axis=0) for c in range(n_classes)])
        p = softmax(-((x[:, None] - means) ** 2).sum(axis=2))
        held[fold == k], new[k] = p[:n][fold == k], p[n:]
    return held, labels[:n], fold, new, labels[n:]


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("method", ["lac", "aps"])
def test_cross_conformal_sets_cover_as_promised_and_usually_as_nominal(method, conditional):
    rng = np.random.default_rng(13)
    covered = []
    for _ in range(100):
        held, labels, fold, new, truth = cross_fitted(rng, 120, 5, 200)
        sets = fit_conformal(held, labels, 0.1, method=method, class_conditional=conditional, folds=fold)
        covered.append(coverage(sets.sets(new), truth).value)
        assert sets.guaranteed_coverage <= 0.8
        assert "1 - 2 alpha = 0.8" in sets.guarantee
    assert np.mean(covered) >= 0.8
    # In practice CV+ keeps 1 - alpha; deterministic scores and small classes err upwards.
    assert 0.89 <= np.mean(covered) <= 0.96


@pytest.mark.parametrize("conditional", [False, True])
def test_cross_conformal_sets_follow_their_definition(rng, conditional):
    held, labels, fold, new, _ = cross_fitted(rng, 60, 4, 15)
    alpha = 0.15
    found = fit_conformal(held, labels, alpha, method="aps", class_conditional=conditional, folds=fold).sets(new)
    own = conformal_scores(held, "aps")[np.arange(60), labels]
    for i in range(15):
        for y in range(3):
            pool = [j for j in range(60) if labels[j] == y or not conditional]
            below = sum(own[j] < conformal_scores(new[fold[j], i], "aps")[y] for j in pool)
            assert found[i, y] == (below < (1 - alpha) * (len(pool) + 1))


def test_one_fold_is_split_conformal(rng):
    p, labels = specimens(rng, 200)
    new, _ = specimens(rng, 100)
    for conditional in (False, True):
        split = fit_conformal(p, labels, 0.1, class_conditional=conditional)
        cross = fit_conformal(p, labels, 0.1, class_conditional=conditional, folds=np.zeros(200, int))
        np.testing.assert_array_equal(split.sets(new), cross.sets(new[None]))


def test_a_stricter_level_never_takes_a_class_out(rng):
    p, labels = specimens(rng, 300)
    wide, narrow = (fit_conformal(p, labels, alpha).sets(p) for alpha in (0.05, 0.2))
    assert np.all(wide | ~narrow)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1, 0.2])
def test_one_image_too_few_makes_every_set_complete_and_says_so(rng, alpha):
    least = needed(alpha)
    assert least == round(1 / alpha) - 1
    assert enough_for(alpha, least)
    assert not enough_for(alpha, least - 1)
    p, labels = specimens(rng, least, noise=0.1)
    strange = np.array([[0.0, 0.0, 0.0, 1.0]])
    assert not fit_conformal(p, labels, alpha).sets(strange).all()
    short = fit_conformal(p[1:], labels[1:], alpha)
    assert short.sets(strange).all()
    assert "every set is complete" in short.attainability.message
    folds = np.arange(least - 1) % 3
    cross = fit_conformal(p[1:], labels[1:], alpha, folds=folds)
    assert cross.sets(np.repeat(strange[None], len(set(folds)), axis=0)).all()
    assert not cross.attainability.enough


def test_a_class_with_too_few_images_is_named_and_always_in_the_set(rng):
    labels = np.r_[np.zeros(50, int), np.ones(50, int), np.full(5, 2)]
    p = softmax(3 * np.eye(3)[labels] + rng.normal(size=(105, 3)))
    found = fit_conformal(p, labels, 0.1, class_conditional=True)
    assert found.attainability.short_classes == (2,)
    assert found.sets([[0.99, 0.01, 0.0]])[0].tolist() == [True, False, True]
    assert "class 2 (5)" in found.attainability.message
    assert attainability(0.1, labels, 3).enough


def test_many_images_of_few_specimens_do_not_assure_a_level():
    labels = np.zeros(100, int)
    assert "5 specimens" in attainability(0.1, labels, 1, groups=np.arange(100) % 5).message
    assert attainability(0.1, labels, 1, groups=np.arange(100)).message == ""


@pytest.mark.parametrize("unit", ["images", "specimens"])
@pytest.mark.parametrize("folded", [False, True])
def test_the_promise_and_what_is_wanting_speak_of_what_was_calibrated(rng, folded, unit):
    p, labels = specimens(rng, 90)
    folds = np.arange(90) % 3 if folded else None
    found = fit_conformal(p, labels, 0.1, folds=folds, unit=unit)
    other = {"images": "specimens", "specimens": "images"}[unit]
    assert f"over all {unit}" in found.guarantee
    assert f"exchangeable {unit}" in found.guarantee
    short = fit_conformal(p[:6], labels[:6], 0.1, folds=folds[:6] if folded else None, unit=unit).attainability.message
    assert f"needs 9 calibration {unit}" in short
    assert other not in f"{found.guarantee}{short}"
    again = conformal_from_arrays(found.as_arrays())
    assert again.guarantee == found.guarantee
    without = {key: value for key, value in found.as_arrays().items() if key != "unit"}
    assert "over all images" in conformal_from_arrays(without).guarantee, "what older bundles hold is of images"


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("folded", [False, True])
def test_stored_sets_decide_the_same(rng, conditional, folded):
    p, labels = specimens(rng, 90)
    folds = np.arange(90) % 3 if folded else None
    found = fit_conformal(p, labels, 0.1, method="aps", class_conditional=conditional, folds=folds)
    arrays = found.as_arrays()
    assert all(isinstance(a, np.ndarray) and a.ndim > 0 and a.dtype.kind in "fi" for a in arrays.values())
    again = conformal_from_arrays(arrays)
    new = np.repeat(p[None], 3, axis=0) if folded else p
    np.testing.assert_array_equal(again.sets(new), found.sets(new))
    assert again.guarantee == found.guarantee
    assert again.attainability == found.attainability
    del arrays["kind"]
    with pytest.raises(InputError):
        conformal_from_arrays(arrays)


def test_probabilities_that_are_not_numbers_leave_every_class_possible(rng):
    p, labels = specimens(rng, 90)
    silent = np.array([[np.nan, 0.9, 0.05, 0.05]])
    assert fit_conformal(p, labels, 0.1).sets(silent).all()
    cross = fit_conformal(p, labels, 0.1, folds=np.arange(90) % 2)
    assert cross.sets(np.repeat(silent[None], 2, axis=0)).all()


def test_misuse_is_refused(rng):
    p, labels = specimens(rng, 40)
    with pytest.raises(InputError, match="several folds"):
        fit_conformal(p, labels, 0.1, folds=np.arange(40) % 2, groups=np.zeros(40))
    with pytest.raises(InputError, match="randomised"):
        fit_conformal(p, labels, 0.1, randomised=True)
    with pytest.raises(InputError, match="alpha"):
        fit_conformal(p, labels, 1.5)
    with pytest.raises(InputError, match="fold models"):
        fit_conformal(p, labels, 0.1, folds=np.arange(40) % 2).sets(p[None])


def test_sets_are_described_by_coverage_size_and_what_they_decide():
    sets = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]], bool)
    found = describe_sets(sets, [0, 2, 1, 2])
    assert found["coverage"].value == 0.5
    assert found["mean_size"].value == 1.0
    assert (found["single"].value, found["empty"].value) == (0.5, 0.25)
    assert [c.value for c in found["per_class"]] == [1.0, 0.0, 0.5]
    grouped = describe_sets(sets, [0, 2, 1, 2], ["a", "a", "b", "c"])
    assert "specimen" in grouped["coverage"].method
