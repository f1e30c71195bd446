"""Kinds of mistakes on boxes put there to make them, and what mending each must gain."""

import json

import numpy as np
import pytest

from sorby.evidence.boxes import FoundBoxes, TrueBoxes
from sorby.evidence.detection_errors import (
    FINDING_KINDS,
    TRUTH_KINDS,
    ambiguous_places,
    detection_errors,
    listings,
)
from sorby.evidence.detection_metrics import detection_scores

CLASSES = ["scratch", "scuff"]


def true(*rows, ignored=None):
    """True boxes as left, top, width, height, label."""
    array = np.array(rows, float).reshape(-1, 5)
    boxes = np.hstack([array[:, :2], array[:, :2] + array[:, 2:4]]).astype(np.float32)
    return TrueBoxes(boxes, array[:, 4].astype(int), None if ignored is None else np.array(ignored, bool))


def seen(*rows):
    """Found boxes as left, top, width, height, label, score."""
    array = np.array(rows, float).reshape(-1, 6)
    boxes = np.hstack([array[:, :2], array[:, :2] + array[:, 2:4]]).astype(np.float32)
    return FoundBoxes(boxes, array[:, 4].astype(int), array[:, 5].astype(np.float32))


def kinds_of(truth, found, score=0.0):
    errors = detection_errors([truth], [found], CLASSES, score)
    listing = errors.listing(0)
    return [FINDING_KINDS[k] for k in listing.kinds], [TRUTH_KINDS[k] for k in listing.truth_kinds], listing


def test_each_kind_of_mistake_is_named():
    truth = true((0, 0, 20, 20, 0), (100, 0, 20, 20, 0), (200, 0, 20, 20, 1), (300, 0, 20, 20, 1), (400, 0, 20, 20, 0))
    found = seen(
        (0, 0, 20, 20, 0, 0.95),  # right
        (1, 0, 20, 20, 0, 0.90),  # again
        (112, 0, 20, 20, 0, 0.85),  # beside its defect: overlap 8/32
        (200, 0, 20, 20, 0, 0.80),  # named scratch, is a scuff
        (312, 0, 20, 20, 0, 0.75),  # both
        (0, 200, 20, 20, 1, 0.70),  # nothing there
    )
    kinds, states, listing = kinds_of(truth, found)
    assert kinds == ["hit", "duplicate", "misplaced", "misnamed", "both", "background"]
    assert states == ["found", "misplaced", "misnamed", "missed", "missed"]
    assert listing.target.tolist() == [0, 0, 1, 2, 3, -1]
    assert listing.overlap == pytest.approx([1, 19 / 21, 8 / 32, 1, 8 / 32, 0])
    assert listing.n_errors == 5 + 2


def test_two_names_on_one_place_are_a_double():
    truth = true((0, 0, 20, 20, 0))
    errors = detection_errors([truth], [seen((0, 0, 20, 20, 0, 0.9), (0, 0, 20, 20, 1, 0.8))], CLASSES, 0.5)
    assert errors.counts["misnamed"] == 1
    assert errors.counts["doubled"] == 1
    assert errors.listing(0).doubled.tolist() == [False, True]
    # Where the right name has too low a score, the wrong one stands alone.
    unsure = detection_errors([truth], [seen((0, 0, 20, 20, 0, 0.3), (0, 0, 20, 20, 1, 0.8))], CLASSES, 0.5)
    assert unsure.counts["doubled"] == 0
    assert unsure.truth_counts["unsure"] == 1


def test_a_box_found_below_the_score_is_unsure_rather_than_missed():
    truth, found = true((0, 0, 20, 20, 0)), seen((0, 0, 20, 20, 0, 0.3))
    _, states, listing = kinds_of(truth, found, score=0.5)
    assert states == ["unsure"]
    assert listing.found.size == 0
    assert listing.best_score == pytest.approx([0.3])
    assert kinds_of(truth, found, score=0.3)[1] == ["found"]


def test_findings_on_ignored_regions_are_no_mistakes():
    truth = true((0, 0, 40, 40, 0), ignored=[True])
    errors = detection_errors([truth], [seen((10, 10, 10, 10, 0, 0.9))], CLASSES, 0.0)
    assert errors.counts["ignored"] == 1
    assert errors.truth_counts["ignored"] == 1
    assert errors.confusion.sum() == 0


def test_listings_refer_to_findings_as_they_were_given():
    truth = true((0, 0, 20, 20, 0), (100, 0, 20, 20, 1))
    found = seen((0, 200, 9, 9, 1, 0.2), (100, 0, 20, 20, 1, 0.7), (0, 0, 20, 20, 0, 0.9))
    (listing,) = listings(detection_errors([truth], [found], CLASSES, 0.5))
    assert listing.found.tolist() == [2, 1]
    assert listing.target.tolist() == [0, 1]


# --- what a kind costs


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (seen((0, 0, 20, 20, 0, 0.9), (100, 0, 20, 20, 1, 0.8)), "misnamed"),
        (seen((0, 0, 20, 20, 0, 0.9), (112, 0, 20, 20, 0, 0.8)), "misplaced"),
        (seen((0, 0, 20, 20, 0, 0.9)), "missed"),
    ],
)
def test_mending_the_only_kind_of_mistake_brings_the_score_to_one(found, kind):
    errors = detection_errors([true((0, 0, 20, 20, 0), (100, 0, 20, 20, 0))], [found], CLASSES, 0.0)
    assert errors.ap50 == pytest.approx(51 / 101)
    assert errors.cost[kind] == pytest.approx(1 - 51 / 101)
    others = {"misnamed", "misplaced", "missed", "both", "duplicate", "background"} - {kind}
    assert all(errors.cost[other] == pytest.approx(0) for other in others)


@pytest.mark.parametrize(
    ("wrong", "kind"), [((1, 0, 20, 20, 0, 0.85), "duplicate"), ((0, 200, 20, 20, 0, 0.85), "background")]
)
def test_withdrawing_the_only_false_alarm_brings_the_score_to_one(wrong, kind):
    found = seen((0, 0, 20, 20, 0, 0.9), wrong, (100, 0, 20, 20, 0, 0.8))
    errors = detection_errors([true((0, 0, 20, 20, 0), (100, 0, 20, 20, 0))], [found], CLASSES, 0.0)
    assert errors.ap50 == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert errors.cost[kind] == pytest.approx(1 - errors.ap50)
    assert errors.cost["false_alarms"] == pytest.approx(1 - errors.ap50)
    assert errors.cost["missed"] == pytest.approx(0)


def test_only_one_of_two_wrong_names_on_a_defect_can_be_mended():
    truth = true((0, 0, 20, 20, 0), (100, 0, 20, 20, 1))
    found = seen((0, 0, 20, 20, 1, 0.9), (1, 0, 20, 20, 1, 0.8), (100, 0, 20, 20, 1, 0.7))
    errors = detection_errors([truth], [found], CLASSES, 0.0)
    # Scratch: nothing of one. Scuff: two false alarms above one hit, a third. Mended: one each, the second withdrawn.
    assert errors.ap50 == pytest.approx((0 + 1 / 3) / 2)
    assert errors.cost["misnamed"] == pytest.approx(1 - 1 / 6)


def scattered(seed, n_images=30):
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(n_images):
        n, m = rng.integers(0, 5), rng.integers(0, 8)
        corner, side = rng.uniform(0, 90, (n, 2)), rng.uniform(8, 40, (n, 2))
        truth.append(true(*np.hstack([corner, side, rng.integers(0, 2, (n, 1))])))
        rows = np.hstack([rng.uniform(0, 90, (m, 2)), rng.uniform(8, 40, (m, 2)), rng.integers(0, 2, (m, 1)),
                          rng.random((m, 1))])  # fmt: skip
        if n:
            near = rng.random(m) < 0.7
            of = rng.integers(0, n, m)
            moved = np.hstack([corner[of], side[of]]) + rng.normal(0, 3, (m, 4))
            rows[near, :4] = np.maximum(moved, 1)[near]
        found.append(seen(*rows))
    return truth, found


@pytest.mark.parametrize("seed", range(5))
def test_counts_add_up_and_no_mending_makes_it_worse(seed):
    truth, found = scattered(seed)
    errors = detection_errors(truth, found, CLASSES, 0.4)
    shown = sum(int((each.scores >= 0.4).sum()) for each in found)
    n_true = sum(map(len, truth))
    kinds = ("hit", "misnamed", "misplaced", "both", "duplicate", "background", "ignored")
    assert sum(errors.counts[kind] for kind in kinds) == shown
    assert sum(errors.truth_counts.values()) == n_true
    assert errors.counts["hit"] == errors.truth_counts["found"]
    assert errors.confusion[:2].sum() == n_true
    assert errors.confusion[:, :2].sum() == shown
    assert min(errors.cost.values()) >= -1e-12
    assert errors.ap50 == pytest.approx(detection_scores(truth, found, CLASSES, resamples=0).ap50)
    # With every false alarm withdrawn precision is one as far as recall reaches: so many of 101 points.
    everything = detection_errors(truth, found, CLASSES, 0.0).confusion
    reached = [(int(100 * everything[k, k] / everything[k].sum() + 1e-9) + 1) / 101 for k in range(2)]
    assert errors.ap50 + errors.cost["false_alarms"] == pytest.approx(np.mean(reached))
    json.dumps(errors.as_dict(), allow_nan=False)


def test_confusion_holds_named_missed_and_invented():
    truth = [true((0, 0, 20, 20, 0), (100, 0, 20, 20, 1), (200, 0, 20, 20, 1)), true()]
    found = [seen((0, 0, 20, 20, 0, 0.9), (100, 0, 20, 20, 0, 0.8)), seen((5, 5, 9, 9, 1, 0.7))]
    confusion = detection_errors(truth, found, CLASSES, 0.5).confusion
    assert confusion.tolist() == [[1, 0, 0], [1, 0, 1], [0, 1, 0]]


def test_places_with_two_true_names_are_found_whatever_their_order():
    truth = [
        true((0, 0, 100, 100, 1), (10, 10, 20, 20, 0), (200, 0, 20, 20, 0)),  # a scratch within a scuff
        true((0, 0, 20, 20, 0), (15, 0, 20, 20, 1)),  # a quarter shared
        true((50, 0, 20, 20, 0), (45, 0, 20, 20, 0)),  # one name
    ]
    assert ambiguous_places(truth) == [(0, 0, 1)]
    assert ambiguous_places(truth, share=0.25) == [(0, 0, 1), (1, 0, 1)]


def test_ambiguous_places_agree_with_comparing_all_pairs():
    truth, _ = scattered(3, 40)
    expected = []
    for image, each in enumerate(truth):
        boxes = each.boxes.astype(float)
        for i in range(len(boxes)):
            for j in range(i + 1, len(boxes)):
                w, h = np.minimum(boxes[i, 2:], boxes[j, 2:]) - np.maximum(boxes[i, :2], boxes[j, :2])
                smaller = min(np.prod(boxes[k, 2:] - boxes[k, :2]) for k in (i, j))
                if each.labels[i] != each.labels[j] and min(w, h) > 0 and w * h >= 0.5 * smaller:
                    expected.append((image, i, j))
    assert sorted(ambiguous_places(truth)) == sorted(expected)
    assert len(expected) > 3
