"""Scanned sheets with their masks, from a table that says which of them show defects."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sorby.corpus import Corpus
from sorby.errors import InputError, Quarantined
from sorby.workflow.data import open_data

#: Labels that say a sheet shows no defect.
GOOD_LABELS = frozenset({"good", "ok", "normal", "baseline", "free"})


@dataclass(frozen=True)
class ScannedSheet:
    """One sheet of electrode or membrane.

    Attributes
    ----------
    name : str
    path : Path
    mask : Path or None
        Above zero is labelled defect; None for a sheet without.
    defective : bool
    subset : str
        Which set of sheets it belongs to, ``scratches`` or ``pinholes``; empty where the table does not say.
    phantom : bool
        Whether it was rendered.
    """

    name: str
    path: Path
    mask: Path | None
    defective: bool
    subset: str
    phantom: bool


@dataclass(frozen=True)
class SheetSet:
    """The sheets of a study.

    Attributes
    ----------
    sheets : list of ScannedSheet
    quarantined : list of Quarantined
    warnings : list of str
    """

    sheets: list[ScannedSheet]
    quarantined: list[Quarantined] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def phantom(self) -> bool:
        """Whether all of them were rendered."""
        return bool(self.sheets) and all(sheet.phantom for sheet in self.sheets)

    def of(self, subset: str) -> list[ScannedSheet]:
        """Return the sheets of one set; all of them where the table names no sets."""
        if all(not sheet.subset for sheet in self.sheets):
            return list(self.sheets)
        return [sheet for sheet in self.sheets if sheet.subset == subset]


def read_sheets(source: Corpus | Path | str) -> SheetSet:
    """Read which sheets there are.

    Parameters
    ----------
    source : Corpus, or path of a corpus, a table, or a folder with ``labels.csv``
        Columns: path, label (``good`` or another word), ``mask``; optionally ``specimen``, ``set``, ``phantom``.

    Raises
    ------
    InputError
        Nothing usable, two sheets of one name, or a defective sheet without a mask.
    """
    if not isinstance(source, Corpus):
        folder = Path(source)
        source = folder / "labels.csv" if (folder / "labels.csv").is_file() else folder
    opened = open_data(source, min_classes=1)
    corpus = opened.corpus.usable()
    table = corpus.table
    names = [str(path.stem) for path in corpus.paths()]
    subsets = [str(value) for value in table["set"].fillna("")] if "set" in table else [""] * len(table)
    phantom = [str(value).lower() in ("true", "1") for value in table["phantom"]] if "phantom" in table else []
    sheets = []
    for k, (name, path, mask) in enumerate(zip(names, corpus.paths(), corpus.masks(), strict=True)):
        defective = str(corpus.labels[k]).lower() not in GOOD_LABELS
        if defective and mask is None:
            raise InputError(f"{path}: shows defects but has no mask", "name its mask in the column mask")
        sheets.append(ScannedSheet(name, path, mask, defective, subsets[k], bool(phantom and phantom[k])))
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InputError(f"{min(twice)}: two sheets have this name", "give every sheet a name of its own")
    return SheetSet(sheets, opened.quarantined, opened.warnings)
