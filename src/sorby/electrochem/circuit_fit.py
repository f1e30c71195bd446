"""Complex nonlinear least squares of an equivalent circuit, from many starts, without a guess of the person's.

Weighting (Boukamp, Solid State Ionics 20, 1986; Orazem and Tribollet, *Electrochemical Impedance Spectroscopy*):
``unit`` sums squared differences as they are; ``modulus`` divides both parts by the measured |Z|; ``proportional``
divides each part by its own measured size. Only the modulus and proportional sums are free of units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student_t

from sorby.electrochem.box_least_squares import Descent, descend
from sorby.electrochem.circuit import Circuit
from sorby.electrochem.circuit_order import in_order
from sorby.electrochem.circuit_starts import default_bounds, draw_starts
from sorby.electrochem.spectrum import Spectrum
from sorby.errors import InputError

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

WEIGHTINGS = ("unit", "modulus", "proportional")
#: Relative standard error beyond which a parameter is unidentifiable: its 95 % interval spans a factor of two.
UNIDENTIFIABLE_ERROR = 0.17
_TIED = 0.99
#: Evidence against another minimum, as twice a log likelihood ratio, up to which it counts: 1 to 100.
_RIVAL_EVIDENCE = 2 * np.log(100.0)
_DRAWN, _TRIED, _FINISHED = 512, 24, 8
_SHORT, _LONG = 14, 250
#: Relative difference between curves, and between parameters, that makes two minima two.
_SAME_CURVE, _SAME_VALUE = 1e-3, 0.05


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
        # An exponent of 1 is no failure: the element is a capacitor.
        ideal = ~self.circuit.logarithmic & (self.values >= 1 - 1e-9)
        wide = (~(self.relative_errors <= UNIDENTIFIABLE_ERROR) | self.at_bound) & ~ideal
        doubtful = self.relative_errors > UNIDENTIFIABLE_ERROR / 3
        tied = (np.abs(self.correlation) > _TIED) & wide[None, :] & doubtful[:, None]
        return wide | tied.any(axis=1) | self.ambiguous

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


def weights(z: Complex, weighting: str) -> tuple[Array, Array]:
    """Return what real and imaginary differences are multiplied by, shapes (N,).

    Raises
    ------
    InputError
        The weighting has no such name.
    """
    if weighting == "unit":
        return np.ones(z.size), np.ones(z.size)
    if weighting == "modulus":
        return 1 / np.abs(z), 1 / np.abs(z)
    if weighting == "proportional":
        # A part that happens to cross zero would otherwise decide the fit alone.
        floor = 1e-3 * np.abs(z)
        return 1 / np.maximum(np.abs(z.real), floor), 1 / np.maximum(np.abs(z.imag), floor)
    raise InputError(f"weighting {weighting!r} is not known", f"choose one of {', '.join(WEIGHTINGS)}")


def fit_circuit(
    circuit: Circuit,
    spectrum: Spectrum,
    *,
    weighting: str = "modulus",
    bounds: Mapping[str, tuple[float, float]] | None = None,
    guess: Mapping[str, float] | None = None,
    seed: int = 0,
) -> CircuitFit:
    """Fit a circuit.

    Parameters
    ----------
    circuit : Circuit
    spectrum : Spectrum
    weighting : {"modulus", "unit", "proportional"}
    bounds : mapping, optional
        Parameter name to lowest and highest value; others are bounded far beyond the data.
    guess : mapping, optional
        Parameter name to the person's value. A value for every parameter is the only start; one for some joins the
        starts drawn from the data.
    seed : int

    Returns
    -------
    CircuitFit

    Raises
    ------
    InputError
        More parameters than data, bounds that cannot hold, or no start leads anywhere.
    """
    omega, z = 2 * np.pi * spectrum.frequency_hz, spectrum.impedance
    if 2 * z.size <= len(circuit.parameters):
        raise InputError(
            f"{spectrum.path or 'spectrum'}: {z.size} points cannot fix {len(circuit.parameters)} parameters",
            "choose a smaller circuit",
        )
    low, high = _boxed(circuit, *default_bounds(circuit, omega, z), bounds or {})
    if guess and set(guess) == set(circuit.names):
        starts = circuit.vector(guess)[None]
    else:
        starts = draw_starts(circuit, omega, z, _DRAWN, seed)
        starts = np.concatenate([_guessed(circuit, starts[:16], guess), starts]) if guess else starts
    weight = weights(z, weighting)
    inward, outward = _scales(circuit)
    best = _search(circuit, omega, z, weight, inward(np.clip(starts, low, high)), inward(low), inward(high))
    if not np.isfinite(best.cost).any():
        raise InputError(
            f"circuit {circuit.text} cannot be fitted to this spectrum", "check the circuit and its bounds"
        )
    values = outward(best.values[np.argsort(best.cost, kind="stable")])
    if not bounds and not guess:
        values = np.stack([in_order(circuit, row, omega) for row in values])
    return _judged(circuit, spectrum, weighting, weight, values, (inward(low), inward(high)))


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


def _boxed(circuit: Circuit, low: Array, high: Array, bounds: Mapping[str, tuple[float, float]]) -> tuple[Array, Array]:
    low, high = low.copy(), high.copy()
    for name, (least, most) in bounds.items():
        k = _index(circuit, name)
        if not 0 < least < most < np.inf or (not circuit.parameters[k].logarithmic and most > 1):
            raise InputError(f"bounds {least:g} to {most:g} of {name} cannot hold",
                             "positive, the lower first, an exponent at most 1")  # fmt: skip
        low[k], high[k] = least, most
    return low, high


def _guessed(circuit: Circuit, starts: Array, guess: Mapping[str, float]) -> Array:
    starts = starts.copy()
    for name, value in guess.items():
        if not 0 < value < np.inf:
            raise InputError(f"a start at {name} = {value:g} cannot be", "values are positive")
        starts[:, _index(circuit, name)] = value
    return starts


def _index(circuit: Circuit, name: str) -> int:
    if name not in circuit.names:
        raise InputError(f"circuit {circuit.text} has no {name}", f"its parameters are {', '.join(circuit.names)}")
    return circuit.names.index(name)


def _scales(circuit: Circuit) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """Return the ways from parameters to fitted ones and back."""
    logarithmic = circuit.logarithmic

    def inward(values: Array) -> Array:
        return np.where(logarithmic, np.log(np.where(logarithmic, values, 1.0)), values)

    def outward(fitted: Array) -> Array:
        return np.where(logarithmic, np.exp(np.where(logarithmic, fitted, 0.0)), fitted)

    return inward, outward


def _search(
    circuit: Circuit, omega: Array, z: Complex, weight: tuple[Array, Array], starts: Array, low: Array, high: Array
) -> Descent:
    """Rank all starts, follow the better ones for a while and the best to the end."""
    _, outward = _scales(circuit)
    count = z.size

    def difference(fitted: Complex) -> Array:
        return np.concatenate([(fitted.real - z.real) * weight[0], (fitted.imag - z.imag) * weight[1]], axis=1)

    def model(x: Array) -> tuple[Array, Array]:
        fitted, derivatives = circuit.sensitivity(outward(x), omega)
        slopes = np.empty((*derivatives.shape[:2], 2 * count))
        np.multiply(derivatives.real, weight[0], out=slopes[..., :count])
        np.multiply(derivatives.imag, weight[1], out=slopes[..., count:])
        return difference(fitted), slopes

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        first = difference(circuit.impedance(outward(starts), omega / (2 * np.pi)))
        ranked = np.argsort(np.einsum("sm,sm->s", first, first))
        tried = descend(model, starts[ranked[:_TRIED]], low, high, iterations=_SHORT)
        ahead = np.argsort(tried.cost)[:_FINISHED]
        return descend(model, tried.values[ahead], low, high, iterations=_LONG)


def _judged(
    circuit: Circuit,
    spectrum: Spectrum,
    weighting: str,
    weight: tuple[Array, Array],
    ends: Array,
    box: tuple[Array, Array],
) -> CircuitFit:
    """Return the best of the end points, best first in *ends* (S, P), with its covariance and its rivals."""
    values, logarithmic = ends[0], circuit.logarithmic
    fitted, derivatives = circuit.sensitivity(values[None], 2 * np.pi * spectrum.frequency_hz)
    slopes = np.concatenate([derivatives[0].real * weight[0], derivatives[0].imag * weight[1]], axis=1)
    curves = circuit.impedance(ends, spectrum.frequency_hz)
    away = spectrum.impedance - curves
    squares = ((away.real * weight[0]) ** 2 + (away.imag * weight[1]) ** 2).sum(axis=1)
    chi2 = float(squares[0])
    parts = np.stack([away[0].real * weight[0], away[0].imag * weight[1]])
    serial = float((parts[:, 1:] * parts[:, :-1]).sum()) / max(chi2, 1e-300)
    inner = np.where(logarithmic, np.log(np.where(logarithmic, values, 1.0)), values)
    edge = 1e-9 * (box[1] - box[0])
    at_bound = (inner - box[0] <= edge) | (box[1] - inner <= edge)
    covariance = _covariance(slopes, at_bound) * (chi2 / max(slopes.shape[1] - values.size, 1))
    spread = np.sqrt(np.diag(covariance))
    return CircuitFit(
        circuit=circuit,
        values=values,
        standard_errors=np.where(logarithmic, values * spread, spread),
        covariance=covariance,
        correlation=np.clip(covariance / np.maximum(np.outer(spread, spread), 1e-300), -1, 1),
        at_bound=at_bound,
        weighting=weighting,
        chi2=chi2,
        frequency_hz=spectrum.frequency_hz,
        residuals=away[0],
        fitted=fitted[0],
        starts_agreeing=int((squares <= chi2 * 1.001).sum()),
        starts_finished=len(ends),
        serial_correlation=serial,
        rivals=_rivals(ends, squares, curves, serial),
        normalised=spectrum.normalised,
    )


def _rivals(ends: Array, squares: Array, curves: Complex, serial: float) -> tuple[Rival, ...]:
    """Return other minima that the data do not exclude.

    Where the circuit leaves a pattern, neighbouring residuals repeat each other; so many fewer are independent (first
    order autoregression), and a somewhat lower sum says little.
    """
    rho = min(max(serial, 0.0), 0.99)
    independent = 2 * curves.shape[1] * (1 - rho) / (1 + rho)
    kept: list[Rival] = []
    seen = [curves[0]]
    for k in range(1, len(ends)):
        if independent * np.log(squares[k] / max(squares[0], 1e-300)) > _RIVAL_EVIDENCE:
            break
        if all(np.max(np.abs(curves[k] - curve) / np.abs(curve)) > _SAME_CURVE for curve in seen):
            kept.append(Rival(ends[k], float(squares[k])))
            seen.append(curves[k])
    return tuple(kept)


def _covariance(slopes: Array, held: npt.NDArray[np.bool_]) -> Array:
    """Return the covariance for residuals of unit variance.

    Parameters on a bound are held: the others' covariance is that without them, their own variance that of a free
    parameter.
    """
    whole = _inverse_information(slopes)
    if not held.any() or held.all():
        return whole
    covariance = np.diag(np.diag(whole))
    free = np.flatnonzero(~held)
    covariance[np.ix_(free, free)] = _inverse_information(slopes[free])
    return covariance


def _inverse_information(slopes: Array) -> Array:
    """Return the inverse of the information matrix; a direction without information gets a variance without bound."""
    length = np.maximum(np.linalg.norm(slopes, axis=1), 1e-150)
    _, singular, directions = np.linalg.svd((slopes / length[:, None]).T, full_matrices=False)
    inverse = directions.T / np.maximum(singular, 1e-9 * singular[0]) ** 2 @ directions
    return np.asarray(inverse / np.outer(length, length))
