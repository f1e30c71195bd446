"""Rating tables as laboratories keep them: gaps, strange codes, one person, two criteria."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sorby.corpus import Corpus
from sorby.errors import SorbyWarning
from sorby.workflow.ratings import ratings_of

CLASSES = ("G7", "G8", "G9-10")


def corpus(**columns: list[object]) -> Corpus:
    table = pd.DataFrame({"path": ["a.png", "b.png", "c.png"], "label": ["G7", "G8", "G9-10"], **columns})
    return Corpus(table, Path("."))


def test_codes_that_are_no_class_are_gaps_and_counted() -> None:
    with pytest.warns(SorbyWarning, match=r"G5 \(1\), X \(1\)"):
        found = ratings_of(corpus(rating_R1=["G7", "X", "G5"], rating_R2=[None, "G8", "G8"]), CLASSES)
    assert found.raters[:2] == ("R1", "R2")
    np.testing.assert_array_equal(found.codes[:, 0], [0, -1, -1])
    np.testing.assert_array_equal(found.codes[:, 1], [-1, 1, 1])


def test_merged_codes_count_as_their_class() -> None:
    found = ratings_of(corpus(rating_R1=["G7", "G9", "G10"]), CLASSES, {"G9": "G9-10", "G10": "G9-10"})
    np.testing.assert_array_equal(found.codes[:, 0], [0, 2, 2])


def test_without_rating_columns_the_label_is_the_one_rating() -> None:
    found = ratings_of(corpus(), CLASSES)
    assert found.raters == ("label",)
    np.testing.assert_array_equal(found.codes[:, 0], [0, 1, 2])


def test_labels_of_two_people_are_two_raters() -> None:
    found = ratings_of(corpus(rater=["Ann", "Ben", "Ann"]), CLASSES)
    assert found.raters == ("Ann", "Ben")
    np.testing.assert_array_equal(found.codes, [[0, -1], [-1, 1], [2, -1]])


def test_ratings_by_another_criterion_answer_another_question() -> None:
    table = corpus(
        criterion=["mean", "mean", "maximum"],
        rating_R1=["G7", "G7", "G8"],
        criterion_R1=["mean", "maximum", "maximum"],
    )
    with pytest.warns(SorbyWarning, match="1 ratings by another criterion"):
        found = ratings_of(table, CLASSES)
    np.testing.assert_array_equal(found.codes[:, 0], [0, -1, 1])
