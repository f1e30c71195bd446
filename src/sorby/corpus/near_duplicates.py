"""Near-duplicate images: perceptual hashes, all pairs within a Hamming radius, SSIM, groups.

A perceptual hash (pHash: the signs of the 8 x 8 lowest DCT coefficients against their median, Zauner 2010) hardly
changes with compression, brightness or a pixel of shift, so a small Hamming distance finds candidates among all
pairs; structural similarity (Wang et al. 2004) on the pixels confirms them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sorby.errors import InputError
from sorby.micrograph import Pixels, read, to_grey, to_uint8

if TYPE_CHECKING:
    from sorby.corpus.table import Corpus

Hashes = npt.NDArray[np.uint64]
Pairs = npt.NDArray[np.intp]
UInt8 = npt.NDArray[np.uint8]

RADIUS = 4
"""Bits of 64 within which two images are taken for near-duplicates where nothing else is asked."""

SSIM_SIDE = 128
"""Longer side in pixels at which images are compared by SSIM."""

_BLOCK = 1024
_SSIM_AT_ONCE = 4096
_MOST_PAIRS = 20_000_000


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
    import imagehash  # here, because it loads wavelets that nothing else needs

    bits = imagehash.phash(Image.fromarray(_grey8(pixels))).hash
    return np.packbits(bits).view(">u8").astype(np.uint64)[0]  # type: ignore[no-any-return]


def hash_images(paths: Sequence[Path], workers: int | None = None) -> Hashes:
    """Return the perceptual hash of every file, shape (n,), reading in a thread pool.

    Raises
    ------
    ImageError
        A file cannot be read.
    """
    with ThreadPoolExecutor(workers or os.cpu_count() or 2) as pool:
        return np.array(list(pool.map(lambda path: phash(read(path).pixels), paths)), dtype=np.uint64)


def to_hex(value: np.uint64) -> str:
    """Return a hash as 16 hexadecimal digits."""
    return f"{int(value):016x}"


def from_hex(digits: Sequence[str]) -> Hashes:
    """Return hashes written in hexadecimal as numbers, shape (n,)."""
    return np.array([int(text, 16) for text in digits], dtype=np.uint64)


def pairs_within(hashes: Hashes, radius: int = RADIUS, others: Hashes | None = None) -> Pairs:
    """Find all pairs of hashes at a Hamming distance of at most *radius*; exact.

    Parameters
    ----------
    hashes : ndarray of uint64, shape (n,)
    radius : int
        Bits.
    others : ndarray of uint64, shape (m,), optional
        Look for pairs (hash, other) instead of pairs among *hashes*.

    Returns
    -------
    ndarray of int, shape (pairs, 2)
        Among *hashes*: first index below the second. In lexicographic order.

    Raises
    ------
    InputError
        More than twenty million pairs: the radius is too wide for these images.
    """
    if not len(hashes) or (others is not None and not len(others)):
        return np.empty((0, 2), np.intp)
    found: list[Pairs] = []
    total = 0
    for pairs in _blocks(hashes, radius, others):
        found.append(pairs)
        total += len(pairs)
        if total > _MOST_PAIRS:
            raise InputError(
                f"more than {_MOST_PAIRS:,} pairs of images lie within {radius} bits", "choose a smaller radius"
            )
    return np.concatenate(found)


def _blocks(hashes: Hashes, radius: int, others: Hashes | None) -> Iterator[Pairs]:
    for start in range(0, len(hashes), _BLOCK):
        right = hashes[start:] if others is None else others
        distance = np.bitwise_count(hashes[start : start + _BLOCK, None] ^ right[None, :])
        near = distance <= radius
        if others is None:
            near = np.triu(near, 1)
        first, second = np.nonzero(near)
        yield np.stack([first + start, second + (start if others is None else 0)], axis=1)


def groups_of(pairs: Pairs, n: int) -> npt.NDArray[np.intp]:
    """Join pairs into groups (connected components).

    Parameters
    ----------
    pairs : ndarray of int, shape (p, 2)
    n : int
        Number of images.

    Returns
    -------
    ndarray of int, shape (n,)
        Group of each image; an image without a partner is a group of its own.
    """
    graph = coo_array((np.ones(len(pairs), np.bool_), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return connected_components(graph, directed=False)[1].astype(np.intp)  # type: ignore[no-any-return]


def near_duplicate_groups(
    images: Corpus | Sequence[Path], hamming: int = RADIUS, ssim: float | None = 0.8
) -> list[str]:
    """Derive group ids from the images themselves, for a corpus that names no specimens.

    Parameters
    ----------
    images : Corpus or sequence of Path
        A corpus's stored hashes are used.
    hamming : int
        Bits of pHash within which images are candidates.
    ssim : float, optional
        Similarity that confirms a candidate; None takes the hash's word.

    Returns
    -------
    list of str
        ``near-0`` ... for every image, numbered by first appearance.

    Raises
    ------
    ImageError
        A file cannot be read.

    Notes
    -----
    This finds repeated shots, not specimens: another field or another magnification of a specimen is no
    near-duplicate. A known specimen column is always better.
    """
    if isinstance(images, Sequence):
        paths, hashes = images, hash_images(images)
    else:
        paths, hashes = images.paths(), hashes_of(images)
    pairs = pairs_within(hashes, hamming)
    if ssim is not None:
        pairs = pairs[ssim_of_pairs(paths, pairs) >= ssim]
    return [f"near-{group}" for group in groups_of(pairs, len(paths))]


def hashes_of(corpus: Corpus) -> Hashes:
    """Return the hashes that a corpus stores; where a row has none, its images are read."""
    stored = corpus.table.get("phash")
    if stored is None or stored.isna().any():
        return hash_images(corpus.paths())
    return from_hex(list(stored.astype(str)))


def thumbnail(pixels: Pixels) -> UInt8:
    """Return the image in grey, 8 bit, its longer side at most 128 px."""
    image = Image.fromarray(_grey8(pixels))
    image.thumbnail((SSIM_SIDE, SSIM_SIDE), Image.Resampling.BOX)
    return np.asarray(image)


def similarity(first: UInt8, second: UInt8) -> float:
    """Return the mean structural similarity of two thumbnails; the second is brought to the first's size.

    Parameters
    ----------
    first, second : ndarray of uint8, shape (h, w)

    Returns
    -------
    float
        1 for equal images; 7 x 7 uniform window, data range 255, as in the fracture study's audit. Images less
        than 7 px wide or high are compared for equality.
    """
    from skimage.metrics import structural_similarity

    if first.shape != second.shape:
        second = np.asarray(Image.fromarray(second).resize(first.shape[::-1], Image.Resampling.BOX))
    if min(first.shape) < 7:
        return float(np.array_equal(first, second))
    return float(structural_similarity(first, second, data_range=255))


def ssim_of_pairs(paths: Sequence[Path], pairs: Pairs) -> npt.NDArray[np.float64]:
    """Return the SSIM of each pair of files, shape (p,).

    Only the images that occur in a pair are read, and thumbnails of a few thousand pairs are held at a time.
    """
    values = np.empty(len(pairs))
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for start in range(0, len(pairs), _SSIM_AT_ONCE):
            block = pairs[start : start + _SSIM_AT_ONCE]
            involved = np.unique(block)
            small = dict(zip(involved, pool.map(lambda i: thumbnail(read(paths[i]).pixels), involved), strict=True))
            values[start : start + len(block)] = [similarity(small[a], small[b]) for a, b in block]
    return values


def _grey8(pixels: Pixels) -> UInt8:
    return to_uint8(to_grey(pixels))
