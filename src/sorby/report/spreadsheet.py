"""Tables for spreadsheets, which run what looks like a formula: cells that are read and never executed.

A file name or comment such as ``=HYPERLINK(...)`` would be executed by whoever opens the table. Text that a
spreadsheet might take for a formula gets an apostrophe in front; numbers stay numbers.

References
----------
OWASP, "CSV Injection": cells beginning with ``=``, ``+``, ``-``, ``@``, tab or carriage return.
"""

from __future__ import annotations

import csv
import io
import math
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import IO, Any

from sorby.errors import MissingPartError

_FORMULA = frozenset("=+-@")
_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")  # what XML cannot hold
_LONGEST_CELL = 32_767  # characters, of Excel
_EPOCH = datetime(1980, 1, 1, tzinfo=UTC)  # the earliest time that a ZIP archive can hold

Cell = str | int | float | bool | None


def safe_cell(value: Any) -> Cell:
    """Return *value* as a cell that no spreadsheet executes.

    Parameters
    ----------
    value : object
        Numbers, truth values and None stay; NaN and infinity are empty; everything else becomes text.

    Returns
    -------
    str, int, float, bool or None
        Text that begins like a formula, also after spaces or quotes or with full-width signs, has an apostrophe before
        it; control characters are spelled out, and text longer than a cell is cut with an ellipsis.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    text = _ILLEGAL.sub(lambda found: f"\\u{ord(found[0]):04x}", str(value))
    # Full-width signs mean the same to some spreadsheets; what only a space or a quote precedes may be split off it.
    start = unicodedata.normalize("NFKC", text.lstrip(" \u00a0\u3000\"'")[:1])
    if start[:1] in _FORMULA or text[:1] in ("\t", "\r", "\n"):
        text = "'" + text
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"


def write_csv(file: IO[bytes], header: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Write a table to an open file and return the number of rows.

    Parameters
    ----------
    file : binary file
        Gets UTF-8 with a byte-order mark, without which Excel misreads names.
    header : sequence of str
    rows : iterable of sequence
        Taken one by one.
    """
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow([safe_cell(name) for name in header])
    count = 0
    for row in rows:
        writer.writerow([safe_cell(value) for value in row])
        count += 1
    text.flush()
    text.detach()
    return count


def write_workbook(file: IO[bytes], sheets: Mapping[str, tuple[Sequence[str], Iterable[Sequence[Any]]]]) -> None:
    """Write an XLSX workbook to an open file; the same tables give the same bytes.

    Parameters
    ----------
    file : binary file
    sheets : Mapping[str, (header, rows)]
        Title of each sheet (31 characters at most) to its table.

    Raises
    ------
    MissingPartError
        openpyxl is not installed.
    """
    try:
        from openpyxl import Workbook
        from openpyxl.cell import WriteOnlyCell
        from openpyxl.styles import Font
    except ImportError as error:
        raise MissingPartError(
            "writing .xlsx needs a part that is not installed", "pip install 'sorby[station]', or take the .csv"
        ) from error
    book = Workbook(write_only=True)
    book.properties.creator = "sorby"
    book.properties.created = book.properties.modified = _EPOCH.replace(tzinfo=None)
    bold = Font(bold=True)
    for title, (header, rows) in sheets.items():
        sheet = book.create_sheet(title)
        sheet.freeze_panes = "A2"

        def cell(value: Any, *, heading: bool = False, sheet: Any = sheet) -> Any:
            made = WriteOnlyCell(sheet, value=safe_cell(value))
            if isinstance(made.value, str):
                made.data_type = "s"  # never a formula, whatever it begins with
            if heading:
                made.font = bold
            return made

        sheet.append([cell(name, heading=True) for name in header])
        for row in rows:
            sheet.append([cell(value) for value in row])
    buffer = io.BytesIO()
    book.save(buffer)
    _write_undated(buffer, file)


def _write_undated(source: io.BytesIO, file: IO[bytes]) -> None:
    """Copy a ZIP archive with one fixed time for every member and for the workbook itself."""
    stamp = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*(</dcterms:modified>)")
    fixed = _EPOCH.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as copy:
        for name in archive.namelist():
            data = archive.read(name)
            if name == "docProps/core.xml":
                data = stamp.sub(rb"\g<1>" + fixed + rb"\g<2>", data)
            member = zipfile.ZipInfo(name, _EPOCH.timetuple()[:6])
            member.compress_type = zipfile.ZIP_DEFLATED
            copy.writestr(member, data)
