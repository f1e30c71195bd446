"""A round robin designed on the command line, opened in the station there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from round_robins import designed, measures
from sorby.cli import cli
from sorby.cli._frame import run
from sorby.errors import InputError
from sorby.files import sha256_file
from sorby.station import rating, rounds
from sorby.station.home import save_settings
from sorby.station.opening import open_round
from sorby.station.records import list_entries, verify_record


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A design over five pictures that lie in ``pictures/``."""
    design = designed(measures(5), raters=2, repeats=1)
    (tmp_path / "pictures").mkdir()
    items = []
    for k, item in enumerate(design.items):
        file = tmp_path / "pictures" / item.path
        Image.fromarray(np.random.default_rng(k).integers(0, 255, (80, 90), np.uint8)).save(file)
        items.append(replace(item, sha256=sha256_file(file), pixel_size_um=0.5))
    (tmp_path / "study").mkdir()
    replace(design, items=tuple(items)).save(tmp_path / "study" / "design.json")
    return tmp_path


def test_raters_find_the_designed_round_behind_their_links(station, study: Path) -> None:
    home = station.desk.settings.home
    save_settings(station.desk.settings)
    opened = open_round(home, study / "study", study / "pictures")
    assert opened["url"].endswith(f"/studies/{opened['study']}")
    assert list(opened["links"]) == ["R01", "R02"]
    for url in opened["links"].values():
        welcome = rating.welcome(station.desk, url.rpartition("/")[2])
        assert welcome.places == 6
        assert rating.look(station.desk, url.rpartition("/")[2], 1).code
    assert rounds.get_study(station.desk, station.actors["supervisor"], opened["study"]).state == "open"
    entries = list_entries(station.desk, station.actors["auditor"], action="study.*")
    assert len(entries) == 3
    assert all("command line" in entry.actor for entry in entries)
    assert verify_record(station.desk).intact


def test_another_picture_under_the_name_is_refused_and_nothing_is_opened(station, study: Path) -> None:
    save_settings(station.desk.settings)
    Image.fromarray(np.zeros((80, 90), np.uint8)).save(study / "pictures" / "3.png")
    with pytest.raises(InputError, match="is not the image that was chosen"):
        open_round(station.desk.settings.home, study / "study", study / "pictures")
    assert rounds.list_studies(station.desk, station.actors["supervisor"]) == []


def test_a_folder_where_no_station_was_served_is_refused_in_one_line(study: Path, capsys) -> None:
    code = run(cli, ["study", "open", str(study / "study"), "--images", str(study / "pictures"),
                     "--home", str(study / "nowhere")])  # fmt: skip
    said = capsys.readouterr().err
    assert code == 2
    assert "no settings of a station" in said
    assert "sorby serve" in said
