"""Tafel analysis: which stretch of each branch to fit, what comes out, and how much that choice matters.

Automatic choice. On each branch, reaches of 25, 40, 60, 90, 130, 180 and 250 mV from the corrosion potential are
candidates, cut where the branch ends. The mixed-control model is fitted to every pair of reaches, by activation alone
and with an ohmic drop or a cathodic limiting current where BIC asks for one. A pair is *admissible* where the model
holds: the robust scatter about it is no more than 2 % of the current, or three times the least scatter of any pair
where the measurement is noisier. The widest admissible pair is reported.

Interval. Every admissible fit is an answer another analyst could have given, so their smallest and largest values bound
what the choice of the window does. Its distances from the reported value and the half width of a bootstrap of residual
blocks in the reported window, both as logarithms, add in quadrature. A window given by a person is varied by a sixth of
its width at either edge instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from sorby.electrochem.corrosion_potential import CorrosionPotential
from sorby.electrochem.linear_polarisation import stern_geary_b_v
from sorby.electrochem.mixed_control import MixedControl, MixedControlFit, fit_mixed_control
from sorby.electrochem.polarisation_curve import Sweep
from sorby.errors import InputError
from sorby.evidence._types import BoolArray, FloatArray

REACHES_MV = (25.0, 40.0, 60.0, 90.0, 130.0, 180.0, 250.0)
#: A branch shorter than this says nothing about its slope.
SHORTEST_BRANCH_MV = 20.0
ADMISSIBLE_SPREAD = 0.02
RESAMPLES = 400
_NOISIER = 3.0
_BLOCK_POINTS = 8
_MIN_POINTS = 8
_MOST_POINTS = 800
# Beyond the windows, for limiting currents to be judged by.
_FURTHEST_MV = 150.0
_TERMS = ("drop", "limit", "both")

Window = tuple[float, float]


@dataclass(frozen=True)
class TafelFit:
    """What a sweep says about corrosion current and slopes.

    Attributes
    ----------
    model : MixedControl
    anodic_window_mv, cathodic_window_mv : (float, float)
        Inner and outer edge, as distances from the corrosion potential.
    chosen_by : str
        ``rule`` or ``person``.
    spread : float
        Robust scatter of the currents about the model, relative.
    ci95 : dict of str to (float, float)
        Of ``icorr_a_cm2``, ``beta_a_mv_dec``, ``beta_c_mv_dec`` and ``stern_geary_b_v``.
    window_range : dict of str to (float, float)
        The share of that which is due to the choice of the window and of the model's terms.
    bootstrap_ci95 : dict of str to (float, float)
        The share of that which is due to scatter in the reported window.
    n_windows : int
        Admissible fits behind `window_range`.
    anodic_decades, cathodic_decades : float
        Decades of current each branch spans beyond icorr within its window.
    anodic_end_mv, cathodic_end_mv : float
        Where the sweep's branches end.
    beta_a_known, beta_c_known : bool
        False where a branch is too short to say anything about its slope.
    """

    model: MixedControl
    anodic_window_mv: Window
    cathodic_window_mv: Window
    chosen_by: str
    spread: float
    ci95: dict[str, tuple[float, float]]
    window_range: dict[str, tuple[float, float]]
    bootstrap_ci95: dict[str, tuple[float, float]]
    n_windows: int
    anodic_decades: float
    cathodic_decades: float
    anodic_end_mv: float
    cathodic_end_mv: float
    beta_a_known: bool
    beta_c_known: bool


@dataclass(frozen=True)
class _Candidate:
    anodic: Window
    cathodic: Window
    fit: MixedControlFit

    @property
    def width(self) -> float:
        return self.anodic[1] + self.cathodic[1]


_NAMES = ("icorr_a_cm2", "beta_a_mv_dec", "beta_c_mv_dec", "stern_geary_b_v")


def _values(model: MixedControl) -> FloatArray:
    slopes = model.beta_a_mv_dec, model.beta_c_mv_dec
    return np.array([model.icorr_a_cm2, *slopes, stern_geary_b_v(*slopes)])


def _automatic(end_mv: float) -> list[Window]:
    """Return the candidate reaches of a branch that ends at *end_mv*."""
    inside = [reach for reach in REACHES_MV[:-1] if reach < 0.95 * end_mv]
    return [(0.0, reach) for reach in (*inside, min(end_mv, REACHES_MV[-1]))]


def _checked(window: Window, end_mv: float, branch: str) -> Window:
    inner, outer = (float(edge) for edge in window)
    if not 0 <= inner < outer:
        raise InputError(
            f"{branch} window {inner:g},{outer:g}: edges are distances from Ecorr in mV, the nearer one first",
            f"e.g. --{branch}-window 20,100",
        )
    if inner >= end_mv:
        raise InputError(
            f"{branch} window {inner:g},{outer:g} mV: the branch ends {end_mv:.0f} mV from Ecorr",
            f"choose a window that begins within {end_mv:.0f} mV",
        )
    return inner, min(outer, end_mv)


def _varied(window: Window) -> list[Window]:
    """Return a person's window and its neighbours, a sixth of its width shorter at either edge."""
    inner, outer = window
    sixth = (outer - inner) / 6
    return [window, (inner + sixth, outer), (inner, outer - sixth), (inner + sixth, outer - sixth)]


def _rows(over_mv: FloatArray, anodic: Window, cathodic: Window) -> BoolArray:
    up = (over_mv >= anodic[0]) & (over_mv <= anodic[1])
    down = (-over_mv >= cathodic[0]) & (-over_mv <= cathodic[1])
    return np.asarray(up | down, dtype=bool)


def _bootstrap(fit: MixedControlFit, rng: np.random.Generator) -> FloatArray:
    """Return half widths of 95 % intervals of log icorr, slopes and B, from blocks of residuals.

    Neighbouring residuals of a sweep resemble each other, so circular blocks of eight points are drawn. Each resample
    moves the parameters by one Gauss-Newton step from the fit, in logarithms, which needs no second fit.
    """
    count = len(fit.residuals)
    length = min(_BLOCK_POINTS, max(count // 4, 1))
    blocks = -(-count // length)
    starts = rng.integers(0, count, size=(RESAMPLES, blocks))
    rows = ((starts[:, :, None] + np.arange(length)) % count).reshape(RESAMPLES, -1)[:, :count]
    centred = (fit.residuals - np.average(fit.residuals, weights=fit.weights)) * fit.weights
    root = np.sqrt(fit.weights)
    step = np.linalg.pinv(fit.jacobian * root[:, None], rcond=1e-8)
    moves = (centred[rows] / np.maximum(root, 1e-6)) @ step.T
    # log B = log ba + log bc - log(ba + bc), to first order.
    share = fit.model.beta_a_mv_dec / (fit.model.beta_a_mv_dec + fit.model.beta_c_mv_dec)
    moved = np.column_stack([moves[:, :3], moves[:, 1] * (1 - share) + moves[:, 2] * share])
    low, high = np.quantile(moved, (0.025, 0.975), axis=0)
    return np.asarray(np.minimum((high - low) / 2, 3.0))


def _widest(candidates: Sequence[_Candidate]) -> _Candidate:
    return max(candidates, key=lambda one: (one.width, -one.fit.bic))


def fit_tafel(
    sweep: Sweep,
    ecorr: CorrosionPotential,
    *,
    anodic_window_mv: Window | None = None,
    cathodic_window_mv: Window | None = None,
    seed: int = 0,
) -> TafelFit:
    """Fit a sweep's branches and say how far the result depends on where they were fitted.

    Sweeps of more than 800 points about the windows are thinned evenly.

    Parameters
    ----------
    sweep : Sweep
    ecorr : CorrosionPotential
        Of this sweep.
    anodic_window_mv, cathodic_window_mv : (float, float), optional
        Inner and outer edge as distances from the corrosion potential; chosen by rule where left out.
    seed : int
        Of the bootstrap.

    Returns
    -------
    TafelFit

    Raises
    ------
    InputError
        A window lies beyond its branch, or holds too few points.
    """
    potential, density = sweep.ascending()
    over_mv = 1e3 * (potential - ecorr.potential_v)
    ends = float(over_mv.max()), float(-over_mv.min())
    reach = _FURTHEST_MV + max(
        window[1] for window in ((0.0, REACHES_MV[-1]), anodic_window_mv, cathodic_window_mv) if window
    )
    inside = np.flatnonzero(np.abs(over_mv) <= reach)
    # Thousands of points say no more than hundreds, and take as much longer.
    inside = inside[:: -(-len(inside) // _MOST_POINTS)]
    potential, density, over_mv = potential[inside], density[inside], over_mv[inside]
    choices = []
    for window, end, branch in zip((anodic_window_mv, cathodic_window_mv), ends, ("anodic", "cathodic"), strict=True):
        choices.append(_automatic(end) if window is None else _varied(_checked(window, end, branch)))
    main = [
        set(choice) if window is None else {choice[0]}
        for choice, window in zip(choices, (anodic_window_mv, cathodic_window_mv), strict=True)
    ]
    candidates = []
    for anodic, cathodic in product(*choices):
        rows = _rows(over_mv, anodic, cathodic)
        if rows.sum() < _MIN_POINTS:
            continue
        plain = fit_mixed_control(potential, density, ecorr.potential_v, rows)
        candidates.append(_Candidate(anodic, cathodic, plain))
        fuller = fit_mixed_control(potential, density, ecorr.potential_v, rows, terms=_TERMS, plain=plain)
        if fuller.model.n_parameters > plain.model.n_parameters:
            candidates.append(_Candidate(anodic, cathodic, fuller))
    eligible = [one for one in candidates if one.anodic in main[0] and one.cathodic in main[1]]
    if not eligible:
        raise InputError(
            f"fewer than {_MIN_POINTS} points in the window", "widen --anodic-window and --cathodic-window"
        )
    limit = max(ADMISSIBLE_SPREAD, _NOISIER * min(one.fit.spread for one in candidates))
    held = [one for one in candidates if one.fit.spread <= limit]
    firm = [one for one in held if one in eligible] or eligible
    person = anodic_window_mv is not None or cathodic_window_mv is not None
    return _reported(_widest(firm), held or firm, ends, "person" if person else "rule", seed)


def _reported(chosen: _Candidate, held: Sequence[_Candidate], ends: Window, chosen_by: str, seed: int) -> TafelFit:
    values = _values(chosen.fit.model)
    every = np.array([_values(one.fit.model) for one in held] + [values])
    low, high = every.min(axis=0), every.max(axis=0)
    half = _bootstrap(chosen.fit, np.random.default_rng(seed))
    model = chosen.fit.model

    def named(below: FloatArray, above: FloatArray) -> dict[str, tuple[float, float]]:
        return {name: (float(a), float(b)) for name, a, b in zip(_NAMES, below, above, strict=True)}

    def decades(window: Window, side: int) -> float:
        far = model.density(np.array([model.ecorr_v + side * window[1] / 1e3]))[0]
        return float(np.log10(max(abs(far) / model.icorr_a_cm2, 1e-12)))

    return TafelFit(
        model,
        chosen.anodic,
        chosen.cathodic,
        chosen_by,
        chosen.fit.spread,
        named(
            values * np.exp(-np.hypot(np.log(values / low), half)),
            values * np.exp(np.hypot(np.log(high / values), half)),
        ),
        named(low, high),
        named(values * np.exp(-half), values * np.exp(half)),
        len(held),
        decades(chosen.anodic, 1),
        decades(chosen.cathodic, -1),
        *ends,
        ends[0] >= SHORTEST_BRANCH_MV,
        ends[1] >= SHORTEST_BRANCH_MV,
    )
