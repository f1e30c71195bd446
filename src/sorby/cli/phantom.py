"""``sorby phantom``: synthetic specimens with known truth."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

import click
from click.core import ParameterSource

from sorby.cli._frame import reports
from sorby.cli._options import out_option
from sorby.errors import InputError
from sorby.phantom.defects import FAMILIES, LEAST_SIDE
from sorby.phantom.membrane import SETS, MembraneSet
from sorby.phantom.novel import ALL_KINDS, FAR_OOD, NEAR_OOD, NOVEL_KINDS
from sorby.phantom.published import Label
from sorby.workflow import phantoms
from sorby.workflow.detection import base_sets, published_crops
from sorby.workflow.detection.published_crops import CROPS, PublishedCrops

#: Options of one kind of specimen alone.
_OWN = {
    "steel": ("published", "size_px", "label", "novel", "kinds"),
    "membrane": ("sheets", "difficulty", "scale", "tiles", "detection", "off_centre"),
    "defects": ("size", "family"),
    "fracture": ("size", "difficulty", "unknown", "bars"),
    "corrosion": ("size", "difficulty", "bars", "images", "frames", "plates"),
}
#: Membrane: what published crops leave no choice about.
_FIXED_BY_CROPS = ("count", "sheets", "tiles")
#: Sizes of a fracture picture by name; a corrosion picture's is a number of pixels.
_NAMED_SIZES = ("small", "full")


def _show(result: dict[str, Any]) -> str:
    counts = ", ".join(f"{count} {label}" for label, count in result["classes"].items())
    defects = ", ".join(f"{count} {kind}" for kind, count in result.get("defects", {}).items())
    lines = [f"{result['rows']} phantoms ({counts})", f"defects {defects}" if defects else ""]
    lines += [f"archive {result['archive']}" if result.get("archive") else ""]
    grades = ", ".join(f"{count} of grade {grade}" for grade, count in result.get("severities", {}).items())
    lines += [f"grades  {grades}" if grades else "", f"plates  {result['plates']}" if result.get("plates") else ""]
    lines += [f"curves  {result['curves']}, one sweep and one spectrum a coupon" if result.get("curves") else ""]
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
    given = _given(foreign)
    if given:
        raise InputError(f"{', '.join(given)} is not for {kind}", "sorby phantom --help says which option is for what")
    crops = context.params["detection"]
    fixed = _given(_FIXED_BY_CROPS)
    if crops is not None and fixed:
        raise InputError(f"{', '.join(fixed)} is not for --detection {crops}", "its sheets and crops are as published")
    if crops is None and _given(("off_centre",)):
        raise InputError("--off-centre is for --detection pinholes", "sheets have no crops")


def _given(names: Collection[str]) -> list[str]:
    """Return the options of these names that were given on the command line."""
    context = click.get_current_context()
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]


def _kinds(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Return the kinds of a comma-separated list; ``near``, ``far`` and ``all`` name groups."""
    groups = {"near": NEAR_OOD, "far": FAR_OOD, "all": ALL_KINDS}
    if value is None:
        return tuple(NOVEL_KINDS)
    return tuple(kind for part in value.split(",") for kind in groups.get(part.strip(), (part.strip(),)))


def _fracture_size(size: str | None) -> Literal["small", "full"]:
    """Return a named size; ``full`` where none was given.

    Raises
    ------
    InputError
        There is no size of that name.
    """
    if size is None or size == "full":
        return "full"
    if size == "small":
        return "small"
    raise InputError(f"--size {size} is not for fracture", f"allowed: {', '.join(_NAMED_SIZES)}")


def _edge(size: str | None, kind: str, default: int, least: int) -> int:
    """Return the edge of a picture in pixels.

    Raises
    ------
    InputError
        It is no number of pixels, or one that cannot be drawn.
    """
    if size is None:
        return default
    if not (size.isascii() and size.isdigit() and least <= int(size) <= 8192):
        raise InputError(f"--size {size} is not for {kind}", f"give the edge in pixels, {least} to 8192")
    return int(size)


@click.command()
@click.argument("kind", type=click.Choice(list(_OWN)))
@click.option("--n", "count", type=click.IntRange(min=1),
              help="Number of images, sheets, broken specimens or coupons; follows from --published; by default all "
                   "sheets of a set, 60 specimens, 40 coupons, 200 pictures of defects.")  # fmt: skip
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
@click.option("--difficulty", type=click.FloatRange(min=0), default=1.0, show_default=True,
              help="Membrane: 2 halves the contrast of the defects. Fracture: 0 makes origins plain. "
                   "Corrosion: 0 makes coupons differ in their corrosion alone.")  # fmt: skip
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True,
              help="Membrane: size of a sheet; 1 is 8 x 11 inches, 0.125 is quick.")  # fmt: skip
@click.option("--tiles", type=click.IntRange(min=16), help="Membrane: also write tiles of this many pixels.")
@click.option("--detection", type=click.Choice(CROPS),
              help="Membrane: instead of sheets, the images on which detectors of pinholes, or of scratches and "
                   "scuffs, were published: crops with boxes.")  # fmt: skip
@click.option("--off-centre", is_flag=True,
              help="Membrane, --detection pinholes: let each lie anywhere in its crop, not in the middle.")  # fmt: skip
@click.option("--family", type=click.Choice(FAMILIES), show_default="all of them",
              help="Defects: draw surfaces of one family only.")  # fmt: skip
@click.option("--size", metavar="small|full|PIXELS", show_default="full; 450; 256",
              help="Fracture: small or full, pictures of 256 x 192 or 1024 x 768 pixels, and an info bar. Corrosion, "
                   "defects: edge of a picture in pixels.")  # fmt: skip
@click.option("--unknown", type=click.FloatRange(0, 1, max_open=True), default=0.06, show_default=True,
              help="Fracture: share of specimens whose origin broke away.")  # fmt: skip
@click.option("--bars/--no-bars", default=None, show_default="fracture: on; corrosion: off",
              help="Fracture, corrosion: info bars on the pictures.")  # fmt: skip
@click.option("--images", type=click.IntRange(min=0), default=4, show_default=True,
              help="Corrosion: pictures of each coupon.")  # fmt: skip
@click.option("--frames", type=click.IntRange(min=0), default=0, show_default=True,
              help="Corrosion: frames of a time-lapse of each coupon, 2 or more; 0 for none.")  # fmt: skip
@click.option("--plates", type=click.IntRange(min=0), default=0, show_default=True,
              help="Corrosion: also write whole plates with the map of their grades.")  # fmt: skip
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
    detection: PublishedCrops | None,
    off_centre: bool,
    family: str | None,
    size: str | None,
    unknown: float,
    bars: bool | None,
    images: int,
    frames: int,
    plates: int,
) -> dict[str, Any]:
    """Render phantoms with images, masks, labels and truth; of corroded coupons also the electrochemical curves.

    Kind "defects" draws fifteen kinds of defects on strip, tiles, webs and other surfaces, with boxes: what a detector
    is taught before it sees few examples of yours.

    Example: sorby phantom steel --n 200 --out phantoms

    Example: sorby phantom membrane --n 4 --scale 0.125 --out sheets

    Example: sorby phantom fracture --n 60 --size small --out fractures

    Example: sorby phantom defects --n 2000 --out base

    Example: sorby phantom membrane --detection pinholes --out pinholes

    Example: sorby phantom corrosion --n 40 --frames 5 --plates 2 --out coupons
    """
    _refuse_strangers(kind)
    if kind == "corrosion":
        return phantoms.write_corrosion_corpus(
            out,
            count,
            seed=seed,
            size_px=_edge(size, kind, 450, 32),
            images=images,
            frames=frames,
            plates=plates,
            difficulty=difficulty,
            bars=bars is True,
        )
    if kind == "fracture":
        return phantoms.write_fracture_corpus(
            out,
            count,
            seed=seed,
            size=_fracture_size(size),
            difficulty=difficulty,
            unknown=unknown,
            bars=bars is not False,
        )
    if kind == "defects":
        edge = _edge(size, kind, 256, LEAST_SIDE)
        return base_sets.write_defect_corpus(out, count, seed=seed, size_px=edge, family=family)
    if detection is not None:
        return published_crops.write_published_crops(
            out, detection, seed=seed, difficulty=difficulty, scale=scale, off_centre=off_centre
        )
    if kind == "membrane":
        return phantoms.write_membrane_corpus(
            out, count, seed=seed, set=sheets, difficulty=difficulty, scale=scale, tiles=tiles
        )
    edge = size_px or (512 if published else 448)
    return phantoms.write_steel_corpus(
        out, count, seed=seed, size_px=edge, label=label, novel=novel, kinds=kinds, published=published
    )
