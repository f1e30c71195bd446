"""Connected defect regions of masks, and the border where score maps and masks come in together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sorby.errors import InputError
from sorby.evidence._types import BoolArray, FloatArray, IntArray

#: Score maps, one (h, w) array an image; larger means more anomalous. Sizes may differ between images.
Maps = Sequence[npt.NDArray[np.floating[Any]]]
#: Ground truth, one boolean (h, w) array an image; None (or all False) for a good image.
Masks = Sequence[BoolArray | None]

_EIGHT = np.ones((3, 3), dtype=bool)  # diagonal neighbours belong together


@dataclass(frozen=True, eq=False)
class MappedImage:
    """One score map with its truth, checked.

    Attributes
    ----------
    scores : ndarray of float, shape (h, w)
    mask : ndarray of bool, shape (h, w), or None
        None where nothing is defective.
    weight : float
        How often the image counts.
    """

    scores: npt.NDArray[Any]
    mask: BoolArray | None
    weight: float


def paired(maps: Maps, masks: Masks, weights: npt.ArrayLike | None = None) -> list[MappedImage]:
    """Put maps, masks and weights together, or say in which image they do not fit.

    Parameters
    ----------
    maps : sequence of ndarray of float, each shape (h, w)
    masks : sequence of ndarray of bool, each shape (h, w), or None for a good image
    weights : array_like, shape (N,), optional
        How often each image counts; once where not given.

    Returns
    -------
    list of MappedImage
        A mask without any defect pixel becomes None.

    Raises
    ------
    InputError
        Different numbers of maps, masks and weights, a mask of another size or of another type than bool, a map
        that is not two-dimensional or is empty, or a weight that is negative or not finite.
    """
    if len(maps) != len(masks):
        raise InputError(f"{len(maps)} score maps but {len(masks)} masks", "give None for the mask of a good image")
    if not len(maps):
        raise InputError("no score map to judge")
    counted = np.ones(len(maps)) if weights is None else np.asarray(weights, dtype=np.float64)
    if counted.shape != (len(maps),):
        raise InputError(f"{len(maps)} score maps but weights of shape {counted.shape}")
    if not (np.isfinite(counted).all() and (counted >= 0).all()):
        raise InputError("a weight is negative or not a number")
    return [_pair(k, maps[k], masks[k], float(counted[k])) for k in range(len(maps))]


def _pair(k: int, scores: npt.NDArray[Any], mask: BoolArray | None, weight: float) -> MappedImage:
    values = np.asarray(scores)
    if values.ndim != 2 or not values.size:
        raise InputError(f"image {k}: a score map has the shape h x w, not {values.shape}")
    if mask is None:
        return MappedImage(values, None, weight)
    truth = np.asarray(mask)
    if truth.dtype != np.bool_:
        raise InputError(f"image {k}: a mask is boolean, not {truth.dtype}", "compare a drawn mask with 0 first")
    if truth.shape != values.shape:
        raise InputError(
            f"image {k}: the score map has {values.shape} pixels but its mask {truth.shape}",
            "bring both to the size of the image first",
        )
    return MappedImage(values, truth if truth.any() else None, weight)


@dataclass(frozen=True, eq=False)
class DefectPixels:
    """The defect pixels of one image in one order, and the regions they make up.

    Attributes
    ----------
    scores : ndarray of float, shape (P,)
        Score of each defect pixel.
    region : ndarray of int64, shape (P,)
        Number of its 8-connected region, 0 .. K - 1.
    sizes : ndarray of int64, shape (K,)
        Pixels of each region.
    """

    scores: npt.NDArray[Any]
    region: IntArray
    sizes: IntArray

    def overlaps(self, threshold: float) -> FloatArray:
        """Return the share of each region that scores *threshold* or more, shape (K,)."""
        hit = np.bincount(self.region[self.scores >= threshold], minlength=self.sizes.size)
        return np.asarray(hit / self.sizes, dtype=np.float64)


def defect_pixels(image: MappedImage) -> DefectPixels:
    """Take the defect pixels of an image apart into 8-connected regions.

    Parameters
    ----------
    image : MappedImage
        With a mask.
    """
    assert image.mask is not None, "a good image has no defect pixels"
    box = bounding_box(image.mask)
    mask = image.mask[box]
    labels, count = label_regions(mask)
    region = labels[mask].astype(np.int64) - 1
    return DefectPixels(image.scores[box][mask], region, np.bincount(region, minlength=count).astype(np.int64))


def label_regions(mask: BoolArray) -> tuple[npt.NDArray[np.int32], int]:
    """Label the 8-connected regions of a mask.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)

    Returns
    -------
    labels : ndarray of int32, shape (h, w)
        0 outside, 1 .. K inside.
    count : int
        K.
    """
    labels = np.empty(mask.shape, dtype=np.int32)
    count = ndimage.label(mask, structure=_EIGHT, output=labels)
    return labels, int(count)


def bounding_box(mask: BoolArray) -> tuple[slice, slice]:
    """Return the rows and columns that hold every True pixel of a mask that has one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def with_defects(images: Sequence[MappedImage]) -> Iterator[tuple[int, MappedImage, DefectPixels]]:
    """Yield position, image and defect pixels of each image that has a defect."""
    for k, image in enumerate(images):
        if image.mask is not None:
            yield k, image, defect_pixels(image)
