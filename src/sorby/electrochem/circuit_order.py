"""One name for one thing: parts of a circuit that may change places are put in order.

``p(R1,C1)-p(R2,C2)`` describes the same impedance with its pairs exchanged. After a fit, the members of such a group
stand by their relaxation, the fastest first, so that names mean the same in every fit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sorby.electrochem.circuit import Circuit
from sorby.electrochem.circuit_grammar import Element, Node

Array = npt.NDArray[np.float64]


def in_order(circuit: Circuit, values: Array, omega: Array) -> Array:
    """Return the parameters with exchangeable parts in order of relaxation.

    Parameters
    ----------
    circuit : Circuit
    values : ndarray, shape (P,)
    omega : ndarray, shape (N,)
        Measured angular frequencies; relaxations are looked for a hundredfold beyond them.

    Returns
    -------
    ndarray, shape (P,)
    """
    grid = np.geomspace(omega.min() / 100, omega.max() * 100, 240)
    values = values.copy()
    _order(circuit.root, values, grid)
    return values


def _order(node: Node, values: Array, grid: Array) -> None:
    if isinstance(node, Element):
        return
    groups: dict[str, list[Node]] = {}
    for part in node.parts:
        _order(part, values, grid)
        groups.setdefault(_shape(part), []).append(part)
    for members in groups.values():
        if len(members) > 1:
            blocks = sorted(
                (values[part.first : part.stop].copy() for part in members),
                key=lambda block: _slowness(members[0], block, grid),
            )
            for part, block in zip(members, blocks, strict=True):
                values[part.first : part.stop] = block


def _shape(node: Node) -> str:
    """Return what a part is made of, without names."""
    if isinstance(node, Element):
        return node.kind.symbol
    return f"{type(node).__name__}({','.join(_shape(part) for part in node.parts)})"


def _slowness(part: Node, block: Array, grid: Array) -> tuple[float, float]:
    """Return the period of a part's strongest reaction, then its size at low frequency."""
    lowered = _moved(part, part.first)
    z = Circuit("", lowered).impedance(block, grid / (2 * np.pi))
    reaction = np.abs(z.imag)
    return (float(1 / grid[int(np.argmax(reaction))]) if reaction.max() > 0 else 0.0, float(np.abs(z[0])))


def _moved(node: Node, by: int) -> Node:
    """Return the part with its parameters counted from zero."""
    if isinstance(node, Element):
        return Element(node.kind, node.name, node.first - by)
    return type(node)(tuple(_moved(part, by) for part in node.parts), node.first - by, node.stop - by)
