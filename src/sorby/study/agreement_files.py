"""A plain table of ratings, items by raters, and how well its raters agree.

Rows are items, columns raters, cells categories; an empty cell is a gap. It is the form in which agreement data are
published and passed on; the ratings of a designed study are richer, see `sorby.study.ratings`.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.evidence.agreement import agreement
from sorby.evidence.intervals import Estimate
from sorby.evidence.rating_table import kendall_w

ID_NAMES = ("id", "item", "unit")
#: Written as programs write them; "none" in small letters is a finding.
_GAPS = ("", "-", "?", "nan", "NaN", "NA", "N/A", "n/a", "None", "<NA>")
_DELIMITERS = ",;\t|"


@dataclass(frozen=True, eq=False)
class RatingFile:
    """Ratings as a file holds them.

    Attributes
    ----------
    ratings : ndarray of object, shape (n, R)
        Categories as text, None for a gap.
    items, raters : tuple of str
        Their names; numbered from 1 where the file names none.
    """

    ratings: npt.NDArray[np.object_]
    items: tuple[str, ...]
    raters: tuple[str, ...]

    @property
    def categories(self) -> list[str]:
        """Categories that occur, numbers in numerical order before words."""
        return sorted({str(value) for value in self.ratings.ravel() if value is not None}, key=_place)


def read_rating_file(path: Path | str, *, id_column: str | None = None, header: bool = True) -> RatingFile:
    """Read a table of ratings.

    Parameters
    ----------
    path : path
        Text with commas, semicolons, tabs or bars between cells, UTF-8.
    id_column : str, optional
        Column that names the items: its name, or without a header its number from 1. Where absent, a first column
        named id, item or unit is it.
    header : bool
        Whether the first row names the raters.

    Returns
    -------
    RatingFile

    Raises
    ------
    InputError
        The file is absent, empty, not UTF-8, ragged, names a rater or an item twice, or has fewer than two raters.
    """
    path = Path(path)
    rows = _rows(path)
    names = [cell.strip() for cell in rows[0][1]] if header else [str(k + 1) for k in range(len(rows[0][1]))]
    body = rows[1:] if header else rows
    if not body:
        raise InputError(f"{path}: a header and no row of ratings", "use --no-header if the first row holds ratings")
    for line, cells in body:
        if len(cells) != len(names):
            raise InputError(f"{path}: line {line} has {len(cells)} cells, the first has {len(names)}", "mend the line")
    place = _id_place(path, names, id_column, header)
    raters = [name for k, name in enumerate(names) if k != place]
    _refuse_repeated(path, raters, "rater")
    if len(raters) < 2:
        raise InputError(f"{path}: ratings of {len(raters)} rater", "agreement needs two columns of ratings or more")
    items = [cells[place].strip() if place is not None else str(k + 1) for k, (_, cells) in enumerate(body)]
    _refuse_repeated(path, items, "item")
    given = _whole_numbers([[_category(cell) for k, cell in enumerate(cells) if k != place] for _, cells in body])
    ratings = np.empty((len(items), len(raters)), dtype=np.object_)
    ratings[:] = given
    return RatingFile(ratings, tuple(items), tuple(raters))


def agreement_of(file: RatingFile, order: Sequence[str] | None = None) -> dict[str, Any]:
    """Return every coefficient of a table of ratings.

    Parameters
    ----------
    file : RatingFile
    order : sequence of str, optional
        All categories from one end to the other; near misses then count in AC2 and the ordinal alpha, and Kendall's W
        tells whether raters put the items into the same order.

    Returns
    -------
    dict
        Coefficient to an estimate (``value``, ``ci95``, ``n`` ...), and ``items``, ``raters``, ``categories``,
        ``ratings``, ``gaps``, ``warnings``.

    Raises
    ------
    InputError
        No item has two ratings, or the order lacks a category.
    """
    order = None if order is None else tuple(text.strip() for text in order)
    found: dict[str, Estimate] = {**agreement(file.ratings, order)}
    if order is not None:
        found["kendall_w"] = kendall_w(file.ratings, order)
    given = int(sum(value is not None for value in file.ratings.ravel()))
    return {
        **{name: estimate.as_dict() for name, estimate in found.items()},
        "items": len(file.items),
        "raters": len(file.raters),
        "categories": list(order) if order is not None else file.categories,
        "ratings": given,
        "gaps": int(file.ratings.size - given),
        "warnings": _warnings(file, order),
    }


def _warnings(file: RatingFile, order: Sequence[str] | None) -> list[str]:
    rated = np.array([[value is not None for value in row] for row in file.ratings])
    said = []
    if silent := [name for k, name in enumerate(file.raters) if not rated[:, k].any()]:
        said.append(f"raters without a rating, left out: {', '.join(silent)}")
    if few := int((rated.sum(axis=1) < 2).sum()):
        said.append(f"items with fewer than two ratings: {few}; they count towards chance only")
    if order is None and len(file.categories) > max(12, len(file.items) // 2):
        said.append(f"{len(file.categories)} categories for {len(file.items)} items: is one column an id? see --id")
    return said


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Return line number and cells of every line that is not blank."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file", "check the path") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder", "give a table: rows items, columns raters") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a UTF-8 text file", "save the table as CSV (UTF-8)") from None
    if "\x00" in text:
        raise InputError(f"{path}: not a text file", "save the table as CSV (UTF-8)")
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{path}: empty", "give a table: rows items, columns raters")
    delimiter = max(_DELIMITERS, key=lines[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells) or len(cells) > 1]
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: {error}", "save the table as CSV (UTF-8)") from error


def _id_place(path: Path, names: Sequence[str], id_column: str | None, header: bool) -> int | None:
    if id_column is None:
        return 0 if header and names[0].lower() in ID_NAMES else None
    if id_column not in names:
        kind = "columns" if header else "column numbers"
        raise InputError(f"{path}: no column {id_column}", f"{kind}: {', '.join(names)}")
    return list(names).index(id_column)


def _refuse_repeated(path: Path, names: Sequence[str], what: str) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        hint = "; --no-header where the first row holds ratings" if what == "rater" else ""
        raise InputError(f"{path}: {what} {repeated[0]!r} stands there twice", f"one {what}, one name{hint}")


def _category(cell: str) -> str | None:
    text = cell.strip()
    return None if text in _GAPS else text


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _whole_numbers(cells: list[list[str | None]]) -> list[list[str | None]]:
    """Write 1.0 as 1 where every category is a number: a gap turns whole columns of integers into decimals."""
    numbers = {text: _number(text) for row in cells for text in row if text is not None}
    if not numbers or any(value is None for value in numbers.values()):
        return cells
    plain = {text: f"{value:.15g}" for text, value in numbers.items() if value is not None}
    return [[None if text is None else plain[text] for text in row] for row in cells]


def _place(category: str) -> tuple[bool, float, str]:
    value = _number(category)
    return value is None, 0.0 if value is None else value, category
