"""Ratings that a corpus holds: one column a person, codes of the corpus's classes, gaps allowed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.classify.label_noise import Ratings
from sorby.corpus import Corpus
from sorby.errors import SorbyWarning

PREFIX = "rating_"
CRITERION = "criterion"


def rating_columns(table: pd.DataFrame) -> list[str]:
    """Name the columns of a table that hold ratings."""
    return [str(name) for name in table.columns if str(name).startswith(PREFIX)]


def ratings_of(corpus: Corpus, classes: tuple[str, ...], merge: dict[str, str] | None = None) -> Ratings:
    """Return what the corpus's raters said, the label counting as one more rating.

    The label belongs to the person in column ``rater``; without one to nobody in particular, that is to one rater
    of all labels. Codes that are no class are gaps, and so are ratings by another criterion than the image's (columns
    ``criterion_...`` beside ``criterion``): they answer another question. Warnings count both.

    Parameters
    ----------
    corpus : Corpus
    classes : tuple of str
    merge : dict, optional
        Codes that count as another one.
    """
    table = corpus.table
    place = {name: k for k, name in enumerate(classes)}
    columns = rating_columns(table)
    raters: list[str] = []
    found: list[npt.NDArray[np.intp]] = []
    strange: dict[str, int] = {}
    for column in columns:
        said = table[column].astype(object).where(table[column].notna(), None)
        codes = [None if text is None else (merge or {}).get(str(text), str(text)) for text in said]
        for code in codes:
            if code is not None and code not in place:
                strange[code] = strange.get(code, 0) + 1
        raters.append(column.removeprefix(PREFIX))
        found.append(np.array([-1 if code is None else place.get(code, -1) for code in codes], np.intp))
    if other := _by_other_criterion(table, raters, found):
        warnings.warn(
            SorbyWarning(f"{other} ratings by another criterion than the image's count as gaps"), stacklevel=2
        )
    if strange:
        named = ", ".join(f"{code} ({count})" for code, count in sorted(strange.items())[:8])
        warnings.warn(SorbyWarning(f"ratings that are no class here count as gaps: {named}"), stacklevel=2)
    labels = np.array([place[str(name)] for name in corpus.labels], np.intp)
    who = table["rater"].astype(object).where(table["rater"].notna(), "") if "rater" in table else [""] * len(table)
    for person in sorted({str(name) for name in who}):
        own = np.where(np.array([str(name) == person for name in who]), labels, -1)
        if person in raters:  # the same person twice is no second witness: the label fills gaps of the own column
            own_place = raters.index(person)
            found[own_place] = np.where(found[own_place] >= 0, found[own_place], own)
            continue
        raters.append(person or "label")
        found.append(own)
    return Ratings(tuple(raters), np.stack(found, axis=1))


def _by_other_criterion(table: pd.DataFrame, raters: Sequence[str], found: list[npt.NDArray[np.intp]]) -> int:
    """Make gaps of ratings by another criterion than the image's, in place; return how many there were."""
    count = 0
    for rater, codes in zip(raters, found, strict=True):
        column = f"{CRITERION}_{rater}"
        if CRITERION not in table or column not in table:
            continue
        both = table[CRITERION].notna() & table[column].notna()
        other = (both & (table[CRITERION].astype(str) != table[column].astype(str))).to_numpy(bool) & (codes >= 0)
        codes[other] = -1
        count += int(other.sum())
    return count
