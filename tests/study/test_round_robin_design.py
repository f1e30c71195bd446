"""Designs: Williams squares, samples with stated shares, orders that balance, codes that say nothing."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from round_robins import CREATED, designed, measures
from sorby.errors import InputError
from sorby.study import Design, Item, draw_sample, plan, proportional_quotas, read_scheme
from sorby.study.ordering import balanced_orders, williams_square


@pytest.mark.parametrize("size", [2, 4, 6, 24, 3, 5, 9])
def test_a_williams_square_balances_places_and_neighbours(size: int) -> None:
    square = williams_square(size)
    times = len(square) // size
    assert times == (1 if size % 2 == 0 else 2)
    for place in range(size):
        assert set(Counter(square[:, place].tolist()).values()) == {times}
    pairs = Counter(zip(square[:, :-1].ravel().tolist(), square[:, 1:].ravel().tolist(), strict=True))
    assert len(pairs) == size * (size - 1)
    assert set(pairs.values()) == {times}


@pytest.mark.parametrize(("showings", "repeats", "raters"), [(24, 4, 14), (25, 5, 9), (30, 10, 40), (4, 2, 3)])
def test_no_repeat_is_adjacent_and_no_image_always_late(showings: int, repeats: int, raters: int) -> None:
    pairs = [(k, showings - repeats + k) for k in range(repeats)]
    found = balanced_orders(showings, raters, pairs, seed=3)
    place = np.argsort(found.orders, axis=1)
    assert (np.sort(found.orders, axis=1) == np.arange(showings)).all()
    assert min(abs(int(row[a] - row[b])) for row in place for a, b in pairs) == found.least_gap >= 2
    # Mean places of random orders have a standard deviation of S / sqrt(12 R), and a range of about four of these.
    assert np.ptp(found.mean_place) <= 1.5 * showings / np.sqrt(12 * raters)


def test_as_many_raters_as_showings_make_a_latin_square() -> None:
    orders = balanced_orders(12, 12, seed=1).orders
    assert (np.sort(orders, axis=0) == np.arange(12)[:, None]).all()


def test_repeats_that_cannot_be_kept_apart_are_refused() -> None:
    with pytest.raises(InputError, match="no order of 2 images"):
        balanced_orders(2, 3, [(0, 1)])


def _archive(n: int = 400, seed: int = 1) -> tuple[list[str], list[str], np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    labels = rng.choice(["G7", "G8", "G9-10", "B7", "B8", "M8"], n, p=[0.05, 0.15, 0.5, 0.1, 0.1, 0.1]).tolist()
    specimens = [f"S{k // 2}" for k in range(n)]
    return labels, [label[0] for label in labels], rng.random(n) < 0.25, specimens


def test_a_sample_keeps_quotas_and_the_share_of_difficult_images() -> None:
    labels, classes, wrong, specimens = _archive()
    found = draw_sample(labels, classes, {"G": 11, "B": 5, "M": 4}, wrong=wrong, specimens=specimens, seed=2)
    assert Counter(classes[k] for k in found.rows) == {"G": 11, "B": 5, "M": 4}
    assert found.difficult == int(wrong[found.rows].sum()) == 12
    assert len({specimens[k] for k in found.rows}) == 20
    assert found.warnings == ()
    # Codes of a class are drawn evenly although G9-10 is ten times as frequent as G7.
    codes = Counter(labels[k] for k in found.rows)
    assert max(codes[c] for c in ("G7", "G8", "G9-10")) - min(codes[c] for c in ("G7", "G8", "G9-10")) <= 2


def test_a_model_that_errs_too_seldom_or_too_often_is_told() -> None:
    labels, classes, wrong, _ = _archive()
    few = wrong & (np.arange(len(labels)) < 30)
    found = draw_sample(labels, classes, {"G": 11, "B": 5, "M": 4}, wrong=few)
    assert found.difficult is not None
    assert found.difficult < 12
    assert "too few wrong" in found.warnings[0]
    found = draw_sample(labels, classes, {"G": 11, "B": 5, "M": 4}, wrong=np.ones(len(labels), bool))
    assert "too few right" in found.warnings[0]


def test_quotas_follow_the_archive_and_leave_no_class_out() -> None:
    quotas = proportional_quotas(["G"] * 76 + ["B"] * 20 + ["M"] * 4, 20)
    assert sum(quotas.values()) == 20
    assert quotas["G"] > quotas["B"] > quotas["M"] >= 1
    with pytest.raises(InputError, match="2 images of class M for a quota of 3"):
        draw_sample(["M8"] * 2, ["M"] * 2, {"M": 3})


def test_a_design_is_the_same_for_a_seed_and_survives_json(tmp_path: Path) -> None:
    table = measures(20)
    one, again, other = designed(table), designed(table), designed(table, seed=1)
    assert one.digest == again.digest != other.digest
    one.save(tmp_path / "design.json")
    assert Design.load(tmp_path / "design.json").digest == one.digest
    assert replace(one, study="else").digest != one.digest


def test_raters_see_blind_codes_and_the_later_showing_is_the_second() -> None:
    design = designed(measures(20))
    for rater in design.raters:
        order = design.order_of(rater)
        assert len({showing.code for showing in order}) == 24
        seen: dict[str, list[int]] = {}
        for showing in order:
            seen.setdefault(showing.item, []).append(showing.occasion)
        assert all(occasions == sorted(occasions) for occasions in seen.values())
        assert sum(len(occasions) == 2 for occasions in seen.values()) == 4
    # Codes say nothing of item, occasion or order.
    codes = [showing.code for showing in design.showings]
    assert codes != sorted(codes)
    assert len({order for order in design.orders.values()}) == len(design.raters)


def test_repeats_are_spread_over_the_classes() -> None:
    design = designed(measures(20), repeats=3)
    classes = [design.items[design.place[item]].class_name for item in design.repeated]
    assert sorted(classes) == ["B", "G", "M"]


def test_a_label_that_the_scheme_does_not_know_is_refused() -> None:
    item = Item("I1", "0", "a.png", "Z9", "Z")
    with pytest.raises(InputError, match="label 'Z9' is no code"):
        plan("s", read_scheme("steel"), [item], ["A"], created=CREATED)


@pytest.mark.parametrize("damage", ["orders", "items", "scheme", "showings"])
def test_a_design_with_a_part_missing_or_torn_is_refused(damage: str) -> None:
    stored = json.loads(json.dumps(designed(measures(20)).as_dict()))
    del stored[damage]
    with pytest.raises(InputError, match="not a design"):
        Design.from_dict(stored)
    stored = designed(measures(20)).as_dict()
    stored["orders"]["R01"] = stored["orders"]["R01"][:-1]
    with pytest.raises(InputError, match="do not fit together"):
        Design.from_dict(stored)
