"""Shortcuts: can the label be told from how the image was taken, instead of from what it shows?

A classifier that learns on a corpus whose classes were photographed at different magnifications may learn the
magnification. Cramér's V between the label and each circumstance says how far that is possible.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import chi2_contingency

STRONG = 0.3
"""Bias-corrected Cramér's V from which a circumstance is reported as a shortcut (Cohen's medium effect)."""

_SIGNIFICANT = 0.01
_MANY_LEVELS = 12
_CIRCUMSTANCES = ("magnification", "pixel_size_um", "size", "mode", "plant", "instrument", "rater", "criterion", "date")

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shortcut:
    """How far one circumstance tells the label.

    Attributes
    ----------
    column : str
    cramers_v : float
        Bias-corrected, 0 (tells nothing) to 1.
    p : float
        Of the chi-square test of independence, taking every image for independent.
    n : int
        Images for which the circumstance is known.
    levels : int
        Distinct values (or quartiles, where a number has many).
    guess_accuracy, majority_accuracy : float
        Share of images whose label is guessed right from this circumstance alone (leave-one-out), and from nothing.
    """

    column: str
    cramers_v: float
    p: float
    n: int
    levels: int
    guess_accuracy: float
    majority_accuracy: float

    @property
    def strong(self) -> bool:
        """Whether a reader must be warned."""
        return self.cramers_v >= STRONG and self.p < _SIGNIFICANT

    def as_dict(self) -> dict[str, Any]:
        """Return the fields, and ``strong``."""
        return {**asdict(self), "strong": self.strong}

    def sentence(self) -> str:
        """Say it in one line."""
        return (
            f"the label can be guessed from {self.column} alone: {self.guess_accuracy:.0%} right"
            f" ({self.majority_accuracy:.0%} for always the commonest class), Cramér's V {self.cramers_v:.2f},"
            f" n = {self.n}"
        )


def cramers_v(counts: Counts) -> float:
    """Return Cramér's V of a contingency table, corrected for bias.

    Parameters
    ----------
    counts : ndarray of int, shape (rows, columns)

    Returns
    -------
    float
        0 for a single row or column.

    References
    ----------
    Bergsma, W. (2013), A bias-correction for Cramér's V and Tschuprow's T, J. Korean Stat. Soc. 42, 323-328.
    """
    counts = _occupied(counts)
    n, (rows, columns) = int(counts.sum()), counts.shape
    if min(rows, columns) < 2 or n < 2:
        return 0.0
    phi2 = chi2_contingency(counts, correction=False).statistic / n
    phi2 = max(0.0, phi2 - (rows - 1) * (columns - 1) / (n - 1))
    rows_c = rows - (rows - 1) ** 2 / (n - 1)
    columns_c = columns - (columns - 1) ** 2 / (n - 1)
    smaller = min(rows_c, columns_c) - 1
    return float(min(1.0, np.sqrt(phi2 / smaller))) if smaller > 0 else 0.0


def guess_accuracy(counts: Counts) -> float:
    """Return the leave-one-out accuracy of naming the commonest label of each row of a contingency table.

    Parameters
    ----------
    counts : ndarray of int, shape (levels, classes)

    Notes
    -----
    A row's commonest label is judged without the image itself, so a value that occurs once guesses nothing.
    """
    left = np.repeat(counts[:, None, :], counts.shape[1], axis=1) - np.eye(counts.shape[1], dtype=np.int64)
    classes = np.arange(counts.shape[1])
    # Right only where the own class still leads once the image itself is taken away; a tie is not a lead.
    own = left[:, classes, classes]
    others = np.where(np.eye(counts.shape[1], dtype=bool), -1, left).max(axis=2)
    return float(counts[own > others].sum() / max(1, counts.sum()))


def find_shortcuts(table: pd.DataFrame) -> list[Shortcut]:
    """Measure every known circumstance of a corpus table against its label.

    Parameters
    ----------
    table : DataFrame
        Usable rows, with ``label``, ``width``, ``height`` and any of magnification, pixel size, plant,
        instrument, rater, criterion, date and mode.

    Returns
    -------
    list of Shortcut
        Circumstances with at least two values, strongest first.
    """
    found = []
    for column in _CIRCUMSTANCES:
        values = _size(table) if column == "size" else table.get(column)
        if values is None:
            continue
        known = values.notna() & table["label"].notna()
        levels = _levels(values[known])
        if levels.nunique() < 2:
            continue
        counts = pd.crosstab(levels, table["label"][known].astype(str)).to_numpy(dtype=np.int64)
        p = float(chi2_contingency(_occupied(counts), correction=False).pvalue) if counts.shape[1] > 1 else 1.0
        found.append(
            Shortcut(
                column,
                cramers_v(counts),
                p,
                int(counts.sum()),
                len(counts),
                guess_accuracy(counts),
                float(counts.sum(axis=0).max() / counts.sum()),
            )
        )
    return sorted(found, key=lambda shortcut: -shortcut.cramers_v)


def by_magnification(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return class -> magnification -> images; ``unknown`` where none is stated."""
    stated = [f"{value:g}" if pd.notna(value) else "unknown" for value in pd.to_numeric(table["magnification"])]
    counts = pd.crosstab(table["label"].astype(str).to_numpy(), np.array(stated, dtype=object))
    ordered = sorted(counts.columns, key=lambda name: (name == "unknown", float(name) if name != "unknown" else 0.0))
    return {str(label): {str(name): int(row[name]) for name in ordered} for label, row in counts.iterrows()}


def _size(table: pd.DataFrame) -> pd.Series[Any]:
    """Return ``width x height`` where few sizes occur, else the area in pixels."""
    names = table["width"].astype(str) + " x " + table["height"].astype(str)
    return names if names.nunique() <= _MANY_LEVELS else table["width"] * table["height"]


def _levels(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return values as names, a number with many values by its quartile."""
    if values.nunique() > _MANY_LEVELS and pd.api.types.is_numeric_dtype(values):
        return pd.qcut(values, 4, duplicates="drop").astype(str)
    return values.astype(str)


def _occupied(counts: Counts) -> Counts:
    occupied: Counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    return occupied
