"""``sorby experiment fuzzy-matches``: wrong labels that came by similarity are felt, and shown apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sorby.classify.recipe import load
from sorby.corpus import Corpus, build
from sorby.corpus.archive import certain_matches, without_uncertain
from sorby.errors import InputError
from sorby.workflow.experiments.registry import Request, find
from textures import SMALL, write_table


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    """Textures; every sixth specimen has a FOAN that was matched by similarity, and a wrong label."""
    table = write_table(tmp_path_factory.mktemp("fuzzy") / "data", specimens=16)
    found = build([table], image="picture", label="structure", group="piece").corpus
    rows = found.table
    number = rows["specimen"].astype("category").cat.codes.to_numpy()
    fuzzy = number % 6 == 0
    classes = found.classes
    wrong = [classes[(classes.index(label) + 1) % len(classes)] for label in rows["label"]]
    return Corpus(
        rows.assign(match=np.where(fuzzy, "fuzzy", "exact"), label=np.where(fuzzy, wrong, rows["label"])), found.root
    )


def ask(corpus: Corpus, out) -> dict:
    recipe = load(None, SMALL)
    columns = {"label": None, "group": None, "image": None}
    options = {"folds": 3, "min_count": 2}
    return find("fuzzy-matches").run(Request(corpus, out, recipe, "cpu", columns, options))


def test_figures_without_wrongly_matched_images_are_better_and_both_are_given(corpus, tmp_path):
    found = ask(corpus, tmp_path)
    tests = found.extra["tests"]
    n_certain = int(certain_matches(corpus.table).sum())
    assert (tests["all_images"]["n"], tests["exact_only"]["n"]) == (len(corpus), n_certain)
    assert tests["exact_only"]["accuracy"]["value"] > tests["all_images"]["accuracy"]["value"] + 0.1
    assert [row["arm"] for row in found.table] == ["all matches", "exact matches"]
    assert all(row["n"] == n_certain for row in found.table)
    assert found.table[1]["difference"]["accuracy"]["value"] >= 0, "wrong labels do not help"


def test_a_corpus_of_exact_matches_has_nothing_to_leave_out(corpus, tmp_path):
    with pytest.raises(InputError, match="every image is an exact match"):
        ask(without_uncertain(corpus), tmp_path)


def test_a_corpus_without_matches_says_how_one_is_built():
    with pytest.raises(InputError, match="how its images were matched") as caught:
        certain_matches(pd.DataFrame({"path": ["a.png"]}))
    assert "--reports" in caught.value.hint
