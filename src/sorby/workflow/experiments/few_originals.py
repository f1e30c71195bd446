"""Who teaches and who judges where originals are few: one left out, folds of them, or the rest of a larger set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.workflow.experiments.bench import Bench

Rows = npt.NDArray[np.intp]
Protocol = Literal["one-out", "folds", "rest"]
PROTOCOLS: tuple[str, ...] = get_args(Protocol)


@dataclass(frozen=True, eq=False)
class Round:
    """One training part and the originals that judge it.

    Attributes
    ----------
    train, test : ndarray of int
        Rows of the bench; no specimen is in both.
    """

    train: Rows
    test: Rows


def rounds_of(bench: Bench, protocol: str, *, folds: int, originals: str, draws: int) -> list[Round]:
    """Divide the originals.

    Parameters
    ----------
    bench : Bench
    protocol : {"one-out", "folds", "rest"}
        Each specimen judged by the others; folds of whole specimens; or some specimens drawn to teach, all others
        judge.
    folds : int
        Of protocol ``folds``.
    originals : str
        Of protocol ``rest``: how many of each class teach, e.g. ``12,13`` in the order of the classes, or one number.
    draws : int
        Of protocol ``rest``.

    Raises
    ------
    InputError
        No such protocol, or too few originals.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol={protocol} is none", f"one of {', '.join(PROTOCOLS)}")
    if protocol == "rest":
        return _drawn(bench, _counts(originals, len(bench.classes)), draws)
    member = bench.folds(folds) if protocol == "folds" else codes_of(bench)
    found = [Round(np.flatnonzero(member != k), np.flatnonzero(member == k)) for k in np.unique(member)]
    for each in found:
        if len(np.unique(bench.labels[each.train])) < len(bench.classes):
            raise InputError(
                "a class has all its originals in one part and cannot be learnt there", "add originals of each class"
            )
    return found


def codes_of(bench: Bench) -> Rows:
    """Return the specimen of each row as a number from 0; every row its own where none are named."""
    if bench.specimens is None:
        return np.arange(bench.n)
    found: Rows = np.unique(np.asarray(bench.specimens, str), return_inverse=True)[1]
    return found


def _counts(text: str, n_classes: int) -> list[int]:
    try:
        counts = [int(part) for part in str(text).split(",")]
    except ValueError:
        counts = []
    counts = counts * n_classes if len(counts) == 1 else counts
    if len(counts) != n_classes or min(counts, default=0) < 1:
        raise InputError(f"originals={text} fits no {n_classes} classes", "one number, or one a class: originals=12,13")
    return counts


def _drawn(bench: Bench, counts: Sequence[int], draws: int) -> list[Round]:
    """Draw specimens of each class to teach, one image of each; the specimens left judge with all their images."""
    codes, found = codes_of(bench), []
    for draw in range(draws):
        rng = np.random.default_rng([bench.recipe.seed, 25, draw])
        taught: list[int] = []
        for label, count in enumerate(counts):
            mine = rng.permutation(np.flatnonzero(bench.labels == label))
            _, first = np.unique(codes[mine], return_index=True)
            one_each = mine[np.sort(first)]
            if len(one_each) <= count:
                raise InputError(
                    f"{bench.classes[label]} has {len(one_each)} specimens: {count} would leave none to judge",
                    "fewer originals=, or protocol=one-out",
                )
            taught.extend(one_each[:count])
        train = np.sort(np.array(taught, np.intp))
        found.append(Round(train, np.flatnonzero(~np.isin(codes, codes[train]))))
    return found
