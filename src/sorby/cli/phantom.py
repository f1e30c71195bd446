"""``sorby phantom``: synthetic specimens with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import reports
from sorby.cli._options import out_option
from sorby.phantom.novel import ALL_KINDS, FAR_OOD, NEAR_OOD, NOVEL_KINDS
from sorby.phantom.published import Label
from sorby.workflow import phantoms


def _show(result: dict[str, Any]) -> str:
    counts = ", ".join(f"{count} {label}" for label, count in result["classes"].items())
    return f"{result['rows']} phantoms ({counts})\ncorpus  {result['corpus']}"


def _kinds(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Return the kinds of a comma-separated list; ``near``, ``far`` and ``all`` name groups."""
    groups = {"near": NEAR_OOD, "far": FAR_OOD, "all": ALL_KINDS}
    if value is None:
        return tuple(NOVEL_KINDS)
    return tuple(kind for part in value.split(",") for kind in groups.get(part.strip(), (part.strip(),)))


@click.command()
@click.argument("kind", type=click.Choice(["steel"]))
@click.option("--n", "count", type=click.IntRange(min=1), help="Number of images; follows from --published.")
@out_option("Folder for images, masks, labels and truth.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--published", is_flag=True,
              help="The published set: 1641 images with its classes, alloys and magnifications.")  # fmt: skip
@click.option("--size-px", type=click.IntRange(64, 8192), show_default="448; 512 with --published",
              help="Edge of an image.")  # fmt: skip
@click.option("--label", type=click.Choice(["code", "subtype", "daily"]), default="code", show_default=True,
              help="The label: true structure code (B8), subtype (B), or simulated day-to-day label.")  # fmt: skip
@click.option("--novel", type=click.IntRange(min=0), default=0, help="Images of other structures beside them.")
@click.option("--kinds", callback=_kinds, show_default=",".join(NOVEL_KINDS),
              help="Which other structures, with commas; near, far and all name groups.")  # fmt: skip
@reports(_show)
def phantom(
    kind: str,
    count: int | None,
    out: Path,
    seed: int,
    published: bool,
    size_px: int | None,
    label: Label,
    novel: int,
    kinds: tuple[str, ...],
) -> dict[str, Any]:
    """Render phantoms with images, masks, labels and truth.

    Example: sorby phantom steel --n 200 --out phantoms
    """
    del kind  # steel is the only one so far; click has checked it
    size = size_px or (512 if published else 448)
    return phantoms.write_steel_corpus(
        out, count, seed=seed, size_px=size, label=label, novel=novel, kinds=kinds, published=published
    )
