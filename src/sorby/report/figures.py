"""The figures of an evaluation: arrays in, an SVG element out.

Every function returns the markup of one figure whose text is text and whose colours are the page's; see
`sorby.report.drawing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sorby.evidence import column_percent, row_percent
from sorby.report.drawing import BLUE, GREEN, GRID, INK, MUTED, ORANGE, PAPER, new_figure, short, style, to_svg

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float] | None

_CROWDED = 9  # above this many classes a cell of the confusion matrix has no room for percentages
_MOST_POINTS = 300  # of a curve; more cannot be told apart at the printed size
_WIDTH_IN = 6.4


def confusion(counts: npt.ArrayLike, classes: Sequence[str], unit: str = "images") -> str:
    """Draw a confusion matrix: counts, with the share of the row (truth) and of the column (verdict).

    Parameters
    ----------
    counts : array_like of int, shape (C, C)
        Rows are the true classes, columns the verdicts.
    classes : sequence of str
    unit : str
        What is counted, in the plural.
    """
    cm = np.asarray(counts, dtype=np.int64)
    n = len(classes)
    rows, columns = np.nan_to_num(row_percent(cm)) / 100, np.nan_to_num(column_percent(cm)) / 100
    crowded = n > _CROWDED
    side = 0.34 if n > 16 else 0.48 if crowded else 0.74
    names = [short(name, 14 if crowded else 18) for name in classes]
    with style():
        figure, axes = new_figure(2.3 + side * n, 1.5 + side * n)
        size = 6.5 if n > 16 else 8 if crowded else 11
        for i in range(n):
            for j in range(n):
                colour = BLUE if i == j else ORANGE
                strength = 0.06 + 0.5 * rows[i, j] if cm[i, j] else 0.0
                axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=colour, alpha=strength, edgecolor="none"))
                if not cm[i, j]:
                    axes.text(j, i, "·", ha="center", va="center", color=MUTED, fontsize=size)
                elif crowded:
                    axes.text(j, i, str(cm[i, j]), ha="center", va="center", fontsize=size)
                else:
                    axes.text(j, i - 0.16, str(cm[i, j]), ha="center", va="center", fontsize=size, fontweight="bold")
                    shares = f"{_whole(rows[i, j])}→ {_whole(columns[i, j])}↓"
                    axes.text(j, i + 0.22, shares, ha="center", va="center", fontsize=7.5, color=INK)
        for k in range(n + 1):
            axes.axhline(k - 0.5, color=GRID, linewidth=0.6)
            axes.axvline(k - 0.5, color=GRID, linewidth=0.6)
        axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="equal")
        level = max(map(len, names)) <= (3 if crowded else 8)
        axes.set_xticks(range(n), names, rotation=0 if level else 40, ha="center" if level else "right")
        axes.set_yticks(range(n), [f"{name} ({total})" for name, total in zip(names, cm.sum(axis=1), strict=True)])
        axes.tick_params(length=0, labelsize=8 if crowded else 9)
        axes.set(xlabel="verdict", ylabel=f"truth ({unit})")
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        right = int(np.trace(cm))
        return to_svg(
            figure,
            "confusion",
            f"Confusion matrix of {n} classes, rows truth, columns verdict: {right} of {cm.sum()} on the diagonal.",
        )


def _whole(share: float) -> str:
    """Return a share as a whole per cent that never rounds an imperfect one to 0 or 100."""
    percent = 100 * share
    if 0 < percent < 1:
        return "<1%"
    if 99 < percent < 100:
        return ">99%"
    return f"{percent:.0f}%"


def reliability(curve: Mapping[str, Sequence[float]], n: int) -> str:
    """Draw share right against stated confidence with Wilson intervals, and how many images stand behind each bin.

    Parameters
    ----------
    curve : mapping
        ``low``, ``high``, ``confidence``, ``accuracy``, ``count``, ``ci95_low``, ``ci95_high``, each of length B.
    n : int
        Images in all.
    """
    c = {name: np.asarray(values, dtype=np.float64) for name, values in curve.items()}
    with style():
        figure, axes = new_figure(_WIDTH_IN, 4.6)
        figure.delaxes(axes)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        start = max(0.0, float(np.floor(10 * c["low"].min()) / 10)) if len(c["low"]) else 0.0
        upper.plot([start, 1], [start, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="as stated")
        bounds = np.abs(np.stack([c["accuracy"] - c["ci95_low"], c["ci95_high"] - c["accuracy"]]))
        upper.errorbar(
            c["confidence"], c["accuracy"], yerr=bounds, fmt="o", color=BLUE, markersize=5, capsize=2,
            linewidth=1.2, label="measured, 95 % interval",
        )  # fmt: skip
        upper.set(ylabel="share right", ylim=(-0.03, 1.03), xlim=(start - 0.01, 1.01))
        upper.legend(loc="upper left")
        bars = lower.bar(c["low"], c["count"], width=c["high"] - c["low"], align="edge", color=BLUE, alpha=0.45)
        lower.bar_label(bars, labels=[f"{count:.0f}" for count in c["count"]], fontsize=7, padding=1)
        lower.set(xlabel="stated confidence", ylabel="images")
        lower.margins(y=0.3)
        lower.yaxis.set_major_locator(MaxNLocator(2, integer=True))
        _percent(upper.yaxis, lower.xaxis)
        return to_svg(
            figure, "reliability", f"Reliability diagram of {n} images in {len(c['count'])} bins of stated confidence."
        )


def risk_coverage(curve: Mapping[str, Any]) -> str:
    """Draw the error rate among the images decided, as ever less certain ones are decided too.

    Parameters
    ----------
    curve : mapping
        ``coverage``, ``risk``, ``ci95_low``, ``ci95_high``, each of length T, and ``n``.
    """
    c = {name: np.asarray(curve[name], dtype=np.float64) for name in ("coverage", "risk", "ci95_low", "ci95_high")}
    total = len(c["coverage"])
    keep = np.unique(np.linspace(0, total - 1, min(total, _MOST_POINTS)).round().astype(int))
    c = {name: values[keep] for name, values in c.items()}
    with style():
        figure, axes = new_figure(_WIDTH_IN, 3.4)
        # At low coverage a handful of images leave the risk open; the band would hide everything else.
        band = min(1.0, max(0.02, 1.35 * float(c["ci95_high"][c["coverage"] >= 0.1].max(initial=0))))
        axes.fill_between(
            c["coverage"],
            c["ci95_low"],
            c["ci95_high"],
            step="post",
            color=BLUE,
            alpha=0.2,
            linewidth=0,
            label="95 % interval",
        )
        axes.plot(
            c["coverage"], c["risk"], color=BLUE, linewidth=1.6, drawstyle="steps-post", label="errors among them"
        )
        axes.set(xlabel="share of images decided, surest first", ylabel="share wrong", xlim=(0, 1.005), ylim=(0, band))
        axes.legend(loc="upper left")
        _percent(axes.xaxis)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0 if band > 0.12 else 1))
        end = float(c["risk"][-1]) if total else float("nan")
        return to_svg(
            figure, "risk", f"Risk-coverage curve of {curve['n']} images; deciding all of them, {end:.1%} are wrong."
        )


def per_class(estimates: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Draw precision, recall and F1 of each class with their intervals.

    Parameters
    ----------
    estimates : mapping
        Class to ``precision``, ``recall``, ``f1``, each with ``value`` (None where undefined) and ``ci95``.
    """
    kinds = (("recall", BLUE, "o", -0.22), ("precision", ORANGE, "s", 0.0), ("f1", GREEN, "D", 0.22))
    names = list(estimates)
    with style():
        figure, axes = new_figure(_WIDTH_IN, 1.1 + 0.36 * len(names))
        low = 1.0
        for kind, colour, marker, shift in kinds:
            for k, name in enumerate(names):
                value, ci95 = estimates[name][kind].get("value"), estimates[name][kind].get("ci95")
                if value is None:
                    continue
                if ci95 is not None:
                    axes.plot(ci95, [k + shift] * 2, color=colour, linewidth=1.6, alpha=0.6, solid_capstyle="round")
                low = min(low, value, ci95[0] if ci95 else value)
                axes.plot(value, k + shift, marker, color=colour, markersize=4.5)
            axes.plot([], [], marker, color=colour, markersize=4.5, label={"f1": "F1"}.get(kind, kind))
        axes.set_yticks(range(len(names)), [short(name) for name in names])
        axes.set(xlim=(max(-0.02, np.floor(10 * low - 0.5) / 10), 1.02), ylim=(len(names) - 0.5, -0.5))
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.spines.left.set_visible(False)
        _percent(axes.xaxis)
        figure.legend(loc="outside upper center", ncols=3)
        return to_svg(figure, "per-class", f"Recall, precision and F1 of {len(names)} classes with 95 % intervals.")


def class_counts(counts: Mapping[str, Sequence[int]], classes: Sequence[str]) -> str:
    """Draw how many images of each class stand in each part.

    Parameters
    ----------
    counts : mapping
        Part to its number of images for each class, shape (C,).
    classes : sequence of str
    """
    parts = list(counts)
    strength = np.linspace(0.85, 0.3, max(len(parts), 2))
    with style():
        figure, axes = new_figure(_WIDTH_IN, 1.0 + 0.3 * len(classes))
        left = np.zeros(len(classes))
        for k, part in enumerate(parts):
            here = np.asarray(counts[part], dtype=np.float64)
            colour, alpha = (ORANGE, 0.85) if part == "test" else (BLUE, float(strength[k]))
            axes.barh(
                range(len(classes)), here, left=left, color=colour, alpha=alpha, height=0.7, label=part,
                edgecolor=PAPER, linewidth=0.8,
            )  # fmt: skip
            left += here
        for k, total in enumerate(left):
            axes.text(total, k, f" {total:.0f}", va="center", fontsize=8)
        axes.set_yticks(range(len(classes)), [short(name) for name in classes])
        axes.set(ylim=(len(classes) - 0.5, -0.5), xlim=(0, 1.1 * max(1.0, left.max())), xlabel="images")
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        figure.legend(loc="outside upper center", ncols=min(5, len(parts)))
        return to_svg(figure, "class-counts", f"Images of {len(classes)} classes in the parts {', '.join(parts)}.")


def novelty(p_values: npt.ArrayLike, rate: float) -> str:
    """Draw the distribution of the novelty p-values; ordinary images spread evenly over 0 to 1.

    Parameters
    ----------
    p_values : array_like, shape (N,)
    rate : float
        Images below it are referred as novel.
    """
    p = np.asarray(p_values, dtype=np.float64)
    p = p[np.isfinite(p)]
    bins = 20
    with style():
        figure, axes = new_figure(_WIDTH_IN, 3.0)
        counts, _, _ = axes.hist(
            p, bins=bins, range=(0, 1), color=BLUE, alpha=0.5, edgecolor=PAPER, linewidth=0.8, label="test images"
        )
        axes.axhline(len(p) / bins, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="if evenly spread")
        axes.axvline(rate, color=ORANGE, linewidth=1.6, label=f"referred below {rate:g}")
        top = float(np.max(counts, initial=1.0))
        axes.set(xlabel="novelty p-value (small: unlike what was taught)", ylabel="images", xlim=(-0.01, 1))
        axes.set_ylim(0, 1.35 * max(top, len(p) / bins))
        axes.legend(loc="upper right", ncols=3, fontsize=8)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        below = int((p < rate).sum())
        return to_svg(
            figure, "novelty", f"Histogram of the novelty p-values of {len(p)} images; {below} below {rate:g}."
        )


def learning(
    history: Sequence[Mapping[str, float | None]],
    best_epoch: int,
    name: str = "learning",
    collapse: Mapping[str, Any] | None = None,
) -> str:
    """Draw loss and scores over the epochs of a fine-tuning.

    Parameters
    ----------
    history : sequence of mapping
        ``epoch``, ``train_loss``; ``val_loss``, ``val_accuracy``, ``val_macro_f1``, ``train_accuracy`` where there are
        such.
    best_epoch : int
        The one that was kept, counted from 0.
    name : str
        Unique on the page.
    collapse : mapping, optional
        ``epoch`` and ``recovered`` of a lasting fall, which is shaded.
    """
    series = {
        "train_loss": ("o-", BLUE, "training loss"),
        "val_loss": ("s-", ORANGE, "validation loss"),
        "val_accuracy": ("o-", BLUE, "validation accuracy"),
        "val_macro_f1": ("s-", GREEN, "validation macro-F1"),
        "train_accuracy": (".-", MUTED, "training accuracy"),
    }
    values = {
        key: np.array([np.nan if row.get(key) is None else float(row[key] or 0.0) for row in history])
        for key in ("epoch", *series)
    }
    known = {key: line for key, line in series.items() if not np.isnan(values[key]).all()}
    epochs, end = values["epoch"] + 1, len(history) + 0.5
    with style():
        figure, axes = new_figure(_WIDTH_IN, 4.4)
        figure.delaxes(axes)
        with_scores = any(not key.endswith("loss") for key in known)
        panels = list(np.atleast_1d(figure.subplots(1 + with_scores, 1, sharex=True)))
        upper, lower = panels[0], panels[-1]
        for key, (form, colour, title) in known.items():
            drawn = upper if key.endswith("loss") else lower
            drawn.plot(epochs, values[key], form, color=colour, markersize=3, label=title)
        for each in panels:
            if collapse is not None:
                back = end if collapse["recovered"] is None else float(collapse["recovered"]) + 0.5
                each.axvspan(float(collapse["epoch"]) + 0.5, back, color=ORANGE, alpha=0.12, label="collapse")
            each.axvline(best_epoch + 1, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="kept")
            each.legend(fontsize=8)
        upper.set(ylabel="loss")
        upper.set_ylim(bottom=0)
        lower.set(xlabel="epoch")
        lower.xaxis.set_major_locator(MaxNLocator(integer=True))
        if with_scores:
            _percent(lower.yaxis)
        fell = "" if collapse is None else f" The accuracy fell at epoch {int(collapse['epoch']) + 1}."
        said = f"Learning curves over {len(history)} epochs; epoch {best_epoch + 1} was kept.{fell}"
        return to_svg(figure, name, said)


def head_search(trials: Sequence[Mapping[str, Any]], chosen: float) -> str:
    """Draw inner cross-validated log loss and accuracy against the strength of regularisation.

    Parameters
    ----------
    trials : sequence of mapping
        ``c``, ``log_loss``, ``accuracy``.
    chosen : float
        The inverse regularisation strength that was used.
    """
    c = np.array([trial["c"] for trial in trials], dtype=np.float64)
    with style():
        figure, axes = new_figure(_WIDTH_IN, 2.6)
        losses = np.array([np.nan if trial["log_loss"] is None else trial["log_loss"] for trial in trials], np.float64)
        axes.plot(c, losses, "o-", color=BLUE, markersize=4)
        for x, y, trial in zip(c, losses, trials, strict=True):
            if np.isfinite(y) and trial["accuracy"] is not None:
                axes.annotate(
                    f"{trial['accuracy']:.1%} right", (x, y), xytext=(0, 6), textcoords="offset points",
                    ha="center", fontsize=8, color=MUTED,
                )  # fmt: skip
        axes.axvline(chosen, color=ORANGE, linewidth=1.2, label=f"chosen: {chosen:g}")
        axes.set(xscale="log")
        axes.set_xticks(c, [f"{value:g}" for value in c])
        axes.set_xticks([], minor=True)
        axes.set(xlabel="inverse regularisation strength C", ylabel="log loss, inner folds")
        axes.margins(x=0.12, y=0.3)
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=8)
        return to_svg(
            figure, "head-search", f"Log loss of {len(trials)} regularisation strengths; {chosen:g} was chosen."
        )


def _percent(*axis: Any) -> None:
    for each in axis:
        each.set_major_formatter(PercentFormatter(1, decimals=0))
