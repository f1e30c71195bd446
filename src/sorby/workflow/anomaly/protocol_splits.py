"""Who learns and who is tested in a run of the published protocols (Yan et al. 2023), drawn anew for each run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError

Rows = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

#: Good tiles drawn into the test of a pinhole run.
NEGATIVES = 36


@dataclass(frozen=True, eq=False)
class Split:
    """Sub-images of one run.

    Attributes
    ----------
    train : ndarray of int
        Good ones that are learnt, rising.
    test : ndarray of int
        Defective ones, then good ones; each rising.
    weights : ndarray of float64
        How often each test image counts.
    """

    train: Rows
    test: Rows
    weights: npt.NDArray[np.float64]


def halved(good: Rows, bad: Rows, run: int, seed: int, train_share: float = 0.5) -> Split:
    """Split good sub-images at random; all defective ones are tested (scratches, c = 1).

    At the published size 18 of 36 good sub-images are learnt. The other 18 were duplicated once in the test, so that
    it holds as many good images as defective ones; here each has the weight that does the same: 36 / 18 = 2. Areas
    under curves and overlaps do not notice; the threshold of best F1 does, since it depends on how common defects are.

    Parameters
    ----------
    good, bad : ndarray of int
    run : int
        Number of the run; with *seed* it settles the draw.
    seed : int
    train_share : float
        Of the good sub-images; .5 as published.

    Raises
    ------
    InputError
        Fewer than two would be learnt, or none tested.
    """
    n_train = round(train_share * len(good))
    if n_train < 2 or n_train >= len(good) or not len(bad):
        raise InputError(
            f"{len(good)} good and {len(bad)} defective sub-images cannot be split at {train_share:g}",
            "at least two good ones to learn, one to test, and one defective",
        )
    order = np.random.default_rng([seed, run, 1]).permutation(good)
    train, tested = np.sort(order[:n_train]), np.sort(order[n_train:])
    weights = np.concatenate([np.ones(len(bad)), np.full(len(tested), len(bad) / len(tested))])
    return Split(train, np.concatenate([bad, tested]), weights)


def by_sheet(of_defective_sheet: BoolArray, bad: BoolArray) -> Split:
    """Learn every sub-image of the baseline sheets, test every one of the defective sheets (scratches, c = 3 and 5).

    Raises
    ------
    InputError
        A kind of sheet is missing.
    """
    train, tested = np.flatnonzero(~of_defective_sheet), np.flatnonzero(of_defective_sheet)
    if len(train) < 2 or not bad.any():
        raise InputError("this protocol needs sheets without defects and sheets with them", "see the column label")
    order = np.concatenate([tested[bad[tested]], tested[~bad[tested]]])
    return Split(train, order, np.ones(len(order)))


def with_negatives(good: Rows, bad: Rows, run: int, seed: int, negatives: int = NEGATIVES) -> Split:
    """Draw some good tiles into the test beside all defective ones; the rest is learnt (pinholes).

    Where there are few good tiles, at most half of them are drawn.

    Raises
    ------
    InputError
        Too few good tiles, or none with a defect.
    """
    drawn = min(negatives, len(good) // 2)
    if drawn < 1 or len(good) - drawn < 2 or not len(bad):
        raise InputError(f"{len(good)} good and {len(bad)} defective tiles are too few", "more or larger sheets")
    tested = np.sort(np.random.default_rng([seed, run, 2]).choice(good, drawn, replace=False))
    train = np.setdiff1d(good, tested)
    test = np.concatenate([bad, tested])
    return Split(train, test, np.ones(len(test)))


def without_held_out(split: Split, held_out: int, groups: Sequence[str], *, same_defect: bool = True) -> Split:
    """Take the held-out image out of the test of the inner loop.

    Parameters
    ----------
    split : Split
    held_out : int
        Row of a defective sub-image.
    groups : sequence of str
        The defect that each sub-image shows.
    same_defect : bool
        Also the other sub-images of the same defect: of 39 tiles with pinholes three pairs show halves of one hole,
        and the threshold would have seen the half that stays. False for the published way.

    Returns
    -------
    Split
        The same images, those taken out with weight 0.
    """
    out = np.array([row == held_out or (same_defect and groups[row] == groups[held_out]) for row in split.test])
    return Split(split.train, split.test, np.where(out, 0.0, split.weights))
