"""``sorby phantom``: synthetic specimens with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import reports
from sorby.cli._options import out_option
from sorby.workflow import phantoms


def _show(result: dict[str, Any]) -> str:
    counts = ", ".join(f"{count} {label}" for label, count in result["classes"].items())
    return f"{result['rows']} phantoms ({counts})\ncorpus  {result['corpus']}"


@click.command()
@click.argument("kind", type=click.Choice(["steel"]))
@click.option("--n", "count", type=click.IntRange(min=1), required=True, help="Number of images.")
@out_option("Folder for images, masks, labels and truth.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--size-px", type=click.IntRange(64, 8192), default=448, show_default=True, help="Edge of an image.")
@click.option("--label", type=click.Choice(["code", "subtype"]), default="code", show_default=True,
              help="Which truth becomes the label: structure code (B8) or subtype (B).")  # fmt: skip
@click.option("--novel", type=click.IntRange(min=0), default=0, help="Images of other structures beside them.")
@reports(_show)
def phantom(kind: str, count: int, out: Path, seed: int, size_px: int, label: str, novel: int) -> dict[str, Any]:
    """Render phantoms with images, masks, labels and truth.

    Example: sorby phantom steel --n 200 --out phantoms
    """
    del kind  # steel is the only one so far; click has checked it
    return phantoms.write_steel_corpus(out, count, seed=seed, size_px=size_px, label=label, novel=novel)
