"""The page of polarisation curves: what each sweep supports, with its interval, and what it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sorby import provenance
from sorby.report.page import drawing, render
from sorby.report.polarisation_figures import CurveShown, arrhenius_line, polarisation_curves

#: Key, name, unit, in the order of the table.
ROWS = (
    ("ecorr_v", "Corrosion potential", "V"),
    ("icorr_a_cm2", "Corrosion current, Tafel", "A/cm2"),
    ("icorr_stern_geary_a_cm2", "Corrosion current, Stern-Geary", "A/cm2"),
    ("beta_a_mv_dec", "Anodic slope", "mV/decade"),
    ("beta_c_mv_dec", "Cathodic slope", "mV/decade"),
    ("rp_ohm_cm2", "Polarisation resistance", "ohm cm2"),
    ("corrosion_rate_mm_y", "Corrosion rate", "mm/year"),
)


def polarisation_page(
    results: Sequence[tuple[Mapping[str, Any], Sequence[CurveShown]]], arrhenius: Mapping[str, Any] | None
) -> str:
    """Return the page.

    Parameters
    ----------
    results : sequence of (mapping, sequence of CurveShown)
        Of each file: its result of `sorby.workflow.polarisation.analyse_polarisation`, and its sweeps.
    arrhenius : mapping or None
        Of several temperatures.
    """
    made = provenance.describe()
    files = []
    for k, (result, curves) in enumerate(results):
        sweeps = [
            {"entry": entry, "svg": drawing(polarisation_curves([curve], f"curve{k}s{j}"))}
            for j, (entry, curve) in enumerate(zip(result["sweeps"], curves, strict=True))
        ]
        files.append({"result": result, "name": Path(result["file"]).name, "sweeps": sweeps})
    together = None
    if len(results) > 1:
        together = drawing(polarisation_curves([_first(result, curves) for result, curves in results], "together"))
    return render(
        "polarisation.html",
        title="Polarisation",
        sorby_version=made["versions"]["sorby"],
        created=str(made["created"])[:16].replace("T", " ") + " UTC",
        files=files,
        rows=ROWS,
        together=together,
        arrhenius=arrhenius,
        line=None if arrhenius is None else _line(results, arrhenius),
    )


def _first(result: Mapping[str, Any], curves: Sequence[CurveShown]) -> CurveShown:
    """Return a file's first sweep, labelled by temperature."""
    one = curves[0]
    kelvin = result["temperature_k"]
    label = Path(result["file"]).name if kelvin is None else f"{kelvin:g} K"
    return CurveShown(label, one.potential_v, one.density_a_cm2, one.fitted_v, one.fitted_a_cm2)


def _line(results: Sequence[tuple[Mapping[str, Any], Sequence[CurveShown]]], arrhenius: Mapping[str, Any]) -> Any:
    energy, prefactor = arrhenius["activation_energy_kj_mol"], arrhenius["ln_prefactor"]
    if energy is None:
        return None
    points = [(one["temperature_k"], one["icorr_a_cm2"]) for one, _ in results if one["icorr_a_cm2"] is not None]
    kelvin, current = np.array(points, dtype=float).T
    return drawing(arrhenius_line(kelvin, current, prefactor, energy, "arrhenius"))
