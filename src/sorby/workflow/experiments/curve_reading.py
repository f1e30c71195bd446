"""Curves of coupons as numbers: what a sweep and a spectrum say of corrosion, and nothing that they do not support."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError, Quarantined, SorbyError
from sorby.progress import bar
from sorby.workflow.impedance import Settings, analyse_impedance
from sorby.workflow.polarisation import Electrode, analyse_polarisation

Floats = npt.NDArray[np.float64]

#: Numbers of a coupon in their order; currents, resistances and capacitances by their decimal logarithm.
CURVE_VALUES = (
    "ecorr_v",
    "log_icorr_a_cm2",
    "beta_a_mv_dec",
    "beta_c_mv_dec",
    "log_rp_sweep_ohm_cm2",
    "log_rs_ohm_cm2",
    "log_rp_spectrum_ohm_cm2",
    "log_cdl_f_cm2",
)
#: One circuit for all, so that its values can be compared: a loop where there is one, and an ideal double layer.
CIRCUITS = ("Rs-p(Rct,Cdl)", "Rs-p(Cdl,Rct,RL-L)")
_SWEEP, _SPECTRUM = "-pdp", "-eis"


@dataclass(frozen=True, eq=False)
class CurveTable:
    """Curves of coupons read.

    Attributes
    ----------
    values : ndarray, shape (G, 8)
        In the order of `CURVE_VALUES`; NaN where a curve does not support a number.
    has_curve : ndarray of bool, shape (G,)
        Whether any curve of the coupon could be read.
    quarantined : list of Quarantined
    missing : list of str
        Coupons without any curve file.
    """

    values: Floats
    has_curve: npt.NDArray[np.bool_]
    quarantined: list[Quarantined]
    missing: list[str]


def curve_files(folder: Path | str, specimens: Sequence[str]) -> list[tuple[Path | None, Path | None]]:
    """Find the sweep and the spectrum of each coupon: ``<specimen>-pdp.*`` and ``<specimen>-eis.*``.

    Raises
    ------
    InputError
        The folder is not there, or holds no curve of any of them.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of curves", "give the folder with <specimen>-pdp.* and -eis.*")
    by_stem: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        by_stem.setdefault(file.stem, file)
    found = [(by_stem.get(name + _SWEEP), by_stem.get(name + _SPECTRUM)) for name in specimens]
    if not any(sweep or spectrum for sweep, spectrum in found):
        raise InputError(
            f"{folder}: holds no curve of any of {len(specimens)} coupons",
            f"files are named after their coupon, such as {specimens[0]}-pdp.txt and {specimens[0]}-eis.csv",
        )
    return found


def read_curves(folder: Path | str, specimens: Sequence[str], *, area_mm2: float | None = None) -> CurveTable:
    """Analyse the curves of coupons; a file that cannot be read is set aside, and its numbers are missing.

    Parameters
    ----------
    folder : path
    specimens : sequence of str
    area_mm2 : float, optional
        Of the electrodes, where files state currents and impedances not per area.

    Raises
    ------
    InputError
        The folder holds no curve, the area cannot be, or no curve can be read.
    """
    if area_mm2 is not None and not 0 < area_mm2 < math.inf:
        raise InputError(f"an area of {area_mm2:g} mm2 carries no current", "give the wetted area, above 0")
    files = curve_files(folder, specimens)
    work = [(sweep, spectrum, area_mm2) for sweep, spectrum in files]
    rows: list[tuple[dict[str, float], list[Quarantined]]] = []
    with bar("curves", len(work)) as advance:
        for job in work:
            rows.append(_coupon(job))
            advance(1)
    values = np.array([[row.get(name, np.nan) for name in CURVE_VALUES] for row, _ in rows])
    quarantined = [entry for _, entries in rows for entry in entries]
    has_curve = np.isfinite(values).any(axis=1)
    if not has_curve.any():
        reason = quarantined[0].reason if quarantined else "no number is defensible"
        raise InputError(f"{folder}: no curve could be used ({reason})", "see the reasons")
    missing = [name for name, pair in zip(specimens, files, strict=True) if pair == (None, None)]
    return CurveTable(values, has_curve, quarantined, missing)


def _coupon(job: tuple[Path | None, Path | None, float | None]) -> tuple[dict[str, float], list[Quarantined]]:
    sweep, spectrum, area = job
    row: dict[str, float] = {}
    quarantined = []
    for file, read in ((sweep, _from_sweep), (spectrum, _from_spectrum)):
        if file is None:
            continue
        try:
            row |= read(file, area)
        except SorbyError as error:
            quarantined.append(Quarantined.from_error(file, error))
    return row, quarantined


def _from_sweep(file: Path, area_mm2: float | None) -> dict[str, float]:
    found = analyse_polarisation(file, Electrode(area_mm2=area_mm2))
    row = {name: found[name] for name in ("ecorr_v", "beta_a_mv_dec", "beta_c_mv_dec") if found[name] is not None}
    return row | _logs({"log_icorr_a_cm2": found["icorr_a_cm2"], "log_rp_sweep_ohm_cm2": found["rp_ohm_cm2"]})


def _from_spectrum(file: Path, area_mm2: float | None) -> dict[str, float]:
    found = analyse_impedance([file], Settings(circuits=CIRCUITS, area_mm2=area_mm2))
    if not found["kramers_kronig"]["passed"]:
        raise InputError(f"{file}: fails Kramers-Kronig, so a circuit describes no such measurement", "measure again")
    resistance = found["polarisation_resistance"]
    return _logs(
        {
            "log_rs_ohm_cm2": _identified(found["parameters"], "Rs"),
            "log_rp_spectrum_ohm_cm2": None if resistance is None else resistance["value"],
            "log_cdl_f_cm2": _identified(found["parameters"], "Cdl"),
        }
    )


def _identified(parameters: Mapping[str, Any], name: str) -> float | None:
    """Return a parameter where the data tell it."""
    one = parameters.get(name)
    return one["value"] if one is not None and one["identifiable"] else None


def _logs(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.log10(value) for name, value in values.items() if value is not None and value > 0}


def filled(values: Floats, taught: npt.NDArray[np.intp]) -> Floats:
    """Return numbers without gaps: medians of the taught coupons, and a column for each number that may be missing.

    Parameters
    ----------
    values : ndarray, shape (G, K)
    taught : ndarray of int
        Rows whose medians count.

    Returns
    -------
    ndarray, shape (G, K + M)
        M columns of 1 where a number is missing, for those of which a taught coupon lacks one.
    """
    gaps = np.isnan(values)
    # A number that no taught coupon has says nothing; 0 for all of them keeps the shape.
    known = np.asarray(~gaps[taught].all(axis=0))
    middle = np.zeros(values.shape[1])
    middle[known] = np.nanmedian(values[np.ix_(taught, np.flatnonzero(known))], axis=0)
    flagged = gaps[taught].any(axis=0) & known
    whole = np.where(gaps | ~known, middle, values)
    return np.concatenate([whole, gaps[:, flagged].astype(np.float64)], axis=1)
