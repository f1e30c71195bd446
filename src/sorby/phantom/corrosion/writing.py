"""Corrosion phantoms on disk: pictures, masks of attack, tables of images and of specimens, plates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sorby.files import staged_directory, write_json
from sorby.phantom.corrosion.bars import with_bar
from sorby.phantom.corrosion.course import GRADE_BOUNDS, grade
from sorby.phantom.corrosion.curves import write_curves
from sorby.phantom.corrosion.imaging import SIZE, CorrosionView, render
from sorby.phantom.corrosion.plate import CorrosionPlate
from sorby.phantom.corrosion.relief import FORMS
from sorby.phantom.corrosion.specimen import CorrosionSpecimen, FieldPlan
from sorby.phantom.writing import FileFormat, gather, write_mask, write_picture


@dataclass(frozen=True)
class _Job:
    """The pictures of one specimen."""

    folder: str
    specimen: CorrosionSpecimen
    size: tuple[int, int]
    bars: bool
    file_format: FileFormat


def view_name(specimen: CorrosionSpecimen, plan: FieldPlan) -> str:
    """Return a picture's name without suffix: specimen, number, and the frame of a sequence."""
    return f"{specimen.name}-{plan.number:02d}" + (f"-frame{plan.frame:02d}" if plan.frame else "")


def label_row(specimen: CorrosionSpecimen, view: CorrosionView) -> dict[str, Any]:
    """Return what a laboratory would note of a picture, a row of the table of labels; *severity* is its truth."""
    plan = view.plan
    return {
        "label": specimen.alloy,
        "alloy": specimen.alloy,
        "specimen": specimen.name,
        "severity": view.severity,
        "temperature_k": specimen.temperature_k,
        "hours": round(plan.hours, 3),
        "pixel_size_um": view.pixel_size_um,
        "magnification": plan.magnification,
        "instrument": specimen.microscope.name,
        "sequence": f"{specimen.name}-sequence" if plan.frame else "",
        "frame": plan.frame,
    }


def truth_row(specimen: CorrosionSpecimen, view: CorrosionView) -> dict[str, Any]:
    """Return what nobody could note of a picture, a row of the table of truth."""
    plan, look = view.plan, specimen.appearance
    return {
        "specimen": specimen.name,
        "severity": view.severity,
        "expected_share": view.expected_share,
        "attacked_fraction": view.attacked_fraction,
        **{f"{name}_fraction": value for name, value in view.form_fractions.items()},
        "pit_count": view.pit_count,
        "pit_radius_um": view.pit_radius_um,
        "product_um": view.product_um,
        "grind_angle_deg": float(np.degrees(look.grind_angle)),
        "charging": look.charging * plan.charging,
        "drift_x_px": plan.drift_px[0],
        "drift_y_px": plan.drift_px[1],
        "jitter_px": plan.jitter_px,
        "mains_px": plan.mains_px,
        "stretch": plan.stretch,
        "defocus_px": plan.defocus_px,
        "astigmatism": plan.astigmatism,
        "centre_x_um": plan.centre_um[0],
        "centre_y_um": plan.centre_um[1],
        "bar_top": view.bar_top,
        "bar_rows": view.bar_rows,
        "scale_label": view.scale_label,
        "scale_px": view.scale_px,
    }


def specimen_row(specimen: CorrosionSpecimen) -> dict[str, Any]:
    """Return what is true of a coupon, a row of the table of specimens."""
    look = specimen.appearance
    middle = np.zeros((1, 1))
    return {
        "specimen": specimen.name,
        "seed": specimen.seed,
        "label": specimen.alloy,
        "severity": specimen.severity,
        "temperature_k": specimen.temperature_k,
        "hours": specimen.hours,
        "expected_share": float(specimen.course.share(specimen.hours, middle, middle)[0, 0]),
        "relative_rate": specimen.course.relative_rate,
        "reactivity": specimen.course.reactivity,
        "grain_um": look.grain_um,
        "grind_um": look.grind_um,
        "grind_angle_deg": float(np.degrees(look.grind_angle)),
        "pitting": look.pitting,
        "film_um": look.film_um,
        "instrument": specimen.microscope.name,
    }


def write_views(
    out_dir: Path | str,
    specimens: Sequence[CorrosionSpecimen],
    *,
    size: tuple[int, int] = SIZE,
    bars: bool = False,
    file_format: FileFormat = "png",
    jobs: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Take all planned pictures of some coupons and write them with their truth.

    The folder gets ``images/``, ``masks/`` (uint8 PNG of the same names, 255 where attacked), ``forms/`` (uint8 PNG,
    numbered as ``forms.json`` says), ``labels.csv`` (the returned table), ``truth.csv`` (one row an image as well),
    ``specimens.csv``, and of every coupon a polarisation sweep and an impedance spectrum in ``curves/``, their truth in
    ``curves.csv`` (see :func:`write_curves`). It is complete or absent.

    Parameters
    ----------
    out_dir : path
    specimens : sequence of CorrosionSpecimen
        With views; see :func:`corrosion_set`.
    size : tuple of int
        Width and height of a picture in pixels, without info bar.
    bars : bool
        Add the microscopes' info bars; masks and forms are 0 there.
    file_format : {"png", "tiff"}
        PNG carries no scale; TIFF carries it as ImageJ does.
    jobs : int, optional
        Processes; see :func:`sorby.phantom.writing.share_out`.
    overwrite : bool
        Replace an existing folder.
    progress : callable, optional
        Called with images done and images in all.

    Returns
    -------
    pandas.DataFrame
        One row an image, ``image`` and ``mask`` relative to *out_dir* (kept in ``attrs["root"]``).

    Raises
    ------
    InputError
        A request cannot be met, or the folder cannot be written.
    """
    total = sum(len(specimen.views) for specimen in specimens)
    with staged_directory(out_dir, overwrite=overwrite) as folder:
        for part in ("images", "masks", "forms"):
            (folder / part).mkdir()
        work = [_Job(str(folder), specimen, size, bars, file_format) for specimen in specimens]
        rows = gather(_write_specimen, work, jobs, total, progress)
        table = pd.DataFrame([label for label, _ in rows])
        table.to_csv(folder / "labels.csv", index=False)
        pd.DataFrame([true for _, true in rows]).to_csv(folder / "truth.csv", index=False)
        pd.DataFrame([specimen_row(specimen) for specimen in specimens]).to_csv(folder / "specimens.csv", index=False)
        write_json(folder / "forms.json", FORMS)
        write_curves(folder, specimens)
    table.attrs["root"] = str(out_dir)
    return table


def write_plate(out_dir: Path | str, plate: CorrosionPlate, *, overwrite: bool = False) -> Path:
    """Write a plate and its truth map.

    The folder gets ``plate.tif`` (with its scale), ``severity.png`` (grades 0 to 4 as grey levels), ``forms.png``,
    ``expected_share.npy`` (float32) and ``plate.json`` (pixel size, bounds of the grades, area and attacked share by
    grade). It is complete or absent.

    Parameters
    ----------
    out_dir : path
    plate : CorrosionPlate
    overwrite : bool
        Replace an existing folder.

    Returns
    -------
    Path
        The folder.
    """
    with staged_directory(out_dir, overwrite=overwrite) as folder:
        write_picture(folder / "plate.tif", plate.pixels, plate.pixel_size_um)
        write_mask(folder / "severity.png", plate.severity)
        write_mask(folder / "forms.png", plate.forms)
        np.save(folder / "expected_share.npy", plate.expected_share, allow_pickle=False)
        facts = {
            **specimen_row(plate.specimen),
            "severity": int(grade(plate.expected_share.mean())),
            "expected_share": float(plate.expected_share.mean()),
            "attacked_fraction": float(plate.attacked.mean()),
            "pixel_size_um": plate.pixel_size_um,
            "grade_bounds": list(GRADE_BOUNDS),
            "area_by_severity": {str(k): v for k, v in plate.area_by_severity().items()},
            "attacked_by_severity": {str(k): v for k, v in plate.attacked_by_severity().items()},
            "forms": dict(FORMS),
        }
        write_json(folder / "plate.json", facts)
    return Path(out_dir)


def _write_specimen(job: _Job) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    folder, suffix = Path(job.folder), ".tif" if job.file_format == "tiff" else ".png"
    rows = []
    for plan in job.specimen.views:
        view = render(job.specimen, plan, job.size)
        if job.bars:
            view = with_bar(view, job.specimen)
        name = view_name(job.specimen, plan)
        write_picture(folder / "images" / f"{name}{suffix}", view.pixels, view.pixel_size_um)
        write_mask(folder / "masks" / f"{name}.png", view.attacked)
        write_mask(folder / "forms" / f"{name}.png", view.forms)
        image = f"images/{name}{suffix}"
        label = {"image": image, "mask": f"masks/{name}.png", **label_row(job.specimen, view)}
        label |= {"label_source": "phantom", "phantom": True}
        rows.append((label, {"image": image, **truth_row(job.specimen, view)}))
    return rows
