"""The fracture-order number (FOAN): how a house writes it, and how a damaged one is told from a whole one."""

from __future__ import annotations

from itertools import product

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sorby.corpus.archive.check_digits import CheckMethod, is_consistent
from sorby.corpus.archive.patterns import compile_pattern, compiled

_MOST_READINGS = 256
# What people and text recognition take for one another; the digit first.
_CONFUSED = {"O": "0", "Q": "0", "D": "0", "I": "1", "L": "1", "Z": "2", "S": "5", "G": "6", "B": "8"}


class CheckRule(BaseModel):
    """Which characters of a FOAN check the others.

    Attributes
    ----------
    method : {"none", "mod11", "luhn", "mod97-10"}
    over : list of str
        Named groups of the grammar, joined in this order.
    digit : str
        Named group that holds the check.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: CheckMethod = "none"
    over: list[str] = Field(default_factory=list)
    digit: str = "check"


class FoanGrammar(BaseModel):
    """How a FOAN is written.

    Attributes
    ----------
    pattern : str
        What a whole normalised FOAN looks like, with named groups.
    drop : str
        Characters taken out before anything is compared (separators); upper case follows.
    check : CheckRule
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pattern: str
    drop: str = " -_./"
    check: CheckRule = CheckRule()

    @model_validator(mode="after")
    def _groups_are_there(self) -> FoanGrammar:
        needs = () if self.check.method == "none" else (*self.check.over, self.check.digit)
        if self.check.method != "none" and not self.check.over:
            raise ValueError("check.over names no groups, so there is nothing to check")
        compile_pattern(self.pattern, needs=needs)
        return self

    def normalise(self, text: str | None) -> str | None:
        """Return a FOAN without separators in upper case, or None where nothing is left."""
        if text is None:
            return None
        return text.translate(dict.fromkeys(map(ord, self.drop))).upper() or None

    def is_whole(self, foan: str | None) -> bool:
        """Whether a normalised FOAN obeys grammar and check digit."""
        found = None if foan is None else compiled(self.pattern).fullmatch(foan)
        if found is None:
            return False
        if self.check.method == "none":
            return True
        payload = "".join(found[name] or "" for name in self.check.over)
        return is_consistent(self.check.method, payload, found[self.check.digit] or "")

    def mend(self, foan: str) -> str | None:
        """Return the only whole FOAN that a damaged one becomes if letters are read as the digits they resemble.

        None where there is none, or more than one. Meant for numbers that were recognised from a scan.
        """
        choices = [(letter, _CONFUSED[letter]) if letter in _CONFUSED else (letter,) for letter in foan]
        readings = 1
        for choice in choices:
            readings *= len(choice)
        if readings > _MOST_READINGS:
            return None
        whole = {reading for letters in product(*choices) if self.is_whole(reading := "".join(letters))}
        return whole.pop() if len(whole) == 1 else None
