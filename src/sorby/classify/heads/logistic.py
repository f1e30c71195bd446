"""Multinomial logistic regression whose strength is chosen by inner folds: the solver of linear heads."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from sorby.classify.recipe import BalanceSection
from sorby.classify.sampling import oversampled
from sorby.evidence import softmax

Features = npt.NDArray[np.float32]
Labels = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

_ABSENT_LOGIT = -30.0  # a class that a fold has not seen: never chosen by that fold's model


@dataclass(frozen=True, eq=False)
class Linear:
    """logits = features @ weight.T + bias.

    Attributes
    ----------
    weight : ndarray of float32, shape (C, D)
    bias : ndarray of float32, shape (C,)
    """

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    def __call__(self, features: Features) -> Floats:
        """Return logits (N, C) of features (N, D)."""
        return np.asarray(features.astype(np.float32, copy=False) @ self.weight.T + self.bias, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Examples:
    """What a linear head is taught: an image may stand for several classes, each with a weight.

    Attributes
    ----------
    image : ndarray of int, shape (m,)
        Row of the image.
    label : ndarray of int, shape (m,)
    weight : ndarray, shape (m,)
    """

    image: Labels
    label: Labels
    weight: Floats

    @classmethod
    def of(cls, labels: Labels) -> Examples:
        """Return one example an image."""
        return cls(np.arange(len(labels)), labels, np.ones(len(labels)))

    def take(self, chosen: npt.NDArray[np.bool_]) -> Examples:
        """Return some of the examples."""
        return Examples(self.image[chosen], self.label[chosen], self.weight[chosen])


@dataclass(frozen=True, eq=False)
class Chosen:
    """A logistic regression of the best strength.

    Attributes
    ----------
    model : Linear
        Taught by every example.
    by_fold : list of Linear
        Taught without each fold.
    c : float
    trials : list of dict
        ``c``, ``log_loss``, ``accuracy`` (cross-fitted), ``converged`` for each strength tried.
    """

    model: Linear
    by_fold: list[Linear]
    c: float
    trials: list[dict[str, float]]


def standardisation(features: Features) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of every feature; a constant one gets 1."""
    mean = features.mean(axis=0, dtype=np.float64)
    spread = features.std(axis=0, dtype=np.float64)
    spread[spread < 1e-8] = 1.0
    return mean, spread


def image_weights(labels: Labels, balance: BalanceSection, seed: int) -> Floats | None:
    """Return how much each image counts in the loss, or None where all count alike."""
    weights = np.ones(len(labels))
    if balance.sampling == "oversample":
        weights *= np.bincount(oversampled(labels, np.random.default_rng(seed)), minlength=len(labels))
    if balance.loss == "class-weights":
        classes, counts = np.unique(labels, return_counts=True)
        weights *= len(labels) / (len(classes) * counts[np.searchsorted(classes, labels)])
    return None if np.all(weights == 1) else weights


class _Path:
    """Regressions for rising C on one set of examples; each starts from the one before."""

    def __init__(self, features: Features, examples: Examples, n_classes: int) -> None:
        self._n_classes, self._inputs = n_classes, features.shape[1]
        self._y = examples.label
        self._seen = np.unique(examples.label)
        if len(self._seen) < 2:
            return
        images = np.unique(examples.image)
        self._mean, self._spread = standardisation(features[images])
        self._x = ((features[examples.image] - self._mean) / self._spread).astype(np.float32)
        self._weights = None if np.all(examples.weight == 1) else examples.weight
        self._model = LogisticRegression(warm_start=True, tol=1e-3, max_iter=500)

    def fit(self, c: float) -> tuple[Linear, bool]:
        """Return the model for one C, on raw features, and whether the solver converged.

        Where the examples hold one class, or none, there is nothing to tell apart: the model is constant.
        """
        weight = np.zeros((self._n_classes, self._inputs))
        bias = np.full(self._n_classes, _ABSENT_LOGIT if len(self._seen) else 0.0)
        bias[self._seen] = 0.0
        if len(self._seen) < 2:
            return Linear(weight.astype(np.float32), bias.astype(np.float32)), True
        self._model.set_params(C=c)
        self._model.fit(self._x, self._y, sample_weight=self._weights)
        converged = bool(np.max(self._model.n_iter_) < self._model.max_iter)
        found, constant = np.asarray(self._model.coef_, np.float64), np.asarray(self._model.intercept_, np.float64)
        if len(found) == 1:  # two classes: scikit-learn keeps one row
            found, constant = np.concatenate([-found, found]) / 2, np.concatenate([-constant, constant]) / 2
        weight[self._seen] = found / self._spread
        bias[self._seen] = constant - weight[self._seen] @ self._mean
        return Linear(weight.astype(np.float32), bias.astype(np.float32)), converged


@contextmanager
def one_fit_a_core() -> Iterator[ThreadPoolExecutor]:
    """Fit side by side, one thread each: for matrices of this size BLAS threads mostly wait for each other."""
    threads = torch.get_num_threads()
    with (
        threadpool_limits(limits=1),
        warnings.catch_warnings(),
        ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="head") as pool,
    ):
        warnings.simplefilter("ignore", ConvergenceWarning)  # recorded for each trial instead
        torch.set_num_threads(1)
        try:
            yield pool
        finally:
            torch.set_num_threads(threads)


def choose_logistic(
    features: Features,
    examples: Examples,
    n_classes: int,
    folds: Labels,
    c_grid: tuple[float, ...],
    pool: ThreadPoolExecutor,
) -> Chosen:
    """Fit for rising C until the cross-fitted log loss grows, and take the best.

    Parameters
    ----------
    features : ndarray, shape (n, D)
    examples : Examples
    n_classes : int
    folds : ndarray of int, shape (n,)
        Fold of each image from 0; a fold may hold none of the examples.
    c_grid : tuple of float
        Inverse regularisation strengths, as scikit-learn's ``C``.
    pool : ThreadPoolExecutor
    """
    n_folds = int(folds.max()) + 1
    of_example = folds[examples.image]
    paths = [_Path(features, examples.take(of_example != k), n_classes) for k in range(n_folds)]
    best: tuple[float, float, list[Linear]] | None = None
    trials: list[dict[str, float]] = []
    for c in sorted(c_grid):
        models, converged = zip(*pool.map(lambda path, c=c: path.fit(c), paths), strict=True)
        logits = np.empty((len(examples.label), n_classes))
        for k, model in enumerate(models):
            logits[of_example == k] = model(features[examples.image[of_example == k]])
        loss, accuracy = weighted_loss(logits, examples)
        trials.append({"c": c, "log_loss": loss, "accuracy": accuracy, "converged": float(all(converged))})
        if best is not None and loss > best[0]:
            break
        best = (loss, c, list(models))
    assert best is not None
    _, c, by_fold = best
    return Chosen(_Path(features, examples, n_classes).fit(c)[0], by_fold, c, trials)


def weighted_loss(scores: Floats, examples: Examples) -> tuple[float, float]:
    """Return log loss and accuracy of scores (m, C), one row an example, weighted."""
    picked = softmax(scores)[np.arange(len(examples.label)), examples.label]
    share = examples.weight / examples.weight.sum()
    hits = scores.argmax(axis=1) == examples.label
    return float(-(share * np.log(np.maximum(picked, 1e-12))).sum()), float((share * hits).sum())
