"""Figures of polarisation curves: current densities on a logarithmic axis, the fitted model and where it was fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import FuncFormatter, NullFormatter

from sorby.report.drawing import BLUE, GREEN, INK, MUTED, ORANGE, new_figure, short, style, to_svg

Array = npt.NDArray[np.float64]
_COLOURS = (BLUE, ORANGE, GREEN, MUTED, INK)


@dataclass(frozen=True, eq=False)
class CurveShown:
    """One sweep as a figure shows it.

    Attributes
    ----------
    label : str
    potential_v, density_a_cm2 : ndarray, shape (N,)
        Measured.
    fitted_v, fitted_a_cm2 : ndarray, shape (M,), or None
        The model over the windows it was fitted to.
    windows_v : sequence of (float, float)
        Those windows.
    """

    label: str
    potential_v: Array
    density_a_cm2: Array
    fitted_v: Array | None = None
    fitted_a_cm2: Array | None = None
    windows_v: Sequence[tuple[float, float]] = ()


def polarisation_curves(curves: Sequence[CurveShown], name: str) -> str:
    """Draw the size of current densities over potential.

    Parameters
    ----------
    curves : sequence of CurveShown
    name : str
        Unique on the page.

    Returns
    -------
    str
        SVG. Of a single curve the windows of the fit are shaded.
    """
    with style():
        figure, axes = new_figure(6.0, 4.0)
        for k, curve in enumerate(curves):
            colour = _COLOURS[k % len(_COLOURS)]
            size = np.abs(curve.density_a_cm2)
            shown = size > 0
            axes.plot(curve.potential_v[shown], size[shown], ".", color=colour, markersize=3.5,
                      label=short(curve.label, 34))  # fmt: skip
            if curve.fitted_v is not None and curve.fitted_a_cm2 is not None:
                fitted = np.abs(curve.fitted_a_cm2)
                line = ORANGE if len(curves) == 1 else colour
                axes.plot(curve.fitted_v, np.where(fitted > 0, fitted, np.nan), color=line, linewidth=1.2, label="_fit")
            if len(curves) == 1:
                for low, high in curve.windows_v:
                    axes.axvspan(low, high, color=MUTED, alpha=0.12, linewidth=0)
        axes.set_yscale("log")
        # The report's text holds no formulas, and the default labels are some.
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0e}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel="potential (V against the reference electrode)", ylabel="current density (A/cm2)")
        figure.legend(loc="outside upper center", ncols=min(len(curves), 3), fontsize=9, markerscale=2.5)
        return to_svg(figure, name, f"Polarisation curves of {len(curves)} sweeps, points measured, lines fitted.")


def arrhenius_line(
    temperature_k: Array, icorr_a_cm2: Array, ln_prefactor: float, energy_kj_mol: float, name: str
) -> str:
    """Draw ln(icorr) over the inverse temperature with its line.

    Parameters
    ----------
    temperature_k, icorr_a_cm2 : ndarray, shape (N,)
    ln_prefactor : float
        ln of A/cm2.
    energy_kj_mol : float
    name : str
        Unique on the page.

    Returns
    -------
    str
        SVG.
    """
    gas_constant = 8.314462618e-3
    with style():
        figure, axes = new_figure(4.6, 3.4)
        inverse = 1e3 / temperature_k
        ends = np.linspace(inverse.min(), inverse.max(), 2)
        axes.plot(inverse, np.log(icorr_a_cm2), "o", color=BLUE, markerfacecolor="none")
        axes.plot(ends, ln_prefactor - energy_kj_mol / gas_constant * ends / 1e3, color=INK, linewidth=1.2)
        axes.set(xlabel="1000 / T (1/K)", ylabel="ln icorr (A/cm2)")
        return to_svg(figure, name, f"Arrhenius plot of {len(temperature_k)} corrosion currents with a line.")
