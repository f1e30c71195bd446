"""What splits keep in proportion: the class of an image, or the classes of the boxes on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.corpus.boxes import COLUMN, decode
from sorby.corpus.table import Corpus

NOTHING = "nothing"
"""Stratum of an image that somebody looked at and found nothing on."""

LEAST_IMAGES = 10
"""A combination of classes that fewer images show is no stratum of its own."""


def claims(table: pd.DataFrame) -> npt.NDArray[Any]:
    """Return what every row says of its image: its boxes where they are known, else its label, None for neither."""
    labels = table["label"].astype(object).where(table["label"].notna(), None)
    if COLUMN in table:
        labels = table[COLUMN].astype(object).where(table[COLUMN].notna(), labels)
    values: npt.NDArray[Any] = labels.to_numpy(dtype=object)
    return values


def taking_part(corpus: Corpus) -> npt.NDArray[np.intp]:
    """Return the rows with a label or with boxes, even none on them, and without a reason of exclusion."""
    free = (corpus.table["exclusion"].fillna("").astype(str) == "").to_numpy()
    rows: npt.NDArray[np.intp] = np.flatnonzero(free & ~pd.isna(claims(corpus.table)))
    return rows


def stratified(corpus: Corpus) -> Corpus:
    """Return the rows that take part, their stratum as label.

    Parameters
    ----------
    corpus : Corpus

    Returns
    -------
    Corpus
        An image whose boxes are known is of the stratum of the classes on it, joined by ``" + "``, or `NOTHING`. A
        combination on fewer than ten images counts for the rarest of its classes, so that no stratum is too small to
        be divided for the sake of its combination. Any other image is of its label.
    """
    part = corpus.take(taking_part(corpus))
    if COLUMN not in part.table:
        return part
    sets = [None if pd.isna(text) else _classes(str(text)) for text in part.table[COLUMN]]
    together = Counter(found for found in sets if found)
    on_images = Counter(name for found in sets if found for name in found)
    names = [
        label if found is None else _name(found, together[found], on_images)
        for label, found in zip(part.table["label"], sets, strict=True)
    ]
    return replace(part, table=part.table.assign(label=pd.Series(names, index=part.table.index, dtype=object)))


def _classes(text: str) -> tuple[str, ...]:
    return tuple(sorted({box.label for box in decode(text) if not box.ignored}))


def _name(classes: tuple[str, ...], images: int, on_images: Counter[str]) -> str:
    if not classes:
        return NOTHING
    if images >= LEAST_IMAGES:
        return " + ".join(classes)
    return min(classes, key=lambda name: (on_images[name], name))
