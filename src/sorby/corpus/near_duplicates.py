"""Near-duplicate images: perceptual hashes, all pairs within a Hamming radius, SSIM, groups.

A small Hamming distance of perceptual hashes finds candidates among all pairs; structural similarity on the pixels
confirms them. Each unordered pair is compared once, however many folds ask for it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sorby.corpus.hash_search import Hashes, Pairs, pairs_within
from sorby.corpus.perceptual_hash import from_hex, grey8, hashes_of_reduced, phash, reduced, to_hex
from sorby.corpus.structural_similarity import UInt8, reduced_to_thumbnail, similarities, similarity, thumbnail
from sorby.micrograph import read

if TYPE_CHECKING:
    from sorby.corpus.table import Corpus

__all__ = [
    "RADIUS",
    "Hashes",
    "Pairs",
    "from_hex",
    "groups_of",
    "hash_images",
    "hashes_of",
    "look_at",
    "near_duplicate_groups",
    "pairs_within",
    "phash",
    "similarity",
    "ssim_of_pairs",
    "thumbnail",
    "to_hex",
]

RADIUS = 4
"""Bits of 64 within which two images are taken for near-duplicates where nothing else is asked."""

_PAIRS_AT_ONCE = 4096
_HELD = 20_000  # thumbnails of at most 16 kB
_HASHED_AT_ONCE = 8192


def look_at(paths: Sequence[Path], workers: int | None = None) -> tuple[Hashes, dict[int, UInt8]]:
    """Decode every file once; return its perceptual hash and, of the first 20,000, the thumbnail for SSIM.

    Parameters
    ----------
    paths : sequence of Path
    workers : int, optional
        Threads; one a core where absent.

    Returns
    -------
    hashes : ndarray of uint64, shape (n,)
    thumbnails : dict of int to ndarray of uint8
        For `ssim_of_pairs`, which reads the others again.

    Raises
    ------
    ImageError
        A file cannot be read.
    """
    found: list[Hashes] = [np.empty(0, np.uint64)]
    thumbnails: dict[int, UInt8] = {}
    with ThreadPoolExecutor(workers or os.cpu_count() or 2) as pool:
        for start in range(0, len(paths), _HASHED_AT_ONCE):
            keep = max(0, _HELD - start)
            seen = pool.map(_look, paths[start : start + _HASHED_AT_ONCE])
            small = []
            for k, (to_hash, to_compare) in enumerate(seen):
                small.append(to_hash)
                if k < keep:
                    thumbnails[start + k] = to_compare
            found.append(hashes_of_reduced(np.stack(small)))
    return np.concatenate(found), thumbnails


def _look(path: Path) -> tuple[UInt8, UInt8]:
    grey = grey8(read(path).pixels)
    return reduced(grey), reduced_to_thumbnail(grey)


def hash_images(paths: Sequence[Path], workers: int | None = None) -> Hashes:
    """Return the perceptual hash of every file, shape (n,), reading in a thread pool.

    Raises
    ------
    ImageError
        A file cannot be read.
    """
    if not len(paths):
        return np.empty(0, np.uint64)
    with ThreadPoolExecutor(workers or os.cpu_count() or 2) as pool:
        small = np.stack(list(pool.map(lambda path: reduced(grey8(read(path).pixels)), paths)))
    return hashes_of_reduced(small)


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


def ssim_of_pairs(
    paths: Sequence[Path], pairs: Pairs, thumbnails: dict[int, UInt8] | None = None
) -> npt.NDArray[np.float64]:
    """Return the SSIM of each pair of files, shape (p,).

    Only the images that occur in a pair and have no thumbnail yet are read, and those of a few thousand pairs are held
    at a time.

    Parameters
    ----------
    paths : sequence of Path
    pairs : ndarray of int, shape (p, 2)
    thumbnails : dict of int to ndarray of uint8, optional
        From `look_at`.
    """
    known = thumbnails or {}
    values = np.empty(len(pairs))
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for start in range(0, len(pairs), _PAIRS_AT_ONCE):
            block = pairs[start : start + _PAIRS_AT_ONCE]
            involved, place = np.unique(block, return_inverse=True)
            small = list(
                pool.map(lambda i: known[i] if i in known else thumbnail(read(paths[i]).pixels), involved.tolist())
            )
            values[start : start + len(block)] = similarities(small, place.reshape(block.shape))
    return values
