"""``sorby phantom``: synthetic specimens with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click
from click.core import ParameterSource

from sorby.cli._frame import reports
from sorby.cli._options import out_option
from sorby.errors import InputError
from sorby.phantom.membrane import SETS, MembraneSet
from sorby.phantom.novel import ALL_KINDS, FAR_OOD, NEAR_OOD, NOVEL_KINDS
from sorby.phantom.published import Label
from sorby.workflow import phantoms

#: Options of one kind of specimen alone.
_OWN = {
    "steel": ("published", "size_px", "label", "novel", "kinds"),
    "membrane": ("sheets", "difficulty", "scale", "tiles"),
    "fracture": ("size", "difficulty", "unknown", "bars"),
}


def _show(result: dict[str, Any]) -> str:
    counts = ", ".join(f"{count} {label}" for label, count in result["classes"].items())
    defects = ", ".join(f"{count} {kind}" for kind, count in result.get("defects", {}).items())
    lines = [f"{result['rows']} phantoms ({counts})", f"defects {defects}" if defects else ""]
    lines += [f"archive {result['archive']}" if result.get("archive") else ""]
    lines += [f"tiles   {result['tiles']}" if result.get("tiles") else "", f"corpus  {result['corpus']}"]
    return "\n".join(line for line in lines if line)


def _refuse_strangers(kind: str) -> None:
    """Refuse options that the chosen kind of specimen does not have.

    Raises
    ------
    InputError
        One was given on the command line.
    """
    context = click.get_current_context()
    foreign = {name for names in _OWN.values() for name in names} - set(_OWN[kind])
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in foreign and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise InputError(f"{', '.join(given)} is not for {kind}", "sorby phantom --help says which option is for what")


def _kinds(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Return the kinds of a comma-separated list; ``near``, ``far`` and ``all`` name groups."""
    groups = {"near": NEAR_OOD, "far": FAR_OOD, "all": ALL_KINDS}
    if value is None:
        return tuple(NOVEL_KINDS)
    return tuple(kind for part in value.split(",") for kind in groups.get(part.strip(), (part.strip(),)))


@click.command()
@click.argument("kind", type=click.Choice(list(_OWN)))
@click.option("--n", "count", type=click.IntRange(min=1),
              help="Number of images, sheets or broken specimens; follows from --published; by default all sheets "
                   "of a set, 60 specimens.")  # fmt: skip
@out_option("Folder for images, masks, labels and truth.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--published", is_flag=True,
              help="Steel: the published set, 1641 images with its classes, alloys and magnifications.")  # fmt: skip
@click.option("--size-px", type=click.IntRange(64, 8192), show_default="448; 512 with --published",
              help="Steel: edge of an image.")  # fmt: skip
@click.option("--label", type=click.Choice(["code", "subtype", "daily"]), default="code", show_default=True,
              help="Steel: true structure code (B8), subtype (B), or simulated day-to-day label.")  # fmt: skip
@click.option("--novel", type=click.IntRange(min=0), default=0, help="Steel: images of other structures beside them.")
@click.option("--kinds", callback=_kinds, show_default=",".join(NOVEL_KINDS),
              help="Steel: which other structures, with commas; near, far and all name groups.")  # fmt: skip
@click.option("--set", "sheets", type=click.Choice(SETS), default="both", show_default=True,
              help="Membrane: sheets with scratches and scuffs (and clean ones), with pinholes, or both.")  # fmt: skip
@click.option("--difficulty", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True,
              help="Membrane: 2 halves the contrast of the defects. Fracture: 0 makes origins plain.")  # fmt: skip
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True,
              help="Membrane: size of a sheet; 1 is 8 x 11 inches, 0.125 is quick.")  # fmt: skip
@click.option("--tiles", type=click.IntRange(min=16), help="Membrane: also write tiles of this many pixels.")
@click.option("--size", type=click.Choice(["small", "full"]), default="full", show_default=True,
              help="Fracture: pictures of 256 x 192 or 1024 x 768 pixels, and an info bar.")  # fmt: skip
@click.option("--unknown", type=click.FloatRange(0, 1, max_open=True), default=0.06, show_default=True,
              help="Fracture: share of specimens whose origin broke away.")  # fmt: skip
@click.option("--bars/--no-bars", default=True, show_default=True, help="Fracture: info bars on the pictures.")
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
    sheets: MembraneSet,
    difficulty: float,
    scale: float,
    tiles: int | None,
    size: Literal["small", "full"],
    unknown: float,
    bars: bool,
) -> dict[str, Any]:
    """Render phantoms with images, masks, labels and truth.

    Example: sorby phantom steel --n 200 --out phantoms

    Example: sorby phantom membrane --n 4 --scale 0.125 --out sheets

    Example: sorby phantom fracture --n 60 --size small --out fractures
    """
    _refuse_strangers(kind)
    if kind == "fracture":
        return phantoms.write_fracture_corpus(
            out, count, seed=seed, size=size, difficulty=difficulty, unknown=unknown, bars=bars
        )
    if kind == "membrane":
        return phantoms.write_membrane_corpus(
            out, count, seed=seed, set=sheets, difficulty=difficulty, scale=scale, tiles=tiles
        )
    edge = size_px or (512 if published else 448)
    return phantoms.write_steel_corpus(
        out, count, seed=seed, size_px=edge, label=label, novel=novel, kinds=kinds, published=published
    )
