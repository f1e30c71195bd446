"""``sorby measure``: lengths and sizes from micrographs with a scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import reports
from sorby.cli.measure_grains import boundaries, grains, inclusions
from sorby.cli.measure_mirror import mirror
from sorby.cli.measure_plate import plate


def _show_needles(result: dict[str, Any]) -> str:
    lines = []
    for entry in result["images"]:
        lengths = {"mean": entry["mean_um"], "95 %": entry["quantiles_um"]["q95"], "largest": entry["largest_um"]}
        intervals = [entry["ci95"][name] for name in ("mean_um", "q95_um", "largest_um")]
        lines += [
            f"{entry['image']} ({entry['pixel_size_um']:.4g} um/px, {entry['pixel_size_source']})",
            *(
                f"  {name:<8} {value:.2f} um ({low:.2f} to {high:.2f})"
                for (name, value), (low, high) in zip(lengths.items(), intervals, strict=True)
            ),
            f"  grade    {entry['grade']} by {entry['criterion']} criterion, coarse area"
            f" {100 * entry['coarse_area_fraction']:.0f} %",
            f"  traced   {entry['n_traced']} needles, {100 * entry['cut_share']:.0f} % cut by the border, mean"
            f" {entry['traced']['mean_um']:.2f} um uncorrected",
            *(f"  warning  {line}" for line in entry["warnings"] if line != result["calibration"]),
        ]
    lines += [f"scale    {result['scale']}; no ISO 643 result", f"note     {result['calibration']}"]
    lines += [f"note     {line}" for line in result["warnings"]]
    return "\n".join([*lines, *([f"results  {result['out']}"] if result["out"] else [])])


@click.group()
def measure() -> None:
    """Measure structures in micrographs; an image without a pixel size is refused.

    Example: sorby measure needles micrographs/ --pixel-size-um 0.2 --out needles
    """


for command in (grains, inclusions, boundaries, mirror, plate):
    measure.add_command(command)


@measure.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--pixel-size-um", type=click.FloatRange(min=0, min_open=True), help="Scale of every image.")
@click.option("--subtype", type=click.Choice(["B", "G", "M"]), help="Known from the heat treatment; for the grade.")
@click.option("--table", type=click.Path(path_type=Path), help="Your house scale, a YAML or JSON file.")
@click.option("--out", type=click.Path(path_type=Path), help="New folder for needles.csv, distributions and overlays.")
@reports(_show_needles)
def needles(
    images: tuple[Path, ...], pixel_size_um: float | None, subtype: str | None, table: Path | None, out: Path | None
) -> dict[str, Any]:
    """Measure needle lengths: distribution with intervals, and grades by a house scale.

    Example: sorby measure needles micrographs/ --pixel-size-um 0.2 --subtype G --out needles
    """
    from sorby.workflow.measuring import needles as workflow

    return workflow.needles(images, out, pixel_size_um=pixel_size_um, subtype=subtype, table=table)
