"""Training on labels that are not all right: leave the contradicted ones out, or share the doubtful ones out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from cleanlab.filter import find_label_issues

from sorby.classify.heads import Examples, FittedHead
from sorby.classify.recipe import HeadSection, LabelsSection
from sorby.errors import InputError
from sorby.evidence import softmax

Labels = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

_LEAST_SHARE = 0.02  # of an image that an example stands for
_NEAR, _RIGHT = 0.5, 2.0  # pseudo-counts of a rater's confusion: spread over all classes, and on the diagonal


@dataclass(frozen=True, eq=False)
class Ratings:
    """What people said of some images.

    Attributes
    ----------
    raters : tuple of str
    codes : ndarray of int, shape (n, R)
        Class that each rater gave; -1 where none.
    """

    raters: tuple[str, ...]
    codes: Labels

    def take(self, rows: Labels) -> Ratings:
        """Return the ratings of some images."""
        return Ratings(self.raters, self.codes[rows])


def confident_examples(probabilities: Floats, labels: Labels) -> tuple[Examples, Labels]:
    """Leave out the images whose label confident learning finds wrong (Northcutt et al. 2021, prune by noise rate).

    Parameters
    ----------
    probabilities : ndarray, shape (n, C)
        Cross-fitted: of each image by a model that has not seen it.
    labels : ndarray of int, shape (n,)

    Returns
    -------
    kept : Examples
        Every other image; a class is never left without half of its images.
    left_out : ndarray of int
        Rows.
    """
    present, inside = np.unique(labels, return_inverse=True)
    own = probabilities[:, present] / probabilities[:, present].sum(axis=1, keepdims=True)
    ranked = find_label_issues(
        inside, own, filter_by="prune_by_noise_rate", return_indices_ranked_by="self_confidence", n_jobs=1
    )
    room = np.bincount(labels, minlength=probabilities.shape[1]) // 2
    out = []
    for row in ranked:
        if room[labels[row]] > 0:
            room[labels[row]] -= 1
            out.append(int(row))
    kept = np.ones(len(labels), bool)
    kept[out] = False
    return Examples.of(labels).take(kept), np.array(sorted(out), np.intp)


def rater_confusion(codes: Labels, belief: Floats) -> Floats:
    """Return P(rating | class) of every rater, shape (R, C, C), from beliefs about the classes (n, C).

    Pseudo-counts keep a rater of few images near the diagonal.
    """
    raters, n_classes = codes.shape[1], belief.shape[1]
    found = np.full((raters, n_classes, n_classes), _NEAR / n_classes) + _RIGHT * np.eye(n_classes)
    for r in range(raters):
        rated = codes[:, r] >= 0
        np.add.at(found[r].T, codes[rated, r], belief[rated])
    return np.asarray(found / found.sum(axis=2, keepdims=True))


def believe(probabilities: Floats, ratings: Ratings, confusion: Floats) -> Floats:
    """Return P(class | image, ratings), shape (n, C): Bayes' rule with the model's probabilities as prior."""
    log = np.log(np.maximum(probabilities, 1e-9))
    for r in range(ratings.codes.shape[1]):
        said = ratings.codes[:, r]
        rated = said >= 0
        log[rated] += np.log(confusion[r][:, said[rated]].T)
    return softmax(log)


def shared_out(belief: Floats) -> Examples:
    """Return one example for each class that an image may be of, weighted by the belief in it."""
    image, label = np.nonzero(belief >= _LEAST_SHARE)
    return Examples(image.astype(np.intp), label.astype(np.intp), belief[image, label])


Learn = Callable[..., FittedHead]


@dataclass(frozen=True, eq=False)
class Doubted:
    """A head taught by labels that were believed as far as the recipe says.

    Attributes
    ----------
    fitted : FittedHead
    examples : Examples
        What it was taught in the end.
    notes : dict
        What was doubted; empty where labels are believed.
    """

    fitted: FittedHead
    examples: Examples
    notes: dict[str, Any]

    def believed(self, n: int) -> tuple[Labels, Labels]:
        """Return the rows, of *n*, that teach anything, and the most believed class of each."""
        share = np.zeros((n, int(self.examples.label.max()) + 1))
        np.add.at(share, (self.examples.image, self.examples.label), self.examples.weight)
        rows = np.flatnonzero(share.any(axis=1))
        return rows, share[rows].argmax(axis=1)


def learn_from_doubtful(
    learn: Learn, section: HeadSection, labels_section: LabelsSection, labels: Labels, ratings: Callable[[], Ratings]
) -> Doubted:
    """Fit a head, believing the labels as far as the recipe says.

    ``raters`` alternates between a head taught by what is believed and beliefs from cross-fitted scores, ratings
    and each rater's confusion (the EM algorithm of Raykar et al. 2010 with a cross-fitted classifier, so that the
    head never confirms what it has learnt by heart).

    Parameters
    ----------
    learn : callable
        Takes ``section`` and ``examples`` and returns a fitted head.
    section : HeadSection
    labels_section : LabelsSection
    labels : ndarray of int, shape (n,)
    ratings : callable
        Returns the ratings; called only where they are used.

    """
    first = learn(section=section)
    # What is taught again differs in some labels: the strengths chosen the first time are tried, no others.
    section = section.model_copy(update={"c_grid": tuple(sorted(set(first.c.values())))})
    if labels_section.noise == "none":
        return Doubted(first, Examples.of(labels), {})
    if labels_section.noise == "confident":
        examples, out = confident_examples(softmax(first.cross_logits), labels)
        fitted = learn(section=section, examples=examples) if len(out) else first
        return Doubted(fitted, examples, {"method": "confident", "left_out": len(out)})
    rated = ratings()
    if not (rated.codes >= 0).any():
        raise InputError("labels.noise=raters, but nobody rated anything", "add columns rating_..., or column rater")
    # Beliefs start from what images say to a model that has not seen them: starting from the labels, each would
    # confirm itself.
    fitted, belief = first, softmax(first.cross_logits)
    for _ in range(labels_section.rounds):
        belief = believe(softmax(fitted.cross_logits), rated, rater_confusion(rated.codes, belief))
        fitted = learn(section=section, examples=shared_out(belief))
    changed = int((belief.argmax(axis=1) != labels).sum())
    confusion = rater_confusion(rated.codes, belief)
    agree = {name: float(np.mean(np.diag(confusion[r]))) for r, name in enumerate(rated.raters)}
    notes = {
        "method": "raters",
        "rounds": labels_section.rounds,
        "believed_otherwise": changed,
        "ratings": int((rated.codes >= 0).sum()),
        "mean_recall_of_rater": agree,
    }
    return Doubted(fitted, shared_out(belief), notes)
