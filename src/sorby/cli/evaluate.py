"""``sorby evaluate``: how good a bundle is on labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import reports
from sorby.cli._options import column_options, device_option, signed_option
from sorby.evidence import ORDINAL
from sorby.workflow import evaluation


def _line(name: str, entry: dict[str, Any]) -> str:
    value = "undefined" if entry["value"] is None else f"{entry['value']:.4f}"
    bounds = entry["ci95"]
    return f"{name:<18} {value}  " + ("no interval" if bounds is None else f"[{bounds[0]:.4f}, {bounds[1]:.4f}]")


def _show(result: dict[str, Any]) -> str:
    lines = [_line(name, result[name]) for name in evaluation.OVERALL if name in result]
    lines += [_line(name.replace("_", " "), result[name]) for name in ORDINAL if name in result]
    lines.append(_line("ECE", result["calibration"]["ece"]))
    lines.append(_line("set coverage", result["sets"]["coverage"]))
    lines.append(_line("referred", result["referred"]))
    lines.append(f"n = {result['n']} images")
    return "\n".join([*lines, *(f"note: {line}" for line in result["warnings"])])


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder for assessed.csv and evaluation.json.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap.")
@column_options
@signed_option
@device_option
@reports(_show)
def evaluate(
    bundle: Path,
    data: Path,
    out: Path | None,
    seed: int,
    label: str | None,
    group: str | None,
    image: str | None,
    require_signed: bool,
    device: Any,
) -> dict[str, Any]:
    """Hold a bundle's verdicts against labelled images: every metric with its interval.

    Example: sorby evaluate runs/first/bundle.sorby other_plant/ --json
    """
    return evaluation.evaluate(
        bundle,
        data,
        out,
        seed=seed,
        label=label,
        group=group,
        image=image,
        require_signed=require_signed,
        device=device,
    )
