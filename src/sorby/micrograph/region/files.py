"""Region files: a person's word on what of a micrograph may be used, as a picture beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from sorby.errors import InputError
from sorby.files import atomic_write
from sorby.micrograph.files import REGION_SUFFIXES
from sorby.micrograph.reading import read

Mask = npt.NDArray[np.bool_]


def region_path(image: Path | str, folder: Path | str | None = None) -> Path:
    """Return where the region file of an image is written: ``name.region.png`` beside ``name.tif``, or in *folder*."""
    image = Path(image)
    return (image.parent if folder is None else Path(folder)) / f"{image.stem}{REGION_SUFFIXES[0]}"


def find_region(image: Path | str) -> Path | None:
    """Return the region file beside an image, None where there is none.

    It has the image's name without its ending and ``.region.png``, ``.region.tif`` or ``.region.tiff`` behind it.
    """
    image = Path(image)
    for suffix in REGION_SUFFIXES:
        path = image.parent / f"{image.stem}{suffix}"
        if path.is_file():
            return path
    return None


def read_region(path: Path | str, shape: tuple[int, ...]) -> Mask:
    """Read a region file.

    Parameters
    ----------
    path : Path or str
        PNG or TIFF of the micrograph's own size; whatever is above zero in any channel is to be used.
    shape : tuple of int
        Height and width of the micrograph, further entries are not looked at.

    Returns
    -------
    ndarray of bool, shape (H, W)

    Raises
    ------
    InputError
        No readable image, another size than the micrograph, or nothing above zero.
    """
    pixels = read(path).pixels
    if pixels.shape[:2] != tuple(shape[:2]):
        raise InputError(
            f"{path}: the region is {_size(pixels.shape)} pixels, its micrograph {_size(shape)}",
            "draw it on the micrograph itself, or delete it for a new proposal",
        )
    mask = np.asarray(pixels.reshape(*pixels.shape[:2], -1).any(axis=2), dtype=bool)
    if not mask.any():
        raise InputError(f"{path}: the region is empty", "paint white what may be used, or leave the micrograph out")
    return mask


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"


def write_region(path: Path | str, mask: Mask) -> None:
    """Write a region file: PNG, 255 where the micrograph may be used and 0 elsewhere.

    Raises
    ------
    InputError
        The place cannot be written.
    """
    with atomic_write(path) as file:
        Image.fromarray(np.asarray(mask, dtype=np.uint8) * np.uint8(255)).save(file, format="PNG")
