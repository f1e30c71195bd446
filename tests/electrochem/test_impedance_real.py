"""Real spectra: all are read, dummy cells have their values, and the sums of squares are the least known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sorby.electrochem.circuit import Circuit
from sorby.electrochem.circuit_fit import fit_circuit
from sorby.electrochem.fitted_circuit import CircuitFit
from sorby.electrochem.kramers_kronig import kramers_kronig_test
from sorby.electrochem.spectrum import Spectrum
from sorby.electrochem.spectrum_files import read_spectrum

pytestmark = pytest.mark.realdata

# Vendor, points, highest and lowest frequency, all read from the files by eye.
FILES = {
    "Circuit1_EIS_1.z": ("ZPlot", 48, 5e4, 1.0),
    "Circuit1_EIS_2.z": ("ZPlot", 48, 5e4, 1.0),
    "Circuit2_EIS_1.z": ("ZPlot", 56, 3e5, 1.0),
    "Circuit2_EIS_2.z": ("ZPlot", 56, 3e5, 1.0),
    "Circuit3_EIS_1.z": ("ZPlot", 53, 1.5e5, 1.0),
    "Circuit3_EIS_2.z": ("ZPlot", 53, 1.5e5, 1.0),
    "exampleData.csv": ("text", 66, 1e4, 3.1623e-3),
    "exampleDataAutolab.txt": ("Autolab (ZView export)", 41, 1e4, 0.1),
    "exampleDataBioLogic.mpt": ("BioLogic EC-Lab", 43, 1000.3201, 0.01689554),
    "exampleDataBioLogic_MissingFreq.mpt": ("BioLogic EC-Lab", 43, 1000.3201, 0.01689554),
    "exampleDataCHInstruments.txt": ("CH Instruments", 73, 99610.0, 0.1),
    "exampleDataGamry.DTA": ("Gamry DTA", 72, 200015.6, 0.0158898),
    "exampleDataGamryABORT.DTA": ("Gamry DTA", 72, 200015.6, 0.0158898),
    "exampleDataParstat.txt": ("Parstat", 31, 1e4, 10.0),
    "exampleDataPowersuite.txt": ("PowerSuite", 30, 2e6, 0.1),
    "exampleDataVersaStudio.par": ("VersaStudio", 61, 1e5, 0.0215443),
    "exampleDataZPlot.z": ("ZPlot", 21, 3e5, 3e3),
    "exampleDataZPlot_noComments.z": ("ZPlot", 31, 3e5, 300.0),
}


@pytest.fixture
def eis(real_data: Path) -> Path:
    return real_data / "eis"


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_read(eis: Path, name: str) -> None:
    vendor, points, high, low = FILES[name]
    spectrum = read_spectrum(eis / name)
    assert (spectrum.vendor, spectrum.n_points) == (vendor, points)
    np.testing.assert_allclose(spectrum.frequency_hz[[0, -1]], [high, low], rtol=1e-4)
    # A corroding electrode, a cell or a dummy is capacitive in most of its range.
    assert (spectrum.impedance.imag < 0).mean() > 0.6


def test_a_lost_title_of_frequency_changes_nothing(eis: Path) -> None:
    whole, lost = (read_spectrum(eis / f"exampleDataBioLogic{end}.mpt") for end in ("", "_MissingFreq"))
    np.testing.assert_array_equal(whole.frequency_hz, lost.frequency_hz)
    np.testing.assert_array_equal(whole.impedance, lost.impedance)


def test_the_aborted_run_says_so(eis: Path) -> None:
    spectrum = read_spectrum(eis / "exampleDataGamryABORT.DTA")
    assert any("aborted" in line for line in spectrum.warnings)


@pytest.mark.parametrize(
    ("cell", "values"), [(1, (29.1, 46.7, 1.04e-5)), (2, (150.0, 502.0, 3.12e-8)), (3, (1506.0, 4631.0, 2.02e-8))]
)
@pytest.mark.parametrize("run", [1, 2])
def test_dummy_cells_have_their_values(eis: Path, cell: int, run: int, values: tuple[float, ...]) -> None:
    spectrum = read_spectrum(eis / f"Circuit{cell}_EIS_{run}.z")
    fit = fit_circuit(Circuit.read("R0-p(R1,C1)"), spectrum.without_inductive_head(), weighting="unit")
    np.testing.assert_allclose(fit.values, values, rtol=0.01)
    assert not fit.unidentifiable.any()
    assert kramers_kronig_test(spectrum).passed


@pytest.fixture
def capacitive(eis: Path) -> Spectrum:
    return read_spectrum(eis / "exampleData.csv").without_inductive_head()


RANDLES = "R0-p(R1,C1)-p(R2-Wo1,C2)"
# What impedance.py 1.7.1 ends at from the guess of its documentation, with unit and with modulus weighting.
PEER = {
    "unit": (1.9430171674e-5, [1.65187e-2, 8.67655e-3, 3.32143, 5.38996e-3, 6.30927e-2, 232.520, 0.219542]),
    "modulus": (0.0200216029, [1.63986e-2, 9.05622e-3, 3.06043, 5.28668e-3, 0.144868, 1320.12, 0.201514]),
}


@pytest.mark.parametrize("weighting", PEER)
def test_no_guess_does_better_than_a_good_one(capacitive: Spectrum, weighting: str) -> None:
    assert capacitive.n_points == 57
    fit = fit_circuit(Circuit.read(RANDLES), capacitive, weighting=weighting)
    chi2, values = PEER[weighting]
    assert fit.chi2 <= 1.001 * chi2
    for name, ours, theirs, open_ in zip(fit.circuit.names, fit.values, values, fit.unidentifiable, strict=True):
        assert open_ or ours == pytest.approx(theirs, rel=0.01), name


@pytest.mark.parametrize("weighting", PEER)
def test_the_warburg_pair_is_not_identifiable(capacitive: Spectrum, weighting: str) -> None:
    fit = fit_circuit(Circuit.read(RANDLES), capacitive, weighting=weighting)
    flagged = dict(zip(fit.circuit.names, fit.unidentifiable.tolist(), strict=True))
    assert flagged["Wo1_0"]
    assert flagged["Wo1_1"]
    assert not flagged["R0"]


@pytest.mark.parametrize("weighting", PEER)
def test_the_peers_minimum_is_among_the_rivals(capacitive: Spectrum, weighting: str) -> None:
    """With the Warburg element in the faster loop the circuit describes the same data nearly as well."""
    fit = fit_circuit(Circuit.read(RANDLES), capacitive, weighting=weighting)
    fast_loop = [rival.values for rival in fit.rivals if rival.values[2] > rival.values[6]]
    assert fast_loop
    np.testing.assert_allclose(fast_loop[0][0], PEER[weighting][1][0], rtol=0.01)
    assert fit.ambiguous.any()


@pytest.mark.parametrize("weighting", PEER)
def test_from_the_peers_end_we_stay_there(capacitive: Spectrum, weighting: str) -> None:
    circuit = Circuit.read(RANDLES)
    chi2, values = PEER[weighting]
    fit: CircuitFit = fit_circuit(
        circuit, capacitive, weighting=weighting, guess=dict(zip(circuit.names, values, strict=True))
    )
    assert fit.chi2 <= 1.001 * chi2
    fixed = [0, 1, 2, 3, 6]
    np.testing.assert_allclose(fit.values[fixed], np.array(values)[fixed], rtol=0.01)


# impedance.py 1.7.1, linKK, NumPy 1.26: M, mu, largest real and imaginary residual.
LINKK = {
    ("complex", False): (13, 0.8055965989, 0.0978266870, 0.0362453023),
    ("complex", True): (24, 0.7709191654, 0.0033432568, 0.0032974522),
    ("real", False): (21, 0.8338636418, 0.0017766707, 0.2280214645),
    ("real", True): (21, 0.8338636418, 0.0017766707, 0.0059996345),
    ("imag", False): (14, 0.8492510265, 0.1293090750, 0.0208371392),
    ("imag", True): (25, 0.7880169184, 0.0081227756, 0.0008020925),
}


@pytest.mark.parametrize(("parts", "capacitance"), LINKK)
def test_residuals_are_those_of_the_published_method(capacitive: Spectrum, parts: str, capacitance: bool) -> None:
    outcome = kramers_kronig_test(capacitive, parts=parts, capacitance=capacitance, extended=False)
    terms, mu, real, imag = LINKK[parts, capacitance]
    assert outcome.terms == terms
    assert outcome.mu == pytest.approx(mu, abs=1e-6)
    assert np.abs(outcome.residuals.real).max() == pytest.approx(real, abs=1e-7)
    assert np.abs(outcome.residuals.imag).max() == pytest.approx(imag, abs=1e-7)


def test_the_gate_tells_good_from_bad(eis: Path) -> None:
    """Dummy cells pass; a sweep with residuals of 12 % at its slow end and one with negative resistances do not."""
    verdicts = {name: kramers_kronig_test(read_spectrum(eis / name)).passed for name in FILES}
    assert not verdicts["exampleDataPowersuite.txt"]
    assert not verdicts["exampleDataGamry.DTA"]
    assert all(verdicts[name] for name in ("exampleData.csv", "exampleDataVersaStudio.par", "Circuit2_EIS_1.z"))
