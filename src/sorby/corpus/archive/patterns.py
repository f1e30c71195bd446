"""Regular expressions from a user's file: compiled with a clear complaint, bounded in what they may cost."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from functools import cache

MOST_PATTERN = 1000
"""Characters that a pattern may have."""

MOST_LINE = 300
"""Characters of a line, or of a file name, that a pattern gets to see."""

_FEW_TIMES = 3
_REPEAT = re.compile(r"[*+]|\{\d*,\d*\}|\{\d+\}")
_ATOM = re.compile(r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[^()|*+?{}\\\[])(\{\d*,?\d*\}|[*+])?", re.DOTALL)


def compile_pattern(text: str, *, needs: Collection[str] = (), knows: Collection[str] | None = None) -> re.Pattern[str]:
    r"""Compile a pattern, without regard to case.

    Python's engine cannot be told to give up, so what makes it slow is kept out: a group that repeats more than three
    times and holds a repeat is refused (``(a+)+``, and ``(a{1,20})+`` too), but for a bounded one that a character it
    cannot match parts from the next (``(\d{1,3},)*``); and callers match single lines of at most `MOST_LINE`
    characters. Repeated alternatives or optional parts that match the same (``(a|a)+``, ``(aa?)+``) are not found out.

    Parameters
    ----------
    text : str
    needs : collection of str
        Named groups it must have.
    knows : collection of str, optional
        Named groups it may have; any where None.

    Raises
    ------
    ValueError
        Not a regular expression, too long, too costly, or without the groups; one line.
    """
    if len(text) > MOST_PATTERN:
        raise ValueError(f"a pattern of {len(text)} characters; {MOST_PATTERN} are allowed")
    try:
        pattern = re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error} in {text!r}") from None
    if _explodes(text):
        raise ValueError(f"a repeat within a repeat, which may take for ever: {text!r}; repeat one of them only")
    missing = sorted(set(needs) - set(pattern.groupindex))
    if missing:
        raise ValueError(f"no named group (?P<{missing[0]}>...) in {text!r}")
    strange = sorted(set(pattern.groupindex) - set(knows)) if knows is not None else []
    if strange:
        raise ValueError(f"named group {strange[0]!r} means nothing here; known: {', '.join(sorted(knows or ()))}")
    return pattern


@cache
def compiled(text: str) -> re.Pattern[str]:
    """Return a pattern that was checked before, compiled once."""
    return compile_pattern(text)


def _explodes(text: str) -> bool:
    """Whether a group that repeats more than a few times holds a repeat whose ends it leaves open."""
    opened: list[tuple[int, bool, bool]] = [(0, False, False)]  # where; an unbounded, a bounded repeat was seen in it
    for mark, start, after in _marks(text):
        if mark == "(":
            opened.append((after, False, False))
        elif mark == ")" and len(opened) > 1:
            began, unbounded, bounded = opened.pop()
            outer = _REPEAT.match(text, after)
            often = outer is not None and _most(outer[0]) > _FEW_TIMES
            if often and (unbounded or (bounded and not _parted(text[began:start]))):
                return True
            where, held, some = opened[-1]
            endless = unbounded or (outer is not None and _most(outer[0]) == math.inf)
            opened[-1] = (where, held or endless, some or bounded or (outer is not None and _varies(outer[0])))
        elif mark not in "()":
            where, held, some = opened[-1]
            opened[-1] = (where, held or _most(mark) == math.inf, some or _varies(mark))
    return False


def _most(repeat: str) -> float:
    """How often a quantifier repeats at most."""
    if repeat in "*+" or repeat.endswith(",}"):
        return math.inf
    return float(repeat.strip("{}").split(",")[-1])


def _varies(repeat: str) -> bool:
    low, _, high = repeat.strip("{}").partition(",")
    return repeat in "*+" or ("," in repeat and low != high)


def _parted(body: str) -> bool:
    """Whether a group begins or ends with a character that its repeats cannot match, so that rounds cannot be mixed."""
    body = re.sub(r"^\?(:|P<\w+>)", "", body)
    atoms = list(_ATOM.finditer(body))
    if not atoms or sum(len(atom[0]) for atom in atoms) < len(body):  # groups, alternatives, optional parts
        return False
    loose = set().union(*(_matched(atom[1]) for atom in atoms if atom[2] and _varies(atom[2])))
    edges = [_matched(atom[1]) for atom in (atoms[0], atoms[-1]) if not atom[2]]
    return any(edge and not edge & loose for edge in edges)


def _matched(atom: str) -> set[str]:
    """Return the characters below 256 that an atom matches; all of them for what an earlier group matched."""
    characters = {chr(code) for code in range(256)}
    if atom[0] == "\\" and atom[1].isdigit():
        return characters
    pattern = re.compile(atom, re.IGNORECASE)
    return {character for character in characters if pattern.fullmatch(character)}


def _marks(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield parentheses and quantifiers that stand outside escapes and character sets, with where they lie."""
    for found in re.finditer(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\d*,\d*\}|[()*+]", text, re.DOTALL):
        if found[0][0] not in "\\[":
            yield found[0], found.start(), found.end()


def bounded_lines(text: str) -> list[str]:
    """Return the lines of a text, blanks run together, each cut to `MOST_LINE` characters; empty ones dropped."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return [line[:MOST_LINE] for line in lines if line]
