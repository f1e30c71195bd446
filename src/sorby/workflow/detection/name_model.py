"""Names for findings from a few that somebody named: a few-shot predictor, and when not to trust it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sorby.detect.described import Lessons
from sorby.detect.few_shot import fit_predictor
from sorby.detect.recipe import DetectRecipe, FewShotSection
from sorby.evidence import wilson
from sorby.workflow.detection.describing import Described

NOTHING = "nothing"
"""What a false alarm is called: the background class."""
UNKNOWN = "unknown"
"""What a finding is called that resembles none of the named ones."""

ERROR_RATE = 0.1
"""Share of wrong names that is aimed at among findings that are not called unsure, and of known kinds among those
called unknown."""
LEAST_FOR_THRESHOLD = 9
"""Named findings that can be judged, from which on the thresholds are taken from them."""

_FOLDS = 10
_COMPONENTS = 64
_LARGEST = 5.0  # deviations; one odd channel shall not decide
_LEAST_SPREAD = 1e-3
_TEACHING = FewShotSection(steps=120, learning_rate=0.02)

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]


def embedded(described: Described) -> Floats:
    """Return directions (n, D) in which findings are compared: standardised descriptions, the mean of the views.

    Each channel is standardised over all findings, named or not: what differs between them is what tells kinds apart.
    """
    flat = described.reshape(-1, described.shape[-1]).astype(np.float32)
    scaled = (described.astype(np.float32).mean(1) - flat.mean(0)) / np.maximum(flat.std(0), _LEAST_SPREAD)
    scaled = np.clip(scaled, -_LARGEST, _LARGEST)
    directions: Floats = scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-9)
    return directions


def compressed(rows: Floats) -> Floats:
    """Return directions (n, d) in their 64 principal components: nearly the same angles, quick to group."""
    if min(rows.shape) <= _COMPONENTS:
        return rows
    # The eigenvectors of the smaller of the two products; both have the same.
    spread, axes = np.linalg.eigh(rows.T @ rows if rows.shape[1] <= len(rows) else rows @ rows.T)
    spread, axes = spread[-_COMPONENTS:], axes[:, -_COMPONENTS:]
    found: Floats = rows @ axes if rows.shape[1] <= len(rows) else axes * np.sqrt(np.maximum(spread, 0))
    return found.astype(np.float32)


def name_probabilities(
    rows: Floats, named: Indices, labels: Indices, classes: int, *, seed: int = 0
) -> npt.NDArray[np.float64]:
    """Return how likely each name is for every finding, (n, classes), from the named ones.

    Parameters
    ----------
    rows : ndarray of float32, shape (n, d)
        See `embedded`.
    named, labels : ndarray of int, shape (m,)
        Which findings are named, and how, each name at least once.
    classes : int
        Names.
    seed : int
    """
    if classes == 1:
        return np.ones((len(rows), 1))
    values = torch.from_numpy(rows)
    chosen = torch.from_numpy(named)
    lessons = Lessons(values[chosen], torch.from_numpy(labels), torch.zeros(len(named), 4))
    recipe = DetectRecipe()
    predictor = fit_predictor(lessons, classes, 1, recipe.box, _TEACHING, seed=seed)
    with torch.inference_mode():
        logits = predictor.class_scores(values)[:, :classes]
        return torch.softmax(logits.double(), dim=1).numpy()


@dataclass(frozen=True, eq=False)
class Judged:
    """Named findings, each judged as if nobody had named it.

    Attributes
    ----------
    known : ndarray of bool, shape (m,)
        Whether others bear its name: a name that is held out with its only finding cannot be found again.
    right : ndarray of bool, shape (m,)
    score : ndarray of float64, shape (m,)
        Of the name it would get.
    near : ndarray of float64, shape (m,)
        Distance to the nearest other named finding; see `distances`.
    strange : ndarray of float64, shape (m,)
        Distance to the nearest one of another name: how far off it would be were its own name not known.
    """

    known: npt.NDArray[np.bool_]
    right: npt.NDArray[np.bool_]
    score: npt.NDArray[np.float64]
    near: npt.NDArray[np.float64]
    strange: npt.NDArray[np.float64]


def cross_fitted(rows: Floats, named: Indices, labels: Indices, classes: int, *, seed: int = 0) -> Judged:
    """Judge each named finding by what the others teach, in at most ten parts, each alone where there are no more."""
    counts = np.bincount(labels, minlength=classes)
    known = counts[labels] > 1
    # Findings of one name go to different parts, so that a name is lost to a part only with its last finding.
    place = np.lexsort((np.random.default_rng([seed, 2]).permutation(len(named)), labels))
    part = np.empty(len(named), np.intp)
    part[place] = np.arange(len(named)) % min(_FOLDS, len(named))
    right, score = np.zeros(len(named), bool), np.zeros(len(named))
    for each in np.unique(part) if classes > 1 else ():
        held, others = np.flatnonzero(part == each), np.flatnonzero(part != each)
        there, own = np.unique(labels[others], return_inverse=True)
        found = name_probabilities(rows, named[others], own, len(there), seed=seed)[named[held]]
        right[held] = there[found.argmax(1)] == labels[held]
        score[held] = found.max(1)
    if classes == 1:
        right[:], score[:] = True, 1.0
    apart = distances(rows[named], rows[named])
    np.fill_diagonal(apart, np.inf)
    near = apart.min(1)
    strange = np.where(labels[:, None] == labels[None], np.inf, apart).min(1)
    return Judged(known, right, score, near, strange)


def distances(rows: Floats, others: Floats) -> npt.NDArray[np.float64]:
    """Return one minus the cosine of all pairs of directions, (n, m)."""
    return np.asarray(1.0 - rows.astype(np.float64) @ others.astype(np.float64).T)


@dataclass(frozen=True)
class Limits:
    """From which score on a name is sure, and how far from all named ones a finding is unknown.

    Attributes
    ----------
    sure : float
        Infinite where nothing can be called sure.
    sure_right, sure_n : int
        Of the named findings that others would have given a name at or above it: how many rightly, and of how many.
    far : float
        Infinite where too few are named to tell.
    known_beyond, known_n : int
        Named findings farther than that from all others, and of how many.
    strange_beyond, strange_n : int
        Those that would have been called unknown had their own name not been given, and of how many.
    plain : bool
        Whether there were too few to set any.
    """

    sure: float
    sure_right: int
    sure_n: int
    far: float
    known_beyond: int
    known_n: int
    strange_beyond: int
    strange_n: int
    plain: bool

    def promise(self) -> list[str]:
        """Say what the limits were measured on, and what they do not promise."""
        if self.plain:
            return [
                f"none is called sure or unknown yet: that takes {LEAST_FOR_THRESHOLD} named findings that have another"
                " of their name to be judged by"
            ]
        low, high = wilson(self.sure_right, self.sure_n)
        return [
            f"sure from {self.sure:.3f} on: {self.sure_right} of {self.sure_n} named findings at or above it got their"
            f" right name from the others (95 % CI {100 * low:.0f} to {100 * high:.0f} %)"
            if self.sure_n
            else "none is called sure: it takes nine named findings whose names are found again without a slip, or 19"
            " with one, the highest scores first",
            f"unknown beyond a distance of {self.far:.2f}: so are {self.known_beyond} of {self.known_n} findings whose"
            f" name was given, and {self.strange_beyond} of {self.strange_n} whose name was held back",
            "measured on those you were asked for, without kinds of one finding: the rest fare worse, so look at some",
        ]


def limits(judged: Judged) -> Limits:
    """Set both limits from cross-fitted findings.

    A name is sure from the lowest score on at which (wrong + 1) / (all + 1) stays within a tenth: the correction of
    conformal risk control, without which the score that happens to look best would promise too much. It takes nine
    findings without a wrong name, or 19 with one. A finding is unknown beyond the distance that nine tenths of named
    findings stay within, a conformal quantile.

    References
    ----------
    A. N. Angelopoulos, S. Bates, A. Fisch, L. Lei, T. Schuster. Conformal risk control. ICLR 2024.
    """
    known = judged.known
    n = int(known.sum())
    if n < LEAST_FOR_THRESHOLD:
        return Limits(float("inf"), 0, 0, float("inf"), 0, n, 0, 0, True)
    order = np.argsort(-judged.score[known], kind="stable")
    score, right = judged.score[known][order], judged.right[known][order]
    share = (np.cumsum(~right) + 1) / (np.arange(1, n + 1) + 1)
    last = np.append(score[1:] < score[:-1], True)  # ties stay together
    good = np.flatnonzero((share <= ERROR_RATE + 1e-12) & last)
    sure = float(score[good[-1]]) if len(good) else float("inf")
    near = np.sort(judged.near[known])
    far = float(near[min(n, int(np.ceil((n + 1) * (1 - ERROR_RATE)))) - 1])
    above = score >= sure
    strange = judged.strange[np.isfinite(judged.strange)]
    return Limits(
        sure, int(right[above].sum()), int(above.sum()), far, int((near > far).sum()), n,
        int((strange > far).sum()), len(strange), False,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Naming:
    """Names for all findings.

    Attributes
    ----------
    classes : tuple of str
    probabilities : ndarray, shape (n, classes)
    label : list of str
        The name given by hand, the likeliest one, or `UNKNOWN`.
    score : ndarray of float64, shape (n,)
        Of the likeliest name; 1 for one given by hand.
    unsure : ndarray of bool, shape (n,)
        The name is a guess: its score is below the limit, or it is unknown.
    limits : Limits
    judged : Judged
    """

    classes: tuple[str, ...]
    probabilities: npt.NDArray[np.float64]
    label: list[str]
    score: npt.NDArray[np.float64]
    unsure: npt.NDArray[np.bool_]
    limits: Limits
    judged: Judged

    @property
    def accuracy(self) -> dict[str, Any]:
        """Cross-fitted share of right names among named findings that are not the only one of their name."""
        n = int(self.judged.known.sum())
        right = int((self.judged.right & self.judged.known).sum())
        return {
            "value": right / n if n else None,
            "ci95": list(wilson(right, n)) if n else None,
            "n": n,
            "right": right,
            "alone": int((~self.judged.known).sum()),
        }


def name_all(rows: Floats, given: dict[int, str], *, seed: int = 0) -> Naming:
    """Name every finding from a few named ones.

    Parameters
    ----------
    rows : ndarray of float32, shape (n, d)
        See `embedded`.
    given : dict of int to str
        Position of a finding to its name, at least one.
    seed : int
    """
    named = np.array(sorted(given), np.intp)
    classes = tuple(sorted(set(given.values())))
    labels = np.array([classes.index(given[int(k)]) for k in named], np.intp)
    found = name_probabilities(rows, named, labels, len(classes), seed=seed)
    judged = cross_fitted(rows, named, labels, len(classes), seed=seed)
    chosen = limits(judged)
    score = found.max(1)
    far = distances(rows, rows[named]).min(1) > chosen.far
    label = [UNKNOWN if out else classes[k] for out, k in zip(far, found.argmax(1), strict=True)]
    unsure = far | (score < chosen.sure)
    for k, name in given.items():
        label[k] = name
    score[named], unsure[named] = 1.0, False
    return Naming(classes, found, label, score, unsure, chosen, judged)
