"""Can a conformal level be kept with the calibration images at hand?

A conformal set at level alpha leaves a class out only if enough calibration scores lie below; with
n < 1/alpha - 1 scores no class can ever be left out, and a conformal p-value never gets down to
alpha. The guarantee then holds, emptily. Class-conditional (Mondrian) sets need that many images
of every class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.evidence.intervals import specimen_index
from sorby.evidence.metrics import class_codes

# Products such as 0.1 * 10 must count as 1 although they may come out a rounding error below.
_ROUNDING = 1e-9


def needed(alpha: float, tests: int = 1) -> int:
    """Fewest calibration images with which level *alpha* can be reached.

    Parameters
    ----------
    alpha : float
        Level, 0 < alpha < 1.
    tests : int
        Tests that share the level by Bonferroni.

    Returns
    -------
    int
        ``ceil(tests / alpha - 1)``.

    Examples
    --------
    >>> needed(0.05), needed(0.05, tests=2)
    (19, 39)
    """
    return math.ceil(tests / alpha - 1.0 - _ROUNDING * tests / alpha)


def enough_for(alpha: float, n: int, tests: int = 1) -> bool:
    """Whether *n* calibration images suffice for level *alpha*: n >= tests / alpha - 1.

    Parameters
    ----------
    alpha : float
    n : int
    tests : int
        Tests that share the level by Bonferroni.

    Returns
    -------
    bool
    """
    return n >= needed(alpha, tests)


def conformal_rank(alpha: float, n: int) -> int:
    """Rank of the calibration score that is the threshold: ceil((1 - alpha)(n + 1)).

    Parameters
    ----------
    alpha : float
    n : int

    Returns
    -------
    int
        1-based; ``n + 1`` where *n* is too small, meaning no threshold.
    """
    return n + 1 - math.floor(alpha * (n + 1) + _ROUNDING * (n + 1))


@dataclass(frozen=True)
class Attainability:
    """Whether the calibration images suffice, and for which classes they do not.

    Attributes
    ----------
    alpha : float
    n, n_specimens : int
        Calibration images and specimens.
    needed : int
        Images needed (of each class where class-conditional).
    enough : bool
        Whether they suffice everywhere.
    short_classes : tuple of int
        Class-conditional: classes with too few images; they are in every set.
    class_counts : tuple of int
        Class-conditional: images of each class; empty otherwise.
    message : str
        One line for people; empty if nothing need be said.
    """

    alpha: float
    n: int
    n_specimens: int
    needed: int
    enough: bool
    short_classes: tuple[int, ...]
    class_counts: tuple[int, ...]
    message: str

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary fit for JSON."""
        out = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return out | {"short_classes": list(self.short_classes), "class_counts": list(self.class_counts)}


def attainability(
    alpha: float,
    labels: npt.ArrayLike,
    n_classes: int,
    class_conditional: bool = False,
    groups: npt.ArrayLike | None = None,
) -> Attainability:
    """Say whether calibration images with these labels can keep level *alpha*.

    Parameters
    ----------
    alpha : float
    labels : array_like of int, shape (N,)
        Classes of the calibration images.
    n_classes : int
    class_conditional : bool
        Whether the level is to hold within each class.
    groups : array_like, shape (N,), optional
        Specimens. Images of one specimen are not exchangeable with those of another one by one, so
        the message warns where there are fewer specimens than images needed.

    Returns
    -------
    Attainability
    """
    codes = class_codes(labels, n_classes)
    _, n_specimens = specimen_index(groups, codes.size)
    counts = np.bincount(codes, minlength=n_classes)
    return from_counts(alpha, codes.size, n_specimens, counts if class_conditional else None)


def from_counts(
    alpha: float, n: int, n_specimens: int, class_counts: npt.ArrayLike | None = None, unit: str = "images"
) -> Attainability:
    """Say whether counts of calibration images can keep level *alpha*.

    Parameters
    ----------
    alpha : float
    n, n_specimens : int
    class_counts : array_like of int, shape (C,), optional
        Images of each class, where the level is to hold within each.
    unit : str
        What was counted, in the plural.

    Returns
    -------
    Attainability
    """
    least = needed(alpha)
    counts: tuple[int, ...] = ()
    if class_counts is not None:
        counts = tuple(int(count) for count in np.asarray(class_counts))
    short = tuple(c for c, count in enumerate(counts) if count < least)
    enough = not short if counts else n >= least
    remarks = []
    if short:
        listed = ", ".join(f"{c} ({counts[c]})" for c in short)
        remarks.append(
            f"level {alpha:g} within each class needs {least} calibration {unit} of each; "
            f"too few of class {listed}: such classes are in every set"
        )
    elif not enough:
        remarks.append(f"level {alpha:g} needs {least} calibration {unit}, {n} are there: every set is complete")
    if n_specimens < n and n_specimens < least:
        remarks.append(f"the {n} {unit} come from {n_specimens} specimens only: coverage is not assured")
    return Attainability(alpha, n, n_specimens, least, enough, short, counts, "; ".join(remarks))
