"""Detection scores against cases worked by hand, against COCO's evaluator, and against resampled copies."""

import json
import tracemalloc

import numpy as np
import pytest

from sorby.errors import InputError
from sorby.evidence.boxes import FoundBoxes, TrueBoxes, no_boxes
from sorby.evidence.coco_evaluator import coco_table
from sorby.evidence.detection_intervals import Draws, precision_samples
from sorby.evidence.detection_matching import coco_matching, scene, voc_matching
from sorby.evidence.detection_metrics import ON_THESE, detection_scores
from sorby.evidence.detection_precision import Ranking, average_precisions, curve, rankings
from sorby.evidence.intervals import wilson

SIZES = {"small": (0.0, 400.0), "medium": (400.0, 1600.0), "large": (1600.0, np.inf)}


def true(*boxes, labels=None, ignored=None):
    """True boxes as left, top, width, height."""
    array = np.array(boxes, np.float32).reshape(-1, 4)
    array[:, 2:] += array[:, :2]
    flags = None if ignored is None else np.array(ignored, bool)
    return TrueBoxes(array, np.zeros(len(array), int) if labels is None else np.array(labels, int), flags)


def seen(*boxes, labels=None):
    """Found boxes as left, top, width, height, score."""
    array = np.array(boxes, np.float32).reshape(-1, 5)
    corners = array[:, :4].copy()
    corners[:, 2:] += corners[:, :2]
    return FoundBoxes(corners, np.zeros(len(array), int) if labels is None else np.array(labels, int), array[:, 4])


def crowd(rng, n_images, n_classes=3, most_true=6, most_found=14, ties=False):
    """Images whose findings are true boxes moved about, duplicates, and inventions; some without any box."""
    truth, found = [], []
    for _ in range(n_images):
        n = int(rng.integers(0, most_true + 1))
        corner, side = rng.uniform(0, 120, (n, 2)), rng.uniform(6, 70, (n, 2))
        boxes = np.hstack([corner, corner + side])
        labels = rng.integers(0, n_classes, n)
        truth.append(TrueBoxes(boxes.astype(np.float32), labels, rng.random(n) < 0.15))
        m = int(rng.integers(0, most_found + 1))
        invented = rng.uniform(0, 120, (m, 2))
        each = np.hstack([invented, invented + rng.uniform(6, 70, (m, 2))])
        codes = rng.integers(0, n_classes, m)
        if n:
            source = rng.integers(0, n, m)
            near = rng.random(m) < 0.7
            each[near] = boxes[source[near]] + rng.normal(0, 4, (int(near.sum()), 4))
            codes[near] = np.where(rng.random(int(near.sum())) < 0.85, labels[source[near]], codes[near])
        each[:, 2:] = np.maximum(each[:, 2:], each[:, :2] + 1)
        scores = rng.random(m).astype(np.float32)
        found.append(FoundBoxes(each.astype(np.float32), codes, np.round(scores, 1) if ties else scores))
    return truth, found


def own(boxes, sizes):
    """AP and greatest recall by this package's own matching, shape (T, C, 1 + S)."""
    ap, recall = [], []
    for limits in [(0.0, np.inf), *sizes.values()]:
        ranked = rankings(boxes, coco_matching(boxes, areas=limits), limits)
        ap.append(np.stack([average_precisions(each)[0] for each in ranked], axis=1))
        hits = np.stack([each.hit.sum(axis=1) for each in ranked], axis=1)
        total = np.array([each.positives.sum() for each in ranked])
        recall.append(np.where(total > 0, hits / np.maximum(total, 1), np.nan))
    return np.stack(ap, axis=-1), np.stack(recall, axis=-1)


# --- known by hand


def test_a_perfect_detector_scores_one_by_every_form():
    truth = [true((10, 10, 20, 20), (60, 60, 40, 10)), true(), true((0, 0, 100, 100))]
    found = [seen((10, 10, 20, 20, 0.9), (60, 60, 40, 10, 0.6)), seen(), seen((0, 0, 100, 100, 0.7))]
    scores = detection_scores(truth, found, ["pinhole"])
    assert (scores.ap, scores.ap50, scores.ap75) == pytest.approx((1, 1, 1))
    assert {round(each.value, 12) for each in scores.voc.values()} == {1.0}
    point = scores.best_f1
    assert (point.hits, point.missed, point.alarms, point.f1) == (3, 0, 0, 1.0)
    assert point.score == pytest.approx(0.6)
    assert {name: each.value for name, each in point.figures.items()} == pytest.approx(
        {"recall": 1, "precision": 1, "false_per_image": 0, "images_caught": 1, "images_silent": 1,
         "centre_recall": 1, "centre_precision": 1, "area_covered": 1}
    )  # fmt: skip
    assert (scores.n_images, scores.n_good, scores.n_boxes) == (3, 1, 3)


def test_half_of_the_boxes_found_without_false_alarms():
    truth = [true((10, 10, 20, 20), (60, 60, 20, 20))]
    scores = detection_scores(truth, [seen((10, 10, 20, 20, 0.9))], ["a"])
    assert scores.ap50 == pytest.approx(51 / 101)  # recalls 0, .01, ..., .50 are reached, and no more
    assert scores.voc["voc07_ap50"].value == pytest.approx(6 / 11)  # 0, .1, ..., .5
    assert scores.voc["voc_ap50"].value == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("score_of_alarm", "coco", "eleven", "every"),
    [(0.1, 1.0, 1.0, 1.0), (0.95, 2 / 3, 2 / 3, 2 / 3)],
    ids=["below all hits it costs nothing", "above all hits it costs a third at two boxes"],
)
def test_one_false_alarm_below_or_above_the_hits(score_of_alarm, coco, eleven, every):
    truth = [true((10, 10, 20, 20), (60, 60, 20, 20))]
    found = [seen((10, 10, 20, 20, 0.9), (60, 60, 20, 20, 0.8), (100, 10, 20, 20, score_of_alarm))]
    scores = detection_scores(truth, found, ["a"])
    assert scores.ap50 == pytest.approx(coco)
    assert scores.voc["voc07_ap50"].value == pytest.approx(eleven)
    assert scores.voc["voc_ap50"].value == pytest.approx(every)


def test_eleven_points_of_a_curve_worked_by_hand():
    # Ten boxes; hit, hit, miss, hit, miss, miss, hit: precision 1 at recalls .1 and .2, 3/4 at .3, 4/7 at .4.
    places = [(30 * k, 0, 20, 20) for k in range(10)]
    nowhere = (0, 200, 20, 20)
    order = [places[0], places[1], nowhere, places[2], nowhere, nowhere, places[3]]
    found = [seen(*((*box, 0.9 - 0.1 * k) for k, box in enumerate(order)))]
    scores = detection_scores([true(*places)], found, ["a"])
    assert scores.voc["voc07_ap50"].value == pytest.approx((1 + 1 + 1 + 3 / 4 + 4 / 7) / 11)
    assert scores.voc["voc_ap50"].value == pytest.approx(0.1 * (1 + 1 + 3 / 4 + 4 / 7))
    assert scores.ap50 == pytest.approx((21 + 10 * 3 / 4 + 10 * 4 / 7) / 101)


def test_the_eleven_point_mean_over_overlaps_counts_each_overlap_alike():
    # The found box covers 16 of 20 columns, an overlap of .8: a hit up to .75 where it must exceed, up to .80 by COCO.
    scores = detection_scores([true((0, 0, 20, 20))], [seen((0, 0, 16, 20, 0.5))], ["a"])
    assert scores.voc["voc07_ap"].value == pytest.approx(6 / 10)
    assert scores.ap == pytest.approx(7 / 10)
    assert (scores.ap50, scores.ap75) == pytest.approx((1, 1))


def test_a_second_box_on_one_defect_is_a_false_alarm():
    truth = [true((10, 10, 20, 20), (60, 60, 20, 20))]
    found = [seen((10, 10, 20, 20, 0.9), (11, 10, 20, 20, 0.8), (60, 60, 20, 20, 0.7))]
    scores = detection_scores(truth, found, ["a"])
    assert scores.ap50 == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert scores.best_f1.alarms == 1


def test_a_duplicate_may_take_a_free_neighbour_by_coco_but_not_by_voc():
    # Two true boxes that overlap by more than a half; both findings fit the left one best.
    truth, found = [true((0, 0, 20, 20), (4, 0, 20, 20))], [seen((0, 0, 20, 20, 0.9), (1, 0, 20, 20, 0.8))]
    scores = detection_scores(truth, found, ["a"])
    assert scores.ap50 == pytest.approx(1.0)
    assert scores.voc["voc_ap50"].value == pytest.approx(0.5)


def test_nobody_is_asked_to_find_an_ignored_region_nor_blamed_for_it():
    truth = [true((10, 10, 20, 20), (60, 60, 40, 40), ignored=[False, True])]
    found = [seen((10, 10, 20, 20, 0.5), (60, 60, 40, 40, 0.9), (65, 65, 10, 10, 0.8))]  # the region met twice
    scores = detection_scores(truth, found, ["a"])
    assert scores.ap50 == pytest.approx(1.0)
    assert (scores.n_boxes, scores.n_ignored, scores.best_f1.alarms) == (1, 1, 0)


def test_an_image_that_holds_ignored_regions_only_is_neither_good_nor_defective():
    scores = detection_scores(
        [true((0, 0, 20, 20)), true((0, 0, 20, 20), ignored=[True])], [seen((0, 0, 20, 20, 0.5)), seen()], ["a"]
    )
    assert scores.n_good == 0
    assert scores.best_f1.figures["images_caught"].n == 1
    assert np.isnan(scores.best_f1.figures["images_silent"].value)


def test_good_images_lower_the_score_only_through_what_is_found_on_them():
    defect, hit = true((10, 10, 20, 20)), seen((10, 10, 20, 20, 0.5))
    silent = detection_scores([defect, true(), true()], [hit, seen(), seen()], ["a"])
    noisy = detection_scores([defect, true(), true()], [hit, seen((5, 5, 9, 9, 0.9)), seen()], ["a"])
    assert silent.ap == pytest.approx(1.0)
    assert noisy.ap == pytest.approx(0.5)
    assert noisy.best_f1.figures["images_silent"].value == pytest.approx(0.5)
    assert noisy.best_f1.figures["false_per_image"].value == pytest.approx(1 / 3)


def test_no_findings_at_all():
    scores = detection_scores([true((0, 0, 9, 9)), true()], [seen(), seen()], ["a"])
    assert (scores.ap, scores.ap50, scores.merged["ap"].value) == (0, 0, 0)
    assert scores.best_f1 is None
    assert scores.operating is None
    asked = detection_scores([true((0, 0, 9, 9)), true()], [seen(), seen()], ["a"], score=0.5).operating
    assert (asked.hits, asked.missed, asked.alarms) == (0, 1, 0)


def test_without_a_true_box_no_precision_is_defined_but_false_alarms_are_counted():
    scores = detection_scores([true(), true()], [seen((0, 0, 9, 9, 0.9)), seen()], ["a"], score=0.5)
    assert np.isnan(scores.ap)
    assert scores.as_dict()["ap"]["value"] is None
    assert scores.operating.figures["false_per_image"].value == pytest.approx(0.5)
    assert scores.operating.figures["images_silent"].value == pytest.approx(0.5)


def test_a_class_without_a_true_box_is_left_out_of_the_mean():
    truth, found = [true((0, 0, 20, 20))], [seen((0, 0, 20, 20, 0.9), (50, 50, 9, 9, 0.8), labels=[0, 1])]
    scores = detection_scores(truth, found, ["scratch", "scuff"])
    assert scores.ap == pytest.approx(1.0)
    assert np.isnan(scores.per_class["scuff"]["ap"].value)
    assert scores.per_class["scuff"]["ap"].boxes == 0


def test_taken_as_one_class_a_wrong_name_costs_nothing():
    truth = [true((0, 0, 20, 20), (50, 50, 20, 20), labels=[0, 1])]
    found = [seen((0, 0, 20, 20, 0.9), (50, 50, 20, 20, 0.8), labels=[1, 0])]
    scores = detection_scores(truth, found, ["scratch", "scuff"])
    assert scores.ap == 0
    assert scores.merged["ap"].value == pytest.approx(1.0)


def test_forms_without_borders_forgive_a_box_that_is_too_small():
    # A quarter of the defect, in its middle: no hit by overlap, found by its centre, a quarter of the area covered.
    scores = detection_scores([true((0, 0, 40, 40))], [seen((10, 10, 20, 20, 0.9))], ["scuff"], score=0.5)
    figures = scores.operating.figures
    assert figures["recall"].value == 0
    assert figures["centre_recall"].value == 1
    assert figures["centre_precision"].value == 1
    assert figures["area_covered"].value == pytest.approx(0.25)


def test_area_covered_counts_overlapping_boxes_once():
    truth = [true((0, 0, 20, 20), (10, 0, 20, 20))]  # a union of 30 x 20
    found = [seen((0, 0, 15, 20, 0.9), (5, 0, 10, 20, 0.8))]  # a union of 15 x 20
    figures = detection_scores(truth, found, ["a"], score=0.5).operating.figures
    assert figures["area_covered"].value == pytest.approx(0.5)


def test_false_alarms_for_each_image_against_recall():
    truth = [true((0, 0, 20, 20)), true((0, 0, 20, 20)), true(), true()]
    found = [seen((0, 0, 20, 20, 0.9)), seen((0, 0, 20, 20, 0.3)), seen((5, 5, 9, 9, 0.6)), seen((5, 5, 9, 9, 0.1))]
    curve_ = detection_scores(truth, found, ["a"]).froc
    assert curve_.recall_at(0.0) == pytest.approx(0.5)
    assert curve_.recall_at(0.25) == pytest.approx(1.0)
    np.testing.assert_allclose(curve_.false_per_image, [0, 0.25, 0.25, 0.5])


def test_a_higher_score_costs_recall_and_saves_alarms():
    truth = [true((0, 0, 20, 20)), true((0, 0, 20, 20)), true()]
    found = [seen((0, 0, 20, 20, 0.85)), seen((0, 0, 20, 20, 0.35)), seen((5, 5, 9, 9, 0.45))]
    rows = {row["score"]: row for row in detection_scores(truth, found, ["a"], resamples=0).by_score}
    assert [rows[s]["recall"] for s in (0.3, 0.5, 0.9)] == pytest.approx([1, 0.5, 0])
    assert [rows[s]["images_silent"] for s in (0.3, 0.5, 0.9)] == pytest.approx([0, 1, 1])
    assert [rows[s]["false_per_image"] for s in (0.3, 0.5, 0.9)] == pytest.approx([1 / 3, 0, 0])
    assert rows[0.9]["precision"] is None


def test_sizes_are_those_of_the_true_boxes():
    truth = [true((0, 0, 10, 10), (50, 50, 30, 30), (100, 100, 50, 50))]
    found = [seen((0, 0, 10, 10, 0.9), (100, 100, 50, 50, 0.8))]
    sizes = detection_scores(truth, found, ["a"], size_limits=(400, 1600)).per_size
    assert [sizes[name]["ap"].value for name in ("small", "medium", "large")] == pytest.approx([1, 0, 1])
    assert [sizes[name]["ap"].boxes for name in ("small", "medium", "large")] == [1, 1, 1]


# --- against COCO's evaluator


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("ties", [False, True])
def test_own_matching_agrees_with_cocos_evaluator_by_class_overlap_and_size(seed, ties):
    truth, found = crowd(np.random.default_rng(seed), 25, ties=ties)
    for merged in (False, True):
        boxes = scene(truth, found, 3, merged=merged)
        table = coco_table(boxes, SIZES, 100)
        ap, recall = own(boxes, SIZES)
        np.testing.assert_allclose(ap, table.ap, atol=1e-9)
        np.testing.assert_allclose(recall, table.recall, atol=1e-9)


def test_the_same_where_boxes_crowd_and_only_the_surest_are_looked_at():
    truth, found = crowd(np.random.default_rng(5), 8, n_classes=1, most_true=60, most_found=150)
    boxes = scene(truth, found, 1, max_detections=20)
    ap, recall = own(boxes, SIZES)
    table = coco_table(boxes, SIZES, 20)
    np.testing.assert_allclose(ap, table.ap, atol=1e-9)
    np.testing.assert_allclose(recall, table.recall, atol=1e-9)
    assert boxes.cut == sum(max(0, len(each) - 20) for each in found)


def test_an_overlap_of_exactly_one_half_is_a_hit_for_coco_and_none_for_voc():
    boxes = scene([true((0, 0, 20, 20))], [seen((0, 0, 10, 20, 0.9))], 1)
    assert coco_matching(boxes).hit[0].tolist() == [True]
    assert voc_matching(boxes).hit[0].tolist() == [False]
    assert coco_table(boxes, {}, 100).ap[0, 0, 0] == pytest.approx(1.0)


def voc_by_definition(truth, found, label, limit):
    """Average precisions of one class, 11 points and every point, straight from the article."""
    rows = [(float(s), k, j) for k, f in enumerate(found) for j, s in enumerate(f.scores) if f.labels[j] == label]
    taken, hits, alarms, curve_ = set(), 0, 0, []
    total = sum(int(((t.labels == label) & ~t.flags).sum()) for t in truth)
    for _, k, j in sorted(rows, key=lambda row: -row[0]):
        box, best, which = found[k].boxes[j].astype(float), -1.0, -1
        for g, other in enumerate(truth[k].boxes.astype(float)):
            if truth[k].labels[g] != label:
                continue
            w = min(box[2], other[2]) - max(box[0], other[0])
            h = min(box[3], other[3]) - max(box[1], other[1])
            shared = max(w, 0) * max(h, 0)
            union = (box[2] - box[0]) * (box[3] - box[1]) + (other[2] - other[0]) * (other[3] - other[1]) - shared
            if shared / union > best:
                best, which = shared / union, g
        if best > limit and truth[k].flags[which]:
            continue
        if best > limit and (k, which) not in taken:
            taken.add((k, which))
            hits += 1
        else:
            alarms += 1
        curve_.append((hits / total, hits / (hits + alarms)))
    highest = [max((p for r, p in curve_ if r >= t / 10), default=0.0) for t in range(11)]
    corners = sorted({r for r, _ in curve_ if r > 0})
    every = sum(
        (r - low) * max(p for q, p in curve_ if q >= r) for low, r in zip([0.0, *corners], corners, strict=False)
    )
    return sum(highest) / 11, every


@pytest.mark.parametrize("seed", range(6))
def test_voc_forms_agree_with_their_definition(seed):
    truth, found = crowd(np.random.default_rng(100 + seed), 12)
    ranked = rankings(boxes := scene(truth, found, 3), voc_matching(boxes))
    for label in range(3):
        for level, limit in ((0, 0.5), (5, 0.75)):
            eleven, every = voc_by_definition(truth, found, label, limit)
            assert average_precisions(ranked[label], "voc07")[0, level] == pytest.approx(eleven, abs=1e-12)
            assert average_precisions(ranked[label], "voc")[0, level] == pytest.approx(every, abs=1e-12)


# --- intervals


def test_a_resample_by_weights_equals_the_evaluator_on_copies_of_the_images():
    rng = np.random.default_rng(11)
    truth, found = crowd(rng, 15)
    ranked = rankings(boxes := scene(truth, found, 3), coco_matching(boxes))
    weights = rng.integers(0, 4, (5, 15)).astype(float)
    by_weight = np.stack([average_precisions(each, "coco", weights) for each in ranked], axis=-1)
    for drawn, of_draw in zip(weights.astype(int), by_weight, strict=True):
        copies = np.repeat(np.arange(15), drawn)
        again = scene([truth[k] for k in copies], [found[k] for k in copies], 3)
        np.testing.assert_allclose(of_draw, coco_table(again, {}, 100).ap[..., 0], atol=1e-9)


def test_thousands_of_images_weigh_the_same_in_a_sparse_table(monkeypatch):
    truth, found = crowd(np.random.default_rng(12), 15)
    ranked = rankings(boxes := scene(truth, found, 3), coco_matching(boxes))
    weights = np.random.default_rng(1).integers(0, 3, (4, 15)).astype(float)
    dense = [average_precisions(each, "coco", weights) for each in ranked]
    monkeypatch.setattr("sorby.evidence.detection_precision._DENSE_CELLS", 0)
    np.testing.assert_allclose([average_precisions(each, "coco", weights) for each in ranked], dense, rtol=1e-12)


def test_specimens_are_drawn_whole():
    # Two specimens that differ, five identical images each: drawn by image the mean varies in many steps, by specimen
    # it is that of either or of both.
    truth = [true((0, 0, 20, 20))] * 10
    found = [seen((0, 0, 20, 20, 0.9))] * 5 + [seen()] * 5
    ranked = rankings(boxes := scene(truth, found, 1), coco_matching(boxes))
    whole = precision_samples(ranked, Draws(np.repeat(["a", "b"], 5), 200))[0].mean()[1]
    single = precision_samples(ranked, Draws(None, 200))[0].mean()[1]
    assert {round(value, 6) for value in whole} == {0.0, round(51 / 101, 6), 1.0}
    assert len(np.unique(single)) > 5


def imagined(rng, n_images):
    """A ranking as a middling detector gives it: images differ in difficulty, false alarms score lower on the whole."""
    boxes, ease = rng.poisson(1.5, n_images), rng.beta(8, 3, n_images)
    hits, alarms = rng.binomial(boxes, ease), rng.poisson(0.9, n_images)
    score = np.concatenate([rng.beta(4, 2, hits.sum()), rng.beta(2, 3, alarms.sum())])
    image = np.concatenate([np.repeat(np.arange(n_images), hits), np.repeat(np.arange(n_images), alarms)])
    order = np.argsort(-score)
    hit = (np.arange(score.size) < hits.sum())[order][None]
    return Ranking(score[order], image[order], hit, np.zeros_like(hit), boxes.astype(float))


def test_intervals_hold_the_true_precision_nearly_as_often_as_they_say():
    # What many images would give, within .003 (one standard deviation), against intervals from 60 images. The
    # percentile bootstrap is a little narrow there, 91 to 94 % in longer runs of trials; 150 trials scatter by 2 %.
    rng = np.random.default_rng(3)
    truth = np.mean([average_precisions(imagined(rng, 4000))[0, 0] for _ in range(5)])
    held = 0
    for k in range(150):
        (samples,) = precision_samples([imagined(rng, 60)], Draws(None, 300, seed=k))
        low, high = np.percentile(samples.mean()[1], [2.5, 97.5])
        held += low <= truth <= high
    assert 0.87 <= held / 150 <= 0.99


def test_intervals_stand_with_images_and_boxes_and_repeat_for_a_seed():
    truth, found = crowd(np.random.default_rng(2), 30)
    one, two = (detection_scores(truth, found, "abc", resamples=100, seed=4).as_dict() for _ in range(2))
    assert one == two
    entry = one["ap50"]
    assert entry["n"] == 30
    assert entry["boxes"] == one["n_boxes"]
    assert entry["ci95"][0] <= entry["value"] <= entry["ci95"][1]
    json.dumps(one, allow_nan=False)


def test_a_single_image_has_no_interval():
    scores = detection_scores([true((0, 0, 20, 20))], [seen((0, 0, 20, 20, 0.9))], ["a"])
    assert scores.figures["ap"].ci95 is None
    assert "one image" in scores.figures["ap"].note


# --- large and bad input


def test_two_hundred_thousand_boxes_on_one_image_stay_within_memory():
    rng = np.random.default_rng(8)
    corner = rng.uniform(0, 4000, (200_000, 2)).astype(np.float32)
    boxes = np.hstack([corner, corner + rng.uniform(4, 60, (200_000, 2)).astype(np.float32)])
    labels = np.zeros(200_000, int)
    truth, found = [TrueBoxes(boxes, labels)], [FoundBoxes(boxes, labels, rng.random(200_000).astype(np.float32))]
    tracemalloc.start()
    matching = coco_matching(joined := scene(truth, found, 1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert joined.cut == 200_000 - 100
    assert matching.hit.sum() == 100 * 10
    # The pairs compared at once are 4 million, 8 bytes each, in a handful of arrays; all at once they were 20 million.
    assert peak < 600e6
    scores = detection_scores(truth, found, ["pore"], resamples=0)
    assert scores.figures["ar"].value == pytest.approx(100 / 200_000)


def test_what_cannot_be_scored_is_said():
    with pytest.raises(InputError, match="2 annotated images but findings on 1"):
        detection_scores([true(), true()], [seen()], ["a"])
    with pytest.raises(InputError, match="names none of the 1 classes"):
        detection_scores([true((0, 0, 1, 1), labels=[1])], [seen()], ["a"])
    with pytest.raises(InputError, match="score is not a finite"):
        detection_scores([true()], [seen((0, 0, 1, 1, np.nan))], ["a"])
    with pytest.raises(InputError, match="no annotated image"):
        detection_scores([], [], ["a"])
    with pytest.raises(InputError, match="rising areas"):
        detection_scores([true()], [seen()], ["a"], size_limits=(9, 4))


def test_classes_pooled_share_one_curve():
    truth = [true((0, 0, 20, 20), (50, 50, 20, 20), labels=[0, 1])]
    found = [seen((0, 0, 20, 20, 0.9), (50, 50, 20, 20, 0.8), labels=[0, 1])]
    pooled = curve(rankings(boxes := scene(truth, found, 2), coco_matching(boxes)))
    np.testing.assert_allclose(pooled.recall, [0.5, 1.0])
    assert pooled.n_boxes == 2


def test_how_the_score_was_chosen_is_passed_on():
    truth, found = [true((10, 10, 20, 20))], [seen((10, 10, 20, 20, 0.9))]
    said = {
        given: detection_scores(truth, found, ["pit"], score=0.5, resamples=0, **how).operating.chosen
        for given, how in (("plain", {}), ("these", {"chosen": f"best F1 {ON_THESE}"}))
    }
    assert said == {"plain": "given beforehand", "these": "best F1 on these very images"}


def test_a_share_of_images_that_are_all_alike_still_has_an_interval() -> None:
    # Drawing forty silent images anew gives forty silent images; Wilson's bound knows that forty are not all.
    truth = [TrueBoxes()] * 40 + [TrueBoxes(np.array([[0, 0, 10, 10]], np.float32), np.array([0]))] * 3
    found = [FoundBoxes(no_boxes())] * 40 + [
        FoundBoxes(np.array([[0, 0, 10, 10]], np.float32), np.array([0]), np.array([0.9], np.float32))
    ] * 3
    scores = detection_scores(truth, found, ["mark"], score=0.5, resamples=50)
    low, high = scores.operating.figures["images_silent"].ci95
    assert (low, high) == pytest.approx(wilson(40, 40))
    sheets = [f"sheet{k // 10}" for k in range(40)] + ["other"] * 3
    grouped = detection_scores(truth, found, ["mark"], score=0.5, resamples=50, groups=sheets)
    assert grouped.operating.figures["images_silent"].ci95 == pytest.approx(wilson(4, 4))
