"""The house scale: from needle lengths to a size class.

ISO 643 covers equiaxed grains of one population. Needle length is graded on a *house scale referenced to
ISO 643*: its class names are borrowed, its thresholds belong to the house. The thresholds behind the published
steel system are confidential, so the ones here are sorby's own and meant to be replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError

Criterion = Literal["mean", "maximum"]
SIZE_CLASSES = ("6", "7", "8", "9-10")

#: Words a metallographer uses for each class under each criterion (S1, Table 1).
MORPHOLOGY: Mapping[Criterion, Mapping[str, str]] = {
    "mean": {
        "6": "coarse acicular to acicular",
        "7": "acicular",
        "8": "fine acicular",
        "9-10": "fine acicular to structureless",
    },
    "maximum": {
        "6": "coarse acicular",
        "7": "coarse acicular to acicular",
        "8": "acicular",
        "9-10": "fine acicular",
    },
}


@dataclass(frozen=True)
class GradeTable:
    """Needle-length thresholds, coarse to fine, for both criteria.

    Attributes
    ----------
    classes : tuple of str
        Size classes from coarse to fine.
    mean_um : tuple of float
        Lower limits of all classes but the finest, by mean needle length in micrometres, descending.
    maximum_um : tuple of float
        The same by the length of the largest needles.
    subtype_factor : mapping of str to float
        Factor on all thresholds of a subtype; 1 where absent. S1: M deviates slightly from G and B.
    largest_share : float
        The largest needles are this share of all (by number); their mean length stands for the maximum, since
        the longest single needle only says how large the field was.
    coarse_area : float
        Share of the area that coarse regions must take for the maximum criterion to apply.
    name : str
        Printed beside every grade.
    """

    classes: tuple[str, ...] = SIZE_CLASSES
    mean_um: tuple[float, ...] = (16.0, 10.0, 6.0)
    maximum_um: tuple[float, ...] = (42.0, 26.0, 15.5)
    subtype_factor: Mapping[str, float] = field(default_factory=lambda: {"M": 1.1})
    largest_share: float = 0.005
    coarse_area: float = 0.05
    name: str = "sorby house scale (referenced to ISO 643)"

    def __post_init__(self) -> None:
        for criterion, limits in (("mean_um", self.mean_um), ("maximum_um", self.maximum_um)):
            if len(limits) != len(self.classes) - 1:
                raise InputError(
                    f"grade table: {criterion} has {len(limits)} limits for {len(self.classes)} classes",
                    "give one lower limit for each class but the finest",
                )
            if any(a <= b for a, b in pairwise(limits)) or min(limits) <= 0:
                raise InputError(f"grade table: {criterion} must fall from coarse to fine and stay above 0")
        if not 0 < self.largest_share <= 1:
            raise InputError("grade table: largest_share must lie in 0..1")

    def limits(self, subtype: str, criterion: Criterion) -> npt.NDArray[np.float64]:
        """Return the lower limits in micrometres, coarse to fine, for a subtype."""
        base = self.mean_um if criterion == "mean" else self.maximum_um
        return np.asarray(base, dtype=np.float64) * self.subtype_factor.get(subtype, 1.0)

    def bounds(self, subtype: str, size_class: str, criterion: Criterion = "mean") -> tuple[float, float]:
        """Return the interval ``[low, high)`` of a class in micrometres.

        Raises
        ------
        InputError
            The table has no such class.
        """
        if size_class not in self.classes:
            raise InputError(f"size class {size_class!r} is unknown", f"allowed: {', '.join(self.classes)}")
        edges = np.concatenate([[np.inf], self.limits(subtype, criterion), [0.0]])
        place = self.classes.index(size_class)
        return float(edges[place + 1]), float(edges[place])

    def largest_um(self, lengths_um: npt.NDArray[np.floating[Any]]) -> float:
        """Return the mean length of the largest needles in micrometres, the maximum criterion's measure."""
        count = max(1, round(self.largest_share * lengths_um.size))
        return float(np.sort(lengths_um)[-count:].mean())

    def size_class(self, value_um: float, subtype: str, criterion: Criterion = "mean") -> str:
        """Return the class of a mean length (or of the largest needles' length) in micrometres."""
        return self.classes[int(np.sum(value_um < self.limits(subtype, criterion)))]

    def grade(self, lengths_um: npt.NDArray[np.floating[Any]], subtype: str, criterion: Criterion = "mean") -> str:
        """Return the structure code, such as ``G8``, of needle lengths in micrometres.

        Raises
        ------
        InputError
            There is no needle to grade.
        """
        if lengths_um.size == 0:
            raise InputError("no needle lies in the region of interest", "use a larger field of view")
        value = float(lengths_um.mean()) if criterion == "mean" else self.largest_um(lengths_um)
        return subtype + self.size_class(value, subtype, criterion)

    def criterion_for(self, coarse_area_fraction: float) -> Criterion:
        """Return which criterion applies: ``maximum`` where coarse regions take enough of the area."""
        return "maximum" if coarse_area_fraction >= self.coarse_area else "mean"

    def as_dict(self) -> dict[str, Any]:
        """Return the table as plain values, for JSON."""
        return {**asdict(self), "subtype_factor": dict(self.subtype_factor)}


HOUSE_SCALE = GradeTable()


def split_code(code: str) -> tuple[str, str]:
    """Return subtype and size class of a structure code: ``"G9-10"`` is ``("G", "9-10")``.

    Raises
    ------
    InputError
        The code is not one of B, G, M followed by a size class.
    """
    subtype, size_class = code[:1], code[1:]
    if subtype not in ("B", "G", "M") or not size_class:
        raise InputError(f"structure code {code!r} is unknown", "write such as G8, B9-10 or M8")
    return subtype, size_class
