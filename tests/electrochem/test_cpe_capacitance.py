"""Constant phase elements as capacitances, and what a fitted circuit says in words."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.electrochem.capacitance import brug, capacitances, hsu_mansfeld
from sorby.electrochem.circuit import Circuit
from sorby.electrochem.circuit_fit import fit_circuit
from sorby.electrochem.impedance_reading import features, polarisation_resistance, temperature_trend
from sorby.electrochem.spectrum import make_spectrum
from sorby.errors import InputError

F = np.geomspace(1e5, 1e-3, 65)


def test_an_ideal_capacitor_is_itself_by_either_formula() -> None:
    assert brug(2e-5, 1.0, 10.0, 1e4) == pytest.approx(2e-5)
    assert hsu_mansfeld(2e-5, 1.0, 1e4) == pytest.approx(2e-5)


def test_hsu_mansfeld_is_the_peak_of_the_semicircle() -> None:
    """1 / (R C) is where the imaginary part of a parallel R and CPE peaks."""
    q, alpha, resistance = 3e-5, 0.8, 5000.0
    f = np.geomspace(1e-3, 1e4, 20001)
    z = Circuit.read("p(R1,CPE1)").impedance([resistance, q, alpha], f)
    peak = 2 * np.pi * f[np.argmin(z.imag)]
    assert 1 / (resistance * hsu_mansfeld(q, alpha, resistance)) == pytest.approx(peak, rel=1e-3)


def test_brug_is_the_peak_of_the_admittance() -> None:
    """1 / (C / (1/Rs + 1/Rct)) is where the interface's admittance seen through the solution peaks."""
    q, alpha, solution, transfer = 3e-5, 0.8, 20.0, 5000.0
    f = np.geomspace(1e-1, 1e6, 20001)
    y = 1 / Circuit.read("R0-p(R1,CPE1)").impedance([solution, transfer, q, alpha], f)
    peak = 2 * np.pi * f[np.argmax(y.imag)]
    assert (1 / solution + 1 / transfer) / brug(q, alpha, solution, transfer) == pytest.approx(peak, rel=1e-3)


def test_a_blocking_electrode_has_no_charge_transfer() -> None:
    assert brug(3e-5, 0.8, 20.0) == pytest.approx(brug(3e-5, 0.8, 20.0, 1e15))


def test_every_element_with_a_resistance_beside_it_is_converted() -> None:
    circuit = Circuit.read("Rs-p(Rct-W1,CPE1)-p(R2,CPE2)-CPE3")
    values = dict(zip(circuit.names, [10, 500, 40, 1e-5, 0.9, 900, 1e-4, 0.8, 1e-3, 0.7], strict=True))
    found = {(one.element, one.formula): one for one in capacitances(circuit, values)}
    assert set(found) == {(e, f) for e in ("CPE1", "CPE2") for f in ("Brug", "Hsu-Mansfeld")}
    assert found["CPE1", "Brug"].resistances == ("Rs", "Rct")
    assert found["CPE2", "Hsu-Mansfeld"].value == pytest.approx(hsu_mansfeld(1e-4, 0.8, 900))


@pytest.mark.parametrize("wrong", [(0.0, 0.8, 1.0), (1e-5, 0.0, 1.0), (1e-5, 1.1, 1.0), (1e-5, 0.8, -1.0)])
def test_impossible_numbers_are_refused(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(InputError):
        hsu_mansfeld(*wrong)
    with pytest.raises(InputError):
        brug(*wrong)


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("R0-p(R1,C1)", [25.0, 400.0, 2e-5], 400.0),
        ("R0-p(R1-Ws1,C1)", [25.0, 400.0, 100.0, 5.0, 2e-5], 500.0),
        ("Rs-p(Cdl,Rct,RL-L)", [5.0, 2e-5, 900.0, 450.0, 5e3], 300.0),
        ("R0-p(R1-Wo1,C1)", [25.0, 400.0, 100.0, 5.0, 2e-5], None),
        ("R0-C1", [25.0, 1e-3], None),
    ],
)
def test_polarisation_resistance_is_that_at_rest(text: str, values: list[float], expected: float | None) -> None:
    circuit = Circuit.read(text)
    fit = fit_circuit(
        circuit, make_spectrum(F, circuit.impedance(values, F)), guess=dict(zip(circuit.names, values, strict=True))
    )
    found = polarisation_resistance(fit)
    assert found is None if expected is None else found == pytest.approx(expected, rel=1e-3)


def test_shapes_are_read() -> None:
    def shape(text: str, values: list[float]) -> dict:
        return features(make_spectrum(F, Circuit.read(text).impedance(values, F)))

    assert shape("R0-p(R1,C1)", [25.0, 400.0, 2e-5])["closed_semicircle"]
    loop = shape("Rs-p(Cdl,Rct,RL-L)", [5.0, 2e-5, 900.0, 450.0, 5e3])
    assert loop["inductive_loop"]
    assert not loop["closed_semicircle"]
    assert not shape("R0-p(R1-W1,C1)", [25.0, 400.0, 90.0, 2e-5])["closed_semicircle"]
    assert shape("R0-p(R1,C1)-p(R2,C2)", [5.0, 90.0, 4e-8, 400.0, 2e-4])["high_frequency_loop"]
    assert shape("L0-R0-p(R1,C1)", [1e-4, 25.0, 400.0, 2e-5])["inductive_head"] > 0


def test_the_papers_resistances_fall_and_capacitances_rise() -> None:
    steel = temperature_trend([303, 313, 323], [318.9, 246.839, 196.019], [1.931e-4, 4.5637e-4, 5.3313e-4])
    magnesium = temperature_trend([303, 313, 323], [1056.81, 938.52, 794.80], [6.11e-4, 11.23e-4, 15.48e-4])
    for trend in (steel, magnesium):
        assert trend["resistance_falls"]
        assert trend["capacitance_rises"]
    # ln(318.9 / 196.019) R / (1/303 - 1/323), the slope between the outer temperatures.
    assert steel["activation_energy_kj_mol"] == pytest.approx(19.8, abs=0.1)
    assert temperature_trend([303.0], [1.0], [None])["activation_energy_kj_mol"] is None
