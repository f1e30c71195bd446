"""Rows of a corpus from a table: CSV in whatever encoding it came, TSV or Parquet, any columns."""

from __future__ import annotations

import codecs
import difflib
import os
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import Any, Literal, overload

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sorby.corpus.folders import Listed
from sorby.errors import InputError

TABLES = (".csv", ".tsv", ".parquet")

# Names a table may use, lower case, best first; fractureType and magnification_value are the fracture study's.
_IMAGE_NAMES = (
    "image", "path", "file", "filename", "file_name", "filepath", "file_path", "image_path", "image_file",
    "image_name", "img", "img_path", "name",
)  # fmt: skip
_LABEL_NAMES = ("label", "class", "category", "target", "class_name", "fracturetype", "fracture_type")
_GROUP_NAMES = ("specimen", "specimen_id", "sample", "sample_id", "group", "foan")
_MAGNIFICATION_NAMES = ("magnification", "magnification_value", "mag")

_MISSING = ["", "NaN", "nan", "NA", "N/A", "#N/A", "null", "NULL"]  # not "None": it may well be a class


def list_table(source: Path, label: str | None, group: str | None, image: str | None) -> Listed:
    """List the images a table names, with their labels and every other column.

    Parameters
    ----------
    source : Path
        .csv or .tsv (UTF-8, UTF-16 with its mark, else Windows-1252, which is said) or .parquet. Image paths
        are relative to it; Windows separators are understood.
    label, group, image : str, optional
        Columns; the usual names are looked for where not given.

    Returns
    -------
    Listed
        ``file``, ``label`` as the text that was given, ``specimen`` where there is one, all other columns.

    Raises
    ------
    InputError
        Not readable, empty, or a column is missing: the line names those there are and the nearest.
    """
    table, warnings = read_table(source)
    if not len(table):
        raise InputError(f"{source}: a table without rows", "one row an image is needed")
    image_column = _column(table, image, _IMAGE_NAMES, source, "--image")
    label_column = _column(table, label, _LABEL_NAMES, source, "--label")
    group_column = _column(table, group, _GROUP_NAMES, source, "--group", optional=True)
    magnification = _column(table, None, _MAGNIFICATION_NAMES, source, "", optional=True)
    chosen = {image_column: "path", label_column: "label"}
    for column, name in ((group_column, "specimen"), (magnification, "magnification")):
        if column is not None and column not in chosen:
            chosen[column] = name
    shadowed = [name for name in chosen.values() if name in table.columns and name not in chosen]
    table = table.rename(columns={name: f"{name}_original" for name in shadowed}).rename(columns=chosen)
    folder = source.resolve().parent
    files = [None if pd.isna(value) else folder / _portable(str(value).strip()) for value in table["path"]]
    rows = table.drop(columns="path").assign(file=pd.Series(files, index=table.index, dtype=object))
    rows["label"] = _as_text(table["label"])
    if "mask" in rows:
        masks = [None if pd.isna(value) else folder / _portable(str(value).strip()) for value in rows["mask"]]
        rows["mask"] = pd.Series(masks, index=rows.index, dtype=object)
    if "label_source" not in rows:
        rows["label_source"] = f"{source.name}, column {label_column}"
    for name in {"magnification", "pixel_size_um"} & set(rows.columns):
        rows[name] = _numbers(rows[name], name, source, warnings)
    if "specimen" in rows:
        rows["specimen"] = _as_text(rows["specimen"])
        lone = int(rows["specimen"].isna().sum())
        if lone:
            warnings.append(f"{lone} of {len(rows)} rows name no specimen; each is taken for a specimen of its own")
    return Listed(rows, warnings)


def _portable(path: str) -> Path:
    """Read a path written on Windows or elsewhere."""
    return Path(*PureWindowsPath(path).parts) if "\\" in path and os.sep != "\\" else Path(path)


def _as_text(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return labels as the text that was given, integers without a decimal point, absent ones as None."""

    def text(value: Any) -> str | None:
        if pd.isna(value) or str(value).strip() in _MISSING:
            return None
        if isinstance(value, float) and value.is_integer():  # integers beside gaps are stored as reals in Parquet
            return str(int(value))
        return str(value).strip()

    return pd.Series([text(value) for value in values], index=values.index, dtype=object)


def read_table(source: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read a table as text, whatever its separator and encoding; Parquet keeps its types.

    Parameters
    ----------
    source : Path
        .csv, .tsv or .parquet.

    Returns
    -------
    table : DataFrame
    warnings : list of str
        What had to be guessed.

    Raises
    ------
    InputError
        Not a readable table.
    """
    try:
        if source.suffix.lower() == ".parquet":
            return pq.read_table(source).to_pandas(), []
        encoding, warnings = _encoding(source)
        separator = "\t" if source.suffix.lower() == ".tsv" else _separator(source, encoding)
        # Text throughout: 0.333 and 007 are names here, not numbers.
        table = pd.read_csv(
            source, sep=separator, dtype=str, keep_default_na=False, na_values=_MISSING, encoding=encoding,
            skipinitialspace=True,
        )  # fmt: skip
        if isinstance(table.index, pd.MultiIndex) or not isinstance(table.index, pd.RangeIndex):
            raise InputError(f"{source}: rows have more fields than the header", "quote fields that hold the separator")
        table.columns = [str(name).strip() for name in table.columns]
        return table, warnings
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pa.ArrowInvalid, UnicodeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else "empty"
        raise InputError(f"{source}: not a readable table ({first})", "check the file") from error
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror or error})", "check the file") from error


def _encoding(source: Path) -> tuple[str, list[str]]:
    data = source.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", []
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        # Excel in Western Europe; the five bytes that Windows-1252 lacks mean it was something else.
        try:
            data.decode("cp1252")
        except UnicodeDecodeError as error:
            raise InputError(f"{source}: neither UTF-8 nor Windows-1252 text", "save it as CSV UTF-8") from error
        return "cp1252", [f"{source}: not UTF-8; read as Windows-1252. Check names with accents or µ"]
    return "utf-8-sig", []


def _separator(source: Path, encoding: str) -> str:
    """Tell comma from semicolon and tab by the header line."""
    with open(source, encoding=encoding) as file:
        header = file.readline()
    return max((",", ";", "\t"), key=header.count)


def _numbers(values: pd.Series[Any], name: str, source: Path, warnings: list[str]) -> pd.Series[Any]:
    """Read ``500``, ``500x``, ``x 1,000`` or ``1.5k`` as numbers; what is none of these, or 0, is said and unknown."""
    text = values.astype("str").str.strip().str.lower().str.replace(",", "", regex=False)
    parts = text.str.extract(r"^[x×]?\s*(\d+(?:\.\d*)?(?:e[+-]?\d+)?)\s*(k?)\s*[x×]?$")
    numbers = pd.to_numeric(parts[0], errors="coerce") * np.where(parts[1] == "k", 1000.0, 1.0)
    numbers = numbers.where(np.isfinite(numbers))
    lost = values.notna() & numbers.isna()
    if lost.any():
        example = str(values[lost].iloc[0])
        warnings.append(f"{source}: {int(lost.sum())} values of {name} are no numbers, e.g. {example!r}")
    if (none := numbers == 0).any():
        warnings.append(f"{source}: {int(none.sum())} values of {name} are 0, which none can be; they count as unknown")
    return numbers.mask(none)


@overload
def _column(table: pd.DataFrame, asked: str | None, usual: Sequence[str], source: Path, option: str) -> str: ...
@overload
def _column(
    table: pd.DataFrame,
    asked: str | None,
    usual: Sequence[str],
    source: Path,
    option: str,
    *,
    optional: Literal[True],
) -> str | None: ...
def _column(
    table: pd.DataFrame, asked: str | None, usual: Sequence[str], source: Path, option: str, *, optional: bool = False
) -> str | None:
    """Return the column to use."""
    columns = [str(name) for name in table.columns]
    if asked is not None:
        if asked in columns:
            return asked
        # Nearest without regard to case, so that "Fracturetype" finds "fractureType".
        lower = {name.lower(): name for name in columns}
        near = difflib.get_close_matches(asked.lower(), lower, n=1)
        guess = f"did you mean {lower[near[0]]}? " if near else ""
        raise InputError(f"{source}: no column {asked!r}", f"{guess}columns: {', '.join(columns)}")
    lower = {name.lower(): name for name in columns}
    for name in usual:
        if name in lower:
            return lower[name]
    if optional:
        return None
    what = {"--image": "the image path", "--label": "the label"}[option]
    raise InputError(f"{source}: no column is named as {what}", f"{option} COLUMN; columns: {', '.join(columns)}")
