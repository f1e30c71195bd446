"""Figures of a cross-validation: what folds agree on and how far they spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sorby.report.drawing import BLUE, GREEN, GRID, MUTED, ORANGE, new_figure, short, style, to_svg
from sorby.report.wording import is_number

_SERIES = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "D"))


def share_confusion(shares: npt.ArrayLike, classes: Sequence[str], name: str) -> str:
    """Draw a confusion matrix of row shares: rows truth, columns verdict.

    Parameters
    ----------
    shares : array_like, shape (C, C)
        Each row sums to one; NaN where nothing is known.
    classes : sequence of str
    name : str
        Unique on the page.

    Returns
    -------
    str
        SVG.
    """
    cells, n = np.asarray(shares, np.float64), len(classes)
    with style():
        figure, axes = new_figure(2.3 + 0.8 * n, 1.5 + 0.8 * n)
        for i in range(n):
            for j in range(n):
                value = cells[i, j]
                strength = 0.06 + 0.5 * value if value > 0 else 0.0
                colour = BLUE if i == j else ORANGE
                axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=colour, alpha=strength, edgecolor="none"))
                text = "?" if np.isnan(value) else f"{100 * value:.1f} %"
                axes.text(j, i, text, ha="center", va="center", fontsize=10, color=MUTED if not value > 0 else None)
        for k in range(n + 1):
            axes.axhline(k - 0.5, color=GRID, linewidth=0.6)
            axes.axvline(k - 0.5, color=GRID, linewidth=0.6)
        names = [short(each, 18) for each in classes]
        axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="equal", xlabel="verdict", ylabel="truth")
        axes.set_xticks(range(n), names, rotation=40, ha="right")
        axes.set_yticks(range(n), names)
        axes.tick_params(length=0, labelsize=9)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        return to_svg(figure, name, f"Confusion matrix of {n} classes in shares of the truth, rows truth.")


def spread_over_folds(
    levels: Sequence[str], series: Mapping[str, Sequence[Mapping[str, Any]]], name: str, axes_names: tuple[str, str]
) -> str:
    """Draw mean and standard deviation over folds against ordered levels.

    Parameters
    ----------
    levels : sequence of str, length M
    series : mapping
        Series name to M entries ``value`` and ``sd``, None where there is none.
    name : str
        Unique on the page.
    axes_names : (str, str)
    """
    with style():
        figure, axes = new_figure(6.8, 3.4)
        for k, (title, entries) in enumerate(series.items()):
            colour, marker = _SERIES[k % len(_SERIES)]
            x = np.arange(len(levels)) + (k - (len(series) - 1) / 2) * 0.16
            values = np.array([_known(entry.get("value")) for entry in entries])
            spread = np.array([_known(entry.get("sd")) for entry in entries])
            axes.errorbar(x, values, yerr=np.nan_to_num(spread), fmt=marker, color=colour, markersize=5, capsize=3,
                          linewidth=1.2, label=title)  # fmt: skip
        axes.set_xticks(range(len(levels)), levels)
        axes.set(xlabel=axes_names[0], ylabel=axes_names[1])
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.margins(y=0.12)
        figure.legend(loc="outside upper center", ncols=len(series))
        return to_svg(figure, name, f"{axes_names[1]} at {len(levels)} levels, mean and standard deviation over folds.")


def learning_over_folds(histories: Sequence[Sequence[Mapping[str, float | None]]], name: str) -> str:
    """Draw losses and validation macro-F1 over the epochs, mean and standard deviation over folds.

    Parameters
    ----------
    histories : sequence of sequence of mapping
        Of each fold: ``train_loss``, ``val_loss``, ``val_macro_f1`` an epoch; folds may stop early.
    name : str
        Unique on the page.
    """
    longest = max(len(history) for history in histories)
    with style():
        figure, axes = new_figure(6.8, 4.4)
        figure.delaxes(axes)
        upper, lower = figure.subplots(2, 1, sharex=True)
        for drawn, key, colour, title in (
            (upper, "train_loss", BLUE, "training loss"),
            (upper, "val_loss", ORANGE, "validation loss"),
            (lower, "val_macro_f1", GREEN, "validation macro-F1"),
        ):
            values = np.full((len(histories), longest), np.nan)
            for k, history in enumerate(histories):
                values[k, : len(history)] = [_known(entry.get(key)) for entry in history]
            there = ~np.isnan(values).all(axis=0)
            epochs = np.arange(1, longest + 1)[there]
            mean, spread = np.nanmean(values[:, there], axis=0), np.nanstd(values[:, there], axis=0)
            drawn.plot(epochs, mean, color=colour, label=title)
            drawn.fill_between(epochs, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
            drawn.legend(fontsize=8)
        upper.set(ylabel="loss")
        upper.set_ylim(bottom=0)
        lower.set(xlabel="epoch")
        lower.xaxis.set_major_locator(MaxNLocator(integer=True))
        lower.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        return to_svg(figure, name, f"Learning curves of {len(histories)} folds over {longest} epochs.")


def _known(value: Any) -> float:
    return float(value) if is_number(value) else float("nan")
