"""``sorby measure grains``, ``inclusions`` and ``boundaries``: sizes and contents counted on sections."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import click

from sorby.cli._frame import reports
from sorby.cli._options import signed_option

Command = Callable[..., Any]


def _scale_option(command: Command) -> Command:
    meaning = "Pixel size of every image; overrules the files. Without one nothing is measured."
    return click.option("--pixel-size-um", type=float, metavar="UM", help=meaning)(command)


def _out_option(command: Command) -> Command:
    meaning = "Folder for the table and an overlay of every image."
    return click.option("--out", type=click.Path(path_type=Path), help=meaning)(command)


def _images(command: Command) -> Command:
    return click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))(command)


def _interval(bounds: list[float] | None, digits: int) -> str:
    return "" if bounds is None else f" [{bounds[0]:.{digits}f}, {bounds[1]:.{digits}f}]"


def _show_specimen(entry: dict[str, Any]) -> list[str]:
    lines = [f"{entry['specimen']}: {entry['n_fields']} fields, {entry['standard']}"]
    if "intercept" in entry:
        over, g = entry["intercept"]["mean_intercept_um"], entry["intercept"].get("g")
        accuracy = "" if over["percent_ra"] is None else f", %RA {over['percent_ra']:.1f}"
        lines.append(f"  mean intercept {over['mean']:.4g} um{_interval(over['ci95'], 3)}{accuracy}")
        if g is not None:
            lines.append(f"  G {g['value']:.2f}{_interval(g['ci95'], 2)} by intercepts")
    if "planimetric" in entry:
        over, g = entry["planimetric"]["grains_per_mm2"], entry["planimetric"]["g"]
        accuracy = "" if over["percent_ra"] is None else f", %RA {over['percent_ra']:.1f}"
        lines.append(f"  {over['mean']:.4g} grains per mm2{_interval(over['ci95'], 1)}{accuracy}")
        lines.append(f"  G {g['value']:.2f}{_interval(g['ci95'], 2)} by counting grains")
    return lines + [f"  warning: {line}" for line in entry["warnings"]]


def _show_grains(result: dict[str, Any]) -> str:
    lines = []
    for entry in result["images"]:
        lines.append(f"{entry['file']}: {entry['grains_seen']} grains, {entry['boundaries']}")
        lines += [f"  warning: {line}" for line in entry["warnings"]]
    for entry in result["specimens"]:
        lines += _show_specimen(entry)
    if result["out"]:
        lines.append(f"written {result['out']}")
    return "\n".join(lines)


@click.command()
@_images
@_scale_option
@click.option(
    "--method", type=click.Choice(["intercept", "planimetric", "both"]), help="both; planimetric for ISO 643."
)
@click.option(
    "--standard", type=click.Choice(["astm-e112", "iso-643"]), default="astm-e112", show_default=True, help="Whose G."
)
@click.option(
    "--pattern",
    type=click.Choice(["lines", "circles"]),
    default="lines",
    show_default=True,
    help="Heyn's lines in four directions, or Abrams' three circles.",
)
@click.option(
    "--window",
    type=click.Choice(["rectangle", "circle"]),
    default="rectangle",
    show_default=True,
    help="Where grains are counted: the whole field, or Jeffries' circle.",
)
@click.option("--boundaries", type=click.Path(path_type=Path), metavar="BUNDLE", help="A segmenter of boundary lines.")
@click.option("--mask", "source", flag_value="mask", help="The images are drawn boundary masks.")
@click.option("--labels", "source", flag_value="labels", help="The images are label images, 0 = boundary.")
@click.option(
    "--fields", type=click.IntRange(1, 20), default=1, show_default=True, help="Sub-fields a side of an image."
)
@click.option(
    "--by-specimen",
    type=click.Choice(["all", "folder", "image"]),
    default="all",
    show_default=True,
    help="Which images are fields of one specimen.",
)
@_out_option
@signed_option
@reports(_show_grains)
def grains(
    images: tuple[Path, ...],
    pixel_size_um: float | None,
    method: str | None,
    standard: str,
    pattern: str,
    window: str,
    boundaries: Path | None,
    source: str | None,
    fields: int,
    by_specimen: str,
    out: Path | None,
    require_signed: bool,
) -> dict[str, Any]:
    """Measure the grain size of equiaxed structures by ASTM E112 or ISO 643.

    Example: sorby measure grains etched/*.tif --pixel-size-um 0.5 --out grains
    """
    from sorby.measure.grain_fields import Method, Pattern, Window
    from sorby.measure.grain_size import Standard
    from sorby.workflow.measuring.grains import BySpecimen, GrainRequest, Source, measure_grains

    chosen = method or ("planimetric" if standard == "iso-643" else "both")
    request = GrainRequest(
        method=cast(Method, chosen),
        standard=cast(Standard, standard),
        pattern=cast(Pattern, pattern),
        window=cast(Window, window),
        source=cast(Source, source or "micrograph"),
        fields=fields,
    )
    return measure_grains(
        images,
        pixel_size_um=pixel_size_um,
        request=request,
        boundaries=boundaries,
        by_specimen=cast(BySpecimen, by_specimen),
        out=out,
        require_signed=require_signed,
    )


def _show_inclusions(result: dict[str, Any]) -> str:
    lines = [
        f"{entry['file']}: {100 * entry['area_fraction']:.3f} % in {entry['count']} inclusions"
        for entry in result["images"]
    ]
    specimen = result["specimen"]
    fraction = specimen["area_fraction"]
    interval = "" if fraction["ci95"] is None else " [{:.3f}, {:.3f}] %".format(*(100 * b for b in fraction["ci95"]))
    accuracy = "" if fraction["percent_ra"] is None else f", %RA {fraction['percent_ra']:.1f}"
    lines.append(
        f"area fraction {100 * fraction['mean']:.3f} %{interval}{accuracy}, {specimen['n_fields']} fields, "
        f"{result['standard']}"
    )
    lines += [f"warning: {line}" for line in result["warnings"]]
    return "\n".join(lines + ([f"written {result['out']}"] if result["out"] else []))


@click.command()
@_images
@_scale_option
@click.option("--darkness", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.5, show_default=True,
              help="Share of the matrix brightness that an inclusion lacks.")  # fmt: skip
@click.option("--min-area-px", type=click.IntRange(min=1), default=9, show_default=True, help="Smaller objects go.")
@click.option("--segmenter", type=click.Path(path_type=Path), metavar="BUNDLE", help="Taught on masks of inclusions.")
@_out_option
@signed_option
@reports(_show_inclusions)
def inclusions(
    images: tuple[Path, ...],
    pixel_size_um: float | None,
    darkness: float,
    min_area_px: int,
    segmenter: Path | None,
    out: Path | None,
    require_signed: bool,
) -> dict[str, Any]:
    """Measure area fraction, number and size of dark inclusions, each image a field of one specimen.

    Example: sorby measure inclusions polished/*.tif --pixel-size-um 0.5 --out inclusions
    """
    from sorby.workflow.measuring.inclusions import measure_inclusion_content

    return measure_inclusion_content(
        images,
        pixel_size_um=pixel_size_um,
        darkness=darkness,
        min_area_px=min_area_px,
        segmenter=segmenter,
        out=out,
        require_signed=require_signed,
    )


def _show_training(result: dict[str, Any]) -> str:
    labels, split, test = result["labels"], result["split"], result["test"]

    def row(name: str, scores: dict[str, Any]) -> str:
        cells = []
        for key, title in (("dice", "Dice"), ("dice_2px", "within 2 px"), ("intercepts_found_over_true", "intercepts")):
            value = scores[key]["value"]
            cells.append(f"{title} " + ("-" if value is None else f"{value:.3f}{_interval(scores[key]['ci95'], 3)}"))
        return f"{name}: " + ", ".join(cells)

    lines = [
        f"labels mark {labels['marks']}, about {labels['width_px']:.1f} px wide",
        f"{split['taught']} patches taught, {split['tested']} of {split['tested_groups']} other groups tested; "
        f"groups are {split['grouped_by']}",
        row("segmenter", test),
        row(test["classical"]["method"], test["classical"]),
        f"bundle  {result['bundle']} ({result['seconds']:.0f} s)",
    ]
    return "\n".join([*lines, *(f"warning: {line}" for line in result["warnings"])])


@click.group()
def boundaries() -> None:
    """Teach a segmenter that finds boundaries (or whatever the masks mark).

    Example: sorby measure boundaries train patches/ masks/ --out boundaries.sorby
    """


@boundaries.command()
@click.argument("images", type=click.Path(path_type=Path))
@click.argument("labels", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The bundle, a .sorby file.")
@click.option("--epochs", type=click.IntRange(min=1), default=30, show_default=True, help="Passes over the pixels.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same segmenter.")
@reports(_show_training)
def train(images: Path, labels: Path, out: Path, epochs: int, seed: int) -> dict[str, Any]:
    """Teach a small segmenter from patches and masks; a quarter of the parents is kept to score it.

    Example: sorby measure boundaries train patches/ masks/ --out boundaries.sorby
    """
    from sorby.measure.segmenter_training import SegmenterSettings
    from sorby.workflow.measuring.boundary_training import train_boundaries

    return train_boundaries(images, labels, out, settings=SegmenterSettings(epochs=epochs, seed=seed))
