"""``sorby corpus region``: propose what of each micrograph may be used, and write it down for a person to edit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from sorby.errors import InputError, Quarantined, SorbyError
from sorby.files import atomic_write
from sorby.micrograph import Micrograph, read
from sorby.micrograph.files import OVERLAY_SUFFIX
from sorby.micrograph.region import (
    NO_SURFACE,
    Region,
    draw_region,
    inscribed_rectangle,
    propose_region,
    read_region,
    region_path,
    write_region,
)
from sorby.progress import bar
from sorby.workflow.inspection import gather


def write_regions(
    paths: Sequence[Path | str], out: Path | str | None = None, *, overwrite: bool = False
) -> dict[str, Any]:
    """Propose the region of interest of micrographs; write a region file and a picture of it for each.

    Parameters
    ----------
    paths : sequence of path
        Image files and folders.
    out : path, optional
        Folder for the files; beside each image where not given, which is where training and inspection look.
    overwrite : bool
        Replace region files that exist. Otherwise they stand, edited by a person or not, and are shown as they are.

    Returns
    -------
    dict
        ``images``: for each ``file``, ``mask``, ``overlay``, ``source`` (``proposal`` or ``file``), ``kept`` (share of
        the picture), ``excluded`` (share by kind), ``rectangle`` (``top``, ``left``, ``height``, ``width`` of what is
        taken), ``notes``; ``written`` (how many region files are new); ``quarantined``: unreadable images, damaged
        region files, and images that show no specimen, for which no region file is written.

    Raises
    ------
    InputError
        No images, two images that would share a region file, or a place that cannot be written.
    """
    files = gather([Path(path) for path in paths])
    _refuse_shared(files, out)
    images: list[dict[str, Any]] = []
    quarantined: list[Quarantined] = []
    with bar("finding regions", len(files)) as advance:
        for file in files:
            try:
                micrograph = read(file)
                found, source = _region(micrograph, region_path(file, out), overwrite)
            except SorbyError as error:
                quarantined.append(Quarantined.from_error(file, error))
            else:
                if found.empty:
                    quarantined.append(Quarantined(str(file), NO_SURFACE))
                else:
                    images.append(_write(file, micrograph, found, source, out))
            advance(1)
    return {
        "images": images,
        "written": sum(entry["source"] == "proposal" for entry in images),
        "quarantined": [entry.as_dict() for entry in quarantined],
    }


def _refuse_shared(files: Sequence[Path], out: Path | str | None) -> None:
    """Refuse images whose region files would have the same name."""
    for path, count in Counter(region_path(file, out) for file in files).items():
        if count > 1:
            twins = [str(file) for file in files if region_path(file, out) == path]
            raise InputError(
                f"{twins[0]} and {twins[1]} would share the region file {path.name}", "name images apart, or one by one"
            )


def _region(micrograph: Micrograph, path: Path, overwrite: bool) -> tuple[Region, str]:
    """Return the region of a micrograph and where it comes from."""
    if path.is_file() and not overwrite:
        mask = read_region(path, micrograph.pixels.shape)
        return Region(mask, {"file": ~mask}, (f"taken from {path.name}",)), "file"
    return propose_region(micrograph.pixels, micrograph.scale.pixel_size_um), "proposal"


def _write(file: Path, micrograph: Micrograph, found: Region, source: str, out: Path | str | None) -> dict[str, Any]:
    """Write region file and picture of one image and describe them."""
    path = region_path(file, out)
    picture = path.with_name(f"{file.stem}{OVERLAY_SUFFIX}")
    with atomic_write(picture) as target:
        Image.fromarray(draw_region(micrograph.pixels, found)).save(target, format="PNG")
    if source == "proposal":
        write_region(path, found.mask)
    rectangle = dict(zip(("top", "left", "height", "width"), inscribed_rectangle(found.mask), strict=True))
    return {
        "file": str(file),
        "mask": str(path),
        "overlay": str(picture),
        "source": source,
        "kept": found.kept,
        "excluded": found.shares,
        "rectangle": rectangle,
        "notes": list(found.notes),
    }
