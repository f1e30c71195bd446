"""Elements of equivalent circuits: impedance and its derivatives.

Conventions (Barsoukov and Macdonald, *Impedance Spectroscopy*; Lasia, *Electrochemical Impedance Spectroscopy*), with
s = jω:

==== ============================== ===========================================================
R    resistor                       R
C    capacitor                      1 / (s C)
L    inductor                       s L
CPE  constant phase element         1 / (Q s^α), 0 < α <= 1
W    Warburg, semi-infinite         A (1 - j) / sqrt(ω)
Wo   Warburg, open (blocked) end    Z0 coth(sqrt(s τ)) / sqrt(s τ)
Ws   Warburg, short (leaking) end   Z0 tanh(sqrt(s τ)) / sqrt(s τ)
G    Gerischer                      Z0 / sqrt(1 + s τ)
==== ============================== ===========================================================

Positive parameters are fitted by their logarithm, so derivatives are by ln p for them and by α itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

#: Parameters (S, k) and angular frequencies (N,) to impedance (S, N) and derivatives, k of (S, N).
Law = Callable[[Array, Array], tuple[Complex, list[Complex]]]


@dataclass(frozen=True)
class ElementKind:
    """One kind of element.

    Attributes
    ----------
    symbol : str
        As in a circuit string.
    name : str
        In words.
    parameters : tuple of (str, str, str)
        Of each parameter: its symbol, its unit, and its role: ``resistance``, ``capacitance``, ``inductance``,
        ``admittance`` (of a constant phase element), ``exponent``, ``warburg`` or ``time``.
    law : callable
        Impedance and derivatives.
    """

    symbol: str
    name: str
    parameters: tuple[tuple[str, str, str], ...]
    law: Law


def _resistor(p: Array, omega: Array) -> tuple[Complex, list[Complex]]:
    z = np.repeat(p[:, :1], omega.size, axis=1).astype(np.complex128)
    return z, [z]


def _capacitor(p: Array, omega: Array) -> tuple[Complex, list[Complex]]:
    z = np.asarray(-1j / (p[:, :1] * omega), np.complex128)
    return z, [-z]


def _inductor(p: Array, omega: Array) -> tuple[Complex, list[Complex]]:
    z = np.asarray(1j * (p[:, :1] * omega), np.complex128)
    return z, [z]


def _constant_phase(p: Array, omega: Array) -> tuple[Complex, list[Complex]]:
    log_s = np.asarray(np.log(omega) + 0.5j * np.pi, np.complex128)
    z = np.asarray(np.exp(-p[:, 1:2] * log_s) / p[:, :1], np.complex128)
    return z, [-z, -z * log_s]


def _warburg(p: Array, omega: Array) -> tuple[Complex, list[Complex]]:
    z: Complex = p[:, :1] * ((1 - 1j) / np.sqrt(omega))
    return z, [z]


def _diffusion_argument(p: Array, omega: Array) -> tuple[Complex, Complex]:
    """Return x = sqrt(s τ) and tanh x, without overflow for thick layers or loss of digits for thin ones."""
    x = np.sqrt(p[:, 1:2] * omega) * np.exp(0.25j * np.pi)
    return x, -np.expm1(-2 * x) / (1 + np.exp(-2 * x))


def _warburg_open(p: Array, omega: Array) -> tuple[Complex, list[Complex]]:
    x, tanh = _diffusion_argument(p, omega)
    coth = 1 / tanh
    z = p[:, :1] * coth / x
    return z, [z, 0.5 * (p[:, :1] * (1 - coth * coth) - z)]


def _warburg_short(p: Array, omega: Array) -> tuple[Complex, list[Complex]]:
    x, tanh = _diffusion_argument(p, omega)
    z = p[:, :1] * tanh / x
    return z, [z, 0.5 * (p[:, :1] * (1 - tanh * tanh) - z)]


def _gerischer(p: Array, omega: Array) -> tuple[Complex, list[Complex]]:
    s_tau = 1j * (p[:, 1:2] * omega)
    z = p[:, :1] / np.sqrt(1 + s_tau)
    return z, [z, -0.5 * z * s_tau / (1 + s_tau)]


_DIFFUSION = (("0", "ohm", "resistance"), ("1", "s", "time"))
ELEMENTS = {
    kind.symbol: kind
    for kind in (
        ElementKind("R", "resistor", (("", "ohm", "resistance"),), _resistor),
        ElementKind("C", "capacitor", (("", "F", "capacitance"),), _capacitor),
        ElementKind("L", "inductor", (("", "H", "inductance"),), _inductor),
        ElementKind(
            "CPE",
            "constant phase element",
            (("0", "ohm^-1 s^a", "admittance"), ("1", "1", "exponent")),
            _constant_phase,
        ),
        ElementKind("W", "Warburg, semi-infinite", (("", "ohm s^-1/2", "warburg"),), _warburg),
        ElementKind("Wo", "Warburg, open end", _DIFFUSION, _warburg_open),
        ElementKind("Ws", "Warburg, short end", _DIFFUSION, _warburg_short),
        ElementKind("G", "Gerischer", _DIFFUSION, _gerischer),
    )
}


def per_area(unit: str) -> str:
    """Return the unit of a parameter that was fitted to impedances in ohm cm2.

    Resistive quantities gain cm2, admittances and capacitances lose it, times and exponents keep theirs.
    """
    if unit in {"s", "1"}:
        return unit
    if unit == "F":
        return "F cm^-2"
    if unit == "ohm^-1 s^a":
        return "ohm^-1 cm^-2 s^a"
    return {"ohm": "ohm cm2", "H": "H cm2", "ohm s^-1/2": "ohm cm2 s^-1/2"}[unit]
