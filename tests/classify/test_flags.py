"""Flags: who gets them, what they are taught by, and that they refer without changing a label."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.classify.flags import FLAGS, FlagRules, fit_flag_head, image_flags, specimen_flags
from sorby.errors import InputError

CLASSES = ("green_body", "hard_machining", "material")
RULES = FlagRules(expert_classes=("material",), low_magnification=250.0, rare_class="material", rare_threshold=0.8)


def flags_of(labels, dark, magnification, **more) -> list[tuple[str, ...]]:
    n = len(labels)
    return image_flags(
        labels,
        RULES,
        dark_share=np.array(dark),
        bright_share=np.zeros(n),
        magnification=np.array(magnification),
        **more,
    )


def test_images_are_flagged_by_their_own_facts() -> None:
    found = flags_of(["material", "material", "green_body", "green_body"], [0.0, 0.2, 0.06, 0.0], [50, 4000, 50, 50])
    assert found == [("low-magnification-only",), ("contaminated",), ("contaminated",), ()]


def test_an_unknown_magnification_flags_nothing() -> None:
    assert flags_of(["material"], [0.0], [np.nan]) == [()]


def test_what_was_taught_takes_the_place_of_stained_shares() -> None:
    taught = {"contaminated": np.array([False, True]), "origin-not-in-view": np.array([True, True])}
    found = flags_of(["green_body"] * 2, [0.5, 0.0], [4000, 4000], taught=taught)
    assert found == [("origin-not-in-view",), ("origin-not-in-view", "contaminated")]


def test_a_specimen_is_flagged_for_what_carried_its_verdict() -> None:
    index = np.array([0, 0, 1, 1, 2])
    p = np.array([[0.1, 0.1, 0.8], [0.0, 0.3, 0.7], [0.6, 0.2, 0.2]])
    of_images = [("origin-not-in-view",), (), ("contaminated",), (), ("origin-not-in-view", "contaminated")]
    carried = np.array([True, False, True, False, True])
    found = specimen_flags(p, CLASSES, RULES, index, of_images, carried, np.array([50, 4000, 4000, 50, 50]))
    assert found[0] == ("low-magnification-only",), "one image shows the origin; the one that carried it is low"
    assert found[1] == ("contaminated", "rare-class-unsure")
    assert found[2] == ("origin-not-in-view", "contaminated")
    assert {code for flags in found for code in flags} <= set(FLAGS)


def test_a_threshold_that_nothing_reached_survives_its_bundle() -> None:
    again = FlagRules.from_dict(FlagRules(rare_class="material", rare_threshold=np.inf).as_dict())
    assert again.rare_threshold == np.inf
    found = specimen_flags(
        np.array([[0.0, 0.0, 1.0]]), CLASSES, again, np.zeros(1, np.intp), [()], np.ones(1, bool), np.array([4000.0])
    )
    assert found == [("rare-class-unsure",)]


def _marked(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n // 4), 4)
    in_order = rng.random(n) < 0.7
    features = rng.normal(size=(n, 6)).astype(np.float32)
    features[:, 2] += np.where(in_order, 1.5, -1.5)
    return features, in_order, groups


def test_the_head_of_a_flag_does_on_new_pictures_what_it_says() -> None:
    features, in_order, groups = _marked(400, 1)
    head = fit_flag_head(features, in_order, groups, specificity=0.9)
    assert head.specificity.value == pytest.approx(0.9, abs=0.01), "chosen for it; pictures are whole"
    fresh, truth, _ = _marked(2000, 2)
    flagged = head.flagged(fresh)
    # Some 280 pictures in order chose the threshold: its specificity has a deviation of two points.
    assert (~flagged)[truth].mean() == pytest.approx(head.specificity.value, abs=0.06)
    assert flagged[~truth].mean() == pytest.approx(head.sensitivity.value, abs=0.08)


def test_pictures_of_one_specimen_do_not_narrow_what_a_flag_is_said_to_do() -> None:
    features, in_order, groups = _marked(400, 1)
    alike = fit_flag_head(np.repeat(features, 5, 0), np.repeat(in_order, 5), np.repeat(groups, 5))
    once = fit_flag_head(features, in_order, groups)
    for name in ("sensitivity", "specificity"):
        few, many = getattr(once, name), getattr(alike, name)
        assert many.n == 5 * few.n
        width = few.ci95[1] - few.ci95[0]
        # Counted singly, five copies would narrow the interval to 1 / sqrt(5) of it; the head itself hardly changes.
        assert many.ci95[1] - many.ci95[0] > 0.7 * width, "five copies of each picture say nothing new"


def test_too_few_marks_teach_nothing() -> None:
    features, _, groups = _marked(400, 1)
    with pytest.raises(InputError, match="too few to learn it"):
        fit_flag_head(features[:20], np.arange(20) < 18, groups[:20])
    with pytest.raises(InputError, match="too few specimens"):
        fit_flag_head(features, np.arange(400) >= 12, np.maximum(np.arange(400), 12))
