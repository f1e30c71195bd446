"""The frozen regime: a regularised linear head on pooled features, chosen and calibrated by inner folds."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from sorby.classify.recipe import BalanceSection, HeadSection
from sorby.classify.sampling import oversampled
from sorby.errors import InputError
from sorby.evidence import softmax

Features = npt.NDArray[np.float32]
Labels = npt.NDArray[np.intp]
Logits = npt.NDArray[np.float64]

_ABSENT_LOGIT = -30.0  # a class that a fold has not seen: never chosen by that fold's model


@dataclass(frozen=True, eq=False)
class Linear:
    """logits = features @ weight.T + bias.

    Attributes
    ----------
    weight : ndarray of float32, shape (..., C, D)
    bias : ndarray of float32, shape (..., C)
        A leading axis holds several heads.
    """

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    def __call__(self, features: Features) -> Logits:
        """Return logits (..., N, C) of features (N, D)."""
        product = features.astype(np.float32) @ np.swapaxes(self.weight, -1, -2)
        return np.asarray(product + self.bias[..., None, :], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class FittedHead:
    """A head, the heads of its inner folds, and what those say of images they had not seen.

    Attributes
    ----------
    head : Linear
        Fitted on all images.
    fold_heads : Linear
        One for each inner fold, fitted without it; leading axis K.
    folds : ndarray of int, shape (n,)
        Inner fold of each image; specimens whole.
    cross_logits : ndarray, shape (n, C)
        Logits of each image from the head of the fold that held it out.
    c : float
        Chosen inverse regularisation strength.
    trials : list of dict
        ``c``, ``log_loss``, ``accuracy`` (cross-fitted) for each strength tried.
    """

    head: Linear
    fold_heads: Linear
    folds: npt.NDArray[np.intp]
    cross_logits: Logits
    c: float
    trials: list[dict[str, float]]


def _standardisation(features: Features) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    mean = features.mean(axis=0, dtype=np.float64)
    spread = features.std(axis=0, dtype=np.float64)
    spread[spread < 1e-8] = 1.0
    return mean, spread


def image_weights(labels: Labels, balance: BalanceSection, seed: int) -> npt.NDArray[np.float64] | None:
    """Return how much each image counts in the loss, or None where all count alike."""
    weights = np.ones(len(labels))
    if balance.sampling == "oversample":
        weights *= np.bincount(oversampled(labels, np.random.default_rng(seed)), minlength=len(labels))
    if balance.loss == "class-weights":
        classes, counts = np.unique(labels, return_counts=True)
        weights *= len(labels) / (len(classes) * counts[np.searchsorted(classes, labels)])
    return None if np.all(weights == 1) else weights


class _Path:
    """Heads for rising C on one set of images; each starts from the one before."""

    def __init__(self, features: Features, labels: Labels, n_classes: int, weights: npt.NDArray[np.float64] | None):
        self._mean, self._spread = _standardisation(features)
        self._x = ((features - self._mean) / self._spread).astype(np.float32)
        self._y, self._weights, self._n_classes = labels, weights, n_classes
        self._model = LogisticRegression(warm_start=True, tol=1e-3, max_iter=500)

    def fit(self, c: float) -> tuple[Linear, bool]:
        """Return the head for one C, on raw features, and whether the solver converged."""
        self._model.set_params(C=c)
        self._model.fit(self._x, self._y, sample_weight=self._weights)
        converged = bool(np.max(self._model.n_iter_) < self._model.max_iter)
        weight, bias = np.asarray(self._model.coef_, np.float64), np.asarray(self._model.intercept_, np.float64)
        if len(weight) == 1:  # two classes: scikit-learn keeps one row
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        full_weight = np.zeros((self._n_classes, weight.shape[1]))
        full_bias = np.full(self._n_classes, _ABSENT_LOGIT)
        seen = np.asarray(self._model.classes_, np.intp)
        full_weight[seen] = weight / self._spread
        full_bias[seen] = bias - full_weight[seen] @ self._mean
        return Linear(full_weight.astype(np.float32), full_bias.astype(np.float32)), converged


@contextmanager
def _one_head_a_core() -> Iterator[ThreadPoolExecutor]:
    """Fit heads side by side, one thread each: for matrices of this size BLAS threads mostly wait for each other."""
    with (
        threadpool_limits(limits=1),
        warnings.catch_warnings(),
        ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="head") as pool,
    ):
        warnings.simplefilter("ignore", ConvergenceWarning)  # recorded for each trial instead
        yield pool


def fit_head(
    features: Features,
    labels: Labels,
    n_classes: int,
    folds: npt.NDArray[np.intp],
    section: HeadSection,
    balance: BalanceSection,
    seed: int = 0,
) -> FittedHead:
    """Fit a multinomial logistic head whose strength is chosen by inner cross-validation.

    Strengths are tried in rising order until the cross-fitted log loss grows.

    Parameters
    ----------
    features : ndarray, shape (n, D)
    labels : ndarray of int, shape (n,)
    n_classes : int
    folds : ndarray of int, shape (n,)
        Inner folds from 0, specimens whole.
    section, balance
        Of the recipe.
    seed : int

    Raises
    ------
    InputError
        Fewer than two classes or two folds.
    """
    n_folds = int(folds.max()) + 1
    if len(np.unique(labels)) < 2 or n_folds < 2:
        raise InputError("a classifier needs at least two classes and two images of each", "add images or classes")
    weights = image_weights(labels, balance, seed)
    inner = [folds != k for k in range(n_folds)]
    paths = [
        _Path(features[rows], labels[rows], n_classes, None if weights is None else weights[rows]) for rows in inner
    ]
    if any(len(np.unique(labels[rows])) < 2 for rows in inner):
        raise InputError(
            f"an inner fold leaves one class to learn from ({n_folds} folds of {len(labels)} images)",
            "add specimens of the rare class",
        )
    best: tuple[float, float, list[Linear], Logits] | None = None
    trials: list[dict[str, float]] = []
    with _one_head_a_core() as pool:
        for c in sorted(section.c_grid):
            heads, converged = zip(*pool.map(lambda path, c=c: path.fit(c), paths), strict=True)
            logits = np.empty((len(labels), n_classes))
            for k, head in enumerate(heads):
                logits[~inner[k]] = head(features[~inner[k]])
            picked = softmax(logits)[np.arange(len(labels)), labels]
            loss = float(-np.log(np.maximum(picked, 1e-12)).mean())
            accuracy = float((logits.argmax(1) == labels).mean())
            trials.append({"c": c, "log_loss": loss, "accuracy": accuracy, "converged": float(all(converged))})
            if best is not None and loss > best[0]:
                break
            best = (loss, c, list(heads), logits)
    assert best is not None
    _, c, heads_at_best, cross_logits = best
    with _one_head_a_core():
        final = _Path(features, labels, n_classes, weights).fit(c)[0]
    fold_heads = Linear(
        np.stack([head.weight for head in heads_at_best]), np.stack([head.bias for head in heads_at_best])
    )
    return FittedHead(final, fold_heads, folds, cross_logits, c, trials)
