"""The boundary of a fracture mirror about a given origin.

A model is laid over what the rays see: lines do not point at the origin up to the boundary, and do beyond, rising
between two multiples of the radius (`RISE`). For every radius on a grid its levels, which may differ around the
compass because the detector lights the surface from one side, follow by robust least squares; what does not fit
(the flaw, the ground surface beyond the edge, smears, scratches) counts little. The radius that fits most is the
measured one, and sectors are resampled for its interval, since neighbouring rays cross the same hackle lines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sorby.measure.mirror_rays import SECTORS, Floats, Mask, Rays

#: Where, in mirror radii, lines begin to point at the origin and all do: rendered fractures of fine-grained alumina.
RISE = (1.12, 1.80)
#: Where hackle begins, in mirror radii, by the same pictures.
MIST_ENDS = 1.35
_GRID = 0.025  # of ln R
_LEVEL, _AMPLITUDE, _AROUND = (0.0, 0.05), (0.5, 0.2), (0.12, 0.2)  # mean and deviation; of the mirror, of the hackle
_SPREAD = (0.10, 0.10)  # deviation of what a sector sees: in the mirror, more in the hackle
_CAP = 2.5  # squares (in deviations) at which what does not fit stops to count
_INDEPENDENT = 0.01  # what a place is worth against the expected levels: neighbours see the same
_BAND, _IN_BAND = (0.5, 2.2), 0.03  # in mirror radii: where a place counts so much more
_ROUNDS = 5
_RESAMPLES = 300
_NEAR = 0.33
_FITTING = 2.0  # deviations
#: By how much of ln R plain hackle seems nearer, for each unit of amplitude, and the amplitude at which it does not:
#: the plainer it is, the sooner it outweighs the relief.
_SOONER, _USUAL = 0.34, 0.53


@dataclass(frozen=True, eq=False)
class Boundary:
    """Where the mirror ends.

    Attributes
    ----------
    radius_px : float
    scatter : float
        Standard deviation of ln R over resampled sectors, strays left out.
    stray : float
        Share of resamples that find another boundary, more than `_NEAR` away in ln R.
    amplitude : float
        How far lines point at the origin beyond the boundary, against within: 0.3 to 0.7 in plain hackle.
    gain : float
        Score of the fit, for comparing origins.
    at_end : bool
        The best radius is the least or the largest of the grid: there is no boundary between.
    fitting : ndarray of bool, shape (SECTORS,)
        Sectors that show the boundary.
    by_sector_px : ndarray, shape (SECTORS,)
        Radius by the sector and its two neighbours at each side; NaN where not `fitting`.
    whole : float
        Share of the fitting sectors that are seen until lines point at the origin altogether.
    """

    radius_px: float
    scatter: float
    stray: float
    amplitude: float
    gain: float
    at_end: bool
    fitting: Mask
    by_sector_px: Floats
    whole: float


def radii_to_try(smallest_px: float, largest_px: float, coarse: int = 1) -> Floats:
    """Return candidate radii in geometric steps."""
    steps: Floats = np.arange(math.log(smallest_px), math.log(largest_px), _GRID * coarse, dtype=np.float64)
    return np.asarray(np.exp(steps))


def fit_boundary(rays: Rays, sizes: Floats, seed: int = 0) -> Boundary:
    """Fit the boundary.

    Parameters
    ----------
    rays : Rays
        About the origin.
    sizes : ndarray, shape (K,)
        Candidate radii in pixels, of `radii_to_try`.
    seed : int
        Of the resampling.

    Returns
    -------
    Boundary
    """
    scores, levels, residuals = _scores(rays, sizes)
    total = scores.sum(axis=1) - _surprise(levels)
    best = int(total.argmax())
    radius = float(np.exp(_peak(np.log(sizes), total)))
    nearer = math.exp(-_SOONER * (float(np.clip(levels[best, 3], 0.3, 0.7)) - _USUAL))
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(SECTORS, np.full(SECTORS, 1.0 / SECTORS), size=_RESAMPLES).astype(np.float64)
    again = np.log(sizes[(draws @ scores.T - _surprise(levels)).argmax(axis=1)])
    near = np.abs(again - math.log(radius)) < _NEAR
    reached = rays.radii / radius
    band = rays.seen & (reached > _BAND[0]) & (reached < _BAND[1])
    hackle = rays.seen & (reached > RISE[0]) & (reached < _BAND[1])
    fits = np.abs(residuals[best]) < _FITTING
    # Both sides of the boundary must fit: ground surfaces fit neither, or one of them by accident.
    fitting = (_share(fits, band) > 0.6) & (_share(fits, hackle) > 0.5) & (hackle.sum(axis=1) >= 4)
    far = rays.seen & (np.abs(np.log(reached / RISE[1])) < 0.1)
    return Boundary(
        radius / nearer,
        float(again[near].std()) if near.any() else math.inf,
        float(1 - near.mean()),
        float(levels[best, 3]),
        float(total[best]),
        best in (0, len(sizes) - 1),
        fitting,
        np.where(fitting, _by_sector(scores, sizes, radius) / nearer, np.nan),
        float(far[fitting].any(axis=1).mean()) if fitting.any() else 0.0,
    )


def gain_over_none(rays: Rays, sizes: Floats) -> float:
    """Return how much better a boundary fits than none, at the best radius: how well a point serves as origin."""
    every_other = Rays(rays.pointing[:, ::2], rays.seen[:, ::2], rays.radii[::2])
    # Beyond the largest radius that a picture can hold nothing rises: the last candidate is no boundary.
    scores, levels, _ = _scores(every_other, np.append(sizes, 4.0 * rays.radii[-1]))
    total = scores.sum(axis=1) - _surprise(levels)
    return float(total[:-1].max() - total[-1])


def _share(fits: Mask, counted: Mask) -> Floats:
    """Return the share of what counts that fits, by sector."""
    return np.asarray((fits & counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1))


def _rise(reached: Floats) -> Floats:
    """Return 0 in the mirror, 1 in full hackle, smoothly between on a logarithmic scale."""
    low, high = math.log(RISE[0]), math.log(RISE[1])
    t = np.clip((np.log(reached) - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t))


_MEANS = np.array([_LEVEL[0], 0.0, 0.0, _AMPLITUDE[0], 0.0, 0.0])
_DEVIATIONS = np.array([_LEVEL[1], _AROUND[0], _AROUND[0], _AMPLITUDE[1], _AROUND[1], _AROUND[1]])


def _surprise(levels: Floats) -> Floats:
    """Return how far levels lie from what is expected, in squared deviations, shape (K,)."""
    return np.asarray((((levels - _MEANS) / _DEVIATIONS) ** 2).sum(axis=1))


def _scores(rays: Rays, sizes: Floats) -> tuple[Floats, Floats, Floats]:
    """Fit the levels at every radius.

    Returns
    -------
    scores : ndarray, shape (K, SECTORS)
        How much of a sector fits.
    levels : ndarray, shape (K, 6)
        Of the mirror, and what hackle adds: mean, and cosine and sine of twice the direction.
    residuals : ndarray, shape (K, SECTORS, R)
        In deviations.
    """
    k, shape = len(sizes), rays.pointing.shape
    reached = rays.radii[None, :] / sizes[:, None]
    rise = np.broadcast_to(_rise(reached)[:, None, :], (k, *shape)).reshape(k, -1)
    turned = np.repeat(np.stack([np.cos(2 * rays.angles), np.sin(2 * rays.angles)]), shape[1], axis=1)
    around = np.stack([np.ones(turned.shape[1]), *turned])  # (3, N)
    basis = np.concatenate([np.broadcast_to(around, (k, *around.shape)), around * rise[:, None, :]], axis=1)
    spread = _SPREAD[0] + _SPREAD[1] * rise
    value, seen = rays.pointing.ravel(), rays.seen.ravel().astype(np.float64)
    levels = np.broadcast_to(_MEANS, (k, 6)).copy()
    prior = np.diag(_DEVIATIONS**-2.0)
    for _ in range(_ROUNDS):
        off = (value - np.einsum("kp,kpn->kn", levels, basis)) / spread
        weight = _INDEPENDENT * seen * np.exp(-off * off / (2 * _CAP)) / spread**2
        weighted = basis * weight[:, None, :]
        normal = weighted @ basis.transpose(0, 2, 1) + prior
        levels = np.linalg.solve(normal, (weighted @ value + prior @ _MEANS)[..., None])[..., 0]
    off = (value - np.einsum("kp,kpn->kn", levels, basis)) / spread
    score = 2 * _CAP * np.exp(-off * off / (2 * _CAP)) - 2 * np.log(spread)
    inside = np.broadcast_to(((reached > _BAND[0]) & (reached < _BAND[1]))[:, None, :], (k, *shape)).reshape(k, -1)
    scored = _INDEPENDENT * seen * score * (1 + _IN_BAND * inside)
    return scored.reshape(k, *shape).sum(axis=2), levels, off.reshape(k, *shape)


def _peak(at: Floats, values: Floats) -> float:
    """Return where a parabola through the largest value and its neighbours is highest."""
    i = int(values.argmax())
    if i in (0, len(values) - 1):
        return float(at[i])
    left, middle, right = values[i - 1 : i + 2]
    return float(at[i] + 0.5 * (left - right) / (left - 2 * middle + right) * (at[i + 1] - at[i]))


def _by_sector(scores: Floats, sizes: Floats, radius: float) -> Floats:
    """Return the best radius of every five neighbouring sectors, within a third of the whole."""
    five = sum(np.roll(scores, shift, axis=1) for shift in range(-2, 3))
    near = np.abs(np.log(sizes / radius)) < _NEAR
    return np.asarray(sizes[near][np.asarray(five)[near].argmax(axis=0)])
