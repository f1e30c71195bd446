"""Figures printed in the steel and fracture papers, recomputed."""

import numpy as np
import pytest

from sorby.evidence import (
    column_percent,
    from_confusion,
    mcnemar_p,
    merge_classes,
    row_percent,
    t_interval,
    t_interval_from_summary,
    wilson,
)

# Steel, order B7 B8 B9-10 G7 G8 G9-10 M8 M9-10, printed with rows = predicted and columns = true. The last
# column is lost in print; its errors are placed at M8, the neighbouring size of the same subtype.
GLOBAL = np.array(
    [
        [7, 2, 0, 0, 0, 0, 0, 0],
        [1, 24, 5, 0, 0, 2, 0, 0],
        [0, 2, 25, 0, 0, 4, 0, 0],
        [0, 0, 0, 9, 1, 0, 0, 0],
        [0, 0, 0, 1, 32, 5, 0, 0],
        [0, 0, 0, 0, 6, 186, 0, 0],
        [0, 0, 0, 0, 0, 0, 5, 2],
        [0, 0, 0, 0, 0, 0, 1, 6],
    ]
).T
TWO_STAGE = np.array(
    [
        [7, 1, 0, 0, 0, 0, 0, 0],
        [0, 21, 1, 0, 0, 2, 0, 0],
        [1, 6, 28, 0, 0, 2, 1, 0],
        [0, 0, 0, 9, 1, 0, 0, 0],
        [0, 0, 0, 1, 28, 3, 0, 0],
        [0, 0, 1, 0, 10, 190, 0, 0],
        [0, 0, 0, 0, 0, 0, 5, 1],
        [0, 0, 0, 0, 0, 0, 0, 7],
    ]
).T
SUBTYPE = [0, 0, 0, 1, 1, 1, 2, 2]
SIZE = [0, 1, 2, 0, 1, 2, 1, 2]


def test_both_steel_matrices_hold_the_326_test_images_of_each_class():
    for cm in (GLOBAL, TWO_STAGE):
        assert cm.sum(axis=1).tolist() == [8, 28, 30, 10, 39, 197, 6, 8]


@pytest.mark.parametrize(
    ("cm", "hits", "macro", "weighted", "balanced", "kappa"),
    [(GLOBAL, 294, 0.8375, 0.9031, 0.8517, 0.8392), (TWO_STAGE, 295, 0.8645, 0.9038, 0.8561, 0.8405)],
)
def test_steel_accuracy_coincides_with_weighted_but_not_with_macro_f1(cm, hits, macro, weighted, balanced, kappa):
    found = from_confusion(cm)
    assert found.accuracy == pytest.approx(hits / 326)
    # Four printed digits: half a unit of the last.
    assert found.macro_f1 == pytest.approx(macro, abs=5e-5)
    assert found.weighted_f1 == pytest.approx(weighted, abs=5e-5)
    assert found.balanced_accuracy == pytest.approx(balanced, abs=5e-5)
    assert found.cohen_kappa == pytest.approx(kappa, abs=5e-5)


def test_wherever_the_lost_cells_lie_the_steel_scores_stay_in_their_ranges():
    scores = []
    for first in range(7):
        for second in range(7):
            cm = GLOBAL.copy()
            cm[7, 6] = 0
            cm[7, first] += 1
            cm[7, second] += 1
            scores.append(cm)
    found = from_confusion(np.stack(scores))
    assert found.macro_f1.min() == pytest.approx(0.8375, abs=5e-5)
    assert found.macro_f1.max() == pytest.approx(0.8544, abs=5e-5)
    assert found.weighted_f1.min() == pytest.approx(0.9027, abs=5e-5)
    assert found.weighted_f1.max() == pytest.approx(0.9035, abs=5e-5)


@pytest.mark.parametrize("cm", [GLOBAL, TWO_STAGE])
def test_merging_steel_grades_gives_320_right_subtypes_and_298_right_sizes(cm):
    assert np.trace(merge_classes(cm, SUBTYPE)) == 320
    assert np.trace(merge_classes(cm, SIZE)) == 298


def test_printed_column_percentages_of_the_steel_figure_are_recalls():
    recalls = np.diag(row_percent(GLOBAL))
    assert np.round(recalls + 1e-9).tolist() == [88, 86, 83, 90, 82, 94, 83, 75]
    np.testing.assert_allclose(np.diag(column_percent(GLOBAL.T)), recalls)


def test_one_image_more_is_no_evidence_that_two_stages_beat_one():
    assert wilson(295, 326) == pytest.approx((0.868, 0.932), abs=5e-4)
    assert wilson(294, 326) == pytest.approx((0.865, 0.930), abs=5e-4)
    # Whatever the unknown overlap, a surplus of one discordant image is never significant.
    assert all(mcnemar_p(k + 1, k)[0] > 0.9999 for k in range(31))


@pytest.mark.parametrize(
    ("mean", "sd", "low", "high"),
    [
        (0.907, 0.008, 0.8971, 0.9169),
        (0.888, 0.017, 0.8669, 0.9091),
        (0.998, 0.001, 0.9968, 0.9992),
        (0.090, 0.012, 0.0751, 0.1049),
        (0.917, 0.010, 0.9046, 0.9294),
        (0.866, 0.025, 0.8350, 0.8970),
    ],
)
def test_fracture_intervals_are_t_with_four_degrees_of_freedom(mean, sd, low, high):
    interval = t_interval_from_summary(mean, sd, 5).ci95
    assert interval == pytest.approx((low, high), abs=6e-5)


def test_fold_values_and_their_summary_give_one_interval():
    folds = [0.90, 0.91, 0.89, 0.92, 0.915]
    found = t_interval(folds)
    assert found.ci95 == t_interval_from_summary(np.mean(folds), np.std(folds, ddof=1), 5).ci95
    assert found.as_dict()["sd"] == pytest.approx(np.std(folds, ddof=1))
    assert t_interval([0.9]).ci95 is None


def test_fracture_macro_scores_follow_from_the_printed_class_scores():
    recall, precision = np.array([0.898, 0.924, 0.777]), np.array([0.903, 0.907, 0.939])
    assert recall.mean() == pytest.approx(0.866, abs=5e-4)
    f1 = 2 * recall * precision / (recall + precision)
    # Rounded precision and recall leave one unit of the third digit.
    assert f1 == pytest.approx([0.901, 0.916, 0.851], abs=1.1e-3)
