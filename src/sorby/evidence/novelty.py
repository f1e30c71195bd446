"""Is this image like anything the model was taught? Distances, scores and conformal p-values.

Every score is larger for stranger images. `novelty` of a verdict is the smallest of the conformal
p-values of RMDS and GEN and, where neighbours are kept, of the distance to them, Bonferroni-corrected: small means
strange.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from sorby.errors import InputError
from sorby.evidence._types import Arrays, FloatArray
from sorby.evidence.attainable import enough_for, needed
from sorby.evidence.mahalanobis import RMDS, cross_fit_rmds

__all__ = [
    "RMDS",
    "NearestNeighbours",
    "NoveltyCalibration",
    "combined_p",
    "conformal_p",
    "cross_conformal_p",
    "cross_fit_neighbours",
    "cross_fit_rmds",
    "energy",
    "gen_score",
    "msp_score",
]


#: Shares of the level that RMDS, neighbours and GEN get where all three are combined. GEN says little of images that
#: are strange without being ambiguous, and an equal share would cost the two distances power.
SHARES_OF_LEVEL = (0.45, 0.45, 0.1)


def gen_score(probabilities: npt.ArrayLike, gamma: float = 0.1, top: int | None = None) -> FloatArray:
    """Generalised entropy of the probabilities.

    Parameters
    ----------
    probabilities : array_like, shape (..., C)
    gamma : float
        Exponent in (0, 1); small weighs the tail of small probabilities.
    top : int, optional
        Only the so many largest probabilities (the paper's M); default all.

    Returns
    -------
    ndarray of float64, shape (...)
        sum_c p^gamma (1 - p)^gamma.

    References
    ----------
    X. Liu, Y. Lochman, C. Zach, "GEN: pushing the limits of softmax-based out-of-distribution
    detection", CVPR 2023.
    """
    p = np.clip(np.asarray(probabilities, dtype=np.float64), 0.0, 1.0)
    if top is not None and top < p.shape[-1]:
        p = np.partition(p, p.shape[-1] - top, axis=-1)[..., -top:]
    score: FloatArray = ((p * (1.0 - p)) ** gamma).sum(axis=-1)
    return score


def energy(logits: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
    """Free energy of the logits, -T log sum exp(z / T).

    Parameters
    ----------
    logits : array_like, shape (..., C)
    temperature : float

    Returns
    -------
    ndarray of float64, shape (...)

    References
    ----------
    W. Liu et al., "Energy-based out-of-distribution detection", NeurIPS 2020.
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    return np.asarray(-temperature * logsumexp(scaled, axis=-1))


def msp_score(probabilities: npt.ArrayLike) -> FloatArray:
    """One minus the maximum softmax probability.

    Parameters
    ----------
    probabilities : array_like, shape (..., C)

    Returns
    -------
    ndarray of float64, shape (...)

    References
    ----------
    D. Hendrycks and K. Gimpel, ICLR 2017.
    """
    return np.asarray(1.0 - np.asarray(probabilities, dtype=np.float64).max(axis=-1))


@dataclass(frozen=True, eq=False)
class NearestNeighbours:
    """Distance to the k-th nearest taught image on the unit sphere of features.

    Attributes
    ----------
    bank : ndarray of float32, shape (M, D)
        Normalised features of taught images, a seeded sample of at most ``max_bank``.
    k : int
        Which neighbour.

    References
    ----------
    Y. Sun et al., "Out-of-distribution detection with deep nearest neighbors", ICML 2022.
    """

    bank: npt.NDArray[np.float32]
    k: int

    @classmethod
    def fit(cls, features: npt.ArrayLike, k: int = 10, max_bank: int = 2000, seed: int = 0) -> NearestNeighbours:
        """Keep normalised features.

        Parameters
        ----------
        features : array_like, shape (N, D)
        k : int
            Capped at the size of the bank.
        max_bank : int
            Features kept; bounds size and time.
        seed : int
            Of the sample.

        Returns
        -------
        NearestNeighbours
        """
        x = np.asarray(features)
        if x.ndim != 2 or x.shape[0] == 0:
            raise InputError(f"features (images, dimensions) expected, got shape {x.shape}")
        if x.shape[0] > max_bank:
            x = x[np.sort(np.random.default_rng(seed).choice(x.shape[0], max_bank, replace=False))]
        return cls(_on_sphere(x).astype(np.float32), min(k, x.shape[0]))

    def score(self, features: npt.ArrayLike) -> FloatArray:
        """Euclidean distance to the k-th nearest, 0 to 2.

        Parameters
        ----------
        features : array_like, shape (N, D)

        Returns
        -------
        ndarray of float64, shape (N,)
        """
        x = _on_sphere(np.asarray(features)).astype(np.float32)
        out = np.empty(x.shape[0])
        for start in range(0, x.shape[0], 4096):
            cosine = x[start : start + 4096] @ self.bank.T
            kth = -np.partition(-cosine, self.k - 1, axis=1)[:, self.k - 1]
            out[start : start + 4096] = np.sqrt(np.maximum(2.0 - 2.0 * kth.astype(np.float64), 0.0))
        return out

    def as_arrays(self) -> Arrays:
        """Return plain arrays for a bundle."""
        return {"bank": self.bank, "k": np.array([self.k], dtype=np.int64)}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> NearestNeighbours:
        """Rebuild from what `as_arrays` returned."""
        return cls(np.asarray(arrays["bank"], dtype=np.float32), int(arrays["k"][0]))


def conformal_p(calibration: npt.ArrayLike, scores: npt.ArrayLike) -> FloatArray:
    """Conformal p-value of each score: (1 + #{calibration >= score}) / (n + 1).

    A score that is not a number gets the smallest p-value: what cannot be judged is strange.

    Parameters
    ----------
    calibration : array_like, shape (n,)
        Scores of taught-like images the detector has not learnt from.
    scores : array_like, shape (N,)

    Returns
    -------
    ndarray of float64, shape (N,)
        For images like the calibration images at most alpha with probability at most alpha.

    References
    ----------
    S. Bates et al., "Testing for outliers with conformal p-values", Ann. Stat. 51 (2023).
    """
    return _p_value([np.sort(np.asarray(calibration, dtype=np.float64))], np.asarray(scores, np.float64)[None])


def cross_conformal_p(calibration: npt.ArrayLike, folds: npt.ArrayLike, scores: npt.ArrayLike) -> FloatArray:
    """Conformal p-value from cross-fitted scores: fold k's scores against what detector k says.

    Parameters
    ----------
    calibration : array_like, shape (n,)
        Score of each calibration image by the detector of the fold that held it out.
    folds : array_like of int, shape (n,)
        That fold.
    scores : array_like, shape (K, N)
        Scores of the new images by each fold's detector, in rising order of fold number.

    Returns
    -------
    ndarray of float64, shape (N,)
        At most alpha with probability at most about 2 alpha, usually alpha.

    References
    ----------
    V. Vovk, "Cross-conformal predictors", Ann. Math. Artif. Intell. 74 (2015).
    """
    values, fold = np.asarray(calibration, dtype=np.float64), np.asarray(folds)
    new = np.asarray(scores, dtype=np.float64)
    names = np.unique(fold)
    if new.ndim != 2 or new.shape[0] != names.size:
        raise InputError(f"scores of {names.size} fold detectors expected, got shape {new.shape}")
    return _p_value([np.sort(values[fold == name]) for name in names], new)


def cross_fit_neighbours(
    features: npt.ArrayLike, folds: npt.ArrayLike, k: int = 10, max_bank: int = 2000, seed: int = 0
) -> FloatArray:
    """Score each image by its distance to the neighbours among the other folds.

    Parameters
    ----------
    features : array_like, shape (N, D)
    folds : array_like of int, shape (N,)
        Fold of each image; whole specimens, or an image finds its own specimen.
    k, max_bank, seed
        As for `NearestNeighbours.fit`.

    Returns
    -------
    ndarray of float64, shape (N,)
    """
    x, fold = np.asarray(features), np.asarray(folds)
    scores = np.empty(x.shape[0])
    for name in np.unique(fold):
        held_out = fold == name
        scores[held_out] = NearestNeighbours.fit(x[~held_out], k, max_bank, seed).score(x[held_out])
    return scores


def combined_p(p_rmds: npt.ArrayLike, p_gen: npt.ArrayLike, p_neighbours: npt.ArrayLike | None = None) -> FloatArray:
    """Bonferroni: twice the smaller p-value; of three, each divided by its share of the level. At most 1.

    Parameters
    ----------
    p_rmds, p_gen : array_like, shape (N,)
    p_neighbours : array_like, shape (N,), optional
        Combined with `SHARES_OF_LEVEL`, fixed beforehand, so that the level is kept as with equal shares.

    Returns
    -------
    ndarray of float64, shape (N,)
    """
    if p_neighbours is None:
        return np.minimum(1.0, 2.0 * np.minimum(p_rmds, p_gen))
    of_rmds, of_neighbours, of_gen = SHARES_OF_LEVEL
    distances = np.minimum(np.asarray(p_rmds) / of_rmds, np.asarray(p_neighbours) / of_neighbours)
    return np.asarray(np.minimum(1.0, np.minimum(distances, np.asarray(p_gen) / of_gen)))


@dataclass(frozen=True, eq=False)
class NoveltyCalibration:
    """Turns RMDS and GEN scores, and distances to neighbours where they are kept, into the `novelty` of a verdict.

    Attributes
    ----------
    rmds, gen : ndarray, shape (n,)
        Rising scores of calibration images by detectors that had not learnt from them.
    cross_fitted : bool
        Whether they come from cross-fitting. Compared with the scores of one detector taught on all
        images, the level is then kept approximately (each fold's detector knew a little less, which
        errs towards calling too little novel); on held-out images it is kept exactly.
    neighbours : ndarray, shape (n,), or None
        The same of `NearestNeighbours`; None where only RMDS and GEN are combined.
    """

    rmds: FloatArray
    gen: FloatArray
    cross_fitted: bool = False
    neighbours: FloatArray | None = None

    @classmethod
    def fit(
        cls,
        rmds: npt.ArrayLike,
        gen: npt.ArrayLike,
        cross_fitted: bool = False,
        neighbours: npt.ArrayLike | None = None,
    ) -> NoveltyCalibration:
        """Keep the calibration scores.

        Parameters
        ----------
        rmds, gen : array_like, shape (n,)
        cross_fitted : bool
        neighbours : array_like, shape (n,), optional

        Returns
        -------
        NoveltyCalibration

        Raises
        ------
        InputError
            If they differ in number, are empty or not finite.
        """
        a, b = np.asarray(rmds, dtype=np.float64), np.asarray(gen, dtype=np.float64)
        c = a if neighbours is None else np.asarray(neighbours, dtype=np.float64)
        if a.shape != b.shape or a.shape != c.shape or a.ndim != 1 or a.size == 0:
            raise InputError(f"novelty needs all scores of the same images: {a.shape}, {b.shape}, {c.shape} given")
        if not all(np.all(np.isfinite(each)) for each in (a, b, c)):
            raise InputError("novelty cannot be calibrated on scores that are not finite")
        return cls(np.sort(a), np.sort(b), cross_fitted, None if neighbours is None else np.sort(c))

    @property
    def n(self) -> int:
        """Calibration images."""
        return int(self.rmds.size)

    def novelty(self, rmds: npt.ArrayLike, gen: npt.ArrayLike, neighbours: npt.ArrayLike | None = None) -> FloatArray:
        """p-value of "like the taught images", all scores combined; small means strange.

        Parameters
        ----------
        rmds, gen : array_like, shape (N,)
        neighbours : array_like, shape (N,), optional
            Needed where, and only where, the calibration holds them.

        Returns
        -------
        ndarray of float64, shape (N,)
            Not below ``2 / (n + 1)``, with neighbours not below ``1 / (.45 (n + 1))``.

        Raises
        ------
        InputError
            Distances to neighbours are given and not calibrated, or the other way round.
        """
        if (neighbours is None) != (self.neighbours is None):
            raise InputError("novelty was calibrated with other scores", "give the scores it was calibrated with")
        p_neighbours = None
        if self.neighbours is not None and neighbours is not None:
            p_neighbours = conformal_p(self.neighbours, neighbours)
        return combined_p(conformal_p(self.rmds, rmds), conformal_p(self.gen, gen), p_neighbours)

    def shortage(self, alpha: float) -> str:
        """Say if no image can ever be called novel at level *alpha*; empty if it can.

        Parameters
        ----------
        alpha : float

        Returns
        -------
        str
        """
        # The most generous share decides what can be reached: 1 / tests of the level.
        level, tests = (alpha, 2) if self.neighbours is None else (alpha * SHARES_OF_LEVEL[0], 1)
        if enough_for(level, self.n, tests=tests):
            return ""
        return (
            f"novelty at level {alpha:g} needs {needed(level, tests=tests)} calibration images, "
            f"{self.n} are there: no image can be called novel"
        )

    def as_arrays(self) -> Arrays:
        """Return plain arrays for a bundle."""
        flag = np.array([int(self.cross_fitted)], dtype=np.int64)
        found: Arrays = {"rmds": self.rmds, "gen": self.gen, "cross_fitted": flag}
        return found if self.neighbours is None else found | {"neighbours": self.neighbours}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> NoveltyCalibration:
        """Rebuild from what `as_arrays` returned."""
        return cls.fit(arrays["rmds"], arrays["gen"], bool(arrays["cross_fitted"][0]), arrays.get("neighbours"))


def _p_value(runs: list[FloatArray], scores: FloatArray) -> FloatArray:
    """Pool the counts of calibration scores at least as large over folds."""
    n = sum(run.size for run in runs)
    above = np.ones(scores.shape[1], dtype=np.int64)
    for run, new in zip(runs, scores, strict=True):
        # searchsorted puts NaN last, so that nothing counts as being at least as strange.
        above += run.size - np.searchsorted(run, new, side="left")
    return np.asarray(above / (n + 1.0))


def _on_sphere(features: npt.NDArray[np.generic]) -> FloatArray:
    """Scale each row to length one."""
    x = features.astype(np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x / np.where(length > 0, length, 1.0))
