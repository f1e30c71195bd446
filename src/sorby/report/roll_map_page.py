"""The roll map as one HTML file: where the web has defects, what they look like, and what nobody looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from sorby._version import __version__
from sorby.line.alarms import MEANINGS
from sorby.report.drawing import BLUE, GREEN, GRID, INK, MUTED, ORANGE, new_figure, style, to_svg
from sorby.report.page import drawing, render
from sorby.report.thumbnails import Picture, embed, shrink
from sorby.report.wording import count

_POINTS, _ROWS, _SHOTS, _ALARMS = 4000, 200, 36, 100
_BANDS, _BAND_MM = 10, 500.0
_SHOT_PX = 220
_LONG_SHARE = 0.02  # of a band's length: longer defects are drawn as lines
_THIN = 3.0
_COLOURS, _MARKERS = (BLUE, ORANGE, GREEN, INK), ("o", "s", "^", "D", "v", "P", "X")


@dataclass(frozen=True, eq=False)
class RollFacts:
    """Everything the page says.

    Attributes
    ----------
    result : mapping
        What ``line run`` returns.
    defects : DataFrame
        Columns of ``roll_map.csv``; may be empty.
    alarms, repeats : sequence of mapping
    overlay : DataFrame or None
        Columns ``along_mm``, ``across_mm``, ``value`` of another sensor.
    folder : Path
        Where the pictures of defects lie.
    """

    result: Mapping[str, Any]
    defects: pd.DataFrame
    alarms: Sequence[Mapping[str, Any]]
    repeats: Sequence[Mapping[str, Any]]
    overlay: pd.DataFrame | None
    folder: Path


@dataclass(frozen=True)
class Shot:
    """A defect with its picture."""

    picture: Picture
    defect: Mapping[str, Any]


def roll_map_page(facts: RollFacts) -> str:
    """Return the page of a roll.

    Parameters
    ----------
    facts : RollFacts

    Returns
    -------
    str
        HTML without any outside reference; it prints on paper.
    """
    ranked = facts.defects.sort_values("score", ascending=False) if len(facts.defects) else facts.defects
    return render(
        "roll_map.html",
        title="Roll map",
        sorby_version=__version__,
        result=facts.result,
        sentences=_sentences(facts),
        map_svg=drawing(roll_map(facts)),
        density_svg=drawing(density(facts)) if len(facts.defects) else None,
        drawn=min(_POINTS, len(facts.defects)),
        rows=ranked.head(_ROWS).to_dict("records"),
        shots=_shots(ranked, facts.folder),
        alarms=[{**alarm, "meaning": MEANINGS.get(alarm["kind"], "")} for alarm in facts.alarms[:_ALARMS]],
        n_alarms=len(facts.alarms),
        repeats=facts.repeats,
        overlay=facts.overlay is not None,
        classes=list(facts.result.get("defects_by_class", ())),
    )


def _sentences(facts: RollFacts) -> list[str]:
    result = facts.result
    inspected = f"{result['inspected_m']:.2f} m of {result['metres']:.2f} m of web were looked at"
    if result["inspected_m"] < result["metres"] - 0.005:
        inspected += "; of the rest nothing is known (grey on the map)"
    lines = [inspected + "."]
    lines.append(
        f"{count(result['defects'], 'defect')} found, {result['severe']} of them severe."
        if result["defects"]
        else "No defect was found."
    )
    if by_class := result.get("defects_by_class"):
        lines.append(f"By class: {', '.join(f'{number} {name}' for name, number in by_class.items())}.")
    lines += [
        f"Every {repeat['period_mm']:.2f} mm the same mark: a roller of {repeat['diameter_mm']:.2f} mm diameter "
        f"({repeat['count']} of {repeat['slots']} turns, {repeat['across_mm']:.0f} mm from the left edge)."
        for repeat in facts.repeats
    ]
    return lines


def roll_map(facts: RollFacts) -> str:
    """Draw the web with its defects, in bands one below the other as lines of a text.

    Parameters
    ----------
    facts : RollFacts

    Returns
    -------
    str
        SVG.
    """
    result = facts.result
    length, width = max(result["metres"] * 1000, 1.0), max(result["width_mm"], 1.0)
    bands = min(_BANDS, max(1, math.ceil(length / _BAND_MM)))
    each = length / bands
    shown = facts.defects.nlargest(_POINTS, "score") if len(facts.defects) else facts.defects
    with style():
        figure = Figure(figsize=(9.4, 0.5 + bands * 1.25), layout="constrained")
        FigureCanvasSVG(figure)
        every = figure.subplots(bands, 1, squeeze=False)[:, 0]
        for number, axes in enumerate(every):
            low, high = number * each, (number + 1) * each
            _band(axes, facts, shown, (low, high), width)
        every[-1].set_xlabel("along the web, mm")
        if classes := list(result.get("defects_by_class", ())):
            marks = [Line2D([], [], linestyle="", color=_COLOURS[k % len(_COLOURS)], marker=_MARKERS[k % len(_MARKERS)],
                            markersize=5) for k in range(len(classes))]  # fmt: skip
            figure.legend(marks, classes, loc="outside lower center", ncols=6, fontsize=8)
        every[0].set_title("across the web, mm", loc="left", fontsize=9, color=MUTED)
        description = f"Map of {result['metres']:.2f} m of web, {width:.0f} mm wide, with {len(facts.defects)} defects"
        return to_svg(figure, "roll-map", description)


def _band(axes: Axes, facts: RollFacts, shown: pd.DataFrame, span: tuple[float, float], width: float) -> None:
    axes.set_xlim(*span)
    axes.set_ylim(width, 0)
    axes.locator_params(axis="y", nbins=3)
    for gap in facts.result["gaps"]:
        start = gap["along_mm"]
        extent = gap["length_mm"]
        if extent is None:
            axes.axvline(start, color=MUTED, linestyle=":", linewidth=1.2)
        elif start < span[1] and start + extent > span[0]:
            axes.axvspan(
                max(start, span[0]),
                min(start + extent, span[1]),
                facecolor=GRID,
                edgecolor=MUTED,
                hatch="///",
                linewidth=0,
            )
    if facts.overlay is not None:
        inside = facts.overlay[facts.overlay.along_mm.between(*span)]
        size = facts.overlay.value - facts.overlay.value.min()
        size = 4 + 60 * size / max(float(size.max()), 1e-12)
        axes.scatter(inside.along_mm, inside.across_mm, s=size[inside.index], marker="D", facecolors="none",
                     edgecolors=GREEN, linewidths=0.8)  # fmt: skip
    if not len(shown):
        return
    # Long thin ones are lines, in every band they reach into; the rest are dots.
    is_line = (shown.length_mm > _LONG_SHARE * (span[1] - span[0])) & (shown.length_mm > _THIN * shown.width_mm)
    lines = shown[is_line & (shown.along_from_mm < span[1]) & (shown.along_to_mm > span[0])]
    here = shown[(shown.along_mm >= span[0]) & (shown.along_mm < span[1])]
    dots = here[~is_line[here.index]]
    for chosen, colour, marker in _kinds(facts, shown):
        ends = _axes_of(lines[chosen[lines.index]])
        axes.add_collection(LineCollection(ends, colors=colour, linewidths=2, alpha=0.75))
        part = dots[chosen[dots.index]]
        size = np.clip(4 + 6 * part.length_mm.to_numpy(), 5, 90)
        axes.scatter(part.along_mm, part.across_mm, s=size, color=colour, marker=marker, alpha=0.75, linewidths=0)
    if facts.result.get("defects_by_class"):
        worst = here[here.severe]
        axes.scatter(worst.along_mm, worst.across_mm, s=110, facecolors="none", edgecolors=INK, linewidths=1.0,
                     linestyles="--")  # fmt: skip
    recurring = here[here.repeat > 0]
    axes.scatter(recurring.along_mm, recurring.across_mm, s=70, facecolors="none", edgecolors=INK, linewidths=1.0)


def _kinds(facts: RollFacts, shown: pd.DataFrame) -> list[tuple[pd.Series, str, str]]:
    """Return which defects are drawn alike, with colour and marker: by class where there are any, else by severity."""
    classes = list(facts.result.get("defects_by_class", ()))
    if not classes:
        return [(shown.severe == severe, colour, "o") for severe, colour in ((False, BLUE), (True, ORANGE))]
    return [(shown.label == name, _COLOURS[k % len(_COLOURS)], _MARKERS[k % len(_MARKERS)])
            for k, name in enumerate(classes)]  # fmt: skip


def _axes_of(defects: pd.DataFrame) -> list[list[tuple[float, float]]]:
    """Return the long axis of each defect as two points, (along, across)."""
    angle = np.radians(defects.orientation_deg.to_numpy(dtype=float))
    half = defects.length_mm.to_numpy(dtype=float) / 2
    x, y = defects.along_mm.to_numpy(dtype=float), defects.across_mm.to_numpy(dtype=float)
    dx, dy = half * np.cos(angle), half * np.sin(angle)
    ends = np.stack([np.stack([x - dx, y - dy], axis=1), np.stack([x + dx, y + dy], axis=1)], axis=1)
    return [[(float(a), float(b)) for a, b in pair] for pair in ends]


def density(facts: RollFacts) -> str:
    """Draw how many defects lie in each stretch of web; return SVG."""
    length = max(facts.result["metres"], 1e-3)
    bins = int(np.clip(math.ceil(length), 1, 120)) if length > 5 else 20
    counts, edges = np.histogram(facts.defects.along_mm / 1000, bins=bins, range=(0, length))
    with style():
        figure, axes = new_figure(9.4, 2.0)
        axes.bar(edges[:-1], counts, width=np.diff(edges) * 0.92, align="edge", color=BLUE)
        axes.set_xlabel("along the web, m")
        axes.set_ylabel(f"defects in {length / bins:.2g} m")
        axes.set_xlim(0, length)
        return to_svg(figure, "roll-density", f"Defects in each {length / bins:.2g} m of web, at most {counts.max()}")


def _shots(ranked: pd.DataFrame, folder: Path) -> list[Shot]:
    """Return the pictures of the highest scores, as far as they were kept."""
    shots: list[Shot] = []
    if not len(ranked):
        return shots
    for defect in ranked[ranked.crop != ""].head(_SHOTS).to_dict("records"):
        file = folder / str(defect["crop"])
        if not file.is_file():
            continue
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("L"))
        alt = f"Defect {defect['number']}, {defect['length_mm']:.2f} x {defect['width_mm']:.2f} mm"
        shots.append(Shot(embed(shrink(pixels, _SHOT_PX), alt), {str(key): value for key, value in defect.items()}))
    return shots
