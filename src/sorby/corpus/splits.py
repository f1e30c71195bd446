"""Splits: who is trained on and who is tested; specimens are kept whole where they are known.

All functions take labels (and specimens) and return a part for every image, stratified by class and
deterministic for a seed. Given ``groups``, no group (specimen, parent image, heat) is ever divided between
parts: images of one specimen are not independent, and a random split of them measures how well the specimen
is recognised instead of the material.

The group-aware form places whole specimens greedily, the largest first, then moves single ones while that
brings class shares and sizes closer to the wanted ones, and keeps the best of several seeded starts.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError, SorbyWarning

Labels = npt.ArrayLike
Parts = npt.NDArray[np.intp]
Names = npt.NDArray[np.str_]
Reals = npt.NDArray[np.float64]

_MISSING_CLASS = 1e3  # a class absent from a part outweighs any imbalance of counts
_RESTARTS = 8
_MANY_GROUPS = 600  # beyond this, one greedy pass is already balanced
_MAX_MOVES = 200


def holdout(
    labels: Labels,
    fractions: Sequence[float] = (0.64, 0.16, 0.2),
    *,
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
    names: Sequence[str] = ("train", "val", "test"),
) -> Names:
    """Split once, stratified by class.

    Parameters
    ----------
    labels : array_like, shape (n,)
    fractions : sequence of float
        Share of each part; they sum to 1. (.64, .16, .2) as Durmaz et al., (.7, .15, .15) as Schmid et al.
        The first part takes what rounding leaves; a share of 0 leaves a part empty.
    groups : array_like, shape (n,), optional
        Specimens, kept whole. Without them every part but the first holds ``ceil(share n)`` images, the rule by
        which Durmaz et al. arrive at tests of 246, 66 and 14 out of 1229, 326 and 70.
    seed : int
    names : sequence of str
        Names of the parts.

    Returns
    -------
    ndarray of str, shape (n,)

    Raises
    ------
    InputError
        Fractions that do not sum to 1, or no images.

    Warns
    -----
    SorbyWarning
        A class is absent from a part; its name and its number of images or specimens are said.
    """
    shares = np.asarray(fractions, np.float64)
    if abs(shares.sum() - 1) > 1e-6 or (shares < 0).any() or len(shares) > len(names):
        raise InputError(f"fractions {tuple(fractions)} are not shares of 1", "e.g. .64 .16 .2")
    codes, index, n_groups = _codes(labels, groups)
    if not len(codes):
        raise InputError("there is nothing to split", "check that the corpus has labelled rows")
    rng = np.random.default_rng(seed)
    used = np.flatnonzero(shares > 0)
    if n_groups == len(codes):
        part = _holdout_rows(codes, int(codes.max()) + 1, shares[used], rng)
    else:
        part = _assign_groups(codes, int(codes.max()) + 1, index, shares[used], rng)
    chosen = np.asarray(names)[used]
    _warn(presence_warnings(labels, chosen[part], groups, list(chosen)))
    return np.asarray(names)[used[part]]


def kfold(
    labels: Labels, k: int = 5, *, groups: npt.ArrayLike | None = None, seed: int = 0, purpose: str = ""
) -> Parts:
    """Return the test fold of every image, from 0, stratified by class.

    Parameters
    ----------
    labels : array_like, shape (n,)
    k : int
        Folds; fewer where there are fewer specimens (said in a warning).
    groups : array_like, shape (n,), optional
        Specimens, kept whole. Without them, folds differ by at most one image, in every class and in all.
    seed : int
    purpose : str
        What folds within a training part are for, such as ``calibrating``: their warnings begin with ``while
        calibrating:``, since they are not about the folds that are judged.

    Returns
    -------
    ndarray of int, shape (n,)

    Raises
    ------
    InputError
        Fewer than two folds or two specimens.

    Warns
    -----
    SorbyWarning
        Fewer specimens than folds, or a class that one fold holds alone, so that its classifier has never seen it.
    """
    codes, index, n_groups = _codes(labels, groups)
    what = "images" if groups is None else "specimens"
    when = f"while {purpose}: " if purpose else ""
    if k < 2:
        raise InputError(f"{k} folds asked, at least 2 are needed", "--folds 5")
    if n_groups < 2:
        raise InputError(f"one {what[:-1]} cannot be split into folds", f"add {what}")
    if n_groups < k:
        _warn([f"{when}{k} folds asked, {n_groups} {what} there: {n_groups} folds made"])
        k = n_groups
    rng = np.random.default_rng(seed)
    n_classes = int(codes.max()) + 1
    if n_groups == len(codes):
        # Deal the images like cards, class after class: every class and the whole spread to within one.
        order = np.lexsort((rng.permutation(len(codes)), rng.permutation(n_classes)[codes]))
        part = np.empty(len(codes), np.intp)
        part[order] = rng.permutation(k)[np.arange(len(codes)) % k]
    else:
        part = _assign_groups(codes, n_classes, index, np.full(k, 1 / k), rng)
    alone = [c for c in range(n_classes) if len(np.unique(part[codes == c])) < 2]
    values = np.unique(np.asarray(labels).astype(str))
    for c in alone:
        _warn([f"{when}class {str(values[c])!r} lies in one fold only: that fold's classifier has never seen it"])
    return part


def leave_one_out(labels: Labels, *, groups: npt.ArrayLike | None = None) -> Parts:
    """Return a fold of its own for every specimen, or for every image where specimens are unknown.

    The groups may be anything that should be left out whole: specimens, alloys, plants.

    Raises
    ------
    InputError
        Fewer than two of them.
    """
    _, index, n_groups = _codes(labels, groups)
    if n_groups < 2:
        raise InputError("leave-one-out needs at least two specimens", "add specimens")
    return index


def repeated_holdout(
    labels: Labels,
    repeats: int,
    fractions: Sequence[float] = (0.64, 0.16, 0.2),
    *,
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
) -> Iterator[Names]:
    """Yield *repeats* hold-out splits from consecutive seeds. They share images: their scores are not independent."""
    for repeat in range(repeats):
        yield holdout(labels, fractions, groups=groups, seed=seed + repeat)


def repeated_kfold(
    labels: Labels, repeats: int, k: int = 5, *, groups: npt.ArrayLike | None = None, seed: int = 0
) -> Iterator[Parts]:
    """Yield *repeats* k-fold splits from consecutive seeds."""
    for repeat in range(repeats):
        yield kfold(labels, k, groups=groups, seed=seed + repeat)


def presence_warnings(
    labels: Labels, parts: npt.ArrayLike, groups: npt.ArrayLike | None = None, names: Sequence[str] | None = None
) -> list[str]:
    """Say which classes are absent from which parts (or folds), with how many images or specimens they have.

    Parameters
    ----------
    labels, parts : array_like, shape (n,)
    groups : array_like, shape (n,), optional
    names : sequence of str, optional
        The parts that should be there; those that occur where absent.

    Returns
    -------
    list of str
        One line a class missing somewhere; empty where every part holds every class.
    """
    codes, index, _ = _codes(labels, groups)
    values = np.unique(np.asarray(labels).astype(str))
    part = np.asarray(parts).astype(str)
    wanted = [str(name) for name in names] if names is not None else sorted(set(part))
    what = "image" if groups is None else "specimen"
    lines = []
    for code, label in enumerate(values):
        there = set(part[codes == code])
        absent = [name for name in wanted if name not in there]
        if absent:
            n = len(np.unique(index[codes == code]))
            shown = ", ".join(absent[:6]) + (f" and {len(absent) - 6} more" if len(absent) > 6 else "")
            lines.append(f"class {str(label)!r} has {n} {what}{'' if n == 1 else 's'} and is missing from {shown}")
    return lines


def _warn(lines: Sequence[str]) -> None:
    for line in lines:
        warnings.warn(line, SorbyWarning, stacklevel=3)


def _codes(labels: Labels, groups: npt.ArrayLike | None) -> tuple[Parts, Parts, int]:
    """Return class codes, specimen codes and the number of specimens."""
    _, codes = np.unique(np.asarray(labels).astype(str), return_inverse=True)
    if groups is None:
        return codes.astype(np.intp), np.arange(len(codes), dtype=np.intp), len(codes)
    group_array = np.asarray(groups).astype(str)
    if group_array.shape != codes.shape:
        raise InputError(f"{len(codes)} labels but {len(group_array)} specimens", "give one specimen an image")
    names, index = np.unique(group_array, return_inverse=True)
    return codes.astype(np.intp), index.astype(np.intp), len(names)


def _holdout_rows(codes: Parts, n_classes: int, shares: Reals, rng: np.random.Generator) -> Parts:
    """Stratified hold-out of single rows: exact part sizes, classes by largest remainder."""
    left = np.bincount(codes, minlength=n_classes)
    parts = np.zeros(len(codes), dtype=np.intp)
    pools = [rng.permutation(np.flatnonzero(codes == c)) for c in range(n_classes)]
    total = len(codes)
    ranked = left.copy()
    for part in range(len(shares) - 1, 0, -1):
        # A share such as .2 * 1230 must not be lifted to the next whole number by its last binary digit.
        rest = int(left.sum())
        room = max(min(1, rest - 1), rest - part)  # one for training and, where it lasts, one for each part to come
        size = min(math.ceil(round(shares[part] * total, 9)), room)
        # From two images on, a class is tested as well as learnt; from three on, also validated.
        divisible = (left >= 2).astype(np.intp)
        take = _apportion(ranked * shares[part], size, divisible, np.maximum(left - 1, 0), left)
        for c in range(n_classes):
            stop = left[c]
            parts[pools[c][stop - take[c] : stop]] = part
        left = left - take
    return parts


def _apportion(quota: Reals, total: int, low: Parts, high: Parts, available: Parts) -> Parts:
    """Round *quota* to whole numbers adding up to *total*, within bounds where that is possible."""
    counts = np.clip(np.floor(quota + 1e-9).astype(np.intp), low, np.maximum(high, low))
    while counts.sum() < total:
        room = high if np.any(counts < high) else available
        counts[np.argmax(np.where(counts < room, quota - counts, -np.inf))] += 1
    while counts.sum() > total:
        floor = low if np.any(counts > low) else np.zeros_like(low)
        counts[np.argmin(np.where(counts > floor, quota - counts, np.inf))] -= 1
    return counts


def _assign_groups(codes: Parts, n_classes: int, index: Parts, shares: Reals, rng: np.random.Generator) -> Parts:
    """Stratified assignment of whole groups: greedy from the largest, then single moves, best of several starts."""
    table = np.zeros((int(index.max()) + 1, n_classes))
    np.add.at(table, (index, codes), 1.0)
    # A class can reach every part only if it has a group for each.
    needed = (table > 0).sum(axis=0) >= len(shares)
    balance = _Balance(np.outer(shares, table.sum(axis=0)), needed)
    starts = _RESTARTS if len(table) <= _MANY_GROUPS else 1
    best, best_loss = None, np.inf
    for _ in range(starts):
        parts = _greedy(table, balance, rng)
        loss = _improve(table, parts, balance)
        if loss < best_loss:
            best, best_loss = parts, loss
    assert best is not None
    return best[index]


class _Balance:
    """How far counts per part and class lie from their targets: a chi-square, plus a price on absent classes."""

    def __init__(self, target: Reals, needed: npt.NDArray[np.bool_]) -> None:
        self.target = target
        self.needed = needed
        self.weight = 1 / np.maximum(target, 1e-9)
        self.size = target.sum(axis=1)

    def loss(self, counts: Reals, part: int | slice = slice(None)) -> Reals:
        """Return the loss of each part for *counts* of shape (..., C)."""
        by_class = ((counts - self.target[part]) ** 2 * self.weight[part]).sum(axis=-1)
        by_size = (counts.sum(axis=-1) - self.size[part]) ** 2 / np.maximum(self.size[part], 1e-9)
        absent = ((counts <= 0) & self.needed).sum(axis=-1)
        return np.asarray(by_class + by_size + _MISSING_CLASS * absent)


def _greedy(table: Reals, balance: _Balance, rng: np.random.Generator) -> Parts:
    counts = np.zeros_like(balance.target)
    parts = np.zeros(len(table), dtype=np.intp)
    # Large groups first: the small ones then fill the gaps.
    for group in np.lexsort((rng.permutation(len(table)), -table.sum(axis=1))):
        gain = balance.loss(counts + table[group]) - balance.loss(counts)
        # The emptiest part, relative to its share, takes a tie.
        part = int(np.lexsort((counts.sum(axis=1) / balance.size, np.round(gain, 9)))[0])
        counts[part] += table[group]
        parts[group] = part
    return parts


def _improve(table: Reals, parts: Parts, balance: _Balance) -> float:
    """Move single groups, *parts* in place, while any move lowers the loss; return the final loss."""
    n_parts = len(balance.target)
    counts = np.zeros_like(balance.target)
    np.add.at(counts, parts, table)
    for _ in range(_MAX_MOVES):
        now = balance.loss(counts)
        leave = np.empty(len(table))
        enter = np.empty((len(table), n_parts))
        for part in range(n_parts):
            inside = parts == part
            leave[inside] = balance.loss(counts[part] - table[inside], part) - now[part]
            enter[:, part] = balance.loss(counts[part] + table, part) - now[part]
            enter[inside, part] = np.inf
        change = leave[:, None] + enter
        group, best = divmod(int(np.argmin(change)), n_parts)
        if change[group, best] >= -1e-9:
            break
        counts[parts[group]] -= table[group]
        counts[best] += table[group]
        parts[group] = best
    return float(balance.loss(counts).sum())
