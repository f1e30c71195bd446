"""The corrosion paper's numbers held against each other, as a page and its JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sorby import provenance
from sorby.files import staged_directory, write_json, write_text
from sorby.report.experiment_page import Column, Table
from sorby.report.paper_page import Part, paper_page
from sorby.workflow.papers import bhat2023 as s2
from sorby.workflow.papers.corrosion_consistency import TOPICS, VERDICTS, consistency_rows, verdict_counts

TITLE = "Bhat et al. 2023, corrosion of 316L and AZ31B: which printed numbers follow from which"
CLAIMS = (
    "Holds: icorr, rates and Cdl rise and Rp falls with temperature, at every step and for both alloys; Ecorr shifts by"
    " less than 85 mV; the parameters of Table 6 add up.",
    "Does not hold: every corrosion rate in mm a year, every Tafel slope, and the agreement of polarisation with"
    " impedance. Rates keep their ratios within one alloy; between the alloys they mean nothing.",
    "Cannot be known: the accuracy's test set, the larger network, activation energies, and anything about severity.",
)
"""What of the paper stands, in plain words."""


def run_consistency(out: Path | str | None = None) -> dict[str, Any]:
    """Check the corrosion paper's printed numbers against each other.

    Parameters
    ----------
    out : path, optional
        New folder for ``consistency.html`` and ``paper.json``.

    Returns
    -------
    dict
        ``rows`` (see `consistency_rows`), ``verdicts`` (rows by verdict), ``claims``, ``warnings``, ``out``.

    Raises
    ------
    InputError
        The folder exists already or cannot be written.
    """
    rows = consistency_rows()
    result: dict[str, Any] = {
        "rows": rows,
        "verdicts": verdict_counts(rows),
        "claims": list(CLAIMS),
        "warnings": [],
        "out": None if out is None else str(out),
    }
    if out is not None:
        facts = provenance.describe(0)
        counted = ", ".join(f"{name} {count}" for name, count in result["verdicts"].items())
        page = paper_page(TITLE, [f"{len(rows)} checks: {counted}.", *CLAIMS], s2.FLAWS, consistency_parts(rows), facts)
        with staged_directory(out) as folder:
            write_text(folder / "consistency.html", page)
            write_json(folder / "paper.json", {**finite_rows(result), "provenance": facts})
    return result


def finite_rows(result: dict[str, Any]) -> dict[str, Any]:
    """Return the result with None for numbers that do not exist, which JSON cannot hold."""
    rows = [{key: None if value != value else value for key, value in row.items()} for row in result["rows"]]
    return {**result, "rows": rows}


def consistency_parts(rows: Sequence[dict[str, Any]]) -> list[Part]:
    """Return one part of the page for each topic.

    Parameters
    ----------
    rows : sequence of dict
        From `consistency_rows`.
    """
    columns = (
        Column("case", "case"),
        Column("quantity", "quantity"),
        Column("computed", "computed"),
        Column("printed", "printed"),
        Column("ratio", "printed / computed"),
        Column("verdict", "verdict", "flag"),
        Column("why", "why"),
    )
    parts = []
    for topic, question in TOPICS.items():
        mine = [row for row in rows if row["topic"] == topic]
        counted = ", ".join(
            f"{name}: {sum(row['verdict'] == name for row in mine)}"
            for name in VERDICTS
            if any(row["verdict"] == name for row in mine)
        )
        shown = [
            {**row, "computed": _written(row["computed"]), "printed": _written(row["printed"], 6),
             "ratio": _written(row["ratio"])}
            for row in mine
        ]  # fmt: skip
        parts.append(Part(topic.capitalize() if topic[0].islower() else topic, [question],
                          [Table(f"{counted}.", columns, shown)]))  # fmt: skip
    return parts


def _written(value: float | None, digits: int = 4) -> str | None:
    """Return a number with so many digits, counts whole; None where there is none."""
    if value is None or value != value:
        return None
    if float(value).is_integer() and abs(value) >= 1:
        return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.0f}"
    return f"{value:.{digits}g}"
