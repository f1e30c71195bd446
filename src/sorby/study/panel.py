"""Ratings of a study as tables, items by raters, at every level at which they are compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.study.design import Design
from sorby.study.ratings import Ratings
from sorby.study.scheme import Scheme

Level = Literal["code", "merged", "class", "reduced", "size", "verdict"]
Names = npt.NDArray[np.object_]
Bools = npt.NDArray[np.bool_]

TITLES: dict[str, str] = {
    "code": "full codes",
    "merged": "codes as labels merge them",
    "class": "classes",
    "reduced": "reduced classes",
    "size": "sizes alone",
    "verdict": "accept or reject",
}


@dataclass(frozen=True, eq=False)
class Panel:
    """A design and what its raters said; those who said nothing are no part of it.

    Attributes
    ----------
    design : Design
    ratings : Ratings
    raters : tuple of str
    """

    design: Design
    ratings: Ratings
    raters: tuple[str, ...]

    @classmethod
    def of(cls, design: Design, ratings: Ratings, raters: Sequence[str] | None = None) -> Panel:
        """Return the panel of those who rated, or of some of them.

        Raises
        ------
        InputError
            Nobody rated.
        """
        active = set(ratings.table["rater"])
        chosen = tuple(rater for rater in design.raters if rater in active and (raters is None or rater in raters))
        if not chosen:
            raise InputError(f"study {design.study}: there is no rating yet", "give forms that are filled in")
        return cls(design, ratings, chosen)

    @property
    def scheme(self) -> Scheme:
        """What raters were asked."""
        return self.design.scheme

    @property
    def levels(self) -> tuple[Level, ...]:
        """Levels that the scheme gives sense to, finest first."""
        found: list[Level] = ["code"]
        if self.scheme.two_steps:
            found.append("class")
        if self.scheme.reduces:
            found.append("reduced")
        if self.scheme.sizes is not None:
            found.append("size")
        if self.scheme.reject and set(self.scheme.codes) != {"accept", "reject"}:
            found.append("verdict")
        return tuple(found)

    @property
    def finest(self) -> Level:
        """The finest level at which a label is one category: codes, merged where labels merge them."""
        return "merged" if self.scheme.reduced else "code"

    def said(self, level: Level, occasion: int = 1) -> Names:
        """Return what raters said at a level, shape (n, R); None for a gap and for what the level does not hold."""
        columns = [self.design.raters.index(rater) for rater in self.raters]
        if level == "class":
            return self._class_matrix(occasion)[:, columns]
        codes = self.ratings.matrix(self.design, "code", occasion)[:, columns]
        return codes if level == "code" else _mapped(codes, self._mapping(level))

    def labels(self, level: Level) -> Names:
        """Return the label of each item at a level, shape (n,); None where it has none there."""
        given = np.array([label or None for label in self.design.labels], dtype=object)
        if level == "code":
            return given
        return _mapped(given, self.scheme.class_of if level == "class" else self._mapping(level))

    def order(self, level: Level) -> tuple[str, ...]:
        """Return the categories of a level."""
        orders: dict[Level, tuple[str, ...]] = {
            "code": self.scheme.codes,
            "merged": tuple(dict.fromkeys(self.scheme.merge(code) for code in self.scheme.codes)),
            "class": self.scheme.class_names,
            "reduced": self.scheme.reduced_codes,
            "size": self.scheme.sizes or (),
            "verdict": ("accept", "reject"),
        }
        return orders[level]

    def kept(self, level: Level) -> Bools:
        """Return the items that a level keeps, shape (n,): of the reduced classes those whose label is one of them."""
        labels = self.labels(level)
        whole = np.ones(len(labels), dtype=bool)
        return np.array([label is not None for label in labels]) if level == "reduced" else whole

    def right(self, level: Level) -> tuple[Bools, Bools]:
        """Return which ratings are right and which can be judged, both of shape (n, R).

        At the level of codes a label that covers several codes is met by each of them.
        """
        said, labels = self.said(level), self.labels(level)
        judged = np.array([[value is not None for value in row] for row in said]).reshape(said.shape)
        judged &= np.array([label is not None for label in labels])[:, None]
        covered = [self.scheme.covers(str(label)) if level == "code" else (label,) for label in labels]
        hits = np.array([[value in covers for value in row] for row, covers in zip(said, covered, strict=True)])
        return hits.reshape(said.shape) & judged, judged

    @cached_property
    def steps(self) -> npt.NDArray[np.float64]:
        """How many steps each code lies beyond the label, shape (n, R); NaN across classes."""
        said = self.said("code")
        found = np.full(said.shape, np.nan)
        for k, label in enumerate(self.design.labels):
            for j, code in enumerate(said[k]):
                steps = self.scheme.steps(label, code) if label and code is not None else None
                found[k, j] = np.nan if steps is None else steps
        return found

    def _class_matrix(self, occasion: int) -> Names:
        return self.ratings.matrix(self.design, "class", occasion)

    def _mapping(self, level: Level) -> Callable[[str], str | None]:
        def verdict(code: str) -> str | None:
            fails = self.scheme.rejects(code)
            return None if fails is None else "reject" if fails else "accept"

        mappings: dict[Level, Callable[[str], str | None]] = {
            "merged": self.scheme.merge,
            "reduced": self.scheme.reduce,
            "size": self.scheme.size_of,
            "verdict": verdict,
        }
        return mappings[level]


def _mapped(values: Names, to: Callable[[str], Any]) -> Names:
    """Apply a mapping of names to every cell; a gap stays one."""
    known = {value: to(value) for value in {value for value in values.ravel() if value is not None}}
    found = np.empty(values.shape, dtype=object)
    found.ravel()[:] = [known.get(value) for value in values.ravel()]
    return found
