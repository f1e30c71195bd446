"""``sorby measure mirror``: mirror radius and mirror constant of fracture surfaces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import reports
from sorby.errors import InputError


def _numbers(text: str | None, count: int, option: str, names: str) -> tuple[float, ...] | None:
    """Return so many numbers of a comma-separated text.

    Raises
    ------
    InputError
        There are others.
    """
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != count:
        raise InputError(f"{option} {text!r} is not {names}", f"{count} numbers with commas between them")
    return values


def _show(result: dict[str, Any]) -> str:
    lines = []
    for entry in result["images"]:
        low, high = entry["ci95"]["radius_um"]
        origin = entry["origin"]
        lines += [
            f"{entry['image']} ({entry['pixel_size_um']:.4g} um/px, {entry['pixel_size_source']})",
            f"  mirror   {entry['radius_um']:.4g} um (95 % interval {low:.4g} to {high:.4g}), mist/hackle at"
            f" {entry['mist_hackle_um']:.4g} um",
            f"  origin   {origin['x_px']:.0f},{origin['y_px']:.0f} px, {origin['source']}",
        ]
        if entry["mirror_constant_mpa_sqrt_m"] is not None:
            below, above = entry["ci95"]["mirror_constant_mpa_sqrt_m"]
            lines.append(
                f"  constant {entry['mirror_constant_mpa_sqrt_m']:.3g} MPa m^1/2 ({below:.3g} to {above:.3g}) at"
                f" {entry['stress_mpa']:.4g} MPa"
            )
        lines += [f"  warning  {line}" for line in entry["warnings"]]
    specimen = result["specimen"]
    if specimen is not None:
        low, high = specimen["ci95"]["radius_um"]
        lines.append(
            f"specimen: mirror {specimen['radius_um']:.4g} um (95 % interval {low:.4g} to {high:.4g}), by"
            f" {specimen['image']}, the best view of {specimen['n_images']} images"
        )
    lines += [f"note     {line}" for line in (*result["warnings"], result["terms"])]
    return "\n".join([*lines, *([f"results  {result['out']}"] if result["out"] else [])])


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--pixel-size-um", type=click.FloatRange(min=0, min_open=True), metavar="UM",
              help="Scale of every image; overrules the files. Without one nothing is measured.")  # fmt: skip
@click.option("--origin", metavar="X,Y", help="The origin in pixels of the image; found where not given.")
@click.option("--stress-mpa", type=click.FloatRange(min=0, min_open=True), help="Stress at the origin at fracture.")
@click.option("--load-n", type=click.FloatRange(min=0, min_open=True), help="Load at fracture; needs --bar-mm.")
@click.option("--bar-mm", metavar="WIDTH,HEIGHT,OUTER,INNER",
              help="Section and spans of a bar in bending; inner 0 for three-point bending.")  # fmt: skip
@click.option("--depth-um", type=click.FloatRange(min=0), default=0.0, show_default=True,
              help="Depth of the origin below the tensile surface of the bar.")  # fmt: skip
@click.option("--stress-error-percent", type=click.FloatRange(min=0), default=1.0, show_default=True,
              help="Standard error of the stress.")  # fmt: skip
@click.option("--one-specimen", is_flag=True, help="The images show one specimen: the best view speaks for it.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="New folder for mirrors.csv and an overlay of every image."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the resampling.")
@reports(_show)
def mirror(
    images: tuple[Path, ...],
    pixel_size_um: float | None,
    origin: str | None,
    stress_mpa: float | None,
    load_n: float | None,
    bar_mm: str | None,
    depth_um: float,
    stress_error_percent: float,
    one_specimen: bool,
    out: Path | None,
    seed: int,
) -> dict[str, Any]:
    """Measure fracture mirrors (ASTM C1678, C1322), and the mirror constant where the stress is known.

    Take a picture in which the mirror's radius is a tenth to a fifth of the width, and give the origin.

    Example: sorby measure mirror A17_250x.tif --load-n 4100 --bar-mm 12,10,80,40 --out mirrors
    """
    from sorby.workflow.measuring.mirrors import Loading, measure_mirrors

    place = _numbers(origin, 2, "--origin", "X,Y")
    bar = _numbers(bar_mm, 4, "--bar-mm", "WIDTH,HEIGHT,OUTER,INNER")
    loading = Loading(
        stress_mpa,
        load_n,
        None if bar is None else (bar[0], bar[1], bar[2], bar[3]),
        depth_um,
        stress_error_percent / 100,
    )
    return measure_mirrors(
        images,
        out,
        pixel_size_um=pixel_size_um,
        origin=None if place is None else (place[0], place[1]),
        loading=loading,
        one_specimen=one_specimen,
        seed=seed,
    )
