"""Conformal sets: the classes an image may well be, with a promise on how often the truth is inside.

Scores are LAC (one minus the probability) or APS (probability mass down to the class). Calibrated
on held-out images (split conformal, promise 1 - alpha) or on cross-fitted scores (CV+: each
fold's held-out images are compared with what *that fold's* model says of the new image; promise
1 - 2 alpha, usually about 1 - alpha). Marginal, or within each class (Mondrian).

The promise assumes exchangeable images. Images of one specimen are not; fold by specimen and
measure coverage by specimen. Where specimens are calibrated, one probability each, the promise is about
specimens, and says so (``unit``).

References
----------
M. Sadinle, J. Lei, L. Wasserman, J. Am. Stat. Assoc. 114 (2019): LAC.
Y. Romano, M. Sesia, E. Candès, NeurIPS 2020: APS and its CV+ form.
R. F. Barber et al., Ann. Stat. 49 (2021): CV+.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.evidence._types import Arrays, BoolArray, FloatArray, IntArray
from sorby.evidence.attainable import Attainability, conformal_rank, from_counts
from sorby.evidence.calibration import checked
from sorby.evidence.intervals import specimen_index

Method = Literal["lac", "aps"]
METHODS: tuple[Method, ...] = ("lac", "aps")
Unit = Literal["images", "specimens"]
"""What is judged, one set each."""
UNITS: tuple[Unit, ...] = ("images", "specimens")


def conformal_scores(
    probabilities: npt.ArrayLike, method: Method = "lac", u: npt.ArrayLike | None = None
) -> FloatArray:
    """Non-conformity of every class of every image; larger is stranger.

    Parameters
    ----------
    probabilities : array_like, shape (..., C)
    method : {"lac", "aps"}
        LAC: ``1 - p``. APS: total probability of the classes at least as probable (equal
        probabilities in class order), the class itself included.
    u : array_like, shape (...), optional
        Uniform numbers for randomised APS, which takes ``u * p`` off: exact instead of conservative
        coverage. Without it the score is deterministic.

    Returns
    -------
    ndarray of float64, shape (..., C)
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if method == "lac":
        return 1.0 - p
    if method != "aps":
        raise InputError(f"conformal method {method!r} is unknown", "choose lac or aps")
    order = np.argsort(-p, axis=-1, kind="stable")
    mass = np.cumsum(np.take_along_axis(p, order, axis=-1), axis=-1)
    scores = np.empty_like(p)
    np.put_along_axis(scores, order, mass, axis=-1)
    if u is not None:
        scores -= np.asarray(u, dtype=np.float64)[..., None] * p
    return scores


@dataclass(frozen=True, eq=False)
class SplitConformal:
    """Sets calibrated on held-out images.

    Attributes
    ----------
    alpha : float
    method : {"lac", "aps"}
    class_conditional : bool
    randomised : bool
        Randomised APS.
    thresholds : ndarray, shape (C,)
        A class is in the set if its score is at most this; infinite where images are too few.
    class_counts : ndarray of int, shape (C,)
        Calibration images of each class.
    n_specimens : int
        Specimens among the calibration images.
    unit : {"images", "specimens"}
        What was calibrated; images in the lines above stands for it.
    """

    alpha: float
    method: Method
    class_conditional: bool
    randomised: bool
    thresholds: FloatArray
    class_counts: IntArray
    n_specimens: int
    unit: Unit = "images"

    @property
    def n(self) -> int:
        """Calibration images."""
        return int(self.class_counts.sum())

    @property
    def guaranteed_coverage(self) -> float:
        """The promise, 1 - alpha."""
        return 1.0 - self.alpha

    @property
    def guarantee(self) -> str:
        """The promise in words."""
        scope = "within each class" if self.class_conditional else f"over all {self.unit}"
        return (
            f"coverage of at least {self.guaranteed_coverage:.4g} {scope} (split conformal, exchangeable {self.unit})"
        )

    @property
    def attainability(self) -> Attainability:
        """Whether the calibration images suffice for the level."""
        counts = self.class_counts if self.class_conditional else None
        return from_counts(self.alpha, self.n, self.n_specimens, counts, self.unit)

    def sets(self, probabilities: npt.ArrayLike, u: npt.ArrayLike | None = None, seed: int = 0) -> BoolArray:
        """Return the set of each image.

        Parameters
        ----------
        probabilities : array_like, shape (N, C)
        u : array_like, shape (N,), optional
            Uniform numbers for randomised APS; by default drawn from *seed*, so that they depend on
            the place in the batch. Pass numbers derived from the image to be independent of it.
        seed : int

        Returns
        -------
        ndarray of bool, shape (N, C)
            A set may be empty: no class fits; that is a reason to refer the image.
        """
        p = np.asarray(probabilities, dtype=np.float64)
        _fits(p, 2, self.thresholds.size)
        noise = _noise(u, p.shape[0], seed) if self.randomised else None
        inside: BoolArray = conformal_scores(p, self.method, noise) <= self.thresholds
        # A probability that is not a number says nothing; every class stays possible.
        return _or_silent(inside, np.isnan(p.sum(axis=1)))

    def as_arrays(self) -> Arrays:
        """Return plain arrays for a bundle."""
        return _header(self) | {"thresholds": self.thresholds}


@dataclass(frozen=True, eq=False)
class CrossConformal:
    """Sets calibrated on cross-fitted scores (CV+).

    Class y is in the set if ``sum_k #{i in fold k: s_i < s(x, y; model k)} < (1 - alpha)(n + 1)``;
    within each class only its own calibration images count.

    Attributes
    ----------
    alpha, method, class_conditional, randomised, class_counts, n_specimens, unit
        As in `SplitConformal`.
    scores : ndarray, shape (n,)
        Calibration scores, fold by fold, within a fold class by class, each run rising. Marginal
        sets hold one run a fold.
    runs : ndarray of int, shape (K, R)
        Length of each run; R is the number of classes, or 1 for marginal sets.
    """

    alpha: float
    method: Method
    class_conditional: bool
    randomised: bool
    scores: FloatArray
    runs: IntArray
    class_counts: IntArray
    n_specimens: int
    unit: Unit = "images"

    @property
    def n(self) -> int:
        """Calibration images."""
        return int(self.scores.size)

    @property
    def n_folds(self) -> int:
        """Number of folds K."""
        return int(self.runs.shape[0])

    @property
    def guaranteed_coverage(self) -> float:
        """1 - 2 alpha less the finite-sample term of K folds (Barber et al. 2021, theorem 4).

        Within each class the term is that of the class with the fewest images.
        """
        folds, n = self.n_folds, self.n
        if self.class_conditional:
            held = self.class_counts[self.class_counts > 0]
            n = int(held.min()) if held.size else 0
        if n == 0:
            return 0.0
        term = min(2.0 * (1.0 - 1.0 / folds) / (n / folds + 1.0), (1.0 - folds / n) / (folds + 1.0))
        return max(0.0, 1.0 - 2.0 * self.alpha - max(0.0, term))

    @property
    def guarantee(self) -> str:
        """The promise in words."""
        scope = "within each class" if self.class_conditional else f"over all {self.unit}"
        return (
            f"coverage of at least 1 - 2 alpha = {1.0 - 2.0 * self.alpha:.4g} {scope}, "
            f"{self.guaranteed_coverage:.4g} with the finite-sample term; usually near "
            f"{1.0 - self.alpha:.4g} (CV+, {self.n_folds} folds, exchangeable {self.unit})"
        )

    @property
    def attainability(self) -> Attainability:
        """Whether the calibration images suffice for the level."""
        counts = self.class_counts if self.class_conditional else None
        return from_counts(self.alpha, self.n, self.n_specimens, counts, self.unit)

    def sets(self, probabilities: npt.ArrayLike, u: npt.ArrayLike | None = None, seed: int = 0) -> BoolArray:
        """Return the set of each image.

        Parameters
        ----------
        probabilities : array_like, shape (K, N, C)
            What the model of each fold says, folds in the order of the calibration.
        u : array_like, shape (N,), optional
            Uniform numbers for randomised APS, as in `SplitConformal.sets`.
        seed : int

        Returns
        -------
        ndarray of bool, shape (N, C)
        """
        p = np.asarray(probabilities, dtype=np.float64)
        _fits(p, 3, self.class_counts.size)
        if p.shape[0] != self.n_folds:
            raise InputError(f"{self.n_folds} fold models were calibrated, probabilities of {p.shape[0]} given")
        noise = _noise(u, p.shape[1], seed) if self.randomised else None
        below = np.zeros(p.shape[1:], dtype=np.int64)
        ends = np.cumsum(self.runs.ravel()).reshape(self.runs.shape)
        for k in range(self.n_folds):
            candidate = conformal_scores(p[k], self.method, noise)
            for r in range(self.runs.shape[1]):
                run = self.scores[ends[k, r] - self.runs[k, r] : ends[k, r]]
                columns = slice(r, r + 1) if self.class_conditional else slice(None)
                below[:, columns] += np.searchsorted(run, candidate[:, columns], side="left")
        return _or_silent(np.less(below, self._ranks()), np.isnan(p.sum(axis=(0, 2))))

    def _ranks(self) -> IntArray:
        """Least number of smaller calibration scores that puts a class out, shape (C,)."""
        counts = self.class_counts if self.class_conditional else np.full(self.class_counts.size, self.n)
        return np.array([conformal_rank(self.alpha, int(count)) for count in counts], dtype=np.int64)

    def as_arrays(self) -> Arrays:
        """Return plain arrays for a bundle."""
        return _header(self) | {"scores": self.scores, "runs": self.runs}


def fit_conformal(
    probabilities: npt.ArrayLike,
    labels: npt.ArrayLike,
    alpha: float = 0.1,
    *,
    method: Method = "lac",
    class_conditional: bool = False,
    folds: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
    randomised: bool = False,
    seed: int = 0,
    unit: Unit = "images",
) -> SplitConformal | CrossConformal:
    """Calibrate conformal sets.

    Parameters
    ----------
    probabilities : array_like, shape (N, C)
        Of images the model has not learnt from. With *folds*: each row from the model of the fold that
        held the image out, calibrated exactly as at test time.
    labels : array_like of int, shape (N,)
    alpha : float
        Level; sets miss the truth at most this often (split), twice this often (CV+).
    method : {"lac", "aps"}
    class_conditional : bool
        Keep the level within each class.
    folds : array_like of int, shape (N,), optional
        Fold that held each image out; gives CV+ over the fold models in rising order of fold number.
    groups : array_like, shape (N,), optional
        Specimens, for the statement on attainability.
    randomised : bool
        Randomised APS; only with ``method="aps"``.
    seed : int
        Seed of the randomisation.
    unit : {"images", "specimens"}
        What a row is, for the promise in words.

    Returns
    -------
    SplitConformal or CrossConformal

    Raises
    ------
    InputError
        If shapes do not fit, a probability is not finite, alpha is outside 0..1, a specimen lies in
        several folds, or randomised LAC is asked for.
    """
    p, codes = checked(probabilities, labels)
    if not 0.0 < alpha < 1.0:
        raise InputError(f"alpha must lie between 0 and 1, not {alpha:g}")
    if not np.all(np.isfinite(p)):
        raise InputError("conformal sets cannot be calibrated on probabilities that are not finite")
    if randomised and method != "aps":
        raise InputError("only APS can be randomised", "use method='aps' or randomised=False")
    noise = _noise(None, codes.size, seed) if randomised else None
    own = conformal_scores(p, method, noise)[np.arange(codes.size), codes]
    counts = np.bincount(codes, minlength=p.shape[1]).astype(np.int64)
    index, n_specimens = specimen_index(groups, codes.size)
    if folds is None:
        thresholds = _thresholds(own, codes, counts, alpha, class_conditional)
        return SplitConformal(alpha, method, class_conditional, randomised, thresholds, counts, n_specimens, unit)
    _, fold = np.unique(np.asarray(folds), return_inverse=True)
    if fold.shape != codes.shape:
        raise InputError(f"{codes.size} images but folds of shape {fold.shape}")
    if np.unique(index * (fold.max() + 1) + fold).size > n_specimens:
        raise InputError("a specimen lies in several folds", "fold by specimen")
    run = codes if class_conditional else np.zeros_like(codes)
    n_runs = p.shape[1] if class_conditional else 1
    order = np.lexsort((own, run, fold))
    runs = np.bincount(fold * n_runs + run, minlength=(fold.max() + 1) * n_runs).reshape(-1, n_runs)
    return CrossConformal(
        alpha, method, class_conditional, randomised, own[order], runs.astype(np.int64), counts, n_specimens, unit
    )


def conformal_from_arrays(arrays: Arrays) -> SplitConformal | CrossConformal:
    """Rebuild conformal sets from what `as_arrays` returned.

    Parameters
    ----------
    arrays : dict of str to ndarray

    Returns
    -------
    SplitConformal or CrossConformal

    Raises
    ------
    InputError
        If an entry is missing.
    """
    try:
        alpha = float(arrays["alpha"][0])
        code, conditional, randomised = (int(flag) for flag in arrays["kind"])
        counts = np.asarray(arrays["class_counts"], dtype=np.int64)
        n_specimens = int(arrays["n_specimens"][0])
        method = METHODS[code]
        unit = UNITS[int(arrays["unit"][0])] if "unit" in arrays else UNITS[0]
        if "thresholds" in arrays:
            thresholds = np.asarray(arrays["thresholds"], dtype=np.float64)
            return SplitConformal(
                alpha, method, bool(conditional), bool(randomised), thresholds, counts, n_specimens, unit
            )
        scores = np.asarray(arrays["scores"], dtype=np.float64)
        runs = np.asarray(arrays["runs"], dtype=np.int64)
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(f"conformal parameters are incomplete or damaged: {error}") from error
    return CrossConformal(alpha, method, bool(conditional), bool(randomised), scores, runs, counts, n_specimens, unit)


def _thresholds(
    own: FloatArray, codes: IntArray, counts: IntArray, alpha: float, class_conditional: bool
) -> FloatArray:
    """Conformal quantile for each class; infinite where it does not exist."""

    def quantile(scores: FloatArray) -> float:
        rank = conformal_rank(alpha, scores.size)
        return float(np.sort(scores)[rank - 1]) if rank <= scores.size else math.inf

    if not class_conditional:
        return np.full(counts.size, quantile(own))
    return np.array([quantile(own[codes == c]) for c in range(counts.size)])


def _or_silent(inside: BoolArray, silent: BoolArray) -> BoolArray:
    """Complete the sets of images about which the model says nothing."""
    sets: BoolArray = inside | silent[:, None]
    return sets


def _noise(u: npt.ArrayLike | None, n: int, seed: int) -> FloatArray:
    """Uniform numbers, one an image."""
    if u is None:
        return np.random.default_rng(seed).random(n)
    given = np.asarray(u, dtype=np.float64)
    if given.shape != (n,):
        raise InputError(f"{n} images but {given.shape} random numbers")
    return given


def _fits(probabilities: FloatArray, ndim: int, n_classes: int) -> None:
    """Refuse probabilities of another shape than calibrated."""
    if probabilities.ndim != ndim or probabilities.shape[-1] != n_classes:
        layout = "(images, classes)" if ndim == 2 else "(folds, images, classes)"
        raise InputError(f"probabilities {layout} of {n_classes} classes expected, got {probabilities.shape}")


def _header(sets: SplitConformal | CrossConformal) -> Arrays:
    """Return what both kinds store; arrays of one entry, since some formats hold no scalars."""
    # Images go unsaid, so that what is written of them stays as it was before there were units.
    unit = {} if sets.unit == "images" else {"unit": np.array([UNITS.index(sets.unit)], dtype=np.int64)}
    return unit | {
        "alpha": np.array([sets.alpha]),
        "kind": np.array(
            [METHODS.index(sets.method), int(sets.class_conditional), int(sets.randomised)], dtype=np.int64
        ),
        "class_counts": sets.class_counts,
        "n_specimens": np.array([sets.n_specimens], dtype=np.int64),
    }
