"""Charts of a box detector's evaluation: precision and recall, false alarms, scores by class, what mistakes cost.

Mappings as `sorby.evidence.detection_metrics.DetectionScores.as_dict` and
`sorby.evidence.detection_errors.DetectionErrors.as_dict` give them go in, an SVG element comes out; see
`sorby.report.drawing`. Boxes on images are drawn by `sorby.report.detection_pictures`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sorby.report.drawing import BLUE, GREEN, INK, MUTED, ORANGE, new_figure, short, style, to_svg

_WIDTH_IN = 6.4
_LINES = [(colour, line) for line in ("-", "--", ":") for colour in (BLUE, ORANGE, GREEN, MUTED)]
_SHORT_DASH = (0, (4, 3))
#: Kinds of mistakes in the order of the page, with what mending each means.
MISTAKES = {
    "missed": "missed: no finding points at it",
    "misnamed": "class confusion: right place, wrong name",
    "misplaced": "localisation: right name, box too far off",
    "both": "wrong name and box too far off",
    "duplicate": "duplicate: the same defect again",
    "background": "false alarm: nothing is there",
}


def precision_recall(curves: Mapping[str, Mapping[str, Sequence[float]]], ap50: Mapping[str, float | None]) -> str:
    """Draw precision against recall of each class at an overlap of one half.

    Parameters
    ----------
    curves : mapping of str to mapping
        Class to ``precision`` and ``recall``.
    ap50 : mapping of str to float or None
        The area under each; None for a class without a box, which is left out.
    """
    known = [name for name in curves if ap50.get(name) is not None]
    with style():
        figure, axes = new_figure(_WIDTH_IN, 3.9)
        for k, name in enumerate(known):
            colour, line = _LINES[k % len(_LINES)]
            recall, precision = (_numbers(curves[name][key]) for key in ("recall", "precision"))
            label = f"{short(name, 20)}: AP50 {ap50[name]:.1%}"
            if recall.size:
                axes.plot(
                    np.r_[0.0, recall], np.r_[precision[0], precision], line, color=colour, linewidth=1.6, label=label
                )
            else:
                axes.plot([], [], line, color=colour, label=f"{label}, nothing found")
        axes.set(xlabel="recall: share of boxes found", ylabel="precision: share of findings right")
        _unit_square(axes)
        if known:
            figure.legend(loc="outside right upper", fontsize=8)
        said = ", ".join(f"{name} {ap50[name]:.1%}" for name in known) or "no class has a box"
        return to_svg(figure, "precision-recall", f"Precision against recall at an overlap of one half. AP50: {said}.")


def free_response(
    curve: Mapping[str, Sequence[float]], point: Mapping[str, Any] | None, n_images: int, name: str = "froc"
) -> str:
    """Draw recall against false alarms for each image, with the score in use.

    Parameters
    ----------
    curve : mapping
        ``false_per_image``, ``recall``, ``score``.
    point : mapping or None
        An operating point: ``score``, ``recall``, ``false_per_image``.
    n_images : int
        Behind the curve.
    name : str
        Unique on the page.
    """
    false, recall = _numbers(curve["false_per_image"]), _numbers(curve["recall"])
    least = 1.0 / max(1, n_images)
    with style():
        figure, axes = new_figure(_WIDTH_IN, 3.4)
        # Without a single false alarm there is no place on a logarithmic axis; these stand at half of one.
        axes.plot(np.maximum(false, least / 2), recall, drawstyle="steps-post", color=BLUE, linewidth=1.6)
        if point is not None and point["recall"]["value"] is not None:
            x = max(point["false_per_image"]["value"], least / 2)
            axes.plot(x, point["recall"]["value"], "D", color=ORANGE, markersize=7, label=f"score {point['score']:.2f}")
            axes.legend(loc="lower right")
        axes.set(xscale="log", ylim=(-0.02, 1.02), xlabel="false alarms for each image", ylabel="share of boxes found")
        axes.set_xlim(least / 2.4, max(2.0, float(false.max(initial=0)) * 1.2))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.axvline(least, color=MUTED, linewidth=1, linestyle=_SHORT_DASH)
        axes.annotate(
            f"one in all {n_images} images", (least, 0.02), xytext=(3, 0), textcoords="offset points", fontsize=8,
            color=MUTED, rotation=90, va="bottom",
        )  # fmt: skip
        _percent(axes.yaxis)
        best = f"{float(np.nanmax(recall)):.1%}" if recall.size and not np.isnan(recall).all() else "none"
        return to_svg(figure, name, f"Recall against false alarms for each of {n_images} images; at most {best} found.")


def scores_by_class(per_class: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Draw AP, AP50 and AP75 of each class with their intervals.

    Parameters
    ----------
    per_class : mapping of str to mapping
        Class to ``ap``, ``ap50``, ``ap75``, each with ``value`` (None where undefined), ``ci95`` and ``boxes``.
    """
    kinds = (("ap50", "AP50", BLUE, "o", -0.22), ("ap75", "AP75", ORANGE, "s", 0.0), ("ap", "AP", GREEN, "D", 0.22))
    names = list(per_class)
    with style():
        figure, axes = new_figure(_WIDTH_IN, 1.1 + 0.4 * len(names))
        for kind, title, colour, marker, shift in kinds:
            for k, name in enumerate(names):
                value, ci95 = per_class[name][kind].get("value"), per_class[name][kind].get("ci95")
                if value is None:
                    continue
                if ci95 is not None:
                    axes.plot(ci95, [k + shift] * 2, color=colour, linewidth=1.6, alpha=0.6, solid_capstyle="round")
                axes.plot(value, k + shift, marker, color=colour, markersize=4.5)
            axes.plot([], [], marker, color=colour, markersize=4.5, label=title)
        labels = [f"{short(name)} ({per_class[name]['ap']['boxes']})" for name in names]
        axes.set_yticks(range(len(names)), labels)
        axes.set(xlim=(-0.02, 1.02), ylim=(len(names) - 0.5, -0.5), xlabel="average precision")
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.spines.left.set_visible(False)
        _percent(axes.xaxis)
        figure.legend(loc="outside upper center", ncols=3)
        return to_svg(figure, "by-class", f"AP, AP50 and AP75 of {len(names)} classes with 95 % intervals.")


def mistakes(gained: Mapping[str, float | None], findings: Mapping[str, int], truth: Mapping[str, int]) -> str:
    """Draw what each kind of mistake costs, and how often it is made at the score in use.

    Parameters
    ----------
    gained : mapping of str to float or None
        What AP50 gains when the kind is mended.
    findings, truth : mapping of str to int
        Findings by kind, and true boxes by what became of them.

    References
    ----------
    D. Bolya et al., ECCV (2020), figure 2.
    """
    names = list(MISTAKES)
    points = [100 * (gained.get(name) or 0.0) for name in names]
    counts = [truth["missed"] if name == "missed" else findings[name] for name in names]
    with style():
        figure, axes = new_figure(_WIDTH_IN, 2.9)
        bars = axes.barh(range(len(names)), points, color=[ORANGE, *[BLUE] * (len(names) - 1)], alpha=0.6, height=0.62)
        labels = [f"{value:.1f} points; {n} at this score" for value, n in zip(points, counts, strict=True)]
        axes.bar_label(bars, labels, fontsize=8, padding=3)
        axes.set_yticks(range(len(names)), [MISTAKES[name] for name in names])
        axes.set(ylim=(len(names) - 0.5, -0.5), xlim=(0, 2.1 * max(1.0, *points)))
        axes.set_xlabel("points of AP50 gained if it were mended")
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        said = ", ".join(f"{name} {value:.1f}" for name, value in zip(names, points, strict=True))
        return to_svg(figure, "mistakes", f"Points of AP50 gained by mending each kind of mistake: {said}.")


def score_cost(rows: Sequence[Mapping[str, Any]], in_use: float | None) -> str:
    """Draw boxes found, findings right and false alarms as the score rises.

    Parameters
    ----------
    rows : sequence of mapping
        ``score``, ``recall``, ``precision``, ``false_per_image``.
    in_use : float or None
        The score at which findings are reported.
    """
    at = _numbers([row["score"] for row in rows])
    with style():
        figure, axes = new_figure(_WIDTH_IN, 4.0)
        figure.delaxes(axes)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
        for key, label, colour, marker in (
            ("recall", "boxes found", BLUE, "o-"), ("precision", "findings right", ORANGE, "s--"),
        ):  # fmt: skip
            upper.plot(at, _numbers([row[key] for row in rows]), marker, color=colour, markersize=4, label=label)
        lower.plot(at, _numbers([row["false_per_image"] for row in rows]), "D-", color=INK, markersize=3.5)
        for each in (upper, lower):
            if in_use is not None:
                each.axvline(in_use, color=MUTED, linewidth=1.2, linestyle=_SHORT_DASH, label=f"in use: {in_use:.2f}")
        upper.set(ylim=(-0.02, 1.02), ylabel="share")
        upper.legend(fontsize=8)
        lower.set(xlabel="score from which findings are reported", ylabel="false alarms\nfor each image")
        lower.set_ylim(bottom=0)
        _percent(upper.yaxis)
        return to_svg(figure, "score-cost", "Share of boxes found, share of findings right, and false alarms by score.")


def losses(history: Sequence[Mapping[str, float]], name: str = "losses") -> str:
    """Draw the losses of a training over its steps.

    Parameters
    ----------
    history : sequence of mapping
        ``step``, and losses by name: ``total``, ``class``, ``box``, ``objectness``, ``proposal`` where there are such.
    name : str
        Unique on the page.
    """
    titles = {"total": "total", "class": "class", "box": "box", "objectness": "objectness", "proposal": "proposal box"}
    steps = _numbers([row["step"] for row in history])
    with style():
        figure, axes = new_figure(_WIDTH_IN, 3.0)
        for k, (key, title) in enumerate((key, title) for key, title in titles.items() if key in history[0]):
            colour, line = _LINES[k % len(_LINES)]
            axes.plot(steps, _numbers([row.get(key) for row in history]), line, color=colour, label=title)
        axes.set(xlabel="step", ylabel="loss")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=8)
        return to_svg(figure, name, f"Losses over {int(steps[-1])} steps.")


def _unit_square(axes: Axes) -> None:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.02, 1.03))
    _percent(axes.xaxis, axes.yaxis)


def _percent(*axis: Any) -> None:
    for each in axis:
        each.set_major_formatter(PercentFormatter(1, decimals=0))


def _numbers(values: Sequence[float | None]) -> npt.NDArray[np.float64]:
    """Return numbers with NaN for what is not defined."""
    return np.array([np.nan if value is None else value for value in values], np.float64)
