"""Stating scales: tags first, bars as their check or alone, and what is said where nothing reads text."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from PIL import Image

from info_bars import Words, picture, with_bar
from sorby.cli.corpus import corpus
from sorby.errors import InputError, MissingPartError
from sorby.micrograph.text_reading import open_reader
from sorby.workflow.archive.scales import state_scales


@pytest.fixture(scope="module")
def loaded():
    pytest.importorskip("rapidocr", reason="the extra ocr is not installed")
    return open_reader(threads=1)


@pytest.fixture
def reader(loaded, monkeypatch):
    """Load the networks once for all tests."""
    monkeypatch.setattr("sorby.workflow.archive.scales.open_reader", lambda engine="rapidocr", *, threads=None: loaded)


@pytest.fixture
def barred(tmp_path):
    """An image whose bar says 5,000x and 2 um over 120 px."""
    path = tmp_path / "barred.png"
    Image.fromarray(with_bar("light").pixels).save(path)
    return path


def imagej(path, pixels, size_um):
    tifffile.imwrite(path, pixels, imagej=True, resolution=(1 / size_um, 1 / size_um), metadata={"unit": "um"})
    return path


@pytest.fixture
def engine_absent(monkeypatch):
    def refuse(engine="rapidocr", *, threads=None):
        raise MissingPartError("rapidocr is not installed", "install the extra: pip install 'sorby[ocr]'")

    monkeypatch.setattr("sorby.workflow.archive.scales.open_reader", refuse)


def test_a_bar_alone_gives_scale_and_magnification(barred, reader):
    result = state_scales([barred], threads=1)
    (entry,) = result["images"]
    assert entry["magnification"] == 5000
    assert entry["pixel_size_um"] == pytest.approx(2 / 120, rel=0.01)  # one pixel in 120
    assert (entry["source"], entry["info_bar"], entry["info_bar_edge"]) == ("info-bar", 640, "bottom")
    assert entry["relative_error"] == pytest.approx(1.5 / 120, rel=0.02)
    assert not entry["disagreements"]
    assert result["engine"]["engine"] == "rapidocr"


def test_tag_and_bar_that_contradict_are_both_told(tmp_path, reader):
    right = imagej(tmp_path / "right.tif", with_bar("light").pixels, 2 / 120)
    wrong = imagej(tmp_path / "wrong.tif", with_bar("light").pixels, 2.5 / 120)
    agreeing, differing = state_scales([right, wrong], threads=1)["images"]
    assert not agreeing["disagreements"]
    assert [entry["name"] for entry in differing["disagreements"]] == ["tag contradicts drawn scale bar"]
    assert differing["source"] == "imagej"
    assert differing["confidence"] < agreeing["confidence"]
    (alone,) = state_scales([wrong], ignore_tags=True, threads=1)["images"]
    assert alone["source"] == "info-bar"
    assert alone["pixel_size_um"] == pytest.approx(2 / 120, rel=0.01)


def test_without_an_engine_tags_still_work_and_the_result_says_what_was_not_read(tmp_path, engine_absent):
    tagged = imagej(tmp_path / "tagged.tif", with_bar("light").pixels, 0.05)
    result = state_scales([tagged])
    (entry,) = result["images"]
    assert (entry["pixel_size_um"], entry["source"]) == (pytest.approx(0.05), "imagej")
    assert entry["info_bar"] == 640  # finding it needs no engine
    assert result["engine"] is None
    assert "info bars were not read" in result["warnings"][0]
    with pytest.raises(MissingPartError):
        state_scales([tagged], engine="rapidocr")


def test_pictures_without_bars_ask_for_no_engine(tmp_path, engine_absent):
    Image.fromarray(picture()).save(tmp_path / "plain.png")
    result = state_scales([tmp_path / "plain.png"])
    (said,) = result["warnings"]
    assert said.startswith("1 of 1 images have no pixel size in tags, sidecar file or info bar")
    assert "plain.png" in said
    assert "column pixel_size_um" in said
    assert result["images"][0]["source"] == "none"
    assert result["images"][0]["info_bar"] is None


def test_bad_files_are_set_aside_and_none_at_all_is_refused(tmp_path, engine_absent):
    (tmp_path / "note.png").write_text("no image")
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "plain.png")
    assert len(state_scales([tmp_path / "note.png", tmp_path / "plain.png"])["quarantined"]) == 1
    with pytest.raises(InputError, match="none of 1 files"):
        state_scales([tmp_path / "note.png"])


def test_the_command_names_a_contradiction(tmp_path, reader):
    words = replace(Words(), magnification="Mag = 50 X")
    Image.fromarray(with_bar("light", words).pixels).save(tmp_path / "odd.png")
    done = CliRunner().invoke(corpus, ["scale", str(tmp_path / "odd.png"), "--json", "--engine", "rapidocr"])
    assert done.exit_code == 0
    (entry,) = json.loads(done.stdout)["images"]
    assert [each["name"] for each in entry["disagreements"]] == ["magnification contradicts pixel size"]


@pytest.mark.realdata
def test_fei_bars_without_their_tags_give_the_same_scale(real_data, reader):
    files = [real_data / "sem-fei" / f"sem{k:02d}.tif" for k in (0, 8, 12, 16)]
    tagged = state_scales(files, threads=1)["images"]
    bare = state_scales(files, ignore_tags=True, threads=1)["images"]
    for tag, bar in zip(tagged, bare, strict=True):
        assert (tag["source"], bar["source"]) == ("fei", "info-bar")
        assert bar["magnification"] == tag["magnification"]
        assert bar["pixel_size_um"] == pytest.approx(tag["pixel_size_um"], rel=1e-4)  # tags hold six digits
        assert not tag["disagreements"]
