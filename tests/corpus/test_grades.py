"""The house scale grades needle lengths by table, not by eye."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sorby.corpus import HOUSE_SCALE, MORPHOLOGY, SIZE_CLASSES, GradeTable, split_code
from sorby.errors import InputError


def test_longer_needles_never_get_a_finer_class() -> None:
    for subtype in "BGM":
        for criterion in ("mean", "maximum"):
            grades = [HOUSE_SCALE.size_class(v, subtype, criterion) for v in np.linspace(0.5, 80, 400)]
            places = [SIZE_CLASSES.index(g) for g in grades]
            assert places == sorted(places, reverse=True)
            assert set(grades) == set(SIZE_CLASSES)


def test_a_limit_belongs_to_the_coarser_class() -> None:
    table = GradeTable(mean_um=(16.0, 10.0, 6.0))
    assert table.size_class(10.0, "G") == "7"
    assert table.size_class(np.nextafter(10.0, 0), "G") == "8"


def test_bounds_and_grading_agree() -> None:
    for size_class in SIZE_CLASSES:
        low, high = HOUSE_SCALE.bounds("M", size_class)
        middle = np.full(50, (low + min(high, 2 * low + 1)) / 2)
        assert HOUSE_SCALE.grade(middle, "M") == f"M{size_class}"


def test_thresholds_of_another_house_change_the_grade_of_the_same_needles() -> None:
    lengths = np.full(100, 8.0)
    house = replace(HOUSE_SCALE, mean_um=(30.0, 20.0, 9.0), name="works scale 3")
    assert HOUSE_SCALE.grade(lengths, "G") == "G8"
    assert house.grade(lengths, "G") == "G9-10"


def test_a_few_giants_move_the_maximum_criterion_and_not_the_mean() -> None:
    fine = np.full(1000, 4.0)
    mixed = fine.copy()
    mixed[:5] = 30.0  # the largest .5 %
    assert HOUSE_SCALE.grade(mixed, "B", "mean") == HOUSE_SCALE.grade(fine, "B", "mean") == "B9-10"
    assert HOUSE_SCALE.largest_um(mixed) == 30.0
    assert HOUSE_SCALE.grade(mixed, "B", "maximum") == "B7"


def test_mean_and_maximum_ranges_of_a_class_are_disjoint() -> None:
    # S1: "generally, the needle length ranges for both criteria are disjunct"; the coarsest class is open above.
    for size_class in SIZE_CLASSES[1:]:
        assert HOUSE_SCALE.bounds("G", size_class)[1] <= HOUSE_SCALE.bounds("G", size_class, "maximum")[1]
    for size_class in SIZE_CLASSES[1:-1]:
        assert HOUSE_SCALE.bounds("G", size_class)[1] <= HOUSE_SCALE.bounds("G", size_class, "maximum")[0]


def test_coarse_regions_need_enough_area_to_call_for_the_maximum_criterion() -> None:
    assert HOUSE_SCALE.criterion_for(0.0) == "mean"
    assert HOUSE_SCALE.criterion_for(0.04) == "mean"
    assert HOUSE_SCALE.criterion_for(0.05) == "maximum"


def test_the_scale_never_passes_for_iso_643_itself() -> None:
    assert "house" in HOUSE_SCALE.name
    json.dumps(HOUSE_SCALE.as_dict())
    assert set(MORPHOLOGY["mean"]) == set(MORPHOLOGY["maximum"]) == set(SIZE_CLASSES)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mean_um": (10.0, 16.0, 6.0)},
        {"mean_um": (16.0, 10.0)},
        {"maximum_um": (3.0, 2.0, -1.0)},
        {"largest_share": 0.0},
    ],
)
def test_a_table_that_cannot_grade_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        GradeTable(**wrong)  # type: ignore[arg-type]


def test_codes_split_into_subtype_and_class() -> None:
    assert split_code("G9-10") == ("G", "9-10")
    for wrong in ("X8", "G", ""):
        with pytest.raises(InputError):
            split_code(wrong)
    with pytest.raises(InputError, match="no needle"):
        HOUSE_SCALE.grade(np.array([]), "G")
