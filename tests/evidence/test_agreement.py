"""Agreement beyond chance: published tables, invariants, and what cannot be computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss

from sorby.errors import InputError
from sorby.evidence import (
    agreement,
    agreement_weights,
    brennan_prediger,
    conger_kappa,
    fleiss_kappa,
    from_confusion,
    gwet_ac1,
    gwet_ac2,
    krippendorff_alpha,
)

# Fleiss' table of 10 items, 14 raters and 5 categories, as counts.
FLEISS_COUNTS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]
# Gwet (2014), table 2.10: 12 units, 4 raters, with gaps.
GWET = np.array(
    [
        [1, 1, None, 1],
        [2, 2, 3, 2],
        [3, 3, 3, 3],
        [3, 3, 3, 3],
        [2, 2, 2, 2],
        [1, 2, 3, 4],
        [4, 4, 4, 4],
        [1, 1, 2, 1],
        [2, 2, 2, 2],
        [None, 5, 5, 5],
        [None, None, 1, 1],
        [None, None, 3, None],
    ],
    dtype=object,
)


def _fleiss_ratings() -> np.ndarray:
    return np.array([np.repeat(np.arange(5), counts) for counts in FLEISS_COUNTS])


def test_fleiss_example_gives_the_printed_observed_chance_and_kappa() -> None:
    found = fleiss_kappa(_fleiss_ratings())
    assert found.observed == pytest.approx(0.37802, abs=5e-6)
    assert found.chance == pytest.approx(0.21276, abs=5e-6)
    assert found.value == pytest.approx(0.20993, abs=5e-6)


def test_coefficients_of_ratings_with_gaps_are_those_gwet_printed_with_their_standard_errors() -> None:
    # Values and standard errors: Gwet's handbook and his reference implementation, five and four digits.
    printed = {
        "fleiss_kappa": (0.76117, 0.1530),
        "gwet_ac1": (0.77544, 0.1430),
        "krippendorff_alpha": (0.74342, 0.1455),
        "conger_kappa": (0.76282, 0.1492),
        "brennan_prediger": (0.77273, 0.1447),
    }
    found = agreement(GWET)
    for name, (value, se) in printed.items():
        assert found[name].value == pytest.approx(value, abs=5e-6), name
        assert found[name].se == pytest.approx(se, abs=1e-4), name
    assert found["gwet_ac1"].ci95 == pytest.approx((0.461, 1.0), abs=5e-4)


@pytest.mark.realdata
def test_the_shared_rating_tables_give_their_published_values(real_data: Path) -> None:
    raters = pd.read_csv(real_data / "raters" / "gwet_4raters.csv").drop(columns="unit").to_numpy()
    found = agreement(raters)
    expected = {"fleiss_kappa": 0.76117, "gwet_ac1": 0.77544, "krippendorff_alpha": 0.74342, "conger_kappa": 0.76282}
    for name, value in {**expected, "brennan_prediger": 0.77273}.items():
        assert found[name].value == pytest.approx(value, abs=5e-6), name
    diagnoses = pd.read_csv(real_data / "raters" / "diagnoses.csv", header=None).to_numpy()
    assert fleiss_kappa(diagnoses).value == pytest.approx(0.43024, abs=5e-6)


def test_krippendorffs_example_gives_the_alphas_of_his_book_at_each_level() -> None:
    # Krippendorff (2011), "Computing Krippendorff's alpha-reliability": nominal .743, ordinal .815, interval .849.
    assert krippendorff_alpha(GWET).value == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(GWET, level="ordinal").value == pytest.approx(0.815, abs=5e-4)
    assert krippendorff_alpha(GWET, level="interval").value == pytest.approx(0.849, abs=5e-4)


def test_fleiss_kappa_equals_statsmodels_where_nobody_left_a_gap(rng: np.random.Generator) -> None:
    truth = rng.integers(0, 4, 60)
    ratings = np.where(rng.random((60, 7)) < 0.6, truth[:, None], rng.integers(0, 4, (60, 7)))
    counts = (ratings[:, :, None] == np.arange(4)).sum(axis=1)
    assert fleiss_kappa(ratings).value == pytest.approx(statsmodels_fleiss(counts), abs=1e-12)


def test_conger_kappa_of_two_raters_is_cohens(rng: np.random.Generator) -> None:
    first = rng.integers(0, 3, 80)
    second = np.where(rng.random(80) < 0.7, first, rng.integers(0, 3, 80))
    table = np.zeros((3, 3), dtype=np.int64)
    np.add.at(table, (first, second), 1)
    expected = from_confusion(table).cohen_kappa
    assert conger_kappa(np.column_stack([first, second])).value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("coefficient", [fleiss_kappa, gwet_ac1, krippendorff_alpha, brennan_prediger])
def test_full_agreement_is_one_and_random_ratings_agree_by_chance_only(coefficient, rng: np.random.Generator) -> None:
    truth = rng.integers(0, 4, 400)
    assert coefficient(np.column_stack([truth] * 5)).value == pytest.approx(1.0)
    # 400 items x 10 pairs: the standard error of agreement by chance is about .007.
    assert coefficient(rng.integers(0, 4, (400, 5))).value == pytest.approx(0.0, abs=0.03)


def test_order_of_raters_and_names_of_categories_change_nothing(rng: np.random.Generator) -> None:
    names = {1: "G7", 2: "B8", 3: "M9", 4: "G10", 5: "B5", None: ""}
    renamed = np.array([[names[value] for value in row] for row in GWET], dtype=object)[:, rng.permutation(4)]
    for name, found in agreement(renamed).items():
        assert found.value == pytest.approx(agreement(GWET)[name].value, abs=1e-12), name
        assert found.se == pytest.approx(agreement(GWET)[name].se, abs=1e-12), name


@pytest.mark.parametrize("coefficient", [fleiss_kappa, gwet_ac1, conger_kappa, brennan_prediger, krippendorff_alpha])
def test_the_95_percent_interval_covers_the_agreement_of_the_population(coefficient) -> None:
    rng = np.random.default_rng(14)

    def draw(items: int) -> np.ndarray:
        truth = rng.choice(3, items, p=[0.6, 0.3, 0.1])
        said = np.where(rng.random((items, 5)) < 0.7, truth[:, None], rng.integers(0, 3, (items, 5)))
        return np.where(rng.random((items, 5)) < 0.15, -1, said)

    population = coefficient(draw(60_000)).value
    intervals = [coefficient(draw(60)).ci95 for _ in range(200)]
    covered = np.mean([low <= population <= high for low, high in intervals])
    # 200 trials of .95 scatter by .015; linearised variances run a little narrow at 60 items.
    assert 0.90 <= covered <= 0.99


def test_near_misses_raise_ordinal_agreement_and_far_ones_lower_it(rng: np.random.Generator) -> None:
    truth = rng.integers(5, 11, 300)
    near = np.clip(truth[:, None] + rng.integers(-1, 2, (300, 4)), 5, 10)
    order = [5, 6, 7, 8, 9, 10]
    assert gwet_ac2(near, order=order).value > gwet_ac1(near, order=order).value + 0.2
    assert krippendorff_alpha(near, order=order, level="ordinal").value > krippendorff_alpha(near).value + 0.2


def test_ordinal_weights_are_those_of_gwets_handbook() -> None:
    # Gwet (2014), 3.5: w = 1 - C(|k - l| + 1, 2) / C(q, 2); for q = 4: 1 - 1/6, 1 - 3/6, 0.
    assert agreement_weights(4, "ordinal")[0] == pytest.approx([1, 5 / 6, 1 / 2, 0])
    assert agreement_weights(3, "quadratic")[0] == pytest.approx([1, 3 / 4, 0])
    assert np.array_equal(agreement_weights(3), np.eye(3))


def test_items_rated_once_count_for_chance_but_not_for_agreement() -> None:
    with_single = fleiss_kappa(GWET)
    without = fleiss_kappa(GWET[:-1])
    assert with_single.observed == pytest.approx(without.observed)
    assert with_single.chance != pytest.approx(without.chance, abs=1e-4)


def test_one_category_only_gives_no_kappa_and_says_why() -> None:
    found = fleiss_kappa(np.full((5, 3), "G8", dtype=object))
    assert np.isnan(found.value)
    assert found.ci95 is None
    assert "same category" in found.note
    assert found.as_dict()["value"] is None


def test_one_rater_and_items_rated_once_and_unknown_codes_are_refused() -> None:
    with pytest.raises(InputError, match="two raters"):
        fleiss_kappa([["G7", ""], ["B8", ""]])
    with pytest.raises(InputError, match="no item has two"):
        fleiss_kappa([["G7", ""], ["", "B8"]])
    with pytest.raises(InputError, match="unknown codes: X3"):
        fleiss_kappa([["G7", "X3"], ["B8", "B8"]], order=["G7", "B8"])
    with pytest.raises(InputError, match="order"):
        gwet_ac2([["G7", "G8"], ["B8", "B8"]])
