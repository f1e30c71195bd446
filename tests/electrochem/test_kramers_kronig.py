"""The Kramers-Kronig test: passes what is causal and stationary, fails what drifts, solves the published equations."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.electrochem.circuit import Circuit
from sorby.electrochem.kramers_kronig import kramers_kronig_test
from sorby.electrochem.spectrum import Spectrum, make_spectrum
from sorby.errors import InputError

F = np.geomspace(1e5, 1e-2, 57)


def of(text: str, values: list[float], noise: float = 0.0, seed: int = 5) -> Spectrum:
    z = Circuit.read(text).impedance(values, F)
    rng = np.random.default_rng(seed)
    return make_spectrum(F, z + noise * np.abs(z) * (rng.standard_normal(F.size) + 1j * rng.standard_normal(F.size)))


CAUSAL = {
    "R0-p(R1,C1)": [25.0, 400.0, 2e-5],
    "R0-p(R1,CPE1)": [25.0, 4000.0, 5e-5, 0.85],
    "R0-p(R1-Wo1,C1)": [10.0, 100.0, 80.0, 2.0, 2e-5],
    "R0-CPE1": [10.0, 1e-3, 0.9],
    "L0-R0-p(R1,CPE1)-W1": [1e-6, 10.0, 100.0, 1e-4, 0.8, 20.0],
    "Rs-p(CPEdl,Rct,RL-L)": [8.0, 3e-5, 0.9, 900.0, 600.0, 4000.0],
    "AZ31B": [12.0, 2e-5, 0.9, 800.0, 500.0, 3000.0, 30.0, 1e-7, 200.0, 2e-3],
}


@pytest.mark.parametrize("text", CAUSAL)
@pytest.mark.parametrize("noise", [0.0, 0.003])
def test_passive_circuits_obey(text: str, noise: float) -> None:
    outcome = kramers_kronig_test(of(text, CAUSAL[text], noise))
    assert outcome.passed, outcome.verdict()
    assert outcome.rms < max(0.005, 1.5 * noise)


def test_a_noisy_spectrum_passes_as_noise() -> None:
    outcome = kramers_kronig_test(of("R0-p(R1,CPE1)", CAUSAL["R0-p(R1,CPE1)"], 0.02))
    assert outcome.passed
    assert "noise" in outcome.verdict()


def test_an_electrode_that_changes_during_the_sweep_fails() -> None:
    # Each frequency takes three periods, so nearly all time passes at the lowest ones; Rct falls by half meanwhile.
    time = np.cumsum(3 / F) / (3 / F).sum()
    cell = Circuit.read("R0-p(R1,C1)")
    z = np.array([cell.impedance([25.0, 400.0 * (1 - 0.5 * t), 2e-4], [f])[0] for f, t in zip(F, time, strict=True)])
    outcome = kramers_kronig_test(make_spectrum(F, z))
    assert not outcome.passed
    assert outcome.systematic
    assert "fails Kramers-Kronig" in outcome.verdict()


def test_a_part_that_does_not_belong_to_the_other_fails() -> None:
    good = of("R0-p(R1,C1)", CAUSAL["R0-p(R1,C1)"])
    outcome = kramers_kronig_test(make_spectrum(F, good.impedance.real + 0.7j * good.impedance.imag))
    assert not outcome.passed


@pytest.mark.parametrize("parts", ["complex", "real", "imag"])
@pytest.mark.parametrize("capacitance", [False, True])
def test_residuals_solve_the_published_equations(parts: str, capacitance: bool) -> None:
    """Boukamp's linear problem written out once more, solved by the pseudo-inverse."""
    spectrum, terms = of("R0-p(R1,CPE1)", CAUSAL["R0-p(R1,CPE1)"], 0.005), 9
    omega, z = 2 * np.pi * spectrum.frequency_hz, spectrum.impedance
    size = np.abs(z)
    times = 10 ** np.linspace(np.log10(1 / omega.max()), np.log10(1 / omega.min()), terms)
    ones = np.ones_like(omega)
    chain = [ones + 0j] + [1 / (1 + 1j * omega * t) for t in times]
    reactive = ([-1j / omega] if capacitance else []) + [1j * omega]
    if parts == "complex":
        a = np.array(chain + reactive).T / size[:, None]
        x = np.linalg.pinv(np.vstack([a.real, a.imag])) @ np.concatenate([z.real / size, z.imag / size])
        fitted = a @ x
        pairs = x[1 : 1 + terms]
    elif parts == "real":
        a, b = np.array(chain).T / size[:, None], np.array(reactive).T / size[:, None]
        x = np.linalg.pinv(a.real) @ (z.real / size)
        fitted = a @ x + b @ (np.linalg.pinv(b.imag) @ (z.imag / size - (a @ x).imag))
        pairs = x[1:]
    else:
        a = np.array(chain[1:] + reactive).T / size[:, None]
        x = np.linalg.pinv(a.imag) @ (z.imag / size)
        rest = z.real - (a @ x).real * size
        fitted = a @ x + (rest / size**2).sum() / (1 / size**2).sum() / size
        pairs = x[:terms]
    outcome = kramers_kronig_test(spectrum, parts=parts, capacitance=capacitance, terms=terms)
    np.testing.assert_allclose(outcome.residuals, z / size - fitted, atol=1e-9)
    assert outcome.mu == pytest.approx(1 - np.abs(pairs[pairs < 0]).sum() / pairs[pairs >= 0].sum(), abs=1e-6)


def test_mu_stops_the_growth_of_the_chain() -> None:
    spectrum = of("R0-p(R1,CPE1)", CAUSAL["R0-p(R1,CPE1)"], 0.002)
    strict = kramers_kronig_test(spectrum, mu_limit=0.85, extended=False)
    before = kramers_kronig_test(spectrum, terms=strict.terms - 1)
    assert strict.mu <= 0.85 < before.mu
    assert kramers_kronig_test(spectrum, mu_limit=0.2, extended=False).terms >= strict.terms


def test_one_sharp_time_constant_needs_aicc() -> None:
    """µ stops at once on a dummy cell whose time constant lies between two of the grid."""
    spectrum = of("R0-p(R1,C1)", CAUSAL["R0-p(R1,C1)"], 0.0005)
    assert not kramers_kronig_test(spectrum, extended=False).passed
    outcome = kramers_kronig_test(spectrum)
    assert outcome.criterion == "AICc"
    assert outcome.passed


@pytest.mark.parametrize("settings", [{"parts": "both"}, {"mu_limit": 2.0}, {"terms": 0}])
def test_impossible_settings_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        kramers_kronig_test(of("R0-p(R1,C1)", CAUSAL["R0-p(R1,C1)"]), **settings)
