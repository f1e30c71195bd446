"""Complex nonlinear least squares of an equivalent circuit, from many starts, without a guess of the person's.

Weighting (Boukamp, Solid State Ionics 20, 1986; Orazem and Tribollet, *Electrochemical Impedance Spectroscopy*):
``unit`` sums squared differences as they are; ``modulus`` divides both parts by the measured |Z|; ``proportional``
divides each part by its own measured size. Only the modulus and proportional sums are free of units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sorby.electrochem.box_least_squares import Descent, descend
from sorby.electrochem.circuit import Circuit
from sorby.electrochem.circuit_order import in_order
from sorby.electrochem.circuit_starts import default_bounds, draw_starts
from sorby.electrochem.fitted_circuit import CircuitFit, Rival
from sorby.electrochem.spectrum import Spectrum
from sorby.errors import InputError

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

WEIGHTINGS = ("unit", "modulus", "proportional")
#: Evidence against another minimum, as twice a log likelihood ratio, up to which it counts: 1 to 100.
_RIVAL_EVIDENCE = 2 * np.log(100.0)
_SHORT, _LONG = 14, 250
#: A minimum is trusted once so many starts have come to it; otherwise another round of starts is drawn.
_ENOUGH = 3


@dataclass(frozen=True)
class _Effort:
    """How many starts are drawn, followed for a while and finished in a round, and the most rounds."""

    drawn: int
    tried: int
    finished: int
    rounds: int


_LIGHT, _HEAVY, _FEW_PARAMETERS = _Effort(512, 24, 8, 2), _Effort(1024, 48, 12, 5), 7
#: Relative difference between curves that makes two minima two.
_SAME_CURVE = 1e-3


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
    weight = weights(z, weighting)
    inward, outward = _scales(circuit)
    box = inward(low), inward(high)
    if guess and set(guess) == set(circuit.names):
        start = inward(np.clip(circuit.vector(guess)[None], low, high))
        best = _search(circuit, omega, z, weight, start, box, _LIGHT)
    else:
        best = _rounds(circuit, omega, z, weight, (low, high), guess or {}, seed)
    if not np.isfinite(best.cost).any():
        raise InputError(
            f"circuit {circuit.text} cannot be fitted to this spectrum", "check the circuit and its bounds"
        )
    values = outward(best.values[np.argsort(best.cost, kind="stable")])
    if not bounds and not guess:
        values = np.stack([in_order(circuit, row, omega) for row in values])
    return _judged(circuit, spectrum, weighting, weight, values, box)


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


def _rounds(
    circuit: Circuit,
    omega: Array,
    z: Complex,
    weight: tuple[Array, Array],
    bounds: tuple[Array, Array],
    guess: Mapping[str, float],
    seed: int,
) -> Descent:
    """Search in rounds until enough starts agree on the least sum of squares."""
    inward, _ = _scales(circuit)
    effort = _LIGHT if len(circuit.parameters) <= _FEW_PARAMETERS else _HEAVY
    box = inward(bounds[0]), inward(bounds[1])
    found: list[Descent] = []
    for turn in range(effort.rounds):
        starts = draw_starts(circuit, omega, z, effort.drawn, seed + 1_000_003 * turn)
        if guess:
            starts = np.concatenate([_guessed(circuit, starts[:16], guess), starts])
        found.append(_search(circuit, omega, z, weight, inward(np.clip(starts, *bounds)), box, effort))
        cost = np.concatenate([each.cost for each in found])
        if (cost <= cost.min() * 1.001 + 1e-300).sum() >= _ENOUGH:
            break
    return Descent(
        np.concatenate([each.values for each in found]),
        cost,
        np.concatenate([each.converged for each in found]),
        sum(each.iterations for each in found),
    )


def _search(
    circuit: Circuit,
    omega: Array,
    z: Complex,
    weight: tuple[Array, Array],
    starts: Array,
    box: tuple[Array, Array],
    effort: _Effort,
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
        tried = descend(model, starts[ranked[: effort.tried]], *box, iterations=_SHORT)
        ahead = np.argsort(tried.cost)[: effort.finished]
        return descend(model, tried.values[ahead], *box, iterations=_LONG)


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
