"""What the commands take as DATA: a corpus, a table, or a folder per class."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

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
    data: Path | str | Corpus, *, label: str | None = None, group: str | None = None, image: str | None = None
) -> Opened:
    """Return a corpus from whatever the user has.

    Parameters
    ----------
    data : Corpus, or path of a corpus (.parquet), a table (.csv, .parquet) or a folder with one folder a class
    label, group, image : str, optional
        Column names of a table.

    Raises
    ------
    InputError
        Nothing there, or nothing usable in it.
    """
    if isinstance(data, Corpus):
        return Opened(data)
    path = Path(data)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder", "give a folder with one folder a class, a .csv or a .parquet")
    if path.suffix == ".parquet" and Corpus.is_corpus(path):
        return Opened(Corpus.load(path))
    built = build([path], label=label, group=group, image=image)
    return Opened(built.corpus, built.quarantined, built.warnings)
