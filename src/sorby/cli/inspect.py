"""``sorby inspect``: verdicts for images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import reports
from sorby.cli._options import device_option, out_option, signed_option
from sorby.workflow import inspection
from sorby.workflow.explaining import METHODS, Method

#: Referred specimens that are named on the screen.
_NAMED = 20


def _show(result: dict[str, Any]) -> str:
    counts = ", ".join(f"{count} {label}" for label, count in result["labels"].items())
    reasons = ", ".join(f"{count} {reason}" for reason, count in result["reasons"].items())
    lines = [
        f"{result['n']} images: {counts}",
        f"{result['referred']} referred to a person" + (f" ({reasons})" if reasons else ""),
        f"verdicts  {result['verdicts']}",
        *_finding_lines(result),
        f"{result['images_per_s']:.0f} images/s",
        *_specimen_lines(result.get("by_specimen")),
        *(f"note      {line}" for line in result["warnings"]),
    ]
    return "\n".join(lines)


def _finding_lines(result: dict[str, Any]) -> list[str]:
    if "findings" not in result:
        return []
    counts = ", ".join(f"{count} {name}" for name, count in result["found"].items())
    return [f"findings  {result['findings']}: {counts or 'none'}"]


def _specimen_lines(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    counts = ", ".join(f"{count} {label}" for label, count in found["labels"].items())
    listed = found["referred_specimens"]
    return [
        f"{found['n']} specimens by {found['method']}: {counts}; {found['referred']} referred",
        *(f"  refer   {one['specimen']}: {one['label']}? {', '.join(one['reasons'])}" for one in listed[:_NAMED]),
        *([f"  and {len(listed) - _NAMED} more, in the table"] if len(listed) > _NAMED else []),
        f"specimens {found['specimens']}",
    ]


@click.command("inspect")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@out_option("Folder for verdicts.csv and overlays; must not hold verdicts yet.")
@click.option(
    "--explain",
    is_flag=True,
    help="Write a picture of where the classifier looked, or of what was found, for every image.",
)
@click.option(
    "--colormap",
    type=click.Choice(["jet", "viridis", "cividis", "inferno", "magma"]),
    default="jet",
    show_default=True,
    help="Colours of those pictures; all but jet are perceptually uniform.",
)
@click.option(
    "--map",
    "method",
    type=click.Choice(METHODS),
    default="auto",
    show_default=True,
    help="How those pictures are made; rollout is for vision transformers.",
)
@click.option("--layer", metavar="NAME", help="Layer that grad-cam reads, e.g. blocks.10.norm1.")
@click.option("--pixel-size-um", type=click.FloatRange(min=0, min_open=True), help="Scale of every image.")
@click.option("--magnification", type=click.FloatRange(min=0, min_open=True), help="Magnification of every image.")
@click.option("--by-specimen", metavar="folder|CSV",
              help="Also judge specimens: folders, or a table with columns image, specimen.")  # fmt: skip
@click.option("--specimen-judge", type=click.Path(path_type=Path), metavar="BUNDLE",
              help="Made by sorby specimens; without it the images are pooled.")  # fmt: skip
@signed_option
@device_option
@reports(_show)
def inspect(
    bundle: Path,
    paths: tuple[Path, ...],
    out: Path,
    explain: bool,
    colormap: str,
    method: Method,
    layer: str | None,
    pixel_size_um: float | None,
    magnification: float | None,
    by_specimen: str | None,
    specimen_judge: Path | None,
    require_signed: bool,
    device: Any,
) -> dict[str, Any]:
    """Give a verdict on every image in PATHS (files or folders).

    Example: sorby inspect runs/first/bundle.sorby new_images/ --out verdicts --explain
    """
    return inspection.inspect(
        bundle,
        paths,
        out,
        explain=explain,
        colormap=colormap,
        method=method,
        layer=layer,
        pixel_size_um=pixel_size_um,
        magnification=magnification,
        by_specimen=by_specimen,
        specimen_judge=specimen_judge,
        require_signed=require_signed,
        device=device,
    )
