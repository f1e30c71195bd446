"""``sorby study``: people rating images, their agreement, and what comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import LazyGroup, reports

_TITLES = {
    "fleiss_kappa": "Fleiss' kappa",
    "gwet_ac1": "Gwet's AC1",
    "krippendorff_alpha": "Krippendorff's alpha",
    "conger_kappa": "Conger's kappa",
    "brennan_prediger": "Brennan-Prediger",
    "gwet_ac2": "Gwet's AC2, ordinal",
    "krippendorff_alpha_ordinal": "Krippendorff's alpha, ordinal",
    "kendall_w": "Kendall's W",
}


@click.group("study", cls=LazyGroup)
def study() -> None:
    """Studies: people rating images.

    Example: sorby study agreement ratings.csv
    """


def _show_agreement(result: dict[str, Any]) -> str:
    lines = [f"{result['items']} items, {result['raters']} raters, {result['ratings']} ratings, {result['gaps']} gaps"]
    for name, title in _TITLES.items():
        if name in result:
            lines.append(f"{title:<31}{_estimate(result[name])}")
    return "\n".join([*lines, *(f"note      {line}" for line in result["warnings"])])


def _estimate(entry: dict[str, Any]) -> str:
    if entry["value"] is None:
        return f"not defined ({entry.get('note', '')})"
    sure = "no interval" if entry["ci95"] is None else f"95 % interval {entry['ci95'][0]:.3f} to {entry['ci95'][1]:.3f}"
    return f"{entry['value']:8.5f}   {sure}"


@study.command("agreement")
@click.argument("ratings", type=click.Path(path_type=Path))
@click.option("--id", "id_column", metavar="COLUMN", help="Column that names the items; its number with --no-header.")
@click.option("--no-header", is_flag=True, help="The first row holds ratings, not names.")
@click.option("--order", metavar="A,B,C", help="Categories in order: near misses count then, and Kendall's W is given.")
@reports(_show_agreement)
def agreement(ratings: Path, id_column: str | None, no_header: bool, order: str | None) -> dict[str, Any]:
    """Agreement beyond chance of RATINGS: rows items, columns raters, gaps allowed.

    Example: sorby study agreement ratings.csv --order 5,6,7,8,9,10
    """
    from sorby.study import agreement_of, read_rating_file

    file = read_rating_file(ratings, id_column=id_column, header=not no_header)
    return agreement_of(file, None if order is None else order.split(","))
