import numpy as np
import pytest
import sklearn.metrics as sk

from sorby.errors import InputError
from sorby.evidence import (
    best_f1_threshold,
    defective_images,
    image_auroc,
    image_roc,
    image_scores,
    pixel_auroc,
    pixel_average_precision,
    pro_auc,
    rank_pixels,
)


def maps_and_masks(rng, levels, n=7):
    masks = [rng.random((k + 5, 9)) < (0.0 if k < 2 else 0.2) for k in range(n)]
    maps = [np.round((m + rng.normal(size=m.shape)) * levels / 8).astype(np.float32) for m in masks]
    return maps, masks


def flat(maps, masks):
    return np.concatenate([m.ravel() for m in masks]), np.concatenate([m.ravel() for m in maps])


@pytest.mark.parametrize("levels", [4, 100, 1_000_000])
def test_pixel_figures_agree_with_scikit_learn_with_and_without_ties(rng, levels):
    maps, masks = maps_and_masks(rng, levels)
    truth, score = flat(maps, masks)
    assert pixel_auroc(maps, masks) == pytest.approx(sk.roc_auc_score(truth, score), abs=1e-12)
    assert pixel_average_precision(maps, masks) == pytest.approx(sk.average_precision_score(truth, score), abs=1e-12)


@pytest.mark.parametrize("levels", [4, 100, 1_000_000])
def test_the_threshold_is_that_of_the_largest_entry_of_the_precision_recall_curve(rng, levels):
    maps, masks = maps_and_masks(rng, levels)
    truth, score = flat(maps, masks)
    precision, recall, thresholds = sk.precision_recall_curve(truth, score)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    k = int(np.argmax(f1))
    best = best_f1_threshold(maps, masks)
    assert best.threshold == thresholds[k]
    assert best.f1 == pytest.approx(f1[k], abs=1e-12)
    assert best.f1 == pytest.approx(sk.f1_score(truth, score >= best.threshold), abs=1e-12)
    assert (best.precision, best.recall) == (pytest.approx(precision[k]), pytest.approx(recall[k]))


def test_of_equal_f1_the_lowest_threshold_is_taken():
    # From 3 on: TP 1, FP 0, FN 2, F1 = .5. From 1 on: TP 2, FP 3, FN 1, F1 = .5. From 0 on: TP 3 and 23 FP.
    scores = np.array([[3, 1, 0, 2, 2, 2] + [0] * 20], np.float32)
    mask = np.array([[1, 1, 1, 0, 0, 0] + [0] * 20], bool)
    assert best_f1_threshold([scores], [mask]).threshold == 1.0
    assert best_f1_threshold([scores], [mask]).f1 == 0.5


def test_weights_are_duplicates(rng):
    maps, masks = maps_and_masks(rng, 10)
    weights = np.array([2, 2, 1, 3, 1, 0, 1])
    twice = [k for k, w in enumerate(weights) for _ in range(w)]
    more, truths = [maps[k] for k in twice], [masks[k] for k in twice]
    assert pixel_auroc(maps, masks, weights) == pytest.approx(pixel_auroc(more, truths), abs=1e-12)
    assert pixel_average_precision(maps, masks, weights) == pytest.approx(pixel_average_precision(more, truths))
    assert best_f1_threshold(maps, masks, weights) == best_f1_threshold(more, truths)
    scores, defective = image_scores(maps), defective_images(masks)
    assert image_auroc(scores, defective, weights) == pytest.approx(sk.roc_auc_score(
        np.repeat(defective, weights), np.repeat(scores, weights)
    ))  # fmt: skip


def with_background(shift):
    """Two good maps and one with a defect, whose good pixels score as those of the good maps, plus *shift*."""
    background = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)
    defect = np.linspace(0.3, 1.1, 200, dtype=np.float32).reshape(20, 10)
    mask = np.zeros((20, 30), bool)
    mask[:, 20:] = True
    maps, masks = [background, background.T, np.hstack([background + np.float32(shift), defect])], [None, None, mask]
    return maps, masks, image_scores(maps), defective_images(masks)


def test_duplicating_good_images_leaves_the_areas_but_moves_the_f1_threshold():
    maps, masks, scores, defective = with_background(0)
    once, twice = [1, 1, 1], [2, 2, 1]
    assert image_auroc(scores, defective, once) == image_auroc(scores, defective, twice)
    assert pixel_auroc(maps, masks, once) == pytest.approx(pixel_auroc(maps, masks, twice), abs=1e-12)
    assert pro_auc(maps, masks, once) == pytest.approx(pro_auc(maps, masks, twice), abs=1e-12)
    assert best_f1_threshold(maps, masks, twice).threshold > best_f1_threshold(maps, masks, once).threshold + 0.05
    assert best_f1_threshold(maps, masks, twice).f1 < best_f1_threshold(maps, masks, once).f1


def test_where_defects_lift_the_scores_around_them_duplicating_good_images_moves_pixel_areas_too():
    # Good pixels beside a defect then count for less among all good pixels; image areas know nothing of that.
    maps, masks, scores, defective = with_background(0.2)
    once, twice = [1, 1, 1], [2, 2, 1]
    assert image_auroc(scores, defective, once) == image_auroc(scores, defective, twice)
    assert pixel_auroc(maps, masks, twice) > pixel_auroc(maps, masks, once) + 0.01
    assert pro_auc(maps, masks, twice) > pro_auc(maps, masks, once) + 0.01


def test_the_score_of_an_image_is_the_maximum_of_its_map(rng):
    maps, masks = maps_and_masks(rng, 50)
    truth = [m.any() for m in masks]
    expected = sk.roc_auc_score(truth, [m.max() for m in maps])
    assert image_auroc(image_scores(maps), defective_images(masks)) == pytest.approx(expected)


def test_the_trapezia_under_the_curves_are_the_areas(rng):
    maps, masks = maps_and_masks(rng, 10)
    fpr, tpr = rank_pixels(maps, masks).roc()
    assert np.trapezoid(tpr, fpr) == pytest.approx(pixel_auroc(maps, masks), abs=1e-12)
    scores, defective = np.round(image_scores(maps) / 4), defective_images(masks)
    fpr, tpr = image_roc(scores, defective)
    assert np.trapezoid(tpr, fpr) == pytest.approx(image_auroc(scores, defective), abs=1e-12)
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert image_roc([1.0, 2.0], [True, True])[0].size == 0


def test_a_stack_of_maps_is_as_good_as_a_list(rng):
    maps = rng.random((3, 6, 6)).astype(np.float32)
    masks = rng.random((3, 6, 6)) < 0.3
    assert pixel_auroc(maps, masks) == pixel_auroc(list(maps), list(masks))


def test_one_kind_of_pixel_alone_has_no_ranking():
    scores = [np.ones((3, 3), np.float32)]
    assert np.isnan(pixel_auroc(scores, [None]))
    assert np.isnan(pixel_average_precision(scores, [None]))
    assert np.isnan(image_auroc([1.0], [True]))
    assert np.isnan(image_auroc([1.0, 2.0], [True, True], [1, 2]))
    with pytest.raises(InputError, match="no best threshold"):
        best_f1_threshold(scores, [None])


def test_weights_below_nought_or_of_another_number_are_refused():
    scores = [np.ones((3, 3), np.float32)]
    for weights in ([-1], [np.nan], [1, 1]):
        with pytest.raises(InputError, match="weight"):
            pixel_auroc(scores, [None], weights)
    with pytest.raises(InputError, match="labels of shape"):
        image_auroc([1, 2], [True])
