"""What polarisation curves of one material at several temperatures say together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sorby.electrochem.arrhenius import fit_arrhenius

#: A smaller shift of the corrosion potential does not tell an anodic from a cathodic effect (Bhat et al. 2023, as is
#: usual for inhibitors).
BOTH_REACTIONS_V = 0.085


def over_temperature(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Fit ln(icorr) over 1/T and say how current and potential move.

    Parameters
    ----------
    results : sequence of dict
        Of `sorby.workflow.polarisation.analyse_polarisation`, each with its temperature.

    Returns
    -------
    dict
        ``activation_energy_kj_mol``, ``ci95``, ``ln_prefactor``, ``r_squared``, ``n`` (curves with an icorr),
        ``decorr_v`` (shift of Ecorr from the first curve), ``icorr_rises`` (None with fewer than two), ``reading`` in
        words, and ``warnings``.
    """
    usable = [one for one in results if one["icorr_a_cm2"] is not None]
    warnings = [
        f"{one['file']}: no icorr, so not in the Arrhenius line" for one in results if one["icorr_a_cm2"] is None
    ]
    start = results[0]["ecorr_v"]
    shifts = [None if one["ecorr_v"] is None or start is None else one["ecorr_v"] - start for one in results]
    found: dict[str, Any] = {
        "activation_energy_kj_mol": None,
        "ci95": {},
        "ln_prefactor": None,
        "r_squared": None,
        "n": len(usable),
        "decorr_v": shifts,
        "icorr_rises": None,
        "reading": _shift_in_words([shift for shift in shifts[1:] if shift is not None]),
        "warnings": warnings,
    }
    if len({one["temperature_k"] for one in usable}) < 2:
        warnings.append("no activation energy: fewer than two temperatures with an icorr")
        return found
    line = fit_arrhenius([one["temperature_k"] for one in usable], [one["icorr_a_cm2"] for one in usable])
    found |= {"activation_energy_kj_mol": line.activation_energy_kj_mol, "r_squared": line.r_squared}
    found |= {"ln_prefactor": line.ln_prefactor, "icorr_rises": _rises(usable)}
    found["reading"].insert(
        0, f"icorr {'rises' if found['icorr_rises'] else 'does not rise steadily'} with temperature"
    )
    if line.ci95 is None:
        warnings.append("two temperatures make a line without an interval")
        return found
    found["ci95"] = {"activation_energy_kj_mol": list(line.ci95)}
    if line.ci95[0] <= 0:
        warnings.append("the activation energy is not told from zero by so few temperatures")
    return found


def _rises(usable: Sequence[dict[str, Any]]) -> bool:
    ordered = sorted((one["temperature_k"], one["icorr_a_cm2"]) for one in usable)
    return bool((np.diff([current for _, current in ordered]) > 0).all())


def _shift_in_words(shifts: Sequence[float]) -> list[str]:
    """Return what shifts of the corrosion potential from the first curve mean."""
    if not shifts:
        return []
    listed = ", ".join(f"{1000 * shift:+.0f}" for shift in shifts)
    if max(map(abs, shifts)) < BOTH_REACTIONS_V:
        meaning = "less than 85 mV, so both reactions are affected alike"
    else:
        meaning = "85 mV or more, so one reaction is affected more than the other"
    return [f"Ecorr shifts by {listed} mV from the first curve: {meaning}"]
