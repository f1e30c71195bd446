"""``sorby paper``: published tables and figures, theirs beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.classify import recipe as recipes
from sorby.cli._frame import overrides, reports
from sorby.cli._options import column_options, device_option, out_option, recipe_options
from sorby.workflow.papers import PAPERS, run_paper


def _show(result: dict[str, Any]) -> str:
    lines = []
    for row in result["table"]:
        ours = "-" if row["ours"] is None else f"{100 * row['ours']['value']:.2f} %"
        what = f"{row['network']} {row['head']} {row['regime']}"
        lines.append(f"{what:<28} published {100 * row['published']['value']:.2f} %   ours {ours}   {row['flag']}")
    notes = [f"note      {line}" for line in result["warnings"]]
    return "\n".join([*lines, *notes, f"report    {result['report']}", f"{result['seconds']:.1f} s"])


@click.command()
@click.argument("name", type=click.Choice(list(PAPERS)))
@click.argument("data", type=click.Path(path_type=Path), required=False)
@out_option("Folder of the page.")
@click.option("--folds", type=click.IntRange(2, 100), help="Folds of the cross-validation.")
@click.option("--maps/--no-maps", default=True, show_default=True, help="Whether figures with attention are made.")
@recipe_options
@column_options
@device_option
@reports(_show)
def paper(
    name: str,
    data: Path | None,
    out: Path,
    folds: int | None,
    maps: bool,
    recipe: str | None,
    settings: tuple[str, ...],
    seed: int | None,
    label: str | None,
    group: str | None,
    image: str | None,
    device: Any,
) -> dict[str, Any]:
    """Draw a paper's tables and figures again, published cells beside ours.

    DATA is a corpus or table of structure codes; without it, phantoms at the published counts are rendered once and
    kept in the cache.

    Example: sorby paper S1 corpus.parquet --out papers/S1
    """
    changes: dict[str, Any] = dict(overrides(settings))
    if seed is not None:
        changes["seed"] = seed
    chosen = recipes.load(recipe, changes)
    return run_paper(
        name, out, data, recipe=chosen, device=device, label=label, group=group, image=image, folds=folds, maps=maps
    )
