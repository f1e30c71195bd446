"""``sorby electro consistency``: which printed numbers of the corrosion paper follow from which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import reports


def _number(value: float | None) -> str:
    if value is None or value != value:
        return "nothing"
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.5g}"


def _show(result: dict[str, Any]) -> str:
    lines: list[str] = []
    topic = ""
    for row in result["rows"]:
        if row["topic"] != topic:
            topic = row["topic"]
            lines.append(topic)
        numbers = f"computed {_number(row['computed'])}, printed {_number(row['printed'])}"
        lines.append(f"  {row['verdict']:<17} {row['case']}: {row['quantity']}: {numbers}; {row['why']}")
    lines += result["claims"]
    lines.append(", ".join(f"{name} {count}" for name, count in result["verdicts"].items()))
    return "\n".join([*lines, *([f"results  {result['out']}"] if result["out"] else [])])


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="New folder for consistency.html and paper.json.")
@reports(_show)
def consistency(out: Path | None) -> dict[str, Any]:
    """Check the corrosion paper's printed numbers against each other.

    Rates, Stern-Geary, slopes, temperature, networks and counts of Bhat et al. (2023).

    Example: sorby electro consistency --out consistency
    """
    from sorby.workflow.papers.corrosion_page import run_consistency

    return run_consistency(out)
