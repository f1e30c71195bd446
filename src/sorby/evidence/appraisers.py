"""Attribute agreement: is an inspection by people, or by a model, a measurement system one may use?

The terms are those of the automotive industry's manual on measurement systems analysis: appraisers, trials, a standard;
agreement within, between and with the standard; for two-valued verdicts effectiveness, miss rate and false alarm rate.
Its limits are rules of thumb, and are printed as such.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from sorby.errors import InputError
from sorby.evidence._types import BoolArray, FloatArray, IntArray
from sorby.evidence.agreement import Agreement, conger_kappa, fleiss_kappa
from sorby.evidence.intervals import Estimate
from sorby.evidence.rating_table import rating_table

Band = Literal["acceptable", "marginal", "unacceptable", "not defined"]

#: AIAG, Measurement Systems Analysis, 4th edition, chapter III.C: acceptable, marginal beyond, as it suggests them.
EFFECTIVENESS_LIMITS = (0.90, 0.80)
MISS_LIMITS = (0.02, 0.05)
FALSE_ALARM_LIMITS = (0.05, 0.10)
KAPPA_LIMITS = (0.75, 0.40)
#: More appraisers than these are not compared two by two: a table of a thousand pairs tells nobody anything.
MOST_PAIRED = 40
_EXACT = "Clopper-Pearson"


@dataclass(frozen=True, eq=False)
class Appraiser:
    """What one appraiser is worth.

    Attributes
    ----------
    name : str
    within : Estimate
        Share of the items rated alike in all trials; needs two trials.
    with_standard : Estimate
        Effectiveness: share of the items rated as the standard in all trials.
    kappa : Agreement or None
        Cohen's kappa with the standard, trials pooled; None where it cannot be computed.
    miss_rate, false_alarm_rate : Estimate or None
        Share of the ratings of bad items that call them good, and of good ones that call them bad; None where
        verdicts are not two-valued.
    mixed : Estimate
        Share of the items on which the appraiser contradicts himself and is right once.
    """

    name: str
    within: Estimate
    with_standard: Estimate
    kappa: Agreement | None
    miss_rate: Estimate | None
    false_alarm_rate: Estimate | None
    mixed: Estimate

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary fit for JSON, with the manual's band beside each figure."""
        found: dict[str, Any] = {
            "name": self.name,
            "within": self.within.as_dict(),
            "with_standard": {
                **self.with_standard.as_dict(),
                "band": band(self.with_standard.value, EFFECTIVENESS_LIMITS),
            },
            "mixed": self.mixed.as_dict(),
            "kappa": None,
            "miss_rate": None,
            "false_alarm_rate": None,
        }
        if self.kappa is not None:
            found["kappa"] = {**self.kappa.as_dict(), "band": band(self.kappa.value, KAPPA_LIMITS)}
        for name, estimate, limits in (
            ("miss_rate", self.miss_rate, MISS_LIMITS),
            ("false_alarm_rate", self.false_alarm_rate, FALSE_ALARM_LIMITS),
        ):
            if estimate is not None:
                found[name] = {**estimate.as_dict(), "band": band(estimate.value, limits, low_is_good=True)}
        return found


@dataclass(frozen=True, eq=False)
class AttributeAgreement:
    """An attribute agreement study.

    Attributes
    ----------
    appraisers : tuple of Appraiser
    between : Estimate
        Share of the items on which all appraisers agree in all trials.
    all_with_standard : Estimate
        Share of the items on which all agree with the standard in all trials.
    fleiss : Agreement or None
        Kappa between appraisers, each trial a rater of its own.
    pairs : dict of (str, str) to Agreement or None
        Cohen's kappa between two appraisers, trial by trial; empty for more than `MOST_PAIRED`.
    trials : int
    """

    appraisers: tuple[Appraiser, ...]
    between: Estimate
    all_with_standard: Estimate
    fleiss: Agreement | None
    pairs: dict[tuple[str, str], Agreement | None]
    trials: int

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary fit for JSON."""
        return {
            "trials": self.trials,
            "appraisers": [appraiser.as_dict() for appraiser in self.appraisers],
            "between": self.between.as_dict(),
            "all_with_standard": self.all_with_standard.as_dict(),
            "fleiss_kappa": None if self.fleiss is None else self.fleiss.as_dict(),
            "pairs": [
                {"one": one, "other": other, "kappa": None if kappa is None else kappa.as_dict()}
                for (one, other), kappa in self.pairs.items()
            ],
            "pairs_left_out": len(self.appraisers) > MOST_PAIRED,
            "limits": {
                "source": "rules of thumb of the AIAG manual (MSA, 4th edition); agree on your own",
                "effectiveness": list(EFFECTIVENESS_LIMITS),
                "miss_rate": list(MISS_LIMITS),
                "false_alarm_rate": list(FALSE_ALARM_LIMITS),
                "kappa": list(KAPPA_LIMITS),
            },
        }


def attribute_agreement(
    ratings: npt.ArrayLike,
    standard: Sequence[Any] | npt.ArrayLike,
    *,
    appraisers: Sequence[str] | None = None,
    bad: Sequence[Any] = (),
) -> AttributeAgreement:
    """Judge appraisers by trials on items whose standard is known.

    Parameters
    ----------
    ratings : array_like, shape (n, R, T)
        Items by appraisers by trials; None, NaN and empty texts are gaps. An item counts for an appraiser where it was
        rated in all trials.
    standard : array_like, shape (n,)
        What each item is; None where that is not known.
    appraisers : sequence of str, optional
        Their names.
    bad : sequence
        Categories that fail an item. With these, miss and false alarm rates are given.

    Returns
    -------
    AttributeAgreement

    Raises
    ------
    InputError
        The shapes do not fit, or nothing is rated.

    References
    ----------
    Automotive Industry Action Group, Measurement Systems Analysis, 4th ed. (2010), III.C; C. J. Clopper and
    E. S. Pearson, Biometrika 26 (1934) for the intervals.
    """
    values = np.asarray(ratings, dtype=object)
    if values.ndim != 3 or not values.size:
        raise InputError(f"ratings of shape {values.shape}", "give items x appraisers x trials")
    n, people, trials = values.shape
    truth = np.asarray(standard, dtype=object)
    if truth.shape != (n,):
        raise InputError(f"{n} items but a standard of shape {truth.shape}")
    table = rating_table(np.concatenate([values.reshape(n, -1), truth[:, None]], axis=1))
    codes, true = table.codes[:, :-1].reshape(n, people, trials), table.codes[:, -1]
    names = tuple(f"appraiser {k + 1}" for k in range(people)) if appraisers is None else tuple(appraisers)
    fails = np.array([category in set(bad) for category in table.categories])
    done: BoolArray = np.asarray((codes >= 0).all(axis=2))
    alike = done & (codes == codes[:, :, :1]).all(axis=2)
    right: BoolArray = np.asarray(done & (codes == true[:, None, None]).all(axis=2) & (true >= 0)[:, None])
    once = done & (codes == true[:, None, None]).any(axis=2) & ~right & (true >= 0)[:, None]
    judged = done & (true >= 0)[:, None]
    found = tuple(
        Appraiser(
            name,
            _within(alike[:, k], done[:, k], trials),
            _share(right[:, k], judged[:, k]),
            _cohen(codes[:, k, :].ravel(), np.repeat(true, trials)),
            *_errors(codes[:, k, :], true, fails),
            _share(once[:, k], judged[:, k]),
        )
        for k, name in enumerate(names)
    )
    everybody: BoolArray = np.asarray(done.all(axis=1))
    same = everybody & (codes.reshape(n, -1) == codes[:, :1, 0]).all(axis=1)
    pairs = {
        (names[a], names[b]): _cohen(codes[:, a, :].ravel(), codes[:, b, :].ravel())
        for a, b in combinations(range(people if people <= MOST_PAIRED else 0), 2)
    }
    return AttributeAgreement(
        found,
        _share(same, everybody),
        _share(np.asarray(right.all(axis=1)), everybody & (true >= 0)),
        _defined(fleiss_kappa, codes.reshape(n, -1)),
        pairs,
        trials,
    )


def exact_proportion(successes: int, n: int, note: str = "") -> Estimate:
    """Proportion with its exact (Clopper-Pearson) interval, which such reports use by custom.

    Parameters
    ----------
    successes, n : int
    note : str

    Returns
    -------
    Estimate
    """
    if n == 0:
        return Estimate(math.nan, None, 0, _EXACT, note or "nothing to count")
    low = float(betaincinv(successes, n - successes + 1, 0.025)) if successes else 0.0
    high = float(betaincinv(successes + 1, n - successes, 0.975)) if successes < n else 1.0
    return Estimate(successes / n, (low, high), n, _EXACT, note)


def band(value: float, limits: tuple[float, float], *, low_is_good: bool = False) -> Band:
    """Return how the manual's rule of thumb calls a figure."""
    if not math.isfinite(value):
        return "not defined"
    good, bearable = (-limits[0], -limits[1]) if low_is_good else limits
    score = -value if low_is_good else value
    return "acceptable" if score >= good else "marginal" if score >= bearable else "unacceptable"


def _share(hits: BoolArray, counted: BoolArray) -> Estimate:
    left_out = int(counted.size - counted.sum())
    note = f"items left out: {left_out}" if left_out else ""
    return exact_proportion(int((hits & counted).sum()), int(counted.sum()), note)


def _within(alike: BoolArray, done: BoolArray, trials: int) -> Estimate:
    if trials < 2:
        return Estimate(math.nan, None, 0, _EXACT, "one trial: no agreement with oneself to see")
    return _share(alike, done)


def _errors(codes: IntArray, true: IntArray, fails: BoolArray) -> tuple[Estimate | None, Estimate | None]:
    """Return miss rate and false alarm rate over ratings, codes of shape (n, T)."""
    if not fails.any():
        return None, None
    rated = (codes >= 0) & (true >= 0)[:, None]
    called, is_bad = fails[codes], fails[true][:, None] & rated
    is_good = rated & ~is_bad
    note = "ratings of one item are not independent" if codes.shape[1] > 1 else ""
    return (
        exact_proportion(int((is_bad & ~called).sum()), int(is_bad.sum()), note),
        exact_proportion(int((is_good & called).sum()), int(is_good.sum()), note),
    )


def _cohen(one: IntArray, other: IntArray) -> Agreement | None:
    """Cohen's kappa, which is Conger's of two; only where both rated."""
    both = (one >= 0) & (other >= 0)
    return _defined(conger_kappa, np.column_stack([one, other])[both]) if both.any() else None


def _defined(coefficient: Any, codes: IntArray | FloatArray) -> Agreement | None:
    try:
        found: Agreement = coefficient(codes)
    except InputError:  # one rater only, or no item with two ratings: there is nothing to agree on
        return None
    return found
