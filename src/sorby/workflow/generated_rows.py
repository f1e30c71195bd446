"""Generated images in splits: they follow the family of originals that they join, teach, and never judge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.corpus.ancestry import descended
from sorby.errors import InputError
from sorby.workflow.planning import Plan

Rows = npt.NDArray[np.intp]
Draw = Callable[[npt.NDArray[np.str_], npt.NDArray[Any] | None], npt.NDArray[Any]]

UNUSED = "unused"
"""Part of the generated images that stand with judged originals: they neither teach nor judge."""


def drawn_parts(plan: Plan, rows: Rows, draw: Draw, otherwise: str | int) -> npt.NDArray[Any]:
    """Draw parts of some rows over the originals among them; generated images get their family's part.

    Parameters
    ----------
    plan : Plan
    rows : ndarray of int
    draw : callable
        Class names and what stays whole (or None) to a part for each.
    otherwise : str or int
        Part of generated images whose originals are not among *rows*.
    """
    made = plan.synthetic[rows]
    if not made.any():
        return draw(plan.names[rows], None if plan.groups is None else plan.groups[rows])
    family = plan.families[rows]
    drawn = draw(plan.names[rows][~made], family[~made])
    of_family = dict(zip(family[~made].tolist(), drawn.tolist(), strict=True))
    parts = np.array([of_family.get(name, otherwise) for name in family.tolist()])
    parts[~made] = drawn
    return parts


def originals(plan: Plan, rows: Rows) -> Rows:
    """Return the rows that may judge."""
    return rows[~plan.synthetic[rows]]


def teachable(plan: Plan, rows: Rows, judged: Rows) -> Rows:
    """Return the rows that may teach what *judged* rows judge: no generated image that descends from these."""
    return rows[~(plan.synthetic[rows] & descended(plan.corpus, rows, judged))] if plan.synthetic.any() else rows


def checked_parts(plan: Plan, parts: npt.NDArray[np.str_]) -> npt.NDArray[np.str_]:
    """Take generated images out of the parts that judge, and refuse those that teach what they descend from.

    Raises
    ------
    InputError
        A generated image of the training part descends from a specimen of another part.
    """
    made = plan.synthetic
    if not made.any():
        return parts
    checked = np.where(made & (parts != "train"), UNUSED, parts)
    teaching = np.flatnonzero(made & (parts == "train"))
    judged = np.flatnonzero(~made & np.isin(parts, ("val", "test")))
    if leaks := int(descended(plan.corpus, teaching, judged).sum()):
        raise InputError(
            f"{leaks} of {len(teaching)} generated images that teach descend from specimens of the val or test part",
            "teach the generator from the training part: sorby synthesize train DATA --split train",
        )
    used = len(teaching)
    plan.decisions.append(f"generated images: {used} of {int(made.sum())} teach, none judges")
    return checked


def one_family(plan: Plan, rows: Rows) -> bool:
    """Whether generated images join all originals among *rows*, so that no part can be taken off them."""
    return bool(plan.synthetic[rows].any()) and len(np.unique(plan.families[originals(plan, rows)])) < 2
