"""Rules that make one verdict of the verdicts on single images."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

_LEAST = 1e-6  # a probability of zero would outvote all other images for ever


def _sums(values: Floats, index: Rows, n: int) -> Floats:
    found = np.zeros((n, values.shape[1]))
    np.add.at(found, index, values)
    return found


def _mean(p: Floats, index: Rows, n: int) -> Floats:
    return _sums(p, index, n) / np.bincount(index, minlength=n)[:, None]


def _max(p: Floats, index: Rows, n: int) -> Floats:
    found = np.zeros((n, p.shape[1]))
    np.maximum.at(found, index, p)
    return found


def _majority(p: Floats, index: Rows, n: int) -> Floats:
    votes = np.zeros_like(p)
    votes[np.arange(len(p)), p.argmax(axis=1)] = 1.0
    # Laplace's rule keeps a class without votes possible; the mean breaks ties.
    return np.asarray(_sums(votes, index, n) + 1.0 / p.shape[1] + 1e-3 * _mean(p, index, n), np.float64)


def _log_odds(p: Floats, index: Rows, n: int) -> Floats:
    total = _sums(np.log(np.maximum(p, _LEAST)), index, n)
    return np.asarray(np.exp(total - total.max(axis=1, keepdims=True)))


RULES: Mapping[str, Callable[[Floats, Rows, int], Floats]] = {
    "mean-probability": _mean,
    "max": _max,
    "majority": _majority,
    "log-odds": _log_odds,
}
"""Rules by name: image probabilities (N, C), specimen of each image (N,), number of specimens, to scores (G, C)."""


def pooled(probabilities: npt.ArrayLike, index: Rows, n: int, rule: str = "mean-probability") -> Floats:
    """Return the probabilities of each specimen by a rule.

    Parameters
    ----------
    probabilities : array_like, shape (N, C)
        Of the images.
    index : ndarray of int, shape (N,)
        Specimen of each image, 0 .. n - 1; every specimen has an image.
    n : int
    rule : {"mean-probability", "max", "majority", "log-odds"}
        Mean; largest of each class; share of votes, a class without votes counted as by Laplace; product, as if
        images were independent witnesses.

    Returns
    -------
    ndarray of float64, shape (n, C)
        Rows add up to one. Not calibrated: images of one specimen are no independent witnesses.

    Raises
    ------
    InputError
        There is no such rule.
    """
    if rule not in RULES:
        raise InputError(f"pooling rule {rule!r} is unknown", f"choose one of {', '.join(RULES)}")
    scores = RULES[rule](np.asarray(probabilities, np.float64), index, n)
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


def vote_of_sets(sets: npt.ArrayLike, index: Rows, n: int) -> npt.NDArray[np.bool_]:
    """Put the conformal sets of a specimen's images together: classes that more than half of them hold.

    If each image's set misses the truth with probability alpha at most, the voted set misses it with 2 alpha at most,
    however the images depend on each other.

    Parameters
    ----------
    sets : array_like of bool, shape (N, C)
    index : ndarray of int, shape (N,)
    n : int

    Returns
    -------
    ndarray of bool, shape (n, C)

    References
    ----------
    M. Gasparin and A. Ramdas, Merging uncertainty sets via majority vote, arXiv:2401.09379 (2024), theorem 2.1.
    """
    share = _mean(np.asarray(sets, np.float64), index, n)
    return np.asarray(share > 0.5)
