"""What is taught comes from the taught images alone, and intervals count specimens however the images were split."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sorby
from sorby.bundle import open_bundle
from sorby.classify.recipe import load
from sorby.corpus import Corpus, splits
from sorby.workflow import evaluate, inspect, train
from sorby.workflow.data import open_data
from sorby.workflow.planning import make_plan
from sorby.workflow.runs import read_run
from textures import SMALL, write_table


@pytest.fixture(scope="module")
def by_image(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A run split by image though specimens are known, its test images taken at ten times the pixel size."""
    place = tmp_path_factory.mktemp("by-image")
    source = write_table(place / "data", specimens=10, per_specimen=2)
    table = pd.read_csv(source)
    parts = splits.holdout(table["structure"].to_numpy(), seed=0)  # as the recipe below will draw it
    table["pixel_size_um"] = np.where(parts == "test", 5.0, 0.5)
    table["split"] = "train"
    table.to_csv(source, index=False)
    recipe = load(None, {**SMALL, "split.group": "none"})
    columns = {"image": "picture", "label": "structure", "group": "piece"}
    return place / "run", train(source, place / "run", recipe, report=False, **columns)


def test_the_range_of_pixel_sizes_is_that_of_the_taught_images(by_image: tuple[Path, dict[str, Any]]) -> None:
    run, result = by_image
    with open_bundle(result["bundle"]) as bundle:
        assert bundle.description.novelty["pixel_sizes_um"] == [0.5, 0.5]
    verdicts = pd.read_parquet(run / "verdicts.parquet")
    assert verdicts["reason"].str.contains("scale-out-of-range").all()


def test_intervals_resample_specimens_where_images_were_split_singly(by_image: tuple[Path, dict[str, Any]]) -> None:
    run, result = by_image
    test = read_run(run)["test"]
    assert result["grouped"] is False
    assert test["n_specimens"] < test["n"]
    for figure in (test["accuracy"], test["referred"], test["sets"]["coverage"]):
        assert "specimen" in figure["method"]


def test_warnings_of_a_split_name_classes(tmp_path: Path) -> None:
    source = write_table(tmp_path / "data", specimens=6, per_specimen=1)
    table = pd.read_csv(source)
    table.loc[table["structure"] == "checks", "piece"] = "one piece"
    table.to_csv(source, index=False)
    columns = {"image": "picture", "label": "structure", "group": "piece"}
    result = train(source, tmp_path / "run", load(None, SMALL), report=False, **columns)
    assert any(re.search(r"class 'checks' has 1 specimen", line) for line in result["warnings"])
    assert not any(re.search(r"class '\d+'", line) for line in result["warnings"])


def test_a_precision_asked_for_by_name_is_given(by_image: tuple[Path, dict[str, Any]]) -> None:
    classifier = sorby.load(by_image[1]["bundle"], device="cpu")
    first = classifier.runtime()
    assert classifier.runtime("cpu") is first
    exact = classifier.runtime("cpu", "fp32")
    assert exact.precision == "fp32"
    assert classifier.runtime() is exact, "who asks for nothing takes what is there"


def test_a_bundle_says_what_computed_its_calibration(by_image: tuple[Path, dict[str, Any]]) -> None:
    with open_bundle(by_image[1]["bundle"]) as bundle:
        assert bundle.description.calibration["runtime"] == read_run(by_image[0])["fit"]["runtime"]


def test_evaluating_on_images_that_taught_the_bundle_is_said_however_few(by_image: tuple[Path, dict[str, Any]]) -> None:
    run, result = by_image
    corpus = Corpus.load(run / "corpus.parquet")
    parts = corpus.table["split"].to_numpy()
    test, taught = np.flatnonzero(parts == "test"), np.flatnonzero(parts != "test")
    clean = evaluate(result["bundle"], corpus.take(test))
    mixed = evaluate(result["bundle"], corpus.take([*test, *taught[:2]]))
    assert not any("trained on" in line for line in clean["warnings"])
    assert any(f"2 of {len(test) + 2} images are ones the bundle was trained on" in line for line in mixed["warnings"])
    # The table's pixel sizes count in evaluation as in training.
    assert clean["referred"]["value"] == read_run(run)["test"]["referred"]["value"] == 1


def test_a_scale_that_nobody_states_is_said_not_to_be_checked(
    by_image: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    run, result = by_image
    images = Corpus.load(run / "corpus.parquet").paths()[:3]
    silent = inspect(result["bundle"], images, tmp_path / "silent")
    assert any("3 of 3 images state no pixel size" in line for line in silent["warnings"])
    stated = inspect(result["bundle"], images, tmp_path / "stated", pixel_size_um=0.5)
    assert not any("pixel size" in line for line in stated["warnings"])


def test_a_split_that_the_data_state_is_not_passed_over_in_silence(by_image: tuple[Path, dict[str, Any]]) -> None:
    assert any("the split that the data state is not used" in line for line in by_image[1]["warnings"])


def test_settings_that_the_regime_does_not_use_are_said(class_folders: Path) -> None:
    corpus = open_data(class_folders).corpus
    for settings, said in (
        ({"augment": "steel"}, "augment is set, but regime frozen does not use it"),
        ({"finetune.epochs": 3}, "finetune is set, but regime frozen does not use it"),
        ({"regime": "finetune", "head.views": 4}, "head is set, but regime finetune does not use it"),
    ):
        assert said in make_plan(corpus, load(None, settings)).warnings
    assert not any("does not use" in line for line in make_plan(corpus, load(None)).warnings)


def test_the_parts_that_the_data_state_are_taken(tmp_path: Path) -> None:
    source = write_table(tmp_path / "data", specimens=8, per_specimen=1)
    table = pd.read_csv(source)
    table["split"] = np.where(np.arange(len(table)) % 4 == 0, "test", "train")
    table.to_csv(source, index=False)
    columns = {"image": "picture", "label": "structure"}
    result = train(source, tmp_path / "run", load(None, SMALL), report=False, **columns)
    stored = Corpus.load(tmp_path / "run" / "corpus.parquet").table
    assert result["test"]["n"] == (table["split"] == "test").sum()
    assert sorted(stored["split"]) == sorted(table["split"])
    assert "split: the train, val and test parts that the data state" in read_run(tmp_path / "run")["decisions"]
