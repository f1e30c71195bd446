"""A corpus: which images, labels and specimens, as a table stored beside the images."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sorby._version import __version__
from sorby.corpus.schema import FORMAT, TEXT
from sorby.errors import InputError, Quarantined
from sorby.files import atomic_write, sha256_file

_METADATA = b"sorby"

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Corpus:
    """Images with labels.

    Attributes
    ----------
    table : pandas.DataFrame
        One row an image; columns as in `sorby.corpus.schema`, any others kept.
    root : Path
        Folder that relative paths start from.
    history : tuple of str
        How the table came about and which splits were stored, one sentence each.
    splits : tuple of dict
        What is known of the stored splits, oldest first: ``scheme``, ``columns``, ``seed``, ``grouped``,
        ``warnings`` and the parameters of the scheme.
    """

    table: pd.DataFrame
    root: Path
    history: tuple[str, ...] = field(default=())
    splits: tuple[dict[str, Any], ...] = field(default=())

    def __len__(self) -> int:
        return len(self.table)

    # -- columns ------------------------------------------------------------------------------------------

    @property
    def labels(self) -> npt.NDArray[Any]:
        """Labels, shape (n,); None where a row has none."""
        values: npt.NDArray[Any] = (
            self.table["label"].astype(object).where(self.table["label"].notna(), None).to_numpy()
        )
        return values

    @property
    def classes(self) -> list[str]:
        """Distinct labels, sorted."""
        return sorted({str(label) for label in self.table["label"].dropna()})

    @property
    def groups(self) -> npt.NDArray[Any] | None:
        """Specimen of each row, or None where the corpus names none.

        A row without a specimen is a specimen of its own.
        """
        if "specimen" not in self.table or self.table["specimen"].isna().all():
            return None
        lone = pd.Series([f"image:{path}" for path in self.table["path"]], index=self.table.index)
        values: npt.NDArray[Any] = self.table["specimen"].astype(object).fillna(lone).astype(str).to_numpy(dtype=object)
        return values

    @property
    def all_grey(self) -> bool:
        """Whether no image carries colour."""
        return bool(self.table["mode"].astype(str).str.startswith("grey").all())

    def paths(self) -> list[Path]:
        """Return the absolute path of every image."""
        return [Path(os.path.normpath(self.root / path)) for path in self.table["path"]]

    def masks(self) -> list[Path | None]:
        """Return the absolute path of every image's mask, None where it has none."""
        if "mask" not in self.table:
            return [None] * len(self.table)
        return [None if pd.isna(mask) else Path(os.path.normpath(self.root / mask)) for mask in self.table["mask"]]

    def changed_files(self) -> list[Quarantined]:
        """Return the images that are absent or no longer what they were when the corpus was built."""
        changed = []
        for path, sha256 in zip(self.paths(), self.table["sha256"], strict=True):
            try:
                same = sha256_file(path) == sha256
            except OSError as error:
                changed.append(Quarantined(str(path), f"cannot be read ({error.strerror})"))
                continue
            if not same:
                changed.append(Quarantined(str(path), "its content has changed since the corpus was built"))
        return changed

    def fingerprint(self) -> str:
        """Return the SHA-256 over sorted content hashes, labels and boxes: the identity of the training data."""
        told = [str(label) for label in self.table["label"].astype(str)]
        if "boxes" in self.table:
            told = [f"{label} {boxes}" for label, boxes in zip(told, self.table["boxes"].astype(str), strict=True)]
        pairs = zip(self.table["sha256"].astype(str), told, strict=True)
        return hashlib.sha256("\n".join(f"{sha} {label}" for sha, label in sorted(pairs)).encode()).hexdigest()

    # -- parts --------------------------------------------------------------------------------------------

    def take(self, rows: Rows | Sequence[int] | npt.NDArray[np.bool_]) -> Corpus:
        """Return some of the rows."""
        return replace(self, table=self.table.iloc[np.asarray(rows)].reset_index(drop=True))

    def usable(self) -> Corpus:
        """Return the rows that have a label and no reason of exclusion."""
        return self.take(np.flatnonzero(self._free & self.table["label"].notna().to_numpy()))

    def annotated(self) -> Corpus:
        """Return the rows whose boxes are known, those with nothing on them too, and that are not excluded."""
        known = self.table["boxes"].notna().to_numpy() if "boxes" in self.table else np.zeros(len(self), bool)
        return self.take(np.flatnonzero(self._free & known))

    @property
    def _free(self) -> npt.NDArray[np.bool_]:
        """Rows without a reason of exclusion."""
        free: npt.NDArray[np.bool_] = (self.table["exclusion"].fillna("").astype(str) == "").to_numpy()
        return free

    def excluded(self) -> dict[str, int]:
        """Return how many rows take no part, by the kind of reason (what stands before a colon or ' of ')."""
        reasons = self.table["exclusion"].dropna().astype(str)
        kinds = reasons[reasons != ""].str.replace(r"(:| of ).*", "", regex=True)
        return {str(kind): int(count) for kind, count in kinds.value_counts().sort_index().items()}

    def with_split(self, parts: npt.NDArray[Any], describe: str) -> Corpus:
        """Return the corpus with ``split`` set to train, val or test."""
        return self._with("split", parts, describe)

    def with_folds(self, folds: npt.NDArray[np.intp], describe: str) -> Corpus:
        """Return the corpus with the test fold of each row in ``fold``."""
        return self._with("fold", folds, describe)

    def _with(self, column: str, values: npt.NDArray[Any], describe: str) -> Corpus:
        return replace(self, table=self.table.assign(**{column: values}), history=(*self.history, describe))

    # -- storage ------------------------------------------------------------------------------------------

    def save(self, path: Path | str) -> Path:
        """Write the corpus as Parquet; paths become relative to the file's folder where they can.

        Raises
        ------
        InputError
            The place cannot be written or the disk is full; nothing incomplete is left.
        """
        path = Path(path)
        folder = path.resolve().parent
        table = self.table.assign(path=[relative_to(image, folder) for image in self.paths()])
        if "mask" in table:
            table["mask"] = [None if mask is None else relative_to(mask, folder) for mask in self.masks()]
        seed = self.splits[-1].get("seed") if self.splits else None
        facts = {
            "format": FORMAT,
            "sorby": __version__,
            "seed": seed,
            "history": list(self.history),
            "splits": list(self.splits),
        }
        arrow = _to_arrow(table)
        arrow = arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), _METADATA: json.dumps(facts).encode()})
        buffer = io.BytesIO()
        pq.write_table(arrow, buffer)
        with atomic_write(path) as file:
            file.write(buffer.getvalue())
        return path

    @classmethod
    def load(cls, path: Path | str) -> Corpus:
        """Read a corpus.

        Raises
        ------
        InputError
            Not a corpus, or one of a newer format.
        """
        path = Path(path)
        facts = _facts(path)
        if facts is None:
            raise InputError(f"{path}: not a corpus", f"sorby corpus build {path} --label COLUMN --out corpus.parquet")
        if int(facts.get("format", 0)) > int(FORMAT):
            raise InputError(f"{path}: a corpus of format {facts.get('format')}, newer than this sorby", "update sorby")
        try:
            table = pq.read_table(path).to_pandas()
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path}: a damaged corpus", "build it again") from error
        for column in set(TEXT) & set(table.columns):
            table[column] = table[column].astype(object).where(table[column].notna(), None)
        return cls(table, path.resolve().parent, tuple(facts.get("history", ())), tuple(facts.get("splits", ())))

    @staticmethod
    def is_corpus(path: Path | str) -> bool:
        """Whether a Parquet file is a corpus rather than any table.

        Raises
        ------
        InputError
            Not a Parquet file at all.
        """
        return _facts(Path(path)) is not None


def _to_arrow(table: pd.DataFrame) -> pa.Table:
    """Convert a table; a column that mixes text and numbers is stored as text."""
    try:
        return pa.Table.from_pandas(table, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        table = table.copy()
        for name in [name for name, column in table.items() if column.dtype == object]:
            text = [None if pd.isna(value) else str(value) for value in table[name]]
            table[name] = pd.Series(text, index=table.index, dtype=object)
        return pa.Table.from_pandas(table, preserve_index=False)


def relative_to(image: Path, folder: Path) -> str:
    """Return a path with forward slashes, relative to *folder* where both lie on one drive."""
    try:
        return Path(os.path.relpath(image, folder)).as_posix()
    except ValueError:  # another drive on Windows
        return image.as_posix()


def _facts(path: Path) -> dict[str, Any] | None:
    """Return what a Parquet file says of itself as a corpus, or None."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file", "check the path") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file", "build it again") from error
    if _METADATA not in metadata:
        return None
    facts: dict[str, Any] = json.loads(metadata[_METADATA])
    return facts
