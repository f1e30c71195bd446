import json

import numpy as np
import pytest

from sorby.errors import InputError
from sorby.evidence import (
    Estimate,
    best_f1_threshold,
    defective_images,
    image_auroc,
    image_scores,
    localisation,
    pixel_auroc,
    pixel_average_precision,
    pro_auc,
    region_false_alarms,
    threshold_pro,
)


def scene(rng, n=24, contrast=1.5, size=24):
    """Noise maps; two thirds of the images have one or two bright discs of varying contrast."""
    rows, columns = np.mgrid[:size, :size]
    maps, masks = [], []
    for k in range(n):
        mask = np.zeros((size, size), bool)
        for _ in range(0 if k % 3 == 0 else 1 + k % 2):
            y, x = rng.integers(2, size - 2, 2)
            mask |= (rows - y) ** 2 + (columns - x) ** 2 <= 6
        maps.append((rng.normal(size=mask.shape) + contrast * rng.random() * 2 * mask).astype(np.float32))
        masks.append(mask)
    return maps, masks


def test_values_are_exact(rng):
    maps, masks = scene(rng)
    found = localisation(maps, masks, n_resamples=50, fpr_limit=0.2)
    best = best_f1_threshold(maps, masks)
    overlap, alarms = threshold_pro(maps, masks, best.threshold), region_false_alarms(maps, masks, best.threshold)
    expected = {
        "image_auroc": image_auroc(image_scores(maps), defective_images(masks)),
        "pixel_auroc": pixel_auroc(maps, masks),
        "pixel_average_precision": pixel_average_precision(maps, masks),
        "pro_auc": pro_auc(maps, masks, fpr_limit=0.2),
        "pixel_f1": best.f1,
        "pixel_precision": best.precision,
        "pixel_recall": best.recall,
        "threshold_pro_by_region": overlap.by_region,
        "threshold_pro_by_image": overlap.by_image,
        "false_regions_per_image": alarms.per_image,
        "false_regions_per_mpx": alarms.per_mpx,
        "image_specificity": alarms.image_specificity,
        "pixel_specificity": alarms.pixel_specificity,
    }
    assert {name: found[name].value for name in expected} == pytest.approx(expected, rel=1e-12)
    assert found["threshold"] == best.threshold
    assert (found["n"], found["n_good"], found["n_defective"], found["n_specimens"]) == (24, 8, 16, 24)
    assert found["image_specificity"].n == 8
    assert found["threshold_pro_by_image"].n == 16
    json.dumps({name: value.as_dict() for name, value in found.items() if isinstance(value, Estimate)})


def test_weights_reach_every_figure_but_false_alarms(rng):
    maps, masks = scene(rng, n=9)
    weights = [2 if k % 3 == 0 else 1 for k in range(9)]
    found = localisation(maps, masks, weights=weights, n_resamples=50)
    best = best_f1_threshold(maps, masks, weights)
    assert found["pixel_f1"].value == pytest.approx(best.f1)
    assert found["pixel_precision"].value == pytest.approx(best.precision)
    assert found["pixel_auroc"].value == pixel_auroc(maps, masks, weights)
    alarms = region_false_alarms(maps, masks, best.threshold)
    assert found["false_regions_per_image"].value == alarms.per_image


def test_the_intervals_of_the_grid_are_those_of_ranking_every_resample_anew(rng):
    maps, masks = scene(rng, n=30)
    found = localisation(maps, masks, n_resamples=300)
    draws = np.random.default_rng(5).integers(0, 30, (300, 30))
    exact = {"pixel_auroc": pixel_auroc, "pro_auc": pro_auc, "pixel_average_precision": pixel_average_precision}
    for name, figure in exact.items():
        slow = [figure([maps[k] for k in draw], [masks[k] for k in draw]) for draw in draws]
        spread = np.std(slow)
        # 300 resamples find a 2.5 % point to about an eighth of the spread; two independent runs are compared.
        np.testing.assert_allclose(found[name].ci95, np.percentile(slow, [2.5, 97.5]), atol=0.6 * spread)


def test_images_of_one_specimen_are_drawn_together(rng):
    maps, masks = scene(rng, n=12)
    many, truths = [m for m in maps for _ in range(4)], [m for m in masks for _ in range(4)]
    alone = localisation(many, truths, n_resamples=400)
    together = localisation(many, truths, groups=np.repeat(np.arange(12), 4), n_resamples=400)
    for name in ("image_auroc", "pixel_auroc", "pro_auc", "threshold_pro_by_region", "pixel_specificity"):
        assert together[name].value == alone[name].value
        assert np.ptp(together[name].ci95) > 1.4 * np.ptp(alone[name].ci95)
    assert "specimen" in together["pro_auc"].method
    assert together["n_specimens"] == 12


def test_a_threshold_chosen_on_the_scored_pixels_is_called_optimistic_and_a_given_one_is_not(rng):
    maps, masks = scene(rng, n=12)
    chosen, given = localisation(maps, masks, n_resamples=50), localisation(maps, masks, threshold=1.0, n_resamples=50)
    for name in ("pixel_f1", "threshold_pro_by_region", "image_specificity"):
        assert "optimistic" in chosen[name].note
        assert "optimistic" not in given[name].note
    assert (chosen["threshold_source"], given["threshold_source"]) == ("best F1 on these pixels", "given")
    assert "optimistic" not in chosen["pro_auc"].note


def test_of_good_images_alone_only_false_alarms_can_be_told(rng):
    maps = [rng.random((8, 8)).astype(np.float32) for _ in range(5)]
    found = localisation(maps, [None] * 5, threshold=0.99, n_resamples=50)
    for name in ("image_auroc", "pixel_auroc", "pro_auc", "threshold_pro_by_image"):
        assert np.isnan(found[name].value)
        assert found[name].ci95 is None
        assert "undefined" in found[name].note
    assert 0 < found["pixel_specificity"].value <= 1
    without = localisation(maps, [None] * 5, n_resamples=50)
    assert np.isnan(without["threshold"])
    assert np.isnan(without["image_specificity"].value)


def test_the_same_seed_gives_the_same_intervals(rng):
    maps, masks = scene(rng, n=12)
    assert localisation(maps, masks, n_resamples=50, seed=3) == localisation(maps, masks, n_resamples=50, seed=3)


def test_groups_of_another_number_are_refused(rng):
    maps, masks = scene(rng, n=6)
    with pytest.raises(InputError, match="specimen names"):
        localisation(maps, masks, groups=[1, 2])


def test_a_called_region_is_false_only_if_it_holds_no_defect_pixel():
    mask = np.zeros((10, 10), bool)
    mask[2, 2] = True
    scores = np.zeros((10, 10), np.float32)
    scores[2:5, 2:5] = 1  # holds the defect pixel and eight good ones
    scores[7, 7] = scores[8, 8] = 1  # one region: they touch at a corner
    scores[0, 9] = 1
    alarms = region_false_alarms([scores, np.zeros((10, 10)), scores], [mask, None, None], 1.0)
    np.testing.assert_array_equal(alarms.regions, [2, 0, 3])
    assert alarms.per_image == pytest.approx(5 / 3)
    assert alarms.per_mpx == pytest.approx(5 / 300e-6)
    assert alarms.image_specificity == 0.5
    assert alarms.pixel_specificity == pytest.approx(1 - (11 + 12) / 299)
    assert alarms.as_dict()["good_images_alarmed"] == 1


def test_without_a_good_image_there_is_no_specificity_of_images():
    alarms = region_false_alarms([np.ones((2, 2))], [np.ones((2, 2), bool)], 0.5)
    assert np.isnan(alarms.image_specificity)
    assert alarms.as_dict()["image_specificity"] is None
    assert alarms.as_dict()["pixel_specificity"] is None
