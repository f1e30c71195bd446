"""Sweeps and spectra of coupons agree with each other, with the course of attack, and with what analysis finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sorby.electrochem.arrhenius import fit_arrhenius
from sorby.electrochem.circuit import Circuit
from sorby.electrochem.polarisation_files import read_polarisation
from sorby.electrochem.spectrum_files import read_spectrum
from sorby.errors import InputError
from sorby.phantom.corrosion import (
    ALLOYS,
    KINETICS,
    TEMPERATURES_K,
    CorrosionSpecimen,
    corrosion_curves,
    corrosion_set,
    write_curves,
    write_views,
)
from sorby.workflow.impedance import Settings, analyse_impedance
from sorby.workflow.polarisation import Electrode, analyse_polarisation

# The corrosion potential creeps by some .5 mV over 250 mV while a sweep runs, which turns slopes by .2 % (.4 % for two
# deviations) and leaves no residual by which an interval could know.
CREEP = 0.004


def _coupons(count, severity=None):
    return [
        CorrosionSpecimen.draw(seed, alloy, severity=seed % 5 if severity is None else severity, name=f"{alloy}-{seed}")
        for alloy in ALLOYS
        for seed in range(count)
    ]


@pytest.mark.parametrize("alloy", ALLOYS)
def test_sweep_spectrum_and_rate_tell_of_one_current(alloy):
    curves = corrosion_curves(CorrosionSpecimen.draw(3, alloy, severity=3))
    model = curves.model
    # B / icorr, the slope of the kinetics at rest, and the circuit from zero to infinite frequency are one resistance.
    b_v = model.beta_a_mv_dec * model.beta_c_mv_dec / (np.log(10) * (model.beta_a_mv_dec + model.beta_c_mv_dec)) / 1e3
    assert curves.rp_ohm_cm2 == pytest.approx(b_v / model.icorr_a_cm2)
    below, above = model.kinetic(np.array([-0.01, 0.01]))
    assert 2e-5 / (above - below) == pytest.approx(curves.rp_ohm_cm2, rel=1e-5)
    circuit = Circuit.read(curves.circuit)
    slow, fast = circuit.impedance(circuit.vector(curves.values), np.array([1e-9, 1e12]))
    assert (slow - fast).real == pytest.approx(curves.rp_ohm_cm2, rel=1e-6)
    # mm a year for each uA/cm2 by ASTM G102.
    assert curves.rate_mm_y / (1e6 * model.icorr_a_cm2) == pytest.approx(
        0.0106 if alloy == "316L" else 0.0224, rel=0.01
    )


@pytest.mark.parametrize("alloy", ALLOYS)
def test_the_current_has_the_activation_energy_of_attack_and_grows_with_it(alloy):
    coupon = CorrosionSpecimen.draw(5, alloy, severity=2)
    at = [replace(coupon, course=replace(coupon.course, temperature_k=kelvin)) for kelvin in TEMPERATURES_K]
    fresh = [corrosion_curves(each, hours=0.0).model.icorr_a_cm2 for each in at]
    energy = fit_arrhenius(TEMPERATURES_K, fresh).activation_energy_kj_mol
    assert energy == pytest.approx(KINETICS[alloy].activation_j_mol / 1e3)
    course = [corrosion_curves(coupon, hours=coupon.hours * part) for part in (0.0, 0.3, 1.0)]
    currents = [one.model.icorr_a_cm2 for one in course]
    layers = [one.values["Cdl"] for one in course]
    assert currents == sorted(currents)
    assert layers == sorted(layers)
    assert currents[0] < currents[-1]
    assert course[0].share == 0
    assert len({one.model.beta_a_mv_dec for one in course}) == 1


def test_exact_curves_are_the_model_and_noise_is_that_of_the_coupon():
    coupon = CorrosionSpecimen.draw(2, "AZ31B", severity=1)
    exact, first, again = corrosion_curves(coupon, noise=0.0), corrosion_curves(coupon), corrosion_curves(coupon)
    assert exact.density_a_cm2 == pytest.approx(exact.model.density(exact.potential_v))
    assert exact.potential_v[[0, -1]] == pytest.approx(exact.model.ecorr_v + np.array([-0.25, 0.25]))
    assert np.array_equal(first.density_a_cm2, again.density_a_cm2)
    assert np.array_equal(first.impedance, again.impedance)
    assert first.model == exact.model
    scatter = np.abs(first.impedance / exact.impedance - 1)
    assert 0 < np.median(scatter) < 0.01


@pytest.mark.parametrize("alloy", ALLOYS)
def test_polarisation_analysis_finds_the_truth(tmp_path, alloy):
    coupons = [one for one in _coupons(3) if one.alloy == alloy]
    for truth in write_curves(tmp_path, coupons).to_dict("records"):
        found = analyse_polarisation(tmp_path / truth["polarisation"], Electrode(material=alloy))
        assert found["ecorr_v"] == pytest.approx(truth["ecorr_v"], abs=2e-4)
        for name in ("icorr_a_cm2", "beta_a_mv_dec", "beta_c_mv_dec", "rp_ohm_cm2", "corrosion_rate_mm_y"):
            low, high = found["ci95"][name]
            assert low * (1 - CREEP) <= truth[name] <= high * (1 + CREEP), name
        assert found["icorr_a_cm2"] == pytest.approx(truth["icorr_a_cm2"], rel=0.03)


def test_impedance_analysis_finds_the_truth(tmp_path):
    covered = []
    for truth in write_curves(tmp_path, _coupons(8)).to_dict("records"):
        found = analyse_impedance([tmp_path / truth["impedance"]], Settings(circuits=(truth["circuit"],)))
        assert found["kramers_kronig"]["passed"]
        assert found["polarisation_resistance"]["unit"] == "ohm cm2"
        assert found["polarisation_resistance"]["value"] == pytest.approx(truth["rp_ohm_cm2"], rel=0.01)
        assert found["features"]["inductive_loop"] == (truth["label"] == "AZ31B")
        assert found["features"]["closed_semicircle"] == (truth["label"] == "316L")
        for name, (low, high) in found["ci95"].items():
            covered.append(low <= truth[name] <= high)
            assert found["parameters"][name]["value"] == pytest.approx(truth[name], rel=0.03), name
    # 64 intervals of 95 %: 55 or fewer would come by chance once in two hundred.
    assert len(covered) == 64
    assert sum(covered) > 55


def test_without_a_circuit_the_right_one_is_chosen(tmp_path):
    for truth in write_curves(tmp_path, _coupons(1, severity=2)).to_dict("records"):
        found = analyse_impedance([tmp_path / truth["impedance"]])
        assert found["circuit"] == truth["circuit"]
        assert found["warnings"] == []


def test_files_state_their_units_and_lie_beside_the_pictures(tmp_path):
    write_views(tmp_path / "set", corrosion_set(2, 1, images=1), size=(64, 64), jobs=1)
    table = pd.read_csv(tmp_path / "set" / "curves.csv")
    specimens = pd.read_csv(tmp_path / "set" / "specimens.csv")
    assert list(table["specimen"]) == list(specimens["specimen"])
    assert table["attacked_share"].to_numpy() == pytest.approx(specimens["expected_share"].to_numpy())
    for row in table.to_dict("records"):
        sweep = read_polarisation(tmp_path / "set" / row["polarisation"], sign="anodic-positive")
        assert (sweep.potential_unit.value, sweep.current_unit.value, sweep.per_area) == ("V", "A/cm2", True)
        assert {sweep.potential_unit.source, sweep.current_unit.source} == {"file"}
        assert np.ptp(sweep.potential_v) == pytest.approx(0.5)
        spectrum = read_spectrum(tmp_path / "set" / row["impedance"])
        assert spectrum.unit == "ohm cm2"
        assert spectrum.frequency_hz[[0, -1]] == pytest.approx([1e5, 0.01])
        assert spectrum.impedance.imag.min() < 0


def test_what_cannot_be_is_refused(tmp_path):
    coupon = CorrosionSpecimen.draw(0, "316L")
    with pytest.raises(InputError):
        corrosion_curves(coupon, hours=-1.0)
    with pytest.raises(InputError):
        corrosion_curves(coupon, noise=float("nan"))
    with pytest.raises(InputError, match="one name"):
        write_curves(tmp_path, [coupon, coupon])
