"""The page of impedance spectra: verdict of the test, parameters, plots, what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby import provenance
from sorby.report.impedance_figures import bode, nyquist, residuals
from sorby.report.page import drawing, render

_BAND = 0.01


@dataclass(frozen=True, eq=False)
class SpectrumShown:
    """One spectrum as the page shows it.

    Attributes
    ----------
    entry : mapping
        Its object in the result of `sorby.workflow.impedance.analyse_impedance`.
    frequency_hz, measured, fitted : ndarray, shape (N,)
        Points of the fit.
    test_frequency_hz, test_residuals : ndarray, shape (M,)
        Points of the Kramers-Kronig test, which keeps inductive ones.
    """

    entry: Mapping[str, Any]
    frequency_hz: npt.NDArray[np.float64]
    measured: npt.NDArray[np.complex128]
    fitted: npt.NDArray[np.complex128]
    test_frequency_hz: npt.NDArray[np.float64]
    test_residuals: npt.NDArray[np.complex128]


def impedance_page(spectra: Sequence[SpectrumShown], trend: Mapping[str, Any] | None) -> str:
    """Return the page.

    Parameters
    ----------
    spectra : sequence of SpectrumShown
    trend : mapping or None
        With temperature.
    """
    made = provenance.describe()
    parts = []
    for k, shown in enumerate(spectra):
        unit = "ohm cm2" if "cm2" in _units(shown.entry) else "ohm"
        relative = (shown.measured - shown.fitted) / np.abs(shown.measured)
        label = Path(shown.entry["file"]).name
        parts.append({
            "entry": shown.entry,
            "name": label,
            "nyquist": drawing(nyquist([(label, shown.measured, shown.fitted)], unit, f"nyquist{k}")),
            "bode": drawing(bode(shown.frequency_hz, shown.measured, shown.fitted, unit, f"bode{k}")),
            "residuals": drawing(
                residuals(
                    shown.frequency_hz, relative, shown.test_frequency_hz, shown.test_residuals, _BAND, f"residuals{k}"
                )
            ),
        })  # fmt: skip
    together = None
    if len(spectra) > 1:
        unit = "ohm cm2" if "cm2" in _units(spectra[0].entry) else "ohm"
        together = drawing(
            nyquist([(_label(one.entry), one.measured, one.fitted) for one in spectra], unit, "together")
        )
    return render(
        "impedance.html",
        title="Impedance",
        sorby_version=made["versions"]["sorby"],
        created=str(made["created"])[:16].replace("T", " ") + " UTC",
        parts=parts,
        together=together,
        trend=trend,
    )


def _label(entry: Mapping[str, Any]) -> str:
    return f"{entry['temperature_k']:g} K" if entry["temperature_k"] is not None else Path(entry["file"]).name


def _units(entry: Mapping[str, Any]) -> str:
    return " ".join(one["unit"] for one in entry["parameters"].values())
