"""A circuit fitted to a spectrum: values with errors, what the data leave open, and how circuits compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student_t

from sorby.electrochem.circuit import Circuit

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

#: Relative standard error beyond which a parameter is unidentifiable: its 95 % interval spans a factor of two.
UNIDENTIFIABLE_ERROR = 0.17
_TIED = 0.99
#: Relative difference between parameters that makes two minima two.
_SAME_VALUE = 0.05


@dataclass(frozen=True, eq=False)
class Rival:
    """Another minimum that the data do not exclude.

    Attributes
    ----------
    values : ndarray, shape (P,)
    chi2 : float
    """

    values: Array
    chi2: float


@dataclass(frozen=True, eq=False)
class CircuitFit:
    """A circuit fitted to a spectrum.

    Attributes
    ----------
    circuit : Circuit
    values : ndarray, shape (P,)
        Parameters in the circuit's order.
    standard_errors : ndarray, shape (P,)
        From the covariance; infinite where the data say nothing.
    covariance : ndarray, shape (P, P)
        Of the fitted parameters: logarithms, exponents as they are.
    correlation : ndarray, shape (P, P)
    at_bound : ndarray of bool, shape (P,)
    weighting : str
    chi2 : float
        Weighted sum of squares.
    frequency_hz : ndarray, shape (N,)
    residuals : ndarray, shape (N,)
        Measured minus fitted impedance, complex, unweighted.
    fitted : ndarray, shape (N,)
    starts_agreeing : int
        How many of the starts that were followed to the end came to this minimum.
    starts_finished : int
    serial_correlation : float
        Of neighbouring weighted residuals; near zero where the circuit describes all but noise.
    rivals : tuple of Rival
        Other minima of the sum of squares that the data do not exclude, best first.
    normalised : bool
        Whether resistances are in ohm cm2.
    """

    circuit: Circuit
    values: Array
    standard_errors: Array
    covariance: Array
    correlation: Array
    at_bound: npt.NDArray[np.bool_]
    weighting: str
    chi2: float
    frequency_hz: Array
    residuals: Complex
    fitted: Complex
    starts_agreeing: int
    starts_finished: int
    serial_correlation: float
    rivals: tuple[Rival, ...]
    normalised: bool

    @property
    def degrees_of_freedom(self) -> int:
        """Real and imaginary parts less parameters."""
        return 2 * self.frequency_hz.size - self.values.size

    @property
    def chi2_reduced(self) -> float:
        """Weighted sum of squares a degree of freedom."""
        return self.chi2 / self.degrees_of_freedom

    @property
    def relative_errors(self) -> Array:
        """Standard errors over values, shape (P,)."""
        return self.standard_errors / self.values

    @property
    def unidentifiable(self) -> npt.NDArray[np.bool_]:
        """Which parameters the data do not fix: too wide, on a bound, tied to a wide one, or other in a rival."""
        wide = (~(self.relative_errors <= UNIDENTIFIABLE_ERROR) | self.at_bound) & ~self.ideal
        doubtful = self.relative_errors > UNIDENTIFIABLE_ERROR / 3
        tied = (np.abs(self.correlation) > _TIED) & wide[None, :] & doubtful[:, None]
        return wide | tied.any(axis=1) | self.ambiguous

    @property
    def ideal(self) -> npt.NDArray[np.bool_]:
        """Which parameters are exponents of 1, shape (P,): no failure, the element is a capacitor."""
        return np.asarray(~self.circuit.logarithmic & (self.values >= 1 - 1e-9))

    @property
    def ambiguous(self) -> npt.NDArray[np.bool_]:
        """Which parameters are another number in a rival minimum, shape (P,)."""
        apart = np.zeros(self.values.size, bool)
        for rival in self.rivals:
            apart |= np.abs(np.log(rival.values / self.values)) > np.maximum(_SAME_VALUE, 2 * self.relative_errors)
        return apart

    @property
    def intervals(self) -> Array:
        """95 % confidence intervals, shape (P, 2): on the logarithm for positive parameters."""
        reach = float(student_t.ppf(0.975, self.degrees_of_freedom)) * np.sqrt(np.diag(self.covariance))
        with np.errstate(over="ignore"):
            factor = np.exp(reach)
            low = np.where(self.circuit.logarithmic, self.values / factor, np.maximum(self.values - reach, 0.0))
            high = np.where(self.circuit.logarithmic, self.values * factor, np.minimum(self.values + reach, 1.0))
        return np.stack([low, high], axis=1)

    @property
    def aicc(self) -> float:
        """Akaike's criterion, corrected for small samples (Hurvich and Tsai 1989); its differences have a meaning.

        The variance counts as a parameter.
        """
        n, k = 2 * self.frequency_hz.size, self.values.size + 1
        if n <= k + 1:
            return float("inf")
        return float(n * np.log(max(self.chi2, 1e-300) / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1))

    def named(self) -> dict[str, float]:
        """Return the parameters by name."""
        return dict(zip(self.circuit.names, self.values.tolist(), strict=True))


def compare_circuits(fits: Sequence[CircuitFit]) -> list[dict[str, float | str | int]]:
    """Rank fits of one spectrum by AICc.

    Parameters
    ----------
    fits : sequence of CircuitFit
        Of the same points with the same weighting.

    Returns
    -------
    list of dict
        Best first: ``circuit``, ``parameters`` (how many), ``chi2``, ``aicc``, ``delta`` to the best, and Akaike
        ``weight`` (Burnham and Anderson 2002).
    """
    ranked = sorted(fits, key=lambda fit: fit.aicc)
    delta = np.array([fit.aicc - ranked[0].aicc for fit in ranked])
    share = np.exp(-0.5 * delta) / np.exp(-0.5 * delta).sum()
    return [
        {
            "circuit": fit.circuit.text,
            "parameters": fit.values.size,
            "chi2": fit.chi2,
            "aicc": fit.aicc,
            "delta": float(delta[k]),
            "weight": float(share[k]),
        }
        for k, fit in enumerate(ranked)
    ]
