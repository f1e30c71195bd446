"""Equivalent circuits on real spectra: sums of squares, parameters, and seconds of a start and of a whole search.

``exampleData.csv`` with R0-p(R1,C1)-p(R2-Wo1,C2) (seven parameters; 57 points, those with positive imaginary part left
out), unit and modulus weighting, and the dummy cells Circuit1 to Circuit3. Ours searches without a guess; *one start*
is a fit from the guess of impedance.py's documentation alone. Beside it impedance.py from that guess on the same
points, where SORBY_PEER_IMPEDANCE names an environment that has it, in the same run on one thread:

    uv venv PEER && uv pip install --python PEER impedance "numpy<2" pandas && export SORBY_PEER_IMPEDANCE=PEER
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from common import data_folder, finish
from sorby.electrochem.circuit import Circuit
from sorby.electrochem.circuit_fit import fit_circuit
from sorby.electrochem.fitted_circuit import CircuitFit
from sorby.electrochem.kramers_kronig import kramers_kronig_test
from sorby.electrochem.spectrum import Spectrum
from sorby.electrochem.spectrum_files import read_spectrum

CIRCUIT = "R0-p(R1,C1)-p(R2-Wo1,C2)"
GUESS = (0.01, 0.01, 100.0, 0.01, 0.05, 100.0, 1.0)
REPEATS = 15
_PEER = Path(__file__).resolve().parent / "peers" / "impedance_py.py"


def timed(call: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Return a call's result and its seconds: median, least and largest of several, after one that does not count."""
    result = call()
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return result, {"median": float(np.median(seconds)), "least": min(seconds), "largest": max(seconds)}


def described(fit: CircuitFit) -> dict[str, Any]:
    return {
        "chi2": fit.chi2,
        "parameters": fit.named(),
        "unidentifiable": [n for n, bad in zip(fit.circuit.names, fit.unidentifiable, strict=True) if bad],
        "starts": {"finished": fit.starts_finished, "agreeing": fit.starts_agreeing},
        "other_minima": [rival.chi2 for rival in fit.rivals],
    }


def ours(spectrum: Spectrum, weighting: str) -> dict[str, Any]:
    circuit = Circuit.read(CIRCUIT)
    guess = dict(zip(circuit.names, GUESS, strict=True))
    whole, search = timed(lambda: fit_circuit(circuit, spectrum, weighting=weighting))
    single, start = timed(lambda: fit_circuit(circuit, spectrum, weighting=weighting, guess=guess))
    return {**described(whole), "search_seconds": search, "one_start": {"chi2": single.chi2, "seconds": start}}


def seeds(spectrum: Spectrum, weighting: str, n: int = 20) -> dict[str, float]:
    """Return how often the search without a guess ends within a thousandth of its best end."""
    circuit = Circuit.read(CIRCUIT)
    chi2 = np.array([fit_circuit(circuit, spectrum, weighting=weighting, seed=seed).chi2 for seed in range(n)])
    return {"seeds": n, "within_0.1_percent": float((chi2 <= 1.001 * chi2.min()).mean()), "largest": float(chi2.max())}


def dummy_cells(folder: Path) -> dict[str, Any]:
    found = {}
    for path in sorted(folder.glob("Circuit?_EIS_?.z")):
        spectrum = read_spectrum(path)
        fit = fit_circuit(Circuit.read("R0-p(R1,C1)"), spectrum.without_inductive_head(), weighting="unit")
        found[path.name] = {"parameters": fit.named(), "kramers_kronig_rms": kramers_kronig_test(spectrum).rms}
    return found


def peer(spectrum: Spectrum) -> dict[str, Any] | None:
    """Return impedance.py's figures on the same points, None where it is not at hand."""
    python = Path(os.environ.get("SORBY_PEER_IMPEDANCE", ""), "bin", "python")
    if "SORBY_PEER_IMPEDANCE" not in os.environ or not python.is_file():
        print("impedance.py is not at hand (SORBY_PEER_IMPEDANCE)", file=sys.stderr)
        return None
    one_thread = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "points.csv")
        np.savetxt(table, np.stack([spectrum.frequency_hz, spectrum.impedance.real, spectrum.impedance.imag], axis=1))
        command = [str(python), str(_PEER), str(table), CIRCUIT, str(REPEATS), *map(str, GUESS)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **one_thread})
    return dict(json.loads(done.stdout.splitlines()[-1]))


def residuals_apart(spectrum: Spectrum, theirs: dict[str, Any]) -> dict[str, float]:
    """Return the largest difference between the two programs' Kramers-Kronig residuals, each with the same M."""
    apart = {}
    for parts, entry in theirs["linkk"].items():
        outcome = kramers_kronig_test(spectrum, parts=parts, capacitance=False, extended=False)
        assert outcome.terms == entry["terms"], parts
        there = np.array(entry["real"]) + 1j * np.array(entry["imag"])
        apart[parts] = float(np.abs(outcome.residuals - there).max())
    return apart


def main() -> None:
    folder = data_folder("eis")
    spectrum = read_spectrum(folder / "exampleData.csv").without_inductive_head()
    with threadpool_limits(1):
        result: dict[str, Any] = {
            "circuit": CIRCUIT,
            "points": spectrum.n_points,
            "unit": ours(spectrum, "unit"),
            "modulus": ours(spectrum, "modulus"),
            "over_seeds": {weighting: seeds(spectrum, weighting) for weighting in ("unit", "modulus")},
            "kramers_kronig_seconds": timed(lambda: kramers_kronig_test(spectrum))[1],
            "dummy_cells": dummy_cells(folder),
        }
    theirs = peer(spectrum)
    result["impedance_py"] = theirs
    if theirs is not None:
        for weighting in ("unit", "modulus"):
            mine, other = result[weighting], theirs[weighting]
            result[weighting]["chi2_over_peer"] = mine["chi2"] / other["chi2"]
            result[weighting]["one_start_times_faster"] = other["seconds"] / mine["one_start"]["seconds"]["median"]
        result["kramers_kronig_residuals_apart"] = residuals_apart(spectrum, theirs)
        for entry in theirs["linkk"].values():
            del entry["real"], entry["imag"]
    finish("circuit_fit", result)


if __name__ == "__main__":
    main()
