"""The published phantom set as a corpus and in the cache."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from sorby.errors import InputError
from sorby.phantom import published
from sorby.workflow import phantoms


@pytest.fixture
def two_specimens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published plan cut to two specimens: the whole takes minutes."""
    plan = published.published_plan
    monkeypatch.setattr(published, "published_plan", lambda seed: plan(seed)[:2])


@pytest.mark.usefixtures("two_specimens")
def test_the_set_is_rendered_once_and_again_only_for_another_generator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = phantoms.published_steel(96, 0, tmp_path, jobs=1)
    assert place.parent == tmp_path
    assert place.name.startswith("steel-96-0-")
    written = (place / "labels.csv").stat().st_mtime_ns
    assert phantoms.published_steel(96, 0, tmp_path, jobs=1) == place
    assert (place / "labels.csv").stat().st_mtime_ns == written
    monkeypatch.setattr(phantoms, "_GENERATOR", phantoms._GENERATOR[:-1])
    assert phantoms.published_steel(96, 0, tmp_path, jobs=1) != place


@pytest.mark.usefixtures("two_specimens")
def test_the_cache_lies_outside_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SORBY_CACHE", str(tmp_path / "cache"))
    assert phantoms.published_steel(96, 1, jobs=1).is_relative_to(tmp_path / "cache" / "phantoms")


@pytest.mark.usefixtures("two_specimens")
def test_day_to_day_labels_can_be_the_labels_of_the_corpus(tmp_path: Path) -> None:
    found = phantoms.write_steel_corpus(tmp_path / "p", published=True, size_px=96, label="daily")
    table = pd.read_parquet(found["corpus"])
    assert (table["label"] == table["daily_label"]).all()
    assert {"truth", "rating_R14", "alloy"} <= set(table)


def test_requests_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1641 images"):
        phantoms.write_steel_corpus(tmp_path / "a", 7, published=True)
    with pytest.raises(InputError, match="how many"):
        phantoms.write_steel_corpus(tmp_path / "b")
    with pytest.raises(InputError, match="granite"):
        phantoms.write_steel_corpus(tmp_path / "c", 8, novel=1, kinds=("granite",))
    assert not list(tmp_path.iterdir())
