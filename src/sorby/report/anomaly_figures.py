"""Charts of an anomaly evaluation: curves, histograms and the schematic of its cross-validation.

Arrays in, an SVG element out; see `sorby.report.drawing`. Pictures of single images are in
`sorby.report.anomaly_pictures`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sorby.report.drawing import BLUE, GREEN, INK, MUTED, ORANGE, PAPER, new_figure, short, style, to_svg

Floats = npt.NDArray[np.float64]
Curve = tuple[npt.ArrayLike, npt.ArrayLike]

_WIDTH_IN = 6.4
_MOST_POINTS = 300  # of a curve; more cannot be told apart at the printed size
_SERIES = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (MUTED, ":"))
_DASHED = (0, (4, 3))
_COLUMNS = 18  # of squares in a part of the schematic


def pro_curves(curves: Mapping[str, Curve], fpr_limit: float, name: str = "pro") -> str:
    """Draw mean per-region overlap against the false positive rate, with the area that counts shaded.

    Parameters
    ----------
    curves : mapping of str to (fpr, overlap)
        Corners of each curve, both rising from 0 to 1; the first one is shaded up to the limit.
    fpr_limit : float
        Where the integration ends.
    name : str
        Unique on the page.

    References
    ----------
    P. Bergmann et al., CVPR (2020).
    """
    with style():
        figure, axes = new_figure(_WIDTH_IN, 3.6)
        for k, (label, (fpr, overlap)) in enumerate(curves.items()):
            x, y = _thinned(fpr, overlap)
            colour, line = _SERIES[k % len(_SERIES)]
            axes.plot(x, y, line, color=colour, linewidth=1.6, label=short(label, 40))
            if k == 0:
                inside = np.append(x[x < fpr_limit], fpr_limit)
                axes.fill_between(inside, np.interp(inside, x, y), color=colour, alpha=0.14, linewidth=0)
        axes.axvline(fpr_limit, color=MUTED, linewidth=1, linestyle=_DASHED, label=f"limit {fpr_limit:g}")
        axes.set(xlabel="false positive rate over all good pixels", ylabel="mean overlap of defect regions")
        axes.set(xlim=(0, min(1.0, 1.6 * fpr_limit)), ylim=(0, 1.02))
        axes.legend(loc="lower right", fontsize=8)
        _percent(axes)
        return to_svg(
            figure, name, f"Per-region overlap of {len(curves)} maps up to a false positive rate {fpr_limit:g}."
        )


def roc_curves(curves: Mapping[str, Curve], name: str = "roc") -> str:
    """Draw ROC curves over images or pixels.

    Parameters
    ----------
    curves : mapping of str to (false positive rate, true positive rate)
        The label states area and unit.
    name : str
        Unique on the page.
    """
    with style():
        figure, axes = new_figure(4.6, 4.4)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=_DASHED, label="by chance")
        for k, (label, (false, true)) in enumerate(curves.items()):
            colour, line = _SERIES[k % len(_SERIES)]
            axes.plot(*_thinned(false, true), line, color=colour, linewidth=1.6, label=short(label, 40))
        axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        axes.set_aspect("equal")
        axes.legend(loc="lower right", fontsize=8)
        _percent(axes)
        return to_svg(figure, name, f"ROC curves: {', '.join(curves)}.")


def score_histogram(
    good: npt.ArrayLike, defective: npt.ArrayLike, threshold: float, name: str = "scores", unit: str = "image"
) -> str:
    """Draw the scores of good and defective images with the threshold, and count who is on the wrong side.

    Parameters
    ----------
    good, defective : array_like, shapes (G,) and (D,)
        Raw scores.
    threshold : float
        A score at or above it is called defective.
    name : str
        Unique on the page.
    unit : str
        What was scored, in the singular.
    """
    ok, bad = np.asarray(good, dtype=np.float64), np.asarray(defective, dtype=np.float64)
    both = np.concatenate([ok, bad, [threshold]])
    edges = np.linspace(both.min(), both.max() + 1e-9 * (1 + abs(both.max())), 31).tolist()
    alarms, missed = int((ok >= threshold).sum()), int((bad < threshold).sum())
    with style():
        figure, axes = new_figure(_WIDTH_IN, 3.2)
        for values, colour, what in ((ok, BLUE, "good"), (bad, ORANGE, "defective")):
            axes.hist(
                values, bins=edges, color=colour, alpha=0.5, edgecolor=PAPER, linewidth=0.6,
                label=f"{what} {unit}s ({values.size})",
            )  # fmt: skip
        axes.axvline(threshold, color=INK, linewidth=1.4, linestyle=_DASHED, label=f"threshold {threshold:.3g}")
        axes.set(xlabel=f"score of the {unit} (raw distance)", ylabel=f"{unit}s")
        axes.set_title(
            f"{alarms} of {ok.size} good at or above the threshold, {missed} of {bad.size} defective below it",
            fontsize=9, loc="left", color=INK,
        )  # fmt: skip
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.margins(y=0.15)
        axes.legend(fontsize=8)
        counted = f"{alarms} false alarms, {missed} missed"
        return to_svg(figure, name, f"Scores of {ok.size} good and {bad.size} defective {unit}s: {counted}.")


def outer_pro_histogram(
    scores: npt.ArrayLike, name: str = "outer-pro", *, interval: Sequence[float] | None = None
) -> str:
    """Draw the threshold PRO of each held-out image of the outer loop; images missed altogether stand apart.

    Parameters
    ----------
    scores : array_like, shape (N,)
        0 to 1.
    name : str
        Unique on the page.
    interval : (low, high), optional
        Of the mean.

    References
    ----------
    A. Yan et al., Int. J. Hydrogen Energy 48(50) 18978 (2023), figures 3 and 9.
    """
    values = np.asarray(scores, dtype=np.float64)
    missed = int((values == 0).sum())
    mean = float(values.mean()) if values.size else float("nan")
    with style():
        figure, axes = new_figure(_WIDTH_IN, 3.0)
        axes.hist(values[values > 0], bins=20, range=(0, 1), color=BLUE, alpha=0.55, edgecolor=PAPER, linewidth=0.8)
        bar = axes.bar(-0.045, missed, width=0.05, color=ORANGE, alpha=0.7)
        axes.bar_label(bar, labels=[f"{missed} missed"], fontsize=8, padding=2)
        if interval is not None:
            axes.axvspan(*interval, color=INK, alpha=0.1, linewidth=0, label="its 95 % interval")
        axes.axvline(mean, color=INK, linewidth=1.4, linestyle=_DASHED, label=f"mean {mean:.2f}")
        axes.set(xlabel="threshold PRO of the held-out image", ylabel="images", xlim=(-0.1, 1.02))
        axes.set_xticks(np.linspace(0, 1, 6))
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.margins(y=0.2)
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(0.12, 1.0))
        return to_svg(
            figure, name, f"Histogram of the threshold PRO of {values.size} held-out images, mean {mean:.2f}; {missed}"
            " were missed altogether.",
        )  # fmt: skip


def loocv_schematic(n_good: int = 36, n_train: int = 18, n_defective: int = 36, name: str = "loocv") -> str:
    """Draw how leave-one-out cross-validation splits, fits and scores, in three parts.

    (a) Good images are split at random into training and test. (b) One defective image is held out. (c) The model
    learns from the good training images; the inner loop scores it on the test images and chooses the threshold of
    best F1 there; the outer loop measures the per-region overlap of the held-out image at that threshold.

    Parameters
    ----------
    n_good, n_train, n_defective : int
        Images; as many runs as defective ones.
    name : str
        Unique on the page.

    References
    ----------
    A. Yan et al., Int. J. Hydrogen Energy 48(50) 18978 (2023), figure 1.
    """
    n_test = n_good - n_train
    with style():
        figure, axes = new_figure(7.2, 4.2)
        axes.set(xlim=(-0.5, 100.5), ylim=(57, 0))
        axes.axis("off")
        for y, part, words in (
            (2, "a", f"{n_good} good images, split at random in each run"),
            (17, "b", f"{n_defective} defective images, another one held out in each run"),
            (32, "c", f"one of {n_defective} runs"),
        ):
            axes.text(0, y, f"({part})", fontweight="bold", va="center")
            axes.text(4.5, y, words, va="center")
        note: dict[str, Any] = {"fontsize": 8.5, "color": MUTED, "va": "center"}
        right = _squares(axes, 4.5, 5, [(n_train, BLUE, 0.75), (n_test, BLUE, 0.25)])
        axes.text(right, 7.7, f"{n_train} train (dark), {n_test} test{_few(n_train, n_test)}", **note)
        right = _squares(axes, 4.5, 20, [(n_defective - 1, ORANGE, 0.4), (1, GREEN, 0.85)])
        axes.text(right, 22.7, f"{n_defective - 1} test, 1 held out (green){_few(n_defective - 1)}", **note)
        train = _box(axes, 0, 36, 17, f"{n_train} good\nto train on", BLUE)
        model = _box(axes, 25, 36, 14, "model", INK)
        inner = _box(axes, 47, 36, 24, f"inner loop: {n_test} good and\n{n_defective - 1} defective scored", ORANGE)
        best = _box(axes, 79, 36, 21, "threshold of best\nF1 on these pixels", ORANGE)
        outer = _box(axes, 47, 49, 24, "outer loop: the image\nheld out", GREEN)
        result = _box(axes, 79, 49, 21, "PRO of its defect\nat this threshold", GREEN)
        for start, end in ((train, model), (model, inner), (inner, best), (outer, result)):
            _arrow(axes, (start[2], start[1]), (end[0], end[1]))
        _arrow(axes, (model[2] - 7, model[1] + 3.5), (outer[0], outer[1]))
        _arrow(axes, ((best[0] + best[2]) / 2, best[1] + 3.5), ((result[0] + result[2]) / 2, result[1] - 3.5))
        described = (
            f"Leave-one-out cross-validation: (a) {n_good} good images split into {n_train} and {n_test};"
            f" (b) one of {n_defective} defective images held out; (c) the inner loop chooses a threshold, the outer"
            " loop scores the image held out."
        )
        return to_svg(figure, name, described)


def _few(*numbers: int) -> str:
    """Say so where there are more images than squares."""
    return "; not all drawn" if max(numbers) > 2 * _COLUMNS else ""


def _squares(axes: Axes, left: float, top: float, parts: Sequence[tuple[int, str, float]]) -> float:
    """Draw two rows of small squares, one an image, as many as fit; returns where they end."""
    x = left
    for number, colour, strength in parts:
        columns = min(_COLUMNS, -(-number // 2))
        for k in range(min(number, 2 * columns)):
            spot = (x + 1.5 * (k // 2), top + 3.0 * (k % 2))
            axes.add_patch(Rectangle(spot, 1.2, 2.4, facecolor=colour, alpha=strength, edgecolor="none"))
        x += 1.5 * columns + 1.0
    return x + 1.0


def _box(axes: Axes, left: float, top: float, width: float, words: str, colour: str) -> tuple[float, float, float]:
    """Draw a box; returns its left end, the height of its middle, its right end."""
    axes.add_patch(Rectangle((left, top), width, 7, facecolor=colour, alpha=0.12, edgecolor="none"))
    axes.add_patch(Rectangle((left, top), width, 7, facecolor="none", edgecolor=colour, linewidth=1))
    axes.text(left + width / 2, top + 3.5, words, ha="center", va="center", fontsize=8)
    return left, top + 3.5, left + width


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    arrow = FancyArrowPatch(
        start, end, arrowstyle="-|>", mutation_scale=9, color=MUTED, linewidth=1, shrinkA=2, shrinkB=2
    )
    axes.add_patch(arrow)


def _thinned(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Of a rising curve as many corners as can be told apart, evenly along it, both ends kept."""
    across, up = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if across.size <= _MOST_POINTS:
        return across, up
    along = across + up
    keep = np.unique(np.searchsorted(along, np.linspace(along[0], along[-1], _MOST_POINTS)).clip(0, across.size - 1))
    return across[keep], up[keep]


def _percent(axes: Any) -> None:
    for each in (axes.xaxis, axes.yaxis):
        each.set_major_formatter(PercentFormatter(1, decimals=0))
