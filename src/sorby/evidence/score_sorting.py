"""Sorting the scores of very many pixels within the memory of one copy of them.

The cost of every figure over all pixels is here. Good pixels are one array, sorted in place. Defect pixels keep their
region, which travels through the sort in the lower half of a 64-bit key: sorting such keys is several times as fast as
sorting indices and gathering by them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.evidence._types import FloatArray, IntArray
from sorby.evidence.defect_regions import MappedImage, with_defects

_BLOCK = 1 << 20  # values at a time; bounds temporary memory and stays within the cache
_SIGN = np.uint32(1 << 31)


@dataclass(frozen=True, eq=False)
class DefectScores:
    """Distinct scores of defect pixels, falling.

    Attributes
    ----------
    values : ndarray of float, shape (U,)
    weight : ndarray of float64, shape (U,)
        Sum of the weights of the pixels of this score.
    share : ndarray of float64, shape (U,)
        Sum over these pixels of the weight divided by the size of their region.
    n_regions : float
        Sum of the weights of all regions.
    """

    values: npt.NDArray[Any]
    weight: FloatArray
    share: FloatArray
    n_regions: float


def defect_scores(images: Sequence[MappedImage], dtype: np.dtype[Any]) -> DefectScores:
    """Sort the scores of the defect pixels.

    Parameters
    ----------
    images : sequence of MappedImage
    dtype : dtype
        Floating type that holds the scores of all maps.

    Raises
    ------
    InputError
        If a score is not a number.
    """
    total = sum(int(np.count_nonzero(image.mask)) for image in images if image.mask is not None)
    scores, region = np.empty(total, dtype), np.empty(total, np.uint32)
    weights, sizes, at, n_regions = [np.zeros(0)], [np.zeros(0)], 0, 0
    for _, image, pixels in with_defects(images):
        end = at + pixels.scores.size
        scores[at:end], region[at:end] = pixels.scores, pixels.region + n_regions
        weights.append(np.full(pixels.sizes.size, image.weight))
        sizes.append(pixels.sizes.astype(np.float64))
        at, n_regions = end, n_regions + pixels.sizes.size
    if np.isnan(scores).any():
        raise _not_a_number()
    weight = np.concatenate(weights)
    share = weight / np.concatenate(sizes)
    ranked, region = _falling(scores, region)
    del scores
    starts = _first_of_equals(ranked)
    return DefectScores(
        values=ranked[starts],
        weight=_summed(weight, region, starts),
        share=_summed(share, region, starts),
        n_regions=float(weight.sum()),
    )


def good_scores(images: Sequence[MappedImage], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return the scores of the good pixels, rising.

    Parameters
    ----------
    images : sequence of MappedImage
    dtype : dtype

    Raises
    ------
    InputError
        If a score is not a number.
    """
    everything, at, n_defect = np.empty(sum(image.scores.size for image in images), dtype), 0, 0
    for image in images:
        here = everything[at : at + image.scores.size].reshape(image.scores.shape)
        here[:] = image.scores
        if image.mask is not None:
            # Sorted to the front and left out there, which is quicker than picking the good ones.
            np.copyto(here, -np.inf, where=image.mask)
            n_defect += int(np.count_nonzero(image.mask))
        at += image.scores.size
    everything.sort()
    good = everything[n_defect:]
    if good.size and np.isnan(good[-1]):  # sorting puts them at the end
        raise _not_a_number()
    return good


def add_ranks(
    rising: npt.NDArray[Any], values: npt.NDArray[Any], times: float, above: FloatArray, upto: FloatArray
) -> None:
    """Add how many of the *rising* numbers exceed, and reach, each value.

    Parameters
    ----------
    rising : ndarray of float, shape (N,)
    values : ndarray of float, shape (U,)
        Sorted either way, which makes it quick.
    times : float
        How often each of the numbers counts.
    above, upto : ndarray of float64, shape (U,)
        Added to, in place.
    """
    if not rising.size:
        return
    for part in blocks(values.size):
        asked = values[part]
        below = np.searchsorted(rising, asked, side="left")
        upto[part] += times * (rising.size - below)
        # Few defect scores occur among the good ones too; only these need the second search.
        equal = rising[np.minimum(below, rising.size - 1)] == asked
        below[equal] = np.searchsorted(rising, asked[equal], side="right")
        above[part] += times * (rising.size - below)


def blocks(size: int) -> Iterator[slice]:
    """Yield stretches of bounded length that cover *size* places."""
    for begin in range(0, size, _BLOCK):
        yield slice(begin, min(size, begin + _BLOCK))


def _falling(
    scores: npt.NDArray[Any], region: npt.NDArray[np.uint32]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint32]]:
    """Sort scores downwards and their regions with them."""
    if scores.dtype != np.float32:
        order = np.argsort(scores)[::-1]
        return scores[order], region[order]
    # As whole numbers, positive floats are in order and negative ones in reverse; -0 becomes 0, its equal.
    bits = (scores + np.float32(0)).view(np.uint32)
    rising = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    keys = np.left_shift((~rising).astype(np.uint64), np.uint64(32))
    keys |= region
    keys.sort()
    rising = ~(keys >> np.uint64(32)).astype(np.uint32)
    bits = np.where(rising & _SIGN, rising & ~_SIGN, ~rising)
    return bits.view(np.float32), keys.astype(np.uint32)  # the cast keeps the lower half


def _first_of_equals(ranked: npt.NDArray[Any]) -> IntArray:
    """Positions where a new value begins."""
    new = np.ones(ranked.size, dtype=bool)
    np.not_equal(ranked[1:], ranked[:-1], out=new[1:])
    return np.flatnonzero(new).astype(np.int64, copy=False)


def _summed(of_region: FloatArray, region: npt.NDArray[np.uint32], starts: IntArray) -> FloatArray:
    """Sum a number of each pixel's region over runs of equal scores."""
    of_pixel: FloatArray = of_region[region]
    return of_pixel if starts.size == region.size else np.add.reduceat(of_pixel, starts)


def _not_a_number() -> InputError:
    return InputError("a score map holds a score that is not a number", "score the image again")
