"""Boxes as the text of one column: nothing is lost on the way, and nonsense is refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorby.corpus import Corpus
from sorby.corpus.boxes import Box, box_classes, corpus_boxes, decode, encode, images_per_class, true_boxes
from sorby.errors import InputError

_sides = st.floats(min_value=1e-3, max_value=1e6, allow_nan=False)
_boxes = st.builds(Box, st.text(min_size=1, max_size=8), _sides, _sides, _sides, _sides, st.booleans())


@given(st.lists(_boxes, max_size=5))
def test_every_number_and_name_comes_back(boxes: list[Box]) -> None:
    assert decode(encode(boxes)) == tuple(boxes)


def test_nothing_there_is_not_the_same_as_nobody_looked(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "path": ["a.png", "b.png", "c.png"],
            "sha256": ["1", "2", "3"],
            "label": [None, None, None],
            "boxes": ["[]", None, encode([Box("pinhole", 1, 2, 3, 4)])],
            "exclusion": [None, None, None],
        }
    )
    Corpus(table, tmp_path).save(tmp_path / "corpus.parquet")
    corpus = Corpus.load(tmp_path / "corpus.parquet")
    assert corpus_boxes(corpus) == [(), None, (Box("pinhole", 1, 2, 3, 4),)]
    assert corpus.annotated().table["path"].tolist() == ["a.png", "c.png"]


def test_classes_are_those_of_boxes_that_somebody_is_asked_to_find(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "path": ["a.png", "b.png", "c.png"],
            "label": [None, None, None],
            "boxes": [
                encode([Box("scuff", 0, 0, 2, 2), Box("scuff", 5, 5, 2, 2), Box("crowd", 0, 0, 9, 9, ignored=True)]),
                encode([Box("scuff", 0, 0, 2, 2), Box("burr", 0, 0, 1, 1)]),
                encode([Box("left out", 0, 0, 1, 1)]),
            ],
            "exclusion": [None, None, "duplicate of a.png"],
        }
    )
    corpus = Corpus(table, tmp_path)
    assert box_classes(corpus) == ["burr", "scuff"]
    assert images_per_class(corpus) == {"burr": 1, "scuff": 2}


def test_the_boxes_belong_to_the_identity_of_training_data(tmp_path: Path) -> None:
    table = pd.DataFrame({"path": ["a"], "sha256": ["1"], "label": [None], "exclusion": [None]})
    prints = {
        Corpus(table.assign(boxes=[text]), tmp_path).fingerprint()
        for text in ("[]", encode([Box("a", 0, 0, 1, 1)]), encode([Box("a", 0, 0, 1, 2)]))
    }
    assert len(prints) == 3


def test_a_corpus_without_the_column_has_no_annotated_image(tmp_path: Path) -> None:
    corpus = Corpus(pd.DataFrame({"path": ["a"], "label": ["x"], "exclusion": [None]}), tmp_path)
    assert corpus_boxes(corpus) == [None]
    assert box_classes(corpus) == []


def test_arrays_have_right_and_bottom_outside() -> None:
    truth = true_boxes([Box("b", 1, 2, 3, 4), Box("a", 0.5, 0, 1, 1, ignored=True)], ["a", "b"])
    np.testing.assert_array_equal(truth.boxes, np.float32([[1, 2, 4, 6], [0.5, 0, 1.5, 1]]))
    assert truth.labels.tolist() == [1, 0]
    assert truth.flags.tolist() == [False, True]
    assert true_boxes([], ["a"]).boxes.shape == (0, 4)


def test_a_box_of_an_unlisted_class_is_an_error_unless_it_is_ignored() -> None:
    with pytest.raises(InputError, match="'dent'"):
        true_boxes([Box("dent", 0, 0, 1, 1)], ["scratch"])
    assert len(true_boxes([Box("dent", 0, 0, 1, 1, ignored=True)], ["scratch"])) == 0


@pytest.mark.parametrize(
    "text",
    [
        "scratch 1 2 3 4",
        "{}x",
        "3",
        '[{"label":"a","x":0,"y":0,"w":1}]',
        '[{"label":"a","x":0,"y":0,"w":0,"h":1}]',
        '[{"label":"a","x":0,"y":0,"w":-1,"h":1}]',
        '[{"label":"a","x":NaN,"y":0,"w":1,"h":1}]',
        '[{"label":"a","x":0,"y":0,"w":"wide","h":1}]',
        "[" * 100_000,
    ],
)
def test_what_is_no_list_of_boxes_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        decode(text)


def test_a_box_without_extent_is_not_written() -> None:
    with pytest.raises(InputError, match="extent"):
        encode([Box("a", 0, 0, 0, 1)])


def test_the_image_with_wrong_boxes_is_named(tmp_path: Path) -> None:
    table = pd.DataFrame({"path": ["fine.png", "odd.png"], "boxes": ["[]", "?"]})
    with pytest.raises(InputError, match=r"odd\.png"):
        corpus_boxes(Corpus(table, tmp_path))


@pytest.mark.parametrize("text", ["{}", '""', "null", "0"])
def test_what_is_no_list_is_no_negative(text: str) -> None:
    with pytest.raises(InputError, match="no list of boxes"):
        decode(text)
