"""``measure inclusions``: inclusion content of micrographs, field by field and over all of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skimage.segmentation import find_boundaries

from sorby.bundle import open_bundle
from sorby.errors import ImageError
from sorby.files import atomic_write, staged_directory
from sorby.measure.inclusion_segmentation import (
    DARKNESS,
    MIN_AREA_PX,
    InclusionMap,
    find_inclusions,
    inclusions_from_mask,
)
from sorby.measure.inclusion_statistics import EDITION, InclusionField, measure_inclusions, summarise_inclusions
from sorby.measure.segmenter import Segmenter, require_marks
from sorby.micrograph import Micrograph
from sorby.workflow.measuring.grains import write_overlay
from sorby.workflow.measuring.images import measure_each

_COLUMNS = (
    "image", "pixel_size_um", "area_fraction", "count", "per_mm2", "intercepts_per_mm", "mean_area_um2",
    "median_area_um2", "largest_area_um2", "largest_feret_um", "area_mm2",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Measured:
    micrograph: Micrograph
    found: InclusionMap
    field: InclusionField

    def as_dict(self) -> dict[str, Any]:
        scale = self.micrograph.scale
        return {
            "file": str(self.micrograph.path),
            "pixel_size_um": scale.pixel_size_um,
            "scale_source": scale.source,
            **self.field.as_dict(),
        }


def measure_inclusion_content(
    images: Sequence[Path | str],
    *,
    pixel_size_um: float | None = None,
    darkness: float = DARKNESS,
    min_area_px: int = MIN_AREA_PX,
    segmenter: Path | str | None = None,
    out: Path | str | None = None,
    require_signed: bool = False,
) -> dict[str, Any]:
    """Measure inclusions in every image, each a field of one specimen.

    Parameters
    ----------
    images : sequence of path
    pixel_size_um : float, optional
        Scale of every image; overrules the files.
    darkness, min_area_px : float, int
        See `sorby.measure.inclusion_segmentation.find_inclusions`.
    segmenter : path, optional
        Bundle of a segmenter taught on masks of inclusions, instead of the threshold.
    out : path, optional
        Folder for ``inclusions.csv`` and an overlay of every image.
    require_signed : bool
        Refuse a bundle that no trusted key has signed.

    Returns
    -------
    dict
        ``images``, ``specimen``, ``standard``, ``warnings``, ``quarantined``, ``out``.

    Raises
    ------
    InputError
        Nothing can be measured, or the bundle was taught on boundary lines.
    """
    model = None
    if segmenter is not None:
        model = Segmenter.from_bundle(open_bundle(segmenter, require_signed=require_signed))
        require_marks(model, "regions", segmenter)

    def one(micrograph: Micrograph) -> _Measured:
        try:
            if model is None:
                found = find_inclusions(micrograph.pixels, darkness=darkness, min_area_px=min_area_px)
            else:
                mask = model.probability(micrograph.pixels) >= model.threshold
                found = inclusions_from_mask(mask, min_area_px)
            size = micrograph.scale.pixel_size_um
            if size is None:  # `measure_each` has refused such images
                raise ImageError("no pixel size", "state it with --pixel-size-um")
            return _Measured(micrograph, found, measure_inclusions(found, size))
        except ImageError as error:
            raise ImageError(f"{micrograph.path}: {error.message}", error.hint) from error

    measured, quarantined = measure_each(images, pixel_size_um, one, what="inclusions")
    if not measured:
        first = quarantined[0]
        raise ImageError(
            f"no inclusions could be measured in any of {len(quarantined)} images; first: {first.file}: {first.reason}",
            "see the reasons with one image at a time",
        )
    specimen = summarise_inclusions([each.field for each in measured])
    if out is not None:
        _write(Path(out), measured)
    return {
        "images": [each.as_dict() for each in measured],
        "specimen": specimen,
        "standard": EDITION,
        "warnings": specimen["warnings"],
        "quarantined": [entry.as_dict() for entry in quarantined],
        "out": None if out is None else str(out),
    }


def _write(out: Path, measured: Sequence[_Measured]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for each in measured:
        entry = each.as_dict()
        writer.writerow([entry["file"], *(entry[name] for name in _COLUMNS[1:])])
    with staged_directory(out) as folder:
        with atomic_write(folder / "inclusions.csv") as file:
            file.write(text.getvalue().encode("utf-8", "backslashreplace"))
        names: set[str] = set()
        for each in measured:
            write_overlay(folder, each.micrograph, find_boundaries(each.found.labels, mode="inner"), names)
