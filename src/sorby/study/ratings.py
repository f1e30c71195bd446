"""The ratings of a study as a table, one row a rating: who said what of which image, when, how fast.

Forms are what people fill in where there is no station: one CSV a rater, blind codes in the rater's order. Tables and
forms are read by the same function, checked against the scheme row by row; a bad row is set aside and the others count.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from sorby.errors import InputError, Quarantined
from sorby.files import atomic_write, write_text
from sorby.study.design import Design
from sorby.study.scheme import Answer

COLUMNS = (
    "study", "rater", "item", "occasion", "class", "code", "criterion", "region", "flags", "comment", "seconds", "at",
)  # fmt: skip
FORM_COLUMNS = ("place", "image", "class", "code", "criterion", "region", "flags", "comment", "seconds", "at")
PROFILE_COLUMNS = ("rater", "experience_years", "frequency", "site", "simulated")
FREQUENCIES = ("daily", "weekly", "monthly", "rarely")
_TRUE = ("true", "yes", "1", "simulated")


@dataclass(frozen=True, eq=False)
class Ratings:
    """What raters said.

    Attributes
    ----------
    table : pandas.DataFrame
        Columns `COLUMNS`; each rater, item and occasion at most once.
    profiles : pandas.DataFrame
        Columns `PROFILE_COLUMNS`, one row a rater of whom something is known.
    quarantined : tuple of Quarantined
        Rows that were set aside.
    warnings : tuple of str
    """

    table: pd.DataFrame
    profiles: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(PROFILE_COLUMNS)))
    quarantined: tuple[Quarantined, ...] = ()
    warnings: tuple[str, ...] = ()

    def matrix(self, design: Design, column: str = "code", occasion: int = 1) -> npt.NDArray[np.object_]:
        """Return one column as items by raters.

        Parameters
        ----------
        design : Design
            Gives the order of items and raters.
        column : str
        occasion : int

        Returns
        -------
        ndarray of object, shape (n, R)
            None where there is no rating, or where the text is empty.
        """
        found = np.full((len(design.items), len(design.raters)), None, dtype=np.object_)
        column_of = {rater: k for k, rater in enumerate(design.raters)}
        chosen = self.table[self.table["occasion"] == occasion]
        values = chosen[column].tolist()
        rows = [design.place[item] for item in chosen["item"]]
        columns = [column_of[rater] for rater in chosen["rater"]]
        for row, rater, value in zip(rows, columns, values, strict=True):
            found[row, rater] = None if _absent(value) else value
        return found

    @property
    def simulated(self) -> tuple[str, ...]:
        """Raters that are programs."""
        told = self.profiles["simulated"].astype(str).str.lower().isin(_TRUE)
        return tuple(str(rater) for rater in self.profiles.loc[told, "rater"])

    def groups(self, column: str = "frequency") -> dict[str, tuple[str, ...]]:
        """Return raters by what their profile says, in the usual order of frequencies."""
        found: dict[str, list[str]] = {}
        for rater, value in zip(self.profiles["rater"], self.profiles[column], strict=True):
            if not _absent(value):
                found.setdefault(str(value), []).append(str(rater))
        order = {name: k for k, name in enumerate(FREQUENCIES)}
        return {name: tuple(found[name]) for name in sorted(found, key=lambda name: (order.get(name, 9), name))}

    def save(self, path: Path | str) -> None:
        """Write the table as Parquet or CSV, by the file's ending."""
        path = Path(path)
        with atomic_write(path) as file:
            if path.suffix == ".parquet":
                self.table.to_parquet(file, index=False)
            else:
                file.write(self.table.to_csv(index=False).encode())


def rating_rows(design: Design, rows: Iterable[Mapping[str, Any]]) -> Ratings:
    """Check rows against a design and put them into a table.

    Parameters
    ----------
    design : Design
    rows : iterable of mapping
        As `COLUMNS`, or with a blind code in ``image`` in the place of item and occasion. What is absent is empty. A
        row with no answer is a gap. ``where`` may say where the row stands.

    Returns
    -------
    Ratings
        Of two answers to one showing the later one counts, by ``at`` and then by order; the number is said.
    """
    kept: dict[tuple[str, str, int], dict[str, Any]] = {}
    bad: list[Quarantined] = []
    again = 0
    for number, row in enumerate(rows, start=1):
        try:
            entry = _entry(design, row)
        except InputError as error:
            bad.append(Quarantined(str(row.get("where", f"rating {number}")), error.message))
            continue
        if entry is None:
            continue
        key = (entry["rater"], entry["item"], entry["occasion"])
        if key in kept:
            again += 1
            if entry["at"] < kept[key]["at"]:
                continue
        kept[key] = entry
    table = pd.DataFrame(list(kept.values()), columns=list(COLUMNS))
    said = (f"{again} ratings were given again; the later one counts",) if again else ()
    return Ratings(table, quarantined=tuple(bad), warnings=said)


def read_ratings(
    paths: Sequence[Path | str], design: Design, profiles: Path | str | pd.DataFrame | None = None
) -> Ratings:
    """Read forms and tables of ratings.

    Parameters
    ----------
    paths : sequence of path
        CSV forms, CSV or Parquet tables, and folders of them. A form belongs to the rater of column ``rater``, or to
        the one it is named after.
    design : Design
    profiles : path or DataFrame, optional
        Table of raters, see `PROFILE_COLUMNS`.

    Raises
    ------
    InputError
        A file is absent or no table, or there is none.
    """
    files = [file for path in paths for file in _files(Path(path))]
    if not files:
        raise InputError("no ratings", "give forms, tables or a folder of them")
    found = rating_rows(design, [{"rater": file.stem, **row} for file in files for row in _table_rows(file)])
    return replace(found, profiles=_profiles(profiles))


def form_rows(design: Design, rater: str) -> list[dict[str, Any]]:
    """Return the empty form of a rater, one row a showing in order."""
    return [
        {**dict.fromkeys(FORM_COLUMNS, ""), "place": k, "image": showing.code}
        for k, showing in enumerate(design.order_of(rater), start=1)
    ]


def write_form(path: Path | str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = FORM_COLUMNS) -> None:
    """Write rows as a CSV that spreadsheets open."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, columns, lineterminator="\r\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


# -- one row ----------------------------------------------------------------------------------------------


def _entry(design: Design, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a checked row of the table; None where nothing was answered.

    Raises
    ------
    InputError
        Unknown rater, image or code; the answer does not fit the scheme.
    """
    text = {name: "" if _absent(value) else str(value).strip() for name, value in row.items()}
    rater = text.get("rater", "")
    flags = tuple(part for part in text.get("flags", "").replace(",", "|").replace(" ", "|").split("|") if part)
    answer = Answer(text.get("class", ""), _code_text(text.get("code", "")), text.get("criterion", ""),
                    text.get("region", ""), flags, text.get("comment", ""))  # fmt: skip
    if text.get("image"):
        showing = design.showing(rater, text["image"].upper())
        item, occasion = showing.item, showing.occasion
    else:
        design.order_of(rater)
        item, occasion = text.get("item", ""), _occasion(text.get("occasion", "1"))
        if item not in design.place or (occasion == 2 and item not in design.repeated):
            raise InputError(f"item {item!r}, occasion {occasion}, is not part of study {design.study}")
    if answer.empty:
        return None
    answer = design.scheme.check(design.scheme.completed(answer))
    return {
        "study": design.study, "rater": rater, "item": item, "occasion": occasion, "class": answer.class_name,
        "code": answer.code, "criterion": answer.criterion, "region": answer.region, "flags": "|".join(answer.flags),
        "comment": answer.comment, "seconds": _seconds(text.get("seconds", "")), "at": text.get("at", ""),
    }  # fmt: skip


def _code_text(text: str) -> str:
    """Return a size that a spreadsheet made a decimal of as a whole number."""
    return text[:-2] if text.endswith(".0") and text[:-2].isdecimal() else text


def _occasion(text: str) -> int:
    if text not in ("1", "2", "1.0", "2.0", ""):
        raise InputError(f"occasion {text!r} is neither 1 nor 2")
    return int(float(text or 1))


def _seconds(text: str) -> float:
    try:
        value = float(text) if text else math.nan
    except ValueError:
        raise InputError(f"seconds {text!r} is no number") from None
    if value < 0 or math.isinf(value):
        raise InputError(f"seconds {text!r} is no duration")
    return value


def _absent(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value)) or value is pd.NA


# -- files ------------------------------------------------------------------------------------------------


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix in (".csv", ".parquet"))
    if not path.is_file():
        raise InputError(f"{path}: no such file", "give a form, a table of ratings or a folder of them")
    return [path]


def _table_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a CSV or Parquet file with their line numbers."""
    if path.suffix == ".parquet":
        try:
            table = pd.read_parquet(path)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise InputError(f"{path}: not a readable Parquet file", "save the ratings again") from error
        records = table.to_dict("records")
        return [{**{str(k): v for k, v in row.items()}, "where": f"{path.name}: row {n}"}
                for n, row in enumerate(records, start=1)]  # fmt: skip
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a UTF-8 text file", "save the form as CSV (UTF-8)") from None
    first = text.split("\n", 1)[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    names = [name.strip().lower() for name in reader.fieldnames or ()]
    if not {"image", "item"} & set(names) or not {"class", "code"} & set(names):
        raise InputError(f"{path}: no form and no table of ratings", f"columns: {', '.join(FORM_COLUMNS)}")
    reader.fieldnames = names
    try:
        return [{**{k: v for k, v in row.items() if k and v}, "where": f"{path.name}: line {reader.line_num}"}
                for row in reader]  # fmt: skip
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: {error}", "save the form as CSV (UTF-8)") from error


def _profiles(source: Path | str | pd.DataFrame | None) -> pd.DataFrame:
    if source is None:
        return pd.DataFrame(columns=list(PROFILE_COLUMNS))
    if not isinstance(source, pd.DataFrame):
        try:
            source = pd.read_csv(source, dtype=str, encoding="utf-8-sig", sep=None, engine="python")
        except (OSError, ValueError) as error:
            raise InputError(f"{source}: not a table of raters ({str(error).splitlines()[0]})") from error
    if "rater" not in source:
        raise InputError("the table of raters has no column rater", f"columns: {', '.join(PROFILE_COLUMNS)}")
    found = source.reindex(columns=[*PROFILE_COLUMNS, *(n for n in source if n not in PROFILE_COLUMNS)])
    unknown = sorted({str(v) for v in found["frequency"].dropna()} - {*FREQUENCIES, ""})
    if unknown:
        raise InputError(f"frequency {unknown[0]!r} of a rater is unknown", f"allowed: {', '.join(FREQUENCIES)}")
    return found.reset_index(drop=True)
