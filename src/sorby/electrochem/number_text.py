"""Numbers in text: what separates them, and whether a comma is a decimal point."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from sorby.errors import InputError

_NUMBER = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eEdD][+-]?\d+)?")
_LARGEST = 64 << 20
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def read_text(path: Path | str) -> str:
    """Return a file's text: UTF-8, UTF-16 with a mark, or what Windows writes in the West.

    Raises
    ------
    InputError
        The file is absent, a folder, empty, larger than 64 MiB, or no text.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder", "name the file of one measurement")
    if not path.is_file():
        raise InputError(f"{path}: no such file", "check the path")
    if path.stat().st_size > _LARGEST:
        raise InputError(f"{path}: larger than {_LARGEST >> 20} MiB", "a measured curve is a few kilobytes of text")
    data = path.read_bytes()
    if not data.strip():
        raise InputError(f"{path}: empty", "export the measurement again")
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), None)
    if encoding is None and b"\0" in data[:4096]:
        raise InputError(f"{path}: no text but a binary file", "export the measurement as text")
    try:
        return data.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def number(cell: str) -> float:
    """Return a cell as a number, its comma as a decimal point; NaN where it is none."""
    cell = cell.strip().strip('"').strip()
    if not _NUMBER.fullmatch(cell):
        return float("nan")
    return float(cell.replace(",", ".").replace("D", "e").replace("d", "e"))


def separator_of(line: str) -> str | None:
    """Tell what separates the numbers of a row; None for blanks.

    A tab or a semicolon separates where there is one; a comma then is a decimal point. Otherwise a comma that a blank
    follows separates, as does one in a row without blanks; in a row of blanks a comma inside a number is decimal.
    """
    for separator in ("\t", ";"):
        if separator in line:
            return separator
    if "," not in line:
        return None
    return "," if re.search(r",\s", line) or len(line.split()) == 1 else None


def split_cells(line: str, separator: str | None) -> list[str]:
    """Split a line at *separator* (None: white space), blanks and quotes taken off the cells, empty last ones left out.

    A separator at the beginning is an empty first cell; taken off, it would shift the row.
    """
    cells = line.strip(" \r\n").split(separator) if separator else line.split()
    cells = [cell.strip().strip('"').strip() for cell in cells]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def ambiguous_commas(rows: Sequence[Sequence[str]], expected: int) -> bool:
    """Return whether commas may stand for both separators and decimals: more cells than columns, no point anywhere.

    Parameters
    ----------
    rows : sequence of sequence of str
        Split at commas.
    expected : int
        How many columns there are at most.
    """
    return bool(rows) and all(
        len(row) > expected and not any("." in cell or " " in cell for cell in row) for row in rows
    )


def has_decimal_commas(cells: Iterable[str]) -> bool:
    """Return whether the numbers among *cells* have decimal commas.

    Raises
    ------
    InputError
        Some have commas and some have points.
    """
    numbers = [cell for cell in cells if _NUMBER.fullmatch(cell)]
    commas = any("," in cell for cell in numbers)
    if commas and any("." in cell for cell in numbers):
        raise InputError(
            "numbers with decimal commas and with decimal points stand side by side",
            "export the file again with one kind of decimals",
        )
    return commas
