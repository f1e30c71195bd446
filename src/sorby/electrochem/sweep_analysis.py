"""One sweep analysed: potentials, currents, slopes and resistance, each with its interval or the reason it has none."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sorby.electrochem.corrosion_potential import CorrosionPotential, corrosion_potential
from sorby.electrochem.linear_polarisation import (
    PolarisationResistance,
    polarisation_resistance,
    stern_geary_b_v,
    stern_geary_current,
)
from sorby.electrochem.passivity import PassiveBranch, find_passive_branch
from sorby.electrochem.polarisation_curve import Sweep
from sorby.electrochem.tafel import TafelFit, Window, fit_tafel
from sorby.errors import InputError

#: Neither branch reaching this far, a sweep is one of linear polarisation.
SHORTEST_TAFEL_MV = 50.0
_DECADE = 1.0
#: Above these a slope or a B is no kinetic constant of corrosion met in practice.
STEEPEST_MV_DEC = 250.0
_USUAL_B_V = (0.008, 0.060)
#: Densities of polarisation curves, in A/cm2; beyond, a unit is suspected.
LARGEST_A_CM2, SMALLEST_A_CM2, LARGEST_ICORR_A_CM2 = 1.0, 1e-9, 0.05
#: Potentials of either sign beyond which a column of potentials is suspected, in V.
LARGEST_V = 10.0
#: Further zeros of current than these are noise.
MOST_ZEROS = 6
_DISAGREEMENT = 1.5
_POOR_SPREAD = 0.05
_WIDE = 2.0


@dataclass(frozen=True)
class SweepAnalysis:
    """What one sweep says.

    Attributes
    ----------
    sweep : Sweep
    ecorr : CorrosionPotential or None
    tafel : TafelFit or None
        None where a fit would not be defensible; `warnings` says why.
    rp : PolarisationResistance or None
    passive : PassiveBranch or None
    stern_geary_b_v : float or None
        From the fitted slopes, or from those a person gave.
    stern_geary_b_ci95 : (float, float) or None
    warnings : list of str
    """

    sweep: Sweep
    ecorr: CorrosionPotential | None
    tafel: TafelFit | None
    rp: PolarisationResistance | None
    passive: PassiveBranch | None
    stern_geary_b_v: float | None = None
    stern_geary_b_ci95: tuple[float, float] | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def icorr_stern_geary_a_cm2(self) -> float | None:
        """B / Rp, where both are known."""
        if self.rp is None or self.stern_geary_b_v is None:
            return None
        return stern_geary_current(self.rp.rp_ohm_cm2, self.stern_geary_b_v)

    @property
    def icorr_stern_geary_ci95(self) -> tuple[float, float] | None:
        """Both intervals at their ends together, for they are not independent."""
        if self.rp is None or self.stern_geary_b_v is None:
            return None
        low, high = self.stern_geary_b_ci95 or (self.stern_geary_b_v, self.stern_geary_b_v)
        return low / self.rp.ci95[1], high / self.rp.ci95[0]


def check_sign(sweeps: list[Sweep], sign: str) -> bool:
    """Refuse curves whose current falls as the potential rises.

    Parameters
    ----------
    sweeps : list of Sweep
    sign : str
        The convention they were read with.

    Returns
    -------
    bool
        Whether any sweep changes sign, and so confirms the convention.

    Raises
    ------
    InputError
        Every sweep that changes sign is anodic at its lowest and cathodic at its highest potentials. The physics is
        certain, but which of file and option is wrong is not, so nothing is turned round.
    """
    turns = []
    for sweep in sweeps:
        _, density = sweep.ascending()
        tenth = max(3, len(density) // 10)
        low, high = np.sign(np.median(density[:tenth])), np.sign(np.median(density[-tenth:]))
        if low * high < 0:
            turns.append(high)
    if turns and all(turn < 0 for turn in turns):
        other = "cathodic-positive" if sign == "anodic-positive" else "anodic-positive"
        raise InputError(
            f"the current goes from positive to negative as the potential rises, which {sign} currents do not",
            f"the sign is reversed: give --sign {other}, or exchange the columns",
        )
    return bool(turns)


def analyse_sweep(
    sweep: Sweep,
    *,
    anodic_window_mv: Window | None = None,
    cathodic_window_mv: Window | None = None,
    beta_mv_dec: Window | None = None,
    passive: bool = False,
    seed: int = 0,
) -> SweepAnalysis:
    """Analyse one sweep, leaving out what it cannot support.

    Parameters
    ----------
    sweep : Sweep
    anodic_window_mv, cathodic_window_mv : (float, float), optional
        Where to fit, as distances from the corrosion potential. A given window is fitted even where the rule would
        refuse, with a warning.
    beta_mv_dec : (float, float), optional
        Anodic and cathodic slope for Stern-Geary, where the sweep's own are not to be used.
    passive : bool
        Another sweep of the specimen has shown passivity.
    seed : int
        Of the bootstrap.

    Returns
    -------
    SweepAnalysis
    """
    warnings = _magnitudes(sweep)
    ecorr = corrosion_potential(sweep)
    if ecorr is None:
        kept = "cathodic" if np.median(sweep.density_a_cm2) < 0 else "anodic"
        lost = "" if kept == "cathodic" or not _dips(sweep) else "; these may be absolute values, which lost their sign"
        warnings.append(f"the current stays {kept} throughout: no Ecorr, and nothing that rests on it{lost}")
        return SweepAnalysis(sweep, None, None, None, None, warnings=warnings)
    if len(ecorr.others_v) > MOST_ZEROS:
        warnings.append(f"the current is zero at {len(ecorr.others_v) + 1} potentials: noise, and no Ecorr is reported")
        return SweepAnalysis(sweep, None, None, None, None, warnings=warnings)
    if ecorr.others_v:
        places = ", ".join(f"{value:.3f}" for value in ecorr.others_v)
        warnings.append(
            f"the current is zero at {places} V too; {ecorr.potential_v:.4f} V, the first passage from cathodic to"
            " anodic, was taken"
        )
    branch = find_passive_branch(sweep, ecorr)
    rp = polarisation_resistance(sweep, ecorr, seed=seed)
    if rp is None:
        warnings.append("no polarisation resistance: fewer than eight points near Ecorr, or a current that falls there")
    person = anodic_window_mv is not None or cathodic_window_mv is not None
    why_not = _refusal(sweep, ecorr, branch, passive)
    tafel = None
    if why_not and not person:
        warnings.append(f"{why_not}: no Tafel slopes, no icorr and no rate from them")
    else:
        if why_not:
            warnings.append(f"{why_not}: the fit in the given window is not defensible")
        tafel = fit_tafel(
            sweep, ecorr, anodic_window_mv=anodic_window_mv, cathodic_window_mv=cathodic_window_mv, seed=seed
        )
        warnings += _tafel_warnings(tafel)
    b_v, b_range = _stern_geary_b(tafel, beta_mv_dec)
    analysis = SweepAnalysis(sweep, ecorr, tafel, rp, branch, b_v, b_range, warnings)
    warnings += _stern_geary_warnings(analysis)
    return analysis


def _dips(sweep: Sweep) -> bool:
    """Tell whether currents are least inside the sweep and ten times larger at both of its ends."""
    size = np.abs(sweep.density_a_cm2)
    return bool(min(size[0], size[-1]) > 10 * size[3:-3].min())


def _magnitudes(sweep: Sweep) -> list[str]:
    lines = []
    largest, furthest = (float(np.max(np.abs(values))) for values in (sweep.density_a_cm2, sweep.potential_v))
    if not SMALLEST_A_CM2 <= largest <= LARGEST_A_CM2:
        lines.append(
            f"current densities of up to {largest:.3g} A/cm2 are implausible: check the current's unit and the area;"
            " nothing was changed"
        )
    if furthest > LARGEST_V:
        lines.append(
            f"potentials of up to {furthest:.3g} V are implausible: check the columns and the potential's unit; nothing"
            " was changed"
        )
    return lines


def _refusal(sweep: Sweep, ecorr: CorrosionPotential, branch: PassiveBranch | None, passive: bool) -> str:
    """Return why a Tafel fit would not be defensible, or nothing."""
    if branch is not None:
        nose = "" if branch.peak_a_cm2 is None else f" after a peak of {branch.peak_a_cm2:.2g}"
        return (
            f"passive: the anodic current stays near {branch.density_a_cm2:.2g} A/cm2{nose}"
            f" from {branch.from_v:.3f} to {branch.to_v:.3f} V"
        )
    if passive:
        return "the specimen is passive in another sweep of this file"
    reach = 1e3 * max(sweep.potential_v.max() - ecorr.potential_v, ecorr.potential_v - sweep.potential_v.min())
    if reach < SHORTEST_TAFEL_MV:
        return f"the sweep ends {reach:.0f} mV from Ecorr, which serves linear polarisation only"
    return ""


def _branch_warnings(
    name: str, where: str, end_mv: float, decades: float, beta: float, known: bool, symbol: str
) -> list[str]:
    if not known:
        return [f"the {name} branch ends {end_mv:.0f} mV {where} Ecorr: {symbol} is not known and not reported"]
    lines = []
    if decades < _DECADE:
        lines.append(
            f"short {name} branch: it is usable to {end_mv:.0f} mV {where} Ecorr, {max(decades, 0):.2f} decades beyond"
            f" icorr (less than a decade): {symbol} and icorr lean on the model of mixed control"
        )
    if beta > end_mv:
        lines.append(f"{symbol} of {beta:.0f} mV/decade is more than the {end_mv:.0f} mV that the {name} branch spans")
    if beta > STEEPEST_MV_DEC:
        lines.append(f"{symbol} of {beta:.0f} mV/decade is no Tafel slope: passivity, diffusion or ohmic drop controls")
    return lines


def _tafel_warnings(fit: TafelFit) -> list[str]:
    model = fit.model
    lines = _branch_warnings(
        "anodic", "above", min(fit.anodic_end_mv, fit.anodic_window_mv[1]), fit.anodic_decades, model.beta_a_mv_dec,
        fit.beta_a_known, "beta_a",
    )  # fmt: skip
    lines += _branch_warnings(
        "cathodic", "below", min(fit.cathodic_end_mv, fit.cathodic_window_mv[1]), fit.cathodic_decades,
        model.beta_c_mv_dec, fit.beta_c_known, "beta_c",
    )  # fmt: skip
    low, high = fit.ci95["icorr_a_cm2"]
    if high > _WIDE * low:
        lines.append(f"icorr is known to a factor of {high / low:.1f} only: windows that fit as well disagree")
    if fit.spread > _POOR_SPREAD:
        lines.append(f"the model of mixed control misses the currents by {100 * fit.spread:.0f} %")
    if model.icorr_a_cm2 > LARGEST_ICORR_A_CM2:
        lines.append(
            f"icorr of {model.icorr_a_cm2:.3g} A/cm2 is implausible: check the current's unit and the area; nothing was"
            " changed"
        )
    return lines


def _stern_geary_b(
    tafel: TafelFit | None, beta_mv_dec: Window | None
) -> tuple[float | None, tuple[float, float] | None]:
    if beta_mv_dec is not None:
        if min(beta_mv_dec) <= 0:
            raise InputError("a slope that is not above zero", "give --beta-mv-dec ANODIC,CATHODIC, both positive")
        return stern_geary_b_v(*beta_mv_dec), None
    if tafel is None or not (tafel.beta_a_known and tafel.beta_c_known):
        return None, None
    return stern_geary_b_v(tafel.model.beta_a_mv_dec, tafel.model.beta_c_mv_dec), tafel.ci95["stern_geary_b_v"]


def _stern_geary_warnings(analysis: SweepAnalysis) -> list[str]:
    lines = []
    b_v = analysis.stern_geary_b_v
    if b_v is None:
        if analysis.rp is not None:
            lines.append(
                "no icorr by Stern-Geary: this sweep has no pair of slopes; give --beta-mv-dec ANODIC,CATHODIC"
            )
        return lines
    if not _USUAL_B_V[0] <= b_v <= _USUAL_B_V[1]:
        lines.append(f"Stern-Geary B of {1e3 * b_v:.0f} mV is outside what corroding metals show (8 to 60 mV)")
    slope = analysis.icorr_stern_geary_a_cm2
    if slope is not None and analysis.tafel is not None:
        ratio = slope / analysis.tafel.model.icorr_a_cm2
        if not 1 / _DISAGREEMENT <= ratio <= _DISAGREEMENT:
            lines.append(f"icorr by Stern-Geary is {ratio:.2g} times that by the Tafel fit: they contradict each other")
    return lines
