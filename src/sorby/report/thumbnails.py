"""Small pictures inside a page: micrographs scaled down, encoded, and put into the markup itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from sorby.micrograph import Pixels, resize, to_rgb, to_uint8

Uint8Image = npt.NDArray[np.uint8]

_QUALITY = 78  # of JPEG: no visible blocks at the size shown
_GAP_PX = 3


@dataclass(frozen=True)
class Picture:
    """An image inside a page.

    Attributes
    ----------
    uri : str
        ``data:image/jpeg;base64,...``
    width, height : int
        Pixels.
    alt : str
        What it shows, for readers who do not see it.
    """

    uri: str
    width: int
    height: int
    alt: str


def shrink(pixels: Pixels, longest_px: int) -> Uint8Image:
    """Return an 8-bit RGB version whose longer side is at most *longest_px*; nothing is enlarged.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3)
        uint8, uint16 or float32; deeper ones are stretched between percentiles as for the network.
    longest_px : int

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
    """
    height, width = pixels.shape[:2]
    factor = min(1.0, longest_px / max(height, width))
    byte = to_rgb(to_uint8(pixels))
    if factor < 1:
        byte = resize(byte, (max(1, round(height * factor)), max(1, round(width * factor))))
    return np.ascontiguousarray(byte, dtype=np.uint8)


def centre_square(pixels: Pixels, side_px: int) -> Uint8Image:
    """Return the largest centred square of an image at *side_px*, 8-bit RGB."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    byte = to_rgb(to_uint8(pixels[top : top + side, left : left + side]))
    return np.ascontiguousarray(resize(byte, (side_px, side_px)), dtype=np.uint8)


def strip(tiles: Sequence[Uint8Image]) -> Uint8Image:
    """Put tiles of one size side by side with a white gap.

    Parameters
    ----------
    tiles : sequence of ndarray of uint8, each shape (h, w, 3)
    """
    gap = np.full((tiles[0].shape[0], _GAP_PX, 3), 255, np.uint8)
    row: list[Uint8Image] = []
    for tile in tiles:
        row += [tile, gap]
    return np.concatenate(row[:-1], axis=1)


def embed(pixels: Uint8Image, alt: str) -> Picture:
    """Encode 8-bit pixels (H, W, 3) as JPEG within a data URI."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=_QUALITY, optimize=True)
    uri = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(uri, int(pixels.shape[1]), int(pixels.shape[0]), alt)
