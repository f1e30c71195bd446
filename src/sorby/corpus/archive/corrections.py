"""The review table: what a person should look at, and what was corrected; applied on the next build, never lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from sorby.corpus.archive.report_fields import normal_serial
from sorby.corpus.archive.rules import ArchiveRules
from sorby.corpus.tabular import read_table
from sorby.errors import InputError
from sorby.files import atomic_write

SHOWN = (
    "image",
    "sha256",
    "foan_read",
    "serial_read",
    "match",
    "match_similarity",
    "match_confidence",
    "why",
    "chosen_foan",
    "chosen_serial",
    "chosen_label",
    "candidates",
)
"""Columns of the review table that a build writes."""

FILLED = ("correct_foan", "correct_serial", "correct_label", "exclude", "remark")
"""Columns of the review table that a person fills in."""

_NO = {"", "no", "n", "nein", "0", "false", "-"}


@dataclass(frozen=True, eq=False)
class Corrections:
    """What a person wrote into a review table.

    Attributes
    ----------
    table : DataFrame
        `SHOWN` and `FILLED`, texts, empty where nothing stands; every row of the file.
    source : str
        Name of the file, for provenance.
    warnings : list of str
    """

    table: pd.DataFrame
    source: str = ""
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def none(cls) -> Corrections:
        """Return corrections of nothing."""
        return cls(pd.DataFrame(columns=[*SHOWN, *FILLED], dtype=object))

    @property
    def filled(self) -> pd.DataFrame:
        """The rows in which something is corrected."""
        return self.table[(self.table[list(FILLED)] != "").any(axis=1)]


def read_corrections(path: Path | str, rules: ArchiveRules) -> Corrections:
    """Read a review table, as comma-, semicolon- or tab-separated text in whatever encoding a spreadsheet left it.

    Parameters
    ----------
    path : Path or str
    rules : ArchiveRules
        Say which labels there are and how a FOAN is normalised.

    Raises
    ------
    InputError
        Not a table, without the columns that tell the images, or a label that the rules do not know.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such review table", "a build writes one; leave --review out for the first")
    found, warnings = read_table(path)
    if "image" not in found and "sha256" not in found:
        raise InputError(f"{path}: neither a column image nor sha256", f"columns: {', '.join([*SHOWN, *FILLED])}")
    if not set(FILLED) & set(found.columns):
        raise InputError(f"{path}: no column to correct in", f"columns: {', '.join(FILLED)}")
    table = pd.DataFrame(
        {name: found[name] if name in found else pd.Series("", index=found.index) for name in [*SHOWN, *FILLED]}
    )
    table = table.astype(object).where(table.notna(), "").map(lambda text: str(text).strip())
    table["image"] = table["image"].str.replace("\\", "/", regex=False)
    for place, label in enumerate(table["correct_label"], start=2):
        if label and label not in rules.classes:
            raise InputError(f"{path}: line {place}: no class {label!r}", f"classes: {', '.join(rules.classes)}")
    return Corrections(table, path.name, warnings)


def corrections_for(images: pd.DataFrame, corrections: Corrections, rules: ArchiveRules) -> pd.DataFrame:
    """Find the correction of every image: by content and path, else by content, else by path.

    Parameters
    ----------
    images : DataFrame
        ``path``, ``sha256``.
    corrections : Corrections
        Gets a warning for each kind of row that fits no image or another content.
    rules : ArchiveRules

    Returns
    -------
    DataFrame
        Index of *images*: ``correct_foan`` and ``correct_serial`` (normalised), ``correct_label``, ``exclude`` (the
        reason); None where nothing is corrected.
    """
    filled = corrections.filled
    content = dict(zip(filled["sha256"], filled.index, strict=True))
    place = dict(zip(filled["image"], filled.index, strict=True))
    both = dict(zip(zip(filled["sha256"], filled["image"], strict=True), filled.index, strict=True))
    rows, used, changed = [], set(), []
    for sha256, path in zip(images["sha256"], images["path"], strict=True):
        row = both.get((sha256, path), content.get(sha256))
        if row is None and (row := place.get(path)) is not None and filled.at[row, "sha256"]:
            changed.append(path)
        rows.append(row)
        used.add(row)
    if changed:
        corrections.warnings.append(
            f"{len(changed)} corrected images have changed since the review, e.g. {changed[0]}; corrected all the same"
        )
    images_named = {row: str(name) for row, name in filled["image"].items()}
    repeated = [row for row in filled.index if row not in used and filled.at[row, "image"] in set(images["path"])]
    lost = [row for row in filled.index if row not in used and row not in repeated]
    if repeated:
        corrections.warnings.append(
            f"{len(repeated)} images are corrected twice, e.g. {images_named[repeated[0]]}; the last line counts"
        )
    if lost:
        corrections.warnings.append(
            f"{len(lost)} corrections fit no image, e.g. {images_named[lost[0]]}; kept in the table"
        )
    found = [_normal(None if row is None else filled.loc[row], rules) for row in rows]
    return pd.DataFrame(
        found, index=images.index, columns=["correct_foan", "correct_serial", "correct_label", "exclude"]
    )


def _normal(row: pd.Series[str] | None, rules: ArchiveRules) -> tuple[str | None, ...]:
    if row is None:
        return (None, None, None, None)
    exclude = row["exclude"]
    reason = None if exclude.lower() in _NO else (row["remark"] or "excluded by a person")
    return (
        rules.foan.normalise(row["correct_foan"]),
        normal_serial(row["correct_serial"]),
        row["correct_label"] or None,
        reason,
    )


def review_table(doubtful: pd.DataFrame, earlier: Corrections) -> pd.DataFrame:
    """Return what a person should look at, with everything corrected before.

    Parameters
    ----------
    doubtful : DataFrame
        `SHOWN`, one row an image.
    earlier : Corrections
        Rows of it in which something is filled in are kept, settled or not, and so are all its fillings.

    Returns
    -------
    DataFrame
        `SHOWN` and `FILLED`; rows of *earlier* that are not doubtful any more come last.
    """
    new = doubtful.reindex(columns=[*SHOWN, *FILLED]).astype(object)
    new[list(FILLED)] = ""
    filled = earlier.filled
    place = {
        **dict(zip(filled["sha256"], filled.index, strict=True)),
        **dict(zip(filled["image"], filled.index, strict=True)),
    }
    place.pop("", None)
    kept = set()
    for row in new.index:
        before = place.get(new.at[row, "image"], place.get(new.at[row, "sha256"]))
        if before is not None:
            new.loc[row, list(FILLED)] = filled.loc[before, list(FILLED)].to_numpy()
            kept.add(before)
    settled = filled.drop(index=list(kept))
    return pd.concat([new, settled[[*SHOWN, *FILLED]]], ignore_index=True) if len(settled) else new


def write_review(table: pd.DataFrame, path: Path | str) -> None:
    """Write a review table as UTF-8 with a mark, which spreadsheets ask for; complete or absent."""
    with atomic_write(path) as file:
        file.write(table.to_csv(index=False, float_format="%.4f").encode("utf-8-sig"))
