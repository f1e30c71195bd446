"""Which images a round robin shows: so many of each class, easy and difficult ones mixed, codes spread, nothing twice.

Difficult is what a model got wrong. A sample with a stated share of these tells more about raters than one drawn at
random, of which most would be plain; but shares of right answers in it are not those of the archive, and the model
that chose it must not be judged by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError

#: Of the twenty images of the published round robin, twelve were got wrong by the model of the time.
DIFFICULT_SHARE = 0.6

Rows = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Sample:
    """The images chosen.

    Attributes
    ----------
    rows : ndarray of int64, shape (n,)
        Rows of the table they were drawn from, in random order.
    difficult : int or None
        How many of them the model got wrong; None without a model.
    warnings : tuple of str
    """

    rows: Rows
    difficult: int | None
    warnings: tuple[str, ...]


def proportional_quotas(classes: Sequence[str], n: int) -> dict[str, int]:
    """Share out *n* images over the classes as frequent as they are, each at least once.

    Parameters
    ----------
    classes : sequence of str, length N
        Class of each image that may be drawn.
    n : int

    Raises
    ------
    InputError
        There are fewer images than wanted, or fewer wanted than there are classes.
    """
    names, counts = np.unique(np.asarray(classes, dtype=str), return_counts=True)
    if n > counts.sum() or n < len(names):
        raise InputError(f"{n} images of {counts.sum()} in {len(names)} classes", "take one of each class or more")
    shares = _largest_remainders(np.asarray(counts, dtype=np.float64), n - len(names), counts - 1)
    return {str(name): int(1 + share) for name, share in zip(names, shares, strict=True)}


def draw_sample(
    labels: Sequence[str],
    classes: Sequence[str],
    quotas: Mapping[str, int],
    *,
    wrong: npt.ArrayLike | None = None,
    difficult_share: float = DIFFICULT_SHARE,
    specimens: Sequence[str] | None = None,
    seed: int = 0,
) -> Sample:
    """Draw the images of a study.

    Parameters
    ----------
    labels, classes : sequence of str, length N
        Code and class of each image that may be drawn.
    quotas : mapping of str to int
        Images of each class; a class that is not named gives none.
    wrong : array_like of bool, shape (N,), optional
        What a model got wrong.
    difficult_share : float
        Share of these among all drawn.
    specimens : sequence of str, optional
        Of each image; a second image of one specimen is taken only where nothing else is left.
    seed : int

    Returns
    -------
    Sample
        Within a class all codes are drawn nearly equally often. `warnings` says what could not be kept.

    Raises
    ------
    InputError
        A class has fewer images than its quota, or the share lies outside 0..1.
    """
    if not 0 <= difficult_share <= 1:
        raise InputError(f"a share of difficult images of {difficult_share:g}", "give a number from 0 to 1")
    named, kinds = np.asarray(labels, dtype=str), np.asarray(classes, dtype=str)
    groups = np.arange(len(named)).astype(str) if specimens is None else np.asarray(specimens, dtype=str)
    hard = None if wrong is None else np.asarray(wrong, dtype=bool)
    rng = np.random.default_rng([1863, 50, seed])
    warnings: list[str] = []
    wanted = {name: count for name, count in quotas.items() if count > 0}
    for name, count in wanted.items():
        if (there := int((kinds == name).sum())) < count:
            raise InputError(f"{there} images of class {name} for a quota of {count}", "lower --quota or --n")
    of_class = _difficult_quotas(kinds, wanted, hard, difficult_share, warnings)
    taken = np.zeros(len(named), dtype=bool)
    used: set[str] = set()
    for name, count in wanted.items():
        mine = kinds == name
        if hard is None:
            _draw_spread(mine, count, named, groups, taken, used, rng)
            continue
        _draw_spread(mine & hard, of_class[name], named, groups, taken, used, rng)
        _draw_spread(mine & ~hard, count - of_class[name], named, groups, taken, used, rng)
    rows = rng.permutation(np.flatnonzero(taken))
    if (shared := len(rows) - len(set(groups[rows].tolist()))) > 0:
        warnings.append(f"{shared} images share a specimen with another one: there were not enough specimens")
    return Sample(rows, None if hard is None else int(hard[rows].sum()), tuple(warnings))


def _difficult_quotas(
    kinds: npt.NDArray[np.str_], quotas: Mapping[str, int], hard: Bools | None, share: float, warnings: list[str]
) -> dict[str, int]:
    """Return how many difficult images each class gives, as near to the stated share as the images allow."""
    if hard is None:
        return dict.fromkeys(quotas, 0)
    count = np.array([quotas[name] for name in quotas])
    there = np.array([(hard & (kinds == name)).sum() for name in quotas])
    plain = np.array([(~hard & (kinds == name)).sum() for name in quotas])
    least, most = np.maximum(0, count - plain), np.minimum(count, there)
    total = round(share * int(count.sum()))
    if (reached := int(np.clip(total, least.sum(), most.sum()))) != total:
        kind = "wrong" if reached < total else "right"
        warnings.append(
            f"{reached} of {count.sum()} images are difficult instead of {total}: the model got too few {kind}"
        )
    extra = _largest_remainders(count.astype(np.float64), reached - int(least.sum()), most - least)
    return {name: int(low + more) for name, low, more in zip(quotas, least, extra, strict=True)}


def _largest_remainders(weights: npt.NDArray[np.float64], total: int, most: npt.NDArray[np.int64]) -> Rows:
    """Share out a whole number by weight, none above its limit, the largest remainders first."""
    found = np.zeros(len(weights), dtype=np.int64)
    while (left := total - int(found.sum())) > 0:
        open_ = found < most
        exact = np.where(open_, weights, 0.0) / weights[open_].sum() * left
        whole = np.minimum(np.floor(exact).astype(np.int64), most - found)
        if not whole.sum():
            whole[int(np.where(open_, exact, -1.0).argmax())] = 1
        found += whole
    return found


def _draw_spread(
    pool: Bools,
    count: int,
    labels: npt.NDArray[np.str_],
    groups: npt.NDArray[np.str_],
    taken: Bools,
    used: set[str],
    rng: np.random.Generator,
) -> None:
    """Mark *count* images of the pool as taken: of the code drawn least so far, of a fresh specimen where it can be."""
    drawn = dict.fromkeys(np.unique(labels[pool]).tolist(), 0)
    for _ in range(count):
        left = np.flatnonzero(pool & ~taken)
        fresh = left[[group not in used for group in groups[left]]]
        left = fresh if fresh.size else left
        seen = np.array([drawn[name] for name in labels[left].tolist()])
        row = int(rng.choice(_one_of_each(left[seen == seen.min()], labels, rng)))
        taken[row] = True
        used.add(str(groups[row]))
        drawn[str(labels[row])] += 1


def _one_of_each(rows: Rows, labels: npt.NDArray[np.str_], rng: np.random.Generator) -> Rows:
    """Return one row of each code, so that a frequent code is no likelier to come first."""
    mixed = rng.permutation(rows)
    return mixed[np.unique(labels[mixed], return_index=True)[1]]
