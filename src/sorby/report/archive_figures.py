"""Figures of an archive: how sure the matches are, images by class (S4, Fig. 1), magnifications by class (Fig. 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.report.drawing import BLUE, GREEN, INK, MUTED, ORANGE, new_figure, short, style, to_svg

_COLOURS = {"exact": BLUE, "fuzzy": ORANGE, "tie": GREEN}
_BINS = 20


def match_confidence(confidence: npt.ArrayLike, kinds: Sequence[str], limit: float) -> str:
    """Draw how sure the matches are, by how they came about.

    Parameters
    ----------
    confidence : array_like of float, shape (n,)
        Of matched images.
    kinds : sequence of str
        ``exact``, ``fuzzy`` or ``tie`` of each.
    limit : float
        Below it images are reviewed in any case.

    Returns
    -------
    str
        SVG.
    """
    values, of = np.asarray(confidence, dtype=float), np.asarray(kinds, dtype=object)
    edges = np.linspace(0, 1, _BINS + 1)
    with style():
        figure, axes = new_figure(6.4, 2.8)
        present = [kind for kind in _COLOURS if (of == kind).any()]
        width = 0.9 / _BINS / max(len(present), 1)
        most = 0
        for place, kind in enumerate(present):
            counts = np.histogram(values[of == kind], bins=edges)[0]
            left = edges[:-1] + place * width
            axes.bar(left, counts, width=width, align="edge", color=_COLOURS[kind], label=kind)
            most = max(most, int(counts.max()))
        axes.axvline(limit, color=MUTED, linestyle=":", linewidth=1.2)
        axes.set_yscale("symlog", linthresh=10)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, max(10.0, most * 1.3))
        axes.set_xlabel("confidence of the match")
        axes.set_ylabel("images")
        axes.legend(loc="upper left")
        return to_svg(figure, "match-confidence", f"Confidence of {len(values)} matches")


def class_bars(counts: Mapping[str, int]) -> str:
    """Draw how many images each class has; return SVG.

    Parameters
    ----------
    counts : mapping of str to int
    """
    names = sorted(counts, key=lambda name: -counts[name])
    values = [counts[name] for name in names]
    total = max(sum(values), 1)
    with style():
        figure, axes = new_figure(6.4, 0.7 + 0.42 * len(names))
        axes.barh(range(len(names)), values, color=BLUE, height=0.62)
        for row, value in enumerate(values):
            axes.text(value, row, f" {value} ({100 * value / total:.0f} %)", va="center", color=INK, fontsize=9)
        axes.set_yticks(range(len(names)), [short(name) for name in names])
        axes.invert_yaxis()
        axes.set_xlim(0, max([*values, 1]) * 1.25)
        axes.set_xlabel("images that take part")
        axes.grid(False, axis="y")
        return to_svg(figure, "class-counts", "Images by class: " + ", ".join(f"{n} {counts[n]}" for n in names))


def magnification_by_class(table: pd.DataFrame) -> str:
    """Draw which share of each class's images was taken at which magnification.

    Parameters
    ----------
    table : DataFrame
        ``label``, ``magnification``.

    Returns
    -------
    str
        SVG.
    """
    known = table[table["magnification"].notna() & table["label"].notna()]
    counts = known.groupby(["magnification", "label"]).size().unstack(fill_value=0)
    share = counts / counts.sum(axis=0)
    colours = (BLUE, ORANGE, GREEN, MUTED)
    with style():
        figure, axes = new_figure(6.8, 2.9)
        width = 0.82 / max(len(share.columns), 1)
        for number, name in enumerate(share.columns):
            places = np.arange(len(share)) + (number - (len(share.columns) - 1) / 2) * width
            axes.bar(places, 100 * share[name], width=0.92 * width, color=colours[number % 4], label=short(str(name)))
        axes.set_xticks(range(len(share)), [f"{value:g}" for value in share.index])
        axes.set_xlabel("magnification")
        axes.set_ylabel("% of the class")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return to_svg(figure, "magnification-class", "Magnifications within each class, in per cent of its images")
