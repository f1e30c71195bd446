"""Equivalent weights, rates and activation energies against the standard and the published table."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.electrochem.alloys import ALLOYS, ATOMIC_WEIGHTS, VALENCES, alloy
from sorby.electrochem.arrhenius import GAS_CONSTANT, fit_arrhenius
from sorby.electrochem.corrosion_rate import alloy_equivalent_weight, corrosion_rate_mm_y, equivalent_weight
from sorby.errors import InputError


@pytest.mark.parametrize(
    ("icorr", "weight", "density", "rate"),
    [
        (7.203e-5, 25.50, 7.98, 0.753), (7.834e-5, 25.50, 7.98, 0.819), (9.647e-5, 25.50, 7.98, 1.008),
        (5.420e-5, 12.15, 1.77, 1.217), (7.466e-5, 12.15, 1.77, 1.676), (9.611e-5, 12.15, 1.77, 2.157),
    ],
)  # fmt: skip
def test_g102_rates_of_the_published_currents(icorr, weight, density, rate):
    assert corrosion_rate_mm_y(icorr, weight, density) == pytest.approx(rate, abs=5e-4)


@pytest.mark.parametrize(("name", "weight"), [("316L", 25.8), ("AZ31B", 12.12)])
def test_equivalent_weights_of_the_analysed_heats(name, weight):
    assert alloy_equivalent_weight(ALLOYS[name]) == pytest.approx(weight, abs=0.04 if name == "316L" else 0.005)


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("1018", 27.92), ("304", 25.12), ("316", 25.50), ("430", 25.30), ("2024", 9.38), ("6061", 9.01), ("7075", 9.58),
        ("alloy-600", 26.41), ("C-276", 27.09), ("magnesium", 12.15), ("zinc", 32.68), ("nickel", 29.36),
    ],
)  # fmt: skip
def test_equivalent_weights_of_the_standard(name, weight):
    """ASTM G102, Table 1, lowest valences. Nominal compositions differ by a little: .7 %."""
    assert alloy_equivalent_weight(alloy(name)[1]) == pytest.approx(weight, rel=0.007)


def test_the_analysed_heat_of_316l_sums_to_what_is_printed():
    assert sum(ALLOYS["316L"].composition.values()) == pytest.approx(99.997, abs=0.02)


@pytest.mark.parametrize("name", sorted(ALLOYS))
def test_every_alloy_is_whole(name):
    record = ALLOYS[name]
    assert 99 <= sum(record.composition.values()) <= 100.1
    assert set(record.composition) <= set(ATOMIC_WEIGHTS)
    assert set(record.dissolving) <= set(VALENCES)
    assert 1.5 < record.density_g_cm3 < 9.5
    assert 8 < alloy_equivalent_weight(record) < 35
    assert alloy(name.upper().replace("-", " "))[0] == name


def test_at_least_twenty_alloys_beside_the_two_of_the_paper():
    assert len(set(ALLOYS) - {"316L", "AZ31B"}) >= 20


def test_an_unknown_alloy_is_told_with_the_known_ones():
    with pytest.raises(InputError, match="unobtainium") as caught:
        alloy("unobtainium")
    assert "316L" in caught.value.hint


@pytest.mark.parametrize(("weight", "density"), [(0.0, 7.9), (25.0, 0.0), (-1.0, 7.9)])
def test_no_rate_without_weight_and_density(weight, density):
    with pytest.raises(InputError):
        corrosion_rate_mm_y(1e-6, weight, density)


def test_a_composition_that_cannot_dissolve_is_refused():
    with pytest.raises(InputError):
        equivalent_weight({"C": 100.0})
    with pytest.raises(InputError, match="Xx"):
        equivalent_weight({"Fe": 99.0, "Xx": 1.0})


@pytest.mark.parametrize(
    ("currents", "energy", "r_squared"),
    [((7.203e-5, 7.834e-5, 9.647e-5), 11.8, 0.934), ((5.420e-5, 7.466e-5, 9.611e-5), 23.3, 0.998)],
)
def test_activation_energies_of_the_published_currents(currents, energy, r_squared):
    line = fit_arrhenius((303, 313, 323), currents)
    assert line.activation_energy_kj_mol == pytest.approx(energy, abs=0.05)
    assert line.r_squared == pytest.approx(r_squared, abs=5e-4)


def test_an_exact_line_gives_its_energy_back():
    kelvin = np.array([280.0, 300.0, 330.0, 350.0])
    line = fit_arrhenius(kelvin, 3.0 * np.exp(-40e3 / (GAS_CONSTANT * kelvin)))
    assert line.activation_energy_kj_mol == pytest.approx(40)
    assert np.exp(line.ln_prefactor) == pytest.approx(3)
    assert line.ci95[1] - line.ci95[0] < 1e-6


def test_one_temperature_has_no_energy():
    with pytest.raises(InputError):
        fit_arrhenius([300, 300], [1e-5, 2e-5])
    assert fit_arrhenius([300, 310], [1e-5, 2e-5]).ci95 is None
