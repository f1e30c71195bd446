"""Which images carried a specimen's verdict."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from sorby.classify.specimens.bags import Bags

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


def leave_one_out_change(bags: Bags, probabilities: Callable[[Bags], Floats], decided: Rows) -> Floats:
    """Return how much of its verdict's probability a specimen loses without each image.

    Parameters
    ----------
    bags : Bags
    probabilities : callable
        Bags to probabilities (G, C).
    decided : ndarray of int, shape (G,)
        Class of each specimen's verdict.

    Returns
    -------
    ndarray, shape (N,)
        Positive for images that speak for the verdict. The only image of a specimen carries all of it.
    """
    with_all = probabilities(bags)[np.arange(bags.n), decided]
    change = with_all[bags.index].copy()
    reduced, left_out = bags.without_each_image()
    if len(left_out):
        of = bags.index[left_out]
        without = probabilities(reduced)[np.arange(reduced.n), decided[of]]
        change[left_out] = with_all[of] - without
    return change


def carried(weights: npt.ArrayLike, index: Rows, n: int, share: float = 0.5) -> npt.NDArray[np.bool_]:
    """Mark the fewest images that hold a share of their specimen's weight, heaviest first.

    Parameters
    ----------
    weights : array_like, shape (N,)
        Attention, or the change by leaving the image out; negative ones speak against and never carry.
    index : ndarray of int, shape (N,)
        Specimen of each image.
    n : int
        Specimens.
    share : float

    Returns
    -------
    ndarray of bool, shape (N,)
        At least one image of each specimen.
    """
    held = np.maximum(np.asarray(weights, np.float64), 0.0)
    order = np.lexsort((-held, index))
    sorted_index = index[order]
    counts = np.bincount(index, minlength=n)
    starts = np.cumsum(counts) - counts
    running = np.cumsum(held[order])
    before = running - held[order]  # weight of the heavier images, over all specimens up to here
    offset = np.where(starts > 0, running[np.maximum(starts - 1, 0)], 0.0)
    total = np.bincount(index, weights=held, minlength=n)
    heavier = before - offset[sorted_index]
    chosen = heavier < share * total[sorted_index] * (1.0 - 1e-12)
    chosen[starts] = True
    marked = np.zeros(len(index), bool)
    marked[order] = chosen
    return marked
