"""``electro pdp``: a polarisation file to corrosion potential, current, slopes, resistance and rate of each sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sorby.electrochem.alloys import Alloy, alloy
from sorby.electrochem.corrosion_rate import alloy_equivalent_weight, corrosion_rate_mm_y
from sorby.electrochem.polarisation_curve import PolarisationCurve, densities, split_sweeps
from sorby.electrochem.polarisation_files import BARE, read_polarisation
from sorby.electrochem.sweep_analysis import SweepAnalysis, analyse_sweep, check_sign
from sorby.errors import InputError, Quarantined, SorbyError
from sorby.files import staged_directory, write_json, write_text
from sorby.workflow.polarisation_series import over_temperature

if TYPE_CHECKING:  # matplotlib is imported only where a page is written
    from sorby.report.polarisation_figures import CurveShown

#: What files that state nothing are taken to hold; every result says where it was used.
DEFAULT_UNITS = ("V", "A", "anodic-positive")
TERMS = (
    "slopes are positive, per decade; ci95 of icorr and slopes: all admissible windows and the bootstrap of the"
    " reported one, in quadrature; rate: ASTM G102"
)


@dataclass(frozen=True)
class Electrode:
    """What dissolves.

    Attributes
    ----------
    area_mm2 : float or None
    material : str or None
        Name of a known alloy.
    equivalent_weight, density_g_cm3 : float or None
        Overrule the alloy's.
    """

    area_mm2: float | None = None
    material: str | None = None
    equivalent_weight: float | None = None
    density_g_cm3: float | None = None


@dataclass(frozen=True)
class PolarisationOptions:
    """How to read and fit.

    Attributes
    ----------
    potential_unit, current_unit, sign : str or None
        Overrule the file.
    anodic_window_mv, cathodic_window_mv : (float, float) or None
        Chosen by rule where None.
    beta_mv_dec : (float, float) or None
        Slopes for Stern-Geary.
    columns : (int, int) or None
        Potential and current of a file without column names, counted from 1.
    seed : int
    """

    potential_unit: str | None = None
    current_unit: str | None = None
    sign: str | None = None
    anodic_window_mv: tuple[float, float] | None = None
    cathodic_window_mv: tuple[float, float] | None = None
    beta_mv_dec: tuple[float, float] | None = None
    columns: tuple[int, int] | None = None
    seed: int = 0


@dataclass(frozen=True)
class _Dissolution:
    """Equivalent weight and density that were used, and which alloy they belong to."""

    name: str | None
    alloy: Alloy | None
    equivalent_weight: float | None
    density_g_cm3: float | None

    def rate(self, icorr_a_cm2: float | None) -> float | None:
        if icorr_a_cm2 is None or self.equivalent_weight is None or self.density_g_cm3 is None:
            return None
        return corrosion_rate_mm_y(icorr_a_cm2, self.equivalent_weight, self.density_g_cm3)


def _dissolution(electrode: Electrode, curve: PolarisationCurve) -> _Dissolution:
    name, record = alloy(electrode.material) if electrode.material else (None, None)
    weight = electrode.equivalent_weight
    density = electrode.density_g_cm3
    if record is not None:
        weight = alloy_equivalent_weight(record) if weight is None else weight
        density = record.density_g_cm3 if density is None else density
    elif weight is None and density is None:
        weight, density = curve.equivalent_weight, curve.density_g_cm3
    found = _Dissolution(name, record, weight, density)
    found.rate(1e-6)  # a weight or density of zero is refused here, not at the first sweep that has a current
    return found


def analyse_polarisation(
    file: Path | str,
    electrode: Electrode = Electrode(),
    options: PolarisationOptions = PolarisationOptions(),
    *,
    temperature_k: float | None = None,
    out: Path | str | None = None,
) -> dict[str, Any]:
    """Analyse every sweep of a polarisation file.

    Parameters
    ----------
    file : Path or str
    electrode : Electrode
    options : PolarisationOptions
    temperature_k : float, optional
        Kept with the result.
    out : Path or str, optional
        New folder for ``polarisation.html`` and ``polarisation.json``.

    Returns
    -------
    dict
        The first sweep's entries (``ecorr_v``, ``icorr_a_cm2``, ``beta_a_mv_dec``, ``beta_c_mv_dec``, ``rp_ohm_cm2``,
        ``corrosion_rate_mm_y``, ``ci95``, ``warnings`` ...), ``sweeps`` with such an object for each, and what the file
        was read as. None stands for what the sweep does not support.

    Raises
    ------
    InputError
        The file, the area, a window or the alloy is wrong.
    """
    result, curves = _analysed(file, electrode, options, temperature_k)
    result["out"] = None if out is None else str(out)
    if out is not None:
        _write(Path(out), result, [(result, curves)])
    return result


def _write(out: Path, result: dict[str, Any], parts: list[tuple[dict[str, Any], list[CurveShown]]]) -> None:
    from sorby.report.polarisation_page import polarisation_page

    page = polarisation_page(parts, result.get("arrhenius"))
    with staged_directory(out) as folder:
        write_text(folder / "polarisation.html", page)
        write_json(folder / "polarisation.json", _bounded(result))


def _bounded(value: Any) -> Any:
    """Return *value* with None for infinite ends of intervals, which JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _bounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_bounded(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _shown(one: SweepAnalysis, label: str) -> CurveShown:
    """Return a sweep for the page, with the model over the windows it was fitted to."""
    from sorby.report.polarisation_figures import CurveShown

    potential, density = one.sweep.ascending()
    if one.tafel is None or one.ecorr is None:
        return CurveShown(label, potential, density)
    zero = one.ecorr.potential_v
    (near_a, far_a), (near_c, far_c) = one.tafel.anodic_window_mv, one.tafel.cathodic_window_mv
    volts = np.linspace(zero - far_c / 1e3, zero + far_a / 1e3, 400)
    windows = [(zero - far_c / 1e3, zero - near_c / 1e3), (zero + near_a / 1e3, zero + far_a / 1e3)]
    return CurveShown(label, potential, density, volts, one.tafel.model.density(volts), windows)


def _analysed(
    file: Path | str, electrode: Electrode, options: PolarisationOptions, temperature_k: float | None
) -> tuple[dict[str, Any], list[CurveShown]]:
    """Return a file's result and its sweeps as the page shows them."""
    curve = read_polarisation(
        file,
        potential_unit=options.potential_unit,
        current_unit=options.current_unit,
        sign=options.sign,
        columns=options.columns,
        fallback=DEFAULT_UNITS,
    )
    notes = [*curve.notes]
    area = electrode.area_mm2
    if area is not None and curve.per_area:
        if not 0 < area < math.inf:
            raise InputError(f"an area of {area:g} mm2 carries no current", "give the wetted area, above 0")
        notes.append(f"area of {area:g} mm2 not used: the file states currents per area")
    if area is None and not curve.per_area and curve.area_mm2 is not None:
        area = curve.area_mm2
        notes.append(f"area of {area:g} mm2 as the file states it")
    dissolution = _dissolution(electrode, curve)
    try:
        sweeps, left_out = split_sweeps(curve.potential_v, densities(curve, area))
        confirmed = check_sign(sweeps, curve.sign.value)
    except InputError as error:
        raise InputError(f"{file}: {error.message}", error.hint) from error
    analyses: list[SweepAnalysis] = []
    for sweep in sweeps:
        analyses.append(
            analyse_sweep(
                sweep,
                anodic_window_mv=options.anodic_window_mv,
                cathodic_window_mv=options.cathodic_window_mv,
                beta_mv_dec=options.beta_mv_dec,
                passive=any(one.passive is not None for one in analyses),
                seed=options.seed,
            )
        )
    described = [_described(one, dissolution) for one in analyses]
    warnings = [*_file_warnings(curve, dissolution, len(sweeps), confirmed), *left_out, *notes]
    result = {
        "file": str(file),
        **described[0],
        "warnings": [*described[0]["warnings"], *warnings],
        "sweeps": described,
        "format": curve.format,
        "columns": list(curve.columns),
        "units": {
            "potential": {"unit": curve.potential_unit.value, "from": curve.potential_unit.source},
            "current": {"unit": curve.current_unit.value, "from": curve.current_unit.source},
            "sign": {"convention": curve.sign.value, "from": curve.sign.source},
        },
        "area_mm2": None if curve.per_area else area,
        "material": dissolution.name,
        "equivalent_weight": dissolution.equivalent_weight,
        "density_g_cm3": dissolution.density_g_cm3,
        "temperature_k": temperature_k,
        "terms": TERMS,
    }
    return result, [_shown(one, f"sweep {one.sweep.direction}") for one in analyses]


def _file_warnings(curve: PolarisationCurve, dissolution: _Dissolution, n_sweeps: int, confirmed: bool) -> list[str]:
    lines = []
    if curve.format == BARE and "default" in (curve.potential_unit.source, curve.current_unit.source):
        lines.append(
            f"the file states no units: potential in {curve.potential_unit.value} ({curve.columns[0]}) and current in"
            f" {curve.current_unit.value} ({curve.columns[1]}) by default; --potential-unit, --current-unit"
            " and --columns say otherwise"
        )
    if curve.sign.source == "default":
        course = "which their course confirms" if confirmed else "by default; --sign says otherwise"
        lines.append(f"the file does not state its sign convention: anodic currents positive, {course}")
    if dissolution.equivalent_weight is None or dissolution.density_g_cm3 is None:
        lines.append("no corrosion rate: give --material, or --equivalent-weight and --density")
    if dissolution.alloy is not None and dissolution.alloy.passive:
        lines.append(
            f"{dissolution.name} is passive in many media: where it is, uniform corrosion by Tafel extrapolation is not"
            " defensible"
        )
    if n_sweeps > 1:
        lines.append(f"{n_sweeps} sweeps in this file; the first one stands at the top")
    return lines


def _described(one: SweepAnalysis, dissolution: _Dissolution) -> dict[str, Any]:
    """Return a sweep's entries for JSON."""
    fit, ecorr, rp = one.tafel, one.ecorr, one.rp
    model = fit.model if fit else None
    slope_current = one.icorr_stern_geary_a_cm2
    values: dict[str, float | None] = {
        "ecorr_v": ecorr.potential_v if ecorr else None,
        "icorr_a_cm2": model.icorr_a_cm2 if model else None,
        "beta_a_mv_dec": model.beta_a_mv_dec if model and fit and fit.beta_a_known else None,
        "beta_c_mv_dec": model.beta_c_mv_dec if model and fit and fit.beta_c_known else None,
        "rp_ohm_cm2": rp.rp_ohm_cm2 if rp else None,
        "corrosion_rate_mm_y": dissolution.rate(model.icorr_a_cm2 if model else None),
        "icorr_stern_geary_a_cm2": slope_current,
        "corrosion_rate_stern_geary_mm_y": dissolution.rate(slope_current),
        "stern_geary_b_v": one.stern_geary_b_v,
    }
    intervals: dict[str, tuple[float, float] | None] = {
        "ecorr_v": ecorr.ci95 if ecorr else None,
        **({name: fit.ci95[name] for name in ("icorr_a_cm2", "beta_a_mv_dec", "beta_c_mv_dec")} if fit else {}),
        "rp_ohm_cm2": rp.ci95 if rp else None,
        "icorr_stern_geary_a_cm2": one.icorr_stern_geary_ci95,
        "stern_geary_b_v": one.stern_geary_b_ci95,
    }
    for rate, current in (
        ("corrosion_rate_mm_y", "icorr_a_cm2"),
        ("corrosion_rate_stern_geary_mm_y", "icorr_stern_geary_a_cm2"),
    ):
        ends = intervals.get(current)
        if values[rate] is not None and ends is not None:
            intervals[rate] = (dissolution.rate(ends[0]) or 0.0, dissolution.rate(ends[1]) or 0.0)
    return {
        "direction": one.sweep.direction,
        "n": len(one.sweep.potential_v),
        "from_v": float(one.sweep.potential_v[0]),
        "to_v": float(one.sweep.potential_v[-1]),
        **values,
        "ci95": {name: list(ends) for name, ends in intervals.items() if ends is not None and values[name] is not None},
        "fit": None if fit is None else _fit_described(one),
        "rp_window_mv": rp.window_mv if rp else None,
        "passive": None
        if one.passive is None
        else {
            "from_v": one.passive.from_v,
            "to_v": one.passive.to_v,
            "density_a_cm2": one.passive.density_a_cm2,
            "peak_a_cm2": one.passive.peak_a_cm2,
        },
        "warnings": one.warnings,
    }


def _fit_described(one: SweepAnalysis) -> dict[str, Any]:
    fit = one.tafel
    assert fit is not None, "only fits are described"
    limit = fit.model.limit_a_cm2
    return {
        "anodic_window_mv": list(fit.anodic_window_mv),
        "cathodic_window_mv": list(fit.cathodic_window_mv),
        "chosen_by": fit.chosen_by,
        "anodic_decades": fit.anodic_decades,
        "cathodic_decades": fit.cathodic_decades,
        "spread": fit.spread,
        "resistance_ohm_cm2": fit.model.resistance_ohm_cm2,
        "limiting_a_cm2": None if limit == float("inf") else limit,
        "ecorr_v": fit.model.ecorr_v,
        "n_windows": fit.n_windows,
        "window_range": {name: list(ends) for name, ends in fit.window_range.items()},
        "bootstrap_ci95": {name: list(ends) for name, ends in fit.bootstrap_ci95.items()},
    }


def analyse_series(
    files: Sequence[Path | str],
    electrode: Electrode = Electrode(),
    options: PolarisationOptions = PolarisationOptions(),
    *,
    temperatures_k: Sequence[float] = (),
    out: Path | str | None = None,
) -> dict[str, Any]:
    """Analyse several curves of one material, such as those of a series of temperatures.

    Parameters
    ----------
    files : sequence of path
    electrode : Electrode
    options : PolarisationOptions
    temperatures_k : sequence of float
        One for each file; without them no activation energy is looked for.
    out : Path or str, optional
        New folder for ``polarisation.html`` and ``polarisation.json``.

    Returns
    -------
    dict
        The first file's result with ``series`` (one result a file), ``quarantined`` and ``arrhenius``, None without
        temperatures, otherwise ``activation_energy_kj_mol``, ``ci95``, ``r_squared``, ``decorr_v`` (shift from the
        first file), ``reading`` and ``warnings``. The first sweep of each file counts; files without icorr are left
        out, with a warning.

    Raises
    ------
    InputError
        No file can be analysed, or the temperatures do not fit the files.
    """
    if temperatures_k and len(temperatures_k) != len(files):
        raise InputError(f"{len(temperatures_k)} temperatures for {len(files)} curves", "give one for each file")
    kelvins: list[float | None] = [*temperatures_k] if temperatures_k else [None] * len(files)
    parts, quarantined = [], []
    for file, kelvin in zip(files, kelvins, strict=True):
        try:
            parts.append(_analysed(file, electrode, options, kelvin))
        except SorbyError as error:
            if len(files) == 1:
                raise
            quarantined.append(Quarantined.from_error(file, error))
    if not parts:
        reason = quarantined[0].reason if quarantined else "no file was given"
        raise InputError(f"none of {len(files)} curves could be analysed ({reason})", "see the reasons")
    results = [result for result, _ in parts]
    combined = {
        **results[0],
        "series": results,
        "arrhenius": over_temperature(results) if temperatures_k else None,
        "quarantined": [entry.as_dict() for entry in quarantined],
        "out": None if out is None else str(out),
    }
    if out is not None:
        _write(Path(out), combined, parts)
    return combined
