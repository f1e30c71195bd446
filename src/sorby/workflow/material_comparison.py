"""``electro compare``: the rates of several materials side by side, and which of them are told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from sorby.electrochem.alloys import alloy
from sorby.errors import InputError, Quarantined, SorbyError
from sorby.workflow.polarisation import Electrode, PolarisationOptions, analyse_polarisation

#: Potentials this far apart drive a couple; less is within what a specimen differs from the next (as the 85 mV rule).
_COUPLE_V = 0.1
_ONE_METAL_V = 0.5  # specimens of one alloy in one medium do not lie so far apart
CARE = (
    "A uniform rate says nothing of pits, of cracks, of what the dissolved metal does to its surroundings, or of times"
    " longer than the measurement: it rules a material out, it does not choose one."
)


def compare_materials(
    curves: Sequence[tuple[str, Path | str]],
    electrode: Electrode,
    options: PolarisationOptions | None = None,
) -> dict[str, Any]:
    """Compare the corrosion rates of materials measured alike.

    Parameters
    ----------
    curves : sequence of (str, path)
        Name of a known alloy and a polarisation file; several files of one alloy are its specimens.
    electrode : Electrode
        Area that all share; its material is not used.
    options : PolarisationOptions, optional
        For all files.

    Returns
    -------
    dict
        ``materials``, by rising rate: ``material``, ``n`` (files), ``n_with_rate``, ``corrosion_rate_mm_y`` (median,
        None without any), ``ci95`` (from the lowest to the highest end of its files' intervals), ``ecorr_v``,
        ``rp_ohm_cm2`` (medians), ``ecorr_spread_v`` (between its files) and ``warnings``; ``reading`` in words;
        ``quarantined``.

    Raises
    ------
    InputError
        A name is no known alloy, or no curve can be analysed.
    """
    options = options or PolarisationOptions()
    for name, _ in curves:
        alloy(name)
    found: dict[str, list[dict[str, Any]]] = {}
    quarantined: list[Quarantined] = []
    for name, file in curves:
        try:
            result = analyse_polarisation(file, replace(electrode, material=name), options)
        except SorbyError as error:
            quarantined.append(Quarantined.from_error(file, error))
            continue
        found.setdefault(result["material"], []).append(result)
    if not found:
        reason = quarantined[0].reason if quarantined else "no file was given"
        raise InputError(f"none of {len(curves)} curves could be analysed ({reason})", "see the reasons")
    rows = [_row(name, results) for name, results in found.items()]
    rows.sort(key=lambda row: (row["corrosion_rate_mm_y"] is None, row["corrosion_rate_mm_y"] or 0.0))
    return {
        "materials": rows,
        "reading": [*_ranks(rows), *_couple(rows), CARE],
        "quarantined": [entry.as_dict() for entry in quarantined],
    }


def _row(name: str, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    rated = [one for one in results if one["corrosion_rate_mm_y"] is not None]
    ends = [one["ci95"]["corrosion_rate_mm_y"] for one in rated if "corrosion_rate_mm_y" in one["ci95"]]
    warnings = list(dict.fromkeys(f"{one['file']}: {line}" for one in results for line in one["sweeps"][0]["warnings"]))
    record = alloy(name)[1]
    if record.passive and rated:
        warnings.append(f"{name} is passive in many media: where it is, a uniform rate is not defensible")
    known = [one["ecorr_v"] for one in results if one["ecorr_v"] is not None]
    apart = max(known) - min(known) if known else 0.0
    if apart > _ONE_METAL_V:
        warnings.append(
            f"the files of {name} differ by {apart:.2f} V in Ecorr: is one of another alloy, medium or reference"
            " electrode? Nothing is said of contact"
        )
    return {
        "material": name,
        "files": [one["file"] for one in results],
        "n": len(results),
        "n_with_rate": len(rated),
        "corrosion_rate_mm_y": median(one["corrosion_rate_mm_y"] for one in rated) if rated else None,
        "ci95": {"corrosion_rate_mm_y": [min(low for low, _ in ends), max(high for _, high in ends)]} if ends else {},
        "ecorr_v": _median(results, "ecorr_v"),
        "ecorr_spread_v": apart,
        "rp_ohm_cm2": _median(results, "rp_ohm_cm2"),
        "warnings": warnings,
    }


def _median(results: Sequence[dict[str, Any]], key: str) -> float | None:
    known = [one[key] for one in results if one[key] is not None]
    return median(known) if known else None


def _ranks(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return which neighbours by rate are told apart."""
    lines = []
    for slower, faster in pairwise(row for row in rows if row["ci95"]):
        (_, high), (low, _) = slower["ci95"]["corrosion_rate_mm_y"], faster["ci95"]["corrosion_rate_mm_y"]
        pair = f"{slower['material']} and {faster['material']}"
        if high < low:
            factor = faster["corrosion_rate_mm_y"] / slower["corrosion_rate_mm_y"]
            lines.append(f"{slower['material']} corrodes {factor:.2g} times slower than {faster['material']}")
        else:
            lines.append(f"{pair} are not told apart: their intervals overlap")
    lines += [f"{row['material']} has no rate: see its warnings" for row in rows if row["corrosion_rate_mm_y"] is None]
    return lines


def _couple(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return which material would dissolve where the materials touch in the same medium."""
    if any(row["ecorr_spread_v"] > _ONE_METAL_V for row in rows):
        return []
    known = sorted((row["ecorr_v"], row["material"]) for row in rows if row["ecorr_v"] is not None)
    if len(known) < 2 or known[-1][0] - known[0][0] < _COUPLE_V:
        return []
    (least, base), (most, noble) = known[0], known[-1]
    return [f"in contact, {base} would dissolve faster: its Ecorr lies {most - least:.2f} V below that of {noble}"]
