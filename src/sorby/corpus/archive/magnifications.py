"""The magnification of an image from several witnesses, and where they contradict each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

SOURCES: Mapping[str, str] = {"tag": "file tag", "bar": "info bar", "name": "file name"}
"""Witnesses in the order in which they are believed."""

_SAME = 0.03  # relative; nominal magnifications are rounded to two digits and more


def reconcile(witnesses: Mapping[str, pd.Series[float]]) -> pd.DataFrame:
    """Choose a magnification for every image and say where witnesses contradict each other.

    Parameters
    ----------
    witnesses : mapping of str to Series of float
        Keys of `SOURCES`; NaN where a witness says nothing.

    Returns
    -------
    DataFrame
        ``magnification`` (of the first witness that says one), ``magnification_source``, ``magnification_conflict``
        (what each says where they differ by more than 3 %, else None).
    """
    present = {name: pd.to_numeric(witnesses[name], errors="coerce") for name in SOURCES if name in witnesses}
    said = pd.DataFrame(present).astype("float64")
    values = said.to_numpy()
    known = np.isfinite(values) & (values > 0)
    first = known.argmax(axis=1)
    rows = np.arange(len(said))
    chosen = np.where(known.any(axis=1), values[rows, first], np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = known & (np.abs(np.log(values / chosen[:, None])) > _SAME)
    names = np.array([SOURCES[name] for name in said.columns], dtype=object)
    source = np.where(known.any(axis=1), names[first], None)
    conflict: list[str | None] = [None] * len(said)
    for row in np.flatnonzero(off.any(axis=1)):
        conflict[row] = ", ".join(f"{names[k]} {values[row, k]:g}x" for k in np.flatnonzero(known[row]))
    return pd.DataFrame(
        {
            "magnification": chosen,
            "magnification_source": pd.Series(source, index=said.index, dtype=object),
            "magnification_conflict": pd.Series(conflict, index=said.index, dtype=object),
        },
        index=said.index,
    )
