"""Thresholds from good images alone: how many false alarms they allow, and what of that is guaranteed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError

Rule = Literal["split", "leave-one-out", "f1", "fixed"]
Floats = npt.NDArray[np.float64]

_GUARANTEE = {
    "split": "of good {unit}s like the held-out ones, at most {rate:.3g} are called anomalous in the long run over"
    " calibrations (split conformal, exchangeable {unit}s)",
    "leave-one-out": "none proven; in simulation about {rate:.3g} of good {unit}s are called anomalous"
    " (each calibration {unit} was scored without itself)",
    "f1": "none; the value of best F1 on the labelled pixels it was shown, and so optimistic for them",
    "fixed": "none; the value was given",
}


@dataclass(frozen=True)
class Threshold:
    """From which score on something is anomalous, and where that comes from.

    Attributes
    ----------
    value : float
        A score at or above it is anomalous; in units of the distance map.
    rule : {"split", "leave-one-out", "f1", "fixed"}
    false_alarm_rate : float or None
        What was asked for; None for ``f1`` and ``fixed``.
    unit : {"image", "view"}
    scores : ndarray of float64, (n,)
        Sorted calibration scores; empty for ``f1`` and ``fixed``.
    """

    value: float
    rule: Rule
    false_alarm_rate: float | None
    unit: Literal["image", "view"]
    scores: Floats

    @property
    def n(self) -> int:
        """Calibration units."""
        return len(self.scores)

    @property
    def guarantee(self) -> str:
        """What is promised, in words."""
        return _GUARANTEE[self.rule].format(unit=self.unit, rate=self.false_alarm_rate or 0.0)

    def p_values(self, scores: npt.ArrayLike) -> Floats:
        """Return conformal p-values (1 + calibration scores at or above) / (n + 1); NaN without calibration scores."""
        given = np.asarray(scores, np.float64)
        if not self.n:
            return np.full(given.shape, np.nan)
        at_or_above = self.n - np.searchsorted(self.scores, given, side="left")
        return np.asarray((1 + at_or_above) / (self.n + 1), np.float64)

    def describe(self) -> dict[str, Any]:
        """Return its scalar facts for a bundle or a result."""
        return {
            "value": self.value,
            "rule": self.rule,
            "false_alarm_rate": self.false_alarm_rate,
            "unit": self.unit,
            "n": self.n,
            "guarantee": self.guarantee,
        }

    @classmethod
    def from_parts(cls, facts: Mapping[str, Any], scores: npt.NDArray[Any]) -> Threshold:
        """Rebuild from `describe` and the scores."""
        if facts["rule"] not in _GUARANTEE:
            raise ValueError(f"no threshold rule {facts['rule']!r}")
        rate = facts["false_alarm_rate"]
        return cls(
            float(facts["value"]), facts["rule"], None if rate is None else float(rate), facts["unit"],
            np.asarray(scores, np.float64),
        )  # fmt: skip


def needed(false_alarm_rate: float) -> int:
    """Return how many good units a threshold at this rate needs: 1 / rate - 1, rounded up.

    Examples
    --------
    >>> needed(0.05), needed(0.01)
    (19, 99)
    """
    return math.ceil(1 / false_alarm_rate - 1 - 1e-9)


def conformal_threshold(
    scores: npt.ArrayLike, false_alarm_rate: float, rule: Rule, unit: Literal["image", "view"]
) -> Threshold:
    """Return the threshold that good scores exceed at the given rate at most.

    With n scores, the k-th smallest with k = ceil((n + 1)(1 - rate)); a new score is anomalous only above all of
    them that count, so the threshold is the next float above that score. Of exchangeable scores the rate then holds
    on average over calibrations (Vovk et al. 2005).

    Parameters
    ----------
    scores : array_like, (n,)
        Of good units that the detector has not seen (``split``), or each without itself (``leave-one-out``).
    false_alarm_rate : float
    rule, unit
        Kept in the result.

    Raises
    ------
    InputError
        Too few scores for the rate; the line says how many are needed.
    """
    given = np.sort(np.asarray(scores, np.float64))
    n, least = len(given), needed(false_alarm_rate)
    if n < least:
        raise InputError(
            f"{n} good {unit}s cannot hold a false-alarm rate of {false_alarm_rate:g}: {least} are needed",
            f"give more good {unit}s, or a rate of at least {1 / (n + 1):.3g}",
        )
    if not np.isfinite(given).all():
        raise InputError("scores of good images are not finite", "check the good images")
    k = math.ceil((n + 1) * (1 - false_alarm_rate) - 1e-9)
    value = float(np.nextafter(np.float32(given[k - 1]), np.float32(np.inf)))
    return Threshold(value, rule, false_alarm_rate, unit, given)
