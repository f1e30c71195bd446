"""How sure a match is: odds from how it came about, changed by what speaks for and against it.

The confidence is a rule of thumb to sort a review by, not a measured probability. Start odds say how often such a
match is right where nothing else is known; each further observation multiplies them. On phantom archives with known
truth, matches at 0.9 and above are right; no real archive was at hand to set the numbers by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MatchKind = Literal["exact", "fuzzy", "tie", "unmatched"]
SerialEvidence = Literal["equal", "part", "absent", "contradicts"]

_START: dict[MatchKind, float] = {"exact": 99.0, "fuzzy": 9.0, "tie": 3.0, "unmatched": 0.0}
_SERIAL: dict[SerialEvidence, float] = {"equal": 20.0, "part": 5.0, "absent": 1.0, "contradicts": 1 / 50}
# A number that passes its own check is hardly a misspelt one: one changed digit never passes, a random one in ten.
_FUZZY_BUT_WHOLE = 1 / 20
_FUZZY_AND_BROKEN = 2.0
_REPORT_BROKEN = 1 / 3
_RUNNER_UP = 1 / 2


@dataclass(frozen=True)
class Evidence:
    """What is known of one match.

    Attributes
    ----------
    kind : {"exact", "fuzzy", "tie", "unmatched"}
    serial : {"equal", "part", "absent", "contradicts"}
        How the serial number of the name stands to that of the report.
    name_whole, report_whole : bool
        Whether the FOAN obeys grammar and check digit, in the name and in the report.
    has_check : bool
        Whether the grammar has a check digit at all.
    runner_up : bool
        Whether another FOAN is within one more edit.
    read_confidence : float
        How sure the report was read.
    """

    kind: MatchKind
    serial: SerialEvidence
    name_whole: bool
    report_whole: bool
    has_check: bool
    runner_up: bool
    read_confidence: float


def confidence(evidence: Evidence) -> float:
    """Return how sure a match is, 0..1.

    Examples
    --------
    >>> round(confidence(Evidence("exact", "equal", True, True, True, False, 1.0)), 4)
    0.9995
    """
    odds = _START[evidence.kind] * _SERIAL[evidence.serial]
    if evidence.kind in ("fuzzy", "tie") and evidence.has_check:
        odds *= _FUZZY_BUT_WHOLE if evidence.name_whole else _FUZZY_AND_BROKEN
    if not evidence.report_whole:
        odds *= _REPORT_BROKEN
    if evidence.runner_up and evidence.kind == "fuzzy":
        odds *= _RUNNER_UP
    return odds / (1.0 + odds) * evidence.read_confidence
