"""A rare class is only called where it is right often enough: a threshold for a wanted precision, and what it costs.

Missing a rare cause costs one expert's look; calling it wrongly starts a search in the furnace. The threshold is chosen
on calibration specimens. Chosen as the loosest one that did well there it is optimistic; with *confidence* it is walked
down from the strictest and stops at the first that is not shown to do well (fixed-sequence testing of exact binomial
hypotheses), which keeps the chance of a worse precision below 1 - confidence. That holds for scores of the
model (or of the fold models) that scored the calibration specimens; not for those of another one, taught on these
specimens as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import bdtrc

from sorby.errors import InputError
from sorby.evidence.intervals import Estimate, proportion


@dataclass(frozen=True)
class PrecisionControl:
    """When a rare class may be called.

    Attributes
    ----------
    threshold : float
        Least probability of a call; infinite where the wanted precision was not reached by any.
    wanted : float
        Precision asked for.
    confidence : float or None
        With which it is promised; None where the threshold only did well on the calibration specimens.
    precision, recall : Estimate
        On the calibration specimens at the threshold.
    recall_without : Estimate
        Recall if every most probable class were called.
    n_calls : int
        Calibration specimens called.
    """

    threshold: float
    wanted: float
    confidence: float | None
    precision: Estimate
    recall: Estimate
    recall_without: Estimate
    n_calls: int

    @property
    def attained(self) -> bool:
        """Whether any threshold reaches the wanted precision."""
        return math.isfinite(self.threshold)

    def calls(self, probabilities: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Say which probabilities of the class suffice for a call, same shape."""
        return np.asarray(np.asarray(probabilities, np.float64) >= self.threshold)

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes fit for JSON."""
        return {
            "threshold": self.threshold if self.attained else None,
            "wanted": self.wanted,
            "confidence": self.confidence,
            "attained": self.attained,
            "precision": self.precision.as_dict(),
            "recall": self.recall.as_dict(),
            "recall_without": self.recall_without.as_dict(),
            "n_calls": self.n_calls,
        }


def precision_control(
    probabilities: npt.ArrayLike,
    positive: npt.ArrayLike,
    wanted: float,
    *,
    most_probable: npt.ArrayLike | None = None,
    confidence: float | None = None,
) -> PrecisionControl:
    """Choose the threshold of a rare class.

    Parameters
    ----------
    probabilities : array_like, shape (N,)
        Of the class, for calibration specimens, by a model that has not learnt from them.
    positive : array_like of bool, shape (N,)
        Whether the specimen is of the class.
    wanted : float
        Precision between 0 and 1.
    most_probable : array_like of bool, shape (N,), optional
        Whether the class is the most probable one; only such specimens can be called. All where absent.
    confidence : float, optional
        Promise the precision with this confidence, by testing thresholds from the strictest downwards.

    Returns
    -------
    PrecisionControl

    Raises
    ------
    InputError
        Shapes do not fit, there is no specimen of the class, or a number lies outside 0 to 1.

    References
    ----------
    A. N. Angelopoulos et al., Learn then Test, arXiv:2110.01052 (2021), fixed-sequence testing.
    """
    p, truth = np.asarray(probabilities, np.float64), np.asarray(positive, dtype=bool)
    able = np.ones(p.shape, bool) if most_probable is None else np.asarray(most_probable, dtype=bool)
    if p.ndim != 1 or truth.shape != p.shape or able.shape != p.shape:
        raise InputError("each calibration specimen needs a probability and whether it is of the class")
    if not 0.0 < wanted < 1.0 or (confidence is not None and not 0.0 < confidence < 1.0):
        raise InputError(f"a precision of {wanted:g} cannot be asked for", "give numbers between 0 and 1")
    if not truth.any():
        raise InputError("no calibration specimen is of the class", "add specimens of it")
    thresholds = np.unique(p[able])[::-1]
    called = able[None, :] & (p[None, :] >= thresholds[:, None])
    calls, hits = called.sum(axis=1), (called & truth).sum(axis=1)
    if confidence is None:
        good = np.flatnonzero(hits >= wanted * calls)
        chosen = int(good[-1]) if good.size else -1
    else:
        # H: the precision is below what is wanted. P(at least so many hits | precision = wanted).
        p_values = np.where(hits > 0, bdtrc(np.maximum(hits - 1, 0), calls, wanted), 1.0)
        chosen = _last_of_sequence(p_values, 1.0 - confidence, calls, wanted)
    threshold = float(thresholds[chosen]) if chosen >= 0 else math.inf
    kept = able & (p >= threshold)
    n_hits, n_calls = int((kept & truth).sum()), int(kept.sum())
    n_positive = int(truth.sum())
    return PrecisionControl(
        threshold,
        wanted,
        confidence,
        proportion(n_hits, n_calls),
        proportion(n_hits, n_positive),
        proportion(int((able & truth).sum()), n_positive),
        n_calls,
    )


def _last_of_sequence(
    p_values: npt.NDArray[np.float64], level: float, calls: npt.NDArray[np.intp], wanted: float
) -> int:
    """Return the last threshold of the unbroken run that is shown to do well; -1 for none.

    The run starts at the first threshold with as many calls as could show it if all were right: earlier ones have no
    say either way, and where the run starts does not depend on the labels.
    """
    least = math.ceil(math.log(level) / math.log(wanted))
    start = int(np.searchsorted(calls, least))
    failed = np.flatnonzero(p_values[start:] > level)
    length = int(failed[0]) if failed.size else p_values.size - start
    return start + length - 1 if length > 0 else -1
