"""Bringing every image of a corpus to one size.

Three strategies come from the bearing-steel study: tiles with aggregation (see
:mod:`sorby.micrograph.tiling`), resizing to the mean size, and mirror padding or minimal cropping
to the most frequent size, which served best there because it keeps the scale of the structure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from sorby.micrograph.image import Pixels

Size = tuple[int, int]
"""Height and width, pixels."""

Sizing = Literal["resize", "mirror"]
"""How one image reaches a wanted size: resized, or mirror padded and minimally cropped."""

# Box reduction first where an image shrinks a lot; at a remaining factor of 3 or more the
# difference to the full filter is below one grey level on micrographs.
_REDUCING_GAP = 3.0


def mode_size(sizes: Iterable[Size]) -> Size:
    """Return the most frequent (height, width); of equally frequent ones the largest in area.

    Raises
    ------
    ValueError
        No sizes were given.
    """
    counts = Counter((int(height), int(width)) for height, width in sizes)
    if not counts:
        raise ValueError("no sizes given")
    return max(counts, key=lambda size: (counts[size], size[0] * size[1], size))


def mean_size(sizes: Iterable[Size]) -> Size:
    """Return the mean height and the mean width, rounded to whole pixels.

    Raises
    ------
    ValueError
        No sizes were given.
    """
    table = np.array(list(sizes), dtype=np.float64).reshape(-1, 2)
    if not len(table):
        raise ValueError("no sizes given")
    height, width = np.rint(table.mean(axis=0)).astype(int)
    return int(height), int(width)


def to_size(pixels: Pixels, size: Size, sizing: Sizing) -> Pixels:
    """Bring *pixels* to *size* by the named strategy.

    Parameters
    ----------
    pixels : ndarray, (H, W) or (H, W, C)
    size : (int, int)
        Wanted height and width.
    sizing : {"resize", "mirror"}

    Returns
    -------
    ndarray, (height, width) or (height, width, C), dtype of the input
    """
    if sizing not in get_args(Sizing):
        raise ValueError(f"sizing must be one of {', '.join(get_args(Sizing))}, not {sizing!r}")
    return resize(pixels, size) if sizing == "resize" else mirror_pad_or_crop(pixels, size)


def mirror_pad_or_crop(pixels: Pixels, size: Size) -> Pixels:
    """Pad by mirroring where the image is too small and crop about the centre where too large.

    Each axis is treated by itself, so nothing is cropped that need not be. The mirror stands on the
    border pixel (it is not doubled); padding wider than the image keeps mirroring to and fro.

    Parameters
    ----------
    pixels : ndarray, (H, W) or (H, W, C)
    size : (int, int)
        Wanted height and width.

    Returns
    -------
    ndarray, (height, width) or (height, width, C)
        A copy, unless the size is right already.
    """
    _check(size)
    if pixels.shape[:2] == tuple(size):
        return pixels
    rows, columns = (
        mirrored_positions(have, want, _centred(have, want)) for have, want in zip(pixels.shape[:2], size, strict=True)
    )
    return np.ascontiguousarray(pixels[rows][:, columns])


def _centred(have: int, want: int) -> int:
    """First position of *want* about the centre of *have*; cropping undoes padding."""
    return (have - want) // 2 if have > want else -((want - have) // 2)


def mirrored_positions(length: int, wanted: int, start: int) -> npt.NDArray[np.intp]:
    """Index *wanted* positions from *start* on an axis of *length*, reflected at both ends.

    Parameters
    ----------
    length : int
        Pixels on the axis.
    wanted : int
        Positions to return.
    start : int
        First position; negative or beyond the axis where it is to be mirrored.
    """
    if length == 1:
        return np.zeros(wanted, np.intp)
    period = 2 * (length - 1)
    position = np.arange(start, start + wanted, dtype=np.intp) % period
    return np.minimum(position, period - position)


def resize(pixels: Pixels, size: Size) -> Pixels:
    """Resize with an antialiased bilinear filter (the triangle widens with the reduction).

    Parameters
    ----------
    pixels : ndarray, (H, W) or (H, W, C), uint8 or uint16 or float32
    size : (int, int)
        Wanted height and width.

    Returns
    -------
    ndarray, (height, width) or (height, width, C), dtype of the input
    """
    _check(size)
    if pixels.shape[:2] == tuple(size):
        return pixels
    if pixels.dtype == np.uint8 and (pixels.ndim == 2 or pixels.shape[2] == 3):
        return _resize_plane(pixels, size)
    planes = pixels[:, :, None] if pixels.ndim == 2 else pixels
    resized = np.stack([_resize_plane(planes[..., c].astype(np.float32), size) for c in range(planes.shape[2])], axis=2)
    if pixels.dtype.kind == "u":
        resized = np.rint(resized).clip(0, np.iinfo(pixels.dtype).max)
    return np.ascontiguousarray(resized.reshape(*size, *pixels.shape[2:]).astype(pixels.dtype))


def _resize_plane(plane: Pixels, size: Size) -> Pixels:
    image = Image.fromarray(np.ascontiguousarray(plane))
    return np.array(image.resize((size[1], size[0]), Image.Resampling.BILINEAR, reducing_gap=_REDUCING_GAP))


def _check(size: Size) -> None:
    if min(size) < 1:
        raise ValueError(f"height and width must be at least 1, not {size[0]} x {size[1]}")
