"""One field measured, and several fields of one specimen put together, with everything a reader must be warned of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sorby.errors import ImageError, InputError
from sorby.measure.grain_counting import (
    ASTM_E112_WEIGHTS,
    ISO_643_WEIGHTS,
    CountingWeights,
    Labels,
    LineCount,
    count_all,
    parallel_lines,
    three_circles,
)
from sorby.measure.grain_size import (
    EDITIONS,
    AstmGrainSize,
    GrainSize,
    Standard,
    field_statistics,
    from_grains_per_mm2,
)

Method = Literal["intercept", "planimetric", "both"]
Pattern = Literal["lines", "circles"]
Window = Literal["rectangle", "circle"]

ANGLES = (0.0, 45.0, 90.0, 135.0)
MIN_COUNT = 50
"""E112 asks for at least 50 intercepts, and for at least 50 grains, in a field."""
MIN_FIELDS = 5
MAX_RELATIVE_ACCURACY = 10.0
"""%RA above this is not acceptable for most purposes (E112, section 15)."""
MAX_ANISOTROPY = 1.2
"""Ratio of mean intercepts of two directions from which a structure is not called equiaxed here; the house's choice."""

# Intercept lengths of an equiaxed structure scatter by about .6 of their mean along one direction.
_INTERCEPT_CV = 0.6
_SIGNIFICANT = 3.0


@dataclass(frozen=True)
class PlanimetricCount:
    """Grains counted in a window.

    Attributes
    ----------
    inside, intersected, corners : int
        Grains wholly inside; cut by the edge; and at a corner of a rectangle (not among the intersected).
    window : str
        ``rectangle`` or ``circle``.
    area_px : float
        Area of the window in pixels.
    """

    inside: int
    intersected: int
    corners: int
    window: Window
    area_px: float

    @property
    def grains(self) -> float:
        """Equivalent number of whole grains: inside + half of the intersected, + 1 for a rectangle's four corners."""
        return self.inside + self.intersected / 2 + (1.0 if self.window == "rectangle" else 0.0)


def planimetric_count(labels: Labels, window: Window = "rectangle") -> PlanimetricCount:
    """Count grains by Jeffries' procedure.

    Parameters
    ----------
    labels : ndarray of int, (H, W)
        Grains 1, 2 ...; 0 is boundary and belongs to no grain.
    window : {"rectangle", "circle"}
        The whole field, its corner grains counted a quarter for each corner (Saltykov); or Jeffries' circle, the
        largest that fits. The circle counts one grain too many on average, whatever its size, which matters below
        some 50 grains; the rectangle with its corner rule does not.

    Returns
    -------
    PlanimetricCount

    References
    ----------
    Z. Jeffries, A. H. Kline, E. B. Zimmer, Trans. AIME 54 (1917) 594. S. A. Saltykov, Stereometric Metallography
    (1958). ASTM E112, planimetric procedure; ISO 643, planimetric method.
    """
    if window == "circle":
        return _in_circle(labels)
    edges = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    corners = set(np.unique(labels[[0, 0, -1, -1], [0, -1, 0, -1]]).tolist()) - {0}
    cut = set(np.unique(edges).tolist()) - {0} - corners
    total = np.unique(labels)
    inside = int((total != 0).sum()) - len(cut) - len(corners)
    return PlanimetricCount(inside, len(cut), len(corners), "rectangle", float(labels.size))


def _in_circle(labels: Labels) -> PlanimetricCount:
    height, width = labels.shape
    radius = min(height, width) / 2
    y, x = np.ogrid[0:height, 0:width]
    disc = (y - (height - 1) / 2) ** 2 + (x - (width - 1) / 2) ** 2 <= radius**2
    # A grain that reaches the frame where the circle touches it is cut as well.
    frame = np.zeros(labels.shape, bool)
    frame[[0, -1]] = frame[:, [0, -1]] = True
    within = set(np.unique(labels[disc]).tolist()) - {0}
    beyond = set(np.unique(labels[~disc | frame]).tolist()) - {0}
    return PlanimetricCount(len(within - beyond), len(within & beyond), 0, "circle", math.pi * radius**2)


@dataclass(frozen=True)
class InterceptMeasurement:
    """Mean lineal intercept of one field.

    Attributes
    ----------
    mean_intercept_um : float
        Test line length over weighted intersections.
    intersections, intercepts : float
        Weighted counts P and N.
    length_um : float
        Test line length.
    by_direction_um : dict of str to float or None
        Mean intercept along 0 (rows), 45, 90 and 135 degrees; None where a direction met no boundary, empty for
        circles.
    anisotropy : float or None
        Largest of these over the smallest.
    anisotropic : bool
        The ratio is above `MAX_ANISOTROPY` and beyond what the counts scatter.
    weights : str
        The counting weights, in words.
    """

    mean_intercept_um: float
    intersections: float
    intercepts: float
    length_um: float
    by_direction_um: dict[str, float | None]
    anisotropy: float | None
    anisotropic: bool
    weights: str


@dataclass(frozen=True)
class GrainField:
    """What was measured in one field.

    Attributes
    ----------
    pixel_size_um : float
    standard : str
        ``astm-e112`` or ``iso-643``.
    intercept : InterceptMeasurement or None
    planimetric : PlanimetricCount or None
    intercept_g, planimetric_g : grain size or None
        The number by each method, of the type of its standard.
    grains_per_mm2 : float or None
    warnings : tuple of str
    """

    pixel_size_um: float
    standard: Standard
    intercept: InterceptMeasurement | None
    planimetric: PlanimetricCount | None
    intercept_g: AstmGrainSize | None
    planimetric_g: GrainSize | None
    grains_per_mm2: float | None
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        entry: dict[str, Any] = {"pixel_size_um": self.pixel_size_um, "standard": EDITIONS[self.standard]}
        if self.intercept is not None:
            found = self.intercept
            entry["intercept"] = {
                "g": None if self.intercept_g is None else self.intercept_g.number,
                "mean_intercept_um": found.mean_intercept_um,
                "intersections": found.intersections,
                "intercepts": found.intercepts,
                "length_um": found.length_um,
                "by_direction_um": found.by_direction_um,
                "anisotropy": found.anisotropy,
                "weights": found.weights,
            }
        if self.planimetric is not None:
            count = self.planimetric
            entry["planimetric"] = {
                "g": None if self.planimetric_g is None else self.planimetric_g.number,
                "grains": count.grains,
                "inside": count.inside,
                "intersected": count.intersected,
                "corners": count.corners,
                "window": count.window,
                "grains_per_mm2": self.grains_per_mm2,
                "area_mm2": count.area_px * self.pixel_size_um**2 * 1e-6,
            }
        return {**entry, "warnings": list(self.warnings)}


def measure_field(
    labels: Labels,
    pixel_size_um: float,
    *,
    method: Method = "both",
    standard: Standard = "astm-e112",
    pattern: Pattern = "lines",
    window: Window = "rectangle",
    lines_per_direction: int = 20,
) -> GrainField:
    """Measure the grain size of one field.

    Parameters
    ----------
    labels : ndarray of int, (H, W)
        Grains 1, 2 ...; 0 is boundary. See `grains_from_boundaries`.
    pixel_size_um : float
        Edge of a pixel, micrometres.
    method : {"both", "intercept", "planimetric"}
    standard : {"astm-e112", "iso-643"}
        ISO 643 numbers are given by the planimetric method only.
    pattern : {"lines", "circles"}
        Heyn's straight lines in four directions, or Abrams' three circles.
    window : {"rectangle", "circle"}
        For the planimetric count, see `planimetric_count`.
    lines_per_direction : int
        Straight test lines in each direction.

    Returns
    -------
    GrainField

    Raises
    ------
    ImageError
        No boundary, so no number; or a single grain.
    InputError
        The pixel size is not positive, or ISO 643 is asked for by intercepts.
    """
    if not (math.isfinite(pixel_size_um) and pixel_size_um > 0):
        raise InputError(f"pixel size must be positive, not {pixel_size_um}", "state micrometres per pixel")
    if standard == "iso-643" and method == "intercept":
        raise InputError(
            "an ISO 643 number is given by the planimetric method only",
            "use --method planimetric, or --standard astm-e112 for intercepts",
        )
    n_grains = np.unique(labels[labels != 0]).size
    if n_grains < 2:
        found = "no grain at all" if n_grains == 0 else "a single grain"
        raise ImageError(
            f"no grain boundary found ({found}), so there is no grain size", "look at the etch, or draw it"
        )
    warnings: list[str] = []
    intercept = intercept_g = planimetric = planimetric_g = density = None
    if method != "planimetric":
        weights = ISO_643_WEIGHTS if standard == "iso-643" else ASTM_E112_WEIGHTS
        intercept = measure_intercepts(labels, pixel_size_um, pattern, lines_per_direction, weights)
        if standard == "astm-e112":
            intercept_g = AstmGrainSize.from_mean_intercept(intercept.mean_intercept_um / 1000)
        warnings += _intercept_warnings(intercept)
    if method != "intercept":
        planimetric = planimetric_count(labels, window)
        density = planimetric.grains / (planimetric.area_px * pixel_size_um**2 * 1e-6)
        planimetric_g = from_grains_per_mm2(density, standard)
    if n_grains < MIN_COUNT:
        warnings.append(f"only {n_grains} grains in the field, fewer than {MIN_COUNT}: use a lower magnification")
    return GrainField(
        pixel_size_um, standard, intercept, planimetric, intercept_g, planimetric_g, density, tuple(warnings)
    )


def measure_intercepts(
    labels: Labels,
    pixel_size_um: float,
    pattern: Pattern = "lines",
    lines_per_direction: int = 20,
    weights: CountingWeights = ASTM_E112_WEIGHTS,
) -> InterceptMeasurement:
    """Count along the test lines of one field; see `measure_field`.

    Raises
    ------
    ImageError
        No test line meets a boundary.
    """
    shape = (labels.shape[0], labels.shape[1])
    directions: dict[str, LineCount] = {}
    if pattern == "circles":
        total = count_all(labels, three_circles(shape), closed=True)
    else:
        for angle in ANGLES:
            directions[f"{angle:g}"] = count_all(labels, parallel_lines(shape, angle, lines_per_direction))
        total = sum(directions.values(), LineCount())
    intersections = total.intersections(weights)
    if intersections == 0:
        raise ImageError("no test line meets a grain boundary, so there is no grain size", "use a lower magnification")
    counts = {name: found.intersections(weights) for name, found in directions.items()}
    lengths = {
        name: found.length_px * pixel_size_um / counts[name] if counts[name] else None
        for name, found in directions.items()
    }
    ratio, significant = _anisotropy(lengths, counts)
    length_um = total.length_px * pixel_size_um
    return InterceptMeasurement(
        mean_intercept_um=length_um / intersections,
        intersections=intersections,
        intercepts=total.intercepts(weights),
        length_um=length_um,
        by_direction_um=lengths,
        anisotropy=ratio,
        anisotropic=significant,
        weights=weights.name,
    )


def _anisotropy(lengths: dict[str, float | None], counts: dict[str, float]) -> tuple[float | None, bool]:
    """Return the ratio of the extreme directions and whether it is beyond the scatter of the counts."""
    known = {name: length for name, length in lengths.items() if length is not None}
    if len(known) < len(lengths):  # one direction never leaves its grains: as elongated as can be
        return None, True
    if not known:
        return None, False
    longest, shortest = max(known, key=known.__getitem__), min(known, key=known.__getitem__)
    ratio = known[longest] / known[shortest]
    spread = _INTERCEPT_CV * math.sqrt(1 / counts[longest] + 1 / counts[shortest])
    return ratio, ratio > MAX_ANISOTROPY and math.log(ratio) > _SIGNIFICANT * spread


def _intercept_warnings(found: InterceptMeasurement) -> list[str]:
    lines = []
    if found.intersections < MIN_COUNT:
        lines.append(f"only {found.intersections:g} intersections in the field, fewer than {MIN_COUNT}")
    if found.anisotropic:
        ratio = "without limit" if found.anisotropy is None else f"{found.anisotropy:.2f}"
        lines.append(
            f"elongated grains: mean intercepts of two directions differ by a factor {ratio}; one number does not "
            "describe them, E112 asks for three principal sections"
        )
    return lines


def sub_fields(labels: Labels, n: int) -> list[Labels]:
    """Cut a field into *n* x *n* sub-fields of equal size; they lie side by side and are not independent specimens."""
    if n < 1:
        raise InputError(f"sub-fields must be at least 1, not {n}", "1 takes each image as one field")
    return [part for band in np.array_split(labels, n, axis=0) for part in np.array_split(band, n, axis=1)]


def summarise_specimen(fields: Sequence[GrainField]) -> dict[str, Any]:
    """Put the fields of one specimen together.

    Parameters
    ----------
    fields : sequence of GrainField
        All of one standard.

    Returns
    -------
    dict
        ``n_fields``, ``standard``, ``warnings`` and, for each method used, ``intercept`` (``mean_intercept_um`` and
        ``g``) and ``planimetric`` (``grains_per_mm2`` and ``g``). A quantity holds ``mean``, ``s``, ``ci95``,
        ``percent_ra``, ``n``; ``g`` holds ``value`` (of the mean quantity), ``ci95`` (its limits converted), ``s``
        (of the fields' numbers) and ``standard``.

    Raises
    ------
    InputError
        No field, or fields of two standards, whose numbers must not be averaged.

    References
    ----------
    ASTM E112, section 15: the mean intercept (or count) is averaged and then converted, never the G numbers.
    """
    if len({field.standard for field in fields}) > 1:
        raise InputError("fields of two standards cannot be averaged", "measure them all by one")
    if not fields:
        raise InputError("no field was measured", "give at least one image in which boundaries are found")
    standard = fields[0].standard
    summary: dict[str, Any] = {"n_fields": len(fields), "standard": EDITIONS[standard]}
    warnings: list[str] = []
    intercepts = [field.intercept for field in fields if field.intercept is not None]
    if intercepts:
        over = field_statistics([found.mean_intercept_um for found in intercepts])
        summary["intercept"] = {"mean_intercept_um": over.as_dict()}
        if standard == "astm-e112":
            summary["intercept"]["g"] = _number(
                over.mean, over.ci95, lambda um: AstmGrainSize.from_mean_intercept(um / 1000).number,
                [field.intercept_g.number for field in fields if field.intercept_g is not None], standard,
            )  # fmt: skip
        warnings += _accuracy_warning("mean intercept", over.relative_accuracy)
        if any(found.anisotropic for found in intercepts):
            warnings.append("elongated grains in at least one field")
    densities = [field.grains_per_mm2 for field in fields if field.grains_per_mm2 is not None]
    if densities:
        over = field_statistics(densities)
        summary["planimetric"] = {
            "grains_per_mm2": over.as_dict(),
            "g": _number(
                over.mean, over.ci95, lambda density: from_grains_per_mm2(density, standard).number,
                [field.planimetric_g.number for field in fields if field.planimetric_g is not None], standard,
            ),
        }  # fmt: skip
        warnings += _accuracy_warning("grains per mm2", over.relative_accuracy)
    if len(fields) == 1:
        warnings.append("one field: no s, no interval, no %RA")
    elif len(fields) < MIN_FIELDS:
        warnings.append(f"{len(fields)} fields, fewer than {MIN_FIELDS}")
    return {**summary, "warnings": warnings}


def _number(
    mean: float,
    ci95: tuple[float, float] | None,
    convert: Callable[[float], float],
    numbers: Sequence[float],
    standard: Standard,
) -> dict[str, Any]:
    """Convert a mean and its limits to G; a limit at or below zero has none."""
    limits = None
    if ci95 is not None and ci95[0] > 0:
        limits = sorted(convert(bound) for bound in ci95)
    s = float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None
    return {"value": convert(mean), "ci95": limits, "s": s, "n": len(numbers), "standard": EDITIONS[standard]}


def _accuracy_warning(what: str, relative_accuracy: float | None) -> list[str]:
    if relative_accuracy is None or relative_accuracy <= MAX_RELATIVE_ACCURACY:
        return []
    return [f"%RA of the {what} is {relative_accuracy:.1f}, above {MAX_RELATIVE_ACCURACY:g}: measure more fields"]
