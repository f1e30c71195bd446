"""Grain size numbers: what a mean intercept or a count per area means in ASTM E112 and in ISO 643.

The two standards give numbers that look alike and differ: for the same grains per area ISO 643's G is .046 lower.
They are two types here, neither of which converts to the other by accident, and each prints its standard.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from scipy.special import stdtrit

from sorby.errors import InputError

Standard = Literal["astm-e112", "iso-643"]

EDITIONS: dict[Standard, str] = {"astm-e112": "ASTM E112-13(2021)", "iso-643": "ISO 643:2019"}
"""The edition whose rules and equations are followed, printed with every number."""

# E112, Table 6 and Appendix X1: G from the mean intercept (mm) and from grains per mm2 at 1x.
_INTERCEPT_SLOPE, _INTERCEPT_OFFSET = -6.643856, -3.288
_PLANIMETRIC_SLOPE, _PLANIMETRIC_OFFSET = 3.321928, -2.954
_ISO_OFFSET = 3.0  # ISO 643: m = 8 * 2**G


@dataclass(frozen=True)
class AstmGrainSize:
    """An ASTM E112 grain size number.

    Attributes
    ----------
    number : float
        G.

    Examples
    --------
    >>> round(AstmGrainSize.from_mean_intercept(0.32).number, 2)
    0.0
    >>> print(AstmGrainSize.from_grains_per_mm2(1984.0))
    ASTM E112-13(2021) G 8.00
    """

    number: float
    standard: ClassVar[str] = EDITIONS["astm-e112"]

    @classmethod
    def from_mean_intercept(cls, intercept_mm: float) -> AstmGrainSize:
        """Return G of a mean lineal intercept in millimetres: -6.643856 log10(l) - 3.288.

        Raises
        ------
        InputError
            The length is not positive.
        """
        return cls(_INTERCEPT_SLOPE * math.log10(_positive(intercept_mm, "mean intercept")) + _INTERCEPT_OFFSET)

    @classmethod
    def from_grains_per_mm2(cls, density: float) -> AstmGrainSize:
        """Return G of grains per square millimetre: 3.321928 log10(N_A) - 2.954.

        Raises
        ------
        InputError
            The count is not positive.
        """
        return cls(_PLANIMETRIC_SLOPE * math.log10(_positive(density, "grains per mm2")) + _PLANIMETRIC_OFFSET)

    @property
    def mean_intercept_mm(self) -> float:
        """Mean lineal intercept of this G, millimetres."""
        return float(10 ** ((self.number - _INTERCEPT_OFFSET) / _INTERCEPT_SLOPE))

    @property
    def grains_per_mm2(self) -> float:
        """Grains per square millimetre of this G."""
        return float(10 ** ((self.number - _PLANIMETRIC_OFFSET) / _PLANIMETRIC_SLOPE))

    def __str__(self) -> str:
        return f"{self.standard} G {self.number:.2f}"


@dataclass(frozen=True)
class IsoGrainSize:
    """An ISO 643 grain size number, for equiaxed grains of one population.

    Attributes
    ----------
    number : float
        G, by ``m = 8 * 2**G`` with m the grains per square millimetre.

    Examples
    --------
    >>> print(IsoGrainSize.from_grains_per_mm2(128.0))
    ISO 643:2019 G 4.00
    """

    number: float
    standard: ClassVar[str] = EDITIONS["iso-643"]

    @classmethod
    def from_grains_per_mm2(cls, density: float) -> IsoGrainSize:
        """Return G of grains per square millimetre: log2(m) - 3.

        Raises
        ------
        InputError
            The count is not positive.
        """
        return cls(math.log2(_positive(density, "grains per mm2")) - _ISO_OFFSET)

    @property
    def grains_per_mm2(self) -> float:
        """Grains per square millimetre of this G."""
        return float(2 ** (self.number + _ISO_OFFSET))

    def __str__(self) -> str:
        return f"{self.standard} G {self.number:.2f}"


GrainSize = AstmGrainSize | IsoGrainSize


def from_grains_per_mm2(density: float, standard: Standard) -> GrainSize:
    """Return the grain size of a count per square millimetre in the number of *standard*."""
    if standard == "iso-643":
        return IsoGrainSize.from_grains_per_mm2(density)
    return AstmGrainSize.from_grains_per_mm2(density)


@dataclass(frozen=True)
class FieldStatistics:
    """A quantity measured on several fields: E112, section 15.

    Attributes
    ----------
    mean : float
    s : float or None
        Standard deviation over fields, denominator n - 1; None for one field.
    ci95 : tuple of float or None
        mean +- t(.975, n - 1) s / sqrt(n).
    relative_accuracy : float or None
        %RA: half the interval over the mean, percent.
    n : int
        Fields.
    """

    mean: float
    s: float | None
    ci95: tuple[float, float] | None
    relative_accuracy: float | None
    n: int

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, for JSON."""
        return {
            "mean": self.mean,
            "s": self.s,
            "ci95": None if self.ci95 is None else list(self.ci95),
            "percent_ra": self.relative_accuracy,
            "n": self.n,
        }


def field_statistics(values: Sequence[float]) -> FieldStatistics:
    """Return mean, s, 95 % interval and relative accuracy over fields.

    Raises
    ------
    InputError
        There is no field.

    References
    ----------
    ASTM E112, section 15: s, 95 % CI = t s / sqrt(n), %RA = 100 CI / mean.

    Examples
    --------
    >>> over_fields = field_statistics([10.0, 12.0, 11.0, 9.0, 13.0])
    >>> round(over_fields.relative_accuracy, 1)
    17.8
    """
    if len(values) == 0:
        raise InputError("no field was measured", "give at least one image in which boundaries are found")
    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    if array.size < 2:
        return FieldStatistics(mean, None, None, None, 1)
    s = float(array.std(ddof=1))
    half = float(stdtrit(array.size - 1, 0.975)) * s / math.sqrt(array.size)
    return FieldStatistics(
        mean, s, (mean - half, mean + half), 100 * half / abs(mean) if mean else None, int(array.size)
    )


def _positive(value: float, what: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{what} must be positive and finite, not {value}", "no grain size follows from it")
    return value
