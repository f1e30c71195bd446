"""All pairs of 64-bit hashes within a Hamming radius: exact, and without comparing every hash with every other.

Multi-index hashing (Norouzi et al. 2014): cut the 64 bits into m pieces. Of two hashes at most r bits apart, at least
one piece differs by at most its share of r, because otherwise the differences would add up to more (pigeonhole
principle). So hashes are put into buckets by one piece, and only those in the same bucket or in one a few flipped
bits away are compared; once for each piece. Nothing is missed, whatever the hashes are.

Few hashes, a wide radius, or hashes that crowd into few buckets are quicker compared one by one (faiss, two to four
thousand million pairs a second on two cores); which way is taken is decided from the occupancy of the buckets.

References
----------
Norouzi, M., Punjani, A. & Fleet, D. J. (2014), Fast exact search in Hamming space with multi-index hashing,
IEEE Trans. Pattern Anal. Mach. Intell. 36, 1107-1119.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError

Hashes = npt.NDArray[np.uint64]
Pairs = npt.NDArray[np.intp]
Keys = npt.NDArray[np.int64]
Method = Literal["auto", "pieces", "flat"]

BITS = 64
MOST_PAIRS = 20_000_000
"""Pairs beyond which a search is refused: that many neighbours are no finding, and they fill the memory."""

_COMPARED_AT_ONCE = 4_000_000  # pairs in one thread, all of which might be near
_AT_ONCE = 1 << 20  # candidates expanded at a time in one thread
_PIECES = range(3, 9)  # pieces of 22 to 8 bits: a table of buckets stays below 17 MB
# Seconds on one core, measured; only their ratios matter.
_FLAT_S, _CANDIDATE_S, _CALL_S = 0.5e-9, 10e-9, 3e-4
_PROBE_S, _FAR_PROBE_S, _NEAR_BITS = 5e-9, 30e-9, 17  # a table of more bits does not stay in a core's cache


def pairs_within(
    hashes: Hashes, radius: int, others: Hashes | None = None, *, method: Method = "auto", workers: int | None = None
) -> Pairs:
    """Find all pairs of hashes at a Hamming distance of at most *radius*; exact.

    Parameters
    ----------
    hashes : ndarray of uint64, shape (n,)
    radius : int
        Bits, 0 to 64.
    others : ndarray of uint64, shape (m,), optional
        Look for pairs (hash, other) instead of pairs among *hashes*.
    method : {"auto", "pieces", "flat"}
        Multi-index hashing, comparison of all, or whichever is expected to be quicker.
    workers : int, optional
        Threads; one a core where absent.

    Returns
    -------
    ndarray of int, shape (pairs, 2)
        Among *hashes*: first index below the second. In lexicographic order.

    Raises
    ------
    InputError
        More than twenty million pairs: the radius is too wide for these images.
    """
    first = np.ascontiguousarray(hashes, np.uint64)
    second = None if others is None else np.ascontiguousarray(others, np.uint64)
    if not len(first) or (second is not None and not len(second)):
        return np.empty((0, 2), np.intp)
    if not 0 <= radius <= BITS:
        raise InputError(f"a radius of {radius} bits", f"a hash has {BITS} bits; choose 0 to {BITS}")
    if _equal_pairs(first, second) > MOST_PAIRS:
        raise _too_wide(radius)
    workers = workers or os.cpu_count() or 2
    plan = _quickest(first, second, radius) if method == "auto" else None
    if method == "pieces":
        plan = min(_plans(first, second, radius), key=lambda each: each.seconds)
    n_second = len(first if second is None else second)
    parts = _flat(first, second, radius, workers) if plan is None else _by_pieces(first, second, radius, plan, workers)
    found, total = [np.empty(0, np.int64)], 0
    for part in parts:
        found.append(part)
        total += len(part)
        if total > MOST_PAIRS:  # a pair may have been found by several pieces
            found = [np.unique(np.concatenate(found))]
            total = len(found[0])
        if total > MOST_PAIRS:
            raise _too_wide(radius)
    return np.stack(np.divmod(np.unique(np.concatenate(found)), n_second), axis=1).astype(np.intp)


def _equal_pairs(first: Hashes, second: Hashes | None) -> int:
    """Return how many pairs have equal hashes, which blank images have: known before any search."""
    values, counts = np.unique(first, return_counts=True)
    if second is None:
        return int((counts * (counts - 1) // 2).sum())
    others, theirs = np.unique(second, return_counts=True)
    _, mine, place = np.intersect1d(values, others, assume_unique=True, return_indices=True)
    return int(counts[mine] @ theirs[place])


def _too_wide(radius: int) -> InputError:
    return InputError(f"more than {MOST_PAIRS:,} pairs of images lie within {radius} bits", "choose a smaller radius")


def nearest_within(queries: Hashes, hashes: Hashes, radius: int, k: int) -> tuple[Pairs, npt.NDArray[np.uint8]]:
    """Find for every query its *k* nearest hashes within a radius; exact.

    Parameters
    ----------
    queries : ndarray of uint64, shape (n,)
    hashes : ndarray of uint64, shape (m,)
    radius : int
        Bits.
    k : int

    Returns
    -------
    pairs : ndarray of int, shape (p, 2)
        Query and hash, at most *k* a query, nearest first; of equally near ones those that stand first.
    distance : ndarray of uint8, shape (p,)
    """
    pairs = pairs_within(queries, radius, hashes)
    distance = np.bitwise_count(queries[pairs[:, 0]] ^ hashes[pairs[:, 1]])
    order = np.lexsort((pairs[:, 1], distance, pairs[:, 0]))
    pairs, distance = pairs[order], distance[order]
    kept = rank_in_run(pairs[:, 0]) < k
    return pairs[kept], distance[kept]


def rank_in_run(sorted_ids: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return the place of each entry among those of the same id, from 0; equal ids stand together."""
    return np.arange(len(sorted_ids)) - np.searchsorted(sorted_ids, sorted_ids)


@dataclass(frozen=True)
class _Piece:
    """Some of the 64 bits, and how many of them may differ."""

    shift: int
    bits: int
    flips: int

    def of(self, hashes: Hashes) -> npt.NDArray[np.int32]:
        return ((hashes >> np.uint64(self.shift)) & np.uint64((1 << self.bits) - 1)).astype(np.int32)

    def masks(self) -> list[int]:
        """Return every choice of at most ``flips`` bits."""
        chosen = (c for size in range(self.flips + 1) for c in itertools.combinations(range(self.bits), size))
        return [sum(1 << bit for bit in bits) for bits in chosen]


@dataclass(frozen=True)
class _Plan:
    pieces: tuple[_Piece, ...]
    seconds: float


def _quickest(first: Hashes, second: Hashes | None, radius: int) -> _Plan | None:
    """Return the cheapest way of cutting, None where comparing all is cheaper."""
    flat = len(first) * (len(first) / 2 if second is None else len(second)) * _FLAT_S
    if flat < 0.02:
        return None
    best = min(_plans(first, second, radius), key=lambda each: each.seconds)
    return best if best.seconds < flat else None


def _plans(first: Hashes, second: Hashes | None, radius: int) -> Iterator[_Plan]:
    for m in _PIECES:
        pieces = _cut(m, radius)
        seconds = 0.0
        for piece in pieces:
            # Hashes that share a bucket stand for those of buckets a few bits away: the true number is not far
            # below, and lower for crowded buckets.
            counts = np.bincount(piece.of(first), minlength=1 << piece.bits).astype(np.float64)
            partners = counts if second is None else np.bincount(piece.of(second), minlength=1 << piece.bits)
            n_masks = len(piece.masks()) / (2 if second is None else 1)
            even = len(first) * float(partners.sum()) / (1 << piece.bits)
            crowded = float(counts @ partners)
            candidates = crowded + max(n_masks - 1, 0) * (even + crowded) / 2
            probe = _PROBE_S if piece.bits <= _NEAR_BITS else _FAR_PROBE_S
            seconds += n_masks * (len(first) * probe + _CALL_S) + candidates * _CANDIDATE_S
        yield _Plan(pieces, seconds)


def _cut(m: int, radius: int) -> tuple[_Piece, ...]:
    """Cut 64 bits into *m* pieces whose flips, each raised by one, add up to radius + 1.

    Were every piece to differ by more than its flips, the hashes would differ by more than the radius.
    """
    m = min(m, radius + 1)
    m = max(m, 3)
    widths = [BITS // m + (k < BITS % m) for k in range(m)]
    to_share = radius + 1 - m
    flips = [to_share // m + (m - 1 - k < to_share % m) for k in range(m)]  # narrow pieces have fewer choices
    shifts = np.cumsum([0, *widths[:-1]])
    # A piece of -1 flips is never needed.
    return tuple(_Piece(int(s), w, f) for s, w, f in zip(shifts, widths, flips, strict=True) if f >= 0)


class _Buckets:
    """Hashes sorted by one piece."""

    def __init__(self, hashes: Hashes, piece: _Piece) -> None:
        value = piece.of(hashes)
        self.order = np.argsort(value, kind="stable")
        self.value, self.hashes = value[self.order], hashes[self.order]
        self.count = np.bincount(value, minlength=1 << piece.bits).astype(np.int32)
        self.start = (np.cumsum(self.count, dtype=np.int64) - self.count).astype(np.int32)


def _by_pieces(first: Hashes, second: Hashes | None, radius: int, plan: _Plan, workers: int) -> Iterator[Keys]:
    with ThreadPoolExecutor(workers) as pool:
        for piece in plan.pieces:
            left = _Buckets(first, piece)
            right = left if second is None else _Buckets(second, piece)
            masks = piece.masks()
            shares = [masks[k::workers] for k in range(workers)]
            jobs = [pool.submit(_joined, left, right, share, radius) for share in shares if share]
            for job in jobs:
                yield job.result()


def _joined(left: _Buckets, right: _Buckets, masks: list[int], radius: int) -> Keys:
    """Return the keys of the near pairs in buckets that differ by one of the masks."""
    found, total = [np.empty(0, np.int64)], 0
    for mask in masks:
        for part in _meet(left, right, mask, radius):
            found.append(part)
            total += len(part)
        if total > MOST_PAIRS:  # one piece and one mask find a pair once: these are all different
            break
    return np.concatenate(found)


def _meet(left: _Buckets, right: _Buckets, mask: int, radius: int) -> Iterator[Keys]:
    itself = left is right
    if mask == 0:
        rows = np.arange(len(left.value), dtype=np.int32)
        low = rows + 1 if itself else right.start[left.value]
        count = (right.start[left.value] + right.count[left.value]) - low
    else:
        rows = np.arange(len(left.value), dtype=np.int32)
        if itself:  # each two buckets meet once: from the side that lacks the mask's highest bit
            rows = np.flatnonzero((left.value & (1 << (mask.bit_length() - 1))) == 0).astype(np.int32)
        target = left.value[rows] ^ np.int32(mask)
        count, low = right.count[target], right.start[target]
    occupied = np.flatnonzero(count)
    rows, low, count = rows[occupied], low[occupied], count[occupied].astype(np.int64)
    for start, stop in _portions(count):
        yield _compared(left, right, rows[start:stop], low[start:stop], count[start:stop], radius)


def _portions(count: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Cut rows into stretches with about ``_AT_ONCE`` candidates."""
    ends = np.cumsum(count)
    start = 0
    while start < len(count):
        done = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _AT_ONCE, side="right")))
        yield start, stop
        start = stop


def _compared(
    left: _Buckets,
    right: _Buckets,
    rows: npt.NDArray[np.int32],
    low: npt.NDArray[np.int32],
    count: npt.NDArray[np.int64],
    radius: int,
) -> Keys:
    """Compare each row with ``count`` partners from ``low`` on; return the keys of those within the radius."""
    ends = np.cumsum(count)
    partner = np.arange(int(ends[-1]), dtype=np.int64) + np.repeat(low - (ends - count), count)
    distance = np.bitwise_count(np.repeat(left.hashes[rows], count) ^ right.hashes[partner])
    near = np.flatnonzero(distance <= radius)
    a = left.order[rows[np.searchsorted(ends, near, side="right")]].astype(np.int64)
    b = right.order[partner[near]].astype(np.int64)
    if left is right:
        a, b = np.minimum(a, b), np.maximum(a, b)
    return np.asarray(a * len(right.order) + b)


def _flat(first: Hashes, second: Hashes | None, radius: int, workers: int) -> Iterator[Keys]:
    """Compare all, a block of hashes at a time; among themselves, each block only with those from it on."""
    import faiss  # here, because few corpora need it and it loads its own libraries

    n_second = len(first if second is None else second)
    right = _bytes_of(first if second is None else second)
    step = min(max(16, _COMPARED_AT_ONCE // n_second), 1024)

    def block(start: int) -> Keys:
        index = faiss.IndexBinaryFlat(BITS)
        offset = start if second is None else 0
        index.add(right[offset:])
        limits, _, found = index.range_search(_bytes_of(first[start : start + step]), radius + 1)  # below, not within
        ends = np.asarray(limits, np.int64)
        a = np.repeat(np.arange(len(ends) - 1), ends[1:] - ends[:-1]) + start
        b = found.astype(np.int64) + offset
        kept = a < b if second is None else np.ones(len(a), bool)
        return np.asarray((a * n_second + b)[kept])

    # Threads of our own: those of OpenMP wait for each other in busy loops, which a shared machine pays for.
    with ThreadPoolExecutor(workers, initializer=faiss.omp_set_num_threads, initargs=(1,)) as pool:
        starts = range(0, len(first), step)
        for k in range(0, len(starts), workers):  # a few at a time, so that too many pairs are noticed early
            yield from pool.map(block, starts[k : k + workers])


def _bytes_of(hashes: Hashes) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(hashes).view(np.uint8).reshape(len(hashes), 8)
