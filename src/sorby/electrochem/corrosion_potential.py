"""Corrosion potential: where the net current of a sweep changes from cathodic to anodic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter

from sorby.electrochem.polarisation_curve import Sweep
from sorby.evidence._types import FloatArray

# Points beside a turning point or the sweep's ends, where the double layer is recharged.
_EDGE_POINTS = 3
# Points to each side that the local line is fitted to; currents are linear in potential over a few millivolts.
_NEIGHBOURS = 4
_NEAR_V = 0.005


@dataclass(frozen=True)
class CorrosionPotential:
    """Where a sweep's current is zero.

    Attributes
    ----------
    potential_v : float
        Against the reference electrode of the measurement.
    ci95 : (float, float)
        From the scatter of the points about a line through zero current.
    others_v : tuple of float
        Further potentials of zero current, as an active-passive metal has in a strong oxidiser.
    """

    potential_v: float
    ci95: tuple[float, float]
    others_v: tuple[float, ...]


def _interpolated(potential: FloatArray, density: FloatArray, row: int) -> float:
    low, high = density[row], density[row + 1]
    return float(potential[row] - low * (potential[row + 1] - potential[row]) / (high - low))


def _standard_error(potential: FloatArray, density: FloatArray, zero_v: float) -> float:
    """Return the standard error (V) of a zero crossing from a line through the points beside it."""
    nearest = np.argsort(np.abs(potential - zero_v), kind="stable")[: 2 * _NEIGHBOURS]
    nearest = nearest[np.abs(potential[nearest] - zero_v) <= _NEAR_V]
    if len(nearest) < 4:
        steps = np.abs(np.diff(potential))
        return float(np.median(steps[steps > 0])) / 2
    volts, amps = potential[nearest] - zero_v, density[nearest]
    slope, offset = np.polyfit(volts, amps, 1)
    if slope == 0:
        return _NEAR_V
    residual = amps - (slope * volts + offset)
    scatter = float(np.sqrt(np.sum(residual**2) / (len(volts) - 2)))
    return float(abs(scatter / slope) / np.sqrt(len(volts)))


def corrosion_potential(sweep: Sweep) -> CorrosionPotential | None:
    """Find where the current of *sweep* passes from cathodic to anodic.

    Parameters
    ----------
    sweep : Sweep

    Returns
    -------
    CorrosionPotential or None
        None where the current keeps its sign. The first passage in the order of the measurement that rises with
        potential is taken; spikes of one point and sign changes within three points of the sweep's ends, where a
        turning potential recharges the double layer, are no passages.
    """
    potential, density = sweep.potential_v, sweep.density_a_cm2
    sign = np.where(density > 0, 1, -1)
    steady = median_filter(sign, size=3, mode="nearest")
    rows = np.flatnonzero(np.diff(steady) != 0)
    rows = rows[(rows >= _EDGE_POINTS - 1) & (rows < len(potential) - _EDGE_POINTS)]
    if rows.size == 0:
        return None
    upwards = 1 if sweep.direction == "up" else -1
    rising = [int(row) for row in rows if (steady[row + 1] - steady[row]) * upwards > 0]
    if not rising:
        return None
    zeros = {int(row): _passage(potential, density, sign, int(row)) for row in rows}
    zero = zeros[rising[0]]
    error = _standard_error(*sweep.ascending(), zero)
    others = tuple(value for row, value in zeros.items() if row != rising[0] and abs(value - zero) > 2 * _NEAR_V)
    return CorrosionPotential(zero, (zero - 1.96 * error, zero + 1.96 * error), others)


def _passage(potential: FloatArray, density: FloatArray, sign: FloatArray, row: int) -> float:
    """Return the zero beside *row* of the smoothed signs, from the raw points about it."""
    for candidate in (row, row - 1, row + 1):
        if 0 <= candidate < len(sign) - 1 and sign[candidate] != sign[candidate + 1]:
            return _interpolated(potential, density, candidate)
    return float(potential[row])
