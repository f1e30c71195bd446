"""What the commands take as DATA: a corpus, a table, or a folder per class."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from sorby.corpus import Corpus, build
from sorby.errors import InputError, Quarantined


@dataclass(frozen=True, eq=False)
class Opened:
    """A corpus and what opening it said.

    Attributes
    ----------
    corpus : Corpus
    quarantined : list of Quarantined
    warnings : list of str
    """

    corpus: Corpus
    quarantined: list[Quarantined] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def open_data(
    data: Path | str | Corpus,
    *,
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
    min_classes: int = 2,
) -> Opened:
    """Return a corpus from whatever the user has.

    Images of a stored corpus that have changed or gone since it was built are set aside: its hashes, splits and
    cached features speak of other pixels.

    Parameters
    ----------
    data : Corpus, or path of a corpus (.parquet), a table (.csv, .parquet), a folder with one folder a class, or
        images with boxes
    label, group, image : str, optional
        Column names of a table. In a stored corpus another column may take the place of label or specimen; its image
        paths are its own.
    min_classes : int
        1 for data that are only evaluated.

    Raises
    ------
    InputError
        Nothing there, or nothing usable in it.
    """
    if isinstance(data, Corpus):
        return _told(_unchanged(_with_columns(data, label, group)), min_classes)
    path = Path(data)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder", "a folder with one folder a class, a .csv or a .parquet")
    if path.suffix == ".parquet" and Corpus.is_corpus(path):
        return _told(_unchanged(_with_columns(Corpus.load(path), label, group)), min_classes)
    built = build([path], label=label, group=group, image=image, min_classes=min_classes)
    return _told(Opened(built.corpus, built.quarantined, built.warnings), min_classes)


def _told(opened: Opened, min_classes: int) -> Opened:
    """Say which images have boxes and no class, where images are to be classified."""
    corpus = opened.corpus
    bare = int(corpus.annotated().table["label"].isna().sum())
    if min_classes < 2 or not bare:
        return opened
    said = f"{bare} images have boxes of several classes, or none, and so no class of their own: they take no part"
    return replace(opened, warnings=[*opened.warnings, said])


def _with_columns(corpus: Corpus, label: str | None, group: str | None) -> Corpus:
    """Let other columns of a stored corpus take the place of its label and specimen."""
    table = corpus.table
    for place, column in (("label", label), ("specimen", group)):
        if column is None or column == place:
            continue
        if column not in corpus.table:
            named = ", ".join(map(str, corpus.table.columns))
            raise InputError(f"the corpus has no column {column!r}", f"its columns: {named}")
        values = corpus.table[column]
        table = table.assign(**{place: values.astype(object).where(values.notna(), None).map(_text)})
    return replace(corpus, table=table)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _unchanged(corpus: Corpus) -> Opened:
    changed = corpus.changed_files()
    if not changed:
        return Opened(corpus)
    files = {entry.file for entry in changed}
    kept = np.array([str(path) not in files for path in corpus.paths()])
    if not kept.any():
        raise InputError(f"{changed[0].file}: {changed[0].reason}, and so do all others", "build the corpus again")
    return Opened(corpus.take(kept), changed)
