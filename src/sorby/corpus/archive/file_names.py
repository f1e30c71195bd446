"""What an image's file name says: the FOAN and the tags beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

import pandas as pd

from sorby.corpus.archive.patterns import MOST_LINE
from sorby.corpus.archive.rules import ArchiveRules, FileNamePattern

COLUMNS = ("foan", "serial", "fragment", "magnification", "date", "plant", "instrument", "number", "convention")
"""What `parse_names` finds."""


def parse_names(names: Sequence[str], rules: ArchiveRules) -> pd.DataFrame:
    """Read FOAN and tags from file names; of the conventions the first one that matches a name counts.

    Parameters
    ----------
    names : sequence of str
        File names; folders and endings are left out.
    rules : ArchiveRules

    Returns
    -------
    DataFrame
        One row a name, in order: text columns ``foan`` (normalised), ``serial``, ``fragment``, ``date``, ``plant``,
        ``instrument``, ``number``, ``convention`` and the number ``magnification``; None or NaN where the name does
        not say.
    """
    table = pd.DataFrame([_parse(PurePath(name).stem[:MOST_LINE], rules) for name in names], columns=list(COLUMNS))
    table = table.astype(object).where(table.notna(), None)
    table["magnification"] = pd.to_numeric(table["magnification"], errors="coerce").astype("float64")
    return table


def _parse(stem: str, rules: ArchiveRules) -> dict[str, object]:
    for convention in rules.file_names:
        found = convention.compiled.fullmatch(stem)
        if found is None:
            continue
        tags: dict[str, object] = {name: value for name, value in found.groupdict().items() if value}
        tags["magnification"] = (
            _magnification(found["magnification"], tags.pop("kilo", None)) if ("magnification" in tags) else None
        )
        tags["foan"] = rules.foan.normalise(_full(convention, found.groupdict()))
        tags["convention"] = convention.name
        return tags
    return {}


def _full(convention: FileNamePattern, groups: dict[str, str | None]) -> str | None:
    """Write the FOAN in full; None where the name holds none."""
    if not groups.get("foan"):
        return None
    return convention.foan.format(**{name: value or "" for name, value in groups.items()})


def _magnification(text: str, kilo: object) -> float | None:
    try:
        return float(text.replace(",", ".")) * (1000.0 if kilo else 1.0)
    except ValueError:
        return None
