"""The tables hold what the pages say and what they have no room for."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sorby.errors import InputError
from sorby.record import Anchor
from sorby.report.certificate import Certificate, CertificateImage, Conclusion, Measurement, Review
from sorby.report.certificate_tables import TABLES, write_certificates

GREY = np.full((40, 60), 128, np.uint8)


def certificate(number: str, **change: object) -> Certificate:
    made = Certificate(
        number,
        "2026-11-22T09:41:07Z",
        "=cmd|' /C calc'!A0",
        Conclusion("G8", 0.9, None, ("G8", "G9"), "90 %", 0.5, ("looks strange",)),
        particulars={"Order": "@SUM(A1)", "Heat": "試料 7"},
        measurements=tuple(Measurement(f"length {k}", -0.5 * (k + 1), "µm", (-1.0, 2.0)) for k in range(40)),
        images=tuple(CertificateImage(GREY, f"{k}.tif", "a" * 64, 0.5) for k in range(30)),
        reviews=(Review("+Eve", "reviewer", "approved", "2026-11-22T09:00:00Z", 7),),
        record=Anchor(9, "b" * 64),
    )
    return replace(made, **change)


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_batch_writes_a_page_each_and_everything_into_tables(tmp_path):
    issued = write_certificates((certificate(f"2026/{k}") for k in range(3)), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out" / "certificates").iterdir()) == [
        "2026-0.pdf", "2026-1.pdf", "2026-2.pdf"
    ]  # fmt: skip
    table = rows(tmp_path / "out" / "certificates.csv")
    assert [row["certificate"] for row in table] == ["2026/0", "2026/1", "2026/2"]
    for row in table:
        data = (tmp_path / "out" / row["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["file_sha256"] == issued.files[row["certificate"]]
    assert table[0]["set"] == "G8|G9"
    assert (table[0]["record_entries"], table[0]["record_head"]) == ("9", "b" * 64)
    assert len(rows(tmp_path / "out" / "certificate-images.csv")) == 90
    assert len(rows(tmp_path / "out" / "certificate-measurements.csv")) == 120
    assert [row["value"] for row in rows(tmp_path / "out" / "certificate-measurements.csv")][:3] == [
        "-0.5",
        "-1.0",
        "-1.5",
    ]
    assert rows(tmp_path / "out" / "certificate-particulars.csv")[1]["value"] == "試料 7"


def test_no_cell_is_a_formula(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="needs the extra 'station'")
    write_certificates([certificate("=1")], tmp_path / "out")
    for path in (tmp_path / "out").glob("*.csv"):
        cells = [cell for row in rows(path) for cell in row.values() if cell]
        assert not [cell for cell in cells if cell[0] in "=+@" or (cell[0] == "-" and not cell[1].isdigit())]
    book = openpyxl.load_workbook(tmp_path / "out" / "certificates.xlsx")
    assert set(book.sheetnames) == set(TABLES)
    assert "f" not in {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row}


def test_the_same_batch_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_certificates([certificate("1")], tmp_path / name)
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert files
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)


def test_one_that_cannot_be_made_does_not_stop_the_others(tmp_path):
    broken = certificate("2", images=(CertificateImage(tmp_path / "absent.png", "absent.png"),))
    issued = write_certificates([certificate("1"), broken, certificate("1")], tmp_path / "out", workbook=False)
    assert list(issued.files) == ["1"]
    assert [one.file for one in issued.quarantined] == ["2", "1"]
    assert "certificates.xlsx" not in issued.tables


def test_names_of_files_are_safe_and_never_shared(tmp_path):
    numbers = ["../../etc/passwd", "a/b", "a b", "A-B", "…", ".."]
    issued = write_certificates([certificate(number) for number in numbers], tmp_path / "out", workbook=False)
    assert len(issued.files) == len(numbers)
    names = [path.name for path in (tmp_path / "out" / "certificates").iterdir()]
    assert len({name.casefold() for name in names}) == len(numbers)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_nothing_is_left_where_none_could_be_made(tmp_path):
    with pytest.raises(InputError, match="none was given"):
        write_certificates([], tmp_path / "out")
    assert not (tmp_path / "out").exists()
