"""What is taught comes from the taught images alone, and intervals count specimens however the images were split."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import SMALL
from sorby.bundle import open_bundle
from sorby.classify.recipe import load
from sorby.corpus import splits
from sorby.workflow import train
from sorby.workflow.runs import read_run
from textures import write_table


@pytest.fixture(scope="module")
def by_image(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A run split by image though specimens are known, its test images taken at ten times the pixel size."""
    place = tmp_path_factory.mktemp("by-image")
    source = write_table(place / "data", specimens=10, per_specimen=2)
    table = pd.read_csv(source)
    parts = splits.holdout(table["structure"].to_numpy(), seed=0)  # as the recipe below will draw it
    table["pixel_size_um"] = np.where(parts == "test", 5.0, 0.5)
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
