"""Splits: who is trained on and who is tested; specimens are kept whole where they are known.

All functions take labels (and specimens) and return a part for every image. They are deterministic for a seed.

The group-aware form goes through the specimens, those with most images first, and puts each where its classes
are missed most, so that class shares and sizes stay as close to the wanted ones as whole specimens allow.
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


def _codes(labels: Labels, groups: npt.ArrayLike | None) -> tuple[Parts, Parts, int]:
    """Return class codes, specimen codes and the number of specimens."""
    label_array = np.asarray(labels)
    _, codes = np.unique(label_array.astype(str), return_inverse=True)
    if groups is None:
        return codes.astype(np.intp), np.arange(len(codes), dtype=np.intp), len(codes)
    group_array = np.asarray(groups).astype(str)
    if group_array.shape != codes.shape:
        raise InputError(f"{len(codes)} labels but {len(group_array)} specimens", "give one specimen an image")
    names, index = np.unique(group_array, return_inverse=True)
    return codes.astype(np.intp), index.astype(np.intp), len(names)


def _assign(codes: Parts, index: Parts, n_groups: int, shares: npt.NDArray[np.float64], seed: int) -> Parts:
    """Return the part of every specimen, class shares kept as well as whole specimens allow."""
    n_classes = int(codes.max()) + 1
    content = np.zeros((n_groups, n_classes))
    np.add.at(content, (index, codes), 1)
    wanted = shares[:, None] * content.sum(axis=0)
    have = np.zeros_like(wanted)
    scale = 1 / np.maximum(content.sum(axis=0), 1)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(n_groups)
    order = shuffled[np.argsort(-content[shuffled].sum(axis=1), kind="stable")]
    part = np.empty(n_groups, np.intp)
    for group in order:
        # Squared relative shortfall that adding this specimen removes, per part.
        before = ((wanted - have) * scale) ** 2
        after = ((wanted - have - content[group]) * scale) ** 2
        gain = (before - after).sum(axis=1)
        # Relative to the size of the part, so that a small part is filled as readily as a large one.
        gain = np.where(shares > 0, gain / np.maximum(shares, 1e-12), -np.inf)
        best = np.flatnonzero(gain >= gain.max() - 1e-12)
        part[group] = best[rng.integers(len(best))] if len(best) > 1 else best[0]
        have[part[group]] += content[group]
    return part


def _exact(codes: Parts, counts_of: Sequence[npt.NDArray[np.intp]], rng: np.random.Generator) -> Parts:
    """Return the part of every image so that class c puts exactly ``counts_of[c][p]`` images into part p."""
    part = np.empty(len(codes), np.intp)
    for label, counts in enumerate(counts_of):
        members = rng.permutation(np.flatnonzero(codes == label))
        part[members] = np.repeat(np.arange(len(counts)), counts)
    return part


def _holdout_counts(n: int, shares: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return how many of *n* images go to each part: later parts rounded up, the first takes the rest.

    The test part of a class is ``ceil(share n)``, the rule by which Durmaz et al. arrive at 246, 66 and 14.
    At least one image stays in the first part.
    """
    counts = np.zeros(len(shares), np.intp)
    left = n
    for k in range(len(shares) - 1, 0, -1):
        wanted = math.ceil(round(shares[k] * n, 9)) if shares[k] > 0 else 0
        counts[k] = min(wanted, max(0, left - 1))
        left -= counts[k]
    counts[0] = left
    return counts


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
    groups : array_like, shape (n,), optional
        Specimens, kept whole.
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
    """
    shares = np.asarray(fractions, np.float64)
    if abs(shares.sum() - 1) > 1e-6 or (shares < 0).any() or len(shares) > len(names):
        raise InputError(f"fractions {tuple(fractions)} are not shares of 1", "e.g. .64 .16 .2")
    codes, index, n_groups = _codes(labels, groups)
    if not len(codes):
        raise InputError("there is nothing to split", "check that the corpus has labelled rows")
    if groups is None:
        counts = [_holdout_counts(int(count), shares) for count in np.bincount(codes)]
        part = _exact(codes, counts, np.random.default_rng(seed))
    else:
        part = _assign(codes, index, n_groups, shares, seed)[index]
    _warn_of_absent_classes(labels, part, [name for name, share in zip(names, shares, strict=False) if share > 0])
    return np.asarray(names)[part]


def kfold(labels: Labels, k: int = 5, *, groups: npt.ArrayLike | None = None, seed: int = 0) -> Parts:
    """Return the test fold of every image, from 0, stratified by class.

    Parameters
    ----------
    labels : array_like, shape (n,)
    k : int
        Folds; fewer where there are fewer specimens (said in a warning).
    groups : array_like, shape (n,), optional
        Specimens, kept whole.
    seed : int

    Raises
    ------
    InputError
        Fewer than two specimens.
    """
    codes, index, n_groups = _codes(labels, groups)
    if n_groups < 2:
        raise InputError("one specimen cannot be split into folds", "add specimens")
    if n_groups < k:
        warnings.warn(f"{k} folds asked, {n_groups} specimens there: {n_groups} folds made", SorbyWarning, stacklevel=2)
        k = n_groups
    if groups is None:
        rng = np.random.default_rng(seed)
        part = np.empty(len(codes), np.intp)
        begin = 0  # where the last class stopped, so that folds differ by one image at most
        for label in range(int(codes.max()) + 1):
            members = rng.permutation(np.flatnonzero(codes == label))
            part[members] = (begin + np.arange(len(members))) % k
            begin += len(members)
    else:
        part = _assign(codes, index, n_groups, np.full(k, 1 / k), seed)[index]
    missing = [label for label in np.unique(codes) if len(np.unique(part[codes == label])) < 2]
    if missing:
        name = np.unique(np.asarray(labels).astype(str))[missing[0]]
        warnings.warn(
            f"class {name!r} lies in one fold only: that fold's classifier has never seen it",
            SorbyWarning,
            stacklevel=2,
        )
    return part


def leave_one_out(labels: Labels, *, groups: npt.ArrayLike | None = None) -> Parts:
    """Return a fold of its own for every specimen, or for every image where specimens are unknown."""
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


def _warn_of_absent_classes(labels: Labels, part: Parts, names: Sequence[str]) -> None:
    label_names, codes = np.unique(np.asarray(labels).astype(str), return_inverse=True)
    for k, name in enumerate(names):
        absent = [label_names[c] for c in range(len(label_names)) if not np.any((codes == c) & (part == k))]
        if absent:
            warnings.warn(f"the {name} part holds nothing of class {absent[0]!r}", SorbyWarning, stacklevel=3)
