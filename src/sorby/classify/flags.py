"""Warnings beside a verdict: the origin is not in view, residue hides the surface, a class needs an expert's eye.

A flag refers; it never changes the label. Which flags a bundle gives, and at which thresholds, is stored with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.classify.heads.logistic import Examples, Linear, choose_logistic, one_fit_a_core
from sorby.classify.specimens.bags import inner_folds
from sorby.errors import InputError
from sorby.evidence import Estimate, share, softmax

Floats = npt.NDArray[np.float64]
Features = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

FLAGS: Mapping[str, str] = {
    "origin-not-in-view": "the picture does not look like those that show a fracture origin",
    "contaminated": "the surface looks like those under residue, or stains cover more of it than the stated share",
    "low-magnification-only": "a cause that needs an expert's eye is named from low magnification alone",
    "rare-class-unsure": "the rare class is less probable than its wanted precision asks for",
}
"""Reason codes of flags and what they mean."""

_C_GRID = (1e-4, 1e-3, 1e-2, 1e-1)
_FOLDS = 5


@dataclass(frozen=True)
class FlagRules:
    """When flags are given.

    Attributes
    ----------
    dark_share, bright_share : float
        Stained shares of the surface from which a picture is contaminated.
    low_magnification : float
        Up to it a magnification counts as low.
    expert_classes : tuple of str
        Classes whose verdict from low magnification alone goes to an expert.
    rare_class : str
        Class under precision control; empty for none.
    rare_threshold : float
        Least probability of that class for a call.
    """

    dark_share: float = 0.06
    bright_share: float = 0.06
    low_magnification: float = 250.0
    expert_classes: tuple[str, ...] = ()
    rare_class: str = ""
    rare_threshold: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the rules fit for JSON."""
        return {
            "dark_share": self.dark_share,
            "bright_share": self.bright_share,
            "low_magnification": self.low_magnification,
            "expert_classes": list(self.expert_classes),
            "rare_class": self.rare_class,
            "rare_threshold": self.rare_threshold if np.isfinite(self.rare_threshold) else None,
        }

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> FlagRules:
        """Rebuild from what `as_dict` returned; a threshold that nothing reached is infinite."""
        threshold = entry["rare_threshold"]
        return cls(
            float(entry["dark_share"]),
            float(entry["bright_share"]),
            float(entry["low_magnification"]),
            tuple(entry["expert_classes"]),
            str(entry["rare_class"]),
            np.inf if threshold is None else float(threshold),
        )


@dataclass(frozen=True, eq=False)
class FlagHead:
    """Tells pictures that deserve a flag from others, by the classifier's features.

    Attributes
    ----------
    linear : Linear
        Two classes: to be flagged, in order.
    threshold : float
        Probability of "in order" below which a picture is flagged.
    sensitivity : Estimate
        Share of the pictures that deserve it that were flagged, cross-fitted.
    specificity : Estimate
        Share of the pictures in order that were not.
    """

    linear: Linear
    threshold: float
    sensitivity: Estimate
    specificity: Estimate

    def flagged(self, features: Features) -> Mask:
        """Say which pictures are flagged, shape (N,)."""
        return np.asarray(softmax(self.linear(features))[:, 1] < self.threshold)

    def figures(self) -> dict[str, Any]:
        """Return how well it does, fit for JSON."""
        return {"sensitivity": self.sensitivity.as_dict(), "specificity": self.specificity.as_dict()}


def fit_flag_head(
    features: Features,
    in_order: npt.ArrayLike,
    groups: npt.ArrayLike | None,
    *,
    specificity: float = 0.95,
    seed: int = 0,
) -> FlagHead:
    """Teach the head of a flag on pictures of which it is known (phantoms, or an expert's marks).

    Parameters
    ----------
    features : ndarray, shape (N, D)
    in_order : array_like of bool, shape (N,)
        Whether the picture shows the origin, or is clean.
    groups : array_like, shape (N,), optional
        Specimens; folds keep them whole.
    specificity : float
        Wanted share of pictures in order that are not flagged; the threshold is chosen for it on cross-fitted
        probabilities.
    seed : int

    Returns
    -------
    FlagHead
        Sensitivity and specificity are counted on pictures of specimens that the scoring fold had not seen; the
        threshold itself was chosen on them, so the specificity is the wanted one by choice. Intervals are by specimen
        where specimens are known.

    Raises
    ------
    InputError
        There are too few pictures of either kind.
    """
    truth = np.asarray(in_order, dtype=bool)
    if min(truth.sum(), (~truth).sum()) < 2 * _FOLDS:
        raise InputError(
            f"{int(truth.sum())} pictures in order and {int((~truth).sum())} others are too few to learn it",
            f"{2 * _FOLDS} of each are the least",
        )
    labels = truth.astype(np.intp)
    folds = inner_folds(labels, _FOLDS, groups, seed)
    if min(len(np.unique(folds[truth])), len(np.unique(folds[~truth]))) < 2:
        raise InputError("pictures of one kind come from too few specimens", "add specimens that show it")
    # Both kinds count alike, however many there are of each.
    weights = np.where(truth, 0.5 / truth.mean(), 0.5 / (~truth).mean())
    examples = Examples(np.arange(len(labels)), labels, weights)
    with one_fit_a_core() as pool:
        chosen = choose_logistic(features, examples, 2, folds, _C_GRID, pool)
    p = np.empty(len(labels))
    for k, model in enumerate(chosen.by_fold):
        p[folds == k] = softmax(model(features[folds == k]))[:, 1]
    threshold = float(np.quantile(p[truth], 1.0 - specificity, method="lower"))
    flagged = p < threshold
    return FlagHead(
        chosen.model,
        threshold,
        _noted(share(flagged[~truth], _of(groups, ~truth), seed), "cross-fitted, specimens whole"),
        _noted(share(~flagged[truth], _of(groups, truth), seed), "cross-fitted; the threshold was chosen for it"),
    )


def _of(groups: npt.ArrayLike | None, kept: Mask) -> npt.NDArray[Any] | None:
    return None if groups is None else np.asarray(groups)[kept]


def _noted(found: Estimate, note: str) -> Estimate:
    return replace(found, note="; ".join(part for part in (note, found.note) if part))


def image_flags(
    labels: Sequence[str],
    rules: FlagRules,
    *,
    dark_share: Floats,
    bright_share: Floats,
    magnification: Floats,
    taught: Mapping[str, Mask] | None = None,
) -> list[tuple[str, ...]]:
    """Return the flags of each image, in the order of `FLAGS`.

    Parameters
    ----------
    labels : sequence of str, length N
        Verdicts.
    rules : FlagRules
    dark_share, bright_share : ndarray, shape (N,)
        Stained shares.
    magnification : ndarray, shape (N,)
        NaN where unknown; then nothing is said of it.
    taught : mapping of str to ndarray of bool, optional
        Flags that a `FlagHead` gave, by code; for residue they take the place of the stained shares.
    """
    n, given = len(labels), taught or {}
    needs_expert = np.array([label in rules.expert_classes for label in labels], bool)
    stained = (dark_share >= rules.dark_share) | (bright_share >= rules.bright_share)
    found = {
        "origin-not-in-view": given.get("origin-not-in-view", np.zeros(n, bool)),
        "contaminated": given.get("contaminated", stained),
        "low-magnification-only": needs_expert & (magnification <= rules.low_magnification),
    }
    return [tuple(code for code, flag in found.items() if flag[k]) for k in range(n)]


def specimen_flags(
    probabilities: Floats,
    classes: Sequence[str],
    rules: FlagRules,
    index: npt.NDArray[np.intp],
    of_images: Sequence[Sequence[str]],
    carried: npt.NDArray[np.bool_],
    magnification: Floats,
) -> list[tuple[str, ...]]:
    """Return the flags of each specimen.

    The origin is not in view if no image shows it. A specimen is contaminated if every image that carried its verdict
    is. A class that needs an expert is named from low magnification alone if all images that carried it are low.

    Parameters
    ----------
    probabilities : ndarray, shape (G, C)
    classes : sequence of str
    rules : FlagRules
    index : ndarray of int, shape (N,)
        Specimen of each image.
    of_images : sequence of sequence of str, length N
        Flags of the images.
    carried : ndarray of bool, shape (N,)
    magnification : ndarray, shape (N,)
    """
    n = len(probabilities)

    def all_of(condition: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        counted = np.bincount(index[among], minlength=n)
        return np.asarray((np.bincount(index[among & condition], minlength=n) == counted) & (counted > 0), bool)

    blind = np.array(["origin-not-in-view" in flags for flags in of_images], bool)
    dirty = np.array(["contaminated" in flags for flags in of_images], bool)
    low = magnification <= rules.low_magnification
    labels = probabilities.argmax(axis=1)
    needs_expert = np.array([classes[label] in rules.expert_classes for label in labels], bool)
    rare = np.zeros(n, bool)
    if rules.rare_class:
        code = list(classes).index(rules.rare_class)
        rare = (labels == code) & (probabilities[:, code] < rules.rare_threshold)
    everywhere = np.ones(len(index), bool)
    found = {
        "origin-not-in-view": all_of(blind, everywhere),
        "contaminated": all_of(dirty, carried),
        "low-magnification-only": needs_expert & all_of(low, carried),
        "rare-class-unsure": rare,
    }
    return [tuple(code for code, flag in found.items() if flag[k]) for k in range(n)]
