"""Equivalent circuits: parameters by name, impedance and its derivatives for many parameter sets at once.

The corrosion study's two circuits stand in `NAMED_CIRCUITS`. Of the magnesium one only the parts are in print (solution
resistance, constant phase element, charge transfer, a resistor and inductor in series, and two capacitor-resistor pairs
for the metal/oxide and the oxide/medium boundary); how they are joined is our reading, the usual one for magnesium.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sorby.electrochem.circuit_elements import per_area
from sorby.electrochem.circuit_grammar import Element, Node, Parallel, Series, parse
from sorby.errors import InputError

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

NAMED_CIRCUITS: Mapping[str, str] = {
    "316L": "Rs-p(Rct,Cdl)",
    "AZ31B": "Rs-p(CPEq,Rct,RL-L)-p(R1,C1)-p(R2,C2)",
    "randles": "Rs-p(Rct-W,Cdl)",
    "randles-cpe": "Rs-p(Rct-W,CPEdl)",
}


@dataclass(frozen=True)
class Parameter:
    """One number of a circuit.

    Attributes
    ----------
    name : str
        ``R1``; ``CPE1_0`` and ``CPE1_1`` where the element has two.
    unit : str
        For impedances in ohm.
    role : str
        See `sorby.electrochem.circuit_elements.ElementKind`.
    element : str
        Whose it is.
    """

    name: str
    unit: str
    role: str
    element: str

    @property
    def logarithmic(self) -> bool:
        """Whether it is positive and fitted by its logarithm."""
        return self.role != "exponent"

    def unit_for(self, normalised: bool) -> str:
        """Return the unit, that for impedances in ohm cm2 where *normalised*."""
        return per_area(self.unit) if normalised else self.unit


@dataclass(frozen=True)
class Circuit:
    """An equivalent circuit.

    Attributes
    ----------
    text : str
        As written.
    root : Element, Series or Parallel
        Its tree.
    """

    text: str
    root: Node

    @classmethod
    def read(cls, text: str) -> Circuit:
        """Read a circuit string, or the name of a circuit in `NAMED_CIRCUITS`.

        Raises
        ------
        CircuitError
            The text is no circuit.
        """
        text = NAMED_CIRCUITS.get(text.strip(), text.strip())
        return cls(text, parse(text))

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """The leaves from left to right."""
        return tuple(_leaves(self.root))

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters from left to right."""
        return tuple(
            Parameter(f"{leaf.name}_{symbol}" if symbol else leaf.name, unit, role, leaf.name)
            for leaf in self.elements
            for symbol, unit, role in leaf.kind.parameters
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def inductive(self) -> bool:
        """Whether it can have an impedance with positive imaginary part: only an inductor gives one."""
        return any(leaf.kind.symbol == "L" for leaf in self.elements)

    @cached_property
    def logarithmic(self) -> npt.NDArray[np.bool_]:
        """Which parameters are fitted by their logarithm, shape (P,)."""
        return np.array([parameter.logarithmic for parameter in self.parameters])

    def vector(self, values: Mapping[str, float]) -> Array:
        """Return parameters given by name in the circuit's order, shape (P,).

        Raises
        ------
        InputError
            A parameter is missing or unknown, not positive, or an exponent lies outside (0, 1].
        """
        unknown, missing = set(values) - set(self.names), set(self.names) - set(values)
        if unknown or missing:
            problem = f"has no {min(unknown)}" if unknown else f"also needs {min(missing)}"
            raise InputError(f"circuit {self.text} {problem}", f"its parameters are {', '.join(self.names)}")
        for parameter in self.parameters:
            value = values[parameter.name]
            if not (np.isfinite(value) and value > 0 and (parameter.logarithmic or value <= 1)):
                raise InputError(f"{parameter.name} = {value:g} cannot be", "values are positive, exponents at most 1")
        return np.array([float(values[name]) for name in self.names])

    def impedance(self, values: npt.ArrayLike, frequency_hz: npt.ArrayLike) -> Complex:
        """Return the impedance.

        Parameters
        ----------
        values : array_like, shape (P,) or (S, P)
            Parameters in the order of `names`.
        frequency_hz : array_like, shape (N,)

        Returns
        -------
        ndarray, shape (N,) or (S, N)
            In ohm, or ohm cm2 where the parameters are per area; negative imaginary part where capacitive.
        """
        rows = np.atleast_2d(np.asarray(values, np.float64))
        omega = 2 * np.pi * np.asarray(frequency_hz, np.float64)
        z = _evaluate(self.root, rows, omega, None)
        return z if np.ndim(values) == 2 else z[0]

    def sensitivity(self, values: npt.ArrayLike, omega: Array) -> tuple[Complex, Complex]:
        """Return impedance and derivatives by the fitted parameters.

        Parameters
        ----------
        values : array_like, shape (S, P)
        omega : ndarray, shape (N,)
            Angular frequency in rad/s.

        Returns
        -------
        impedance : ndarray, shape (S, N)
        derivatives : ndarray, shape (S, P, N)
            By ln p, for an exponent by itself.
        """
        rows = np.asarray(values, np.float64)
        derivatives = np.empty((rows.shape[0], rows.shape[1], omega.size), np.complex128)
        return _evaluate(self.root, rows, omega, derivatives), derivatives


def _leaves(node: Node) -> Iterator[Element]:
    if isinstance(node, Element):
        yield node
    else:
        for part in node.parts:
            yield from _leaves(part)


def _evaluate(node: Node, rows: Array, omega: Array, derivatives: Complex | None) -> Complex:
    """Return a node's impedance (S, N) and fill the rows of its own parameters into *derivatives*."""
    if isinstance(node, Element):
        z, by_parameter = node.kind.law(rows[:, node.first : node.stop], omega)
        if derivatives is not None:
            for k, derivative in enumerate(by_parameter):
                derivatives[:, node.first + k] = derivative
        return np.asarray(z)
    branches = [_evaluate(part, rows, omega, derivatives) for part in node.parts]
    if isinstance(node, Series):
        return np.asarray(np.sum(branches, axis=0))
    assert isinstance(node, Parallel)
    z = 1 / np.sum([1 / branch for branch in branches], axis=0)
    if derivatives is not None:
        # dZ/dp = (Z / Zk)^2 dZk/dp for a parameter of branch k.
        for part, branch in zip(node.parts, branches, strict=True):
            derivatives[:, part.first : part.stop] *= ((z / branch) ** 2)[:, None, :]
    return np.asarray(z)
