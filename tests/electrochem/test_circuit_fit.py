"""Fits of circuits: truth recovered without a guess, doubt where the data leave it."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.electrochem.circuit import Circuit
from sorby.electrochem.circuit_fit import fit_circuit
from sorby.electrochem.fitted_circuit import compare_circuits
from sorby.electrochem.spectrum import Spectrum, make_spectrum
from sorby.errors import InputError

F = np.geomspace(1e5, 1e-2, 61)
TRUTH = {
    "R0-p(R1,C1)": [25.0, 400.0, 2e-5],
    "R0-p(R1,CPE1)": [25.0, 4000.0, 5e-5, 0.85],
    "R0-p(R1-W1,C1)": [10.0, 100.0, 60.0, 2e-5],
    "R0-p(R1-Wo1,C1)": [10.0, 100.0, 80.0, 2.0, 2e-5],
    "R0-p(R1-Ws1,CPE1)": [10.0, 100.0, 80.0, 2.0, 2e-5, 0.9],
    "R0-p(R1,C1)-p(R2,C2)": [10.0, 50.0, 1e-6, 300.0, 1e-3],
    "L0-R0-G1": [1e-6, 1.0, 20.0, 0.1],
    "Rs-p(CPEdl,Rct,RL-L)": [8.0, 3e-5, 0.9, 900.0, 600.0, 4000.0],
}


def spectrum_of(text: str, values: list[float], noise: float = 0.0, seed: int = 3) -> Spectrum:
    z = Circuit.read(text).impedance(values, F)
    if noise:
        rng = np.random.default_rng(seed)
        z = z + noise * np.abs(z) * (rng.standard_normal(F.size) + 1j * rng.standard_normal(F.size))
    return make_spectrum(F, z)


@pytest.mark.parametrize("text", TRUTH)
@pytest.mark.parametrize("weighting", ["modulus", "unit"])
def test_truth_is_found_without_a_guess(text: str, weighting: str) -> None:
    fit = fit_circuit(Circuit.read(text), spectrum_of(text, TRUTH[text]), weighting=weighting)
    np.testing.assert_allclose(fit.values, TRUTH[text], rtol=1e-3)


def test_the_magnesium_circuit_describes_its_own_spectrum_within_the_noise() -> None:
    truth = [12.0, 2e-5, 0.9, 800.0, 500.0, 3000.0, 30.0, 1e-7, 200.0, 2e-3]
    fit = fit_circuit(Circuit.read("AZ31B"), spectrum_of("AZ31B", truth, noise=0.002))
    # Expected weighted sum: 2 N noise^2 less a share for the parameters; 1.3 leaves room for the draw.
    assert fit.chi2 < 1.3 * 2 * F.size * 0.002**2


def test_intervals_hold_the_truth() -> None:
    text, held = "R0-p(R1,CPE1)", 0
    for seed in range(40):
        fit = fit_circuit(Circuit.read(text), spectrum_of(text, TRUTH[text], 0.01, seed))
        low, high = fit.intervals.T
        held += int(((low <= TRUTH[text]) & (TRUTH[text] <= high)).sum())
    # 160 intervals of 95 %: mean 152, standard deviation about 3.
    assert held >= 143


def test_standard_errors_shrink_with_the_noise() -> None:
    text = "R0-p(R1,C1)"
    wide, narrow = (fit_circuit(Circuit.read(text), spectrum_of(text, TRUTH[text], n)) for n in (0.02, 0.002))
    np.testing.assert_allclose(wide.standard_errors / narrow.standard_errors, 10, rtol=0.15)


def test_two_resistors_in_series_cannot_be_told_apart() -> None:
    fit = fit_circuit(Circuit.read("R0-R9-p(R1,C1)"), spectrum_of("R0-p(R1,C1)", TRUTH["R0-p(R1,C1)"], 0.001))
    flagged = dict(zip(fit.circuit.names, fit.unidentifiable.tolist(), strict=True))
    assert flagged == {"R0": True, "R9": True, "R1": False, "C1": False}
    assert fit.values[0] + fit.values[1] == pytest.approx(25, rel=0.01)


def test_names_mean_the_same_in_every_fit() -> None:
    text = "R0-p(R1,C1)-p(R2,C2)"
    for order in ([10.0, 50.0, 1e-6, 300.0, 1e-3], [10.0, 300.0, 1e-3, 50.0, 1e-6]):
        fit = fit_circuit(Circuit.read(text), spectrum_of(text, order))
        np.testing.assert_allclose(fit.values, [10.0, 50.0, 1e-6, 300.0, 1e-3], rtol=1e-3)
        assert not fit.rivals


def test_bounds_are_kept_and_flagged() -> None:
    fit = fit_circuit(
        Circuit.read("R0-p(R1,C1)"), spectrum_of("R0-p(R1,C1)", TRUTH["R0-p(R1,C1)"]), bounds={"R1": (10.0, 300.0)}
    )
    assert fit.named()["R1"] == pytest.approx(300)
    assert fit.at_bound.tolist() == [False, True, False]
    assert fit.unidentifiable[1]


def test_an_ideal_capacitor_ends_at_exponent_one_and_is_identified() -> None:
    fit = fit_circuit(Circuit.read("R0-p(R1,CPE1)"), spectrum_of("R0-p(R1,C1)", TRUTH["R0-p(R1,C1)"]))
    assert fit.named()["CPE1_1"] == pytest.approx(1, abs=1e-6)
    assert fit.named()["CPE1_0"] == pytest.approx(2e-5, rel=1e-4)
    assert not fit.unidentifiable.any()


def test_a_whole_guess_is_the_only_start() -> None:
    text = "R0-p(R1,C1)-p(R2,C2)"
    turned = {"R0": 11.0, "R1": 280.0, "C1": 1.2e-3, "R2": 55.0, "C2": 1.2e-6}
    fit = fit_circuit(Circuit.read(text), spectrum_of(text, TRUTH[text]), guess=turned)
    assert fit.starts_finished == 1
    np.testing.assert_allclose(fit.values, [10.0, 300.0, 1e-3, 50.0, 1e-6], rtol=1e-3)


def test_aicc_prefers_the_circuit_that_made_the_data() -> None:
    spectrum = spectrum_of("R0-p(R1,CPE1)", TRUTH["R0-p(R1,CPE1)"], 0.01)
    fits = [
        fit_circuit(Circuit.read(text), spectrum)
        for text in ("R0-p(R1,C1)", "R0-p(R1,CPE1)", "R0-p(R1,CPE1)-p(R2,CPE2)")
    ]
    ranked = compare_circuits(fits)
    assert ranked[0]["circuit"] == "R0-p(R1,CPE1)"
    assert ranked[0]["delta"] == 0
    assert sum(float(entry["weight"]) for entry in ranked) == pytest.approx(1)


def test_weightings_are_what_they_say() -> None:
    spectrum = spectrum_of("R0-p(R1,C1)", TRUTH["R0-p(R1,C1)"], 0.01)
    for weighting in ("unit", "modulus", "proportional"):
        fit = fit_circuit(Circuit.read("R0-p(R1,C1)"), spectrum, weighting=weighting)
        z, r = spectrum.impedance, fit.residuals
        expected = {
            "unit": (np.abs(r) ** 2).sum(),
            "modulus": (np.abs(r / z) ** 2).sum(),
            "proportional": ((r.real / z.real) ** 2 + (r.imag / np.maximum(np.abs(z.imag), 1e-3 * abs(z))) ** 2).sum(),
        }
        assert fit.chi2 == pytest.approx(expected[weighting])
    with pytest.raises(InputError, match="weighting"):
        fit_circuit(Circuit.read("R0"), spectrum, weighting="by eye")


def test_area_scales_resistances_up_and_capacitances_down() -> None:
    spectrum = spectrum_of("R0-p(R1,C1)", TRUTH["R0-p(R1,C1)"])
    fit = fit_circuit(Circuit.read("R0-p(R1,C1)"), spectrum.per_area(0.5))
    np.testing.assert_allclose(fit.values, [12.5, 200.0, 4e-5], rtol=1e-4)
    assert [p.unit_for(fit.normalised) for p in fit.circuit.parameters] == ["ohm cm2", "ohm cm2", "F cm^-2"]


def test_a_seed_gives_the_same_numbers() -> None:
    spectrum = spectrum_of("R0-p(R1,CPE1)", TRUTH["R0-p(R1,CPE1)"], 0.01)
    first, second = (fit_circuit(Circuit.read("R0-p(R1,CPE1)"), spectrum, seed=4) for _ in range(2))
    assert first.values.tolist() == second.values.tolist()


@pytest.mark.parametrize(
    "settings",
    [
        {"bounds": {"R1": (5.0, 1.0)}},
        {"bounds": {"R7": (1.0, 5.0)}},
        {"guess": {"R0": -1.0}},
        {"guess": {"nothing": 1.0}},
    ],
)
def test_impossible_wishes_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        fit_circuit(Circuit.read("R0-p(R1,C1)"), spectrum_of("R0-p(R1,C1)", TRUTH["R0-p(R1,C1)"]), **settings)


def test_more_parameters_than_numbers_are_refused() -> None:
    few = make_spectrum(F[:5], spectrum_of("R0-p(R1,C1)", TRUTH["R0-p(R1,C1)"]).impedance[:5])
    with pytest.raises(InputError, match="cannot fix"):
        fit_circuit(Circuit.read("AZ31B"), few)
