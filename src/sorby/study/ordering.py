"""In which order each rater sees the images: balanced over raters, repeats far apart, nobody like anybody else.

What comes late is rated by a tired rater, and what follows a coarse image looks fine. Williams squares balance both: in
the square of S orders every image stands once at every place and follows every other image once (twice in the two
squares that an odd S needs).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError

Orders = npt.NDArray[np.int64]

#: Random labellings of the square that are tried for the one with most orders fit for use.
_TRIES = 40


def williams_square(size: int) -> Orders:
    """Return Williams' square: orders of *size* things, balanced for place and for what came before.

    Parameters
    ----------
    size : int
        Number of things S.

    Returns
    -------
    ndarray of int64, shape (S, S) for even S, (2 S, S) for odd S
        One order a row. Every thing stands at every place equally often and follows every other equally often.

    References
    ----------
    E. J. Williams, Aust. J. Sci. Res. A 2 (1949) 149.
    """
    ahead, behind = np.arange((size + 1) // 2), size - 1 - np.arange(size // 2)
    zigzag = np.empty(size, dtype=np.int64)
    zigzag[0::2], zigzag[1::2] = ahead, behind
    square = (zigzag[None, :] + np.arange(size)[:, None]) % size
    return square if size % 2 == 0 else np.concatenate([square, square[:, ::-1]])


@dataclass(frozen=True, eq=False)
class BalancedOrders:
    """Orders for a panel, and how well they are balanced.

    Attributes
    ----------
    orders : ndarray of int64, shape (R, S)
        For each rater, what comes at each place.
    mean_place : ndarray of float64, shape (S,)
        Mean place of each showing over raters, from 0.
    least_gap : int
        Fewest places between two showings of one image, over raters; 0 where nothing is repeated.
    most_followed : int
        How often the most frequent pair of neighbours occurs.
    """

    orders: Orders
    mean_place: npt.NDArray[np.float64]
    least_gap: int
    most_followed: int


def balanced_orders(
    showings: int, raters: int, pairs: npt.ArrayLike = (), *, gap: int | None = None, seed: int = 0
) -> BalancedOrders:
    """Draw one order for each rater.

    Parameters
    ----------
    showings : int
        S, repeats counted.
    raters : int
        R; above S (2 S where odd) further squares are drawn.
    pairs : array_like of int, shape (P, 2)
        Showings of one image, which must lie apart.
    gap : int, optional
        Least difference of their places; 2 is not adjacent. Where None, as far as can be up to a third of all.
    seed : int

    Returns
    -------
    BalancedOrders

    Raises
    ------
    InputError
        No order keeps the pairs so far apart.
    """
    if showings < 1 or raters < 1:
        raise InputError(f"orders of {showings} images for {raters} raters", "give one of each or more")
    apart = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    rng = np.random.default_rng([1863, 60, seed])
    chosen: list[Orders] = []
    while (missing := raters - sum(map(len, chosen))) > 0:
        pool = _fit_orders(showings, apart, gap, missing, rng)
        chosen.append(pool[_spread_evenly(pool, missing, rng)])
    orders = np.concatenate(chosen)
    orders = orders[rng.permutation(raters)]
    place = np.argsort(orders, axis=1)
    gaps = np.abs(place[:, apart[:, 0]] - place[:, apart[:, 1]])
    neighbours = orders[:, :-1] * showings + orders[:, 1:]
    most = int(np.bincount(neighbours.ravel()).max()) if neighbours.size else 0
    return BalancedOrders(orders, place.mean(axis=0), int(gaps.min()) if gaps.size else 0, most)


def _fit_orders(showings: int, pairs: Orders, gap: int | None, wanted: int, rng: np.random.Generator) -> Orders:
    """Return rows of a randomly labelled square whose pairs lie apart, of the labelling that leaves most of them.

    Where the gap is free, the widest one that leaves half of the square, or as many rows as are wanted.
    """
    square = williams_square(showings)
    enough = min(wanted, len(square) if gap is not None else len(square) // 2)
    best = np.empty((0, showings), dtype=np.int64)
    for least in range(max(2, showings // 3), 1, -1) if gap is None else [gap]:
        for _ in range(_TRIES):
            orders = rng.permutation(showings)[square]
            place = np.argsort(orders, axis=1)
            fit = (np.abs(place[:, pairs[:, 0]] - place[:, pairs[:, 1]]) >= least).all(axis=1)
            best = orders[fit] if fit.sum() > len(best) else best
            if len(best) >= enough:
                return best
    if not len(best):
        raise InputError(
            f"no order of {showings} images keeps {len(pairs)} repeated ones {gap or 2} places apart",
            "take more images or fewer repeats",
        )
    return best


def _spread_evenly(pool: Orders, wanted: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Choose rows whose things have nearly the same mean place: next is always the row that evens out most."""
    if wanted >= len(pool):
        return np.arange(len(pool), dtype=np.int64)
    place = np.argsort(pool, axis=1) - (pool.shape[1] - 1) / 2
    left = rng.permutation(len(pool))
    total, chosen = np.zeros(pool.shape[1]), np.empty(wanted, dtype=np.int64)
    for k in range(wanted):
        best = int(((total + place[left]) ** 2).sum(axis=1).argmin())
        chosen[k] = left[best]
        total += place[left[best]]
        left = np.delete(left, best)
    return chosen
