"""Needle lengths of a micrograph with a scale, measured and not graded by eye.

Two answers stand side by side: what can be traced, corrected for the border only, and an estimate of all needles
drawn by nature, hidden parts included, through a calibration on phantoms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.corpus.grades import HOUSE_SCALE, GradeTable
from sorby.errors import ImageError, InputError
from sorby.measure.length_distribution import Histogram, TracedLengths, histogram, traced_lengths
from sorby.measure.length_model import Estimate, LengthModel, default_model
from sorby.measure.needle_descriptors import Descriptors, describe
from sorby.measure.needle_surface import Surface, make_surface
from sorby.measure.ridge_segments import Segments, trace
from sorby.micrograph import Pixels, to_grey
from sorby.micrograph.region import NO_SURFACE, propose_region

Mask = npt.NDArray[np.bool_]

#: What every result says of itself.
CALIBRATION_NOTE = (
    "calibrated on phantoms only: on real micrographs the calibration has not been verified;"
    " check against manual measurements"
)
SUBTYPES = ("B", "G", "M")
#: Pixels up to this size resolve the narrowest band of filters.
COARSEST_PIXEL_UM = 0.35
_LEAST_FIELD_UM2 = 400.0
_LEAST_SIDE_UM = 15.0
#: Noise, resin and grains answer to all directions alike and reach 3.0; needles exceed this.
LEAST_ORIENTEDNESS = 3.06
_LEAST_SEGMENTS = 8


@dataclass(frozen=True, eq=False)
class NeedleLengths:
    """The needle lengths of one micrograph.

    Attributes
    ----------
    pixel_size_um : float
        Pixel size in micrometres.
    field_um2 : float
        Area of the region of interest in square micrometres.
    region : ndarray of bool, shape (height, width)
        Region of interest.
    segments : Segments
        Traced needles.
    traced : TracedLengths
        Their statistics, corrected for the border only.
    estimates : mapping of str to Estimate
        ``mean``, ``q05`` to ``q95``, ``largest`` (mean of the longest .5 %) in micrometres, ``per_mm2`` and
        ``coarse_area``, of all needles centred in the region, with 95 % intervals.
    histogram : Histogram
        Shares by length, estimated and traced.
    warnings : tuple of str
        What the reader must know.
    """

    pixel_size_um: float
    field_um2: float
    region: Mask
    segments: Segments
    traced: TracedLengths
    estimates: Mapping[str, Estimate]
    histogram: Histogram
    warnings: tuple[str, ...]

    @property
    def untraced_share(self) -> float:
        """Estimated share of needles that no traced segment stands for: hidden, merged or too faint."""
        expected = self.estimates["per_mm2"].value * self.field_um2 * 1e-6
        return float(np.clip(1 - self.traced.n / max(expected, 1e-9), 0, 1))

    def grades(self, table: GradeTable = HOUSE_SCALE, subtype: str | None = None) -> dict[str, dict[str, Any]]:
        """Return the size class by both criteria, for a subtype or for each and for the neutral factor 1.

        Parameters
        ----------
        table : GradeTable
            The house scale.
        subtype : {"B", "G", "M"}, optional
            Known from the heat treatment; where it is not, all three are graded, and ``neutral`` with factor 1.

        Returns
        -------
        dict
            For each: ``mean`` and ``maximum`` (size class), ``mean_ci95`` and ``maximum_ci95`` (the classes that the
            ends of the interval fall into, coarse first).
        """
        names = {subtype: subtype} if subtype else {"neutral": "", **{name: name for name in SUBTYPES}}
        return {label: self._graded(table, name) for label, name in names.items()}

    def _graded(self, table: GradeTable, subtype: str) -> dict[str, Any]:
        mean, largest = self.estimates["mean"], self.estimates["largest"]
        return {
            "mean": table.size_class(mean.value, subtype, "mean"),
            "maximum": table.size_class(largest.value, subtype, "maximum"),
            "mean_ci95": [table.size_class(end, subtype, "mean") for end in reversed(mean.ci95)],
            "maximum_ci95": [table.size_class(end, subtype, "maximum") for end in reversed(largest.ci95)],
        }


def measure_needles(
    pixels: Pixels,
    pixel_size_um: float,
    *,
    region: Mask | None = None,
    largest_share: float = HOUSE_SCALE.largest_share,
    model: LengthModel | None = None,
) -> NeedleLengths:
    """Measure the needle lengths of a micrograph.

    Parameters
    ----------
    pixels : ndarray, shape (height, width) or (height, width, 3)
        The micrograph, uint8, uint16 or float32; dark or bright needles.
    pixel_size_um : float
        Pixel size in micrometres.
    region : ndarray of bool, shape (height, width), optional
        Region of interest; proposed automatically where None.
    largest_share : float
        Share by number whose mean length is the largest; the calibration knows .005 only.
    model : LengthModel, optional
        The calibration; sorby's own where None.

    Returns
    -------
    NeedleLengths

    Raises
    ------
    ImageError
        No specimen surface, too small a field, too coarse pixels, or nothing with a direction to trace.
    InputError
        Another *largest_share* than the calibration's.
    """
    if not np.isclose(largest_share, HOUSE_SCALE.largest_share):
        raise InputError(
            f"largest_share {largest_share:g}: the calibration knows the longest {HOUSE_SCALE.largest_share:.1%} only",
            f"leave largest_share at {HOUSE_SCALE.largest_share:g}",
        )
    if pixel_size_um > COARSEST_PIXEL_UM:
        raise ImageError(
            f"pixels of {pixel_size_um:.3g} um are too coarse to see needles (at most {COARSEST_PIXEL_UM} um)",
            "use a higher magnification",
        )
    mask = propose_region(pixels, pixel_size_um).mask if region is None else region
    surface = make_surface(to_grey(pixels), mask, pixel_size_um)
    _refuse_small(surface)
    descriptors = describe(surface)
    segments = trace(surface) if descriptors is not None else None
    if (
        descriptors is None
        or segments is None
        or descriptors.orientedness < LEAST_ORIENTEDNESS
        or int(np.sum(~segments.cut)) < _LEAST_SEGMENTS
    ):
        raise ImageError(
            "nothing to trace: the surface shows no needles (no lines with a direction)",
            "check focus, etch and region of interest; resin and structureless fields have no needle length",
        )
    traced = traced_lengths(segments, _frame_um(surface), largest_share=largest_share)
    model = default_model() if model is None else model
    values = all_descriptors(descriptors, segments, surface)
    estimates = model.estimate(np.array([values[name] for name in model.names]))
    quantiles = np.array([estimates[name].value for name in ("q05", "q25", "q50", "q75", "q95")])
    field_um2 = float(surface.valid.sum()) * surface.pixel_size_um**2
    return NeedleLengths(
        pixel_size_um=pixel_size_um,
        field_um2=field_um2,
        region=mask,
        segments=segments,
        traced=traced,
        estimates=estimates,
        histogram=histogram(traced, quantiles),
        warnings=tuple(_doubts(model, values, estimates, pixel_size_um, field_um2)),
    )


def all_descriptors(descriptors: Descriptors, segments: Segments, surface: Surface) -> dict[str, float]:
    """Return every descriptor by name: those of the bands, and those of the traced segments."""
    logarithm = np.log(segments.reach_um)
    field_um2 = float(surface.valid.sum()) * surface.pixel_size_um**2
    named = dict(zip(descriptors.names, descriptors.values.tolist(), strict=True))
    for share in (5, 25, 50, 75, 95):
        named[f"traced_q{share:02d}"] = float(np.quantile(logarithm, share / 100))
    named["traced_mean"] = float(np.log(segments.reach_um.mean()))
    named["traced_density"] = float(np.log(len(segments) / field_um2))
    named["traced_total"] = float(np.log(segments.reach_um.sum() / field_um2))
    return named


def _frame_um(surface: Surface) -> tuple[float, float]:
    rows, columns = (np.flatnonzero(surface.valid.any(axis=axis)) for axis in (1, 0))
    return (
        float((rows[-1] - rows[0] + 1) * surface.pixel_size_um),
        float((columns[-1] - columns[0] + 1) * surface.pixel_size_um),
    )


def _refuse_small(surface: Surface) -> None:
    if not surface.valid.any():
        raise ImageError(NO_SURFACE, "give a micrograph that shows the specimen, or the region of interest")
    area = float(surface.valid.sum()) * surface.pixel_size_um**2
    if area < _LEAST_FIELD_UM2 or min(_frame_um(surface)) < _LEAST_SIDE_UM:
        raise ImageError(
            f"the field of {area:.0f} um2 is too small to measure needles in",
            f"show at least {_LEAST_FIELD_UM2:.0f} um2 of the specimen, no side below {_LEAST_SIDE_UM:.0f} um",
        )


def _doubts(
    model: LengthModel,
    values: Mapping[str, float],
    estimates: Mapping[str, Estimate],
    pixel_size_um: float,
    field_um2: float,
) -> list[str]:
    """Return what makes this measurement less sure than the calibration's own."""
    ranges = model.provenance["ranges"]
    doubts = [CALIBRATION_NOTE]
    low, high = ranges["pixel_size_um"]
    if not 0.9 * low <= pixel_size_um <= 1.1 * high:
        doubts.append(f"pixel size {pixel_size_um:.3g} um lies outside the calibrated {low:.3g} to {high:.3g} um")
    low, high = ranges["mean_um"]
    if not low <= estimates["mean"].value <= high:
        doubts.append(f"mean length lies outside the calibrated {low:.2g} to {high:.2g} um")
    if field_um2 < 0.9 * ranges["field_um2"][0]:
        doubts.append(
            f"the field of {field_um2:.0f} um2 is smaller than any calibrated one ({ranges['field_um2'][0]:.0f} um2):"
            " the intervals are too narrow"
        )
    if model.distance(np.array([values[name] for name in model.names])) > 1:
        doubts.append("the structure resembles no calibration phantom: the corrected lengths may be far off")
    return doubts
