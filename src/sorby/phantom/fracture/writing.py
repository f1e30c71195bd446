"""Fracture phantoms on disk: pictures, cue masks, a table of images and one of specimens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sorby.files import staged_directory, write_json
from sorby.phantom.fracture.bars import with_bar
from sorby.phantom.fracture.imaging import FULL_SIZE, FractureView, render
from sorby.phantom.fracture.specimen import FractureSpecimen, ViewPlan
from sorby.phantom.fracture.surface import CUES
from sorby.phantom.fracture.vendor_tags import write_tagged
from sorby.phantom.writing import FileFormat, gather, write_mask, write_picture


@dataclass(frozen=True)
class _Job:
    """The pictures of one specimen."""

    folder: str
    specimen: FractureSpecimen
    size: tuple[int, int]
    bars: bool
    file_format: FileFormat
    cues: bool


def view_name(specimen: FractureSpecimen, plan: ViewPlan) -> str:
    """Return a picture's name without suffix: specimen, number, fragment, magnification."""
    return f"{specimen.name}-{plan.number:02d}-{plan.fragment}-{plan.magnification:g}x"


def take(
    specimen: FractureSpecimen, plan: ViewPlan, size: tuple[int, int] = FULL_SIZE, *, bar: bool = True
) -> FractureView:
    """Return a planned picture, with its info bar where *bar*."""
    view = render(specimen, plan, size)
    return with_bar(view, specimen) if bar else view


def view_row(specimen: FractureSpecimen, view: FractureView) -> dict[str, Any]:
    """Return what is true of a picture, a row of the table of images."""
    return {
        "label": specimen.label,
        "specimen": specimen.name,
        "fragment": view.plan.fragment,
        "magnification": view.magnification,
        "pixel_size_um": view.pixel_size_um,
        "fracture_type": specimen.label,
        "fracture_subtype": specimen.subtype,
        "fracture_load_n": specimen.load_n,
        "vendor": specimen.vendor,
        "language": specimen.language,
        "bar_top": view.bar_top,
        "bar_rows": view.bar_rows,
        "scale_label": view.scale_label,
        "scale_px": view.scale_px,
        "origin_in_view": view.origin_in_view,
        "contamination": round(view.contamination, 4),
        "defocus_px": view.plan.defocus_px,
    }


def specimen_row(specimen: FractureSpecimen) -> dict[str, Any]:
    """Return what is true of a specimen, a row of the table of specimens."""
    flaw = specimen.flaw
    return {
        "specimen": specimen.name,
        "label": specimen.label,
        "fracture_subtype": specimen.subtype,
        "fracture_load_n": specimen.load_n,
        "fracture_stress_mpa": specimen.stress_mpa,
        "origin_stress_mpa": specimen.origin_stress_mpa,
        "mirror_radius_um": specimen.mirror_radius_um,
        "mirror_aspect": specimen.mirror_aspect,
        "mirror_constant_mpa_sqrt_m": specimen.mirror_constant_mpa_sqrt_m,
        "flaw_size_um": flaw.size_um,
        "flaw_elongation": flaw.elongation,
        "flaw_depth_um": flaw.depth_um,
        "grain_um": specimen.appearance.grain_um,
        "fragments": "|".join(fragment.name for fragment in specimen.fragments),
        "lost_um": specimen.lost_um,
        "vendor": specimen.vendor,
    }


def write_view(path: Path, view: FractureView, specimen: FractureSpecimen) -> None:
    """Write a picture: ``.png`` without scale, ``.tif`` with its vendor's tag where that is known, else ImageJ's.

    Parameters
    ----------
    path : Path
    view : FractureView
    specimen : FractureSpecimen
        Its vendor says whose tag.

    Raises
    ------
    InputError
        The suffix is neither.
    """
    if path.suffix == ".tif" and specimen.vendor in ("fei", "zeiss"):
        write_tagged(path, view, specimen.vendor)
    else:
        write_picture(path, view.pixels, view.pixel_size_um)


def write_views(
    out_dir: Path | str,
    specimens: Sequence[FractureSpecimen],
    *,
    size: tuple[int, int] = FULL_SIZE,
    bars: bool = True,
    cues: bool = True,
    file_format: FileFormat = "png",
    jobs: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Take all planned pictures of some specimens and write them with their truth.

    The folder gets ``images/``, with *cues* ``cues/`` (uint8 PNG of the same names, numbered as :data:`CUES`, of the
    size of the picture with its bar), ``labels.csv`` (the returned table), ``specimens.csv`` and ``cues.json`` (what
    the numbers mean). It is complete or absent.

    Parameters
    ----------
    out_dir : path
    specimens : sequence of FractureSpecimen
        With views; see :func:`fracture_set`.
    size : tuple of int
        Width and height of a picture in pixels, without info bar.
    bars : bool
        Add the vendors' info bars.
    cues : bool
        Write cue masks.
    file_format : {"png", "tiff"}
        PNG carries no scale; TIFF the tag of its vendor.
    jobs : int, optional
        Processes; see :func:`sorby.phantom.writing.share_out`.
    overwrite : bool
        Replace an existing folder.
    progress : callable, optional
        Called with images done and images in all.

    Returns
    -------
    pandas.DataFrame
        One row an image, ``path`` relative to *out_dir* (kept in ``attrs["root"]``).

    Raises
    ------
    InputError
        A request cannot be met, or the folder cannot be written.
    """
    total = sum(len(specimen.views) for specimen in specimens)
    with staged_directory(out_dir, overwrite=overwrite) as folder:
        for part in ("images", "cues") if cues else ("images",):
            (folder / part).mkdir()
        work = [_Job(str(folder), specimen, size, bars, file_format, cues) for specimen in specimens]
        table = pd.DataFrame(gather(_write_specimen, work, jobs, total, progress))
        table.to_csv(folder / "labels.csv", index=False)
        pd.DataFrame([specimen_row(specimen) for specimen in specimens]).to_csv(folder / "specimens.csv", index=False)
        write_json(folder / "cues.json", CUES)
    table.attrs["root"] = str(out_dir)
    return table


def _write_specimen(job: _Job) -> list[dict[str, Any]]:
    folder, suffix = Path(job.folder), ".tif" if job.file_format == "tiff" else ".png"
    rows = []
    for plan in job.specimen.views:
        view = take(job.specimen, plan, job.size, bar=job.bars)
        name = view_name(job.specimen, plan)
        write_view(folder / "images" / f"{name}{suffix}", view, job.specimen)
        row = {"path": f"images/{name}{suffix}", **view_row(job.specimen, view)}
        if job.cues:
            write_mask(folder / "cues" / f"{name}.png", view.cues)
            row["mask"] = f"cues/{name}.png"
        rows.append({**row, "label_source": "phantom", "phantom": True})
    return rows
