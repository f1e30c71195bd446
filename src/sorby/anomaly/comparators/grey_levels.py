"""The border of the comparators, and the two-sided scale on which they state scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.evidence._types import FloatArray

Uint8Image = npt.NDArray[np.uint8]


def good_images(images: Iterable[Uint8Image]) -> Iterator[Uint8Image]:
    """Yield the good images, checked.

    Raises
    ------
    InputError
        If there is none, or one is not 8-bit grey.
    """
    count = 0
    for image in images:
        yield grey(image, 2, f"good image {count}")
        count += 1
    if not count:
        raise InputError("no good image to learn from", "give a folder with at least one image without defects")


def grey(image: npt.NDArray[Any], axes: int, what: str) -> Uint8Image:
    """Return an 8-bit grey array of so many axes, or say what came instead."""
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != axes or not pixels.size:
        shape = "H x W" if axes == 2 else "N x H x W"
        raise InputError(f"{what}: 8-bit grey pixels {shape} expected, not {pixels.dtype} {pixels.shape}")
    return pixels


@dataclass(frozen=True)
class TwoSidedScale:
    """Where a quantity lies in good images: its median, and the levels beyond which only few pixels go.

    Attributes
    ----------
    centre : float
        Median.
    low, high : float
        Levels with the share `tail` of the good pixels at or beyond each.
    """

    centre: float
    low: float
    high: float

    @classmethod
    def from_counts(cls, counts: FloatArray, levels: FloatArray, tail: float) -> TwoSidedScale:
        """Find the scale in a histogram.

        Parameters
        ----------
        counts, levels : ndarray, shape (B,)
            Good pixels at each level, levels rising.
        tail : float
            Share of the good pixels beyond each side.
        """
        below = np.cumsum(counts) / counts.sum()
        place = np.searchsorted(below, [tail, 0.5, 1.0 - tail])
        low, centre, high = levels[np.minimum(place, levels.size - 1)]
        return cls(float(centre), float(low), float(high))

    def scores(self, values: npt.NDArray[Any], least: float) -> npt.NDArray[np.float32]:
        """Return how far values lie from the median, in distances from there to `low` or `high`; 1 is either level.

        Parameters
        ----------
        values : ndarray of float
        least : float
            The smallest distance taken as unit, for good images without any spread.
        """
        above = np.maximum(values - self.centre, 0) / max(self.high - self.centre, least)
        under = np.maximum(self.centre - values, 0) / max(self.centre - self.low, least)
        return np.asarray(np.maximum(above, under), dtype=np.float32)

    def as_array(self) -> FloatArray:
        """Return centre, low, high."""
        return np.array([self.centre, self.low, self.high])


def check_tail(tail: float) -> float:
    """Refuse a tail that is no share of the pixels on one side."""
    if not 0 < tail < 0.5:
        raise InputError(f"the share of good pixels beyond each side must lie between 0 and .5, not {tail}")
    return float(tail)
