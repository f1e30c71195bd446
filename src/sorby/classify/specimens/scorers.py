"""What scores a bag: pooled image verdicts, the mean feature, or attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sorby.classify.heads.logistic import Examples, Linear, choose_logistic, one_fit_a_core
from sorby.classify.specimens.attention import (
    AttentionSettings,
    GatedAttention,
    attention_arrays,
    attention_from_arrays,
    fit_attention,
    run_attention,
)
from sorby.classify.specimens.bags import Bags, inner_folds
from sorby.classify.specimens.pooling import RULES, pooled
from sorby.errors import InputError
from sorby.evidence import softmax

Floats = npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[Any]]

_C_GRID = (1e-3, 1e-2, 1e-1, 1.0)
_INNER_FOLDS = 3
_LEAST = 1e-6


class Scorer(Protocol):
    """A fitted scorer of bags."""

    def scores(self, bags: Bags) -> Floats:
        """Return log-scores (G, C) of the specimens."""
        ...

    def attention(self, bags: Bags) -> Floats | None:
        """Return the weight of every image (N,), adding up to one in each bag; None where there is none."""
        ...

    def arrays(self) -> Arrays:
        """Return what rebuilds it."""
        ...


@dataclass(frozen=True, eq=False)
class PooledImages:
    """A linear head judges every image; a rule pools.

    Attributes
    ----------
    linear : Linear
    rule : str
        See `sorby.classify.specimens.pooling.RULES`.
    """

    linear: Linear
    rule: str

    def scores(self, bags: Bags) -> Floats:
        """Return the logarithm of the pooled probabilities."""
        p = pooled(softmax(self.linear(bags.features)), bags.index, bags.n, self.rule)
        return np.asarray(np.log(np.maximum(p, _LEAST)))

    def attention(self, bags: Bags) -> Floats | None:
        """Return None: a rule listens to all images alike."""
        return None

    def arrays(self) -> Arrays:
        """Return the head."""
        return {"weight": self.linear.weight, "bias": self.linear.bias}


@dataclass(frozen=True, eq=False)
class MeanFeature:
    """A linear head on the mean feature of the specimen's images."""

    linear: Linear

    def scores(self, bags: Bags) -> Floats:
        """Return the logits of the mean features."""
        return self.linear(bags.feature_means())

    def attention(self, bags: Bags) -> Floats | None:
        """Return None: a mean listens to all images alike."""
        return None

    def arrays(self) -> Arrays:
        """Return the head."""
        return {"weight": self.linear.weight, "bias": self.linear.bias}


@dataclass(frozen=True, eq=False)
class Attention:
    """Gated attention pooling."""

    module: GatedAttention

    def scores(self, bags: Bags) -> Floats:
        """Return the logits of the specimens."""
        return run_attention(self.module, bags)[0]

    def attention(self, bags: Bags) -> Floats | None:
        """Return the attention weights."""
        return run_attention(self.module, bags)[1]

    def arrays(self) -> Arrays:
        """Return the module's tensors."""
        return attention_arrays(self.module)


def fit_scorer(method: str, bags: Bags, n_classes: int, seed: int) -> Scorer:
    """Teach a scorer.

    Parameters
    ----------
    method : str
        ``attention``, ``feature-mean`` or one of `sorby.classify.specimens.pooling.RULES`.
    bags : Bags
        With labels.
    n_classes : int
    seed : int

    Raises
    ------
    InputError
        There is no such method.
    """
    if method == "attention":
        return Attention(fit_attention(bags, n_classes, seed))
    if method == "feature-mean":
        return MeanFeature(_linear(bags.feature_means(), bags.labels, np.ones(bags.n), None, n_classes, seed))
    if method not in RULES:
        raise InputError(
            f"specimen method {method!r} is unknown", f"choose attention, feature-mean, {', '.join(RULES)}"
        )
    # Every specimen counts once, however many images were taken of it.
    weights = 1.0 / bags.sizes[bags.index]
    weights *= len(weights) / weights.sum()
    return PooledImages(_linear(bags.features, bags.labels[bags.index], weights, bags.index, n_classes, seed), method)


def scorer_from_arrays(method: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Scorer:
    """Rebuild a scorer from what its ``arrays`` returned."""
    if method == "attention":
        return Attention(attention_from_arrays(arrays, AttentionSettings()))
    linear = Linear(np.asarray(arrays["weight"], np.float32), np.asarray(arrays["bias"], np.float32))
    return MeanFeature(linear) if method == "feature-mean" else PooledImages(linear, method)


def _linear(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.intp],
    weights: Floats,
    groups: npt.NDArray[np.intp] | None,
    n_classes: int,
    seed: int,
) -> Linear:
    """Fit a logistic regression whose strength inner folds choose, specimens whole."""
    folds = inner_folds(labels, _INNER_FOLDS, groups, seed)
    examples = Examples(np.arange(len(labels)), labels, weights)
    with one_fit_a_core() as pool:
        return choose_logistic(features, examples, n_classes, folds, _C_GRID, pool).model
