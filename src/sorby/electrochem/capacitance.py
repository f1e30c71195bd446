"""From a constant phase element to a capacitance, by a formula that is named.

Two distributions of time constants give two formulas, which may differ threefold (Hirschorn, Orazem, Tribollet et al.,
Electrochim. Acta 55, 6218, 2010): *along* the surface that of Brug, *through* a film that of Hsu and Mansfeld.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sorby.electrochem.circuit import Circuit
from sorby.electrochem.circuit_grammar import Element, Node, Parallel, Series
from sorby.errors import InputError


@dataclass(frozen=True)
class Capacitance:
    """Capacitance of one constant phase element.

    Attributes
    ----------
    element : str
        The element's name.
    formula : str
        ``Brug`` or ``Hsu-Mansfeld``.
    value : float
        In F (F cm^-2 where the fit was per area).
    resistances : tuple of str
        Which parameters entered.
    """

    element: str
    formula: str
    value: float
    resistances: tuple[str, ...]

    def as_dict(self, unit: str) -> dict[str, Any]:
        """Return the entry of a result."""
        return {
            "element": self.element,
            "formula": self.formula,
            "value": self.value,
            "unit": unit,
            "resistances": list(self.resistances),
        }


def brug(q: float, alpha: float, solution_resistance: float, charge_transfer_resistance: float | None = None) -> float:
    """Return C = Q^(1/α) (1/Rs + 1/Rct)^((α-1)/α), for time constants distributed along the surface.

    Brug, van den Eeden, Sluyters-Rehbach and Sluyters, J. Electroanal. Chem. 176, 275 (1984). Without a charge transfer
    resistance the electrode blocks and 1/Rct is 0.

    Parameters
    ----------
    q : float
        In ohm^-1 s^α.
    alpha : float
        In (0, 1].
    solution_resistance, charge_transfer_resistance : float
        In ohm.

    Returns
    -------
    float
        In F.

    Raises
    ------
    InputError
        A number is not positive or the exponent is above 1.
    """
    conductance = 1 / _positive("solution resistance", solution_resistance)
    if charge_transfer_resistance is not None:
        conductance += 1 / _positive("charge transfer resistance", charge_transfer_resistance)
    alpha = _exponent(alpha)
    return float(_positive("Q", q) ** (1 / alpha) * conductance ** ((alpha - 1) / alpha))


def hsu_mansfeld(q: float, alpha: float, resistance: float) -> float:
    """Return C = Q^(1/α) R^((1-α)/α), for time constants distributed through a film.

    Hsu and Mansfeld, Corrosion 57, 747 (2001), with *resistance* that of the branch beside the element.

    Raises
    ------
    InputError
        A number is not positive or the exponent is above 1.
    """
    alpha = _exponent(alpha)
    return float(_positive("Q", q) ** (1 / alpha) * _positive("resistance", resistance) ** ((1 - alpha) / alpha))


def capacitances(circuit: Circuit, values: dict[str, float]) -> list[Capacitance]:
    """Convert every constant phase element that a resistance stands beside.

    Parameters
    ----------
    circuit : Circuit
    values : dict
        Parameters by name.

    Returns
    -------
    list of Capacitance
        Brug where the main line holds a resistor too, and Hsu-Mansfeld.
    """
    line = circuit.root.parts if isinstance(circuit.root, Series) else (circuit.root,)
    solution = [part.name for part in line if isinstance(part, Element) and part.kind.symbol == "R"]
    found = []
    for pair in _parallels(circuit.root):
        beside = next((name for name in map(_leading_resistor, pair.parts) if name), None)
        for leaf in pair.parts:
            if not isinstance(leaf, Element) or leaf.kind.symbol != "CPE" or beside is None:
                continue
            q, alpha, resistance = values[f"{leaf.name}_0"], values[f"{leaf.name}_1"], values[beside]
            if solution:
                series = sum(values[name] for name in solution)
                found.append(Capacitance(leaf.name, "Brug", brug(q, alpha, series, resistance), (*solution, beside)))
            found.append(Capacitance(leaf.name, "Hsu-Mansfeld", hsu_mansfeld(q, alpha, resistance), (beside,)))
    return found


def _parallels(node: Node) -> list[Parallel]:
    if isinstance(node, Element):
        return []
    below = [each for part in node.parts for each in _parallels(part)]
    return [node, *below] if isinstance(node, Parallel) else below


def _leading_resistor(branch: Node) -> str | None:
    """Return the resistor that carries the branch's charge transfer; a branch with an inductor is an adsorption one."""
    if isinstance(branch, Element):
        return branch.name if branch.kind.symbol == "R" else None
    if not isinstance(branch, Series) or any(
        isinstance(part, Element) and part.kind.symbol == "L" for part in branch.parts
    ):
        return None
    return next((part.name for part in branch.parts if isinstance(part, Element) and part.kind.symbol == "R"), None)


def _positive(name: str, value: float) -> float:
    if not 0 < value < float("inf"):
        raise InputError(f"a {name} of {value:g} cannot be", "it is positive")
    return value


def _exponent(alpha: float) -> float:
    if not 0 < alpha <= 1:
        raise InputError(f"an exponent of {alpha:g} cannot be", "it lies above 0 and up to 1")
    return alpha
