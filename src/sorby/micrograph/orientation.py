"""The EXIF orientation: which way up the camera was held, and turning the image upright."""

from __future__ import annotations

import struct
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from sorby.micrograph.image import Pixels

_ORIENTATION_TAG = 0x0112
_SHORT = 3


def exif_orientation(exif: bytes) -> int:
    """Read the orientation (1 to 8) from an EXIF block; 1 where absent or damaged.

    Only the first directory is walked, so a block of rubbish costs nothing and raises nothing.

    References
    ----------
    CIPA DC-008 (Exif 3.0), section 4.6.4 A, tag 274.
    """
    data = exif.removeprefix(b"Exif\x00\x00")
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return 1
    with suppress(struct.error):
        (start,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", data, entry)
            if tag == _ORIENTATION_TAG:
                return value if kind == _SHORT and 1 <= value <= 8 else 1
    return 1


def swaps_axes(orientation: int) -> bool:
    """Whether turning upright exchanges width and height."""
    return orientation >= 5


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn *pixels* as the EXIF *orientation* (1 to 8) asks.

    Parameters
    ----------
    pixels : ndarray, (H, W) or (H, W, C)
    orientation : int
        1 upright, 2 mirrored, 3 half turn, 4 upside down, 5 transposed, 6 and 8 quarter turns,
        7 transposed across the other diagonal.
    """
    if swaps_axes(orientation):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def upright_boxes(
    boxes: npt.NDArray[np.float64], orientation: int, width: float, height: float
) -> npt.NDArray[np.float64]:
    """Turn boxes drawn on the stored pixels along with them.

    Parameters
    ----------
    boxes : ndarray, (n, 4)
        Left, top, width and height in stored pixels.
    orientation : int
        1 to 8, as for :func:`upright`.
    width, height : float
        Size of the image as stored.

    Returns
    -------
    ndarray, (n, 4)
        The same in pixels of the upright image.
    """
    x, y, w, h = boxes.T
    if swaps_axes(orientation):
        x, y, w, h, width, height = y, x, h, w, height, width
    if orientation in (3, 4, 7, 8):
        y = height - y - h
    if orientation in (2, 3, 6, 7):
        x = width - x - w
    return np.stack([x, y, w, h], axis=1)
