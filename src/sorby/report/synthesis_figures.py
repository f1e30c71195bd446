"""Figures of generated images: between floor and ceiling, the course of a teaching, textures by frequency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter, SymmetricalLogLocator

from sorby.report.drawing import BLUE, GREEN, MUTED, ORANGE, new_figure, short, style, to_svg

_WIDTH_IN = 6.8
_COLOURS = (BLUE, ORANGE, GREEN, MUTED)
_LINEAR = 0.02  # the axis is linear up to here, or as far as the floor reaches: estimates near zero may be negative

Entry = Mapping[str, Any] | None


def between(rows: Sequence[tuple[str, Entry, Entry, Entry]], name: str) -> str:
    """Draw kernel distances of generated sets between floor and ceiling.

    Parameters
    ----------
    rows : sequence of (str, floor, generated, ceiling)
        Estimates with ``value`` and ``ci95``; None is left out.
    name : str
        Unique on the page.
    """
    titles = ("halves of the real images", "generated", "untaught generator")
    with style():
        figure, axes = new_figure(_WIDTH_IN, 1.1 + 0.5 * len(rows))
        for y, (_, *entries) in enumerate(rows):
            for k, (entry, colour, marker) in enumerate(zip(entries, (GREEN, BLUE, ORANGE), "|oD", strict=True)):
                if entry is None:
                    continue
                place = y + (k - 1) * 0.18
                if entry["ci95"] is not None:
                    axes.plot(entry["ci95"], [place, place], color=colour, linewidth=2, alpha=0.6)
                axes.plot(entry["value"], place, marker, color=colour, markersize=6)
        floors = [abs(bound) for _, floor, _, _ in rows if floor and floor["ci95"] for bound in floor["ci95"]]
        linear = max([_LINEAR, *floors])
        axes.set_xscale("symlog", linthresh=linear)
        axes.xaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=linear))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.axvline(0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_yticks(range(len(rows)), [short(title, 30) for title, *_ in rows])
        axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel="kernel distance (KID) from the real images, 95 % interval")
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        for title, colour, marker in zip(titles, (GREEN, BLUE, ORANGE), "|oD", strict=True):
            axes.plot([], [], marker, color=colour, markersize=6, label=title)
        figure.legend(loc="outside upper center", ncols=3)
        return to_svg(figure, name, f"Kernel distances of {len(rows)} sets between floor and ceiling.")


def course(history: Sequence[Mapping[str, Any]], keys: Mapping[str, str], axis: str, name: str, *, shares: bool) -> str:
    """Draw how quantities changed with the steps of a teaching, a panel of lines for each class.

    Parameters
    ----------
    history : sequence of mapping
        ``label``, ``step`` and the quantities.
    keys : mapping of str to str
        Quantity to its title.
    axis : str
    name : str
    shares : bool
        Whether they are shares, drawn from 0 to 100 % with chance marked.
    """
    labels = list(dict.fromkeys(str(entry["label"]) for entry in history))
    with style():
        figure, axes = new_figure(_WIDTH_IN, 3.2)
        for k, label in enumerate(labels):
            entries = [entry for entry in history if entry["label"] == label]
            steps = [entry["step"] for entry in entries]
            for (key, title), line in zip(keys.items(), ("-", (0, (4, 2)), (0, (1, 1))), strict=False):
                values = [float(entry.get(key, np.nan)) for entry in entries]
                axes.plot(steps, values, color=_COLOURS[k % len(_COLOURS)], linestyle=line, linewidth=1.4, marker=".",
                          label=f"{short(label, 18)}: {title}")  # fmt: skip
        if shares:
            axes.axhline(0.5, color=MUTED, linewidth=1, linestyle=(0, (1, 2)))
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.set_ylim(-0.02, 1.02)
        axes.set(xlabel="steps", ylabel=axis)
        figure.legend(loc="outside upper center", ncols=2, fontsize=8)
        return to_svg(figure, name, f"{axis} over the steps of the teaching, for {', '.join(labels)}.")


def spectra(rows: Mapping[str, Mapping[str, Sequence[float]]], name: str) -> str:
    """Draw mean power over spatial frequency, real and generated.

    Parameters
    ----------
    rows : mapping of str to mapping
        Label to ``real`` and ``generated``: log10 power in equal rings up to half a cycle a pixel.
    name : str
    """
    with style():
        figure, axes = new_figure(_WIDTH_IN, 3.2)
        for k, (label, each) in enumerate(rows.items()):
            x = (np.arange(len(each["real"])) + 0.5) / len(each["real"]) * 0.5
            for key, line in (("real", "-"), ("generated", (0, (4, 2)))):
                axes.plot(x, each[key], color=_COLOURS[k % len(_COLOURS)], linestyle=line, linewidth=1.4,
                          label=f"{short(label, 20)}: {key}")  # fmt: skip
        axes.set(xlabel="cycles a pixel", ylabel="log10 of power")
        axes.legend(fontsize=8)
        return to_svg(figure, name, f"Mean power over spatial frequency of {', '.join(rows)}, real and generated.")
