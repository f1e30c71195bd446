"""Reading text: known lines come back, at their places, alone or in company; what is not installed is said."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from sorby.errors import InputError, MissingPartError
from sorby.micrograph.text_reading import TextLine, joined, open_reader
from sorby.micrograph.text_reading import tesseract as tesseract_engine


@pytest.fixture(scope="module")
def reader():
    pytest.importorskip("rapidocr", reason="the extra ocr is not installed")
    return open_reader(threads=1)


def drawn(text: str, *, size: int = 24, ink: int = 0, paper: int = 255) -> np.ndarray:
    font = ImageFont.load_default(size)
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text))
    image = Image.new("L", (right - left + 16, bottom - top + 12), paper)
    ImageDraw.Draw(image).text((8 - left, 6 - top), text, font=font, fill=ink)
    return np.asarray(image)


def test_lines_are_found_where_they_stand(reader):
    page = np.full((200, 600, 3), 255, np.uint8)
    for text, left, top in (("FOAN 2024-0371", 30, 20), ("Fracture load 5.2 kN", 200, 120)):
        line = drawn(text)
        page[top : top + line.shape[0], left : left + line.shape[1]] = line[:, :, None]
    first, second = reader.read(page)
    assert (first.text.replace(" ", ""), second.text.replace(" ", "")) == ("FOAN2024-0371", "Fractureload5.2kN")
    # The detector's map has a quarter of the resolution, and boxes are enlarged: a few pixels of play.
    assert abs(first.left - 38) < 12
    assert abs(second.top - 126) < 12


def test_an_image_without_text_says_nothing(reader):
    assert reader.read(np.full((120, 300), 90, np.uint8)) == []


def test_a_line_reads_the_same_in_any_company(reader):
    line = drawn("15.00 kV")
    alone = reader.recognise([line])[0]
    in_company = reader.recognise([drawn("a much longer line of text than the others"), line, drawn("SE2")])[1]
    assert alone.text.replace(" ", "") == "15.00kV"
    assert (in_company.text, in_company.confidence) == (alone.text, pytest.approx(alone.confidence, abs=1e-3))


def test_light_on_dark_reads_like_dark_on_light(reader):
    dark, light = reader.recognise([drawn("10.0 mm"), drawn("10.0 mm", ink=255, paper=0)])
    assert dark.text == light.text


def test_results_name_engine_version_and_networks(reader):
    said = reader.provenance
    assert said["engine"] == "rapidocr"
    assert set(said) == {"engine", "version", "runtime", "networks"}


def test_pieces_on_one_line_are_joined_from_left_to_right():
    pieces = [
        TextLine("kN", 80, 11, 100, 29, 1.0),
        TextLine("second", 0, 42, 60, 60, 1.0),
        TextLine("5,2", 40, 10, 70, 30, 1.0),
    ]
    assert joined(pieces) == "5,2 kN\nsecond"


def test_an_unknown_engine_is_refused_with_the_choice():
    with pytest.raises(InputError, match="no engine") as caught:
        open_reader("easy")
    assert "rapidocr, tesseract" in caught.value.hint


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr("sorby.micrograph.text_reading.rapid.util.find_spec", lambda name: None)
    with pytest.raises(MissingPartError) as caught:
        open_reader()
    assert "sorby[ocr]" in caught.value.hint


def test_a_missing_program_says_how_to_install_it(monkeypatch):
    pytesseract = pytest.importorskip("pytesseract", reason="the extra ocr is not installed")
    monkeypatch.setattr(pytesseract.pytesseract, "tesseract_cmd", "/nowhere/tesseract")
    # The version is remembered by pytesseract once it was found.
    getattr(pytesseract.get_tesseract_version, "cache_clear", lambda: None)()
    with pytest.raises(MissingPartError, match="tesseract") as caught:
        open_reader("tesseract")
    assert "apt-get install" in caught.value.hint


def test_words_of_tesseract_become_lines():
    table = {
        "text": ["", "Mag", "=", "5.00", "WD"], "conf": [-1, 90, 80, 70, 60],
        "left": [0, 10, 40, 55, 10], "top": [0, 5, 8, 5, 40],
        "width": [99, 25, 8, 30, 20], "height": [60, 12, 4, 12, 12],
        "block_num": [1] * 5, "par_num": [1] * 5, "line_num": [0, 1, 1, 1, 2],
    }  # fmt: skip
    first, second = tesseract_engine.lines_of_words(table)
    assert first == TextLine("Mag = 5.00", 10, 5, 85, 17, pytest.approx(0.8))
    assert second.text == "WD"
