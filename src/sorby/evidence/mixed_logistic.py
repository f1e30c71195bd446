"""Logistic regression with a random intercept a specimen: some specimens are hard at every magnification.

Images of one specimen succeed or fail together. The model says so: the log-odds of a right verdict are ``x b + s u``,
with ``u`` standard normal and the same for all images of a specimen. The integral over ``u`` is taken by Gauss-Hermite
quadrature, the likelihood is maximised with its exact gradient, and effects are tested by Wald's test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logsumexp, ndtr

from sorby.errors import InputError
from sorby.evidence._types import BoolArray, FloatArray, IntArray
from sorby.evidence.intervals import specimen_index

_NODES = 31
#: Keeps effects finite where a condition is always right: a normal prior of this deviation on every effect.
_PRIOR_SD = 5.0
_STEP = 1e-4


@dataclass(frozen=True, eq=False)
class MixedLogistic:
    """A fitted model.

    Attributes
    ----------
    effects : ndarray, shape (P,)
        Log-odds.
    errors : ndarray, shape (P,)
        Standard errors.
    specimen_sd : float
        s, the deviation between specimens on the log-odds scale.
    log_likelihood : float
    n, n_specimens : int
    converged : bool
    """

    effects: FloatArray
    errors: FloatArray
    specimen_sd: float
    log_likelihood: float
    n: int
    n_specimens: int
    converged: bool

    def p_values(self) -> FloatArray:
        """Two-sided p of each effect being zero (Wald), shape (P,); 1 where the error is not known."""
        z = np.abs(self.effects) / self.errors
        return np.where(np.isfinite(z), 2.0 * ndtr(-np.where(np.isfinite(z), z, 0.0)), 1.0)

    def intervals(self) -> FloatArray:
        """95 % intervals of the effects, shape (P, 2)."""
        half = 1.959963984540054 * self.errors
        return np.stack([self.effects - half, self.effects + half], axis=1)


def fit_mixed_logistic(
    design: npt.ArrayLike, right: npt.ArrayLike, groups: npt.ArrayLike | None, n_nodes: int = _NODES
) -> MixedLogistic:
    """Fit by maximum likelihood.

    Parameters
    ----------
    design : array_like, shape (N, P)
        With a column of ones for the intercept.
    right : array_like of bool, shape (N,)
    groups : array_like, shape (N,), optional
        Specimens; every image its own where absent, and then s is not identified.
    n_nodes : int
        Nodes of the quadrature.

    Returns
    -------
    MixedLogistic
        A weak normal prior (deviation 5 on the log-odds) keeps the effect of a condition that is always right finite.

    Raises
    ------
    InputError
        Shapes do not fit.

    References
    ----------
    J. C. Pinheiro and D. M. Bates, J. Comput. Graph. Stat. 4 (1995).
    """
    x, y = np.asarray(design, np.float64), np.asarray(right).astype(bool)
    if x.ndim != 2 or y.shape != x.shape[:1] or not y.size:
        raise InputError(f"a design of shape {x.shape} and {y.shape} outcomes do not belong together")
    index, n_groups = specimen_index(groups, y.size)
    roots, weights = np.polynomial.hermite_e.hermegauss(n_nodes)
    model = _Likelihood(x, y, index, n_groups, roots, np.log(weights / weights.sum()))
    start = np.zeros(x.shape[1] + 1)
    start[-1] = 0.5
    found = minimize(model, start, jac=True, method="BFGS", options={"gtol": 1e-5, "maxiter": 500})
    solution = np.asarray(found.x, np.float64)
    errors = _standard_errors(model, solution)[:-1]
    value, slope = model(solution)
    settled = bool(np.abs(slope).max() < 1e-2)
    penalty = 0.5 * float((solution[:-1] ** 2).sum()) / _PRIOR_SD**2
    return MixedLogistic(
        solution[:-1], errors, abs(float(solution[-1])), penalty - value, int(y.size), n_groups, settled
    )


@dataclass(frozen=True, eq=False)
class _Likelihood:
    """Negative penalised log-likelihood and its gradient; the last parameter is s (its sign does not matter)."""

    x: FloatArray
    y: BoolArray
    index: IntArray
    n_groups: int
    roots: FloatArray
    log_weights: FloatArray

    def __call__(self, parameters: FloatArray) -> tuple[float, FloatArray]:
        effects, sd = parameters[:-1], parameters[-1]
        eta = (self.x @ effects)[:, None] + sd * self.roots[None, :]  # (N, K)
        signed = np.where(self.y[:, None], eta, -eta)
        joint = np.zeros((self.n_groups, self.roots.size))
        np.add.at(joint, self.index, log_expit(signed))
        joint += self.log_weights
        total = logsumexp(joint, axis=1)
        posterior = np.exp(joint - total[:, None])[self.index]  # (N, K)
        residual = self.y[:, None] - expit(eta)
        slope_effects = self.x.T @ (posterior * residual).sum(axis=1)
        slope_sd = float((posterior * residual * self.roots).sum())
        value = -float(total.sum()) + 0.5 * float(effects @ effects) / _PRIOR_SD**2
        return value, np.append(effects / _PRIOR_SD**2 - slope_effects, -slope_sd)


def _standard_errors(model: _Likelihood, solution: FloatArray) -> FloatArray:
    """Root of the diagonal of the inverse Hessian, by differences of the exact gradient; NaN where it is singular."""
    size = solution.size
    steps = np.eye(size) * _STEP
    hessian = np.stack([(model(solution + d)[1] - model(solution - d)[1]) / (2 * _STEP) for d in steps])
    hessian = 0.5 * (hessian + hessian.T)
    if hessian[-1, -1] < 1e-6:  # s lies at zero: no information on it, and none is needed
        hessian[-1, :], hessian[:, -1], hessian[-1, -1] = 0.0, 0.0, 1.0
    if np.linalg.cond(hessian) > 1.0 / math.sqrt(np.finfo(float).eps):
        return np.full(size, np.nan)
    variances = np.diag(np.linalg.inv(hessian))
    return np.sqrt(np.where(variances > 0, variances, np.nan))
