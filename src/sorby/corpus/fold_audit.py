"""The audit of one set of folds: repeated pictures as in the fracture study's Table 1, and shared specimens."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.corpus.embedding_neighbours import EmbeddingNeighbours
from sorby.corpus.leakage_table import NOT_SPECIMENS, THRESHOLDS, LeakageTable, confirmed_counts
from sorby.corpus.likeness import Likeness, Rows
from sorby.corpus.table import Corpus

SHOWN_PAIRS = 24
_RADII, _NEIGHBOURS = (4, 6, 8), (1, 5)


def fold_table(
    corpus: Corpus,
    likeness: Likeness,
    fold: Rows,
    source: str,
    *,
    hamming: int,
    neighbours: int,
    thresholds: tuple[float, ...] = THRESHOLDS,
    embedding: EmbeddingNeighbours | None = None,
) -> dict[str, Any]:
    """Audit folds.

    Parameters
    ----------
    corpus : Corpus
        Usable rows.
    likeness : Likeness
        Of all its images, at *hamming* bits or more.
    fold : ndarray of int, shape (n,)
        Fold in which each image is judged, from 0; below 0 where it is in none.
    source : str
        Where the folds come from.
    hamming, neighbours : int
        Radius in bits, and nearest training images looked at.
    thresholds : tuple of float
        SSIM values, inclusive.
    embedding : EmbeddingNeighbours, optional

    Returns
    -------
    dict
        As of `LeakageTable.as_dict`, each fold with ``n_train``, ``specimens_shared``,
        ``images_of_shared_specimens`` and ``embedding_near_duplicates`` (None where unknown); ``mean``, ``sd``;
        ``sensitivity`` (the mean percentages at other radii and numbers of neighbours), ``pairs`` (the most alike
        that stand in two folds), ``source``, ``hamming``, ``neighbours``, ``note``.
    """
    splits = list(_parts(fold))
    table = _table(likeness.within(hamming), splits, neighbours, thresholds)
    found = table.as_dict()
    for row, (train, judged) in zip(found["folds"], splits, strict=True):
        row |= {
            "n_train": len(train),
            **_specimens(corpus, train, judged),
            "embedding_near_duplicates": embedding.judged_with_neighbour(train, judged, len(corpus))
            if embedding is not None
            else None,
        }
    return {
        **found,
        "source": source,
        "hamming": hamming,
        "neighbours": neighbours,
        "sensitivity": _sensitivity(likeness, splits, hamming, neighbours, thresholds),
        "pairs": _most_alike(corpus, likeness.within(hamming), fold, thresholds[0]),
        "note": NOT_SPECIMENS,
    }


def _parts(fold: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Yield the rows learnt from and the rows judged, for every fold."""
    for k in np.unique(fold[fold >= 0]):
        yield np.flatnonzero((fold >= 0) & (fold != k)), np.flatnonzero(fold == k)


def _table(
    likeness: Likeness, splits: list[tuple[Rows, Rows]], neighbours: int | None, thresholds: tuple[float, ...]
) -> LeakageTable:
    counts = [confirmed_counts(likeness.best(train, judged, neighbours), thresholds) for train, judged in splits]
    return LeakageTable(thresholds, np.stack(counts), np.array([len(judged) for _, judged in splits]))


def _specimens(corpus: Corpus, train: Rows, judged: Rows) -> dict[str, int | None]:
    """Count the specimens on both sides, and the judged images that show one of them."""
    groups = corpus.groups
    if groups is None:
        return {"specimens_shared": None, "images_of_shared_specimens": None}
    there = groups[judged].astype(str)
    seen = np.isin(there, groups[train].astype(str))
    return {"specimens_shared": len(np.unique(there[seen])), "images_of_shared_specimens": int(seen.sum())}


def _sensitivity(
    likeness: Likeness,
    splits: list[tuple[Rows, Rows]],
    hamming: int,
    neighbours: int,
    thresholds: tuple[float, ...],
) -> list[dict[str, Any]]:
    """Return the mean percentages for radii around the chosen one, and for fewer and more neighbours."""
    widest = int(likeness.distance.max(initial=0)) if len(likeness.pairs) else 0
    radii = sorted(
        {hamming, *(radius for radius in _RADII if radius < hamming), max(hamming, min(hamming + 2, widest))}
    )
    looked_at: list[int | None] = [*sorted({neighbours, *(k for k in _NEIGHBOURS if k < neighbours)}), None]
    rows = []
    for radius, k in itertools.product(radii, looked_at):
        if radius != hamming and k != neighbours:
            continue  # one at a time
        mean = _table(likeness.within(radius), splits, k, thresholds).mean
        rows.append({"hamming": radius, "neighbours": k, "mean": mean.tolist()})
    return rows


def _most_alike(corpus: Corpus, likeness: Likeness, fold: Rows, at_least: float) -> list[dict[str, Any]]:
    """Return the most alike pairs that stand in two folds."""
    first, second = likeness.pairs.T
    torn = np.flatnonzero((fold[first] >= 0) & (fold[second] >= 0) & (fold[first] != fold[second]))
    torn = torn[likeness.ssim[torn] >= at_least]
    torn = torn[np.lexsort((likeness.distance[torn], -likeness.ssim[torn]))][:SHOWN_PAIRS]
    return [pair_facts(corpus, likeness, int(k), fold) for k in torn]


def pair_facts(corpus: Corpus, likeness: Likeness, k: int, fold: npt.NDArray[np.intp]) -> dict[str, Any]:
    """Say of one pair which images it joins, how alike they are, and what is known of them."""
    rows = likeness.pairs[k]
    groups, labels = corpus.groups, corpus.labels
    return {
        "rows": rows.tolist(),
        "images": corpus.table["path"].iloc[rows].astype(str).tolist(),
        "labels": [str(labels[row]) for row in rows],
        "specimens": None if groups is None else [str(groups[row]) for row in rows],
        "folds": [int(fold[row]) + 1 for row in rows],
        "ssim": float(likeness.ssim[k]),
        "hamming": int(likeness.distance[k]),
    }
