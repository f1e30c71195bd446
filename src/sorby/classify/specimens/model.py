"""A calibrated verdict on specimens: scorer, temperature, conformal sets, all by folds that keep specimens whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from sorby.classify.specimens.bags import Bags, Rows, inner_folds
from sorby.classify.specimens.carriers import carried, leave_one_out_change
from sorby.classify.specimens.pooling import RULES
from sorby.classify.specimens.scorers import PooledImages, Scorer, fit_scorer, scorer_from_arrays
from sorby.errors import InputError
from sorby.evidence import CrossConformal, conformal_from_arrays, fit_conformal, fit_temperature, softmax

Floats = npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[Any]]
Method = Literal["mean-probability", "max", "majority", "log-odds", "feature-mean", "attention"]
METHODS: tuple[Method, ...] = get_args(Method)
DESCRIPTIONS: Mapping[Method, str] = {
    "mean-probability": "mean of the images' probabilities",
    "max": "each class by its most convinced image",
    "majority": "votes of the images",
    "log-odds": "sum of the images' log-odds, as if they were independent",
    "feature-mean": "one linear head on the mean feature of the images",
    "attention": "gated attention pooling, taught (Ilse et al. 2018)",
}
#: Reason codes of a specimen's referral, in the order in which they are given.
_REASONS = ("set-several", "set-empty", "set-other")


@dataclass(frozen=True, eq=False)
class SpecimenVerdicts:
    """Verdicts on G specimens of N images.

    Attributes
    ----------
    probabilities : ndarray, shape (G, C)
        Calibrated.
    sets : ndarray of bool, shape (G, C)
    weights : ndarray, shape (N,)
        Attention, or the loss of the verdict's probability without the image.
    carried : ndarray of bool, shape (N,)
        The fewest images that hold half of the weight.
    reasons : list of tuple of str
        Why a person must look; empty where nobody must.
    """

    probabilities: Floats
    sets: npt.NDArray[np.bool_]
    weights: Floats
    carried: npt.NDArray[np.bool_]
    reasons: list[tuple[str, ...]]

    @property
    def labels(self) -> Rows:
        """Most probable class of each specimen, shape (G,)."""
        return np.asarray(self.probabilities.argmax(axis=1), np.intp)


@dataclass(frozen=True, eq=False)
class SpecimenModel:
    """A fitted and calibrated model.

    Attributes
    ----------
    method : str
    scorer : Scorer
        Taught by every specimen.
    by_fold : tuple of Scorer
        Taught without each fold; the sets need them.
    temperature : float
    conformal : CrossConformal
        CV+ sets over specimens.
    folds : ndarray of int, shape (G,)
        Fold of each taught specimen; empty after loading.
    cross_scores : ndarray, shape (G, C)
        What the fold that had not seen a specimen says of it; empty after loading.
    scarce : tuple of int
        Classes whose specimens lie in one fold: their calibration is by models that have not seen the class.
    """

    method: Method
    scorer: Scorer
    by_fold: tuple[Scorer, ...]
    temperature: float
    conformal: CrossConformal
    folds: Rows
    cross_scores: Floats
    scarce: tuple[int, ...] = ()

    def probabilities(self, bags: Bags) -> Floats:
        """Return calibrated probabilities (G, C)."""
        return softmax(self.scorer.scores(bags), self.temperature)

    def fold_probabilities(self, bags: Bags) -> Floats:
        """Return what each fold's model says, without the temperature, shape (K, G, C)."""
        return np.stack([softmax(scorer.scores(bags)) for scorer in self.by_fold])

    def verdicts(self, bags: Bags) -> SpecimenVerdicts:
        """Return the verdicts on some specimens."""
        p = self.probabilities(bags)
        sets = self.conformal.sets(self.fold_probabilities(bags))
        weights = self.scorer.attention(bags)
        if weights is None:
            weights = leave_one_out_change(bags, self.probabilities, p.argmax(axis=1))
        return SpecimenVerdicts(p, sets, weights, carried(weights, bags.index, bags.n), set_reasons(p, sets))

    def as_arrays(self) -> Arrays:
        """Return the arrays for a bundle, keys prefixed by their part."""
        found = {f"scorer.{key}": value for key, value in self.scorer.arrays().items()}
        for k, scorer in enumerate(self.by_fold):
            found |= {f"fold.{k}.{key}": value for key, value in scorer.arrays().items()}
        return found | {f"conformal.{key}": np.asarray(value) for key, value in self.conformal.as_arrays().items()}

    @classmethod
    def from_arrays(cls, method: Method, temperature: float, arrays: Mapping[str, npt.NDArray[Any]]) -> SpecimenModel:
        """Rebuild from what `as_arrays` returned.

        Raises
        ------
        InputError
            There is no such method, or an entry is missing.
        """
        if method not in METHODS:
            raise InputError(f"specimen method {method!r} is unknown", f"known: {', '.join(METHODS)}")

        def part(prefix: str) -> Arrays:
            return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}

        folds = sorted({int(key.split(".")[1]) for key in arrays if key.startswith("fold.")})
        conformal = conformal_from_arrays(part("conformal."))
        if not isinstance(conformal, CrossConformal) or conformal.n_folds != len(folds):
            raise InputError("the sets and the fold models of a specimen model do not fit together")
        return cls(
            method,
            scorer_from_arrays(method, part("scorer.")),
            tuple(scorer_from_arrays(method, part(f"fold.{k}.")) for k in folds),
            temperature,
            replace(conformal, unit="specimens"),  # judges of before there were units do not say it
            np.empty(0, np.intp),
            np.empty((0, 0)),
        )


def set_reasons(probabilities: Floats, sets: npt.NDArray[np.bool_]) -> list[tuple[str, ...]]:
    """Say for each specimen why its set sends it to a person; reason codes as for images."""
    size = sets.sum(axis=1)
    inside = np.take_along_axis(sets, probabilities.argmax(axis=1)[:, None], axis=1)[:, 0]
    flags = (size > 1, size == 0, (size == 1) & ~inside)
    return [tuple(name for name, flag in zip(_REASONS, flags, strict=True) if flag[k]) for k in range(len(sets))]


def fit_specimens(
    bags: Bags, n_classes: int, method: Method = "attention", *, alpha: float = 0.1, folds: int = 5, seed: int = 0
) -> SpecimenModel:
    """Teach and calibrate a specimen model by folds of whole specimens.

    Parameters
    ----------
    bags : Bags
        With labels; at least two specimens of two classes.
    n_classes : int
    method : str
        See `DESCRIPTIONS`.
    alpha : float
        Miscoverage of the sets; CV+ promises twice that.
    folds : int
    seed : int

    Returns
    -------
    SpecimenModel

    Raises
    ------
    InputError
        A specimen has no label, or there are too few to make folds of.
    """
    if (bags.labels < 0).any():
        raise InputError("a specimen without a label cannot be taught")
    if bags.n < 4 or len(np.unique(bags.labels)) < 2:
        raise InputError(
            f"{bags.n} specimens of {len(np.unique(bags.labels))} classes are too few to teach a verdict on specimens",
            "four specimens of two classes are the least",
        )
    part = inner_folds(bags.labels, min(folds, bags.n // 2), None, seed)
    n_folds = int(part.max()) + 1
    by_fold = tuple(fit_scorer(method, bags.take(part != k), n_classes, seed + k) for k in range(n_folds))
    return _calibrated(method, fit_scorer(method, bags, n_classes, seed), by_fold, part, bags, n_classes, alpha)


def pooled_otherwise(model: SpecimenModel, rule: str, bags: Bags) -> SpecimenModel:
    """Return the model with another rule over the same verdicts on images; nothing is taught again.

    Parameters
    ----------
    model : SpecimenModel
        Fresh from `fit_specimens` with one of `sorby.classify.specimens.pooling.RULES`.
    rule : str
    bags : Bags
        The specimens it was taught.

    Raises
    ------
    InputError
        It pools no verdicts on images, or was loaded and knows its folds no more.
    """
    scorers = (model.scorer, *model.by_fold)
    heads = [scorer for scorer in scorers if isinstance(scorer, PooledImages)]
    if rule not in RULES or len(heads) < len(scorers) or len(model.folds) != bags.n:
        raise InputError(f"a model by {model.method} cannot pool by {rule}", "teach it again")
    whole, *by_fold = (replace(head, rule=rule) for head in heads)
    method: Method = next(known for known in METHODS if known == rule)
    n_classes, alpha = model.cross_scores.shape[1], model.conformal.alpha
    return _calibrated(method, whole, tuple(by_fold), model.folds, bags, n_classes, alpha)


def _calibrated(
    method: Method, scorer: Scorer, by_fold: tuple[Scorer, ...], part: Rows, bags: Bags, n_classes: int, alpha: float
) -> SpecimenModel:
    """Choose temperature and sets on what each fold's model says of the specimens it had not seen."""
    cross = np.empty((bags.n, n_classes))
    for k, without in enumerate(by_fold):
        cross[part == k] = without.scores(bags.take(part == k))
    conformal = fit_conformal(softmax(cross), bags.labels, alpha, folds=part, unit="specimens")
    assert isinstance(conformal, CrossConformal)
    scarce = tuple(int(c) for c in np.unique(bags.labels) if len(np.unique(part[bags.labels == c])) < 2)
    return SpecimenModel(method, scorer, by_fold, fit_temperature(cross, bags.labels), conformal, part, cross, scarce)
