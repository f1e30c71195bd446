"""Do raters agree beyond chance? Kappa and its relatives for any number of raters, with gaps.

All of them are ``(observed - chance) / (1 - chance)`` with the same observed agreement, save that Krippendorff
leaves out items rated once and corrects for small samples; they differ in what they take for chance. Gaps and weights
are treated as Gwet does, and so is the variance: the linearised one of his handbook, over items, with Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from sorby.errors import InputError
from sorby.evidence._types import FloatArray
from sorby.evidence.intervals import Estimate
from sorby.evidence.rating_table import RatingTable, rating_table

Weights = Literal["nominal", "ordinal", "linear", "quadratic"]
Level = Literal["nominal", "ordinal", "interval"]
_METHOD = "Gwet's linearised variance over items, t"


@dataclass(frozen=True)
class Agreement(Estimate):
    """A chance-corrected agreement.

    Attributes
    ----------
    observed : float
        Observed (weighted) agreement, P.
    chance : float
        Agreement expected by chance, Pe.
    se : float
        Standard error over items.
    raters : int
        Raters with at least one rating.
    """

    observed: float = math.nan
    chance: float = math.nan
    se: float = math.nan
    raters: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary fit for JSON, with `observed`, `chance`, `se` and `raters`."""
        figures = {"observed": self.observed, "chance": self.chance, "se": self.se}
        finite = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        return {**super().as_dict(), **finite, "raters": self.raters}


def agreement_weights(size: int, kind: Weights = "nominal") -> FloatArray:
    """Return how much two categories agree, shape (size, size), 1 on the diagonal.

    Parameters
    ----------
    size : int
        Number of categories C.
    kind : {"nominal", "ordinal", "linear", "quadratic"}
        ``ordinal``: Gwet's, 1 less the share of category pairs that lie between the two.
    """
    apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size))).astype(np.float64)
    if kind == "nominal" or size < 2:
        return np.asarray(apart == 0, dtype=np.float64)
    if kind == "linear":
        return np.asarray(1 - apart / (size - 1))
    if kind == "quadratic":
        return np.asarray(1 - (apart / (size - 1)) ** 2)
    if kind == "ordinal":
        return np.asarray(1 - apart * (apart + 1) / (size * (size - 1)))
    raise InputError(f"agreement weights {kind!r} are unknown", "allowed: nominal, ordinal, linear, quadratic")


@dataclass(frozen=True, eq=False)
class _Counts:
    """What every coefficient is made of."""

    table: RatingTable
    counts: FloatArray  # (n, C), items rated at least once
    each: FloatArray  # (n,) ratings an item
    weights: FloatArray  # (C, C)
    raters: int

    @property
    def shares(self) -> FloatArray:
        """Mean share of each category over items, shape (C,)."""
        return np.asarray((self.counts / self.each[:, None]).mean(axis=0))

    @property
    def twice(self) -> npt.NDArray[np.bool_]:
        """Items with two ratings or more, shape (n,)."""
        return np.asarray(self.each >= 2)

    @property
    def observed(self) -> FloatArray:
        """Agreement within each item, shape (n,); 0 where it has one rating."""
        agreeing = (self.counts * (self.counts @ self.weights - 1)).sum(axis=1)
        return np.where(self.twice, agreeing / np.where(self.twice, self.each * (self.each - 1), 1.0), 0.0)


def _count(ratings: npt.ArrayLike | RatingTable, order: Sequence[Any] | None, kind: Weights) -> _Counts:
    """Count ratings and check that agreement is defined.

    Raises
    ------
    InputError
        There is one rater only, or no item has two ratings, or weights need an order that is not given.
    """
    table = ratings if isinstance(ratings, RatingTable) else rating_table(ratings, order)
    if kind != "nominal" and order is None and any(isinstance(value, str) for value in table.categories):
        raise InputError(f"{kind} weights need an order", "give the categories in order")
    raters = int((table.codes >= 0).any(axis=0).sum())
    if raters < 2:
        raise InputError("agreement needs at least two raters", "the table has ratings of one")
    counts = table.counts
    rated = counts.sum(axis=1) > 0
    table = RatingTable(table.codes[rated], table.categories)
    found = _Counts(table, counts[rated], counts[rated].sum(axis=1), agreement_weights(counts.shape[1], kind), raters)
    if not found.twice.any():
        raise InputError("no item has two ratings", "agreement compares ratings of the same item")
    return found


def _coefficient(found: _Counts, chance: float, chance_of_item: FloatArray, note: str = "") -> Agreement:
    """Return (observed - chance) / (1 - chance) with its linearised variance.

    Parameters
    ----------
    found : _Counts
    chance : float
        Pe.
    chance_of_item : ndarray, shape (n,)
        First-order contribution of each item to Pe, of mean 0: dPe for its weight in the sample.
    note : str
    """
    n, twice = len(found.each), found.twice
    observed = float(found.observed[twice].mean())
    if chance >= 1:
        remark = "every rating is the same category: chance alone explains it"
        return Agreement(math.nan, None, n, _METHOD, remark, observed, chance, math.nan, found.raters)
    value = (observed - chance) / (1 - chance)
    # Gwet (2014), 5.3: items rated once enter chance, not observed agreement.
    of_item = n / twice.sum() * np.where(twice, found.observed - chance, 0.0) / (1 - chance)
    of_item = of_item - (1 - value) * chance_of_item / (1 - chance)
    return _with_interval(value, of_item - value, found, observed, chance, note)


def _with_interval(
    value: float, deviations: FloatArray, found: _Counts, observed: float, chance: float, note: str
) -> Agreement:
    """Return the estimate whose items deviate from it by *deviations*, shape (n,)."""
    n = deviations.size
    if n < 2:
        note = "; ".join(filter(None, [note, "one item: no spread to go by"]))
        return Agreement(value, None, n, _METHOD, note, observed, chance, math.nan, found.raters)
    error = math.sqrt(float((deviations**2).sum()) / (n * (n - 1)))
    half = float(stdtrit(n - 1, 0.975)) * error
    interval = (max(-1.0, value - half), min(1.0, value + half))
    return Agreement(value, interval, n, _METHOD, note, observed, chance, error, found.raters)


def fleiss_kappa(
    ratings: npt.ArrayLike | RatingTable, *, order: Sequence[Any] | None = None, weights: Weights = "nominal"
) -> Agreement:
    """Fleiss' kappa, generalised to items with unequal numbers of raters.

    Parameters
    ----------
    ratings : array_like, shape (n, R), or RatingTable
        Rows items, columns raters; see :func:`rating_table` for gaps.
    order : sequence, optional
        All categories in order; those that occur where None.
    weights : {"nominal", "ordinal", "linear", "quadratic"}
        How near misses count.

    Returns
    -------
    Agreement
        Chance is that of two ratings drawn from the pooled shares of the categories.

    Raises
    ------
    InputError
        One rater only, no item with two ratings, unknown codes.

    References
    ----------
    J. L. Fleiss, Psychol. Bull. 76 (1971); gaps: K. L. Gwet, Handbook of Inter-Rater Reliability (2014), 2.6.
    """
    found = _count(ratings, order, weights)
    shares = found.shares
    weighted = found.weights @ shares
    chance = float(shares @ weighted)
    of_item = (found.counts / found.each[:, None]) @ weighted
    return _coefficient(found, chance, 2 * (of_item - chance))


def gwet_ac1(ratings: npt.ArrayLike | RatingTable, *, order: Sequence[Any] | None = None) -> Agreement:
    """Gwet's AC1: chance agreement only among the ratings that are guesses.

    Parameters
    ----------
    ratings, order
        See :func:`fleiss_kappa`. Categories that nobody chose count only where *order* names them.

    Returns
    -------
    Agreement

    References
    ----------
    K. L. Gwet, Br. J. Math. Stat. Psychol. 61 (2008).
    """
    return gwet_ac2(ratings, order=order, weights="nominal")


def gwet_ac2(
    ratings: npt.ArrayLike | RatingTable, *, order: Sequence[Any] | None = None, weights: Weights = "ordinal"
) -> Agreement:
    """Gwet's AC2: AC1 in which near misses count for something.

    Parameters
    ----------
    ratings, order, weights
        See :func:`fleiss_kappa`; names need an order.

    Returns
    -------
    Agreement

    References
    ----------
    K. L. Gwet, Handbook of Inter-Rater Reliability (2014), chapter 3.
    """
    found = _count(ratings, order, weights)
    size, shares = found.weights.shape[0], found.shares
    factor = found.weights.sum() / (size * (size - 1)) if size > 1 else 1.0
    chance = float(factor * (shares * (1 - shares)).sum()) if size > 1 else 1.0
    of_item = factor * ((found.counts / found.each[:, None]) @ (1 - shares))
    return _coefficient(found, chance, 2 * (of_item - chance))


def brennan_prediger(
    ratings: npt.ArrayLike | RatingTable, *, order: Sequence[Any] | None = None, weights: Weights = "nominal"
) -> Agreement:
    """Brennan and Prediger's coefficient: chance is a uniform guess among the categories.

    Parameters
    ----------
    ratings, order, weights
        See :func:`fleiss_kappa`. Categories that nobody chose count only where *order* names them.

    Returns
    -------
    Agreement

    References
    ----------
    R. L. Brennan and D. J. Prediger, Educ. Psychol. Meas. 41 (1981).
    """
    found = _count(ratings, order, weights)
    return _coefficient(found, float(found.weights.mean()), np.zeros(len(found.each)))


def conger_kappa(
    ratings: npt.ArrayLike | RatingTable, *, order: Sequence[Any] | None = None, weights: Weights = "nominal"
) -> Agreement:
    """Conger's kappa: chance is that of two different raters, each with the own habits; Cohen's for two.

    Parameters
    ----------
    ratings, order, weights
        See :func:`fleiss_kappa`.

    Returns
    -------
    Agreement

    References
    ----------
    A. J. Conger, Psychol. Bull. 88 (1980); gaps: K. L. Gwet, Handbook of Inter-Rater Reliability (2014).
    """
    found = _count(ratings, order, weights)
    hot = found.table.one_hot
    done = hot.sum(axis=(0, 2))
    hot, done = hot[:, done > 0], done[done > 0]
    n, raters, _ = hot.shape
    habit = hot.sum(axis=0) / done[:, None]  # (R, C)
    others = (habit.sum(axis=0) - habit) @ found.weights  # what the other raters say, weighted
    pairs = raters * (raters - 1)
    chance = float((habit * others).sum() / pairs)
    rated = hot.sum(axis=2)  # (n, R)
    deviation = np.einsum("irc,rc->ir", hot, others) - rated * (habit * others).sum(axis=1)
    of_item = 2 / pairs * (deviation * (n / done)).sum(axis=1)
    return _coefficient(found, chance, of_item)


def krippendorff_alpha(
    ratings: npt.ArrayLike | RatingTable, *, order: Sequence[Any] | None = None, level: Level = "nominal"
) -> Agreement:
    """Krippendorff's alpha.

    Parameters
    ----------
    ratings, order
        See :func:`fleiss_kappa`; items with one rating do not count.
    level : {"nominal", "ordinal", "interval"}
        How disagreement grows. ``ordinal`` counts the ratings between two categories; ``interval`` takes the
        categories' own numbers, or their places where they are names with an *order*.

    Returns
    -------
    Agreement
        The variance takes the ordinal metric, which depends on the ratings, as given.

    Raises
    ------
    InputError
        As for :func:`fleiss_kappa`; the level is unknown.

    References
    ----------
    K. Krippendorff, Content Analysis (2004), 11.3; variance: K. L. Gwet, Handbook (2014), 2.
    """
    if level not in ("nominal", "ordinal", "interval"):
        raise InputError(f"level {level!r} is unknown", "allowed: nominal, ordinal, interval")
    found = _count(ratings, order, "nominal" if level == "nominal" else "ordinal")
    counts, each = found.counts[found.twice], found.each[found.twice]
    weights = 1 - _disagreement(found.table.categories, counts.sum(axis=0), level)
    n, mean = len(each), float(each.mean())
    agreeing = (counts * (counts @ weights - 1)).sum(axis=1) / (mean * (each - 1))
    small = 1 / float(each.sum())
    plain = float(agreeing.mean())
    observed = (1 - small) * plain + small
    shares = counts.mean(axis=0) / mean
    weighted = weights @ shares
    chance = float(shares @ weighted)
    if chance >= 1:
        remark = "every rating is the same category: chance alone explains it"
        return Agreement(math.nan, None, n, _METHOD, remark, observed, chance, math.nan, found.raters)
    value = (observed - chance) / (1 - chance)
    share = (plain - chance) / (1 - chance)  # without the correction: what the variance is linearised about
    more = (each - mean) / mean
    of_item = (agreeing - plain * more - chance) / (1 - chance)
    of_item -= 2 * (1 - share) * (counts @ weighted / mean - chance * more - chance) / (1 - chance)
    note = "" if n == len(found.each) else f"items with one rating, left out: {len(found.each) - n}"
    return _with_interval(value, of_item - share, found, observed, chance, note)


def _disagreement(categories: tuple[Any, ...], used: FloatArray, level: Level) -> FloatArray:
    """Return Krippendorff's squared distance between categories, scaled to at most 1, shape (C, C)."""
    if level == "nominal" or len(categories) < 2:
        return 1 - np.eye(len(categories))
    if level == "interval":
        names = any(isinstance(value, str) for value in categories)
        values = np.arange(len(categories)) if names else np.array(categories, dtype=np.float64)
    else:
        # Ratings between two categories, half of either end included: distances of mid-ranks.
        values = np.cumsum(used) - used / 2
    squared = np.subtract.outer(values, values).astype(np.float64) ** 2
    largest = squared.max()
    return squared / largest if largest > 0 else squared


def agreement(ratings: npt.ArrayLike, order: Sequence[Any] | None = None) -> dict[str, Agreement]:
    """Return the usual coefficients of a rating table.

    Parameters
    ----------
    ratings : array_like, shape (n, R)
        See :func:`rating_table`.
    order : sequence, optional
        The categories in order: Gwet's coefficient then counts near misses (as AC2, ordinal weights) beside AC1,
        and alpha comes in its ordinal form too.

    Returns
    -------
    dict
        ``fleiss_kappa``, ``gwet_ac1``, ``krippendorff_alpha``, ``conger_kappa``, ``brennan_prediger``; with an order
        also ``gwet_ac2`` and ``krippendorff_alpha_ordinal``.
    """
    table = rating_table(ratings, order)
    found = {
        "fleiss_kappa": fleiss_kappa(table),
        "gwet_ac1": gwet_ac1(table),
        "krippendorff_alpha": krippendorff_alpha(table),
        "conger_kappa": conger_kappa(table),
        "brennan_prediger": brennan_prediger(table),
    }
    if order is not None:
        found["gwet_ac2"] = gwet_ac2(table, order=order)
        found["krippendorff_alpha_ordinal"] = krippendorff_alpha(table, order=order, level="ordinal")
    return found
