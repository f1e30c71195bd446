"""The components that reports speak of: one row for each FOAN and serial number, conflicts named."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from sorby.corpus.archive.report_fields import Report
from sorby.corpus.archive.rules import ArchiveRules

COLUMNS = (
    "foan",
    "serial",
    "specimen",
    "label",
    "report",
    "reports",
    "fracture_load_n",
    "fracture_type",
    "fracture_subtype",
    "recognised",
    "read_confidence",
    "foan_whole",
    "conflict",
    "problems",
)
"""Columns of the table of components."""


def specimen_name(foan: str, serial: str | None) -> str:
    """Return the name of a specimen: FOAN and serial number, the latter where one is known."""
    return foan if serial is None else f"{foan}/{serial}"


def components_of(reports: Sequence[Report], rules: ArchiveRules) -> pd.DataFrame:
    """Return every component that the reports name, each once.

    Parameters
    ----------
    reports : sequence of Report
    rules : ArchiveRules

    Returns
    -------
    DataFrame
        `COLUMNS`, sorted by FOAN and serial number. Where reports give one component different causes, ``label`` is
        None and ``conflict`` says which reports say what; ``report`` is the first of them, ``reports`` all.
    """
    rows: list[dict[str, object]] = [
        {
            "foan": report.foan,
            "serial": component.serial,
            "label": component.label,
            "report": report.source,
            "fracture_load_n": component.fracture_load_n,
            "fracture_type": component.fracture_type,
            "fracture_subtype": component.fracture_subtype,
            "recognised": report.recognised,
            "read_confidence": min(report.confidence.get("foan", 1.0), report.confidence.get("label", 1.0)),
            "problems": "; ".join(report.problems),
        }
        for report in sorted(reports, key=lambda each: each.source)
        if report.foan is not None
        for component in report.components
    ]
    groups: dict[tuple[str, str | None], list[dict[str, object]]] = {}
    for row in rows:
        groups.setdefault((str(row["foan"]), None if row["serial"] is None else str(row["serial"])), []).append(row)
    merged = [_merge(foan, serial, group, rules) for (foan, serial), group in groups.items()]
    table = pd.DataFrame(merged, columns=list(COLUMNS))
    table = table.sort_values(["foan", "serial"], na_position="first", kind="stable", ignore_index=True)
    for name in ("serial", "label", "fracture_type", "fracture_subtype"):
        table[name] = table[name].astype(object).where(table[name].notna(), None)
    table["fracture_load_n"] = pd.to_numeric(table["fracture_load_n"], errors="coerce").astype("float64")
    return table


def _merge(foan: str, serial: str | None, group: Sequence[dict[str, object]], rules: ArchiveRules) -> dict[str, object]:
    """Make one row of what several reports say of one component."""
    labels = {str(row["label"]) for row in group}
    conflict = ""
    if len(labels) > 1:
        said = ", ".join(f"{row['report']} says {row['label']}" for row in group)
        conflict = f"{specimen_name(foan, serial)}: {said}"
    first = group[0]
    return {
        **first,
        "foan": foan,
        "serial": serial,
        "specimen": specimen_name(foan, serial),
        "label": None if conflict else first["label"],
        "reports": "; ".join(dict.fromkeys(str(row["report"]) for row in group)),
        "foan_whole": rules.foan.is_whole(foan),
        "conflict": conflict,
    }


def without_images(components: pd.DataFrame, matched: pd.Series[str]) -> list[str]:
    """Return the FOANs of reports that no image belongs to, sorted.

    Parameters
    ----------
    components : DataFrame
        From `components_of`.
    matched : Series of str
        FOANs of matched images; missing ones are ignored.
    """
    return sorted(set(components["foan"]) - set(matched.dropna()))


def components_of_corpus(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row a specimen of an archive's corpus: what its report says and how many images show it.

    Parameters
    ----------
    table : DataFrame
        Rows of a corpus built from an archive.

    Returns
    -------
    DataFrame
        ``specimen``, ``foan``, ``serial``, ``report``, ``label``, ``fracture_load_n``, ``fracture_type``,
        ``fracture_subtype``, ``images``, ``fragments``, ``magnifications``.
    """
    shown = table[table["specimen"].notna()]
    first = ["foan", "serial", "report", "label", "fracture_load_n", "fracture_type", "fracture_subtype"]
    grouped = shown.groupby("specimen", sort=True)
    counts = grouped.agg(
        images=("path", "size"), fragments=("fragment", "nunique"), magnifications=("magnification", "nunique")
    )
    return grouped[first].first().join(counts).reset_index()
