"""Published tables drawn again: every cell beside the published one, none passed off as comparable."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sorby.classify.recipe import load
from sorby.corpus import Corpus, build
from sorby.errors import InputError
from sorby.workflow.papers import durmaz2023 as s1
from sorby.workflow.papers import run_paper
from textures import SMALL, write_table

CODES = {"blobs": "B8", "checks": "G8", "stripes": "G9-10"}


@pytest.fixture(scope="module")
def steel(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Three textures under structure codes, with subtype, size and fourteen ratings."""
    place = tmp_path_factory.mktemp("paper")
    table = pd.read_csv(write_table(place, specimens=10, names=CODES))
    table["subtype"], table["size_class"] = table["structure"].str[0], table["structure"].str[1:]
    table["alloy"] = np.where(np.arange(len(table)) < 4, "rare", "100Cr6")
    table["phantom"] = True
    rng = np.random.default_rng(5)
    for rater in range(14):
        guess = rng.choice(["B7", "G9", "G10", "M8"], len(table))
        table[f"rating_R{rater + 1:02d}"] = np.where(rng.random(len(table)) < 0.5, guess, table["subtype"] + "8")
    table.to_csv(place / "labels.csv", index=False)
    return build([place / "labels.csv"], image="picture", label="structure", group="piece").corpus


@pytest.fixture(scope="module")
def drawn(steel: Corpus, tmp_path_factory: pytest.TempPathFactory):
    """The paper on that corpus."""
    out = tmp_path_factory.mktemp("S1")
    return run_paper("S1", out, steel, recipe=load(None, SMALL), folds=3, min_count=2)


def test_every_row_of_table_2_has_the_published_figure_and_none_is_called_comparable(drawn):
    assert [row["published"]["value"] for row in drawn["table"]] == [value / 100 for value in s1.TABLE_2.values()]
    for row in drawn["table"]:
        assert row["flag"] in ("not comparable (phantoms)", "not run here")
        assert (row["ours"] is None) == (row["flag"] == "not run here")
        low, high = row["published"]["ci95"]
        assert low < row["published"]["value"] < high


def test_our_confusion_matrices_have_columns_of_true_classes(drawn, steel):
    counts = Counter(str(label) for label in steel.labels)
    for figure in ("fig-3", "fig-4"):
        ours = np.array(drawn["cells"][figure]["ours"])
        assert ours.sum(axis=0).tolist() == [counts[name] for name in drawn["cells"]["classes"]]


def test_each_stage_is_scored_on_the_images_of_its_subtype(drawn):
    stages = {row["stage"]: row for row in drawn["cells"]["table_3"]}
    assert {name: row["n"] for name, row in stages.items()} == {"subtype": 60, "B": 20, "G": 40, "M": 0}
    assert stages["M"]["ours"] is None
    # One size of B is there: whoever knows the subtype knows the size.
    assert stages["B"]["ours"]["value"] == 1


def test_the_page_holds_lost_cells_ratings_and_the_reasons(drawn):
    page = Path(drawn["report"]).read_text("utf-8")
    for text in ("lost in print, 2 images", "lost in print, 1 image", "published: ResNet-18", "Fig. 5", "Fig. 8"):
        assert text in page
    stored = json.loads((Path(drawn["report"]).parent / "paper.json").read_text("utf-8"))
    assert stored["cells"]["table_2"] == drawn["table"]


def test_an_unknown_paper_or_a_missing_column_is_named(steel, tmp_path):
    with pytest.raises(InputError, match="no paper 'S9'"):
        run_paper("S9", tmp_path, steel)
    without = Corpus(steel.table.drop(columns="subtype"), steel.root)
    with pytest.raises(InputError, match="'subtype'"):
        run_paper("S1", tmp_path, without)
