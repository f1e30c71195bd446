"""``sorby anomaly protocol``: a published protocol on scanned sheets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.anomaly import recipe as recipes
from sorby.cli._frame import overrides, reports
from sorby.cli._options import device_option, out_option, recipe_options
from sorby.errors import InputError
from sorby.workflow.anomaly.pretreatment import TREATMENTS


def _show(result: dict[str, Any]) -> str:
    counts = result["counts"]
    lines = [
        f"{result['protocol']}: {counts['train']} learnt, {counts['test_good']} good (weight"
        f" {counts['weight_good']:.2g}) and {counts['test_defective']} defective tested"
    ]
    for arm in result["arms"]:
        for part in ("standard", "inner", "outer"):
            for key, found in arm[part].items():
                printed = found["printed"] or f"{found['value']:.3g}"
                lines.append(f"d {arm['features']:<4} {part:<9} {key:<26} {printed:<14} {found['n']} runs")
    lines += [f"note      {line}" for line in [*result["warnings"], *result["notes"]]]
    return "\n".join([*lines, f"score     {result['score']}", f"report    {result['report']}"])


def _features(text: str) -> tuple[int | None, ...]:
    """Read ``100,all``."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part == "all" or (part.isdecimal() and int(part) > 0) for part in parts):
        raise InputError(f"--features {text}: not numbers of features", "e.g. --features 100,all")
    return tuple(None if part == "all" else int(part) for part in parts)


@click.command()
@click.argument("sheets", type=click.Path(path_type=Path))
@out_option("Folder for protocol.json.")
@click.option("--features", default="100,all", show_default=True, help="Numbers of features, or all.")
@click.option("--repeats", type=click.IntRange(min=1), help="Standard runs; as published where absent.")
@click.option("--held-out", type=click.IntRange(min=0),
              help="Leave-one-out runs; one for each defective image where absent, 0 for none.")  # fmt: skip
@click.option("--train-share", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.5,
              show_default=True, help="6 x 3 grid: share of the good sub-images that is learnt.")  # fmt: skip
@click.option("--fpr-limit", type=click.FloatRange(0, 1, min_open=True), default=0.3, show_default=True,
              help="False positive rate up to which PRO is integrated.")  # fmt: skip
@click.option("--split-holes", is_flag=True, help="As published: hold out a tile, not the other half of its hole.")
@click.option("--border", is_flag=True, help="Tiles: the border that cropping to whole tiles leaves out as well.")
@click.option("--treatment", type=click.Choice(TREATMENTS), default="none", show_default=True,
              help="What is done to sheets before the model; what that hides is reported.")  # fmt: skip
@recipe_options
@device_option
@reports(_show)
def protocol(
    sheets: Path,
    out: Path,
    features: str,
    repeats: int | None,
    held_out: int | None,
    train_share: float,
    fpr_limit: float,
    split_holes: bool,
    border: bool,
    treatment: str,
    recipe: str | None,
    settings: tuple[str, ...],
    seed: int | None,
    device: Any,
) -> dict[str, Any]:
    """Carry out a protocol of Yan et al. (2023) on scanned sheets with masks.

    SHEETS is a folder with labels.csv, a table or a corpus. The recipe says which protocol: membrane-scratches (36
    runs on a 6 x 3 grid, and leave-one-out), membrane-scratches-c3 and -c5 (one run), membrane-pinholes (20 runs on
    tiles, and leave-one-out).

    Example: sorby anomaly protocol sheets/ --recipe membrane-pinholes --out pinholes
    """
    from sorby.workflow.anomaly.protocol_command import protocol as carry_out
    from sorby.workflow.anomaly.protocols import ProtocolSettings

    chosen = recipes.load(recipe or "membrane-scratches", dict(overrides(settings)))
    asked = ProtocolSettings(
        features=_features(features),
        repeats=repeats,
        held_out=held_out,
        train_share=train_share,
        fpr_limit=fpr_limit,
        same_defect=not split_holes,
        seed=chosen.seed if seed is None else seed,
    )
    return carry_out(sheets, out, recipe=chosen, settings=asked, border=border, treat=treatment, device=device)
