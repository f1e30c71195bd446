"""Means over repeats of a few-shot protocol: Student's t, and the z form of the few-shot benchmarks beside it.

Repeats draw other examples to learn from, and the same images are tested again and again. The interval therefore
tells how far the mean over *draws of examples* may be off on these test images. It says nothing of other specimens, and
where draws share images it is too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from sorby.errors import InputError
from sorby.evidence.printed_rounding import yan_rounding

Form = Literal["t", "z"]
SHARED = (
    "an interval of the mean over draws of examples; the test images are the same in all, other specimens may differ"
)
_Z = 1.96  # as written in TFA's aggregation of seeds


@dataclass(frozen=True)
class RepeatInterval:
    """A figure over repeats.

    Attributes
    ----------
    values : tuple of float
        The figure of each repeat in which it is defined.
    undefined : int
        Repeats in which it is not (no box of the class among the test images).
    mean : float
    sd : float
        Denominator n - 1; NaN for one repeat.
    t_margin : float
        Half width of the 95 % interval, t(.975, n - 1) SD / sqrt(n).
    z_margin : float
        1.96 times the standard deviation with denominator n, over sqrt(n): what the few-shot benchmarks print.
    """

    values: tuple[float, ...]
    undefined: int
    mean: float
    sd: float
    t_margin: float
    z_margin: float

    @property
    def n(self) -> int:
        """Repeats behind the mean."""
        return len(self.values)

    def margin(self, form: Form = "t") -> float:
        """Return the half width of the 95 % interval in one of the two forms."""
        return self.t_margin if form == "t" else self.z_margin

    def printed(self, form: Form = "t") -> str:
        """Return a share as Yan et al. (2023) print theirs in tables 5 and 6: per cent to the nearest tenth.

        Examples
        --------
        >>> over_repeats([0.30, 0.34, 0.36]).printed()
        '33.3 ± 7.6'
        """
        mean, margin = yan_rounding(100 * self.mean, 100 * self.margin(form), "detection")
        return f"{mean:.1f} ± {margin:.1f}" if margin is not None and math.isfinite(margin) else f"{mean:.1f}"

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary fit for JSON: ``ci95`` is the t form, ``ci95_z`` the other."""

        def bounds(margin: float) -> list[float] | None:
            return [self.mean - margin, self.mean + margin] if math.isfinite(margin) else None

        note = SHARED if self.n > 1 else "one repeat: no spread to go by"
        if self.undefined:
            note += f"; not defined in {self.undefined} of {self.n + self.undefined} repeats"
        return {
            "mean": _finite(self.mean), "value": _finite(self.mean), "sd": _finite(self.sd), "n": self.n,
            "ci95": bounds(self.t_margin), "ci95_z": bounds(self.z_margin),
            "margin_t": _finite(self.t_margin), "margin_z": _finite(self.z_margin),
            "method": f"t over {self.n} repeats (z: 1.96 SD / sqrt(n), denominator n)", "note": note,
            "repeats": list(self.values),
        }  # fmt: skip


@dataclass(frozen=True)
class BesidePublished:
    """A mean over repeats beside a published one.

    Attributes
    ----------
    difference : float
        Ours less theirs.
    margin : float
        Half width of its 95 % interval, the two taken as independent (Welch).
    implied_sd : mapping of {"t", "z"} to float
        Spread over repeats that the published margin implies, by the form it may have been computed in.
    """

    difference: float
    margin: float
    implied_sd: Mapping[str, float]


def over_repeats(values: npt.ArrayLike | Sequence[float | None]) -> RepeatInterval:
    """Return mean, spread and both margins of a figure over repeats.

    Parameters
    ----------
    values : array_like, shape (n,)
        One a repeat; NaN or None where it is not defined.

    Raises
    ------
    InputError
        If there is no repeat.

    References
    ----------
    X. Wang et al., "Frustratingly Simple Few-Shot Object Detection", ICML (2020), section 4.3, for the z form.
    """
    given = np.array([np.nan if value is None else value for value in np.ravel(np.asarray(values, object))], np.float64)
    if not given.size:
        raise InputError("an interval over repeats needs at least one repeat")
    known = given[~np.isnan(given)]
    n, undefined = known.size, int(given.size - known.size)
    if not n:
        return RepeatInterval((), undefined, math.nan, math.nan, math.nan, math.nan)
    sd = float(known.std(ddof=1)) if n > 1 else math.nan
    t_margin = float(stdtrit(n - 1, 0.975)) * sd / math.sqrt(n) if n > 1 else math.nan
    z_margin = _Z * float(known.std(ddof=0)) / math.sqrt(n) if n > 1 else math.nan
    return RepeatInterval(tuple(known.tolist()), undefined, float(known.mean()), sd, t_margin, z_margin)


def each_over_repeats(repeats: Sequence[Mapping[str, float | None]]) -> dict[str, RepeatInterval]:
    """Return the interval of every figure that the repeats have in common.

    Parameters
    ----------
    repeats : sequence of mapping of str to float or None
        The figures of each repeat.
    """
    if not repeats:
        raise InputError("an interval over repeats needs at least one repeat")
    names = [name for name in repeats[0] if all(name in each for each in repeats)]
    return {name: over_repeats([each[name] for each in repeats]) for name in names}


def implied_sd(margin: float, n: int) -> dict[str, float]:
    """Return the spread over repeats behind a published half width, by the form it may have been computed in.

    Parameters
    ----------
    margin : float
    n : int
        Repeats, at least two.

    Examples
    --------
    >>> {form: round(sd, 1) for form, sd in implied_sd(2.8, 30).items()}
    {'t': 7.5, 'z': 8.0}
    """
    if n < 2:
        raise InputError("a spread over repeats needs at least two")
    root = math.sqrt(n)
    return {"t": margin * root / float(stdtrit(n - 1, 0.975)), "z": margin * root / _Z * math.sqrt(n / (n - 1))}


def beside_published(ours: RepeatInterval, mean: float, margin: float, n: int, form: Form = "t") -> BesidePublished:
    """Set a mean over repeats beside a published mean and margin.

    The two come from different images, so the difference tells as much of the images as of the method.

    Parameters
    ----------
    ours : RepeatInterval
    mean, margin : float
        Published, in the unit of ours.
    n : int
        Published repeats.
    form : {"t", "z"}
        How the published margin is taken to have been computed.

    References
    ----------
    B. L. Welch, Biometrika 34 (1947).
    """
    spread = implied_sd(margin, n)
    difference = ours.mean - mean
    if ours.n < 2:
        return BesidePublished(difference, math.nan, spread)
    own, theirs = ours.sd**2 / ours.n, spread[form] ** 2 / n
    total = own + theirs
    if total == 0:
        return BesidePublished(difference, 0.0, spread)
    freedom = total**2 / (own**2 / (ours.n - 1) + theirs**2 / (n - 1))
    return BesidePublished(difference, float(stdtrit(freedom, 0.975)) * math.sqrt(total), spread)


def _finite(value: float) -> float | None:
    """Return None for what JSON cannot hold."""
    return float(value) if math.isfinite(value) else None
