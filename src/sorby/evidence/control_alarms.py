"""A control chart and its alarms: which points, by which rule, with how many images behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from sorby.errors import InputError
from sorby.evidence._types import BoolArray, FloatArray, IntArray
from sorby.evidence.control_rules import RULE_MEANINGS, RULES, Rule


@dataclass(frozen=True)
class Alarm:
    """A rule that was met, at one point or at several in a row.

    Attributes
    ----------
    first, last : int
        Index of the period at which the rule was met first, and last without a break.
    rule : str
        A name of `RULES`, or ``beyond-ewma-limits``.
    high : bool
        Whether the last point lies above the centre.
    value : float
        What is charted, at *last*.
    n : int or None
        Images behind that value; None where nobody said.
    in_baseline : bool
        Whether *last* belongs to the baseline: then the baseline itself is doubtful.
    """

    first: int
    last: int
    rule: str
    high: bool
    value: float
    n: int | None
    in_baseline: bool

    def __str__(self) -> str:
        """Say it in one line."""
        place = f"period {self.first}" if self.first == self.last else f"periods {self.first} to {self.last}"
        count = "" if self.n is None else f", n = {self.n}"
        return f"{place}: {RULE_MEANINGS[self.rule]} ({'high' if self.high else 'low'}, {self.value:.4g}{count})"


@dataclass(frozen=True, eq=False)
class ControlChart:
    """A chart: points, centre, limits, and what is unusual.

    Attributes
    ----------
    kind : str
        ``p``, ``laney-p``, ``individuals``, ``x-bar`` or ``ewma``.
    values : ndarray, shape (T,)
        What is charted; NaN for a period without images.
    centre : float
    errors : ndarray, shape (T,)
        Standard error of each point in an undisturbed process.
    lower, upper : ndarray, shape (T,)
        Limits.
    sizes : ndarray of int, shape (T,), or None
        Images a period.
    baseline : ndarray of bool, shape (T,)
    alarms : tuple of Alarm
        In the order of time.
    dispersion : float
        Factor by which periods vary more than their images explain; 1 where that was not estimated.
    warnings : tuple of str
        What the limits cannot promise.
    """

    kind: str
    values: FloatArray
    centre: float
    errors: FloatArray
    lower: FloatArray
    upper: FloatArray
    sizes: IntArray | None
    baseline: BoolArray
    alarms: tuple[Alarm, ...]
    dispersion: float = 1.0
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object; periods without images hold null."""

        def numbers(values: FloatArray) -> list[float | None]:
            return [float(value) if np.isfinite(value) else None for value in values]

        return {
            "kind": self.kind,
            "values": numbers(self.values),
            "centre": self.centre,
            "lower": numbers(self.lower),
            "upper": numbers(self.upper),
            "sizes": None if self.sizes is None else self.sizes.tolist(),
            "baseline": self.baseline.tolist(),
            "dispersion": self.dispersion,
            "alarms": [{**vars(alarm), "meaning": RULE_MEANINGS[alarm.rule]} for alarm in self.alarms],
            "warnings": list(self.warnings),
        }


def judged(chart: ControlChart, z: FloatArray, rules: Sequence[str]) -> ControlChart:
    """Return a chart with its alarms.

    Parameters
    ----------
    chart : ControlChart
    z : ndarray, shape (T,)
        Its points, standardised; NaN where there is none.
    rules : sequence of str
        Names of `RULES`.

    Raises
    ------
    InputError
        A rule has no such name.
    """
    unknown = [name for name in rules if name not in RULES]
    if unknown:
        raise InputError(f"'{unknown[0]}' is no rule", f"one of {', '.join(RULES)}")
    alarms = tuple(find_alarms(chart, z, {name: RULES[name] for name in rules}))
    doubtful = sum(alarm.in_baseline for alarm in alarms)
    said = (f"{doubtful} alarms lie in the baseline: it may not show an undisturbed process",) if doubtful else ()
    return replace(chart, alarms=alarms, warnings=(*chart.warnings, *said))


def find_alarms(chart: ControlChart, z: FloatArray, rules: Mapping[str, Rule]) -> list[Alarm]:
    """Return the alarms of all rules in the order of time; periods without images neither make nor break a run."""
    there = np.flatnonzero(~np.isnan(z))
    found = []
    for name, rule in rules.items():
        met = rule(z[there])
        # One alarm for a rule met at points in a row on the same side.
        side = np.where(met, np.where(z[there] < 0, -1, 1), 0)
        steps = np.flatnonzero(np.diff(side, prepend=0, append=0))
        for start, end in pairwise(steps):
            if side[start] == 0:
                continue
            last = int(there[end - 1])
            found.append(
                Alarm(
                    int(there[start]),
                    last,
                    name,
                    bool(z[last] > 0),
                    float(chart.values[last]),
                    None if chart.sizes is None else int(chart.sizes[last]),
                    bool(chart.baseline[last]),
                )
            )
    return sorted(found, key=lambda alarm: (alarm.first, alarm.last))
