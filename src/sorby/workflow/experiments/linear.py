"""The flat logistic head by itself, for studies that need its scores on features of their own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.classify import Recipe
from sorby.classify.heads.logistic import Examples, Linear, choose_logistic, image_weights, one_fit_a_core
from sorby.corpus import splits

Features = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Flat:
    """A flat head with what its inner folds say of images they had not seen.

    Attributes
    ----------
    model : Linear
        Taught by every image.
    by_fold : list of Linear
        Taught without each inner fold.
    folds : ndarray of int, shape (n,)
    cross_logits : ndarray, shape (n, C)
    c : float
        Chosen inverse regularisation strength.
    """

    model: Linear
    by_fold: list[Linear]
    folds: Rows
    cross_logits: Floats
    c: float


def fit_flat(
    features: Features,
    labels: Rows,
    n_classes: int,
    groups: npt.NDArray[Any] | None,
    recipe: Recipe,
    c_grid: tuple[float, ...] | None = None,
) -> Flat:
    """Fit a multinomial logistic regression by inner cross-validation, specimens whole.

    Parameters
    ----------
    features : ndarray, shape (n, D)
    labels : ndarray of int, shape (n,)
    n_classes : int
    groups : ndarray, shape (n,), optional
    recipe : Recipe
        Its ``head.folds``, ``head.c_grid``, ``balance`` and ``seed`` count.
    c_grid : tuple of float, optional
        Instead of the recipe's.
    """
    folds = splits.kfold(labels, recipe.head.folds, groups=groups, seed=recipe.seed, purpose="calibrating")
    examples = _examples(labels, recipe)
    with one_fit_a_core() as pool:
        chosen = choose_logistic(features, examples, n_classes, folds, c_grid or recipe.head.c_grid, pool)
    cross = np.empty((len(labels), n_classes))
    for k, model in enumerate(chosen.by_fold):
        cross[folds == k] = model(features[folds == k])
    return Flat(chosen.model, chosen.by_fold, folds, cross, chosen.c)


def fit_at(parts: Sequence[tuple[Features, Rows]], n_classes: int, c: float) -> list[Linear]:
    """Fit one regression of a given strength for each training part, side by side.

    Parameters
    ----------
    parts : sequence of (ndarray (n, D), ndarray of int (n,))
        Features and labels.
    n_classes : int
    c : float
        Inverse regularisation strength, as scikit-learn's ``C``.
    """
    with one_fit_a_core() as pool, ThreadPoolExecutor(os.cpu_count() or 1) as side_by_side:

        def one(part: tuple[Features, Rows]) -> Linear:
            features, labels = part
            whole = np.zeros(len(labels), np.intp)  # all in one fold: the strength is given, not searched
            return choose_logistic(features, Examples.of(labels), n_classes, whole, (c,), pool).model

        return list(side_by_side.map(one, parts))


def _examples(labels: Rows, recipe: Recipe) -> Examples:
    weights = image_weights(labels, recipe.balance, recipe.seed)
    examples = Examples.of(labels)
    return examples if weights is None else Examples(examples.image, examples.label, weights)
