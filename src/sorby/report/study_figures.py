"""Figures of a round robin: what was named for each image, and how far raters agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sorby.report.drawing import BLUE, GREEN, GRID, INK, MUTED, PAPER, new_figure, short, style, to_svg
from sorby.report.experiment_figures import dots

#: Area of a bubble for one rating, square points, and of the largest bubble that fits.
_AREA, _LARGEST = 62.0, 680.0
_RING = 90.0


def bubbles(
    chosen: Mapping[str, Any], classes: Sequence[str], difficult: Sequence[bool | None], name: str = "chosen"
) -> str:
    """Draw how often each code was named for each image, as in Fig. 5 of Durmaz et al. (2023).

    The area of a bubble and the number in it count raters; green is right, blue is wrong, a hollow green ring stands
    where nobody named the label.

    Parameters
    ----------
    chosen : mapping
        ``codes``, ``items``, ``labels``, ``counts`` and ``right`` (both items by codes), see
        `sorby.study.accuracy.chosen_counts`.
    classes : sequence of str
        Class of each code: lines part the classes.
    difficult : sequence of bool or None
        Images that were chosen because a model got them wrong; a star stands beside their number.
    name : str
        Unique on the page.
    """
    counts, right = np.asarray(chosen["counts"]), np.asarray(chosen["right"], dtype=bool)
    codes, labels = list(chosen["codes"]), [label or "–" for label in chosen["labels"]]
    first = [int(row.argmax()) if row.any() else len(codes) for row in right]
    order = sorted(range(len(labels)), key=lambda k: (first[k], labels[k], k))
    counts, right = counts[order], right[order]
    with style():
        figure, axes = new_figure(1.2 + 0.41 * len(labels), 1.2 + 0.33 * len(codes))
        columns, rows = np.nonzero(counts)
        number = counts[columns, rows]
        colours = np.where(right[columns, rows], GREEN, BLUE)
        area = min(_AREA, _LARGEST / max(1, number.max(initial=1)))
        axes.scatter(columns, rows, s=area * number, c=colours, alpha=0.85, linewidths=0, zorder=3)
        for x, y, count in zip(columns.tolist(), rows.tolist(), number.tolist(), strict=True):
            axes.text(x, y, str(count), ha="center", va="center_baseline", fontsize=7, color=PAPER, weight="bold",
                      zorder=4)  # fmt: skip
        missed = right & ~(counts.astype(bool) & right).any(axis=1)[:, None]
        across, down = np.nonzero(missed)
        axes.scatter(across, down, s=_RING, facecolors="none", edgecolors=GREEN, linewidths=1.3, zorder=3)
        for y in range(1, len(codes)):
            if classes[y] != classes[y - 1]:
                axes.axhline(y - 0.5, color=MUTED, linewidth=0.9)
        stars = ["*" if difficult[k] else "" for k in order]
        ticks = [f"{short(labels[k], 8)}\n{chosen['items'][k].lstrip('I')}{star}"
                 for k, star in zip(order, stars, strict=True)]  # fmt: skip
        axes.set_xticks(range(len(labels)), ticks, fontsize=7.2)
        axes.set_yticks(range(len(codes)), codes, fontsize=8)
        axes.set(xlim=(-0.7, len(labels) - 0.3), ylim=(-0.7, len(codes) - 0.3))
        axes.set_xlabel("label on record, and number of the image")
        axes.set_ylabel("code named")
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_color(GRID)
        axes.xaxis.label.set_color(INK)
        total, hits = int(counts.sum()), int((counts * right).sum())
        return to_svg(figure, name, f"{total} ratings of {len(labels)} images, {hits} of them right.")


def forest(rows: Sequence[tuple[str, Mapping[str, Any]]], name: str = "agreement") -> str:
    """Draw coefficients of agreement with their intervals, one row each; 0 is chance, 1 is perfect.

    Parameters
    ----------
    rows : sequence of (str, mapping)
        Row name, and series name to estimate.
    name : str
        Unique on the page.
    """
    return dots(rows, name, "agreement beyond chance", reference=0.0, shares=False)


def rater_dots(rows: Sequence[tuple[str, Mapping[str, Any]]], name: str = "raters") -> str:
    """Draw the share of right images of each rater, the panel and the model.

    Parameters
    ----------
    rows : sequence of (str, mapping)
        Rater, and series name (class, code) to estimate.
    name : str
        Unique on the page.
    """
    return dots(rows, name, "share of images named as the label")
