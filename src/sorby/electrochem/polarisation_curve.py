"""A polarisation measurement and its sweeps: potential, current, and where their units come from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sorby.errors import InputError
from sorby.evidence._types import FloatArray

#: Fewer points, or a shorter way in volts, are no sweep.
MIN_POINTS = 10
MIN_SPAN_V = 0.010
# A potential that turns back by less is noise of the instrument.
_REVERSAL_V = 0.004
# A single step so much longer than the usual one is the cell switched off, not a sweep.
_JUMP_STEPS = 20.0


@dataclass(frozen=True)
class Stated:
    """A fact about a file and where it stands.

    Attributes
    ----------
    value : str
        Such as ``A``, ``mA/cm2`` or ``anodic-positive``.
    source : str
        ``file``, ``option``, ``format`` (the instrument's documented convention) or ``default``.
    """

    value: str
    source: str


@dataclass(frozen=True)
class PolarisationCurve:
    """All points of one polarisation file, in the order they were measured.

    Attributes
    ----------
    potential_v : array, shape (n,)
        Against the reference electrode of the measurement.
    current : array, shape (n,)
        Anodic positive; A, or A/cm2 where `per_area`.
    per_area : bool
        Whether the file gives current densities.
    format : str
        What the file was recognised as.
    columns : (str, str)
        Names of the columns that were taken.
    potential_unit, current_unit, sign : Stated
        As they were in the file, before conversion.
    area_mm2, equivalent_weight, density_g_cm3 : float or None
        As the file states them.
    notes : tuple of str
        What the reader has to say.
    """

    potential_v: FloatArray
    current: FloatArray
    per_area: bool
    format: str
    columns: tuple[str, str]
    potential_unit: Stated
    current_unit: Stated
    sign: Stated
    area_mm2: float | None = None
    equivalent_weight: float | None = None
    density_g_cm3: float | None = None
    notes: tuple[str, ...] = ()

    def with_notes(self, *notes: str) -> PolarisationCurve:
        """Return the same curve with more to say."""
        return replace(self, notes=(*self.notes, *notes))


@dataclass(frozen=True)
class Sweep:
    """One monotonous run of potential.

    Attributes
    ----------
    potential_v, density_a_cm2 : array, shape (n,)
        In the order they were measured; anodic positive.
    direction : str
        ``up`` (to nobler potentials) or ``down``.
    first : int
        Row of the first point in the file.
    """

    potential_v: FloatArray
    density_a_cm2: FloatArray
    direction: str
    first: int

    @property
    def span_v(self) -> float:
        """Way from the lowest to the highest potential."""
        return float(np.ptp(self.potential_v))

    def ascending(self) -> tuple[FloatArray, FloatArray]:
        """Return potential (V) and current density (A/cm2) sorted by potential."""
        order = np.argsort(self.potential_v, kind="stable")
        return self.potential_v[order], self.density_a_cm2[order]


def densities(curve: PolarisationCurve, area_mm2: float | None) -> FloatArray:
    """Return current densities in A/cm2.

    Parameters
    ----------
    curve : PolarisationCurve
    area_mm2 : float or None
        Of the electrode; not needed where the file gives densities.

    Raises
    ------
    InputError
        The area is missing, zero or negative.
    """
    if curve.per_area:
        return curve.current
    if area_mm2 is None:
        raise InputError("the electrode's area is not known", "give --area-mm2")
    if not np.isfinite(area_mm2) or area_mm2 <= 0:
        raise InputError(f"an electrode's area of {area_mm2:g} mm2", "give the wetted area in mm2, above zero")
    return np.asarray(curve.current / (area_mm2 / 100.0), dtype=float)


def _turning_points(potential: FloatArray) -> list[int]:
    """Return the rows at which a potential turns, found with a hysteresis of a few millivolts."""
    turns: list[int] = []
    extreme, heading = 0, 0
    for row in range(1, len(potential)):
        way = potential[row] - potential[extreme]
        if heading == 0:
            if abs(way) >= _REVERSAL_V:
                heading, extreme = (1 if way > 0 else -1), row
        elif way * heading >= 0:
            extreme = row
        elif abs(way) >= _REVERSAL_V:
            turns.append(extreme)
            heading, extreme = -heading, row
    return turns


def split_sweeps(potential_v: FloatArray, density_a_cm2: FloatArray) -> tuple[list[Sweep], list[str]]:
    """Split a measurement at its turning points and jumps.

    Parameters
    ----------
    potential_v, density_a_cm2 : array, shape (n,)
        In the order they were measured.

    Returns
    -------
    sweeps : list of Sweep
        In file order, each at least ten points and 10 mV long.
    notes : list of str
        What was left out: points after the cell was switched off, at most.

    Raises
    ------
    InputError
        Nothing in the file is a sweep.
    """
    if len(potential_v) < MIN_POINTS:
        raise InputError(f"{len(potential_v)} points are no polarisation curve", f"at least {MIN_POINTS} are needed")
    steps = np.abs(np.diff(potential_v))
    moving = steps[steps > 0]
    if moving.size == 0:
        raise InputError("the potential never changes", "a polarisation curve sweeps the potential")
    jumps = np.flatnonzero(steps > max(_JUMP_STEPS * float(np.median(moving)), 0.02)) + 1
    sweeps, left_out = [], 0
    for start, stop in zip([0, *jumps], [*jumps, len(potential_v)], strict=True):
        turns = [int(start) + turn for turn in _turning_points(potential_v[start:stop])]
        for first, last in zip([int(start), *turns], [*turns, int(stop) - 1], strict=True):
            rows = slice(first, last + 1)
            way = potential_v[last] - potential_v[first]
            if last + 1 - first < MIN_POINTS or abs(way) < MIN_SPAN_V:
                left_out += last + 1 - first
                continue
            sweeps.append(Sweep(potential_v[rows], density_a_cm2[rows], "up" if way > 0 else "down", first))
    if not sweeps:
        raise InputError(
            f"no sweep of {MIN_POINTS} points and {1000 * MIN_SPAN_V:.0f} mV in {len(potential_v)} points",
            "a polarisation curve sweeps the potential one way for a while",
        )
    notes = [f"{left_out} points between or after the sweeps were left out"] if left_out else []
    return sweeps, notes
