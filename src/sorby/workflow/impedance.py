"""``electro eis``: impedance spectra read, tested, fitted with one circuit or the best of several, and doubted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sorby.electrochem.capacitance import Capacitance, capacitances
from sorby.electrochem.circuit import Circuit
from sorby.electrochem.circuit_fit import fit_circuit
from sorby.electrochem.fitted_circuit import CircuitFit, compare_circuits
from sorby.electrochem.impedance_reading import (
    double_layer_capacitance,
    features,
    polarisation_resistance,
    temperature_trend,
)
from sorby.electrochem.kramers_kronig import KramersKronig, kramers_kronig_test
from sorby.electrochem.spectrum import Spectrum, points
from sorby.electrochem.spectrum_files import read_spectrum
from sorby.errors import InputError, Quarantined, SorbyError
from sorby.files import staged_directory, write_json, write_text

#: Compared where no circuit is asked for; the first group for every spectrum, the second for inductive loops.
CANDIDATES = ("Rs-p(Rct,Cdl)", "Rs-p(Rct,CPEdl)", "Rs-p(Rct-W,CPEdl)", "Rs-p(R1,CPE1)-p(R2,CPE2)")
LOOP_CANDIDATES = ("Rs-p(Cdl,Rct,RL-L)", "Rs-p(CPEdl,Rct,RL-L)")
_CORRELATED = 0.5


@dataclass(frozen=True)
class Settings:
    """How spectra are read and fitted.

    Attributes
    ----------
    circuits : sequence of str
        Circuit strings or names; none compares `CANDIDATES`.
    weighting : {"modulus", "unit", "proportional"}
    area_mm2 : float or None
        Of the electrode; results are then per cm2.
    sign, unit : str or None
        Of the imaginary column and the impedance, see `read_spectrum`.
    low_hz, high_hz : float or None
        Band that is used.
    bounds, guess : mapping
        Of parameters by name.
    keep_inductive_head : bool
        Keep points with positive imaginary part at the high-frequency end for a circuit without inductor too.
    gate : bool
        Refuse a spectrum that fails Kramers-Kronig.
    seed : int
    """

    circuits: Sequence[str] = ()
    weighting: str = "modulus"
    area_mm2: float | None = None
    sign: str | None = None
    unit: str | None = None
    low_hz: float | None = None
    high_hz: float | None = None
    bounds: Mapping[str, tuple[float, float]] | None = None
    guess: Mapping[str, float] | None = None
    keep_inductive_head: bool = False
    gate: bool = False
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Analysed:
    """One spectrum with its test and its fits, the best first."""

    spectrum: Spectrum
    test: KramersKronig
    fits: tuple[CircuitFit, ...]

    @property
    def fit(self) -> CircuitFit:
        """The fit that is reported."""
        return self.fits[0]


def analyse_impedance(
    paths: Sequence[Path | str],
    settings: Settings | None = None,
    *,
    temperatures_k: Sequence[float] = (),
    out: Path | str | None = None,
) -> dict[str, Any]:
    """Analyse impedance spectra.

    Parameters
    ----------
    paths : sequence of path
        Files of any format of `sorby.electrochem.spectrum_files`.
    settings : Settings, optional
    temperatures_k : sequence of float
        One for each file; the trend with temperature is then reported and every spectrum fitted with one circuit.
    out : path, optional
        New folder for ``impedance.html`` (Nyquist and Bode plots with fit and residuals) and ``impedance.json``.

    Returns
    -------
    dict
        The first spectrum's ``file``, ``vendor``, ``conventions``, ``points``, ``circuit``, ``weighting``,
        ``parameters`` {name: ``value``, ``se``, ``unit``, ``relative_se``, ``identifiable``, ``at_bound``}, ``ci95``,
        ``correlation``, ``chi2``, ``chi2_reduced``, ``aicc``, ``other_minima``, ``comparison``, ``kramers_kronig``,
        ``capacitance``, ``polarisation_resistance``, ``features``, ``warnings``; then ``spectra`` (one such object
        for each file), ``trend``, ``quarantined`` and ``out``.

    Raises
    ------
    InputError
        No spectrum can be read or fitted, or the settings cannot be.
    """
    given = settings or Settings()
    _check(paths, given, temperatures_k)
    circuits = [Circuit.read(text) for text in given.circuits]
    analysed: list[Analysed] = []
    kept: list[float] = []
    quarantined: list[Quarantined] = []
    for k, path in enumerate(paths):
        try:
            analysed.append(_analyse(path, circuits, given))
            kept += [temperatures_k[k]] if temperatures_k else []
        except SorbyError as error:
            if len(paths) == 1:
                raise
            quarantined.append(Quarantined.from_error(path, error))
    if not analysed:
        raise InputError(f"none of {len(paths)} spectra could be analysed ({quarantined[0].reason})", "see the reasons")
    if temperatures_k:
        analysed = _one_circuit(analysed)
    entries = [_entry(each, kept[k] if kept else None) for k, each in enumerate(analysed)]
    result: dict[str, Any] = {
        **entries[0],
        "spectra": entries,
        "trend": _trend(analysed, kept) if len(kept) > 1 else None,
        "quarantined": [entry.as_dict() for entry in quarantined],
        "out": None if out is None else str(out),
    }
    if out is not None:
        _write(Path(out), analysed, result)
    return result


def _check(paths: Sequence[Path | str], given: Settings, temperatures_k: Sequence[float]) -> None:
    if not paths:
        raise InputError("no spectrum was given", "name a file")
    if given.area_mm2 is not None and not 0 < given.area_mm2 < float("inf"):
        raise InputError(f"an area of {given.area_mm2:g} mm2 carries no current", "give the wetted area, above 0")
    if temperatures_k and len(temperatures_k) != len(paths):
        raise InputError(f"{len(temperatures_k)} temperatures for {len(paths)} spectra", "give one for each file")
    if any(not 0 < kelvin < float("inf") for kelvin in temperatures_k):
        raise InputError("a temperature is not above 0 K", "temperatures are in kelvin")


def _analyse(path: Path | str, circuits: Sequence[Circuit], given: Settings) -> Analysed:
    spectrum = read_spectrum(path, sign=given.sign, unit=given.unit).between(given.low_hz, given.high_hz)
    if given.area_mm2 is not None:
        spectrum = spectrum.per_area(given.area_mm2 / 100.0)
    test = kramers_kronig_test(spectrum)
    if given.gate and not test.passed:
        raise InputError(
            f"{path}: {test.verdict()}", "measure again at steady state, or narrow the band of frequencies"
        )
    chosen = list(circuits)
    if not chosen:
        loop = spectrum.inductive_tail >= 3
        chosen = [Circuit.read(text) for text in (*CANDIDATES, *(LOOP_CANDIDATES if loop else ()))]
    # Circuits are compared on the same points, so one without an inductor decides for all.
    if not given.keep_inductive_head and not all(circuit.inductive for circuit in chosen):
        spectrum = spectrum.without_inductive_head()
    usable = [circuit for circuit in chosen if circuits or len(circuit.parameters) < spectrum.n_points]
    fits = [
        fit_circuit(
            circuit, spectrum, weighting=given.weighting, bounds=given.bounds, guess=given.guess, seed=given.seed
        )
        for circuit in usable
    ]
    return Analysed(spectrum, test, tuple(sorted(fits, key=lambda fit: fit.aicc)))


def _one_circuit(analysed: Sequence[Analysed]) -> list[Analysed]:
    """Put the circuit that is best over all spectra first in each, so that parameters can be compared."""
    shared = set.intersection(*({fit.circuit.text for fit in each.fits} for each in analysed))
    totals = {
        text: sum(fit.aicc for each in analysed for fit in each.fits if fit.circuit.text == text) for text in shared
    }
    best = min(totals, key=lambda text: (totals[text], text))
    return [
        Analysed(each.spectrum, each.test, tuple(sorted(each.fits, key=lambda fit: fit.circuit.text != best)))
        for each in analysed
    ]


def _entry(each: Analysed, kelvin: float | None) -> dict[str, Any]:
    fit, spectrum = each.fit, each.spectrum
    converted = capacitances(fit.circuit, fit.named())
    doubtful = fit.unidentifiable
    resistance = polarisation_resistance(fit)
    return {
        "file": spectrum.path,
        "temperature_k": kelvin,
        "vendor": spectrum.vendor,
        "conventions": list(spectrum.conventions),
        "points": spectrum.n_points,
        "frequency_hz": [float(spectrum.frequency_hz[-1]), float(spectrum.frequency_hz[0])],
        "circuit": fit.circuit.text,
        "weighting": fit.weighting,
        "parameters": {
            parameter.name: {
                "value": float(fit.values[k]),
                "se": float(fit.standard_errors[k]),
                "unit": parameter.unit_for(fit.normalised),
                "relative_se": float(fit.relative_errors[k]),
                "identifiable": not bool(doubtful[k]),
                "at_bound": bool(fit.at_bound[k]),
            }
            for k, parameter in enumerate(fit.circuit.parameters)
        },
        "ci95": dict(zip(fit.circuit.names, fit.intervals.tolist(), strict=True)),
        "correlation": {"names": list(fit.circuit.names), "matrix": fit.correlation.tolist()},
        "chi2": fit.chi2,
        "chi2_reduced": fit.chi2_reduced,
        "aicc": fit.aicc,
        "starts": {"finished": fit.starts_finished, "agreeing": fit.starts_agreeing},
        "other_minima": [
            {"chi2": rival.chi2, "parameters": dict(zip(fit.circuit.names, rival.values.tolist(), strict=True))}
            for rival in fit.rivals
        ],
        "comparison": compare_circuits(each.fits),
        "kramers_kronig": each.test.as_dict(),
        "capacitance": [one.as_dict("F cm^-2" if fit.normalised else "F") for one in converted],
        "polarisation_resistance": None if resistance is None else {"value": resistance, "unit": spectrum.unit},
        "features": features(spectrum),
        "warnings": [*spectrum.warnings, *_doubts(each)],
    }


def _doubts(each: Analysed) -> list[str]:
    """Return what a reader of the fit must know."""
    fit, said = each.fit, []
    if not each.test.passed:
        said.append(f"{each.test.verdict()}; parameters of a circuit describe no such measurement")
    names = np.array(fit.circuit.names)
    if fit.unidentifiable.any():
        said.append(f"not identifiable from these data: {', '.join(names[fit.unidentifiable])}")
    if fit.rivals:
        differing = ", ".join(names[fit.ambiguous]) or "values"
        said.append(
            f"the data do not exclude other minima, {len(fit.rivals)} found (sum of squares"
            f" {fit.rivals[0].chi2 / fit.chi2:.3g} times the least, with other {differing})"
        )
    stuck = fit.at_bound & ~fit.ideal
    if stuck.any():
        said.append(f"on a bound: {', '.join(names[stuck])}")
    if fit.ideal.any():
        said.append(f"at exponent 1, so a capacitor: {', '.join(names[fit.ideal])}")
    if fit.serial_correlation > _CORRELATED:
        said.append(
            f"residuals follow a pattern (neighbours correlate at {fit.serial_correlation:.2f}): the circuit is not the"
            " whole truth and the standard errors are too small"
        )
    tail = each.spectrum.inductive_tail
    if tail and not fit.circuit.inductive:
        said.append(
            f"{points(tail)} at the low-frequency end with positive imaginary part, which {fit.circuit.text} cannot"
            " have without an inductor"
        )
    if fit.starts_agreeing == 1 and fit.starts_finished > 1:
        said.append("one start only reached this minimum; try another --seed")
    return said


def _trend(analysed: Sequence[Analysed], temperatures_k: Sequence[float]) -> dict[str, Any]:
    """Return the trend over the spectra that obey Kramers-Kronig; the others have no part in it."""
    passed = [(each, kelvin) for each, kelvin in zip(analysed, temperatures_k, strict=True) if each.test.passed]
    resistance: list[float | None] = []
    capacity: list[float | None] = []
    for each, _ in passed:
        found: Sequence[Capacitance] = capacitances(each.fit.circuit, each.fit.named())
        layer = double_layer_capacitance(each.fit, found)
        resistance.append(polarisation_resistance(each.fit))
        capacity.append(None if layer is None else layer[0])
    trend = temperature_trend([kelvin for _, kelvin in passed], resistance, capacity)
    return {**trend, "left_out": [each.spectrum.path for each in analysed if not each.test.passed]}


def _write(out: Path, analysed: Sequence[Analysed], result: Mapping[str, Any]) -> None:
    from sorby.report.impedance_page import SpectrumShown, impedance_page

    shown = [
        SpectrumShown(
            entry,
            each.spectrum.frequency_hz,
            each.spectrum.impedance,
            each.fit.fitted,
            each.test.frequency_hz,
            each.test.residuals,
        )
        for each, entry in zip(analysed, result["spectra"], strict=True)
    ]
    with staged_directory(out) as folder:
        write_text(folder / "impedance.html", impedance_page(shown, result["trend"]))
        write_json(folder / "impedance.json", _without_infinities(dict(result)))


def _without_infinities(value: Any) -> Any:
    """Return the value with null for what JSON cannot hold."""
    if isinstance(value, Mapping):
        return {key: _without_infinities(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinities(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
