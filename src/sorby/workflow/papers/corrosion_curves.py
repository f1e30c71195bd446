"""Figs. 4 to 7 and Tables 4 and 5 on curves of coupons: analysed as measured ones are, and held against their truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sorby.corpus import Corpus
from sorby.electrochem.polarisation_files import read_polarisation
from sorby.electrochem.spectrum_files import read_spectrum
from sorby.errors import InputError
from sorby.report.experiment_page import Column, Figure, Table
from sorby.report.impedance_figures import nyquist
from sorby.report.paper_page import Part
from sorby.report.polarisation_figures import CurveShown, polarisation_curves
from sorby.workflow.impedance import analyse_impedance
from sorby.workflow.papers import bhat2023 as s2
from sorby.workflow.polarisation import DEFAULT_UNITS, Electrode, analyse_polarisation

CURVES_FILE = "curves.csv"


@dataclass(frozen=True)
class Coupon:
    """A coupon whose curves are shown.

    Attributes
    ----------
    name, alloy : str
    kelvin : float
    polarisation, impedance : Path
    truth : dict
        Row of the table of curves.
    """

    name: str
    alloy: str
    kelvin: float
    polarisation: Path
    impedance: Path
    truth: dict[str, Any]


def curves_of(corpus: Corpus) -> Path | None:
    """Return the table of curves beside a corpus's pictures, None where there is none."""
    for path in corpus.paths()[:1]:
        for folder in path.parents[:3]:
            if (folder / CURVES_FILE).is_file():
                return folder / CURVES_FILE
    return None


def chosen_coupons(table: Path) -> list[Coupon]:
    """Return one coupon for each alloy and temperature, the least attacked one.

    Parameters
    ----------
    table : Path
        ``curves.csv`` of phantoms; its curves are per cm2.

    Raises
    ------
    InputError
        The table lacks a column.
    """
    rows = pd.read_csv(table)
    needed = {"specimen", "label", "temperature_k", "attacked_share", "polarisation", "impedance"}
    if missing := needed - set(rows.columns):
        raise InputError(f"{table}: no column {sorted(missing)[0]}", "a table of curves as phantom corrosion writes it")
    first = rows.sort_values("attacked_share").drop_duplicates(["label", "temperature_k"])
    return [
        Coupon(
            str(row["specimen"]), str(row["label"]), float(row["temperature_k"]),
            table.parent / str(row["polarisation"]), table.parent / str(row["impedance"]),
            {str(key): value for key, value in row.items()},
        )
        for row in first.sort_values(["label", "temperature_k"]).to_dict("records")
    ]  # fmt: skip


def curve_parts(coupons: Sequence[Coupon], cells: dict[str, Any]) -> list[Part]:
    """Return the parts of the page, and put their rows into *cells*.

    Parameters
    ----------
    coupons : sequence of Coupon
    cells : dict
        Gets ``table_4`` and ``table_5``: computed and true values of each coupon.
    """
    parts = []
    cells["table_4"], cells["table_5"] = [], []
    for alloy in dict.fromkeys(coupon.alloy for coupon in coupons):
        mine = [coupon for coupon in coupons if coupon.alloy == alloy]
        parts += [_polarisation_part(alloy, mine, cells), _impedance_part(alloy, mine, cells)]
    return parts


def _polarisation_part(alloy: str, coupons: Sequence[Coupon], cells: dict[str, Any]) -> Part:
    shown, rows = [], []
    for coupon in coupons:
        found = analyse_polarisation(coupon.polarisation, Electrode(material=alloy), temperature_k=coupon.kelvin)
        curve = read_polarisation(coupon.polarisation, fallback=DEFAULT_UNITS)
        shown.append(CurveShown(f"{coupon.kelvin:g} K", curve.potential_v, curve.current))
        printed = s2.TABLE_4.get((alloy, int(coupon.kelvin)))
        rows.append({
            "alloy": alloy, "kelvin": coupon.kelvin, "specimen": coupon.name,
            "icorr": _estimate(found, "icorr_a_cm2"), "icorr_truth": coupon.truth.get("icorr_a_cm2"),
            "icorr_printed": None if printed is None else printed.icorr_a_cm2.value,
            "ecorr_v": found["ecorr_v"], "ecorr_truth": coupon.truth.get("ecorr_v"),
            "rate": _estimate(found, "corrosion_rate_mm_y"), "rate_truth": coupon.truth.get("corrosion_rate_mm_y"),
            "rate_printed": None if printed is None else printed.rate_mm_y.value,
            "warnings": "; ".join(found["sweeps"][0]["warnings"]) or "none",
        })  # fmt: skip
    cells["table_4"] += rows
    columns = (
        Column("kelvin", "K", "number"),
        Column("icorr", "icorr, A/cm², by us", "number"),
        Column("icorr_truth", "truth", "number"),
        Column("icorr_printed", "printed for real coupons", "number"),
        Column("rate", "mm a year, by us", "number"),
        Column("rate_truth", "truth", "number"),
        Column("rate_printed", "printed for real coupons", "number"),
        Column("warnings", "warned of"),
    )
    svg = polarisation_curves(shown, f"fig-4-{alloy}")
    return Part(
        f"Fig. 4 and Table 4 for {alloy}, on phantom curves",
        ["Simulated curves with known truth; the printed values are of other, real coupons and stand for orientation."],
        [Table(f"Polarisation of {alloy}: found, true, and printed.", columns, rows)],
        [Figure(svg, f"Fig. 4, ours: phantom sweeps of {alloy} at {len(shown)} temperatures.")],
    )


def _impedance_part(alloy: str, coupons: Sequence[Coupon], cells: dict[str, Any]) -> Part:
    found = analyse_impedance(
        [coupon.impedance for coupon in coupons], temperatures_k=[coupon.kelvin for coupon in coupons]
    )
    shown, rows = [], []
    for coupon, entry in zip(coupons, found["spectra"], strict=True):
        shown.append((f"{coupon.kelvin:g} K", read_spectrum(coupon.impedance).impedance, None))
        printed = s2.TABLE_5.get((alloy, int(coupon.kelvin)))
        resistance = entry["polarisation_resistance"]
        rows.append({
            "alloy": alloy, "kelvin": coupon.kelvin, "specimen": coupon.name, "circuit": entry["circuit"],
            "rp": None if resistance is None else resistance["value"], "rp_truth": coupon.truth.get("rp_ohm_cm2"),
            "rp_printed": None if printed is None else printed.resistance_ohm_cm2.value,
            "kramers_kronig": "passed" if entry["kramers_kronig"]["passed"] else "failed",
            "warnings": "; ".join(entry["warnings"]) or "none",
        })  # fmt: skip
    cells["table_5"] += rows
    columns = (
        Column("kelvin", "K", "number"),
        Column("circuit", "circuit"),
        Column("rp", "Rp, Ω cm², by us", "number"),
        Column("rp_truth", "truth", "number"),
        Column("rp_printed", "printed for real coupons", "number"),
        Column("kramers_kronig", "Kramers-Kronig", "flag"),
        Column("warnings", "warned of"),
    )
    return Part(
        f"Figs. 5 to 7 and Table 5 for {alloy}, on phantom curves",
        ["One circuit for all temperatures, chosen by AICc and named nowhere beforehand."],
        [Table(f"Impedance of {alloy}: found, true, and printed.", columns, rows)],
        [Figure(nyquist(shown, "Ω cm²", f"fig-5-{alloy}"), f"Fig. 5, ours: phantom spectra of {alloy}.")],
    )


def _estimate(found: dict[str, Any], name: str) -> Any:
    """Return a value with its interval as tables show it, or None."""
    if found[name] is None:
        return None
    bounds = found["ci95"].get(name)
    return {"value": found[name], "ci95": None if bounds is None else list(bounds)}
