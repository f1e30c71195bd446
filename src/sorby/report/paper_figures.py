"""Figures in the manner of the published ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.patches import Rectangle

from sorby.report.drawing import BLUE, GREEN, GRID, MUTED, ORANGE, new_figure, style, to_svg


def printed_confusion(
    cells: npt.ArrayLike, classes: Sequence[str], name: str, unknown: int = -1, sums: Sequence[int] | None = None
) -> str:
    """Draw a confusion matrix as steel papers print it: rows predicted, columns true, count and column percentage.

    Parameters
    ----------
    cells : array_like of int, shape (C, C)
        Rows predicted.
    classes : sequence of str
    name : str
        Unique on the page.
    unknown : int
        Marks a cell that is not known; it is drawn as a question mark.
    sums : sequence of int, optional
        Images of each true class; the column sums where absent.
    """
    table = np.asarray(cells)
    n = len(classes)
    totals = np.asarray(table.sum(axis=0) if sums is None else sums)
    with style():
        figure, axes = new_figure(2.0 + 0.62 * n, 1.4 + 0.62 * n)
        for i in range(n):
            for j in range(n):
                value = int(table[i, j])
                share = value / totals[j] if totals[j] else 0.0
                strength = 0.06 + 0.5 * share if value > 0 else 0.0
                colour = BLUE if i == j else ORANGE
                axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=colour, alpha=strength, edgecolor="none"))
                if value == unknown:
                    axes.text(j, i, "?", ha="center", va="center", color=MUTED)
                elif value == 0:
                    axes.text(j, i, "·", ha="center", va="center", color=MUTED)
                else:
                    axes.text(j, i - 0.14, str(value), ha="center", va="center", fontweight="bold", fontsize=9)
                    # Halves are rounded up, as in print (87.5 is 88).
                    axes.text(j, i + 0.24, f"{np.floor(100 * share + 0.5):.0f} %", ha="center", va="center", fontsize=7)
        for k in range(n + 1):
            axes.axhline(k - 0.5, color=GRID, linewidth=0.6)
            axes.axvline(k - 0.5, color=GRID, linewidth=0.6)
        axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="equal", xlabel="true", ylabel="predicted")
        axes.set_xticks(range(n), classes, fontsize=8)
        axes.set_yticks(range(n), classes, fontsize=8)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        return to_svg(figure, name, f"Confusion matrix of {n} classes, rows predicted, columns true.")


def rating_bubbles(ratings: Sequence[Sequence[str]], labels: Sequence[str], name: str) -> str:
    """Draw what raters called each image: size is the number of raters, green where it is the label.

    Parameters
    ----------
    ratings : sequence of sequences of str
        Codes given to each image.
    labels : sequence of str
        Label of each image; a hollow ring where nobody chose it.
    name : str
        Unique on the page.
    """
    codes = sorted({*labels, *(code for given in ratings for code in given)}, key=_order)
    place = {code: k for k, code in enumerate(codes)}
    with style():
        figure, axes = new_figure(1.6 + 0.32 * len(labels), 1.2 + 0.24 * len(codes))
        for x, (given, label) in enumerate(zip(ratings, labels, strict=True)):
            for code in set(given):
                count = sum(other == code for other in given)
                colour = GREEN if code == label else BLUE
                axes.scatter(x, place[code], s=26 * count, color=colour, alpha=0.55, linewidths=0)
                axes.text(x, place[code], str(count), ha="center", va="center", fontsize=6.5)
            if label not in given:
                axes.scatter(x, place[label], s=70, facecolors="none", edgecolors=GREEN)
        axes.set_xticks(range(len(labels)), [str(k + 1) for k in range(len(labels))], fontsize=8)
        axes.set_yticks(range(len(codes)), codes, fontsize=8)
        axes.set(xlabel="image", ylabel="structure code named")
        return to_svg(figure, name, f"Ratings of {len(labels)} images by {max(map(len, ratings))} raters.")


def _order(code: str) -> tuple[str, int]:
    digits = code[1:].split("-")[0]
    return code[:1], int(digits) if digits.isdecimal() else 0
