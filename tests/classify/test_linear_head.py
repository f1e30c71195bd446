"""The linear head and the verdicts on top of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from sorby.classify.heads import FittedHead, HeadSpec, Targets, fit_head
from sorby.classify.judge import REASONS, Judge, cross_fitted_judge, held_out_judge
from sorby.classify.recipe import BalanceSection, HeadSection, VerdictSection
from sorby.errors import InputError
from sorby.evidence import softmax

Features = npt.NDArray[np.float32]
Labels = npt.NDArray[np.intp]


def clouds(n: int, classes: int, seed: int, distance: float = 3.0, dimensions: int = 6) -> tuple[Features, Labels]:
    """Gaussian clouds around the corners of a simplex, *distance* standard deviations from the origin."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = distance * np.eye(classes, dimensions)
    return (centres[labels] + rng.normal(size=(n, dimensions))).astype(np.float32), labels


def fit(features: Features, labels: Labels, classes: int, **section: object) -> FittedHead:
    folds = np.random.default_rng(0).permutation(len(labels)) % 5
    return refit(features, labels, classes, folds, **section)


def refit(features: Features, labels: Labels, classes: int, folds: Labels, **section: object) -> FittedHead:
    spec = HeadSpec(classes=tuple("abcdef"[:classes]), inputs=features.shape[1])
    chosen = HeadSection.model_validate(section)
    return fit_head(features, Targets.plain(labels), spec, folds, chosen, BalanceSection())


def fold_scores(fitted: FittedHead, features: Features) -> npt.NDArray[np.float64]:
    return np.stack([head.scores(features) for head in fitted.fold_heads])


def weight_of(head: object) -> npt.NDArray[np.float32]:
    weight: npt.NDArray[np.float32] = head.readout.linear.weight.detach().numpy()  # type: ignore[attr-defined]
    return weight


def test_separable_classes_are_learnt() -> None:
    features, labels = clouds(150, 3, seed=0, distance=8)
    fitted = fit(features, labels, 3)
    fresh, truth = clouds(300, 3, seed=1, distance=8)
    assert (fitted.head.scores(fresh).argmax(1) == truth).all()
    assert (fitted.cross_logits.argmax(1) == labels).all()


def test_two_classes_share_one_decision_symmetrically() -> None:
    features, labels = clouds(80, 2, seed=0)
    head = fit(features, labels, 2).head
    logits = head.scores(features)
    np.testing.assert_allclose(logits.sum(1), 0, atol=1e-4)
    np.testing.assert_allclose(weight_of(head)[0], -weight_of(head)[1], rtol=1e-6)


def test_a_class_without_images_is_never_chosen() -> None:
    features, labels = clouds(90, 2, seed=0)
    fitted = fit(features, labels, 3)  # class 2 is absent
    assert (fitted.head.scores(features).argmax(1) < 2).all()
    assert softmax(fitted.head.scores(features))[:, 2].max() < 1e-6


def test_a_fold_head_has_not_seen_its_fold() -> None:
    features, labels = clouds(100, 2, seed=0, distance=1)
    fitted = fit(features, labels, 2)
    spoilt = features.copy()
    spoilt[fitted.folds == 2] += 1000
    again = refit(spoilt, labels, 2, fitted.folds, c_grid=tuple(fitted.c.values()))
    alone = refit(features, labels, 2, fitted.folds, c_grid=tuple(fitted.c.values()))
    np.testing.assert_array_equal(weight_of(again.fold_heads[2]), weight_of(alone.fold_heads[2]))
    assert not np.allclose(weight_of(again.fold_heads[1]), weight_of(alone.fold_heads[1]))


def test_cross_fitted_logits_are_those_of_the_fold_that_held_the_image_out() -> None:
    features, labels = clouds(100, 3, seed=0)
    fitted = fit(features, labels, 3)
    assert len(fitted.fold_heads) == 5
    each = fold_scores(fitted, features)  # (K, N, C)
    np.testing.assert_allclose(fitted.cross_logits, each[fitted.folds, np.arange(100)], rtol=1e-5, atol=1e-5)


def test_the_strength_of_least_cross_fitted_log_loss_is_chosen() -> None:
    features, labels = clouds(120, 3, seed=0, distance=1, dimensions=40)
    fitted = fit(features, labels, 3, c_grid=(1e-4, 1e-2, 1, 100))
    losses = {trial["c"]: trial["log_loss"] for trial in fitted.trials["class"]}
    assert fitted.c["class"] == min(losses, key=losses.__getitem__)
    assert 100 not in losses, "trials stop once the loss grows"


def test_a_head_is_the_same_for_features_of_any_scale() -> None:
    features, labels = clouds(100, 3, seed=0)
    stretched = (features * np.array([1, 10, 100, 1e-2, 1, 1], np.float32) + 5).astype(np.float32)
    plain, other = fit(features, labels, 3), fit(stretched, labels, 3)
    np.testing.assert_allclose(plain.cross_logits, other.cross_logits, atol=2e-2)


def test_one_class_or_one_fold_is_refused() -> None:
    features, _ = clouds(20, 2, seed=0)
    with pytest.raises(InputError, match="two classes"):
        refit(features, np.zeros(20, np.intp), 2, np.arange(20) % 2)


# -- verdicts ---------------------------------------------------------------------------------------------


def judged(seed: int, n: int = 240, distance: float = 2.5, **section: object) -> tuple[Judge, FittedHead]:
    features, labels = clouds(n, 3, seed, distance)
    fitted = fit(features, labels, 3)
    chosen = VerdictSection.model_validate(section)
    return cross_fitted_judge(fitted, features, labels, None, chosen, (0.1, 0.2)), fitted


def test_cross_conformal_sets_cover_what_they_promise() -> None:
    # CV+ promises 1 - 2 alpha for every training set; over 8 of them and 3200 fresh points the average, which
    # has a standard deviation of about .01, must keep it. It usually reaches 1 - alpha.
    alpha, hits = 0.1, []
    for seed in range(8):
        judge, fitted = judged(seed, n=120, alpha=alpha)
        fresh, truth = clouds(400, 3, seed=1000 + seed, distance=2.5)
        verdicts = judge.judge(fitted.head.scores(fresh), fold_scores(fitted, fresh), fresh, np.full(400, np.nan))
        hits.append(verdicts.sets[np.arange(400), truth].mean())
    assert np.mean(hits) >= 1 - 2 * alpha
    assert np.mean(hits) < 0.99, "sets that hold everything cover too, and say nothing"


def test_reasons_name_what_a_person_must_look_at() -> None:
    judge, fitted = judged(0, novelty_rate=0.02, alpha=0.02)
    between = np.array([[1.25, 1.25, 0, 0, 0, 0]], np.float32)  # halfway between two classes
    typical = np.array([[2.5, 0, 0, 0, 0, 0]], np.float32)
    strange = np.array([[0, 0, 0, 60, -60, 60]], np.float32)

    def reasons(features: Features, size: float = 0.15) -> tuple[str, ...]:
        verdicts = judge.judge(fitted.head.scores(features), fold_scores(fitted, features), features, np.array([size]))
        return verdicts.reasons[0]

    assert reasons(typical) == ()
    assert "novel" in reasons(strange)
    assert "set-several" in reasons(between)
    assert reasons(typical, size=0.3) == ("scale-out-of-range",)
    assert reasons(typical, size=0.24) == ()  # within a quarter of what was taught
    assert reasons(typical, size=0.05) == ("scale-out-of-range",)
    assert reasons(typical, size=np.nan) == ()
    assert set(reasons(strange) + reasons(between)) <= set(REASONS)


@pytest.mark.parametrize("sets", ["lac", "aps"])
@pytest.mark.parametrize("held_out", [False, True])
def test_a_judge_comes_back_from_its_arrays_and_judges_the_same(sets: str, held_out: bool) -> None:
    features, labels = clouds(200, 3, 0, 2.0)
    fitted = fit(features, labels, 3)
    section = VerdictSection.model_validate({"sets": sets})
    if held_out:
        fresh, truth = clouds(150, 3, 5, 2.0)
        judge = held_out_judge((features, labels), (fresh, truth, fitted.head.scores(fresh)), None, section, None)
    else:
        judge = cross_fitted_judge(fitted, features, labels, None, section, None)
    arrays = {key: value.copy() for key, value in judge.as_arrays().items()}
    again = Judge.from_arrays(arrays, judge.temperature, judge.novelty_rate, judge.pixel_sizes_um)
    probe = clouds(60, 3, 9, 2.0)[0]
    fold_logits = None if held_out else fold_scores(fitted, probe)
    first, second = (
        each.judge(fitted.head.scores(probe), fold_logits, probe, np.full(60, np.nan)) for each in (judge, again)
    )
    assert np.array_equal(first.probabilities, second.probabilities)
    assert np.array_equal(first.sets, second.sets)
    assert np.array_equal(first.novelty, second.novelty)
    assert first.reasons == second.reasons


def test_too_few_calibration_images_are_said() -> None:
    judge, _ = judged(0, n=30, novelty_rate=0.001, alpha=0.01)
    assert any("novelty" in line for line in judge.limits())
    assert len(judge.limits()) == 2
