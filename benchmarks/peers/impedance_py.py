"""impedance.py on a table of points: fits from one guess and its Kramers-Kronig test, in an environment of its own."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
import warnings
from importlib.metadata import version

import numpy as np


def fitted(text: str, guess: list[float], f: np.ndarray, z: np.ndarray, modulus: bool, repeats: int) -> dict:
    from impedance.models.circuits import CustomCircuit

    seconds = []
    for _ in range(repeats + 1):
        circuit = CustomCircuit(text, initial_guess=list(guess))
        started = time.perf_counter()
        circuit.fit(f, z, weight_by_modulus=modulus)
        seconds.append(time.perf_counter() - started)
    away = np.abs(z - circuit.predict(f)) ** 2
    return {
        "chi2": float((away / np.abs(z) ** 2 if modulus else away).sum()),
        "parameters": circuit.parameters_.tolist(),
        "seconds": float(np.median(seconds[1:])),
    }


def linkk(f: np.ndarray, z: np.ndarray) -> dict:
    from impedance.validation import linKK

    found = {}
    for parts in ("complex", "real", "imag"):
        terms, mu, _, real, imag = linKK(f, z, c=0.85, max_M=50, fit_type=parts, add_cap=False)
        found[parts] = {"terms": int(terms), "mu": float(mu), "real": real.tolist(), "imag": imag.tolist()}
    return found


def main() -> None:
    table, text, repeats, *guess = sys.argv[1:]
    f, real, imag = np.loadtxt(table).T
    z = real + 1j * imag
    start = [float(value) for value in guess]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        result = {
            "version": version("impedance"),
            "numpy": np.__version__,
            "unit": fitted(text, start, f, z, False, int(repeats)),
            "modulus": fitted(text, start, f, z, True, int(repeats)),
            "linkk": linkk(f, z),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
