"""``measure needles``: lengths and grades of every image that has a scale."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sorby.corpus.grade_files import read_grade_table
from sorby.corpus.grades import HOUSE_SCALE, MORPHOLOGY, GradeTable
from sorby.errors import ImageError, InputError
from sorby.files import atomic_write, staged_directory
from sorby.measure.length_model import Estimate
from sorby.measure.needle_lengths import CALIBRATION_NOTE, SUBTYPES, NeedleLengths, measure_needles
from sorby.measure.needle_overlay import draw_needles
from sorby.micrograph import Micrograph
from sorby.micrograph.region import find_region, read_region
from sorby.workflow.measuring.images import SCALE_HINT, measure_each

_STEM = 60  # characters of an image's name in its files'; a long one would not fit a file system
_QUANTILES = ("q05", "q25", "q50", "q75", "q95")
_LENGTHS = ("mean", *_QUANTILES, "largest")


@dataclass(frozen=True)
class _NeedleWriter:
    """Writes the pictures and distributions of images as they are measured; the table at the end."""

    folder: Path | None

    def add(self, number: int, micrograph: Micrograph, measured: NeedleLengths) -> None:
        """Write the overlay and the distribution of one image."""
        if self.folder is None:
            return
        stem = f"{number:05d}-{(micrograph.path or Path('image')).stem[:_STEM]}"
        with atomic_write(self.folder / "overlays" / f"{stem}.png") as file:
            Image.fromarray(draw_needles(micrograph.pixels, measured)).save(file, format="PNG")
        table = measured.histogram
        lines = zip(table.edges_um[:-1], table.edges_um[1:], table.estimated, table.traced, strict=True)
        columns = ("from_um", "to_um", "estimated_share", "traced_share")
        _write_csv(
            self.folder / "distributions" / f"{stem}.csv", columns, [[f"{v:.6g}" for v in line] for line in lines]
        )

    def finish(self, images: Sequence[Mapping[str, Any]]) -> None:
        """Write ``needles.csv``, one line an image."""
        if self.folder is None:
            return
        _write_csv(self.folder / "needles.csv", needle_columns(), [_needle_line(entry) for entry in images])


def needle_columns() -> list[str]:
    """Return the columns of ``needles.csv``."""
    lengths = [f"{name}_um{end}" for name in _LENGTHS for end in ("", "_low", "_high")]
    return [
        "image",
        "pixel_size_um",
        "pixel_size_source",
        "field_um2",
        *lengths,
        "n_traced",
        "traced_mean_um",
        "traced_q95_um",
        "cut_share",
        "untraced_share",
        "coarse_area_fraction",
        "criterion",
        "grade",
        "scale",
        "warnings",
    ]


def _needle_line(entry: Mapping[str, Any]) -> list[str]:
    low_high = entry["ci95"]
    values: list[Any] = [entry["image"], entry["pixel_size_um"], entry["pixel_size_source"], entry["field_um2"]]
    for name in _LENGTHS:
        value = entry["quantiles_um"][name] if name in _QUANTILES else entry[f"{name}_um"]
        values += [value, *low_high[f"{name}_um"]]
    values += [entry["n_traced"], entry["traced"]["mean_um"], entry["traced"]["q95_um"], entry["cut_share"]]
    values += [entry["untraced_share"], entry["coarse_area_fraction"], entry["criterion"], entry["grade"]]
    values += [entry["scale"], " | ".join(entry["warnings"])]
    return [f"{value:.6g}" if isinstance(value, float) else str(value) for value in values]


def _write_csv(path: Path, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(lines)
    with atomic_write(path) as file:
        file.write(text.getvalue().encode("utf-8", "backslashreplace"))


@contextmanager
def _destination(out: Path | str | None) -> Iterator[Path | None]:
    if out is None:
        yield None
        return
    with staged_directory(out) as folder:
        yield folder


def _named(statistics: Mapping[str, Estimate]) -> dict[str, Any]:
    values = {f"{name}_um": statistics[name].value for name in _LENGTHS}
    return {**values, "ci95": {f"{name}_um": list(statistics[name].ci95) for name in _LENGTHS}}


def _needle_entry(
    micrograph: Micrograph, measured: NeedleLengths, table: GradeTable, subtype: str | None
) -> dict[str, Any]:
    """Return one image's result as plain values."""
    estimates = measured.estimates
    coarse = estimates["coarse_area"].value
    criterion = table.criterion_for(coarse)
    grades = measured.grades(table, subtype)
    label = subtype or "neutral"
    size_class = grades[label][criterion]
    ranges = {f"{name}_um": list(estimates[name].ci95) for name in _LENGTHS}
    return {
        "image": str(micrograph.path),
        "pixel_size_um": measured.pixel_size_um,
        "pixel_size_source": micrograph.scale.source,
        "field_um2": measured.field_um2,
        "region_share": float(measured.region.mean()),
        "mean_um": estimates["mean"].value,
        "largest_um": estimates["largest"].value,
        "quantiles_um": {name: estimates[name].value for name in _QUANTILES},
        "ci95": {**ranges, "coarse_area_fraction": list(estimates["coarse_area"].ci95)},
        "n_traced": measured.traced.n,
        "traced": {"n": measured.traced.n, **_named(measured.traced.statistics)},
        "dark_share": float(np.mean(measured.segments.dark)),
        "cut_share": measured.traced.cut_share,
        "untraced_share": measured.untraced_share,
        "needles_per_mm2": estimates["per_mm2"].value,
        "distribution": {
            "edges_um": measured.histogram.edges_um.tolist(),
            "estimated_share": measured.histogram.estimated.tolist(),
            "traced_share": measured.histogram.traced.tolist(),
        },
        "coarse_area_fraction": coarse,
        "criterion": criterion,
        "grade": (subtype or "") + size_class,
        "morphology": MORPHOLOGY[criterion].get(size_class, ""),
        "grades": grades,
        "subtype": subtype,
        "scale": table.name,
        "warnings": [*measured.warnings, *micrograph.notes],
    }


def _drawn_region(micrograph: Micrograph) -> npt.NDArray[np.bool_] | None:
    """Return the region of interest that a person left beside the image, None where there is none.

    Raises
    ------
    ImageError
        The file does not fit the image: nothing is measured in a region that nobody meant.
    """
    file = None if micrograph.path is None else find_region(micrograph.path)
    if file is None:
        return None
    try:
        return read_region(file, micrograph.pixels.shape)
    except InputError as error:
        raise ImageError(error.message, error.hint) from error


def needles(
    paths: Sequence[Path | str],
    out: Path | str | None = None,
    *,
    pixel_size_um: float | None = None,
    subtype: str | None = None,
    table: Path | str | GradeTable | None = None,
) -> dict[str, Any]:
    """Measure needle lengths in every image.

    Parameters
    ----------
    paths : sequence of path
        Images, or folders of them.
    out : path, optional
        Folder for ``needles.csv``, ``distributions/`` and ``overlays/``; it appears when all is measured.
    pixel_size_um : float, optional
        Scale of every image; overrules the files.
    subtype : {"B", "G", "M"}, optional
        Known from the heat treatment; it enters the grade only.
    table : path or GradeTable, optional
        The house scale; sorby's own where None.

    Returns
    -------
    dict
        ``images`` (one entry each, lengths in micrometres), ``n``, ``scale``, ``calibration``, ``quarantined``,
        ``warnings``, ``out``.

    Raises
    ------
    InputError
        No image, an unknown subtype or a wrong table; or the only image cannot be measured.
    """
    if subtype is not None and subtype not in SUBTYPES:
        raise InputError(f"subtype {subtype!r} is unknown", f"allowed: {', '.join(SUBTYPES)}")
    grade_table = HOUSE_SCALE if table is None else table
    if not isinstance(grade_table, GradeTable):
        grade_table = read_grade_table(grade_table)
    with _destination(out) as folder:
        writer = _NeedleWriter(folder)
        number = 0

        def measure_one(micrograph: Micrograph) -> dict[str, Any]:
            nonlocal number
            assert micrograph.scale.pixel_size_um is not None
            try:
                measured = measure_needles(
                    micrograph.pixels,
                    micrograph.scale.pixel_size_um,
                    region=_drawn_region(micrograph),
                    largest_share=grade_table.largest_share,
                )
            except ImageError as error:
                raise ImageError(f"{micrograph.path}: {error.message}", error.hint) from error
            writer.add(number, micrograph, measured)
            number += 1
            return _needle_entry(micrograph, measured, grade_table, subtype)

        images, quarantined = measure_each(paths, pixel_size_um, measure_one, what="measuring needles")
        if not images:
            raise InputError(
                f"none of {len(quarantined)} images could be measured ({quarantined[0].reason})", SCALE_HINT
            )
        writer.finish(images)
    said = [] if subtype else ["no subtype given: the grade is by the neutral factor 1; see grades for B, G and M"]
    return {
        "images": images,
        "n": len(images),
        "scale": grade_table.name,
        "calibration": CALIBRATION_NOTE,
        "quarantined": [entry.as_dict() for entry in quarantined],
        "warnings": said,
        "out": None if out is None else str(out),
    }
