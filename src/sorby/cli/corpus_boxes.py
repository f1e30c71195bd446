"""Boxes on the command line of ``sorby corpus``: how they are read, and ``export``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import reports
from sorby.corpus.interchange import FORMATS, BoxOptions
from sorby.corpus.interchange.writing import EXPORTS
from sorby.errors import InputError
from sorby.workflow import corpora

_FORMATS = ("auto", *FORMATS, "none")


def _mask_values(_context: click.Context, _parameter: click.Parameter, entries: tuple[str, ...]) -> dict[int, str]:
    """Read ``1=scratch`` entries."""
    values = {}
    for entry in entries:
        value, equals, name = entry.partition("=")
        if not equals or not value.strip().isdecimal() or not name.strip():
            raise InputError(f"--mask-value {entry}: not of the form VALUE=CLASS", "e.g. --mask-value 1=scratch")
        values[int(value)] = name.strip()
    return values


def _names(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Read ``a,b`` as names."""
    return tuple(name.strip() for name in (value or "").split(",") if name.strip())


_OPTIONS = (
    click.option("--format", type=click.Choice(_FORMATS), default="auto", show_default=True,
                 help="Of boxes; none takes folders for classes whatever lies in them."),
    click.option("--images", type=click.Path(path_type=Path, exists=True, file_okay=False),
                 help="Folder of the images that a COCO file names; beside it if not given."),
    click.option("--masks", type=click.Path(path_type=Path, exists=True, file_okay=False),
                 help="Folder of masks with the stems of the images: boxes around what they mark."),
    click.option("--mask-value", "mask_values", multiple=True, callback=_mask_values, metavar="VALUE=CLASS",
                 help="Class of a mask value; repeatable. Without it all above zero is one class."),
    click.option("--mask-label", default="defect", show_default=True, help="That one class."),
    click.option("--min-area-px", type=click.IntRange(1), default=1, show_default=True,
                 help="Pieces of a mask that are smaller are passed over."),
    click.option("--merge-px", type=click.FloatRange(0), default=0.0, show_default=True,
                 help="Pieces of a mask that are no further apart are one."),
    click.option("--classes", callback=_names, metavar="A,B", help="Keep boxes of these classes only."),
    click.option("--voc-corners", type=click.Choice(["pixels", "edges"]), default="pixels", show_default=True,
                 help="VOC coordinates: first and last pixel, counted from 1, or edges, counted from 0."),
    click.option("--difficult", type=click.Choice(["ignored", "kept"]), default="ignored", show_default=True,
                 help="VOC objects marked difficult."),
    click.option("--frame", type=click.Choice(["auto", "upright", "stored"]), default="auto", show_default=True,
                 help="Pixels that boxes count on an image with an orientation tag."),
    click.option("--unlisted", type=click.Choice(["auto", "negative", "unannotated"]), default="auto",
                 show_default=True,
                 help="An image without annotation file; auto: a negative in YOLO, else not annotated."),
)  # fmt: skip


def box_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of boxes to a command, which gets them as one argument ``boxes``."""

    @functools.wraps(command)
    def gathered(*args: Any, **kwargs: Any) -> Any:
        chosen = {name: kwargs.pop(name) for name in BoxOptions.__dataclass_fields__}
        return command(*args, boxes=BoxOptions(**chosen), **kwargs)

    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered


def annotation_lines(annotations: dict[str, Any] | None) -> list[str]:
    """Return what people see of the boxes that a build found."""
    if annotations is None:
        return []
    boxes = [f"  {count:>6} boxes of {label}" for label, count in annotations["per_class"].items()]
    parts = [f"{annotations['images']} annotated, {annotations['negatives']} of them with nothing on them"]
    if annotations["ignored"]:
        parts.append(f"{annotations['ignored']} regions to ignore")
    return [f"{annotations['boxes']} boxes on {', '.join(parts)}", *boxes]


def _show_export(result: dict[str, Any]) -> str:
    counted = (
        f"{result['boxes']} boxes on {result['images']} images, {result['negatives']} of them with nothing on them"
    )
    lines = [counted, f"classes {', '.join(result['classes'])}"]
    return "\n".join(
        [*lines, *(f"note: {line}" for line in result["warnings"]), f"{result['format']}  {result['out']}"]
    )


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--format", "format_name", type=click.Choice(EXPORTS), required=True, help="What to write.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new folder for images and boxes.")
@reports(_show_export)
def export(data: Path, format_name: Any, out: Path) -> dict[str, Any]:
    """Write the images and boxes of a corpus as COCO, Pascal VOC or YOLO.

    Example: sorby corpus export corpus.parquet --format yolo --out yolo/
    """
    return corpora.export(data, out, format_name)
