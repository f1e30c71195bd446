"""``measure grains``: grain size of micrographs, boundary masks or label images, field by field and by specimen."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from sorby.bundle import open_bundle
from sorby.errors import ImageError
from sorby.files import atomic_write, staged_directory
from sorby.measure.boundary_tracing import close_boundaries, trace_boundaries
from sorby.measure.grain_counting import boundary_of, grains_from_boundaries
from sorby.measure.grain_fields import (
    GrainField,
    Method,
    Pattern,
    Window,
    measure_field,
    sub_fields,
    summarise_specimen,
)
from sorby.measure.grain_size import EDITIONS, Standard
from sorby.measure.segmenter import Segmenter, require_marks
from sorby.micrograph import Micrograph, to_grey, to_rgb, to_uint8
from sorby.workflow.measuring.images import measure_each

Source = Literal["micrograph", "mask", "labels"]
BySpecimen = Literal["all", "folder", "image"]

# Closed rather than seen: above this share the trace is mostly the watershed's opinion.
_MUCH_CLOSED = 0.15
_MANY_LEVELS = 16


@dataclass(frozen=True)
class GrainRequest:
    """How grains are to be measured; see `measure_grains`."""

    method: Method = "both"
    standard: Standard = "astm-e112"
    pattern: Pattern = "lines"
    window: Window = "rectangle"
    source: Source = "micrograph"
    fields: int = 1


@dataclass(frozen=True, eq=False)
class MeasuredGrains:
    """One image, its grains, and what was measured in its fields."""

    micrograph: Micrograph
    labels: npt.NDArray[np.int32]
    found_by: str
    fields: list[GrainField]
    warnings: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return the image's entry of the result."""
        scale = self.micrograph.scale
        entry: dict[str, Any] = {
            "file": str(self.micrograph.path),
            "pixel_size_um": scale.pixel_size_um,
            "scale_source": scale.source,
            "boundaries": self.found_by,
            "grains_seen": int(self.labels.max()),
        }
        parts = [field.as_dict() for field in self.fields]
        if len(parts) == 1:
            return {**entry, **parts[0], "warnings": [*self.warnings, *self.fields[0].warnings]}
        summary = summarise_specimen(self.fields)
        for name, quantity in (("intercept", "mean_intercept_um"), ("planimetric", "grains_per_mm2")):
            if name in summary:
                g = summary[name].get("g")
                entry[name] = {"g": None if g is None else g["value"], quantity: summary[name][quantity]["mean"]}
        said = [*self.warnings, *summary["warnings"], "sub-fields of one image are not independent fields"]
        return {**entry, "standard": summary["standard"], "over_fields": summary, "fields": parts, "warnings": said}


def measure_grains(
    images: Sequence[Path | str],
    *,
    pixel_size_um: float | None = None,
    request: GrainRequest | None = None,
    boundaries: Path | str | None = None,
    by_specimen: BySpecimen = "all",
    out: Path | str | None = None,
    require_signed: bool = False,
) -> dict[str, Any]:
    """Measure the grain size of images and put the fields of each specimen together.

    Parameters
    ----------
    images : sequence of path
        Files or folders.
    pixel_size_um : float, optional
        Scale of every image; overrules the files.
    request : GrainRequest, optional
    boundaries : path, optional
        Bundle of a segmenter taught on boundary lines; the classical tracer where not given.
    by_specimen : {"all", "folder", "image"}
        Whether all images are fields of one specimen, those of each folder, or each image is a specimen.
    out : path, optional
        Folder for ``grains.csv`` and an overlay of every image.
    require_signed : bool
        Refuse a bundle that no trusted key has signed.

    Returns
    -------
    dict
        ``images``, ``specimen`` (where all are one), ``specimens``, ``standard``, ``warnings``, ``quarantined``,
        ``out``.

    Raises
    ------
    InputError
        Nothing can be measured, or the bundle is not one of boundary lines.
    """
    request = request or GrainRequest()
    segmenter = None
    if boundaries is not None:
        segmenter = Segmenter.from_bundle(open_bundle(boundaries, require_signed=require_signed))
        require_marks(segmenter, "lines", boundaries)

    def one(micrograph: Micrograph) -> MeasuredGrains:
        try:
            return _measure(micrograph, request, segmenter)
        except ImageError as error:
            raise _naming(error, micrograph.path) from error

    measured, quarantined = measure_each(images, pixel_size_um, one, what="grains")
    if not measured:
        raise ImageError(
            f"no grain size could be measured in any of {len(quarantined)} images; first: {quarantined[0].file}: "
            f"{quarantined[0].reason}",
            "see the reasons with one image at a time",
        )
    specimens = _specimens(measured, by_specimen)
    result: dict[str, Any] = {
        "images": [each.as_dict() for each in measured],
        "specimens": specimens,
        "standard": EDITIONS[request.standard],
        "warnings": sorted({line for each in specimens for line in each["warnings"]}),
        "quarantined": [entry.as_dict() for entry in quarantined],
        "out": None,
    }
    if by_specimen == "all":
        result["specimen"] = specimens[0]
    if out is not None:
        _write(Path(out), measured)
        result["out"] = str(out)
    return result


def _measure(micrograph: Micrograph, request: GrainRequest, segmenter: Segmenter | None) -> MeasuredGrains:
    labels, found_by, warnings = grains_of(micrograph, request.source, segmenter)
    pixel_size_um = micrograph.scale.pixel_size_um
    if pixel_size_um is None:  # `measure_each` has refused such images
        raise ImageError("no pixel size", "state it with --pixel-size-um")
    fields = [
        measure_field(
            part,
            pixel_size_um,
            method=request.method,
            standard=request.standard,
            pattern=request.pattern,
            window=request.window,
        )
        for part in sub_fields(labels, request.fields)
    ]
    return MeasuredGrains(micrograph, labels, found_by, fields, warnings)


def grains_of(
    micrograph: Micrograph, source: Source, segmenter: Segmenter | None = None
) -> tuple[npt.NDArray[np.int32], str, list[str]]:
    """Return the grains of an image as labels, how they were found, and what to be warned of.

    Raises
    ------
    ImageError
        No boundary is found, or the image is not what it was said to be.
    """
    if source == "labels":
        return _from_labels(micrograph), "labels given", []
    if source == "mask":
        mask, inverted = _drawn(micrograph)
        warnings = ["most of the mask is marked: taken as dark boundaries on a bright ground"] if inverted else []
        return grains_from_boundaries(mask), "mask given", warnings
    if segmenter is not None:
        traced = close_boundaries(segmenter.probability(micrograph.pixels), segmenter.threshold)
        how = "segmenter, closed by watershed"
    else:
        traced = trace_boundaries(micrograph.pixels)
        how = f"ridge tracing, {traced.polarity} boundaries"
    warnings = []
    if traced.closed_share > _MUCH_CLOSED:
        warnings.append(
            f"{100 * traced.closed_share:.0f} % of the boundary length was not seen and closed by watershed: "
            "the etch is partial"
        )
    return traced.labels, how, warnings


def _drawn(micrograph: Micrograph) -> tuple[npt.NDArray[np.bool_], bool]:
    """Return a drawn boundary mask and whether it was inverted: boundaries are the smaller part."""
    grey = to_grey(micrograph.pixels)
    lossy = micrograph.path is not None and micrograph.path.suffix.lower() in (".jpg", ".jpeg")
    if not lossy and np.unique(grey).size > _MANY_LEVELS:
        raise ImageError("not a mask: it has many grey levels", "leave out --mask to have boundaries traced")
    marked = grey > (grey.max() / 2 if lossy else grey.min())
    if marked.mean() > 0.5:
        return ~marked, True
    return marked, False


def _from_labels(micrograph: Micrograph) -> npt.NDArray[np.int32]:
    values = to_grey(micrograph.pixels)
    if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
        raise ImageError("not a label image: it holds fractions", "store grain numbers as integers")
    _, flat = np.unique(np.append(values.ravel(), 0), return_inverse=True)
    return flat[:-1].reshape(values.shape).astype(np.int32)


def _specimens(measured: Sequence[MeasuredGrains], by: BySpecimen) -> list[dict[str, Any]]:
    groups: dict[str, list[MeasuredGrains]] = {}
    for each in measured:
        path = each.micrograph.path
        name = "all images" if by == "all" else str(path.parent if by == "folder" and path else path)
        groups.setdefault(name, []).append(each)
    return [
        {
            "specimen": name,
            "images": [str(each.micrograph.path) for each in members],
            **summarise_specimen([field for each in members for field in each.fields]),
        }
        for name, members in groups.items()
    ]


def _naming(error: ImageError, path: Path | None) -> ImageError:
    """Put the file's name before a message that lacks it."""
    if path is None or error.message.startswith(str(path)):
        return error
    return ImageError(f"{path}: {error.message}", error.hint)


_COLUMNS = (
    "image", "field", "pixel_size_um", "standard", "intercept_g", "mean_intercept_um", "intersections", "anisotropy",
    "planimetric_g", "grains", "grains_per_mm2", "boundaries", "warnings",
)  # fmt: skip


def _rows(measured: Sequence[MeasuredGrains]) -> Iterator[list[Any]]:
    for each in measured:
        for number, field in enumerate(each.fields, start=1):
            found, count = field.intercept, field.planimetric
            yield [
                str(each.micrograph.path), number, field.pixel_size_um, EDITIONS[field.standard],
                None if field.intercept_g is None else round(field.intercept_g.number, 4),
                None if found is None else round(found.mean_intercept_um, 5),
                None if found is None else found.intersections,
                None if found is None or found.anisotropy is None else round(found.anisotropy, 4),
                None if field.planimetric_g is None else round(field.planimetric_g.number, 4),
                None if count is None else count.grains,
                None if field.grains_per_mm2 is None else round(field.grains_per_mm2, 4),
                each.found_by, "; ".join([*each.warnings, *field.warnings]),
            ]  # fmt: skip


def _write(out: Path, measured: Sequence[MeasuredGrains]) -> None:
    """Write the table and the overlays; all or nothing."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    writer.writerows(_rows(measured))
    with staged_directory(out) as folder:
        with atomic_write(folder / "grains.csv") as file:
            file.write(text.getvalue().encode("utf-8", "backslashreplace"))
        names: set[str] = set()
        for each in measured:
            write_overlay(folder, each.micrograph, boundary_of(each.labels), names)


def write_overlay(folder: Path, micrograph: Micrograph, mark: npt.NDArray[np.bool_], names: set[str]) -> None:
    """Write the picture with what was found in red; a name used already gets a number."""
    stem = micrograph.path.stem if micrograph.path is not None else "image"
    name, number = f"{stem}.png", 2
    while name in names:
        name, number = f"{stem}-{number}.png", number + 1
    names.add(name)
    picture = np.array(to_rgb(to_uint8(micrograph.pixels)))
    picture[mark] = (230, 30, 30)
    with atomic_write(folder / name) as file:
        Image.fromarray(picture).save(file, format="PNG")
