"""Magnifications off info bars, for verdicts that need them where nothing else states one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tifffile
from PIL import Image

from info_bars import Words, picture, with_bar
from sorby.errors import MissingPartError
from sorby.micrograph.text_reading import open_reader
from sorby.workflow.archive.bar_magnifications import told_by_bars


@pytest.fixture(scope="module")
def reader():
    pytest.importorskip("rapidocr", reason="the extra ocr is not installed")
    return open_reader(threads=1)


def test_bars_tell_what_tags_do_not_and_contradicted_ones_are_not_believed(tmp_path, reader):
    bare, odd, plain, broken = (tmp_path / f"{name}.png" for name in ("bare", "odd", "plain", "broken"))
    Image.fromarray(with_bar("light").pixels).save(bare)
    Image.fromarray(with_bar("light", replace(Words(), magnification="Mag = 50 X")).pixels).save(odd)
    Image.fromarray(picture()).save(plain)
    broken.write_text("no image")
    told, said = told_by_bars([bare, odd, plain, broken], reader)
    assert told == {bare: 5000}
    (line,) = said
    assert "info bars of 1 image are contradicted" in line
    assert "odd.png" in line
    assert "--magnification" in line


def test_no_text_recognition_is_loaded_for_images_without_bars(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise MissingPartError("rapidocr is not installed", "pip install 'sorby[ocr]'")

    monkeypatch.setattr("sorby.workflow.archive.bar_magnifications.open_reader", refuse)
    Image.fromarray(picture()).save(tmp_path / "plain.png")
    assert told_by_bars([tmp_path / "plain.png"]) == ({}, [])
    tifffile.imwrite(tmp_path / "barred.tif", with_bar("light").pixels)
    told, (said,) = told_by_bars([tmp_path / "plain.png", tmp_path / "barred.tif"])
    assert told == {}
    assert "not read: rapidocr is not installed; pip install" in said
