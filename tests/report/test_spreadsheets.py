"""No cell of a table is ever executed, and nothing of what it says is lost."""

from __future__ import annotations

import csv
import io
import math

import pytest

from sorby.report.spreadsheet import safe_cell, write_csv, write_workbook

HOSTILE = [
    "=1+1",
    '=HYPERLINK("http://evil","click")',
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    '"=1',
    "'=1",
    "＝1+1",
    "＋1",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_that_may_be_a_formula_is_neutralised(text):
    assert safe_cell(text) == "'" + text


@pytest.mark.parametrize("value", [-5, -0.25, True, None, "G9-10", "Übergang", "漢字", "", "a=b"])
def test_numbers_and_plain_text_stay_as_they_are(value):
    assert safe_cell(value) == value


def test_what_cells_cannot_hold_is_told_otherwise():
    assert safe_cell(math.nan) is None
    assert safe_cell("a\x00b\x1b[31m\ud800") == "a\\u0000b\\u001b[31m\\ud800"
    assert len(str(safe_cell("x" * 50_000))) == 32_767


def test_csv_holds_rows_as_given():
    file = io.BytesIO()
    assert write_csv(file, ["name", "n"], ((text, k) for k, text in enumerate(HOSTILE))) == len(HOSTILE)
    rows = list(csv.reader(io.StringIO(file.getvalue().decode("utf-8-sig"), newline="")))
    assert rows[0] == ["name", "n"]
    assert [row[0] for row in rows[1:]] == ["'" + text for text in HOSTILE]


def test_a_workbook_holds_texts_and_no_formulas_and_is_the_same_each_time():
    openpyxl = pytest.importorskip("openpyxl", reason="needs the extra 'station'")
    files = []
    for _ in range(2):
        files.append(io.BytesIO())
        write_workbook(files[-1], {"one": (["text", "number"], [[text, 1.5] for text in HOSTILE]), "two": (["=a"], [])})
    assert files[0].getvalue() == files[1].getvalue()
    book = openpyxl.load_workbook(files[0])
    assert book.sheetnames == ["one", "two"]
    cells = list(book["one"].iter_rows(min_row=2))
    assert {cell.data_type for cell, _ in cells} == {"s"}
    assert [number.value for _, number in cells] == [1.5] * len(HOSTILE)
    assert all(cell.value.startswith("'") for cell, _ in cells)
