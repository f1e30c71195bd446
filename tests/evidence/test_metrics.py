import numpy as np
import pytest
import sklearn.metrics as sk

from sorby.errors import InputError
from sorby.evidence import (
    average_precision,
    confusion_matrix,
    fold_mean_row_percent,
    from_confusion,
    roc_auc,
    row_percent,
)


@pytest.fixture
def called(rng):
    truth = rng.integers(0, 5, 400)
    return truth, np.where(rng.random(400) < 0.7, truth, rng.integers(0, 5, 400))


def test_every_figure_agrees_with_scikit_learn(called):
    truth, predicted = called
    cm = confusion_matrix(truth, predicted, 5)
    found = from_confusion(cm)
    np.testing.assert_array_equal(cm, sk.confusion_matrix(truth, predicted))
    assert found.accuracy == pytest.approx(sk.accuracy_score(truth, predicted))
    assert found.balanced_accuracy == pytest.approx(sk.balanced_accuracy_score(truth, predicted))
    assert found.cohen_kappa == pytest.approx(sk.cohen_kappa_score(truth, predicted))
    for average, f1 in (("macro", found.macro_f1), ("weighted", found.weighted_f1), (None, found.f1)):
        assert f1 == pytest.approx(sk.f1_score(truth, predicted, average=average))
    assert found.precision == pytest.approx(sk.precision_score(truth, predicted, average=None))
    assert found.recall == pytest.approx(sk.recall_score(truth, predicted, average=None))


def test_a_class_predicted_but_never_true_counts_zero_in_macro_f1_and_not_in_balanced_accuracy():
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    found = from_confusion(confusion_matrix(truth, predicted, 6))
    assert found.macro_f1 == pytest.approx(sk.f1_score(truth, predicted, average="macro", zero_division=0))
    assert found.balanced_accuracy == pytest.approx(0.75)


def test_leading_axes_are_many_matrices_at_once(rng):
    cms = rng.integers(0, 9, (4, 3, 5, 5))
    together = from_confusion(cms)
    for i in range(4):
        for j in range(3):
            alone = from_confusion(cms[i, j])
            assert together.cohen_kappa[i, j] == pytest.approx(alone.cohen_kappa)
            assert together.f1[i, j] == pytest.approx(alone.f1)


def test_kappa_of_a_single_class_is_undefined():
    assert np.isnan(from_confusion([[7, 0], [0, 0]]).cohen_kappa)


@pytest.mark.parametrize("levels", [5, 10_000])
def test_ranking_figures_agree_with_scikit_learn_with_and_without_ties(rng, levels):
    truth = rng.integers(0, 2, 500)
    score = np.round((truth + rng.normal(size=500)) * levels / 8)
    assert roc_auc(truth, score) == pytest.approx(sk.roc_auc_score(truth, score))
    assert average_precision(truth, score) == pytest.approx(sk.average_precision_score(truth, score))


def test_ranking_without_a_class_is_undefined():
    assert np.isnan(roc_auc([1, 1], [0.2, 0.3]))
    assert np.isnan(roc_auc([], []))


def test_row_percentages_averaged_over_equal_rows_are_those_of_the_sum():
    folds = np.array([[[8, 2], [1, 9]], [[6, 4], [3, 7]]])
    np.testing.assert_allclose(fold_mean_row_percent(folds), row_percent(folds.sum(axis=0)))


def test_a_fold_without_a_class_does_not_dilute_its_row():
    folds = np.array([[[8, 2], [0, 0]], [[5, 5], [3, 7]]])
    assert fold_mean_row_percent(folds)[1] == pytest.approx([30.0, 70.0])


@pytest.mark.parametrize("truth", [[0, 3], [-1, 0], [0.5, 1], [[0, 1]]])
def test_impossible_codes_are_refused(truth):
    with pytest.raises(InputError):
        confusion_matrix(truth, [0, 1], 3)
