"""Perceptual hashes: 64 bits that hardly change with compression, brightness or a pixel of shift.

pHash (Zauner 2010): the image in grey at 32 x 32 pixels, its discrete cosine transform, and the signs of the 8 x 8
lowest coefficients against their median. The bits are those of ImageHash's ``phash``, whose hexadecimal digits other
programs store; here the transform is one call for thousands of images.

Images are decoded in full. A JPEG decoded at an eighth of its size would be quicker, but its pixels are averaged by
another filter, bits move, and the hash would no longer be the one that a corpus stores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import fft

from sorby.micrograph import Pixels, to_grey, to_uint8

Hashes = npt.NDArray[np.uint64]
UInt8 = npt.NDArray[np.uint8]

SIDE, LOW = 32, 8


def grey8(pixels: Pixels) -> UInt8:
    """Return any image in grey and 8 bit, by luma and the percentile rule."""
    return to_uint8(to_grey(pixels))


def reduced(grey: UInt8) -> UInt8:
    """Return an 8-bit grey image at 32 x 32 pixels (Lanczos), which is all that the hash sees."""
    return np.asarray(Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def hashes_of_reduced(images: npt.NDArray[np.uint8]) -> Hashes:
    """Return the hashes of many images at once.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, 32, 32)
        From `reduced`.

    Returns
    -------
    ndarray of uint64, shape (n,)
        The first coefficient is the highest bit.
    """
    if not len(images):
        return np.empty(0, np.uint64)
    # Down the columns first and in double precision, as ImageHash does: a bit is the sign of a difference.
    columns = fft.dct(images.astype(np.float64), axis=1)
    low = fft.dct(columns, axis=2)[:, :LOW, :LOW].reshape(len(images), -1)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").astype(np.uint64).ravel()


def phash(pixels: Pixels) -> np.uint64:
    """Return the 64-bit perceptual hash of an image.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3)
        uint8, uint16 or float32; brought to 8 bit by the percentile rule.

    Returns
    -------
    uint64
        The hash that ImageHash's ``phash`` writes in hexadecimal.
    """
    return hashes_of_reduced(reduced(grey8(pixels))[None])[0]  # type: ignore[no-any-return]


def to_hex(value: np.uint64) -> str:
    """Return a hash as 16 hexadecimal digits."""
    return f"{int(value):016x}"


def from_hex(digits: Sequence[str]) -> Hashes:
    """Return hashes written in hexadecimal as numbers, shape (n,)."""
    return np.array([int(text, 16) for text in digits], dtype=np.uint64)
