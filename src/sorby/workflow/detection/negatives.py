"""Negatives for a detector: tiles of a scan that hold something bright, and nothing that is labelled.

A scan is almost everywhere plain, and plain tiles teach and test nothing. Yan et al. (2023, section 2.2.1) take the
tiles on which a Gaussian adaptive threshold finds bright spots: what a detector could take for a defect.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from sorby.errors import InputError
from sorby.evidence.boxes import overlap

UInt8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]
Tiles = npt.NDArray[np.int64]
"""Left, top, right, bottom of tiles in pixels, shape (n, 4)."""

#: Edge of a tile in the published study, in pixels.
TILE = 66
#: Rows of pixels looked at together, so that a whole sheet need not lie in memory.
_STRIP = 528
#: The Gaussian window ends at so many deviations.
_TRUNCATE = 3.0
#: Least spread of grey levels: rounding alone spreads them so far.
_ROUNDING = 0.5


def mine_negatives(
    image: UInt8,
    boxes: npt.ArrayLike,
    tile: int = TILE,
    *,
    sigma_px: float = 12.0,
    deviations: float = 6.0,
    least_px: int = 2,
) -> Tiles:
    """Return the tiles of an image that hold bright spots and no part of a labelled box.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W) or (H, W, 3)
        Of colours the mean is taken.
    boxes : array_like, shape (n, 4)
        Left, top, right, bottom of everything labelled on it, what is ignored too; empty where nothing is.
    tile : int
        Edge of a tile in pixels; what remains at the right and lower border is left out.
    sigma_px, deviations, least_px
        See :func:`bright_tiles`.

    Returns
    -------
    ndarray of int, shape (m, 4)
        From left to right, then down.

    Raises
    ------
    InputError
        The image is not 8-bit, smaller than a tile, or a setting is out of range.
    """
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
        raise InputError(
            f"an image of shape {pixels.shape} and type {pixels.dtype} cannot be searched", "give 8-bit grey or colour"
        )
    grey = pixels if pixels.ndim == 2 else np.rint(pixels.mean(axis=2)).astype(np.uint8)
    bright = bright_tiles(
        lambda first, last: grey[first:last],
        (grey.shape[0], grey.shape[1]),
        tile,
        sigma_px=sigma_px,
        deviations=deviations,
        least_px=least_px,
    )
    return without_boxes(bright, boxes, tile)


def bright_tiles(
    rows: Callable[[int, int], UInt8],
    shape: tuple[int, int],
    tile: int = TILE,
    *,
    sigma_px: float = 12.0,
    deviations: float = 6.0,
    least_px: int = 2,
) -> Bool:
    """Return which tiles hold bright spots: pixels far above the Gaussian mean of their surroundings.

    Parameters
    ----------
    rows : callable
        Given the first row and the one after the last, returns these rows, shape (n, W).
    shape : tuple of int
        Height and width of the whole.
    tile : int
        Edge of a tile in pixels.
    sigma_px : float
        Standard deviation of the Gaussian window; wider than a spot, narrower than the shading.
    deviations : float
        How far above, in robust standard deviations (1.4826 times the median absolute difference) of the tile's
        row of tiles.
    least_px : int
        Pixels that a tile must have above it.

    Returns
    -------
    ndarray of bool, shape (rows of tiles, columns of tiles)

    Raises
    ------
    InputError
        The image is smaller than a tile, or a setting is out of range.
    """
    height, width = shape
    if not 1 <= tile <= min(shape):
        raise InputError(f"tiles of {tile} pixels from an image of {width} x {height}", f"allowed: 1 to {min(shape)}")
    if not (sigma_px > 0 and deviations > 0 and least_px >= 1):
        raise InputError(
            f"a window of {sigma_px} px, {deviations} deviations and {least_px} pixels cannot be", "all above 0"
        )
    down, across = height // tile, width // tile
    found = np.zeros((down, across), dtype=bool)
    margin = int(np.ceil(_TRUNCATE * sigma_px))
    at_once = max(1, _STRIP // tile)
    for begin in range(0, down, at_once):
        end = min(begin + at_once, down)
        first, last = max(0, begin * tile - margin), min(height, end * tile + margin)
        pixels = rows(first, last).astype(np.float32)
        above = pixels - gaussian_filter(pixels, sigma_px, mode="nearest", truncate=_TRUNCATE)
        above = above[begin * tile - first : end * tile - first, : across * tile].reshape(end - begin, tile, -1)
        spread = np.maximum(1.4826 * np.median(np.abs(above), axis=(1, 2), keepdims=True), _ROUNDING)
        spots = (above > deviations * spread).reshape(end - begin, tile, across, tile).sum(axis=(1, 3))
        found[begin:end] = spots >= least_px
    return found


def without_boxes(tiles: Bool, boxes: npt.ArrayLike, tile: int) -> Tiles:
    """Return the corners of the chosen tiles that no box reaches into.

    Parameters
    ----------
    tiles : ndarray of bool, shape (rows of tiles, columns of tiles)
    boxes : array_like, shape (n, 4)
        Left, top, right, bottom in pixels.
    tile : int
        Edge of a tile in pixels.
    """
    down, across = np.nonzero(tiles)
    corners = np.stack([across, down, across + 1, down + 1], axis=1) * tile
    labelled = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    if not len(labelled) or not len(corners):
        return corners.astype(np.int64)
    touched = (overlap(corners.astype(np.float32), labelled) > 0).any(axis=1)
    return corners[~touched].astype(np.int64)
