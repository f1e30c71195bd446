"""From descriptors of a micrograph to the lengths of its needles, hidden parts included: a calibrated regression.

Later needles hide earlier ones, mostly the short ones, and no picture shows what it hides. So the step from what is
seen to what is there is calibrated on phantoms, of which every needle is known: a Gaussian process with a linear and
a radial part (Rasmussen and Williams 2006, algorithm 2.1) on the descriptors, which are few and named. On real
micrographs the calibration has not been verified.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from sorby.errors import InputError

Float64 = npt.NDArray[np.float64]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
#: What is estimated: logarithms of lengths in micrometres, of needles per square millimetre, and an area fraction.
TARGETS = ("mean", "q05", "q25", "q50", "q75", "q95", "largest", "per_mm2", "coarse_area")
_LOGARITHMIC = np.array([name != "coarse_area" for name in TARGETS])
CALIBRATION_FILE = "needle_calibration.npz"


@dataclass(frozen=True)
class Kernel:
    """The covariance of two micrographs' lengths as a function of their standardised descriptors.

    Attributes
    ----------
    linear : float
        Variance of the linear part.
    radial : float
        Variance of the radial part.
    width : float
        Length scale of the radial part, in units of the root of the number of descriptors.
    noise : float
        Variance that descriptors do not explain.
    """

    linear: float
    radial: float
    width: float
    noise: float

    def __call__(self, left: Float64, right: Float64) -> Float64:
        """Return the covariance, shape (len(left), len(right)), of standardised descriptors, without noise."""
        products = left @ right.T / left.shape[1]
        squares = np.mean(left**2, axis=1)[:, None] + np.mean(right**2, axis=1)[None, :] - 2 * products
        radial = np.exp(-np.maximum(squares, 0) / (2 * self.width**2))
        return np.asarray(self.linear * products + self.radial * radial)

    def itself(self, points: Float64) -> Float64:
        """Return the variance of each point, shape (n,), without noise."""
        return np.asarray(self.linear * np.mean(points**2, axis=1) + self.radial)


@dataclass(frozen=True)
class Estimate:
    """An estimate with its interval.

    Attributes
    ----------
    value : float
    ci95 : tuple of float
        Low and high.
    """

    value: float
    ci95: tuple[float, float]


@dataclass(frozen=True, eq=False)
class LengthModel:
    """The calibrated regression.

    Attributes
    ----------
    names : tuple of str
        Descriptors, in order.
    points : ndarray of float64, shape (n, d)
        Descriptors of the calibration micrographs.
    targets : ndarray of float64, shape (n, t)
        What is known of them, see ``TARGETS``.
    kernel : Kernel
        The covariance.
    factors : ndarray of float64, shape (t,)
        Half width of the 95 % interval in predicted deviations, for each target: the conformal quantile of the
        calibration's own leave-one-out errors (Lei et al. 2018), so it does not rely on normal errors.
    provenance : mapping
        Which phantoms it was made on, and how well it did.
    """

    names: tuple[str, ...]
    points: Float64
    targets: Float64
    kernel: Kernel
    factors: Float64
    provenance: Mapping[str, Any]

    @property
    def _standard(self) -> tuple[Float64, Float64]:
        return self.points.mean(axis=0), self.points.std(axis=0) + 1e-9

    @property
    def _level(self) -> tuple[Float64, Float64]:
        return self.targets.mean(axis=0), self.targets.std(axis=0) + 1e-9

    def _solved(self) -> tuple[Float64, Any, Float64]:
        """Return the standardised points, the factorised covariance and its solution for the targets."""
        mean, deviation = self._standard
        points = (self.points - mean) / deviation
        level, spread = self._level
        factor = cho_factor(self.kernel(points, points) + self.kernel.noise * np.eye(len(points)), lower=True)
        return points, factor, np.asarray(cho_solve(factor, (self.targets - level) / spread))

    def predict(self, values: Float64) -> tuple[Float64, Float64]:
        """Return the mean and the deviation of each target, both of shape (m, t), of descriptors (m, d)."""
        points, factor, solution = _solve_once(self)
        mean, deviation = self._standard
        new = (values - mean) / deviation
        between = self.kernel(new, points)
        level, spread = self._level
        inner = solve_triangular(factor[0], between.T, lower=True)
        variance = np.maximum(self.kernel.itself(new) - np.sum(inner**2, axis=0), 0) + self.kernel.noise
        return between @ solution * spread + level, np.sqrt(variance)[:, None] * spread

    def left_out(self) -> tuple[Float64, Float64]:
        """Return mean and deviation of each calibration micrograph predicted by all others, shape (n, t) each.

        In closed form (Rasmussen and Williams 2006, equation 5.12).
        """
        points, factor, solution = self._solved()
        inverse = np.diag(cho_solve(factor, np.eye(len(points))))[:, None]
        level, spread = self._level
        return self.targets - solution / inverse * spread, np.sqrt(1 / inverse) * spread + 0 * level

    def calibrated(self, confidence: float = 0.95) -> LengthModel:
        """Return the model with interval factors from its own leave-one-out errors."""
        mean, deviation = self.left_out()
        scores = np.sort(np.abs(self.targets - mean) / deviation, axis=0)
        rank = min(len(scores), int(np.ceil((len(scores) + 1) * confidence))) - 1
        return replace(self, factors=scores[rank])

    def estimate(self, values: Float64) -> dict[str, Estimate]:
        """Return each target of one micrograph in its own unit (um, per mm2, share) with its 95 % interval.

        Parameters
        ----------
        values : ndarray of float64, shape (d,)
            Its descriptors, in the order of ``names``.
        """
        mean, deviation = (part[0] for part in self.predict(values[None, :]))
        ends = np.stack([mean, mean - self.factors * deviation, mean + self.factors * deviation])
        ends = np.where(_LOGARITHMIC, np.exp(np.where(_LOGARITHMIC, ends, 0)), np.clip(ends, 0, 1))
        lengths = [TARGETS.index(name) for name in TARGETS if name.startswith("q")]
        # Quantiles of one distribution cannot cross, nor can the largest be shorter than the 95th percentile.
        ends[:, [*lengths, TARGETS.index("largest")]] = np.sort(ends[:, [*lengths, TARGETS.index("largest")]], axis=1)
        return {
            name: Estimate(float(ends[0, k]), (float(ends[1, k]), float(ends[2, k]))) for k, name in enumerate(TARGETS)
        }

    def distance(self, values: Float64) -> float:
        """Return how far descriptors lie from the nearest calibration micrograph.

        In units of the 99th percentile of the calibration micrographs' own nearest distances: above 1 is unusual.
        """
        mean, deviation = self._standard
        points = (self.points - mean) / deviation
        new = (values - mean) / deviation
        return float(np.sqrt(np.mean((points - new) ** 2, axis=1)).min() / _usual_distance(self))

    def save(self, path: Any) -> None:
        """Write the model to *path*, a file name or a binary file."""
        about = {"names": self.names, "kernel": vars(self.kernel), "provenance": dict(self.provenance)}
        np.savez_compressed(
            path,
            points=self.points.astype(np.float32),
            targets=self.targets.astype(np.float32),
            factors=self.factors,
            about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8),
        )

    @classmethod
    def load(cls, path: Any) -> LengthModel:
        """Read a model from a file name or a binary file.

        Raises
        ------
        InputError
            The file is no needle calibration, or one of other targets.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                about = json.loads(stored["about"].tobytes())
                model = cls(
                    names=tuple(about["names"]),
                    points=stored["points"].astype(np.float64),
                    targets=stored["targets"].astype(np.float64),
                    kernel=Kernel(**about["kernel"]),
                    factors=stored["factors"],
                    provenance=about["provenance"],
                )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: no needle calibration ({error})", "make it again") from error
        if model.targets.shape[1:] != (len(TARGETS),) or model.points.shape[1:] != (len(model.names),):
            raise InputError(f"{path}: a needle calibration of another version", "make it again")
        return model


@lru_cache(maxsize=2)
def _solve_once(model: LengthModel) -> tuple[Float64, Any, Float64]:
    return model._solved()


@lru_cache(maxsize=2)
def _usual_distance(model: LengthModel) -> float:
    mean, deviation = model._standard
    points = (model.points - mean) / deviation
    squares = np.mean(points**2, axis=1)
    apart = squares[:, None] + squares[None, :] - 2 * points @ points.T / points.shape[1]
    np.fill_diagonal(apart, np.inf)
    return float(np.quantile(np.sqrt(np.maximum(apart.min(axis=1), 0)), 0.99))


@lru_cache(maxsize=1)
def default_model() -> LengthModel:
    """Return the calibration that comes with sorby."""
    with (files("sorby.measure") / CALIBRATION_FILE).open("rb") as file:
        return LengthModel.load(file)


def fit(names: tuple[str, ...], points: Float64, targets: Float64, provenance: Mapping[str, Any]) -> LengthModel:
    """Return the model whose leave-one-out likelihood on the calibration micrographs is greatest.

    Parameters
    ----------
    names : tuple of str
        Descriptors.
    points : ndarray of float64, shape (n, d)
        Their values.
    targets : ndarray of float64, shape (n, t)
        See ``TARGETS``.
    provenance : mapping
        Stored with the model.
    """
    best, score = None, -np.inf
    for linear in (0.3, 3.0):
        for radial in (0.3, 1.0):
            for width in (0.5, 0.7, 1.0, 1.5):
                for noise in (0.02, 0.04, 0.08):
                    kernel = Kernel(linear, radial, width, noise)
                    model = LengthModel(names, points, targets, kernel, np.full(len(TARGETS), 2.0), provenance)
                    mean, deviation = model.left_out()
                    errors = (targets - mean) / deviation
                    likelihood = -float(np.sum(np.log(deviation[:, :7]) + errors[:, :7] ** 2 / 2))
                    if likelihood > score:
                        best, score = model, likelihood
    assert best is not None
    return best.calibrated()
