"""Figures of impedance spectra: Nyquist and Bode plots with the fitted circuit, residuals of fit and test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from sorby.report.drawing import BLUE, GREEN, INK, MUTED, ORANGE, new_figure, short, style, to_svg

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

_COLOURS = (BLUE, ORANGE, GREEN, MUTED, INK)
_MARKERS = ("o", "s", "D", "^", "v")


def nyquist(curves: Sequence[tuple[str, Complex, Complex | None]], unit: str, name: str) -> str:
    """Draw -Z'' over Z' with equal scales.

    Parameters
    ----------
    curves : sequence of (str, ndarray, ndarray or None)
        Of each spectrum: its label, measured and fitted impedance, shapes (N,).
    unit : str
        Of the impedance.
    name : str
        Unique on the page.

    Returns
    -------
    str
        SVG.
    """
    with style():
        figure, axes = new_figure(6.0, 4.2)
        for k, (label, measured, fitted) in enumerate(curves):
            colour, marker = _COLOURS[k % len(_COLOURS)], _MARKERS[k % len(_MARKERS)]
            axes.plot(measured.real, -measured.imag, marker, color=colour, markersize=4, markerfacecolor="none",
                      markeredgewidth=1.1, linestyle="none", label=short(label, 34))  # fmt: skip
            if fitted is not None:
                axes.plot(fitted.real, -fitted.imag, color=colour, linewidth=1.3, label="_fit")
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.set_aspect("equal", adjustable="datalim")
        axes.set(xlabel=f"Z' ({unit})", ylabel=f"-Z'' ({unit})")
        figure.legend(loc="outside upper center", ncols=min(len(curves), 3), fontsize=9)
        return to_svg(figure, name, f"Nyquist plot of {len(curves)} spectra, points measured, lines fitted.")


def bode(frequency_hz: Array, measured: Complex, fitted: Complex, unit: str, name: str) -> str:
    """Draw modulus and phase over frequency.

    Parameters
    ----------
    frequency_hz : ndarray, shape (N,)
    measured, fitted : ndarray, shape (N,)
        Impedance.
    unit : str
    name : str
        Unique on the page.
    """
    with style():
        figure, axes = new_figure(6.0, 4.2)
        figure.delaxes(axes)
        upper, lower = figure.subplots(2, 1, sharex=True)
        for drawn, of in ((upper, np.abs), (lower, _lag)):
            drawn.plot(
                frequency_hz, of(measured), "o", color=BLUE, markersize=4, markerfacecolor="none", label="measured"
            )
            drawn.plot(frequency_hz, of(fitted), color=ORANGE, linewidth=1.4, label="fitted")
        upper.set(xscale="log", yscale="log", ylabel=f"|Z| ({unit})")
        _plain_decades(upper.yaxis, (1.0, 2.0, 5.0))
        _plain_decades(lower.xaxis)
        lower.set(xlabel="frequency (Hz)", ylabel="-phase (degrees)")
        upper.legend(fontsize=9)
        return to_svg(figure, name, "Bode plot: modulus and phase over frequency, points measured, lines fitted.")


def residuals(
    frequency_hz: Array, of_fit: Complex, test_frequency_hz: Array, of_test: Complex, limit: float, name: str
) -> str:
    """Draw residuals relative to the measured modulus: of the circuit above, of the Kramers-Kronig test below.

    Parameters
    ----------
    frequency_hz, of_fit : ndarray, shape (N,)
        Frequencies of the fit and its complex residuals over |Z|.
    test_frequency_hz, of_test : ndarray, shape (M,)
        The same for the test.
    limit : float
        Band drawn around zero.
    name : str
        Unique on the page.
    """
    with style():
        figure, axes = new_figure(6.0, 4.2)
        figure.delaxes(axes)
        upper, lower = figure.subplots(2, 1, sharex=True)
        for drawn, f, of, title in ((upper, frequency_hz, of_fit, "circuit"),
                                    (lower, test_frequency_hz, of_test, "Kramers-Kronig")):  # fmt: skip
            drawn.axhspan(-limit, limit, color=MUTED, alpha=0.12, linewidth=0)
            drawn.axhline(0, color=MUTED, linewidth=0.8)
            drawn.plot(f, of.real, "o-", color=BLUE, markersize=3, linewidth=0.8, label="real")
            drawn.plot(f, of.imag, "s-", color=ORANGE, markersize=3, linewidth=0.8, label="imaginary")
            drawn.set(ylabel=title)
            drawn.yaxis.set_major_formatter(PercentFormatter(1))
        upper.set(xscale="log")
        _plain_decades(lower.xaxis)
        lower.set(xlabel="frequency (Hz)")
        upper.legend(fontsize=9, ncols=2)
        return to_svg(figure, name, "Residuals over |Z| of the fitted circuit and of the Kramers-Kronig test.")


def _plain_decades(axis: Axis, steps: tuple[float, ...] = (1.0,)) -> None:
    """Write a logarithmic axis's numbers without powers, which the page's text cannot set."""
    axis.set_major_locator(LogLocator(subs=steps, numticks=9))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _lag(z: Complex) -> Array:
    return np.asarray(-np.rad2deg(np.angle(z)))
