"""Levenberg-Marquardt for many starts at once, within bounds.

Each start keeps its own damping (Nielsen's rule; Madsen, Nielsen and Tingleff, *Methods for Non-Linear Least Squares
Problems*, 2004); parameters that lie on a bound and would leave it are held (Kanzow, Yamashita and Fukushima 2004).
One call of the model serves all starts that still run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Parameters (S, P) to residuals (S, M) and derivatives (S, P, M).
Model = Callable[[Array], tuple[Array, Array]]

_STEEPEST = 1e14
#: Longest step of one parameter; they are logarithms or exponents.
_LONGEST_STEP = 2.5


@dataclass(frozen=True, eq=False)
class Descent:
    """Where the starts ended.

    Attributes
    ----------
    values : ndarray, shape (S, P)
    cost : ndarray, shape (S,)
        Sums of squares.
    converged : ndarray of bool, shape (S,)
        Whether steps or gains had become negligible.
    iterations : int
        Calls of the model.
    """

    values: Array
    cost: Array
    converged: npt.NDArray[np.bool_]
    iterations: int


def descend(
    model: Model, starts: Array, low: Array, high: Array, *, iterations: int, tolerance: float = 1e-12
) -> Descent:
    """Minimise sums of squares from several starts.

    Parameters
    ----------
    model : callable
        Parameters (S, P) to residuals (S, M) and derivatives (S, P, M).
    starts : ndarray, shape (S, P)
    low, high : ndarray, shape (P,)
        Bounds.
    iterations : int
        Most calls of the model.
    tolerance : float
        Relative gain, predicted and found, below which a start has converged.

    Returns
    -------
    Descent
    """
    x = np.clip(starts, low, high)
    residual, jacobian = model(x)
    cost = _squares(residual)
    normal, gradient = _normal_equations(residual, jacobian)
    damping, growth = np.full(len(x), 1e-3), np.full(len(x), 2.0)
    converged = np.zeros(len(x), bool)
    running = np.flatnonzero(np.isfinite(cost))
    calls = 1
    while calls < iterations and running.size:
        step, predicted, promise = _step(normal[running], gradient[running], damping[running], x[running], low, high)
        idle = promise <= tolerance * cost[running]
        converged[running[idle]] = True
        running, step, predicted = running[~idle], step[~idle], predicted[~idle]
        if not running.size:
            break
        tried = x[running] + step
        residual, jacobian = model(tried)
        calls += 1
        found = _squares(residual)
        gain = cost[running] - found
        better = gain > 0
        taken = running[better]
        x[taken], cost[taken] = tried[better], found[better]
        if better.any():
            normal[taken], gradient[taken] = _normal_equations(residual[better], jacobian[better])
        quality = np.clip(gain / np.maximum(predicted, 1e-300), -1e3, 1e3)
        damping[running] *= np.where(better, np.maximum(1 / 9, 1 - (2 * quality - 1) ** 3), growth[running])
        growth[running] = np.where(better, 2.0, 2 * growth[running])
        damping[running] = np.clip(damping[running], 1e-15, None)
        stuck = damping[running] > _STEEPEST
        converged[running[stuck]] = True
        running = running[~stuck]
    return Descent(x, cost, converged, calls)


def _squares(residual: Array) -> Array:
    cost = np.einsum("sm,sm->s", residual, residual)
    return np.where(np.isfinite(cost), cost, np.inf)


def _normal_equations(residual: Array, jacobian: Array) -> tuple[Array, Array]:
    return jacobian @ jacobian.transpose(0, 2, 1), np.einsum("spm,sm->sp", jacobian, residual)


def _step(
    normal: Array, gradient: Array, damping: Array, x: Array, low: Array, high: Array
) -> tuple[Array, Array, Array]:
    """Return every start's step within the box, the gain promised for it, and that promised without the box."""
    held = ((x <= low) & (gradient > 0)) | ((x >= high) & (gradient < 0))
    free = ~held
    slope = np.where(free, gradient, 0.0)
    diagonal = np.einsum("spp->sp", normal)
    floor = 1e-14 * diagonal.max(axis=1, keepdims=True) + 1e-300
    added = np.where(free, damping[:, None] * np.maximum(diagonal, floor) + floor, 1.0)
    system = normal * (free[:, :, None] & free[:, None, :])
    index = np.arange(x.shape[1])
    system[:, index, index] += added
    scale = 1 / np.sqrt(np.einsum("spp->sp", system))
    balanced = system * scale[:, :, None] * scale[:, None, :]
    wanted = -np.linalg.solve(balanced, (slope * scale)[..., None])[..., 0] * scale
    promise = np.einsum("sp,sp->s", wanted, added * wanted - slope)
    step = np.clip(x + np.clip(wanted, -_LONGEST_STEP, _LONGEST_STEP), low, high) - x
    curve = np.einsum("sp,spq,sq->s", step, normal, step)
    return step, -2 * np.einsum("sp,sp->s", step, slope) - curve, promise
