"""What the raters' ratings say about the truth, and about the raters: Dawid and Skene's model.

Each item has one true class, each rater a confusion matrix, and given the truth ratings are independent. That last
assumption is the weak one: what misleads all raters at once (an image etched too deeply) looks like truth to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from sorby.errors import InputError
from sorby.evidence._types import FloatArray, IntArray

#: Imagined ratings of each true class before any real one: on the diagonal, at a neighbour, elsewhere.
SMOOTHING = (4.0, 1.0, 0.25)


@dataclass(frozen=True, eq=False)
class RaterModel:
    """A fitted rater model.

    Attributes
    ----------
    posterior : ndarray of float64, shape (n, C)
        Probability of each true class given the ratings; the prior where an item has none.
    confusion : ndarray of float64, shape (R, C, C)
        Probability that a rater says the column where the row is true.
    prior : ndarray of float64, shape (C,)
        Shares of the true classes.
    log_posterior : ndarray of float64, shape (iterations,)
        Log posterior density of the parameters (up to a constant) before each update; it never falls.
    iterations : int
        Updates done.
    converged : bool
        The posterior moved by less than the tolerance.
    """

    posterior: FloatArray
    confusion: FloatArray
    prior: FloatArray
    log_posterior: FloatArray
    iterations: int
    converged: bool

    @property
    def label(self) -> IntArray:
        """Most probable true class of each item, shape (n,)."""
        return np.asarray(self.posterior.argmax(axis=1), dtype=np.int64)

    @property
    def accuracy(self) -> FloatArray:
        """Expected accuracy of each rater on the classes as frequent as the prior says, shape (R,)."""
        return np.asarray(np.einsum("rcc,c->r", self.confusion, self.prior))


def _pseudo_counts(n_classes: int, smoothing: tuple[float, float, float], ordered: npt.ArrayLike | None) -> FloatArray:
    """Return the imagined ratings, shape (C, C).

    Neighbours are classes whose places differ by one on the same scale.
    """
    same, near, far = smoothing
    counts = np.full((n_classes, n_classes), far)
    if ordered is not None:
        scale = np.asarray(ordered)
        if scale.shape != (n_classes,):
            raise InputError(f"ordered names a scale for {scale.size} of {n_classes} classes")
        place = np.array([np.sum(scale[:c] == scale[c]) for c in range(n_classes)])
        neighbours = np.abs(np.subtract.outer(place, place)) == 1
        counts[neighbours & np.equal.outer(scale, scale)] = near
    np.fill_diagonal(counts, same)
    return counts


def _one_hot(ratings: npt.ArrayLike, n_classes: int) -> FloatArray:
    values = np.asarray(ratings)
    if values.ndim != 2 or values.dtype.kind not in "iuf":
        raise InputError(
            f"ratings of shape {values.shape} and type {values.dtype}",
            "give items x raters of class numbers, -1 or NaN for gaps; rating_table makes them",
        )
    codes = np.where(np.isnan(values.astype(np.float64)), -1, values).astype(np.int64)
    if codes.max(initial=-1) >= n_classes or codes.min(initial=0) < -1:
        raise InputError(f"a rating lies outside 0..{n_classes - 1}", "classes are numbered from 0; -1 is a gap")
    return np.asarray(codes[:, :, None] == np.arange(n_classes), dtype=np.float64)


def rater_model(
    ratings: npt.ArrayLike,
    n_classes: int,
    *,
    ordered: npt.ArrayLike | None = None,
    smoothing: tuple[float, float, float] = SMOOTHING,
    class_prior: npt.ArrayLike | None = None,
    prior_strength: float = 1.0,
    max_iterations: int = 200,
    tolerance: float = 1e-5,
) -> RaterModel:
    """Find the truth that explains the ratings best, and how each rater departs from it.

    Expectation maximisation, started from the votes; with Dirichlet priors, so that a rater of few ratings is
    thought to be mostly right instead of anything.

    Parameters
    ----------
    ratings : array_like of int, shape (n, R)
        Class numbers; -1 or NaN where a rater left an item out.
    n_classes : int
        Number of classes C.
    ordered : array_like, shape (C,), optional
        For ordered classes: the scale on which each lies, all zeros for one scale, such as the subtype of a
        structure code. Classes that follow each other on one scale are neighbours, confused more readily.
    smoothing : tuple of float
        Imagined ratings of a rater for each true class: right, at each neighbour, at each other class.
    class_prior : array_like, shape (C,), optional
        Shares of the true classes where known; estimated where None.
    prior_strength : float
        Imagined items of each class, for the estimate of the shares.
    max_iterations : int
    tolerance : float
        Largest change of any posterior probability at which it stops.

    Returns
    -------
    RaterModel
        `converged` says whether the tolerance was met.

    Raises
    ------
    InputError
        Ratings, scale or prior do not fit the number of classes, or a smoothing is not above 0.

    References
    ----------
    A. P. Dawid and A. M. Skene, Appl. Stat. 28 (1979) 20.
    """
    if min(*smoothing, prior_strength) <= 0:
        raise InputError("smoothing and prior_strength must be above 0", "zero would forbid a confusion for ever")
    hot = _one_hot(ratings, n_classes)
    n, raters, _ = hot.shape
    said = hot.reshape(n, raters * n_classes)
    pseudo = _pseudo_counts(n_classes, smoothing, ordered)
    known = None if class_prior is None else np.asarray(class_prior, dtype=np.float64)
    if known is not None and (known.shape != (n_classes,) or known.min() < 0 or not known.sum() > 0):
        raise InputError(f"class_prior needs {n_classes} shares, none below 0")
    votes = hot.sum(axis=1) + 1.0 / n_classes
    posterior = votes / votes.sum(axis=1, keepdims=True)
    history: list[float] = []
    converged = False
    confusion, prior = _maximise(posterior, said, pseudo, known, prior_strength)
    while len(history) < max_iterations and not converged:
        joint = np.log(confusion).transpose(1, 0, 2).reshape(n_classes, -1)  # (C, R * C)
        with np.errstate(divide="ignore"):
            log_prior = np.log(prior)  # a class known to be absent stays so
        scores = said @ joint.T + log_prior
        evidence = logsumexp(scores, axis=1, keepdims=True)
        updated = np.exp(scores - evidence)
        regular = float((pseudo * np.log(confusion)).sum())
        regular += prior_strength * float(log_prior.sum()) if known is None else 0.0
        history.append(float(evidence.sum()) + regular)
        converged = bool(np.abs(updated - posterior).max(initial=0.0) < tolerance)
        posterior = updated
        confusion, prior = _maximise(posterior, said, pseudo, known, prior_strength)
    return RaterModel(posterior, confusion, prior, np.array(history), len(history), converged)


def _maximise(
    posterior: FloatArray, said: FloatArray, pseudo: FloatArray, known: FloatArray | None, strength: float
) -> tuple[FloatArray, FloatArray]:
    """Return confusion matrices (R, C, C) and class shares (C,) that fit the posterior best."""
    classes = posterior.shape[1]
    counts = (posterior.T @ said).reshape(classes, -1, classes).transpose(1, 0, 2) + pseudo
    confusion = counts / counts.sum(axis=2, keepdims=True)
    if known is not None:
        return confusion, known / known.sum()
    prior = posterior.sum(axis=0) + strength
    return confusion, prior / prior.sum()
