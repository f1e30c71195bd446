"""Inclusion content of fields and of a specimen, in the spirit of ASTM E1245."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.measure.boundary_scores import mask_intersections
from sorby.measure.grain_counting import parallel_lines
from sorby.measure.grain_fields import ANGLES, MAX_RELATIVE_ACCURACY
from sorby.measure.grain_size import field_statistics
from sorby.measure.inclusion_segmentation import InclusionMap

EDITION = "after ASTM E1245-03(2016)"
"""Quantities as E1245 defines them; its preparation, magnification and field rules are the user's to keep."""

MIN_FIELDS = 20
"""Fewer fields than this hardly bound an area fraction; E1245 asks for far more on clean steels."""


@dataclass(frozen=True)
class InclusionField:
    """Inclusions of one field.

    Attributes
    ----------
    area_fraction : float
        A_A, share of the field, 0 .. 1.
    count : int
        Inclusions, those cut by the frame included.
    per_mm2 : float
        N_A.
    areas_um2 : ndarray of float64, (n,)
        Area of each inclusion that the frame does not cut.
    feret_um : ndarray of float64, (n,)
        Longer side of the upright box of each of these.
    area_mm2 : float
        Area of the field.
    intercepts_per_mm : float
        N_L, inclusions met per millimetre of test line.
    """

    area_fraction: float
    count: int
    per_mm2: float
    areas_um2: npt.NDArray[np.float64]
    feret_um: npt.NDArray[np.float64]
    area_mm2: float
    intercepts_per_mm: float

    @property
    def mean_area_um2(self) -> float | None:
        """Mean area of an inclusion, None where there is none."""
        return float(self.areas_um2.mean()) if self.areas_um2.size else None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        areas = self.areas_um2
        return {
            "area_fraction": self.area_fraction,
            "count": self.count,
            "per_mm2": self.per_mm2,
            "intercepts_per_mm": self.intercepts_per_mm,
            "mean_area_um2": self.mean_area_um2,
            "median_area_um2": float(np.median(areas)) if areas.size else None,
            "largest_area_um2": float(areas.max()) if areas.size else None,
            "largest_feret_um": float(self.feret_um.max()) if areas.size else None,
            "area_mm2": self.area_mm2,
        }


def measure_inclusions(found: InclusionMap, pixel_size_um: float) -> InclusionField:
    """Measure the inclusions of one field.

    Parameters
    ----------
    found : InclusionMap
    pixel_size_um : float

    Raises
    ------
    InputError
        The pixel size is not positive.

    References
    ----------
    ASTM E1245: area fraction, number per area, number per length of test line, mean area.
    """
    if not (math.isfinite(pixel_size_um) and pixel_size_um > 0):
        raise InputError(f"pixel size must be positive, not {pixel_size_um}", "state micrometres per pixel")
    labels = found.labels
    n = int(labels.max())
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    whole = np.setdiff1d(np.arange(1, n + 1), edge)
    areas = np.bincount(labels.ravel(), minlength=n + 1)[whole] * pixel_size_um**2
    area_mm2 = labels.size * pixel_size_um**2 * 1e-6
    lines = 12
    met = mask_intersections(found.mask, lines)
    length_mm = _line_length(labels.shape[0], labels.shape[1], lines) * pixel_size_um / 1000
    return InclusionField(
        area_fraction=float((labels > 0).mean()),
        count=n,
        per_mm2=n / area_mm2,
        areas_um2=np.asarray(areas, np.float64),
        feret_um=_extents(labels, n)[whole - 1] * pixel_size_um,
        area_mm2=area_mm2,
        intercepts_per_mm=met / length_mm,
    )


def _line_length(height: int, width: int, lines: int) -> float:
    drawn = [line for angle in ANGLES for line in parallel_lines((height, width), angle, lines)]
    return float(sum(np.hypot(*(line[-1] - line[0])) for line in drawn))


def _extents(labels: npt.NDArray[np.int32], n: int) -> npt.NDArray[np.float64]:
    """Return the longer side of each label's upright box, pixels, (n,)."""
    rows, cols = np.nonzero(labels)
    which = labels[rows, cols] - 1
    sides = []
    for places in (rows, cols):
        low, high = np.full(n, np.iinfo(np.int64).max), np.full(n, -1)
        np.minimum.at(low, which, places)
        np.maximum.at(high, which, places)
        sides.append(high - low + 1)
    return np.asarray(np.maximum(*sides), np.float64)


def summarise_inclusions(fields: Sequence[InclusionField]) -> dict[str, Any]:
    """Put the fields of one specimen together.

    Returns
    -------
    dict
        ``n_fields``, ``area_fraction``, ``per_mm2`` (each ``mean``, ``s``, ``ci95``, ``percent_ra``, ``n``),
        ``count``, ``mean_area_um2`` (over all inclusions), ``standard``, ``warnings``.

    Raises
    ------
    InputError
        There is no field.
    """
    if not fields:
        raise InputError("no field was measured", "give at least one readable image with a pixel size")
    fraction = field_statistics([field.area_fraction for field in fields])
    areas = np.concatenate([field.areas_um2 for field in fields])
    warnings = []
    if len(fields) == 1:
        warnings.append("one field: no s, no interval, no %RA")
    elif len(fields) < MIN_FIELDS:
        warnings.append(f"{len(fields)} fields, fewer than {MIN_FIELDS}: inclusions are spread unevenly")
    if fraction.relative_accuracy is not None and fraction.relative_accuracy > MAX_RELATIVE_ACCURACY:
        warnings.append(f"%RA of the area fraction is {fraction.relative_accuracy:.1f}: measure more fields")
    return {
        "n_fields": len(fields),
        "standard": EDITION,
        "area_fraction": fraction.as_dict(),
        "per_mm2": field_statistics([field.per_mm2 for field in fields]).as_dict(),
        "count": sum(field.count for field in fields),
        "mean_area_um2": float(areas.mean()) if areas.size else None,
        "warnings": warnings,
    }
