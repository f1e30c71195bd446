"""The page of an experiment: the question, a table, a dot-and-interval figure, and what may be concluded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sorby.report.page import drawing, render
from sorby.report.wording import ABSENT, interval, is_number, number, percent

Cell = Literal["text", "count", "share", "points", "number", "p", "flag"]
"""How a column is written: ``share`` is a part of one, ``points`` a signed difference of shares in points."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    key : str
        Where the value lies in a row; dots lead into nested dictionaries (``difference.accuracy``).
    title : str
    kind : {"text", "count", "share", "points", "number", "p", "flag"}
        Values of the three middle kinds are numbers or estimates (``value``, ``ci95``), whose interval is shown below.
    """

    key: str
    title: str
    kind: Cell = "text"


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes
    ----------
    caption : str
    columns : sequence of Column
        The first one names the row.
    rows : sequence of mapping
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Figure:
    """A figure and what to see in it.

    Attributes
    ----------
    svg : str
        From a function of `sorby.report.figures` or `sorby.report.experiment_figures`.
    caption : str
    least_px : int
        Width below which it scrolls rather than shrinks.
    """

    svg: str
    caption: str
    least_px: int = 420


@dataclass(frozen=True)
class ExperimentFacts:
    """Everything the page of an experiment says.

    Attributes
    ----------
    title, question, source : str
        What is asked, in plain words, and where the question comes from.
    answers : sequence of str
        What was found, one sentence each.
    tables : sequence of Table
    figures : sequence of Figure
    may, may_not : sequence of str
        What may and what may not be concluded.
    data : sequence of str
        On what it was found.
    arms : sequence of (str, str)
        Name of each arm and what it is.
    warnings : sequence of str
    quarantined : sequence of mapping
        ``file``, ``reason``.
    provenance : mapping
        From `sorby.provenance.describe`.
    """

    title: str
    question: str
    source: str
    answers: Sequence[str]
    tables: Sequence[Table]
    figures: Sequence[Figure]
    may: Sequence[str]
    may_not: Sequence[str]
    data: Sequence[str]
    arms: Sequence[tuple[str, str]]
    warnings: Sequence[str]
    quarantined: Sequence[Mapping[str, Any]]
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Written:
    """A cell as the page shows it."""

    text: str
    below: str = ""
    numeric: bool = True


def experiment_page(facts: ExperimentFacts) -> str:
    """Return the page as one self-contained HTML file.

    Parameters
    ----------
    facts : ExperimentFacts
    """
    return render(
        "experiment.html",
        title=facts.title,
        sorby_version=facts.provenance["versions"]["sorby"],
        created=str(facts.provenance["created"])[:16].replace("T", " ") + " UTC",
        facts=facts,
        tables=[written(table) for table in facts.tables],
        drawn=[{"svg": drawing(each.svg), "caption": each.caption, "least": each.least_px} for each in facts.figures],
    )


def written(table: Table) -> dict[str, Any]:
    """Return a table with every cell as text, for the template."""
    return {
        "caption": table.caption,
        "head": [(column.title, column.kind not in ("text", "flag")) for column in table.columns],
        "rows": [[_cell(_at(row, column.key), column.kind) for column in table.columns] for row in table.rows],
    }


def points(value: Any) -> str:
    """Return a difference of shares as signed percentage points."""
    return f"{100 * value:+.1f}" if is_number(value) else ABSENT


def p_value(value: Any) -> str:
    """Return a p-value; a small one as below its bound."""
    if not is_number(value):
        return ABSENT
    return "<.0001" if value < 1e-4 else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def _at(row: Mapping[str, Any], key: str) -> Any:
    value: Any = row
    for part in key.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _cell(value: Any, kind: Cell) -> _Written:
    if value is None:
        return _Written("–")
    if kind in ("text", "flag"):
        return _Written(str(value), numeric=False)
    bounds = None
    if isinstance(value, Mapping):
        value, bounds = value.get("value", value.get("mean")), value.get("ci95")
    if kind == "count":
        return _Written(str(value))
    if kind == "p":
        return _Written(p_value(value))
    if kind == "points":
        below = f"{points(bounds[0])} to {points(bounds[1])}" if bounds else ""
        return _Written(points(value), below)
    if kind == "share":
        return _Written(percent(value), interval(bounds) if bounds else "")
    return _Written(number(value), interval(bounds, shares=False) if bounds else "")
