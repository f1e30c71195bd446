"""Labels that are not all right: what may be left out, and what ratings say of the truth."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.classify.heads import HeadSpec, Targets, fit_head
from sorby.classify.label_noise import (
    Ratings,
    believe,
    confident_examples,
    learn_from_doubtful,
    rater_confusion,
    shared_out,
)
from sorby.classify.recipe import BalanceSection, HeadSection, LabelsSection
from sorby.errors import InputError

CLASSES = 3


def clouds(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % CLASSES
    return (2.6 * np.eye(CLASSES, 8)[truth] + rng.normal(size=(n, 8))).astype(np.float32), truth


def spoilt(truth: np.ndarray, share: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(truth)) < share
    return np.where(wrong, (truth + rng.integers(1, CLASSES, len(truth))) % CLASSES, truth)


def taught(noise: str, features: np.ndarray, labels: np.ndarray, ratings: Ratings | None = None) -> tuple:
    spec, folds = HeadSpec(classes=("a", "b", "c"), inputs=8), np.arange(len(labels)) % 5

    def learn(**options: object):
        return fit_head(features, Targets.plain(labels), spec, folds, balance=BalanceSection(), **options)

    found = learn_from_doubtful(learn, HeadSection(), LabelsSection(noise=noise), labels, lambda: ratings)
    return found.fitted, found.notes


def test_believed_labels_are_taught_as_they_are() -> None:
    features, truth = clouds(90, 0)
    _, doubts = taught("none", features, truth)
    assert doubts == {}


def test_confident_learning_leaves_out_mostly_wrong_labels() -> None:
    features, truth = clouds(600, 0)
    labels = spoilt(truth, 0.2, 1)
    fitted, _ = taught("none", features, labels)
    p = np.exp(fitted.cross_logits) / np.exp(fitted.cross_logits).sum(1, keepdims=True)
    kept, out = confident_examples(p, labels)
    assert len(kept.image) + len(out) == 600
    assert (labels[out] != truth[out]).mean() > 0.8, "a fifth of all labels is wrong"
    assert not set(out) & set(kept.image)


def test_a_class_is_never_left_without_half_of_its_images() -> None:
    labels = np.repeat([0, 1], [40, 6])
    p = np.tile([0.97, 0.03], (46, 1))  # everything looks like class 0
    p[0] = [0.03, 0.97]
    kept, _ = confident_examples(p, labels)
    assert (kept.label == 1).sum() >= 3


def test_beliefs_follow_bayes_rule() -> None:
    confusion = np.array([[[0.8, 0.2], [0.4, 0.6]]])
    belief = believe(np.array([[0.5, 0.5], [0.5, 0.5]]), Ratings(("r",), np.array([[0], [-1]])), confusion)
    np.testing.assert_allclose(belief, [[0.8 / 1.2, 0.4 / 1.2], [0.5, 0.5]], rtol=1e-9)


def test_a_rater_who_always_errs_the_same_way_is_seen_through() -> None:
    truth = np.arange(300) % 3
    codes = np.stack([truth, (truth + 1) % 3], axis=1)
    confusion = rater_confusion(codes, np.eye(3)[truth])
    assert confusion[0].diagonal().min() > 0.9
    assert confusion[1][0, 1] > 0.9
    np.testing.assert_allclose(confusion.sum(2), 1)


def test_shares_too_small_to_matter_teach_nothing() -> None:
    examples = shared_out(np.array([[0.99, 0.01], [0.3, 0.7]]))
    assert list(examples.image) == [0, 1, 1]
    assert list(examples.label) == [0, 0, 1]


def test_ratings_teach_better_than_one_noisy_label() -> None:
    features, truth = clouds(450, 2)
    fresh, fresh_truth = clouds(3000, 3)
    labels = spoilt(truth, 0.45, 4)
    others = np.stack([spoilt(truth, 0.35, 10 + k) for k in range(4)] + [labels], axis=1)
    plain, _ = taught("none", features, labels)
    wise, doubts = taught("raters", features, labels, Ratings(("a", "b", "c", "d", "label"), others))
    right = [(each.head.scores(fresh).argmax(1) == fresh_truth).mean() for each in (plain, wise)]
    assert right[1] > right[0] + 0.02
    assert doubts["believed_otherwise"] > 0.3 * 450


def test_one_rater_alone_is_enough_to_start_from() -> None:
    features, truth = clouds(300, 5)
    labels = spoilt(truth, 0.2, 6)
    _, doubts = taught("raters", features, labels, Ratings(("label",), labels[:, None]))
    assert doubts["ratings"] == 300
    assert 0 < doubts["believed_otherwise"] < 120


def test_no_rating_at_all_is_refused() -> None:
    features, truth = clouds(90, 0)
    with pytest.raises(InputError, match="nobody rated"):
        taught("raters", features, truth, Ratings(("a",), np.full((90, 1), -1)))


def test_what_is_believed_is_one_class_an_image() -> None:
    features, truth = clouds(300, 5)
    labels = spoilt(truth, 0.2, 6)
    spec, folds = HeadSpec(classes=("a", "b", "c"), inputs=8), np.arange(300) % 5

    def learn(**options: object):
        return fit_head(features, Targets.plain(labels), spec, folds, balance=BalanceSection(), **options)

    ratings = Ratings(("label",), labels[:, None])
    found = learn_from_doubtful(learn, HeadSection(), LabelsSection(noise="raters"), labels, lambda: ratings)
    rows, classes = found.believed(300)
    np.testing.assert_array_equal(rows, np.arange(300))
    assert (classes == truth).mean() > (labels == truth).mean() + 0.05
