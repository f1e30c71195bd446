"""Polarisation resistance from the slope at the corrosion potential, and Stern-Geary (ASTM G59, G102)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from sorby.electrochem.corrosion_potential import CorrosionPotential
from sorby.electrochem.polarisation_curve import Sweep
from sorby.errors import InputError
from sorby.evidence._types import FloatArray

WINDOWS_MV = (5.0, 7.5, 10.0, 15.0)
REPORTED_MV = 10.0
RESAMPLES = 400
_BLOCK_POINTS = 8
_ROUNDS = 20
_HUBER = 1.345
_DEGREES = (1, 2, 3)
_FEWEST = 8
#: 2.303 of the standards, without rounding.
LN10 = float(np.log(10.0))


@dataclass(frozen=True)
class PolarisationResistance:
    """Slope of potential over current density at the corrosion potential.

    Attributes
    ----------
    rp_ohm_cm2 : float
        From a cubic through the points within 10 mV (or the narrowest wider window with eight points); a lower degree
        would take the curve's bend for slope.
    ci95 : (float, float)
        Of windows of 5 to 15 mV and polynomials of degree 1 to 3, widened by the bootstrap of residual blocks.
    window_mv : float
    n : int
        Points in it.
    """

    rp_ohm_cm2: float
    ci95: tuple[float, float]
    window_mv: float
    n: int


def stern_geary_b_v(beta_a_mv_dec: float, beta_c_mv_dec: float) -> float:
    """Return B = ba bc / (2.303 (ba + bc)) in volts, slopes in mV per decade, both positive.

    Examples
    --------
    >>> round(1e3 * stern_geary_b_v(120, 120), 2)
    26.06
    """
    return beta_a_mv_dec * beta_c_mv_dec / (LN10 * (beta_a_mv_dec + beta_c_mv_dec)) / 1e3


def stern_geary_current(rp_ohm_cm2: float, b_v: float) -> float:
    """Return icorr = B / Rp in A/cm2 (Stern & Geary 1957).

    Raises
    ------
    InputError
        The resistance is not above zero.
    """
    if not rp_ohm_cm2 > 0:
        raise InputError(f"a polarisation resistance of {rp_ohm_cm2:g} ohm cm2", "it must be above zero")
    return b_v / rp_ohm_cm2


def stern_geary_resistance(icorr_a_cm2: float, beta_a_mv_dec: float, beta_c_mv_dec: float) -> float:
    """Return Rp = B / icorr in ohm cm2, what a Tafel result predicts for the slope at the corrosion potential."""
    return stern_geary_current(icorr_a_cm2, stern_geary_b_v(beta_a_mv_dec, beta_c_mv_dec))


def _slope(volts: FloatArray, density: FloatArray, degree: int) -> tuple[float, FloatArray, FloatArray]:
    """Return the conductance at zero, residuals and the row of the pseudo-inverse that gives it (Huber's weights)."""
    design = np.vander(volts, degree + 1, increasing=True)
    weights = np.ones(len(volts))
    for _ in range(_ROUNDS):
        inverse = np.linalg.pinv(design * np.sqrt(weights)[:, None]) * np.sqrt(weights)
        residual = density - design @ (inverse @ density)
        spread = 1.4826 * float(np.median(np.abs(residual)))
        if spread == 0:
            break
        weights = np.minimum(1.0, _HUBER * spread / np.maximum(np.abs(residual), 1e-300))
    return float(inverse[1] @ density), residual, inverse[1]


def _half_width(residual: FloatArray, row: FloatArray, rng: np.random.Generator) -> float:
    """Return the half width of the 95 % interval of a slope, from circular blocks of residuals."""
    count = len(residual)
    length = min(_BLOCK_POINTS, max(count // 3, 1))
    starts = rng.integers(0, count, size=(RESAMPLES, -(-count // length)))
    drawn = ((starts[:, :, None] + np.arange(length)) % count).reshape(RESAMPLES, -1)[:, :count]
    # Spikes of a range change have been weighted out of the slope; drawn elsewhere, they would come back.
    bound = 3 * 1.4826 * float(np.median(np.abs(residual)))
    moves = np.clip(residual - np.median(residual), -bound, bound)[drawn] @ row
    low, high = np.quantile(moves, (0.025, 0.975))
    return float(high - low) / 2


def polarisation_resistance(sweep: Sweep, ecorr: CorrosionPotential, *, seed: int = 0) -> PolarisationResistance | None:
    """Fit the slope at the corrosion potential.

    Parameters
    ----------
    sweep : Sweep
    ecorr : CorrosionPotential
    seed : int
        Of the bootstrap.

    Returns
    -------
    PolarisationResistance or None
        None where fewer than eight points lie within 15 mV, or the current does not rise with potential there.
    """
    potential, density = sweep.ascending()
    volts = potential - ecorr.potential_v
    slopes: dict[float, float] = {}
    every: list[float] = []
    half, window, count = 0.0, 0.0, 0
    for reach, degree in product(WINDOWS_MV, _DEGREES):
        near = np.abs(volts) <= reach / 1e3
        if near.sum() < _FEWEST:
            continue
        conductance, residual, row = _slope(volts[near], density[near], degree)
        every.append(conductance)
        if degree == _DEGREES[-1] and (reach <= REPORTED_MV or not slopes):
            slopes[reach] = conductance
            window, count = reach, int(near.sum())
            half = _half_width(residual, row, np.random.default_rng(seed))
    if not slopes or slopes[window] <= 0:
        return None
    low, high = min(every) - half, max(every) + half
    return PolarisationResistance(1 / slopes[window], (1 / high, 1 / low if low > 0 else float("inf")), window, count)
