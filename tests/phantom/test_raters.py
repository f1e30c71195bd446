"""Simulated metallographers: they agree as the published ones did, and tell the truth without noise."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from sorby.errors import InputError
from sorby.evidence import fleiss_kappa
from sorby.phantom import DEMO_CLASSES, day_to_day, draw_panel, rate, reduce_ratings, round_robin
from sorby.phantom.published import expected_truth
from sorby.phantom.raters import grade_number, structure_class


@cache
def _published() -> dict[str, np.ndarray]:
    """What raters see of the published set, without pictures."""
    return expected_truth(0)


def _take(chosen: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[chosen] for name, values in _published().items()}


def _classes(ratings: np.ndarray) -> np.ndarray:
    return np.array([[structure_class(code) for code in row] for row in ratings], dtype=object)


def test_panels_agree_as_far_as_the_published_one_did() -> None:
    found = []
    for seed in range(20):
        images = _take(round_robin(_published(), seed))
        panel = draw_panel(seed)
        ratings = rate(images, panel, seed)
        reduced, _ = reduce_ratings(ratings, images["label"], DEMO_CLASSES)
        subtypes = np.array([[code[0] for code in row] for row in ratings], dtype=object)
        tables = (ratings, subtypes, reduced, reduced[:, panel.daily])
        found.append([fleiss_kappa(table).value for table in tables])
    # S1-54: full codes, subtype, reduced codes, reduced among the five daily raters.
    assert np.mean(found, axis=0) == pytest.approx([0.146, 0.330, 0.152, 0.318], abs=0.03)


def test_without_noise_every_rater_tells_the_truth() -> None:
    ratings = rate(_published(), draw_panel(3), 3, noise=0.0)
    assert (_classes(ratings) == _published()["label"][:, None]).all()
    labels, _ = day_to_day(_published(), draw_panel(3), 3, noise=0.0)
    assert (labels == _published()["label"]).all()


def test_more_noise_costs_accuracy_and_agreement() -> None:
    chosen = np.arange(0, 1641, 4)
    accuracy, kappa = [], []
    for noise in (0.25, 0.5, 1.0, 2.0):
        ratings = _classes(rate(_take(chosen), draw_panel(1), 1, noise=noise))
        accuracy.append(np.mean(ratings == _published()["label"][chosen, None]))
        kappa.append(fleiss_kappa(ratings).value)
    assert np.all(np.diff(accuracy) < 0)
    assert np.all(np.diff(kappa) < 0)


def test_daily_raters_are_better_than_occasional_ones_and_context_helps_more() -> None:
    panel = draw_panel(5)
    right = _classes(rate(_published(), panel, 5)) == _published()["label"][:, None]
    subtype = np.array([[code[0] for code in row] for row in rate(_published(), panel, 5)])
    named = subtype == _published()["subtype"][:, None]
    assert named[:, panel.daily].mean() > named[:, ~panel.daily].mean() + 0.05
    labels, raters = day_to_day(_published(), panel, 5)
    daily = np.mean(labels == _published()["label"])
    assert 0.90 < daily < 0.99  # noisy enough to matter, good enough to learn from
    assert daily > right[:, panel.daily].mean() + 0.3
    assert set(raters) <= {name for name, often in zip(panel.names, panel.daily, strict=True) if often}


def test_day_to_day_labels_err_by_one_size_and_never_in_subtype() -> None:
    labels, _ = day_to_day(_published(), draw_panel(2), 2)
    assert all(said[0] == true for said, true in zip(labels, _published()["subtype"], strict=True))
    order = {"6": 0, "7": 1, "8": 2, "9-10": 3}
    steps = [abs(order[a[1:]] - order[str(b)[1:]]) for a, b in zip(labels, _published()["label"], strict=True)]
    assert max(steps) == 1


def test_ratings_are_sizes_5_to_10_of_the_subtype_that_was_named() -> None:
    ratings = rate(_published(), draw_panel(0), 0)
    assert ratings.shape == (1641, 14)
    assert {code[0] for code in ratings.ravel()} == {"B", "G", "M"}
    assert {code[1:] for code in ratings.ravel()} == {"5", "6", "7", "8", "9", "10"}


def test_the_grade_scale_is_half_way_at_each_class_limit() -> None:
    limits = [16.0, 10.0, 6.0]
    assert grade_number(limits, limits) == pytest.approx([6.5, 7.5, 8.5])
    assert grade_number(np.sqrt(160.0), limits) == pytest.approx(7.0)
    assert np.all(np.diff(grade_number(np.linspace(2, 30, 50), limits)) < 0)


def test_reduction_merges_9_and_10_and_drops_scarce_images_and_ratings() -> None:
    ratings = np.array([["G9", "G10", "M5"], ["G7", "M7", "B8"], ["G6", "G7", "G7"]], dtype=object)
    reduced, kept = reduce_ratings(ratings, ["G9-10", "G7", "G6"], DEMO_CLASSES)
    assert kept.tolist() == [True, True, False]
    assert reduced.tolist() == [["G9-10", "G9-10", None], ["G7", None, "B8"]]


def test_a_round_robin_has_eleven_five_and_four_images_of_which_twelve_are_misjudged() -> None:
    rng = np.random.default_rng(7)
    labels = _published()["label"].astype(object)
    predictions = np.where(rng.random(1641) < 0.3, "X", labels)
    chosen = round_robin(_published(), 4, predictions=predictions)
    assert len(set(chosen)) == 20
    subtypes = _published()["subtype"][chosen].tolist()
    assert [subtypes.count(name) for name in "GBM"] == [11, 5, 4]
    assert np.sum(predictions[chosen] == "X") == 12


def test_unknown_subtypes_missing_columns_and_negative_noise_are_refused() -> None:
    panel = draw_panel(0)
    with pytest.raises(InputError, match="etching_depth"):
        rate({"subtype": np.array(["G"])}, panel, 0)
    with pytest.raises(InputError, match="subtype 'Q'"):
        rate({**_take(np.arange(2)), "subtype": np.array(["Q", "G"])}, panel, 0)
    with pytest.raises(InputError, match="noise"):
        rate(_take(np.arange(2)), panel, 0, noise=-1.0)
