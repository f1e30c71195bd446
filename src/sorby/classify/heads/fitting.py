"""The frozen regime: a head on pooled features, its strength chosen and its scores cross-fitted by inner folds."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils.extmath import randomized_svd

from sorby.classify.heads.head import Head, HeadSpec
from sorby.classify.heads.logistic import (
    Chosen,
    Examples,
    choose_logistic,
    image_weights,
    one_fit_a_core,
    standardisation,
    weighted_loss,
)
from sorby.classify.heads.magnification import MagnificationReadout, train_readout
from sorby.classify.heads.readout import LinearReadout
from sorby.classify.heads.targets import Targets
from sorby.classify.recipe import BalanceSection, HeadSection
from sorby.errors import InputError

Features = npt.NDArray[np.float32]
Labels = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

_STEPS = 60  # of L-BFGS at each strength; more change the cross-fitted loss in the third digit
_COMPONENTS = 256  # principal axes that a hidden layer reads; the others hardly vary and teach it noise


@dataclass(frozen=True, eq=False)
class FittedHead:
    """A head, the heads of its inner folds, and what those say of images they had not seen.

    Attributes
    ----------
    head : Head
        Fitted on all images.
    fold_heads : tuple of Head
        One for each inner fold, fitted without it.
    folds : ndarray of int, shape (n,)
        Inner fold of each image; specimens whole.
    cross_logits : ndarray, shape (n, C)
        Scores of each image from the head of the fold that held it out.
    c : dict of str to float
        Chosen inverse regularisation strength of each stage.
    trials : dict of str to list of dict
        ``c``, ``log_loss``, ``accuracy`` (cross-fitted) for each strength tried, by stage.
    """

    head: Head
    fold_heads: tuple[Head, ...]
    folds: Labels
    cross_logits: Floats
    c: dict[str, float]
    trials: dict[str, list[dict[str, float]]]


def fit_head(
    features: Features,
    targets: Targets,
    spec: HeadSpec,
    folds: Labels,
    section: HeadSection,
    balance: BalanceSection,
    *,
    examples: Examples | None = None,
    parts: tuple[int, int] | None = None,
    length_alpha: float = 0.05,
    seed: int = 0,
) -> FittedHead:
    """Fit a head whose strength is chosen by inner cross-validation.

    Flat and staged heads are logistic regressions, a staged one a regression for each stage; the others minimise
    their own loss plus ``|W|^2 / (2 C n)`` by L-BFGS, so that C means the same everywhere. A hidden layer reads
    principal axes of the standardised features.

    Parameters
    ----------
    features : ndarray, shape (n, D)
    targets : Targets
        Of the n images.
    spec : HeadSpec
    folds : ndarray of int, shape (n,)
        Inner folds from 0, specimens whole.
    section, balance
        Of the recipe.
    examples : Examples, optional
        What is taught where that is not each image's label, for instance doubtful labels shared out.
    parts : tuple of int, optional
        The features come from two networks: this many from the one that tells subtypes, the rest from the one
        that tells sizes.
    length_alpha : float
        Miscoverage of the intervals of predicted lengths.
    seed : int

    Raises
    ------
    InputError
        Fewer than two classes or two folds, or a length that no image states.
    """
    n_folds, labels = int(folds.max()) + 1, targets.labels
    if len(np.unique(labels)) < 2 or n_folds < 2:
        raise InputError("a classifier needs at least two classes and two images of each", "add images or classes")
    if any(len(np.unique(labels[folds != k])) < 2 for k in range(n_folds)):
        raise InputError(
            f"an inner fold leaves one class to learn from ({n_folds} folds of {len(labels)} images)",
            "add specimens of the rare class",
        )
    taught = examples or Examples.of(labels)
    with one_fit_a_core() as pool:
        if spec.kind in ("flat", "staged") and spec.sharing == "linear" and not spec.lengths:
            solver = _flat if spec.kind == "flat" else partial(_staged, parts=parts)
            heads, c, trials = solver(features, taught, spec, folds, section, balance, seed, pool)
        elif spec.magnification is not None:
            heads, c, trials = _with_magnification(features, taught, spec, folds, balance, seed)
        else:
            heads, c, trials = _by_gradient(
                features, targets, taught, spec, folds, section, balance, seed, pool, length_alpha
            )
    cross = np.empty((len(labels), len(spec.classes)))
    for k in range(n_folds):
        cross[folds == k] = heads[k].scores(features[folds == k])
    return FittedHead(heads[-1], tuple(heads[:-1]), folds, cross, c, trials)


Solved = tuple[list[Head], dict[str, float], dict[str, list[dict[str, float]]]]


def _weighted(examples: Examples, balance: BalanceSection, seed: int) -> Examples:
    factor = image_weights(examples.label, balance, seed)
    return examples if factor is None else replace(examples, weight=examples.weight * factor)


def _flat(
    features: Features,
    taught: Examples,
    spec: HeadSpec,
    folds: Labels,
    section: HeadSection,
    balance: BalanceSection,
    seed: int,
    pool: ThreadPoolExecutor,
) -> Solved:
    """Return the fold heads and, last, the head of everything."""
    chosen = choose_logistic(features, _weighted(taught, balance, seed), len(spec.classes), folds, section.c_grid, pool)
    heads = []
    for model in (*chosen.by_fold, chosen.model):
        head = Head(spec).eval()
        _write(head, 0, slice(None), model.weight, model.bias)
        heads.append(head)
    return heads, {"class": chosen.c}, {"class": chosen.trials}


def _staged(
    features: Features,
    taught: Examples,
    spec: HeadSpec,
    folds: Labels,
    section: HeadSection,
    balance: BalanceSection,
    seed: int,
    pool: ThreadPoolExecutor,
    parts: tuple[int, int] | None,
) -> Solved:
    """Fit a regression for the subtype on all images and one for the sizes of each subtype on its own."""
    structure = spec.structure
    first = slice(None) if parts is None else slice(0, parts[0])
    second = slice(None) if parts is None else slice(parts[0], sum(parts))
    stages: dict[str, tuple[Chosen, slice, int]] = {}
    of_subtype = _weighted(replace(taught, label=structure.subtype_of[taught.label]), balance, seed)
    row = len(structure.subtypes)
    found = choose_logistic(features[:, first], of_subtype, row, folds, section.c_grid, pool)
    stages["subtype"] = (found, first, 0)
    for s, name in enumerate(structure.subtypes):
        own = taught.take(structure.subtype_of[taught.label] == s)
        own = _weighted(replace(own, label=structure.grade_of[own.label]), balance, seed)
        count = len(structure.sizes[s])
        if count > 1:
            found = choose_logistic(features[:, second], own, count, folds, section.c_grid, pool)
            stages[f"size of {name}"] = (found, second, row)
        row += count
    heads = []
    for k in range(int(folds.max()) + 2):
        head = Head(spec).eval()
        for chosen, columns, begin in stages.values():
            model = chosen.by_fold[k] if k < len(chosen.by_fold) else chosen.model
            _write(head, begin, columns, model.weight, model.bias)
        heads.append(head)
    return (
        heads,
        {name: chosen.c for name, (chosen, _, _) in stages.items()},
        {name: chosen.trials for name, (chosen, _, _) in stages.items()},
    )


@torch.no_grad()
def _write(head: Head, row: int, columns: slice, weight: Features, bias: Features) -> None:
    """Put a linear model into the rows of a head's linear readout from *row* on."""
    linear = cast(LinearReadout, head.readout).linear
    linear.weight[row : row + len(weight), columns] = torch.from_numpy(weight)
    linear.bias[row : row + len(bias)] = torch.from_numpy(bias)


def _with_magnification(
    features: Features, taught: Examples, spec: HeadSpec, folds: Labels, balance: BalanceSection, seed: int
) -> Solved:
    """Return the fold heads and, last, the head of everything: one setting, nothing chosen."""
    taught = _weighted(taught, balance, seed)
    of_example, n_folds = folds[taught.image], int(folds.max()) + 1
    scores = np.empty((len(taught.label), len(spec.classes)))
    heads = []
    for k in range(n_folds + 1):  # the last leaves no fold out
        head = Head(spec, seed)
        train_readout(cast(MagnificationReadout, head.readout), features, taught.take(of_example != k), seed)
        heads.append(head.eval())
        if k < n_folds:
            scores[of_example == k] = head.scores(features[taught.image[of_example == k]])
    loss, accuracy = weighted_loss(scores, taught)
    return heads, {}, {"class, by magnification": [{"c": 1.0, "log_loss": loss, "accuracy": accuracy}]}


# -- heads with a loss of their own -----------------------------------------------------------------------


class _Descent:
    """One head for rising C on one set of examples.

    A linear head starts from the one before. A hidden layer starts anew: strong regularisation shrinks both its layers
    to nothing, and from there no gradient leads back.
    """

    def __init__(
        self, features: Features, targets: Targets, taught: Examples, spec: HeadSpec, weight: float, seed: int
    ) -> None:
        rows, images = taught.image, np.unique(taught.image)
        self._mean, self._spread = standardisation(features[images])
        standard = (features - self._mean) / self._spread
        self._basis = np.eye(standard.shape[1])
        if spec.sharing != "linear":
            self._basis = _principal_axes(standard[images], _COMPONENTS)
        self._x = torch.from_numpy((standard[rows] @ self._basis).astype(np.float32))
        self._spec = spec
        self._targets = targets.take(rows).relabelled(taught.label).tensors()
        self._share = torch.from_numpy((taught.weight / taught.weight.sum()).astype(np.float32))
        self._n, self._length_weight = float(taught.weight.sum()), weight
        self._seed, self._log_lengths = seed, targets.log_lengths[images]
        self._head = self._start()

    def _start(self) -> Head:
        head = Head(self._spec.model_copy(update={"inputs": self._basis.shape[1]}), self._seed)
        if self._spec.lengths:
            head.set_length_scale(self._log_lengths)
        return head

    def fit(self, c: float) -> Head:
        """Return the head for one C, on raw features."""
        if self._spec.sharing != "linear":
            self._head = self._start()
        head = self._head
        optimiser = torch.optim.LBFGS(
            head.parameters(), max_iter=_STEPS, history_size=10, tolerance_change=1e-7, line_search_fn="strong_wolfe"
        )

        def closure() -> torch.Tensor:
            optimiser.zero_grad()
            loss = (self._share * head.losses(self._x, self._targets, self._length_weight)).sum()
            size = torch.stack([each.square().sum() for each in head.readout.weights()]).sum()
            total = loss + size / (2 * c * self._n)
            total.backward()  # type: ignore[no-untyped-call]
            return total

        optimiser.step(closure)  # type: ignore[no-untyped-call]
        return self._on_raw_features()

    @torch.no_grad()
    def _on_raw_features(self) -> Head:
        """Return the head with standardisation and projection taken into the layer that reads the features."""
        state = {key: value.clone() for key, value in self._head.state_dict().items()}
        layer = f"readout.{self._head.readout.reads}"
        weight = (state[f"{layer}.weight"].double().numpy() @ self._basis.T) / self._spread
        state[f"{layer}.weight"] = torch.from_numpy(weight.astype(np.float32))
        state[f"{layer}.bias"] -= torch.from_numpy((weight @ self._mean).astype(np.float32))
        raw = Head(self._spec)
        raw.load_state_dict(state)
        return raw.eval()


def _principal_axes(standard: Floats, count: int) -> Floats:
    """Return the axes (D, k) along which standardised features (n, D) vary most, k at most *count*."""
    count = min(count, *standard.shape)
    _, _, axes = randomized_svd(standard.astype(np.float32), count, n_iter=3, random_state=0)
    return np.asarray(axes.T, dtype=np.float64)


def _by_gradient(
    features: Features,
    targets: Targets,
    taught: Examples,
    spec: HeadSpec,
    folds: Labels,
    section: HeadSection,
    balance: BalanceSection,
    seed: int,
    pool: ThreadPoolExecutor,
    length_alpha: float,
) -> Solved:
    """Return the fold heads and, last, the head of everything, at the C of least cross-fitted log loss."""
    taught = _weighted(taught, balance, seed)
    of_example, n_folds = folds[taught.image], int(folds.max()) + 1
    weight = section.length_weight
    descents = list(
        pool.map(
            lambda k: _Descent(features, targets, taught.take(of_example != k), spec, weight, seed), range(n_folds)
        )
    )
    tried: list[_Attempt] = []

    def attempt(c: float) -> _Attempt:
        heads = list(pool.map(lambda descent: descent.fit(c), descents))
        residuals = _cross_residuals(heads, features, targets, folds)
        for head in heads:
            head.set_length_spread(residuals)
            head.set_length_margin(residuals, length_alpha)
        scores = np.empty((len(taught.label), len(spec.classes)))
        for k, head in enumerate(heads):
            scores[of_example == k] = head.scores(features[taught.image[of_example == k]])
        loss, accuracy = weighted_loss(scores, taught)
        tried.append(_Attempt(c, loss, accuracy, heads, residuals))
        return tried[-1]

    best = _climb(section.c_grid, attempt)
    final = _Descent(features, targets, taught, spec, weight, seed).fit(best.c)
    final.set_length_spread(best.residuals)
    final.set_length_margin(best.residuals, length_alpha)
    trials = [
        {"c": each.c, "log_loss": each.loss, "accuracy": each.accuracy}
        for each in sorted(tried, key=lambda each: each.c)
    ]
    return [*best.heads, final], {"head": best.c}, {"head": trials}


@dataclass(frozen=True, eq=False)
class _Attempt:
    """Fold heads of one strength, and what they say of images they have not seen."""

    c: float
    loss: float
    accuracy: float
    heads: list[Head]
    residuals: Floats


def _climb(grid: tuple[float, ...], attempt: Callable[[float], _Attempt]) -> _Attempt:
    """Return the best attempt, going from the middle of the grid upwards while the loss falls, else downwards.

    The least strengths shrink a hidden layer to nothing: they are slow to learn that from and rarely the best.
    """
    order = sorted(grid)
    middle = len(order) // 2
    best = attempt(order[middle])
    for side in (order[middle + 1 :], order[:middle][::-1]):
        start = best
        for c in side:
            found = attempt(c)
            if found.loss >= best.loss:
                break
            best = found
        if best is not start:
            break
    return best


def _cross_residuals(heads: list[Head], features: Features, targets: Targets, folds: Labels) -> Floats:
    """Return truth minus prediction of the logarithms of lengths, each from the head that had not seen the image."""
    if not heads[0].spec.lengths:
        return np.empty((len(targets), 0))
    found = np.empty_like(targets.log_lengths)
    for k, head in enumerate(heads):
        rows = folds == k
        found[rows] = targets.log_lengths[rows] - head.log_lengths(features[rows])
    return found
