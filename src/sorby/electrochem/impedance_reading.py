"""What an impedance spectrum says in words: loops, the resistance of polarisation, the trend with temperature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sorby.electrochem.arrhenius import fit_arrhenius
from sorby.electrochem.capacitance import Capacitance
from sorby.electrochem.fitted_circuit import CircuitFit
from sorby.electrochem.spectrum import Spectrum

#: A single point above the axis is noise; an inductive tail of a corroding electrode has several.
_LOOP_POINTS = 3
_CLOSED = 0.15
_HIGH_HZ = 2e4


def features(spectrum: Spectrum) -> dict[str, Any]:
    """Return what the shape of a spectrum shows, without any circuit.

    Returns
    -------
    dict
        ``inductive_head`` and ``inductive_tail`` (points with positive imaginary part at the two ends),
        ``inductive_loop`` (an adsorption loop at low frequencies), ``closed_semicircle`` (the reaction is under
        charge-transfer control as far as the spectrum reaches), ``high_frequency_loop`` (a capacitive maximum of its
        own above 20 kHz, as films on magnesium show) and ``reading`` in words.
    """
    f, reaction = spectrum.frequency_hz, -spectrum.impedance.imag
    head, tail = spectrum.inductive_head, spectrum.inductive_tail
    peaks = np.flatnonzero((reaction[1:-1] > reaction[:-2]) & (reaction[1:-1] >= reaction[2:])) + 1
    top = float(reaction.max())
    loop = tail >= _LOOP_POINTS
    closed = top > 0 and bool(reaction[-1] < _CLOSED * top) and peaks.size > 0
    high = bool(((f[peaks] > _HIGH_HZ) & (reaction[peaks] > 0.01 * top)).any()) and peaks.size > 1
    said = []
    if loop:
        said.append(f"inductive loop below {f[-tail]:.3g} Hz: relaxation of an adsorbed species, or drift")
    if closed and not loop:
        said.append("closed semicircle: charge-transfer control")
    elif not loop:
        said.append("the semicircle does not close: diffusion, a blocked electrode, or too high a lowest frequency")
    if high:
        said.append("capacitive loop of its own above 20 kHz: a film, or the cell")
    if head:
        said.append(f"inductive above {f[head - 1]:.3g} Hz: leads and cell")
    return {
        "inductive_head": head,
        "inductive_tail": tail,
        "inductive_loop": loop,
        "closed_semicircle": closed and not loop,
        "high_frequency_loop": high,
        "reading": said,
    }


def polarisation_resistance(fit: CircuitFit) -> float | None:
    """Return the fitted Z(0) - Z(infinity); None for a circuit that blocks or conducts without limit at either end.

    It is the resistance that Stern and Geary's equation asks for; with an inductive loop it lies below the diameter of
    the capacitive semicircle.
    """
    with np.errstate(all="ignore"):
        z = fit.circuit.impedance(fit.values, np.array([1e-14, 1e-12, 1e14, 1e16]))
    slow, fast = z[:2], z[2:]
    settled = np.isfinite(z).all() and abs(slow[0] - slow[1]) <= 1e-3 * abs(slow[1])
    if not settled or abs(slow[0].imag) > 1e-3 * slow[0].real or abs(np.diff(fast.real)[0]) > 1e-3 * abs(slow[1]):
        return None
    return float(slow[0].real - fast[1].real) if slow[0].real > fast[1].real else None


def double_layer_capacitance(fit: CircuitFit, converted: Sequence[Capacitance]) -> tuple[float, str] | None:
    """Return a circuit's interfacial capacitance and whose it is: its first capacitor, else Brug's of its first CPE."""
    for leaf in fit.circuit.elements:
        if leaf.kind.symbol == "C":
            return float(fit.values[leaf.first]), leaf.name
        if leaf.kind.symbol == "CPE":
            for each in converted:
                if each.element == leaf.name and each.formula == "Brug":
                    return each.value, f"{leaf.name} by Brug"
    return None


def temperature_trend(
    temperature_k: Sequence[float], resistance: Sequence[float | None], capacitance: Sequence[float | None]
) -> dict[str, Any]:
    """Return how polarisation resistance and capacitance move with temperature.

    Parameters
    ----------
    temperature_k : sequence of float
    resistance, capacitance : sequence of float or None
        At each temperature; None where unknown.

    Returns
    -------
    dict
        ``resistance_falls``, ``capacitance_rises`` (None with fewer than two values) and, from ln(1/Rp) over 1/T,
        ``activation_energy_kj_mol`` with ``ci95`` and ``r_squared``, None where it cannot be had; ``reading`` in words.
        The slope stands for the corrosion rate's only while Stern and Geary's B keeps its value.
    """
    known = [(t, r) for t, r in zip(temperature_k, resistance, strict=True) if r is not None and r > 0]
    line = None
    if len({t for t, _ in known}) >= 2:
        line = fit_arrhenius([t for t, _ in known], [1 / r for _, r in known])
    falls, rises = _moves(temperature_k, resistance, -1), _moves(temperature_k, capacitance, 1)
    reading = []
    if falls is not None:
        reading.append(
            "Rp falls with temperature: corrosion is faster" if falls else "Rp does not fall steadily with temperature"
        )
    if rises is not None:
        reading.append(f"the capacitance {'rises' if rises else 'does not rise steadily'} with temperature")
    return {
        "temperature_k": list(temperature_k),
        "polarisation_resistance": list(resistance),
        "capacitance": list(capacitance),
        "resistance_falls": falls,
        "capacitance_rises": rises,
        "reading": reading,
        "activation_energy_kj_mol": None if line is None else line.activation_energy_kj_mol,
        "r_squared": None if line is None else line.r_squared,
        "ci95": {"activation_energy_kj_mol": None if line is None or line.ci95 is None else list(line.ci95)},
    }


def _moves(temperature_k: Sequence[float], values: Sequence[float | None], direction: int) -> bool | None:
    """Return whether each value lies beyond the one before it, by rising temperature."""
    known = [v for _, v in sorted((t, v) for t, v in zip(temperature_k, values, strict=True) if v is not None)]
    if len(known) < 2:
        return None
    return bool((direction * np.diff(known) > 0).all())
