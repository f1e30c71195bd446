"""Masks of defective images: found by the image's file stem, checked, and cut into the detector's views."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sorby.anomaly.views import ViewStack
from sorby.errors import ImageError, InputError
from sorby.micrograph import find_images, read

BoolArray = npt.NDArray[np.bool_]
_SUFFIXES = ("", "_mask", "-mask")


def masks_by_stem(folder: Path | str) -> dict[str, Path]:
    """Return the mask files below a folder by file stem; ``NAME_mask`` stands for NAME.

    Raises
    ------
    InputError
        There is none, or two have the same stem.
    """
    found: dict[str, Path] = {}
    for path in find_images(folder):
        if path.stem in found:
            raise InputError(f"{path}: {found[path.stem]} has the same stem", "give every mask the name of its image")
        found[path.stem] = path
    if not found:
        raise InputError(f"{folder}: holds no masks", "a mask has the file stem of its image; above zero is defect")
    return found


def mask_of(image: Path, masks: Mapping[str, Path]) -> Path | None:
    """Return the mask of an image, None where it has none."""
    for suffix in _SUFFIXES:
        path = masks.get(image.stem + suffix)
        if path is not None and path.resolve() != image.resolve():
            return path
    return None


def read_mask(path: Path, size: tuple[int, int]) -> BoolArray:
    """Read a mask: anything above zero is defect, in any channel.

    Raises
    ------
    ImageError
        It is not of the image's size, or cannot be read.
    """
    pixels = read(path).pixels
    if pixels.shape[:2] != size:
        raise ImageError(
            f"{path}: mask of {pixels.shape[1]} x {pixels.shape[0]} px for an image of {size[1]} x {size[0]} px",
            "draw it on the image itself",
        )
    return np.asarray((pixels if pixels.ndim == 2 else pixels.max(2)) > 0)


def in_views(mask: BoolArray, stack: ViewStack, size: tuple[int, int]) -> list[BoolArray]:
    """Return the mask of each view in the network's pixels (H, W).

    A pixel of the network is defective where any pixel of the image under it is, so that no small defect is lost in
    shrinking; where the view is enlarged it is the nearest pixel.
    """
    return [_fit(mask[top:bottom, left:right], size) for top, left, bottom, right in stack.boxes.tolist()]


def _fit(mask: BoolArray, size: tuple[int, int]) -> BoolArray:
    if mask.shape == size:
        return mask
    for axis in (0, 1):
        mask = _fit_axis(mask, size[axis], axis)
    return mask


def _fit_axis(mask: BoolArray, length: int, axis: int) -> BoolArray:
    """Bring one axis to *length*: the logical or of what falls together, or the nearest."""
    have = mask.shape[axis]
    if have <= length:
        nearest = np.minimum((np.arange(length) + 0.5) * have / length, have - 1).astype(np.intp)
        return np.asarray(np.take(mask, nearest, axis=axis), bool)
    starts = (np.arange(length) * have) // length
    return np.asarray(np.logical_or.reduceat(mask, starts, axis=axis), bool)
