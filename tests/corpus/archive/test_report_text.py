"""Text of PDFs: layers, scans, turned sheets, and files that are none."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from sorby.corpus.archive import parse_report, read_report_text, read_reports
from sorby.corpus.archive.report_text import read_turned
from sorby.corpus.archive.rules import PageRules
from sorby.errors import InputError, MissingPartError
from sorby.micrograph.text_reading import TextLine
from sorby.phantom.fracture.file_naming import Foan
from sorby.phantom.fracture.reports import PhantomReport, ReportedComponent, report_pdf, stated_load_n

PAGES = PageRules()


def no_reader():
    raise AssertionError("a text layer needs no text recognition")


@dataclass
class Reader:
    """Reads a page whose upper half is darker, upside up only; elsewhere it guesses."""

    calls: list[int] = field(default_factory=list)

    def read(self, image):
        self.calls.append(1)
        height = image.shape[0]
        upright = image[: height // 2].mean() < image[height // 2 :].mean() - 5
        lying = abs(image[: height // 2].mean() - image[height // 2 :].mean()) <= 5
        if lying:
            return [TextLine("I1l", 10, 10 + 40 * k, 30, 45 + 40 * k, 0.4) for k in range(4)]
        words = ["FOAN: FOAN-2023-00417-9", "Serial no.: 4711023", "Fracture type: Material defect"]
        sure = 0.97 if upright else 0.3
        return [TextLine(word, 10, 20 + 40 * k, 400, 45 + 40 * k, sure) for k, word in enumerate(words)]


def pdf(path: Path, pages: list[list[str]], **options) -> Path:
    canvas = Canvas(str(path), pagesize=A4, invariant=1, **options)
    for lines in pages:
        for number, line in enumerate(lines):
            canvas.drawString(60, 780 - 20 * number, line)
        canvas.showPage()
    canvas.save()
    return path


def scan(path: Path, quarter: int = 0) -> Path:
    """A page without text layer: its upper half grey."""
    pixels = np.full((260, 200), 250, np.uint8)
    pixels[:130] = 90
    from PIL import Image
    from reportlab.lib.utils import ImageReader

    buffer = io.BytesIO()
    Image.fromarray(np.rot90(pixels, quarter)).save(buffer, format="PNG")
    buffer.seek(0)
    size = (200, 260) if quarter % 2 == 0 else (260, 200)
    canvas = Canvas(str(path), pagesize=size, invariant=1)
    canvas.drawImage(ImageReader(buffer), 0, 0, *size)
    canvas.showPage()
    canvas.save()
    return path


def test_a_text_layer_is_read_without_text_recognition(tmp_path):
    text = read_report_text(pdf(tmp_path / "a.pdf", [["FOAN: FOAN-2023-00417-9 of March"]]), PAGES, no_reader)
    assert [line.text for line in text.lines] == ["FOAN: FOAN-2023-00417-9 of March"]
    assert (text.pages[0].source, text.recognised) == ("text layer", False)


@pytest.mark.parametrize("quarter", [0, 1, 2, 3])
def test_a_scan_is_read_whichever_way_the_sheet_lay(tmp_path, quarter):
    text = read_report_text(scan(tmp_path / "scan.pdf", quarter), PAGES, Reader)
    assert text.lines[0].text == "FOAN: FOAN-2023-00417-9"
    assert text.pages[0].turned_deg == (360 - 90 * quarter) % 360
    assert text.recognised


def test_an_upright_scan_is_read_once():
    reader = Reader()
    picture = np.full((200, 160), 250, np.uint8)
    picture[:100] = 90
    assert read_turned(picture, reader)[1] == 0
    assert len(reader.calls) == 1


def test_words_at_one_height_make_one_line():
    class Columns:
        def read(self, image):
            return [
                TextLine("14,2 kN", 200, 11, 280, 31, 0.9),
                TextLine("SN 4711023", 10, 10, 120, 30, 0.95),
                TextLine("Materialfehler", 10, 50, 150, 70, 0.99),
            ]

    lines, _ = read_turned(np.zeros((100, 300), np.uint8), Columns())
    assert [(line.text, line.confidence) for line in lines] == [("SN 4711023 14,2 kN", 0.9), ("Materialfehler", 0.99)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.pdf", b"", "an empty file"),
        ("letter.pdf", b"Dear colleague", "not a readable PDF"),
        ("cut.pdf", None, "not a readable PDF"),
    ],
)
def test_files_that_are_no_pdf_are_refused_in_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(pdf(tmp_path / "whole.pdf", [["text"]]).read_bytes()[:300] if content is None else content)
    with pytest.raises(InputError, match=message) as caught:
        read_report_text(path, PAGES, no_reader)
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message


def test_an_encrypted_pdf_is_named_as_such(tmp_path):
    path = pdf(tmp_path / "locked.pdf", [["secret"]], encrypt=StandardEncryption("password", strength=128))
    with pytest.raises(InputError, match="encrypted") as caught:
        read_report_text(path, PAGES, no_reader)
    assert "password" in caught.value.hint


def test_a_pdf_of_blank_pages_holds_no_text(tmp_path):
    with pytest.raises(InputError, match="no text"):
        read_report_text(pdf(tmp_path / "blank.pdf", [[], []]), PAGES, no_reader)


def test_of_500_pages_the_first_are_read_and_the_rest_is_said(tmp_path):
    pages = [
        ["FOAN: FOAN-2023-00417-9 and further text"],
        *([f"page {number} of a report that goes on and on"] for number in range(499)),
    ]
    text = read_report_text(pdf(tmp_path / "long.pdf", pages), PAGES, no_reader)
    assert (len(text.pages), text.n_pages) == (PAGES.most, 500)
    assert text.problems == ("488 of 500 pages not read (pages.most is 12)",)


def test_without_text_recognition_pages_with_a_text_layer_are_read_and_read_again_once_it_is_there(tmp_path):
    scan(tmp_path / "scan.pdf")
    pdf(tmp_path / "page.pdf", [["FOAN: FOAN-2023-00417-9 and further text"]])
    whole = pypdfium2.PdfDocument.new()
    for name in ("page.pdf", "scan.pdf"):
        with pypdfium2.PdfDocument(tmp_path / name) as part:
            whole.import_pages(part)
    whole.save(tmp_path / "both.pdf")
    whole.close()

    def absent():
        raise MissingPartError("rapidocr is not installed", "pip install 'sorby[ocr]'")

    cache = tmp_path / "cache"
    text = read_report_text(tmp_path / "both.pdf", PAGES, absent, engine="one", cache=cache)
    assert [line.text for line in text.lines] == ["FOAN: FOAN-2023-00417-9 and further text"]
    assert text.problems == (
        "pages without text layer not read, 2: rapidocr is not installed; pip install 'sorby[ocr]'",
    )
    again = read_report_text(tmp_path / "both.pdf", PAGES, Reader, engine="one", cache=cache)
    assert (len(again.lines), again.problems) == (4, ())
    with pytest.raises(MissingPartError, match="not installed"):
        read_report_text(tmp_path / "scan.pdf", PAGES, absent)


def test_a_text_in_the_cache_is_not_read_again(tmp_path):
    path, cache = scan(tmp_path / "scan.pdf"), tmp_path / "cache"
    first = read_report_text(path, PAGES, Reader, engine="one 1.0", cache=cache)
    assert read_report_text(path, PAGES, no_reader, engine="one 1.0", cache=cache) == first
    reader = Reader()
    read_report_text(path, PAGES, lambda: reader, engine="one 2.0", cache=cache)
    assert reader.calls, "another engine reads by itself"


def test_a_damaged_cache_entry_is_read_anew(tmp_path):
    path, cache = pdf(tmp_path / "a.pdf", [["FOAN: FOAN-2023-00417-9 of March"]]), tmp_path / "cache"
    first = read_report_text(path, PAGES, no_reader, cache=cache)
    for entry in cache.iterdir():
        entry.write_text('{"pages": [')
    assert read_report_text(path, PAGES, no_reader, cache=cache) == first


def test_bad_reports_are_quarantined_one_line_each_and_the_good_go_on(tmp_path, rules):
    good = PhantomReport(
        "good.pdf", str(Foan(2023, 417)), (ReportedComponent("4711023", "material", "pore", 14_234.0),), ""
    )
    (tmp_path / "good.pdf").write_bytes(report_pdf(good))
    (tmp_path / "empty.pdf").write_bytes(b"")
    pdf(tmp_path / "locked.pdf", [["secret"]], encrypt=StandardEncryption("password", strength=128))
    scan(tmp_path / "scan.pdf")

    def not_installed():
        raise MissingPartError("text recognition is not installed", "pip install 'sorby[ocr]'")

    reports, quarantined = read_reports(tmp_path, rules, not_installed)
    assert [report.foan for report in reports] == [Foan(2023, 417).normalised]
    reasons = {Path(entry.file).name: entry.reason for entry in quarantined}
    assert set(reasons) == {"empty.pdf", "locked.pdf", "scan.pdf"}
    assert "sorby[ocr]" in reasons["scan.pdf"]
    assert not any("\n" in reason for reason in reasons.values())


def test_a_folder_without_reports_is_refused(tmp_path, rules):
    with pytest.raises(InputError, match="holds no PDF"):
        read_reports(tmp_path, rules, no_reader)


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("layout", ["list", "table"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("wording", [0, 1])
def test_both_layouts_in_both_languages_say_the_same(tmp_path, rules, language, layout, turned, wording):
    parts = (ReportedComponent("4711023", "green_body", "lamination", 14_234.4),)
    if layout == "table":
        parts = (*parts, ReportedComponent("4799107", "material", "large_grain", 9_123.0))
    said = PhantomReport("r.pdf", str(Foan(2023, 417)), parts, "2023-03-14", language, layout, False, turned, wording)
    (tmp_path / "r.pdf").write_bytes(report_pdf(said))
    found = parse_report(read_report_text(tmp_path / "r.pdf", PAGES, no_reader), "r.pdf", rules)
    kilo = layout == "table" or wording == 0
    assert found.foan == Foan(2023, 417).normalised
    assert {(each.serial, each.label, each.fracture_load_n) for each in found.components} == {
        (part.serial, part.label, stated_load_n(part.load_n, kilo=kilo)) for part in parts
    }
    assert found.problems == ()


def test_a_scanned_report_on_its_side_is_read_by_the_engine_in_the_package(tmp_path, rules):
    pytest.importorskip("rapidocr", reason="text recognition is an extra")
    from sorby.micrograph.text_reading import open_reader

    part = ReportedComponent("4711023", "green_body", "lamination", 14_234.4)
    said = PhantomReport("r.pdf", str(Foan(2023, 417)), (part,), "2023-03-14", "de", "list", True, True, 0, 5)
    (tmp_path / "r.pdf").write_bytes(report_pdf(said))
    text = read_report_text(tmp_path / "r.pdf", PAGES, lambda: open_reader(threads=1))
    found = parse_report(text, "r.pdf", rules)
    assert text.pages[0].turned_deg in (90, 270)
    assert (found.foan, found.serials) == (Foan(2023, 417).normalised, ("4711023",))
    assert (found.components[0].label, found.components[0].fracture_load_n) == ("green_body", 14_230.0)
    assert 0.5 < found.confidence["foan"] < 1
