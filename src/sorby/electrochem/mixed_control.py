"""Mixed control: an anodic and a cathodic reaction on one electrode, with limiting current and ohmic drop.

With x the potential from the corrosion potential, after the ohmic drop i R is taken off it,

    i = icorr [10^(x / ba) - 10^(-x / bc) / (1 - q + q 10^(-x / bc))],   q = icorr / ilim,

which is zero at x = 0 and reaches -ilim far below it (Stern & Geary 1957 for q = 0; the cathodic term with
diffusion after Flitt & Schweinsberg 2005). Currents span decades and change sign, so residuals are differences
of asinh(i / 2 s): logarithmic far from the corrosion potential and linear at it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sorby.evidence._types import BoolArray, FloatArray

LN10 = float(np.log(10.0))
_ACTIVATION = 4
# Residuals beyond this (about 5 % of the current) count less and less: range changes leave spikes.
_ROBUST = 0.05
# A term is kept when it lowers BIC by so much ("strong" by Kass & Raftery 1995).
_STRONG = 10.0
_FURTHER_MV, _OVERSHOOT = 100.0, 1.05
# Of Levenberg and Marquardt: most steps, the damping at which no step helps, the gain at which to stop.
_STEPS, _STUCK, _SETTLED = 100, 1e12, 1e-9


@dataclass(frozen=True)
class MixedControl:
    """Kinetic parameters of a corroding electrode.

    Attributes
    ----------
    icorr_a_cm2 : float
    beta_a_mv_dec, beta_c_mv_dec : float
        Both positive.
    ecorr_v : float
        Zero current of the model.
    resistance_ohm_cm2 : float
        Uncompensated; 0 where no ohmic drop was fitted.
    limit_a_cm2 : float
        Cathodic limiting current; infinite where none was fitted.
    """

    icorr_a_cm2: float
    beta_a_mv_dec: float
    beta_c_mv_dec: float
    ecorr_v: float
    resistance_ohm_cm2: float = 0.0
    limit_a_cm2: float = float("inf")

    @property
    def n_parameters(self) -> int:
        """Fitted parameters."""
        return _ACTIVATION + int(self.resistance_ohm_cm2 > 0) + int(np.isfinite(self.limit_a_cm2))

    def density(self, potential_v: FloatArray) -> FloatArray:
        """Return current densities (A/cm2) at potentials, the ohmic drop solved by bisection.

        Parameters
        ----------
        potential_v : array, shape (n,)

        Returns
        -------
        array, shape (n,)
        """
        potential = np.asarray(potential_v, dtype=float)
        if self.resistance_ohm_cm2 == 0:
            return self.kinetic(1e3 * (potential - self.ecorr_v))
        # The interface sees something between the corrosion potential and what is applied; the balance is monotonous.
        low = np.minimum(potential, self.ecorr_v)
        high = np.maximum(potential, self.ecorr_v)
        for _ in range(80):
            middle = (low + high) / 2
            over = middle + self.kinetic(1e3 * (middle - self.ecorr_v)) * self.resistance_ohm_cm2 > potential
            high = np.where(over, middle, high)
            low = np.where(over, low, middle)
        return self.kinetic(1e3 * ((low + high) / 2 - self.ecorr_v))

    def kinetic(self, over_mv: FloatArray) -> FloatArray:
        """Return current densities (A/cm2) at overpotentials (mV) of the interface itself."""
        anodic = 10.0 ** np.clip(over_mv / self.beta_a_mv_dec, -300, 300)
        cathodic = 10.0 ** np.clip(-over_mv / self.beta_c_mv_dec, -300, 300)
        share = self.icorr_a_cm2 / self.limit_a_cm2
        net = anodic - cathodic / (1 - share + share * cathodic)
        return np.asarray(self.icorr_a_cm2 * net, dtype=float)


@dataclass(frozen=True)
class MixedControlFit:
    """A fit of the mixed-control model to a window.

    Attributes
    ----------
    model : MixedControl
    rows : array of bool, shape (n,)
        The points of the window.
    residuals : array, shape (m,)
        Model less data, in asinh units (relative errors, away from the corrosion potential).
    spread : float
        Robust standard deviation of the residuals (1.4826 times the median absolute one).
    jacobian : array, shape (m, k)
        By log icorr, log beta_a, log beta_c, ecorr in mV (and log R, log limit where fitted).
    weights : array, shape (m,)
        How much each point counted in the robust fit.
    bic : float
    """

    model: MixedControl
    rows: BoolArray
    residuals: FloatArray
    spread: float
    jacobian: FloatArray
    weights: FloatArray
    bic: float


def _prediction(
    logs: FloatArray, over_mv: FloatArray, density: FloatArray, scale: float, *, drop: bool, limit: bool
) -> tuple[FloatArray, FloatArray]:
    """Return asinh currents of the model and their derivatives by its logarithmic parameters."""
    icorr, beta_a, beta_c = np.exp(np.clip(logs[:3], -60, 30))
    zero_mv = logs[3]
    place = 4
    ohm = 0.0
    if drop:
        ohm = float(np.exp(np.clip(logs[place], -60, 30)))
        place += 1
    share = float(icorr * np.exp(-np.clip(logs[place], -60, 60))) if limit else 0.0
    # The measured current makes the drop explicit: exact without noise, and no inner iteration.
    x = over_mv - zero_mv - 1e3 * density * ohm
    up = np.exp(np.clip(LN10 * x / beta_a, -80, 80))
    down = np.exp(np.clip(-LN10 * x / beta_c, -80, 80))
    under = 1 - share + share * down
    cathodic = down / under
    bend = (1 - share) / under  # d log(cathodic) / d log(down)
    current = icorr * (up - cathodic)
    by_x = icorr * LN10 * (up / beta_a + cathodic * bend / beta_c)
    by_share = icorr * cathodic * (down - 1) / under  # d current / d share
    columns = [
        current + (by_share * share if limit else 0.0),
        -icorr * up * LN10 * x / beta_a,
        -icorr * cathodic * bend * LN10 * x / beta_c,
        -by_x,
    ]
    if drop:
        columns.append(-by_x * 1e3 * density * ohm)
    if limit:
        columns.append(-by_share * share)
    slope = 1 / np.sqrt(current**2 + 4 * scale**2)
    return np.arcsinh(current / (2 * scale)), np.column_stack(columns) * slope[:, None]


def _start(over_mv: FloatArray, density: FloatArray, scale: float) -> FloatArray:
    """Return a start for the activation model: 90 mV slopes and the current these leave at the corrosion potential."""
    unit = 10.0 ** (over_mv / 90.0) - 10.0 ** (-over_mv / 90.0)
    firm = np.abs(over_mv) > 5.0
    ratio = density[firm] / unit[firm]
    ratio = ratio[ratio > 0]
    icorr = float(np.median(ratio)) if ratio.size else scale
    return np.array([np.log(icorr), np.log(90.0), np.log(90.0), 0.0])


def _solve(
    start: FloatArray, over_mv: FloatArray, density: FloatArray, scale: float, *, drop: bool, limit: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return parameters, residuals and Jacobian of one robust fit.

    Levenberg-Marquardt on the soft L1 loss 2 f^2 (sqrt(1 + (r/f)^2) - 1), reweighted at each step and kept within
    bounds by projection: hundreds of windows are fitted to a sweep, and a general solver takes five times as long.
    """
    target = np.arcsinh(density / (2 * scale))
    low = np.array([-60.0, *[np.log(5.0)] * 2, -15.0, *([-20.0] if drop else []), *([-40.0] if limit else [])])
    high = np.array([10.0, *[np.log(5e3)] * 2, 15.0, *([20.0] if drop else []), *([10.0] if limit else [])])

    def evaluate(logs: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        predicted, jacobian = _prediction(logs, over_mv, density, scale, drop=drop, limit=limit)
        residual = predicted - target
        return residual, jacobian, float(np.sum(np.sqrt(1 + (residual / _ROBUST) ** 2) - 1))

    logs = np.clip(start, low, high)
    residual, jacobian, cost = evaluate(logs)
    damping = 1e-2
    for _ in range(_STEPS):
        weight = 1 / np.sqrt(1 + (residual / _ROBUST) ** 2)
        curvature = jacobian.T @ (jacobian * weight[:, None])
        gradient = jacobian.T @ (weight * residual)
        diagonal = np.diag(np.maximum(np.diag(curvature), 1e-12))
        while damping < _STUCK:
            trial = np.clip(logs - np.linalg.solve(curvature + damping * diagonal, gradient), low, high)
            found = evaluate(trial)
            if found[2] <= cost:
                break
            damping *= 5
        else:
            break
        gained, moved = cost - found[2], float(np.max(np.abs(trial - logs)))
        logs, (residual, jacobian, cost) = trial, found
        damping = max(damping / 10, 1e-12)
        if moved < 1e-9 or gained <= _SETTLED * cost:
            break
    return logs, residual, jacobian


def _finished(
    logs: FloatArray, residuals: FloatArray, jacobian: FloatArray, ecorr_v: float, rows: BoolArray,
    *, drop: bool, limit: bool,
) -> MixedControlFit:  # fmt: skip
    model = MixedControl(
        float(np.exp(logs[0])),
        float(np.exp(logs[1])),
        float(np.exp(logs[2])),
        ecorr_v + float(logs[3]) / 1e3,
        float(np.exp(logs[4])) if drop else 0.0,
        float(np.exp(logs[-1])) if limit else float("inf"),
    )
    spread = 1.4826 * float(np.median(np.abs(residuals - np.median(residuals))))
    weights = 1 / np.sqrt(1 + (residuals / _ROBUST) ** 2)
    robust_cost = 2 * _ROBUST**2 * float(np.sum(np.sqrt(1 + (residuals / _ROBUST) ** 2) - 1))
    n = len(residuals)
    # Below a relative error of 1e-5 nothing that a potentiostat measures tells models apart.
    bic = n * float(np.log(max(robust_cost / n, 1e-10))) + len(logs) * float(np.log(n))
    return MixedControlFit(model, rows, residuals, spread, jacobian, weights, bic)


def fit_mixed_control(
    potential_v: FloatArray,
    density_a_cm2: FloatArray,
    ecorr_v: float,
    rows: BoolArray,
    *,
    terms: tuple[str, ...] = (),
    plain: MixedControlFit | None = None,
) -> MixedControlFit:
    """Fit the mixed-control model to the points of a window.

    Parameters
    ----------
    potential_v, density_a_cm2 : array, shape (n,)
        Anodic positive.
    ecorr_v : float
        Zero of the measured current; the model's own may differ by 15 mV.
    rows : array of bool, shape (n,)
        Which points count; eight at least.
    terms : tuple of str
        Models to try beside activation control alone: ``drop`` (with ohmic drop), ``limit`` (with a cathodic limiting
        current) and ``both``. A larger one is kept only where it lowers BIC by 10 or more, and a limiting current
        only where no cathodic current within the window and 100 mV beyond exceeds it by more than 5 %.
    plain : MixedControlFit, optional
        The fit by activation alone to the same points, where it is known already.

    Returns
    -------
    MixedControlFit
    """
    over_mv = 1e3 * (potential_v[rows] - ecorr_v)
    density = density_a_cm2[rows]
    scale = float(np.quantile(np.abs(density), 0.25)) or float(np.max(np.abs(density)))
    if plain is None:
        found = _solve(_start(over_mv, density, scale), over_mv, density, scale, drop=False, limit=False)
        plain = _finished(*found, ecorr_v, rows, drop=False, limit=False)
    best, model = plain, plain.model
    logs = np.log([model.icorr_a_cm2, model.beta_a_mv_dec, model.beta_c_mv_dec, 1.0])
    logs[3] = 1e3 * (model.ecorr_v - ecorr_v)
    largest = float(np.max(np.abs(density)))
    near = 1e3 * (potential_v - ecorr_v) >= over_mv.min() - _FURTHER_MV
    beyond = -float(density_a_cm2[near].min())
    # 1 mV of drop at the largest current, and a limit just above the largest cathodic one, are neutral starts.
    tries = {
        "drop": (True, False, [np.log(5e-3 / largest)]),
        "limit": (False, True, [np.log(1.3 * max(-float(density.min()), 1e-30))]),
        "both": (True, True, [np.log(5e-3 / largest), np.log(1.3 * max(-float(density.min()), 1e-30))]),
    }
    for name, (drop, limit, more) in tries.items():
        # Both terms at once are worth a trial only where one of them was wanted.
        if name not in terms or (name == "both" and best.model.n_parameters == _ACTIVATION):
            continue
        found = _solve(np.append(logs, more), over_mv, density, scale, drop=drop, limit=limit)
        fit = _finished(*found, ecorr_v, rows, drop=drop, limit=limit)
        # A limiting current that the same sweep exceeds a little further out is none; far out, another reaction may.
        if fit.bic < best.bic - _STRONG and fit.model.limit_a_cm2 * _OVERSHOOT >= beyond:
            best = fit
    return best
