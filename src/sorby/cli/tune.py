"""``sorby tune``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.classify import recipe as recipes
from sorby.cli._frame import overrides, reports
from sorby.cli._options import column_options, device_option, out_option, recipe_options
from sorby.workflow import tuning


def _show(result: dict[str, Any]) -> str:
    best, states = result["best"], result["states"]
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    settings = [f"  {name} = {value}" for name, value in best["settings"].items()]
    return "\n".join(
        [
            f"best      trial {best['number']}, macro-F1 {100 * best['value']:.2f} % on inner validation",
            *settings,
            f"trials    {len(result['trials'])}: {counts}",
            *(f"note      {line}" for line in result["warnings"]),
            f"recipe    {best['recipe']}",
            f"report    {result['report']}",
            f"{result['seconds']:.1f} s",
        ]
    )


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@out_option("Folder of the study; with --resume one that was begun.")
@click.option("--trials", type=click.IntRange(min=1), default=20, show_default=True, help="In all, resumed ones too.")
@click.option("--epochs", type=click.IntRange(min=1), default=20, show_default=True, help="Of each fine-tuning.")
@click.option(
    "--patience", type=click.IntRange(min=0), default=10, show_default=True, help="Epochs without progress; 0 never."
)
@click.option("--timeout-h", type=click.FloatRange(min=0, min_open=True), help="Hours after which no trial begins.")
@click.option("--resume", is_flag=True, help="Go on with the study in --out.")
@recipe_options
@column_options
@device_option
@reports(_show)
def tune(
    data: Path,
    out: Path,
    trials: int,
    epochs: int,
    patience: int,
    timeout_h: float | None,
    resume: bool,
    recipe: str | None,
    settings: tuple[str, ...],
    seed: int | None,
    label: str | None,
    group: str | None,
    image: str | None,
    device: Any,
) -> dict[str, Any]:
    """Search a recipe's settings without looking at the test part; killed, it goes on where it was.

    Example: sorby tune corpus.parquet --recipe fracture-lite0 --trials 30 --out tuning
    """
    changes: dict[str, Any] = dict(overrides(settings))
    if seed is not None:
        changes["seed"] = seed
    return tuning.tune(
        data,
        out,
        recipes.load(recipe, changes),
        trials=trials,
        epochs=epochs,
        patience=patience,
        timeout_h=timeout_h,
        resume=resume,
        device=device,
        label=label,
        group=group,
        image=image,
    )
