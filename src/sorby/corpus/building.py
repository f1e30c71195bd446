"""Building a corpus from a folder per class or from a table; what cannot be used is set aside and says why."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sorby.corpus.schema import TEXT
from sorby.corpus.table import Corpus, relative_to
from sorby.errors import ImageError, InputError, Quarantined
from sorby.files import sha256_file
from sorby.micrograph import find_images, read
from sorby.progress import bar

_TABLES = (".csv", ".tsv", ".parquet")
_IMAGE_NAMES = ("image", "path", "file", "filename", "filepath", "image_path", "name")
_LABEL_NAMES = ("label", "class", "category", "target")
_GROUP_NAMES = ("specimen", "specimen_id", "sample", "sample_id", "group")


@dataclass(frozen=True, eq=False)
class Built:
    """A corpus and what building it found.

    Attributes
    ----------
    corpus : Corpus
        Readable images; duplicates and conflicts stay as excluded rows.
    quarantined : list of Quarantined
        Files that could not be read.
    warnings : list of str
    duplicates : list of list of str
        Paths with equal content and equal labels; all but the first are excluded.
    conflicts : list of list of str
        Paths with equal content and different labels; all are excluded.
    """

    corpus: Corpus
    quarantined: list[Quarantined]
    warnings: list[str] = field(default_factory=list)
    duplicates: list[list[str]] = field(default_factory=list)
    conflicts: list[list[str]] = field(default_factory=list)


def build(
    sources: Sequence[Path | str],
    *,
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
) -> Built:
    """Build a corpus.

    Parameters
    ----------
    sources : sequence of path
        Folders with one folder a class (the class is the first folder below the source), or tables (.csv, .tsv,
        .parquet) whose image paths are relative to the table.
    label, group, image : str, optional
        Columns of a table that hold class, specimen and image path. Where not given, the usual names are looked
        for (``label``, ``specimen``, ``path`` ...).

    Returns
    -------
    Built

    Raises
    ------
    InputError
        A source is absent, empty or has no such column, or no image of it could be read.
    """
    if not sources:
        raise InputError("nothing to build from", "give a folder with one folder a class, or a table")
    root = Path(os.path.commonpath([Path(source).resolve() for source in sources]))
    root = root if root.is_dir() else root.parent
    tables = [_rows_of(Path(source), label, group, image) for source in sources]
    rows = pd.concat(tables, ignore_index=True)
    table, quarantined = _read_all(rows, root)
    if not len(table):
        raise InputError(
            f"{sources[0]}: none of {len(rows)} images could be read ({quarantined[0].reason})", "check the files"
        )
    found = Built(Corpus(table, root, (f"built from {', '.join(Path(s).name for s in sources)}",)), quarantined)
    _exclude(found)
    return found


def _rows_of(source: Path, label: str | None, group: str | None, image: str | None) -> pd.DataFrame:
    """Return ``file`` (absolute), ``label`` and any further columns of one source."""
    if source.is_dir():
        return _rows_of_folder(source)
    if not source.exists():
        raise InputError(f"{source}: no such file or folder", "check the path")
    if source.suffix.lower() not in _TABLES:
        raise InputError(f"{source}: neither a folder nor a table", f"tables end in {', '.join(_TABLES)}")
    table = _read_table(source)
    image_column = _column(table, image, _IMAGE_NAMES, source, "--image")
    label_column = _column(table, label, _LABEL_NAMES, source, "--label")
    group_column = _column(table, group, _GROUP_NAMES, source, "--group", optional=True)
    chosen = {image_column: "path", label_column: "label", **({group_column: "specimen"} if group_column else {})}
    shadowed = [name for name in chosen.values() if name in table.columns and name not in chosen]
    table = table.rename(columns={name: f"{name}_original" for name in shadowed}).rename(columns=chosen)
    folder = source.resolve().parent
    files = [None if pd.isna(value) else folder / _portable(str(value)) for value in table["path"]]
    return table.drop(columns="path").assign(file=files, label=_as_text(table["label"]))


def _portable(path: str) -> Path:
    """Read a path written on Windows or elsewhere."""
    return Path(*PureWindowsPath(path).parts) if "\\" in path and os.sep != "\\" else Path(path)


def _as_text(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return labels as text, integers without a decimal point, absent ones as None."""

    def text(value: Any) -> str | None:
        if pd.isna(value) or not str(value).strip() or str(value).strip().lower() == "nan":
            return None
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        return str(value).strip()

    return pd.Series([text(value) for value in values], index=values.index, dtype=object)


def _read_table(source: Path) -> pd.DataFrame:
    try:
        if source.suffix.lower() == ".parquet":
            return pq.read_table(source).to_pandas()
        separator = "\t" if source.suffix.lower() == ".tsv" else ","
        return pd.read_csv(source, sep=separator, dtype=str, keep_default_na=False, na_values=["", "NaN", "nan", "NA"])
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: not UTF-8 text", "save it as CSV UTF-8") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pa.ArrowInvalid) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else "empty"
        raise InputError(f"{source}: not a readable table ({first})", "check the file") from error


def _column(
    table: pd.DataFrame, asked: str | None, usual: Sequence[str], source: Path, option: str, *, optional: bool = False
) -> str | None:
    """Return the column to use."""
    columns = [str(name) for name in table.columns]
    if asked is not None:
        if asked in columns:
            return asked
        near = difflib.get_close_matches(asked, columns, n=1)
        guess = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"{source}: no column {asked!r}", f"{guess}columns: {', '.join(columns)}")
    lower = {name.lower(): name for name in columns}
    for name in usual:
        if name in lower:
            return lower[name]
    if optional:
        return None
    raise InputError(f"{source}: which column is it?", f"{option} COLUMN; columns: {', '.join(columns)}")


def _rows_of_folder(folder: Path) -> pd.DataFrame:
    folder = folder.resolve()
    files = find_images(folder)
    if not files:
        raise InputError(f"{folder}: holds no images", "give a folder with one folder of images a class")
    loose = [file for file in files if file.parent == folder]
    if len(loose) == len(files):
        raise InputError(
            f"{folder}: images lie directly in it, so there is no class", "make one folder a class, or give a table"
        )
    labels = [None if file.parent == folder else file.relative_to(folder).parts[0] for file in files]
    return pd.DataFrame({"file": files, "label": pd.Series(labels, dtype=object), "label_source": "folder name"})


def _facts(file: Path | None) -> dict[str, Any] | Quarantined:
    """Read one image whole, which is how a damaged one is found."""
    if file is None:
        return Quarantined("(row without a path)", "the table names no file in this row")
    try:
        if not file.is_file():
            raise ImageError(f"{file}: no such file")
        micrograph = read(file)
        return {
            "sha256": sha256_file(file),
            "bytes": file.stat().st_size,
            "width": micrograph.width,
            "height": micrograph.height,
            "mode": micrograph.mode,
            "pixel_size_um": micrograph.scale.pixel_size_um,
            "magnification": micrograph.scale.magnification,
            "scale_source": micrograph.scale.source,
        }
    except ImageError as error:
        return Quarantined.from_error(file, error)
    except OSError as error:
        return Quarantined(str(file), f"cannot be read ({error.strerror})")


def _read_all(rows: pd.DataFrame, root: Path) -> tuple[pd.DataFrame, list[Quarantined]]:
    """Read every image; return the table of the readable ones and the others' reasons."""
    with bar("reading images", len(rows)) as advance, ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        facts = []
        for fact in pool.map(_facts, rows["file"]):
            facts.append(fact)
            advance(1)
    quarantined = [fact for fact in facts if isinstance(fact, Quarantined)]
    good = [k for k, fact in enumerate(facts) if not isinstance(fact, Quarantined)]
    found = pd.DataFrame([facts[k] for k in good])
    kept = rows.iloc[good].reset_index(drop=True)
    table = pd.DataFrame({"path": [relative_to(file, root) for file in kept["file"]]})
    given = kept.drop(columns="file")
    for column in found.columns:  # what the table states outranks what the file states
        own = (
            pd.to_numeric(given[column], errors="coerce")
            if column in ("pixel_size_um", "magnification") and column in given
            else None
        )
        if own is not None:
            if column == "pixel_size_um":
                found["scale_source"] = found["scale_source"].where(own.isna(), "table")
            found[column] = own.fillna(found[column])
    table = pd.concat([table, given.drop(columns=[c for c in found.columns if c in given]), found], axis=1)
    table["exclusion"] = table.get("exclusion")
    for column in TEXT:
        if column in table:
            table[column] = table[column].astype(object).where(table[column].notna(), None)
    return table, quarantined


def _exclude(found: Built) -> None:
    """Mark unlabelled rows, repeated content and conflicting labels; fill the lists of *found*."""
    table = found.corpus.table
    exclusion = table["exclusion"].to_numpy(dtype=object).copy()
    free = [not reason for reason in exclusion]
    unlabelled = table["label"].isna().to_numpy()
    for row in unlabelled.nonzero()[0]:
        if free[row]:
            exclusion[row] = "no label"
    for _, members in table.groupby("sha256", sort=False).indices.items():
        rows = [row for row in members if free[row] and not unlabelled[row]]
        if len(rows) < 2:
            continue
        paths = [str(table["path"].iloc[row]) for row in rows]
        if table["label"].iloc[rows].nunique() > 1:
            found.conflicts.append(paths)
            for row in rows:
                exclusion[row] = "label conflict: same content, different labels"
        else:
            found.duplicates.append(paths)
            for row in rows[1:]:
                exclusion[row] = f"duplicate of {paths[0]}"
    table["exclusion"] = exclusion
    if unlabelled.any():
        found.warnings.append(f"{int(unlabelled.sum())} images have no label and take no part")
    if found.duplicates:
        extra = sum(len(paths) - 1 for paths in found.duplicates)
        found.warnings.append(
            f"{extra} images repeat another byte for byte and take no part, e.g. {found.duplicates[0][1]}"
        )
    if found.conflicts:
        count = sum(len(paths) for paths in found.conflicts)
        found.warnings.append(
            f"{count} images have equal content and different labels and take no part,"
            f" e.g. {' and '.join(found.conflicts[0][:2])}"
        )
