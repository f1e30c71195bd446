"""Polarisation sweep and impedance spectrum of a coupon, from the same course of attack that its pictures show.

The corrosion current is the alloy's at 303 K, times the coupon's pace (which holds temperature and reactivity), times
a factor that grows with the share of the surface attacked: on steel the film has gone there, and on magnesium the
attacked places are the better cathodes. Rp = B / icorr then holds exactly (Stern & Geary 1957), so that sweep, spectrum
and pictures tell of one state. The film of the steel is taken as broken down in chloride: its sweep is active, though a
real coupon may be passive.

Magnesium gets an inductive loop: a relaxing surface film beside the charge transfer. Its polarisation resistance is the
limit at zero frequency, charge transfer and loop in parallel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.electrochem.alloys import ALLOYS as DISSOLVING
from sorby.electrochem.circuit import Circuit
from sorby.electrochem.corrosion_rate import alloy_equivalent_weight, corrosion_rate_mm_y
from sorby.electrochem.linear_polarisation import stern_geary_resistance
from sorby.electrochem.mixed_control import MixedControl
from sorby.errors import InputError
from sorby.files import write_text
from sorby.phantom.corrosion.course import Alloy
from sorby.phantom.corrosion.specimen import CorrosionSpecimen

Float64 = npt.NDArray[np.float64]

#: Reach from the open-circuit potential, step, and band, as in the published study.
SWEEP_MV, STEP_MV = 250.0, 1.0
BAND_HZ, POINTS_A_DECADE = (0.01, 100e3), 10
#: Scatter of currents and of impedances relative to themselves, of usual instruments.
CURRENT_NOISE, IMPEDANCE_NOISE = 0.004, 0.003
#: Deviations of what drifts while a curve is measured: the corrosion potential in mV, resistances relative.
DRIFT_MV, DRIFT_RELATIVE = 0.5, 5e-4
#: Part of the solution's resistance that the potentiostat leaves uncompensated.
_UNCOMPENSATED = 0.1
#: Conductivity of the medium rises by 2 % a kelvin.
_CONDUCTIVITY = 0.02
_REFERENCE_K = 303.0
POTENTIAL_HEADING, CURRENT_HEADING = "Potential (V vs SCE)", "Current density (A/cm2)"
SPECTRUM_HEADINGS = ("Frequency (Hz)", "Z' (ohm cm2)", "-Z'' (ohm cm2)")


@dataclass(frozen=True)
class Electrode:
    """An alloy's electrode at 303 K before any attack.

    Attributes
    ----------
    icorr_a_cm2, ecorr_v, beta_a_mv_dec, beta_c_mv_dec : float
    gain : float
        Relative rise of the corrosion current when all of the surface is attacked.
    capacitance_f_cm2, roughening : float
        Of the double layer, and its relative rise when all of the surface is attacked.
    solution_ohm_cm2 : float
    loop : float
        Resistance of the inductive branch over Rp, more than 1; 0 for none.
    loop_s : float
        Time constant of that branch.
    circuit : str
    """

    icorr_a_cm2: float
    ecorr_v: float
    beta_a_mv_dec: float
    beta_c_mv_dec: float
    gain: float
    capacitance_f_cm2: float
    roughening: float
    solution_ohm_cm2: float
    loop: float
    loop_s: float
    circuit: str


#: Usual ones of corroding metals in a saline medium; not the published currents, which exceed them 30 times for steel.
ELECTRODES: Mapping[Alloy, Electrode] = {
    "316L": Electrode(2e-6, -0.40, 95.0, 120.0, 4.0, 40e-6, 1.5, 18.0, 0.0, 0.0, "Rs-p(Rct,Cdl)"),
    "AZ31B": Electrode(3e-5, -1.54, 75.0, 170.0, 1.5, 12e-6, 2.5, 18.0, 3.0, 2.0, "Rs-p(Cdl,Rct,RL-L)"),
}


@dataclass(frozen=True)
class CorrosionCurves:
    """Curves of one coupon with what is true of them.

    Attributes
    ----------
    specimen, alloy : str
    temperature_k, hours, share : float
        Share of the surface attacked after *hours* of immersion, where the pace is usual.
    model : MixedControl
        Kinetics, with the uncompensated resistance.
    circuit : str
    values : dict of str to float
        Its parameters, per cm2.
    rp_ohm_cm2, rate_mm_y : float
        Stern and Geary's, and by ASTM G102.
    potential_v, density_a_cm2 : ndarray, shape (n,)
        As measured: upwards in steps of 1 mV, anodic positive.
    frequency_hz : ndarray, shape (m,)
        Falling.
    impedance : ndarray of complex, shape (m,)
        As measured, ohm cm2.
    """

    specimen: str
    alloy: Alloy
    temperature_k: float
    hours: float
    share: float
    model: MixedControl
    circuit: str
    values: Mapping[str, float]
    rp_ohm_cm2: float
    rate_mm_y: float
    potential_v: Float64
    density_a_cm2: Float64
    frequency_hz: Float64
    impedance: npt.NDArray[np.complex128]


def corrosion_curves(specimen: CorrosionSpecimen, *, hours: float | None = None, noise: float = 1.0) -> CorrosionCurves:
    """Measure a coupon: one sweep of 250 mV either way of its open-circuit potential, one spectrum.

    Parameters
    ----------
    specimen : CorrosionSpecimen
    hours : float, optional
        Of immersion; all the specimen's where None.
    noise : float
        Factor on scatter and drift; 0 for exact curves.

    Raises
    ------
    InputError
        A number cannot be.

    Examples
    --------
    >>> curves = corrosion_curves(CorrosionSpecimen.draw(1, "316L", severity=2))
    >>> len(curves.potential_v), len(curves.frequency_hz)
    (501, 71)
    """
    when = specimen.hours if hours is None else float(hours)
    if not (0 <= when < np.inf and 0 <= noise < np.inf):
        raise InputError(f"{when:g} hours and a noise of {noise:g} cannot be", "give 0 or more")
    # Kinetics are the coupon's own at all times, noise that of one measurement.
    own = np.random.default_rng([specimen.seed, 44, *specimen.alloy.encode()])
    rng = np.random.default_rng([specimen.seed, 45, round(when * 3600), *specimen.alloy.encode()])
    electrode = ELECTRODES[specimen.alloy]
    middle = np.zeros((1, 1))
    share = float(specimen.course.share(when, middle, middle)[0, 0])
    model = _kinetics(electrode, specimen, share, own)
    rp = stern_geary_resistance(model.icorr_a_cm2, model.beta_a_mv_dec, model.beta_c_mv_dec)
    values = _elements(electrode, specimen.temperature_k, share, rp)
    potential, density = _sweep(model, rng, noise)
    frequency, impedance = _spectrum(electrode.circuit, values, rng, noise)
    dissolving = DISSOLVING[specimen.alloy]
    rate = corrosion_rate_mm_y(model.icorr_a_cm2, alloy_equivalent_weight(dissolving), dissolving.density_g_cm3)
    return CorrosionCurves(
        specimen.name, specimen.alloy, specimen.temperature_k, when, share, model, electrode.circuit, values, rp, rate,
        potential, density, frequency, impedance,
    )  # fmt: skip


def _solution(electrode: Electrode, temperature_k: float) -> float:
    return electrode.solution_ohm_cm2 / (1.0 + _CONDUCTIVITY * (temperature_k - _REFERENCE_K))


def _kinetics(
    electrode: Electrode, specimen: CorrosionSpecimen, share: float, rng: np.random.Generator
) -> MixedControl:
    slopes = np.exp(rng.normal(0.0, 0.04, 2))
    return MixedControl(
        electrode.icorr_a_cm2 * specimen.course.relative_rate * (1.0 + electrode.gain * share),
        float(electrode.beta_a_mv_dec * slopes[0]),
        float(electrode.beta_c_mv_dec * slopes[1]),
        electrode.ecorr_v + float(rng.normal(0.0, 0.008)),
        _UNCOMPENSATED * _solution(electrode, specimen.temperature_k),
    )


def _elements(electrode: Electrode, temperature_k: float, share: float, rp: float) -> dict[str, float]:
    values = {
        "Rs": _solution(electrode, temperature_k),
        "Rct": rp,
        "Cdl": electrode.capacitance_f_cm2 * (1.0 + electrode.roughening * share),
    }
    if electrode.loop:
        # 1/Rp = 1/Rct + 1/RL: the loop takes its part of the current at rest.
        branch = electrode.loop * rp
        values |= {"Rct": rp * electrode.loop / (electrode.loop - 1.0), "RL": branch, "L": branch * electrode.loop_s}
    return values


def _sweep(model: MixedControl, rng: np.random.Generator, noise: float) -> tuple[Float64, Float64]:
    rest = model.ecorr_v + 1e-3 * float(rng.normal(0.0, 2.0)) * noise
    steps = int(SWEEP_MV / STEP_MV)
    potential = np.asarray(rest + 1e-3 * STEP_MV * np.arange(-steps, steps + 1), np.float64)
    # The corrosion potential creeps while the sweep runs; it is the model's when the sweep passes it.
    creep = 1e-3 * float(rng.normal(0.0, DRIFT_MV)) * noise * (potential - model.ecorr_v) / (1e-3 * SWEEP_MV)
    density = model.density(potential - creep)
    density = density * (1.0 + CURRENT_NOISE * noise * rng.standard_normal(len(density)))
    # Resolution of the current range near zero, a thousandth of the corrosion current.
    density = density + 1e-3 * noise * model.icorr_a_cm2 * rng.standard_normal(len(density))
    return potential, density


def _spectrum(
    circuit: str, values: Mapping[str, float], rng: np.random.Generator, noise: float
) -> tuple[Float64, npt.NDArray[np.complex128]]:
    low, high = np.log10(BAND_HZ)
    frequency = np.asarray(np.logspace(high, low, round((high - low) * POINTS_A_DECADE) + 1), np.float64)
    read = Circuit.read(circuit)
    exact = read.impedance(read.vector(values), frequency)
    # Low frequencies come last and take longest: resistances have moved most by then.
    elapsed = np.cumsum(1.0 / frequency)
    drift = float(rng.normal(0.0, DRIFT_RELATIVE)) * noise * (elapsed / elapsed[-1])
    scatter = rng.standard_normal((2, len(frequency))) * (IMPEDANCE_NOISE * noise * np.abs(exact))
    return frequency, np.asarray(exact * (1.0 + drift) + scatter[0] + 1j * scatter[1], np.complex128)


def curve_row(curves: CorrosionCurves) -> dict[str, Any]:
    """Return what is true of a coupon's curves, a row of the table of curves."""
    model = curves.model
    return {
        "specimen": curves.specimen,
        "label": curves.alloy,
        "temperature_k": curves.temperature_k,
        "hours": curves.hours,
        "attacked_share": curves.share,
        "polarisation": f"curves/{curves.specimen}-pdp.txt",
        "impedance": f"curves/{curves.specimen}-eis.csv",
        "icorr_a_cm2": model.icorr_a_cm2,
        "ecorr_v": model.ecorr_v,
        "beta_a_mv_dec": model.beta_a_mv_dec,
        "beta_c_mv_dec": model.beta_c_mv_dec,
        "uncompensated_ohm_cm2": model.resistance_ohm_cm2,
        "rp_ohm_cm2": curves.rp_ohm_cm2,
        "corrosion_rate_mm_y": curves.rate_mm_y,
        "circuit": curves.circuit,
        **{name: curves.values.get(name) for name in ("Rs", "Rct", "Cdl", "RL", "L")},
    }


def write_curves(folder: Path | str, specimens: Sequence[CorrosionSpecimen], *, noise: float = 1.0) -> pd.DataFrame:
    """Write sweeps and spectra of coupons, as instruments export them, and their truth.

    Parameters
    ----------
    folder : path
        Existing; gets ``curves/<specimen>-pdp.txt`` (tabs, V and A/cm2), ``curves/<specimen>-eis.csv`` (Hz, ohm cm2)
        and ``curves.csv``.
    specimens : sequence of CorrosionSpecimen
    noise : float
        See :func:`corrosion_curves`.

    Returns
    -------
    pandas.DataFrame
        One row a coupon; see :func:`curve_row`.

    Raises
    ------
    InputError
        Two coupons have one name.
    """
    names = [specimen.name for specimen in specimens]
    if len(set(names)) < len(names):
        raise InputError("two coupons have one name", "their curves would lie in one file: name them apart")
    folder = Path(folder)
    (folder / "curves").mkdir(exist_ok=True)
    rows = []
    for specimen in specimens:
        curves = corrosion_curves(specimen, noise=noise)
        row = curve_row(curves)
        sweep = "".join(
            f"{volt:.6f}\t{density:.8e}\n"
            for volt, density in zip(curves.potential_v, curves.density_a_cm2, strict=True)
        )
        write_text(folder / row["polarisation"], f"{POTENTIAL_HEADING}\t{CURRENT_HEADING}\n{sweep}")
        spectrum = "".join(
            f"{hertz:.6e},{z.real:.8e},{-z.imag:.8e}\n"
            for hertz, z in zip(curves.frequency_hz, curves.impedance, strict=True)
        )
        write_text(folder / row["impedance"], ",".join(SPECTRUM_HEADINGS) + "\n" + spectrum)
        rows.append(row)
    table = pd.DataFrame(rows)
    table.to_csv(folder / "curves.csv", index=False)
    return table
