"""Hash search: nothing within the radius is missed, however it is looked for."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.corpus.hash_search import _cut, nearest_within, pairs_within
from sorby.errors import InputError


def altered(rng: np.random.Generator, hashes: np.ndarray, at_most: int) -> np.ndarray:
    """Flip up to *at_most* bits of each hash."""
    flips = rng.integers(0, at_most + 1, len(hashes))
    order = np.argsort(rng.random((len(hashes), 64)), axis=1)
    chosen = np.arange(64) < flips[:, None]
    bits = np.zeros((len(hashes), 64), np.uint64)
    np.put_along_axis(bits, order, chosen.astype(np.uint64), axis=1)
    return hashes ^ (bits << np.arange(64, dtype=np.uint64)).sum(axis=1, dtype=np.uint64)


def by_brute_force(hashes: np.ndarray, radius: int) -> np.ndarray:
    return np.argwhere(np.triu(np.bitwise_count(hashes[:, None] ^ hashes[None]) <= radius, 1))


@pytest.fixture
def planted(rng: np.random.Generator) -> np.ndarray:
    """Seven hundred random hashes, each with an altered copy at up to 16 bits."""
    hashes = rng.integers(0, 2**64, 700, dtype=np.uint64)
    return np.concatenate([hashes, altered(rng, hashes, 16)])


@pytest.mark.parametrize("radius", [0, 1, 2, 4, 7, 10, 12])
@pytest.mark.parametrize("method", ["auto", "pieces", "flat"])
def test_every_planted_pair_within_the_radius_is_found_and_no_other(planted, radius, method):
    found = pairs_within(planted, radius, method=method)
    assert np.array_equal(found, by_brute_force(planted, radius))
    assert len(found) >= 700 * (radius - 1) / 17 * 0.7, "about (radius + 1) of 17 numbers of flips lie within"


@pytest.mark.parametrize("method", ["pieces", "flat"])
def test_two_sets_are_compared_the_same_way(planted, method):
    first, second = planted[:600], planted[600:]
    expected = np.argwhere(np.bitwise_count(first[:, None] ^ second[None]) <= 9)
    assert np.array_equal(pairs_within(first, 9, second, method=method), expected)


def test_hashes_that_crowd_into_one_bucket_are_searched_as_exactly(rng):
    crowded = rng.integers(0, 2**12, 1500, dtype=np.uint64) << np.uint64(30)  # 52 bits are always zero
    for method in ("pieces", "flat"):
        assert np.array_equal(pairs_within(crowded, 2, method=method), by_brute_force(crowded, 2))


@pytest.mark.parametrize("radius", range(16))
def test_the_pieces_cover_the_radius(radius):
    # Pigeonholes: if every piece differed by more than its flips, the hashes would differ by more than the radius.
    for m in range(3, 9):
        pieces = _cut(m, radius)
        assert sum(piece.flips + 1 for piece in pieces) >= radius + 1
        assert sum(piece.bits for piece in pieces) <= 64
        places = [set(range(piece.shift, piece.shift + piece.bits)) for piece in pieces]
        assert len(set().union(*places)) == sum(map(len, places)), "pieces do not overlap"


def test_the_nearest_come_first_and_are_at_most_k(rng):
    hashes = rng.integers(0, 2**64, 50, dtype=np.uint64)
    crowd = np.concatenate([altered(rng, np.repeat(hashes[:1], 30), 8), hashes])
    pairs, distance = nearest_within(hashes, crowd, 10, 5)
    of_first = pairs[:, 0] == 0
    true = np.sort(np.bitwise_count(crowd ^ hashes[0]))[:5]
    assert np.array_equal(distance[of_first], true), "the five smallest distances, rising"
    assert np.bincount(pairs[:, 0]).max() == 5
    assert all((pairs[pairs[:, 0] == k, 1] == 30 + k).all() for k in range(1, 50)), "each finds itself"


def test_the_same_pairs_come_from_any_number_of_threads(planted):
    assert np.array_equal(pairs_within(planted, 10, method="pieces", workers=1), pairs_within(planted, 10, workers=3))


def test_an_absurd_radius_is_refused(planted):
    with pytest.raises(InputError, match="a radius of 65 bits"):
        pairs_within(planted, 65)
