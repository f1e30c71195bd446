"""The order in which an epoch visits the images; a function of seed and epoch, so a resumed run repeats it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Order = npt.NDArray[np.intp]


def epoch_order(
    labels: npt.NDArray[np.intp], sampling: Literal["plain", "oversample", "weighted"], seed: int, epoch: int
) -> Order:
    """Return the positions that one epoch visits, in order.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    sampling : {"plain", "oversample", "weighted"}
        ``plain``: each image once. ``oversample``: each class as often as the largest, its images repeated as
        evenly as possible (Durmaz et al. 2023). ``weighted``: n draws with replacement, probability 1 / class
        count (Schmid et al.).
    seed, epoch : int
    """
    rng = np.random.default_rng([seed, epoch])
    if sampling == "plain":
        return rng.permutation(len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    if sampling == "weighted":
        weight = 1 / counts[np.searchsorted(classes, labels)]
        return rng.choice(len(labels), size=len(labels), p=weight / weight.sum())
    return rng.permutation(oversampled(labels, rng))


def oversampled(labels: npt.NDArray[np.intp], rng: np.random.Generator) -> Order:
    """Return positions in which every class present appears as often as the largest class."""
    classes, counts = np.unique(labels, return_counts=True)
    target = int(counts.max())
    parts = []
    for label in classes:
        members = np.flatnonzero(labels == label)
        whole, rest = divmod(target, len(members))
        parts.append(np.concatenate([np.tile(members, whole), rng.choice(members, size=rest, replace=False)]))
    return np.concatenate(parts)
