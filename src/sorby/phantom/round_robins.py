"""The round robin around raters: which images they get, and which of their ratings a model can be held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sorby.corpus.grades import HOUSE_SCALE, GradeTable
from sorby.errors import InputError
from sorby.phantom.raters import Codes, Table, rating_columns, structure_class, true_grade

#: What the round robin asked for (S1-50): images of each subtype, and how many of all are difficult.
ROUND_ROBIN = {"G": 11, "B": 5, "M": 4}
DIFFICULT = 12


def reduce_ratings(ratings: Codes, truth: npt.ArrayLike, classes: Sequence[str]) -> tuple[Codes, npt.NDArray[np.bool_]]:
    """Reduce ratings to the classes a model knows, as S1 did: scarce ones dropped, 9 and 10 merged.

    Images whose label is not among the classes go, and so does every rating of a class that is not: the items left
    have unequal numbers of raters.

    Parameters
    ----------
    ratings : ndarray of object, shape (n, R)
        Full codes.
    truth : array_like of str, shape (n,)
        Label of each image.
    classes : sequence of str
        The classes kept.

    Returns
    -------
    ratings : ndarray of object, shape (kept, R)
        Codes of the classes; None where a rating was dropped.
    kept : ndarray of bool, shape (n,)
        Images kept.
    """
    known = set(classes)
    kept = np.array([label in known for label in np.asarray(truth, dtype=object)], dtype=bool)
    merged = [[structure_class(code) for code in row] for row in ratings[kept]]
    reduced = np.array([[code if code in known else None for code in row] for row in merged], dtype=object)
    return reduced.reshape(int(kept.sum()), ratings.shape[1]), kept


def round_robin(
    table: Table,
    seed: int,
    *,
    predictions: npt.ArrayLike | None = None,
    images: Mapping[str, int] = ROUND_ROBIN,
    difficult: int = DIFFICULT,
    scale: GradeTable = HOUSE_SCALE,
) -> npt.NDArray[np.int64]:
    """Choose the images of a round robin: difficult and plain ones, mixed (S1-50).

    Parameters
    ----------
    table : mapping of columns
        As for :func:`sorby.phantom.raters.rate`, with ``label``.
    seed : int
    predictions : array_like of str, shape (n,), optional
        What a model said; difficult is what it got wrong. Where None, or where it got too few wrong, difficult is
        what lies nearest to a class limit.
    images : mapping of str to int
        Images of each subtype.
    difficult : int
        How many of all are difficult.
    scale : GradeTable
        The house scale.

    Returns
    -------
    ndarray of int64, shape (sum of images,)
        Rows of the table. All sizes are drawn nearly equally often, as in the published round robin, where 3 of 20
        images were of the classes too scarce to be taught (1 % of the set).

    Raises
    ------
    InputError
        The table has too few images of a subtype.
    """
    columns, labels = rating_columns(table), np.asarray(table["label"], dtype=object)
    rng = np.random.default_rng([1863, 20, seed])
    near = np.abs((true_grade(columns, scale) % 1.0) - 0.5)  # 0 at a limit, .5 in mid-class
    wrong = None if predictions is None else np.asarray(predictions, dtype=object) != labels
    total = sum(images.values())
    chosen: list[int] = []
    hard_left, left = difficult, total
    for name, wanted in images.items():
        pool = np.flatnonzero(columns["subtype"] == name)
        if pool.size < wanted:
            raise InputError(f"{pool.size} images of subtype {name} for a round robin of {wanted}")
        hard = min(round(hard_left * wanted / left), wanted) if left else 0
        hard_left, left = hard_left - hard, left - wanted
        order = pool[np.argsort(near[pool], kind="stable")]
        tough = order[: max(hard, len(order) // 4)]
        if wrong is not None and wrong[pool].sum() >= hard:
            tough = pool[wrong[pool]]
        first = _spread_over_classes(tough, labels, hard, rng)
        rest = np.setdiff1d(pool, tough if pool.size - tough.size >= wanted - hard else first)
        chosen.extend(first.tolist())
        chosen.extend(_spread_over_classes(rest, labels, wanted - hard, rng).tolist())
    return rng.permutation(np.array(chosen, dtype=np.int64))


def _spread_over_classes(
    pool: npt.NDArray[np.int64], labels: Codes, count: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Draw *count* of the pool without replacement; all classes in it nearly equally often."""
    _, place, size = np.unique(labels[pool].astype(str), return_inverse=True, return_counts=True)
    weight = size[place].astype(np.float64) ** -0.95
    return rng.choice(pool, count, replace=False, p=weight / weight.sum())
