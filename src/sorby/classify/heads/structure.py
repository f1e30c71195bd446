"""Structure codes taken apart: which subtype a class belongs to, and which of its ordered sizes it is.

Plain numbers are grades of one scale, such as severities 0 to 4: one subtype, and the numbers are its sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sorby.corpus import SIZE_CLASSES, split_code
from sorby.errors import InputError

Codes = npt.NDArray[np.intp]

#: Subtype of classes that are plain numbers.
GRADE = "grade"


@dataclass(frozen=True)
class CodeStructure:
    """How the classes of a classifier fall into subtypes and sizes.

    Attributes
    ----------
    classes : tuple of str
        Structure codes, in the order of the scores.
    subtypes : tuple of str
    subtype : tuple of int
        Subtype of each class.
    grade : tuple of int
        Place of each class among the sizes of its subtype, 0 the coarsest.
    sizes : tuple of tuple of str
        Names of the sizes of each subtype, coarse to fine.
    """

    classes: tuple[str, ...]
    subtypes: tuple[str, ...]
    subtype: tuple[int, ...]
    grade: tuple[int, ...]
    sizes: tuple[tuple[str, ...], ...]

    def members(self, subtype: int) -> list[int]:
        """Return the classes of a subtype, coarse to fine."""
        found = [k for k, s in enumerate(self.subtype) if s == subtype]
        return sorted(found, key=lambda k: self.grade[k])

    @cached_property
    def subtype_of(self) -> Codes:
        """Subtype of each class, shape (C,)."""
        return np.array(self.subtype, np.intp)

    @cached_property
    def grade_of(self) -> Codes:
        """Size of each class within its subtype, shape (C,)."""
        return np.array(self.grade, np.intp)


def _taken_apart(name: str) -> tuple[str, str]:
    """Return subtype and size of a structure code; any letters before the first digit are the subtype."""
    if name.isascii() and name.isdecimal():
        return GRADE, name
    digits = next((k for k, letter in enumerate(name) if letter.isdigit()), 0)
    return (name[:digits].rstrip(" _-"), name[digits:]) if digits else split_code(name)


def _fineness(size: str) -> tuple[int, float, str]:
    """Order sizes coarse to fine: the house's size classes as they stand there, others by their first number."""
    if size in SIZE_CLASSES:
        return 0, float(SIZE_CLASSES.index(size)) + 6, ""
    first = size.split("-")[0]
    return (0, float(first), size) if first.replace(".", "", 1).isdecimal() else (1, 0.0, size)


def structure_of(classes: Sequence[str], parts: Mapping[str, tuple[str, str]] | None = None) -> CodeStructure:
    """Take classes apart.

    Parameters
    ----------
    classes : sequence of str
        Structure codes such as ``G8`` or ``B9-10``, or grades such as ``0`` to ``4``.
    parts : mapping, optional
        Subtype and size of each class, where the corpus states them in columns of their own; from the code's
        letters and digits where absent.

    Raises
    ------
    InputError
        A class is no structure code, two classes are the same, or there is only one subtype and one size.
    """
    named = {}
    for name in classes:
        try:
            named[name] = parts[name] if parts is not None else _taken_apart(name)
        except (InputError, KeyError):
            raise InputError(
                f"class {name!r} is no structure code, so it has no subtype and size",
                "codes such as G8 or B9-10, grades such as 0 to 4, columns subtype and size_class, or head.kind=flat",
            ) from None
    if len(set(named.values())) < len(named):
        raise InputError("two classes have the same subtype and size", "merge them with labels.merge")
    subtypes = tuple(sorted({subtype for subtype, _ in named.values()}))
    sizes = tuple(
        tuple(sorted({size for s, size in named.values() if s == subtype}, key=_fineness)) for subtype in subtypes
    )
    place = {subtype: k for k, subtype in enumerate(subtypes)}
    return CodeStructure(
        tuple(classes),
        subtypes,
        tuple(place[named[name][0]] for name in classes),
        tuple(sizes[place[named[name][0]]].index(named[name][1]) for name in classes),
        sizes,
    )
