"""``sorby measure plate``: severity of a large surface, tile by tile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import reports
from sorby.cli._options import device_option, signed_option


def _figure(one: dict[str, Any], scale: float, unit: str) -> str:
    digits = 1 if scale > 1 else 2
    span = "" if one["ci95"] is None else " ({:.{d}f} to {:.{d}f})".format(*(scale * v for v in one["ci95"]), d=digits)
    return f"{scale * one['value']:.{digits}f}{unit}{span}"


def _show(result: dict[str, Any]) -> str:
    lines = []
    for entry in result["plates"]:
        lines.append(
            f"{entry['file']}: {entry['area_mm2']:.2f} mm2, {entry['tiles']} tiles, {100 * entry['judged_area']:.1f} %"
            " of the area judged"
        )
        rows = [(f"severity {name}", one, 100.0, " %") for name, one in entry["fractions"].items()]
        if entry["mean_severity"]["value"] is not None:
            rows.append(("mean", entry["mean_severity"], 1.0, ""))
        for name, one, scale, unit in rows:
            corrected = "" if one["corrected"] is None else f"; corrected {_figure(one['corrected'], scale, unit)}"
            lines.append(f"  {name:<11} {_figure(one, scale, unit)}{corrected}")
        lines.append(f"  surface     {entry['texture']['reading']}")
        lines += [f"  not judged  {n} tiles: {why}" for why, n in entry["not_judged"].items()]
        lines += [f"  note        {line}" for line in entry["warnings"]]
    lines += [f"note      {result['correction']}", f"note      {result['terms']}"]
    lines += [f"note      {line}" for line in result["warnings"]]
    return "\n".join([*lines, *([f"written   {result['out']}"] if result["out"] else [])])


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("plates", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--pixel-size-um", type=click.FloatRange(min=0, min_open=True), help="Of every plate; overrules files.")
@click.option("--tile-um", type=float, help="Width of a tile; that of the taught pictures where absent.")
@click.option("--overlap", type=float, default=0.0, show_default=True, help="Share that neighbouring tiles share.")
@click.option("--widest-set", type=int, default=2, show_default=True,
              help="Neighbouring grades a tile may lie between and still be judged.")  # fmt: skip
@click.option("--whole", is_flag=True, help="All of the picture shows the plate: look for no border.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the intervals.")
@click.option("--out", type=click.Path(path_type=Path), help="New folder for maps, tables of tiles and the page.")
@device_option
@signed_option
@reports(_show)
def plate(
    bundle: Path,
    plates: tuple[Path, ...],
    pixel_size_um: float | None,
    tile_um: float | None,
    overlap: float,
    widest_set: int,
    whole: bool,
    seed: int,
    out: Path | None,
    device: Any,
    require_signed: bool,
) -> dict[str, Any]:
    """Map the severity of PLATES with BUNDLE, a classifier taught on grades.

    Example: sorby measure plate severity.sorby plate.tif --pixel-size-um 1.13 --out plate
    """
    from sorby.workflow.measuring.plate_judging import PlateOptions
    from sorby.workflow.measuring.plates import measure_plates

    options = PlateOptions(tile_um, overlap, widest_set, whole, seed)
    return measure_plates(
        bundle,
        plates,
        out,
        pixel_size_um=pixel_size_um,
        options=options,
        require_signed=require_signed,
        device=device,
    )
