"""What was used before networks: intensity, local intensity, likeness to a baseline patch.

A figure of a learned detector means little beside nothing. These three know only grey values; where one of them does as
well, no network is needed. All have the same face: `fit` on good images, `maps` of any, larger means more anomalous,
about 1 where good images end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt

from sorby.anomaly.comparators.adaptive_threshold import AdaptiveThreshold
from sorby.anomaly.comparators.intensity_threshold import IntensityThreshold
from sorby.anomaly.comparators.patch_similarity import PatchSimilarity
from sorby.errors import InputError
from sorby.evidence._types import Arrays

__all__ = [
    "COMPARATORS",
    "AdaptiveThreshold",
    "Comparator",
    "IntensityThreshold",
    "PatchSimilarity",
    "comparator_from_arrays",
]


class Comparator(Protocol):
    """A classical detector: it learns from good images and maps how strange each pixel is."""

    name: ClassVar[str]

    def fit(self, images: Iterable[npt.NDArray[np.uint8]]) -> Self:
        """Learn from good images, each (H, W), one at a time; returns itself."""
        ...

    def maps(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Map images (N, H, W) to scores (N, H, W)."""
        ...

    def arrays(self) -> Arrays:
        """Return all that was set and learned, for storing."""
        ...

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Return the comparator that `arrays` describes."""
        ...


COMPARATORS: dict[str, type[Comparator]] = {
    kind.name: kind for kind in (IntensityThreshold, AdaptiveThreshold, PatchSimilarity)
}
"""By name."""


def comparator_from_arrays(name: str, arrays: Arrays) -> Comparator:
    """Return a stored comparator.

    Parameters
    ----------
    name : str
        Its `name`.
    arrays : dict of str to ndarray
        Its `arrays()`.

    Raises
    ------
    InputError
        If no comparator has this name, or an array is missing.
    """
    if name not in COMPARATORS:
        raise InputError(f"unknown comparator {name!r}", f"use one of {', '.join(COMPARATORS)}")
    try:
        return COMPARATORS[name].from_arrays(arrays)
    except KeyError as error:
        raise InputError(f"the stored comparator {name} lacks the array {error}") from None
