"""Figures of experiments: dots with their intervals, and curves with bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import PercentFormatter

from sorby.report.drawing import BLUE, GREEN, MUTED, ORANGE, new_figure, short, style, to_svg
from sorby.report.wording import is_number

_WIDTH_IN = 6.8
_SERIES = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "D"), (MUTED, "^"))

Entry = Mapping[str, Any] | None


def dots(
    rows: Sequence[tuple[str, Mapping[str, Entry]]],
    name: str,
    axis: str,
    *,
    reference: float | None = None,
    shares: bool = True,
    points: bool = False,
    band: float | None = None,
) -> str:
    """Draw one line a row: a dot for each series with its 95 % interval.

    Parameters
    ----------
    rows : sequence of (str, mapping)
        Row name, and series name to estimate (``value``, ``ci95``).
    name : str
        Unique on the page.
    axis : str
        What the axis shows.
    reference : float, optional
        A dashed line there: zero difference, the nominal level.
    shares : bool
        Whether values are parts of one, written in per cent.
    points : bool
        Whether they are differences of shares, written in percentage points.
    band : float, optional
        Shade what lies within it of the reference: a margin that does not matter.
    """
    series = list(dict.fromkeys(key for _, entries in rows for key in entries))
    with style():
        figure, axes = new_figure(_WIDTH_IN, 1.0 + 0.34 * len(rows) * max(1.0, 0.45 * len(series)))
        for row, (_, entries) in enumerate(rows):
            for k, key in enumerate(series):
                _one_dot(axes, entries.get(key), row + _offset(k, len(series)), *_SERIES[k % len(_SERIES)])
        if reference is not None:
            axes.axvline(reference, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        if reference is not None and band is not None:
            axes.axvspan(reference - band, reference + band, color=MUTED, alpha=0.15, linewidth=0)
        axes.set_yticks(range(len(rows)), [short(title, 34) for title, _ in rows])
        axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel=axis)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.spines.left.set_visible(False)
        axes.margins(x=0.06)
        if shares or points:
            axes.xaxis.set_major_formatter(PercentFormatter(1, symbol="%" if shares else ""))
        if len(series) > 1:
            for k, key in enumerate(series):
                colour, marker = _SERIES[k % len(_SERIES)]
                axes.plot([], [], marker, color=colour, markersize=5, label=key)
            figure.legend(loc="outside upper center", ncols=min(4, len(series)))
        return to_svg(figure, name, f"{axis}: {len(rows)} rows, {', '.join(series)}, with 95 % intervals.")


def _offset(k: int, n: int) -> float:
    return 0.0 if n == 1 else (k - (n - 1) / 2) * 0.7 / n


def _one_dot(axes: Any, entry: Entry, y: float, colour: str, marker: str) -> None:
    if entry is None or not is_number(entry.get("value", entry.get("mean"))):
        return
    value = float(entry.get("value", entry.get("mean")))
    bounds = entry.get("ci95")
    if bounds is not None:
        axes.plot(bounds, [y, y], color=colour, linewidth=1.8, alpha=0.6, solid_capstyle="round")
    axes.plot(value, y, marker, color=colour, markersize=5)


def curves(
    x: Sequence[float],
    series: Mapping[str, Sequence[Entry]],
    name: str,
    axes_names: tuple[str, str],
    *,
    reference: Mapping[str, float] | None = None,
) -> str:
    """Draw estimates against a number, a band for each series.

    Parameters
    ----------
    x : sequence of float, length M
    series : mapping
        Series name to M estimates of shares; None leaves a gap.
    name : str
        Unique on the page.
    axes_names : (str, str)
        What the two axes show.
    reference : mapping, optional
        Named levels, drawn dashed.
    """
    with style():
        figure, axes = new_figure(_WIDTH_IN, 3.8)
        for k, (title, entries) in enumerate(series.items()):
            colour, marker = _SERIES[k % len(_SERIES)]
            values = np.array([np.nan if e is None else float(e["value"]) for e in entries])
            bounds = np.array([[np.nan] * 2 if e is None or e.get("ci95") is None else e["ci95"] for e in entries])
            axes.fill_between(x, bounds[:, 0], bounds[:, 1], color=colour, alpha=0.18, linewidth=0)
            axes.plot(x, values, marker=marker, color=colour, markersize=4, linewidth=1.4, label=title)
        for title, level in (reference or {}).items():
            axes.axhline(level, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
            axes.annotate(title, (float(np.max(x)), level), xytext=(0, 3), textcoords="offset points",
                          ha="right", fontsize=8, color=MUTED)  # fmt: skip
        axes.set(xlabel=axes_names[0], ylabel=axes_names[1])
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.legend(fontsize=8)
        return to_svg(figure, name, f"{axes_names[1]} against {axes_names[0]}: {', '.join(series)}.")
