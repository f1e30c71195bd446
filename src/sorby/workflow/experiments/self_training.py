"""Learning a linear head from few labelled images and many without a label.

Self-training: a classifier labels what it is sure of and learns from that too. Principal axes: which directions of the
features vary is learnt from all images, labels are needed for the head alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.extmath import randomized_svd

from sorby.classify import Recipe
from sorby.classify.heads.logistic import (
    Examples,
    Linear,
    choose_logistic,
    image_weights,
    one_fit_a_core,
    standardisation,
)
from sorby.errors import InputError
from sorby.evidence import fit_temperature, softmax
from sorby.workflow.experiments.linear import Flat

Features = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rule:
    """How an image without a label comes to be learnt from.

    Attributes
    ----------
    rounds : int
        After each the classifier is fitted again and asked again.
    weight : float
        What such an image counts beside a labelled one.
    precision : float
        Share of right verdicts, among labelled images judged by folds that had not seen them, that the confidence
        limit has to keep.
    least : int
        Labelled images that must lie above the limit, so that its precision means something.
    """

    rounds: int = 3
    weight: float = 0.3
    precision: float = 0.9
    least: int = 10

    def __post_init__(self) -> None:
        if self.rounds < 1 or not 0 < self.weight < 1 or not 0 < self.precision <= 1:
            raise InputError(
                f"self-training in {self.rounds} rounds, weight {self.weight:g}, precision {self.precision:g}",
                "one round or more, a weight between 0 and 1, a precision of at most 1",
            )


@dataclass(frozen=True, eq=False)
class SelfTrained:
    """A head that learnt from its own verdicts too.

    Attributes
    ----------
    model : Linear
    limit : float or None
        Calibrated confidence from which a verdict was believed; None where no limit keeps the precision, and nothing
        joined.
    joined : ndarray of int
        Images without a label that the last round learnt from.
    said : ndarray of int
        Their classes.
    """

    model: Linear
    limit: float | None
    joined: Rows
    said: Rows


def confidence_limit(probabilities: Floats, labels: Rows, precision: float, least: int) -> float | None:
    """Return the lowest confidence from which verdicts are right often enough.

    Parameters
    ----------
    probabilities : ndarray, shape (n, C)
        Of labelled images, from classifiers that had not seen them.
    labels : ndarray of int, shape (n,)
    precision : float
    least : int
        Fewest images above the limit.

    Returns
    -------
    float or None
        None where no limit keeps the precision on so many images.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    order = np.argsort(-confidence, kind="stable")
    kept = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    # Equal confidences stand or fall together: only the last of a run is a limit.
    last = np.append(np.diff(confidence[order]) != 0, True)
    good = np.flatnonzero(last & (kept >= precision) & (np.arange(1, len(order) + 1) >= least))
    return float(confidence[order][good[-1]]) if len(good) else None


def surest(probabilities: Floats, limit: float, share: float) -> Rows:
    """Return the surest images of each class: the same share of the verdicts for every class, above the limit.

    The same share, so that a class that is called with more confidence does not crowd out the others (class-balanced
    self-training, Zou et al., ECCV 2018).

    Parameters
    ----------
    probabilities : ndarray, shape (n, C)
    limit : float
    share : float
        Part of each class's verdicts, 0 to 1.
    """
    confidence, said = probabilities.max(axis=1), probabilities.argmax(axis=1)
    order = np.lexsort((np.arange(len(said)), -confidence, said))
    counts = np.bincount(said, minlength=probabilities.shape[1])
    rank = np.arange(len(said)) - np.concatenate([[0], np.cumsum(counts)])[said[order]]
    chosen = order[rank < np.ceil(share * counts)[said[order]]]
    return np.sort(chosen[confidence[chosen] >= limit]).astype(np.intp)


def self_train(
    base: Flat, features: Features, labels: Rows, unlabelled: Features, n_classes: int, recipe: Recipe, rule: Rule
) -> SelfTrained:
    """Fit a head to labelled images, then to them and to its own sure verdicts on others (Scudder 1965, Yarowsky 1995).

    Confidence limit, temperature and strength come from the labelled images alone and stay as they are: after the
    first round the classifier is surer of what it has taught itself.

    Parameters
    ----------
    base : Flat
        Fitted to the labelled images.
    features : ndarray, shape (n, D)
    labels : ndarray of int, shape (n,)
    unlabelled : ndarray, shape (m, D)
    n_classes : int
    recipe : Recipe
    rule : Rule
    """
    nobody = np.zeros(0, np.intp)
    if not len(unlabelled):
        return SelfTrained(base.model, None, nobody, nobody)
    temperature = fit_temperature(base.cross_logits, labels)
    limit = confidence_limit(softmax(base.cross_logits, temperature), labels, rule.precision, rule.least)
    if limit is None:
        return SelfTrained(base.model, None, nobody, nobody)
    model, joined, said = base.model, nobody, nobody
    for number in range(1, rule.rounds + 1):
        probabilities = softmax(model(unlabelled), temperature)
        joined = surest(probabilities, limit, number / rule.rounds)
        said = probabilities[joined].argmax(axis=1).astype(np.intp)
        both = np.concatenate([features, unlabelled[joined]])
        weight = np.concatenate([np.ones(len(labels)), np.full(len(joined), rule.weight)])
        model = _fit(both, np.concatenate([labels, said]), weight, n_classes, base.c, recipe)
    return SelfTrained(model, limit, joined, said)


def _fit(features: Features, labels: Rows, weight: Floats, n_classes: int, c: float, recipe: Recipe) -> Linear:
    """Fit a regression of known strength to weighted images."""
    balance = image_weights(labels, recipe.balance, recipe.seed)
    examples = Examples(np.arange(len(labels)), labels, weight if balance is None else weight * balance)
    whole = np.zeros(len(labels), np.intp)  # all in one fold: the strength is given, not searched
    with one_fit_a_core() as pool:
        return choose_logistic(features, examples, n_classes, whole, (c,), pool).model


@dataclass(frozen=True, eq=False)
class Axes:
    """Features on their principal axes, each scaled to unit variance.

    Attributes
    ----------
    mean, spread : ndarray, shape (D,)
    axes : ndarray, shape (D, k)
        Divided by the standard deviation along them.
    """

    mean: Floats
    spread: Floats
    axes: Floats

    @classmethod
    def of(cls, features: Features, count: int) -> Axes:
        """Find the axes along which features (n, D) vary most; at most *count*, and fewer than n."""
        mean, spread = standardisation(features)
        standard = ((features - mean) / spread).astype(np.float32)
        count = max(1, min(count, len(features) - 1, features.shape[1]))
        _, size, axes = randomized_svd(standard, count, n_iter=3, random_state=0)
        deviation = np.maximum(size / np.sqrt(len(features)), 1e-6 * size[0])
        return cls(mean, spread, np.asarray(axes.T / deviation, np.float64))

    def __call__(self, features: Features) -> Features:
        """Return features (n, D) on the axes, shape (n, k)."""
        standard: Any = (features - self.mean) / self.spread
        return np.asarray(standard @ self.axes, np.float32)
