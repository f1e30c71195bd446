"""Splits of a corpus, stored in it: the columns ``split`` or ``fold``, and how they were made."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.corpus import splits
from sorby.corpus.ancestry import families, synthetic_rows
from sorby.corpus.strata import stratified, taking_part
from sorby.corpus.table import Corpus
from sorby.errors import InputError, SorbyWarning

Scheme = Literal["holdout", "kfold", "leave-one-out", "repeated-holdout", "repeated-kfold"]
By = Literal["auto", "specimen", "image"]

_Parts = list[npt.NDArray[Any]]
_Draw = Callable[[npt.NDArray[Any], npt.NDArray[Any] | None], _Parts]


def split_corpus(
    corpus: Corpus,
    scheme: Scheme = "holdout",
    *,
    fractions: Sequence[float] = (0.64, 0.16, 0.2),
    folds: int = 5,
    repeats: int = 3,
    by: By | str = "auto",
    within: str | None = None,
    seed: int = 0,
) -> Corpus:
    """Split the rows of a corpus that take part and store the split in it.

    Classes keep their shares in every part; so do combinations of classes where images have boxes, and images with
    nothing on them, see `sorby.corpus.strata`.

    Parameters
    ----------
    corpus : Corpus
    scheme : {"holdout", "kfold", "leave-one-out", "repeated-holdout", "repeated-kfold"}
    fractions : sequence of float
        Shares of train, val and test for the hold-outs.
    folds, repeats : int
    by : str
        What stays whole. ``auto``: specimens where the corpus names them, else images. ``image``: nothing.
        ``specimen``, or any column, such as ``plant``.
    within : str, optional
        A column each of whose values is split on its own, as the bearing-steel study split each subtype.
    seed : int

    Returns
    -------
    Corpus
        With ``split`` (train, val, test; None where excluded) or ``fold`` (-1 where excluded), or with
        ``split_0`` or ``fold_0`` ... for repeats, and a new last entry of ``splits``.

    Raises
    ------
    InputError
        No such scheme or column, or too few images to split.
    """
    if scheme not in get_args(Scheme):
        raise InputError(f"no split is called {scheme!r}", f"choose one of {', '.join(get_args(Scheme))}")
    usable = _usable_rows(corpus)
    labels = stratified(corpus).labels.astype(str)
    groups, grouped_by = _groups(corpus, by)
    groups = None if groups is None else groups[usable]
    levels = _column(corpus, within)[usable] if within is not None else None
    draw = _drawing(scheme, fractions, folds, repeats, seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SorbyWarning)
        drawn = _draw_within(draw, labels, groups, levels)
    said = [str(entry.message) for entry in caught if issubclass(entry.category, SorbyWarning)]
    if groups is None:
        said.append("split by image: images of one specimen may stand on both sides")
    columns = _columns(drawn, scheme)
    table = corpus.table.copy()
    for name, values in zip(columns, drawn, strict=True):
        whole = np.full(len(table), None if name.startswith("split") else -1, dtype=object)
        whole[usable] = values
        table[name] = pd.Series(whole, index=table.index, dtype="int64" if name.startswith("fold") else object)
    facts: dict[str, Any] = {
        "scheme": scheme,
        "columns": columns,
        "seed": seed,
        "grouped": grouped_by,
        "within": within,
        "n": len(usable),
        "warnings": said,
    }
    if "holdout" in scheme:
        facts["fractions"] = [float(share) for share in fractions]
    if "kfold" in scheme:
        facts["folds"] = int(max(values.max() for values in drawn)) + 1
    whole_by = f"{grouped_by}s kept whole" if grouped_by else "by image"
    line = f"{scheme} of {len(usable)} images, {whole_by}, seed {seed}"
    return replace(corpus, table=table, history=(*corpus.history, line), splits=(*corpus.splits, facts))


def _usable_rows(corpus: Corpus) -> npt.NDArray[np.intp]:
    rows = taking_part(corpus)
    if len(rows) < 2:
        raise InputError(f"{len(rows)} usable images cannot be split", "add labelled images")
    return rows


def _column(corpus: Corpus, name: str) -> npt.NDArray[Any]:
    if name not in corpus.table:
        raise InputError(f"the corpus has no column {name!r}", f"columns: {', '.join(map(str, corpus.table.columns))}")
    values: npt.NDArray[Any] = corpus.table[name].astype(object).where(corpus.table[name].notna(), "").to_numpy()
    return values.astype(str)


def _groups(corpus: Corpus, by: str) -> tuple[npt.NDArray[Any] | None, str | None]:
    """Return what stays whole, and its name."""
    if by == "image":
        return None, None
    if by in ("auto", "specimen"):
        # Generated images join the specimens that they descend from.
        groups = families(corpus, corpus.groups) if synthetic_rows(corpus).any() else corpus.groups
        if groups is None and by == "specimen":
            raise InputError("the corpus names no specimens", "build it with --group COLUMN")
        return groups, None if groups is None else "specimen"
    return _column(corpus, by), by


def _drawing(scheme: str, fractions: Sequence[float], folds: int, repeats: int, seed: int) -> _Draw:
    """Return the function that draws the parts from labels and groups."""
    if repeats < 1:
        raise InputError(f"{repeats} repeats asked, at least 1 is needed", "--repeats 3")

    def draw(labels: npt.NDArray[Any], groups: npt.NDArray[Any] | None) -> _Parts:
        if scheme == "holdout":
            return [splits.holdout(labels, fractions, groups=groups, seed=seed)]
        if scheme == "kfold":
            return [splits.kfold(labels, folds, groups=groups, seed=seed)]
        if scheme == "leave-one-out":
            return [splits.leave_one_out(labels, groups=groups)]
        if scheme == "repeated-holdout":
            return list(splits.repeated_holdout(labels, repeats, fractions, groups=groups, seed=seed))
        return list(splits.repeated_kfold(labels, repeats, folds, groups=groups, seed=seed))

    return draw


def _draw_within(
    draw: _Draw, labels: npt.NDArray[Any], groups: npt.NDArray[Any] | None, levels: npt.NDArray[Any] | None
) -> _Parts:
    """Draw over all rows, or over each level's rows for themselves."""
    if levels is None:
        return draw(labels, groups)
    if groups is not None and _straddles(groups, levels):
        raise InputError(
            "specimens lie in several of the subsets that are split apart, so they cannot be kept whole",
            "split by image, or without subsets",
        )
    drawn: _Parts | None = None
    for level in np.unique(levels):
        rows = np.flatnonzero(levels == level)
        parts = draw(labels[rows], None if groups is None else groups[rows])
        if drawn is None:
            drawn = [np.empty(len(labels), dtype=object) for _ in parts]
        for whole, part in zip(drawn, parts, strict=True):
            whole[rows] = part
    assert drawn is not None
    return drawn


def _straddles(groups: npt.NDArray[Any], levels: npt.NDArray[Any]) -> bool:
    return bool((pd.Series(levels).groupby(groups).nunique() > 1).any())


def _columns(drawn: _Parts, scheme: str) -> list[str]:
    stem = "split" if "holdout" in scheme else "fold"
    return [stem] if not scheme.startswith("repeated") else [f"{stem}_{k}" for k in range(len(drawn))]
