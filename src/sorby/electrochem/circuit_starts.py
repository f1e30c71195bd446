"""Where a circuit fit may begin: many parameter sets drawn from what the spectrum itself says.

A resistance lies within the range of the measured impedance; a time constant within the measured periods; a
capacitance, inductance or constant phase element follows from a resistance and a time constant. A resistor in the main
line usually is the high-frequency intercept. Candidates are drawn on a low-discrepancy sequence (Sobol) over these
ranges and ranked by how well they describe the data.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

from sorby.electrochem.circuit import Circuit
from sorby.electrochem.circuit_grammar import Element, Node, Series

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

#: How far beyond the range of the data a parameter may go, as a factor.
_MARGIN = 1e6


def default_bounds(circuit: Circuit, omega: Array, z: Complex) -> tuple[Array, Array]:
    """Return the lowest and highest value of every parameter, shapes (P,).

    They are wide, six decades beyond what the data can tell, and keep the arithmetic finite; a parameter that ends at
    one is unidentifiable and flagged so.
    """
    low_z, high_z = np.abs(z).min() / _MARGIN, np.abs(z).max() * _MARGIN
    slow, fast = omega.min() / _MARGIN, omega.max() * _MARGIN
    limits = {
        "resistance": (low_z, high_z),
        "capacitance": (1 / (fast * high_z), 1 / (slow * low_z)),
        "inductance": (low_z / fast, high_z / slow),
        "admittance": (1 / (fast * high_z), 1 / (slow * low_z)),
        "warburg": (low_z * np.sqrt(slow), high_z * np.sqrt(fast)),
        "time": (1 / fast, 1 / slow),
        "exponent": (0.1, 1.0),
    }
    pairs = np.array([limits[parameter.role] for parameter in circuit.parameters])
    return pairs[:, 0], pairs[:, 1]


def draw_starts(circuit: Circuit, omega: Array, z: Complex, n: int, seed: int = 0) -> Array:
    """Draw parameter sets.

    Parameters
    ----------
    circuit : Circuit
    omega : ndarray, shape (N,)
        Angular frequencies in rad/s.
    z : ndarray, shape (N,)
        Measured impedance.
    n : int
        How many; a power of two fills the space best.
    seed : int

    Returns
    -------
    ndarray, shape (n, P)
    """
    draws = qmc.Sobol(3 * len(circuit.elements), seed=np.random.default_rng(seed)).random(n)
    span = max(float(np.ptp(z.real)), float(np.ptp(z.imag)), 1e-3 * float(np.abs(z).max()))
    intercept = max(float(z.real[np.argmax(omega)]), 0.02 * float(np.abs(z).min()))
    in_line = _main_line(circuit.root)
    starts = np.empty((n, len(circuit.parameters)))
    for k, leaf in enumerate(circuit.elements):
        size = span * 10 ** (2.3 * draws[:, 3 * k] - 2.0)
        time = np.exp(_mix(np.log(0.3 / omega.max()), np.log(3.0 / omega.min()), draws[:, 3 * k + 1]))
        if leaf.kind.symbol == "R" and leaf in in_line:
            size = intercept * 10 ** (0.6 * draws[:, 3 * k] - 0.4)
        starts[:, leaf.first : leaf.stop] = _values(leaf.kind.symbol, size, time, 0.6 + 0.4 * draws[:, 3 * k + 2])
    return starts


def _mix(low: float, high: float, share: Array) -> Array:
    return low + (high - low) * share


def _main_line(root: Node) -> tuple[Node, ...]:
    if isinstance(root, Element):
        return (root,)
    return root.parts if isinstance(root, Series) else ()


def _values(symbol: str, size: Array, time: Array, exponent: Array) -> Array:
    """Return an element's parameters (S, k) for an impedance of *size* at the period *time*."""
    if symbol == "R":
        columns = [size]
    elif symbol == "C":
        columns = [time / size]
    elif symbol == "L":
        columns = [time * size]
    elif symbol == "W":
        columns = [size / np.sqrt(time)]
    elif symbol == "CPE":
        columns = [time**exponent / size, exponent]
    else:
        columns = [size, time]
    return np.stack(columns, axis=1)
