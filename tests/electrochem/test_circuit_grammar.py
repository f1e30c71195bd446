"""Circuit strings: what they mean, and where they go wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorby.electrochem.circuit import NAMED_CIRCUITS, Circuit
from sorby.electrochem.circuit_elements import ELEMENTS
from sorby.electrochem.circuit_grammar import CircuitError, parse
from sorby.errors import InputError


def test_parameters_stand_from_left_to_right() -> None:
    circuit = Circuit.read("R0-p(R1,C1)-p(R2-Wo1,CPE2)")
    assert circuit.names == ("R0", "R1", "C1", "R2", "Wo1_0", "Wo1_1", "CPE2_0", "CPE2_1")


def test_longest_symbol_wins() -> None:
    kinds = {leaf.name: leaf.kind.symbol for leaf in Circuit.read("Rct-Cdl-CPE-Wo1-Ws-W-G2-L").elements}
    assert kinds == {"Rct": "R", "Cdl": "C", "CPE": "CPE", "Wo1": "Wo", "Ws": "Ws", "W": "W", "G2": "G", "L": "L"}


def test_blanks_change_nothing() -> None:
    assert parse(" R0 - p( R1 , C1 ) ") == parse("R0-p(R1,C1)")


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 0, "missing"),
        ("R0-", 3, "missing"),
        ("R0--R1", 3, "missing"),
        ("R0-X1", 3, '"X" begins no element'),
        ("R0 R1", 3, 'expected "-"'),
        ("R0-p(R1,C1", 10, '")" is missing for "p(" at character 4'),
        ("R0-p(R1,C1))", 11, "closes nothing"),
        ("R0-p(R1,,C1)", 8, "missing"),
        ("R0-p(R1 C1)", 8, "expected"),
        ("R0-p(R1)", 7, "two branches"),
        ("R0-pR1", 4, 'followed by "("'),
        ("R0-p(R0,C1)", 5, "occurs twice"),
        ("R0-p(R1,C1)-é", 12, "begins no element"),
    ],
)
def test_a_fault_points_at_its_character(text: str, position: int, says: str) -> None:
    with pytest.raises(CircuitError, match="character") as caught:
        Circuit.read(text)
    assert caught.value.position == position
    assert says in caught.value.message
    assert f"{text[:position]}^{text[position:]}" in caught.value.message
    assert "\n" not in caught.value.message


def test_depth_and_length_are_bounded() -> None:
    with pytest.raises(CircuitError, match="nested deeper"):
        parse("p(" * 100 + "R0")
    with pytest.raises(CircuitError, match="longer than"):
        parse("-".join(f"R{k}" for k in range(400)))


@given(st.text(alphabet="RCLWGPEosp(),-0123 x", max_size=40))
def test_any_text_is_a_circuit_or_a_fault_within_it(text: str) -> None:
    position = 0
    try:
        assert Circuit.read(text).names
    except CircuitError as error:
        position = error.position
    assert 0 <= position <= len(text)


def test_the_papers_circuits_have_names() -> None:
    steel, magnesium = Circuit.read("316L"), Circuit.read("AZ31B")
    assert steel.names == ("Rs", "Rct", "Cdl")
    kinds = [leaf.kind.symbol for leaf in magnesium.elements]
    assert (kinds.count("R"), kinds.count("C"), kinds.count("L"), kinds.count("CPE")) == (5, 2, 1, 1)
    assert magnesium.inductive
    assert not steel.inductive
    for text in NAMED_CIRCUITS.values():
        assert Circuit.read(text).text == text


def test_values_by_name_are_checked() -> None:
    circuit = Circuit.read("R0-CPE1")
    assert circuit.vector({"CPE1_1": 0.9, "R0": 1.0, "CPE1_0": 1e-5}).tolist() == [1.0, 1e-5, 0.9]
    for wrong in (
        {"R0": 1.0, "CPE1_0": 1.0},
        {"R0": 1.0, "CPE1_0": 1.0, "CPE1_1": 0.9, "R9": 1.0},
        {"R0": -1.0, "CPE1_0": 1.0, "CPE1_1": 0.9},
        {"R0": 1.0, "CPE1_0": 1.0, "CPE1_1": 1.2},
    ):
        with pytest.raises(InputError):
            circuit.vector(wrong)


SOME = {"R": [20.0], "C": [1e-5], "L": [0.3], "CPE": [2e-4, 0.8], "W": [40.0], "Wo": [30.0, 0.5], "Ws": [30.0, 0.5],
        "G": [30.0, 0.05]}  # fmt: skip


@pytest.mark.parametrize("symbol", sorted(ELEMENTS))
def test_derivatives_are_those_of_the_impedance(symbol: str) -> None:
    circuit = Circuit.read(f"R0-p({symbol}x,R2-C2)")
    values = np.array([5.0, *SOME[symbol], 70.0, 3e-6])
    f = np.geomspace(1e-3, 1e5, 30)
    z, slopes = circuit.sensitivity(values[None], 2 * np.pi * f)
    np.testing.assert_allclose(z[0], circuit.impedance(values, f))
    for k in range(values.size):
        step = 1e-5
        moved = []
        for sign in (1, -1):
            changed = values.copy()
            changed[k] = values[k] * np.exp(sign * step) if circuit.logarithmic[k] else values[k] + sign * step
            moved.append(circuit.impedance(changed, f))
        difference = (moved[0] - moved[1]) / (2 * step)
        # Central differences of step 1e-5 are good to about 1e-9 of Z.
        np.testing.assert_allclose(slopes[0, k], difference, rtol=1e-6, atol=1e-7 * np.abs(z).max())


def test_diffusion_of_both_ends_is_warburgs_at_high_frequency() -> None:
    f = np.array([1e4, 1e5])
    warburg = Circuit.read("W").impedance([30.0 / np.sqrt(2 * 0.5)], f)
    for symbol in ("Wo", "Ws"):
        np.testing.assert_allclose(Circuit.read(symbol).impedance([30.0, 0.5], f), warburg, rtol=1e-10)


def test_diffusion_ends_at_a_resistance_or_blocks() -> None:
    slow = np.array([1e-9])
    assert Circuit.read("Ws").impedance([30.0, 0.5], slow)[0] == pytest.approx(30.0, rel=1e-6)
    assert Circuit.read("G").impedance([30.0, 0.5], slow)[0] == pytest.approx(30.0, rel=1e-6)
    blocked = Circuit.read("Wo").impedance([30.0, 0.5], slow)[0]
    assert blocked.real == pytest.approx(10.0, rel=1e-6)  # a third of Z0
    assert -blocked.imag == pytest.approx(30.0 / (2 * np.pi * 1e-9 * 0.5), rel=1e-6)


def test_series_and_parallel_are_kirchhoffs() -> None:
    f = np.geomspace(0.1, 1e4, 9)
    omega = 2 * np.pi * f
    expected = 3 + 1 / (1 / (7 + 1j * omega * 0.2) + 1j * omega * 1e-4 + 1 / 50)
    np.testing.assert_allclose(Circuit.read("R0-p(R1-L1,C1,R2)").impedance([3, 7, 0.2, 1e-4, 50], f), expected)


def test_thick_and_thin_layers_stay_finite() -> None:
    f = np.geomspace(1e-6, 1e9, 16)
    for tau in (1e-12, 1e12):
        for symbol in ("Wo", "Ws"):
            z, slopes = Circuit.read(symbol).sensitivity(np.array([[1.0, tau]]), 2 * np.pi * f)
            assert np.isfinite(z).all()
            assert np.isfinite(slopes).all()
