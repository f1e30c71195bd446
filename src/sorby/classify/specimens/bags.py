"""Bags: the images of each specimen, whose label is the specimen's."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.corpus import splits
from sorby.errors import InputError, SorbyWarning
from sorby.evidence import specimen_index

Features = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Bags:
    """Images and the specimens they belong to.

    Attributes
    ----------
    features : ndarray of float32, shape (N, D)
    index : ndarray of int, shape (N,)
        Specimen of each image, 0 .. G - 1; every specimen has an image.
    labels : ndarray of int, shape (G,)
        Class of each specimen; -1 where unknown.
    """

    features: Features
    index: Rows
    labels: Rows

    @classmethod
    def of(
        cls, features: Features, specimens: npt.ArrayLike | None, labels: npt.ArrayLike | None = None
    ) -> tuple[Bags, Rows]:
        """Put images together by specimen.

        Parameters
        ----------
        features : ndarray, shape (N, D)
        specimens : array_like, shape (N,), optional
            An image without a specimen is one by itself.
        labels : array_like of int, shape (N,), optional
            Class of each image.

        Returns
        -------
        bags : Bags
        first : ndarray of int, shape (G,)
            An image of each specimen, to look its name up.

        Raises
        ------
        InputError
            Images of one specimen have different labels.
        """
        index, n = specimen_index(specimens, len(features))
        _, first = np.unique(index, return_index=True)
        if labels is None:
            return cls(features, index.astype(np.intp), np.full(n, -1, np.intp)), first
        codes = np.asarray(labels, dtype=np.intp)
        own = codes[first]
        if (mixed := np.flatnonzero(own[index] != codes)).size:
            name: Any = mixed[0] if specimens is None else np.asarray(specimens)[mixed[0]]
            raise InputError(f"specimen {name} has images of two classes", "mend its labels or leave it out")
        return cls(features, index.astype(np.intp), own), first

    @property
    def n(self) -> int:
        """Specimens."""
        return len(self.labels)

    @property
    def sizes(self) -> Rows:
        """Images of each specimen, shape (G,)."""
        return np.bincount(self.index, minlength=self.n)

    def take(self, specimens: npt.NDArray[Any]) -> Bags:
        """Return some specimens, numbered anew in the given order (numbers or a mask)."""
        chosen = np.flatnonzero(specimens) if specimens.dtype == bool else np.asarray(specimens, np.intp)
        place = np.full(self.n, -1, np.intp)
        place[chosen] = np.arange(len(chosen))
        inside = place[self.index] >= 0
        return Bags(self.features[inside], place[self.index[inside]], self.labels[chosen])

    def images(self, chosen: npt.NDArray[np.bool_]) -> tuple[Bags, Rows]:
        """Return the bags of some images only; specimens that lose all of them go.

        Returns
        -------
        bags : Bags
        kept : ndarray of int
            Numbers of the specimens that are left, in order.
        """
        kept = np.unique(self.index[chosen])
        place = np.full(self.n, -1, np.intp)
        place[kept] = np.arange(len(kept))
        return Bags(self.features[chosen], place[self.index[chosen]], self.labels[kept]), kept

    def feature_means(self) -> Features:
        """Return the mean feature of each specimen, shape (G, D)."""
        order = np.argsort(self.index, kind="stable")
        starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        sums = np.add.reduceat(self.features[order].astype(np.float64), starts, axis=0)
        return (sums / self.sizes[:, None]).astype(np.float32)

    def without_each_image(self) -> tuple[Bags, Rows]:
        """Return, for each image of a specimen with several, its specimen without it, as bags of their own.

        Returns
        -------
        bags : Bags
            One a left-out image.
        left_out : ndarray of int
            Which image each of them lacks.
        """
        left_out = np.flatnonzero(self.sizes[self.index] > 1)
        order = np.argsort(self.index, kind="stable")
        starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        lengths = self.sizes[self.index[left_out]]
        bag = np.repeat(np.arange(len(left_out)), lengths)
        within = np.arange(len(bag)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        member = order[np.repeat(starts[self.index[left_out]], lengths) + within]
        kept = member != left_out[bag]
        labels = self.labels[self.index[left_out]]
        return Bags(self.features[member[kept]], bag[kept], labels), left_out


def inner_folds(labels: npt.ArrayLike, k: int, groups: npt.ArrayLike | None, seed: int) -> Rows:
    """Return folds within taught specimens, without a word on classes that one fold holds alone.

    They choose a strength or a calibration; the model that gives verdicts has seen all of these specimens. Which
    classes they were too few for, a fitted model says (`sorby.classify.specimens.SpecimenModel.scarce`).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SorbyWarning)
        return np.asarray(splits.kfold(labels, k, groups=groups, seed=seed))
