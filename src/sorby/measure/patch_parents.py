"""Which patches come from one micrograph, where nobody says so: by overlap, and by likeness of neighbours in number.

Two patches that show the same field at some shift are of one parent. Two patches with successive numbers whose
colours agree as closely as those of overlapping ones are taken to be: patches are cut and numbered one micrograph
after another. Joining too much is the safe side for a split; a patch of a parent that neither rule links stays alone,
so groups are a lower bound of what belongs together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

OVERLAP_CORRELATION = 0.8
"""Correlation over the common area from which two patches overlap; chance stays below .7 with patches of 128 px."""

LIKE_COLOURS = 0.3
"""Distance of colour statistics, in standard deviations of the set, below which successive patches are of one parent.

Nine tenths of overlapping pairs lie below it."""

_REDUCE = 2
_COMMON = 0.3  # of the smaller patch
_MAX_DISTANCE = 0.5  # patches further apart in colour are not compared; 19 of 20 overlapping pairs are nearer
_BLOCK = 64

UInt8 = npt.NDArray[np.uint8]
Reals = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PatchParents:
    """Inferred groups of patches.

    Attributes
    ----------
    group : ndarray of int, (n,)
        Group of each patch, 0 .. G - 1.
    overlapping : int
        Pairs that overlap.
    alike : int
        Successive pairs joined by colour.
    """

    group: npt.NDArray[np.int64]
    overlapping: int
    alike: int

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return int(self.group.max()) + 1 if self.group.size else 0


def infer_parents(patches: Sequence[UInt8]) -> PatchParents:
    """Group patches by inferred parent micrograph.

    Parameters
    ----------
    patches : sequence of ndarray, (H, W, 3), uint8
        In the order of their numbers, all at one scale.

    Returns
    -------
    PatchParents
    """
    n = len(patches)
    colours = _colours(patches)
    spread = colours.std(axis=0) + 1e-6
    distance = np.sqrt((((colours[:, None] - colours[None]) / spread) ** 2).mean(axis=2))
    first, second = np.nonzero(np.triu(distance < _MAX_DISTANCE, 1))
    overlaps = _overlapping(patches, first, second)
    step = np.arange(n - 1)
    near = step[distance[step, step + 1] < LIKE_COLOURS]
    rows = np.concatenate([first[overlaps], near])
    cols = np.concatenate([second[overlaps], near + 1])
    graph = coo_matrix((np.ones(rows.size), (rows, cols)), shape=(n, n))
    _, group = connected_components(graph, directed=False)
    return PatchParents(group.astype(np.int64), int(overlaps.sum()), int(near.size))


def _colours(patches: Sequence[UInt8]) -> npt.NDArray[np.float64]:
    """Return mean and scatter of each channel, fine grain smoothed away, (n, 6)."""
    rows = []
    for patch in patches:
        smooth = ndimage.gaussian_filter(patch.astype(np.float32), (1.5, 1.5, 0))
        rows.append(np.concatenate([smooth.mean(axis=(0, 1)), smooth.std(axis=(0, 1))]))
    return np.asarray(rows, np.float64)


def _overlapping(
    patches: Sequence[UInt8], first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]
) -> npt.NDArray[np.bool_]:
    """Say for each pair whether at some shift the correlation of the common area reaches the limit."""
    fine = [_unshaded(patch) for patch in patches]
    if not first.size:
        return np.zeros(0, bool)
    side = fft.next_fast_len(int(1.7 * max(max(each.shape) for each in fine)), real=True)
    shape = (side, side)
    picture = np.stack([fft.rfft2(each, shape) for each in fine]).astype(np.complex64)
    square = np.stack([fft.rfft2(each**2, shape) for each in fine]).astype(np.complex64)
    frame = np.stack([fft.rfft2(np.ones_like(each), shape) for each in fine]).astype(np.complex64)
    areas = np.array([each.size for each in fine])
    found = np.zeros(first.size, bool)
    for begin in range(0, first.size, _BLOCK):
        a, b = first[begin : begin + _BLOCK], second[begin : begin + _BLOCK]
        product = fft.irfft2(picture[a].conj() * picture[b], shape)
        common = fft.irfft2(frame[a].conj() * frame[b], shape)
        energy = fft.irfft2(square[a].conj() * frame[b], shape) * fft.irfft2(frame[a].conj() * square[b], shape)
        enough = common >= _COMMON * np.minimum(areas[a], areas[b])[:, None, None]
        correlation = np.where(enough, product / np.sqrt(np.maximum(energy, 1.0)), -1.0)
        found[begin : begin + _BLOCK] = correlation.max(axis=(1, 2)) >= OVERLAP_CORRELATION
    return found


def _unshaded(patch: UInt8) -> Reals:
    """Return the grey patch at half size, shading subtracted, scatter 1."""
    grey = patch.astype(np.float32).mean(axis=2)
    rows, cols = (length // _REDUCE * _REDUCE for length in grey.shape)
    small = grey[:rows, :cols].reshape(rows // _REDUCE, _REDUCE, cols // _REDUCE, _REDUCE).mean(axis=(1, 3))
    fine = small - ndimage.gaussian_filter(small, 8)
    return np.asarray(fine / (fine.std() + 1e-3), np.float32)
