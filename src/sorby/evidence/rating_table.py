"""Ratings of the same items by several raters, with gaps: their codes, the majority, who agrees with whom."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit
from scipy.stats import rankdata

from sorby.errors import InputError
from sorby.evidence._types import BoolArray, FloatArray, IntArray
from sorby.evidence.intervals import Estimate, bootstrap_estimate, cluster_bootstrap, proportion

_GAPS = ("", "nan", "NaN", "None", "<NA>")


@dataclass(frozen=True, eq=False)
class RatingTable:
    """Ratings as category numbers.

    Attributes
    ----------
    codes : ndarray of int64, shape (n, R)
        Category of each rating, -1 where there is none.
    categories : tuple
        The categories by number, in their order where they have one.
    """

    codes: IntArray
    categories: tuple[Any, ...]

    @property
    def counts(self) -> FloatArray:
        """Ratings of each item in each category, shape (n, C)."""
        n, size = self.codes.shape[0], len(self.categories)
        row, column = np.nonzero(self.codes >= 0)
        cells = np.bincount(row * size + self.codes[row, column], minlength=n * size)
        return cells.reshape(n, size).astype(np.float64)

    @property
    def one_hot(self) -> FloatArray:
        """Who rated what how, shape (n, R, C): 1 for the category chosen, all 0 for a gap."""
        return np.asarray(self.codes[:, :, None] == np.arange(len(self.categories)), dtype=np.float64)


def _is_gap(value: object) -> bool:
    if value is None or value is np.ma.masked or (isinstance(value, str) and value.strip() in _GAPS):
        return True
    if isinstance(value, (float, np.floating)):
        return bool(np.isnan(value)) or value == -1
    return isinstance(value, (int, np.integer)) and int(value) == -1


def _plain(value: Any) -> Hashable:
    """Return a number as int where it is whole (a gap turns columns of integers into floats), else as it is."""
    if isinstance(value, np.generic):
        value = value.item()
    return int(value) if isinstance(value, float) and value.is_integer() else value


def rating_table(ratings: npt.ArrayLike, order: Sequence[Any] | None = None) -> RatingTable:
    """Put ratings into numbers.

    Parameters
    ----------
    ratings : array_like, shape (n, R)
        Rows items, columns raters; strings or numbers. None, NaN, an empty string and the number -1 are gaps.
    order : sequence, optional
        All categories, in order. Where None, those that occur, sorted.

    Returns
    -------
    RatingTable

    Raises
    ------
    InputError
        The array is not two-dimensional, holds no rating, or holds one that *order* lacks.
    """
    values = np.asarray(ratings, dtype=object)
    if values.ndim != 2 or values.size == 0:
        raise InputError(f"ratings have shape {values.shape}", "give items x raters")
    flat = [None if _is_gap(value) else _plain(value) for value in values.ravel()]
    present = {value for value in flat if value is not None}
    if not present:
        raise InputError("there is no rating: every cell is a gap")
    if order is None:
        numeric = all(isinstance(value, (int, float)) for value in present)
        categories = tuple(sorted(present) if numeric else sorted(present, key=str))  # type: ignore[type-var]
    else:
        categories = tuple(_plain(value) for value in order)
        unknown = sorted(str(value) for value in present - set(categories))
        if unknown:
            raise InputError(
                f"ratings with unknown codes: {', '.join(unknown[:5])}",
                f"the order names {', '.join(map(str, categories))}",
            )
        if len(set(categories)) != len(categories):
            raise InputError("the order names a category twice")
    number = {value: place for place, value in enumerate(categories)}
    codes = np.array([-1 if value is None else number[value] for value in flat], dtype=np.int64)
    return RatingTable(codes.reshape(values.shape), categories)


@dataclass(frozen=True, eq=False)
class MajorityVote:
    """What most raters said.

    Attributes
    ----------
    choice : ndarray of object, shape (n,)
        The category with most votes, the first of them in order where votes tie; None where nobody rated.
    tied : ndarray of bool, shape (n,)
        Another category has as many votes.
    share : ndarray of float64, shape (n,)
        Share of the ratings that are the choice; NaN where nobody rated.
    """

    choice: npt.NDArray[np.object_]
    tied: BoolArray
    share: FloatArray


def majority_vote(ratings: npt.ArrayLike, order: Sequence[Any] | None = None) -> MajorityVote:
    """Take the vote on each item.

    Parameters
    ----------
    ratings, order
        See :func:`rating_table`.

    Returns
    -------
    MajorityVote
        Ties are said, and broken towards the first category in order.
    """
    table = rating_table(ratings, order)
    counts = table.counts
    most, total = counts.max(axis=1), counts.sum(axis=1)
    rated = total > 0
    choice = np.empty(len(counts), dtype=object)
    names = np.empty(len(table.categories), dtype=object)
    names[:] = table.categories
    choice[rated] = names[counts[rated].argmax(axis=1)]
    tied = (counts == most[:, None]).sum(axis=1) > 1
    return MajorityVote(choice, tied & rated, np.where(rated, most / np.where(rated, total, 1.0), np.nan))


@dataclass(frozen=True, eq=False)
class PairwiseAgreement:
    """How often raters agree, two by two.

    Attributes
    ----------
    matrix : ndarray of float64, shape (R, R)
        Share of the items that both rated on which they agree; NaN where they share none; 1 on the diagonal.
    mean : Estimate
        Share of agreeing pairs of ratings among all pairs of ratings of one item.
    """

    matrix: FloatArray
    mean: Estimate


def pairwise_accuracy(ratings: npt.ArrayLike, n_resamples: int = 2000, seed: int = 0) -> PairwiseAgreement:
    """Hold every rater against every other.

    Parameters
    ----------
    ratings : array_like, shape (n, R)
        See :func:`rating_table`.
    n_resamples, seed : int
        Of the bootstrap over items.

    Returns
    -------
    PairwiseAgreement
    """
    table = rating_table(ratings)
    hot = table.one_hot
    rated = (table.codes >= 0).astype(np.float64)
    equal = np.einsum("irc,isc->rs", hot, hot)
    shared = rated.T @ rated
    with np.errstate(invalid="ignore"):
        matrix = np.where(shared > 0, equal / np.where(shared > 0, shared, 1.0), np.nan)
    counts = table.counts
    each = counts.sum(axis=1)
    pairs = np.column_stack([(counts * (counts - 1)).sum(axis=1), each * (each - 1)]) / 2
    return PairwiseAgreement(matrix, _ratio(pairs, n_resamples, seed, "no item has two ratings"))


def rater_accuracy(ratings: npt.ArrayLike, truth: npt.ArrayLike) -> list[Estimate]:
    """Return the share of each rater's ratings that equal the truth, with Wilson intervals.

    Parameters
    ----------
    ratings : array_like, shape (n, R)
        See :func:`rating_table`.
    truth : array_like, shape (n,)
        True category of each item; items without one do not count.

    Returns
    -------
    list of Estimate
        One a rater.

    Raises
    ------
    InputError
        The lengths differ.
    """
    values, true = np.asarray(ratings, dtype=object), np.asarray(truth, dtype=object)
    if true.shape != values.shape[:1]:
        raise InputError(f"{len(values)} items but truth of shape {true.shape}")
    codes = rating_table(np.column_stack([values, true])).codes
    usable = (codes[:, :-1] >= 0) & (codes[:, -1:] >= 0)
    right = usable & (codes[:, :-1] == codes[:, -1:])
    return [proportion(int(k), int(n)) for k, n in zip(right.sum(axis=0), usable.sum(axis=0), strict=True)]


@dataclass(frozen=True, eq=False)
class Repeatability:
    """How well raters agree with themselves.

    Attributes
    ----------
    per_rater : list of Estimate
        Share of the items rated alike twice, with Wilson intervals.
    pooled : Estimate
        The same over all raters; bootstrap over items.
    kappa : float
        Chance-corrected: Cohen's kappa of the first against the second ratings of the same rater, chance taken
        from each rater's own habits.
    """

    per_rater: list[Estimate]
    pooled: Estimate
    kappa: float


def repeatability(first: npt.ArrayLike, second: npt.ArrayLike, n_resamples: int = 2000, seed: int = 0) -> Repeatability:
    """Compare two passes of the same raters over the same items.

    Parameters
    ----------
    first, second : array_like, shape (n, R)
        See :func:`rating_table`; a gap in either pass leaves the item out for that rater.
    n_resamples, seed : int
        Of the bootstrap over items.

    Returns
    -------
    Repeatability

    Raises
    ------
    InputError
        The shapes differ.
    """
    one, two = np.asarray(first, dtype=object), np.asarray(second, dtype=object)
    if one.shape != two.shape or one.ndim != 2:
        raise InputError(f"two passes of shapes {one.shape} and {two.shape}", "give the same items and raters twice")
    codes = rating_table(np.concatenate([one, two])).codes
    a, b = codes[: len(one)], codes[len(one) :]
    both = (a >= 0) & (b >= 0)
    same = both & (a == b)
    per_rater = [proportion(int(k), int(n)) for k, n in zip(same.sum(axis=0), both.sum(axis=0), strict=True)]
    table = np.column_stack([same.sum(axis=1), both.sum(axis=1)]).astype(np.float64)
    pooled = _ratio(table, n_resamples, seed, "no item is rated twice by the same rater")
    categories = np.arange(codes.max() + 1)
    weight = both.sum(axis=0)
    seen = np.where(weight > 0, weight, 1)
    share_a = ((a[:, :, None] == categories) & both[:, :, None]).sum(axis=0) / seen[:, None]
    share_b = ((b[:, :, None] == categories) & both[:, :, None]).sum(axis=0) / seen[:, None]
    chance = float(((share_a * share_b).sum(axis=1) * weight).sum() / max(1, weight.sum()))
    kappa = (pooled.value - chance) / (1 - chance) if chance < 1 else math.nan
    return Repeatability(per_rater, pooled, float(kappa))


def kendall_w(ratings: npt.ArrayLike, order: Sequence[Any] | None = None) -> Estimate:
    """Kendall's coefficient of concordance: do raters put the items into the same order?

    Parameters
    ----------
    ratings : array_like, shape (n, R)
        Numbers, or categories whose *order* is given. Items that some rater left out do not count.
    order : sequence, optional
        The categories in order.

    Returns
    -------
    Estimate
        Corrected for ties; 1 for the same order, 0 for no concordance. The interval is from the jackknife over
        items, with Student's t.

    Raises
    ------
    InputError
        There are not two raters, or names come without an order.

    References
    ----------
    M. G. Kendall and B. Babington Smith, Ann. Math. Stat. 10 (1939); S. Siegel and N. J. Castellan (1988), 9.6.
    """
    table = rating_table(ratings, order)
    if order is None and any(isinstance(value, str) for value in table.categories):
        raise InputError("Kendall's W needs an order", "give the categories in order")
    if table.codes.shape[1] < 2:
        raise InputError("agreement needs at least two raters")
    complete = table.codes[(table.codes >= 0).all(axis=1)]
    n, left_out = len(complete), len(table.codes) - len(complete)
    note = f"items with gaps, left out: {left_out}" if left_out else ""
    if n < 3:
        return Estimate(math.nan, None, n, "jackknife", "fewer than three items rated by all" + (note and f"; {note}"))
    value = _concordance(complete)
    left = np.array([_concordance(np.delete(complete, place, axis=0)) for place in range(n)])
    error = math.sqrt((n - 1) / n * float(((left - left.mean()) ** 2).sum()))
    half = float(stdtrit(n - 1, 0.975)) * error
    return Estimate(value, (max(0.0, value - half), min(1.0, value + half)), n, "jackknife over items, t", note)


def _concordance(codes: IntArray) -> float:
    """Return W of complete codes, shape (n, R); NaN where every rater ties all items."""
    n, raters = codes.shape
    ranks = rankdata(codes, axis=0)
    spread = float(((ranks.sum(axis=1) - raters * (n + 1) / 2) ** 2).sum())
    tallies = (codes[:, :, None] == np.arange(codes.max() + 1)).sum(axis=0).astype(np.float64)
    ties = float((tallies**3 - tallies).sum())
    possible = raters**2 * (n**3 - n) - raters * ties
    return 12 * spread / possible if possible > 0 else math.nan


def _ratio(table: FloatArray, n_resamples: int, seed: int, none: str) -> Estimate:
    """Return the ratio of two column sums, table of shape (n, 2), with a bootstrap over items."""
    used = table[table[:, 1] > 0]
    if not len(used):
        return Estimate(math.nan, None, 0, "bootstrap by item", none)
    statistic: Callable[[FloatArray], FloatArray] = lambda sums: sums[:, 0] / sums[:, 1]  # noqa: E731
    samples = cluster_bootstrap(used, statistic, n_resamples, seed)
    found = bootstrap_estimate(float(used[:, 0].sum() / used[:, 1].sum()), samples, len(used), len(used))
    return Estimate(found.value, found.ci95, found.n, found.method.replace("image", "item"), found.note)
