"""Regular expressions from a user's file: compiled with a clear complaint, bounded in what they may cost."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import cache

MOST_PATTERN = 1000
"""Characters that a pattern may have."""

MOST_LINE = 300
"""Characters of a line, or of a file name, that a pattern gets to see."""

_UNBOUNDED = re.compile(r"[*+]|\{\d*,\}")


def compile_pattern(text: str, *, needs: Collection[str] = (), knows: Collection[str] | None = None) -> re.Pattern[str]:
    """Compile a pattern, without regard to case.

    Python's engine cannot be told to give up, so what makes it slow is kept out: a group that repeats without bound
    and holds something that repeats without bound (``(a+)+``) is refused, and callers match single lines of at most
    `MOST_LINE` characters.

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
        raise ValueError(f"a repeat within a repeat, which may take for ever: {text!r}; bound one, e.g. {{1,20}}")
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
    """Whether a group repeated without bound holds another repeat without bound."""
    inside: list[bool] = [False]  # for each open group: an unbounded repeat was seen in it
    for mark, after in _marks(text):
        if mark == "(":
            inside.append(False)
        elif mark == ")" and len(inside) > 1:
            held = inside.pop()
            repeated = _UNBOUNDED.match(text, after) is not None
            if held and repeated:
                return True
            inside[-1] |= held or repeated
        elif _UNBOUNDED.match(mark):
            inside[-1] = True
    return False


def _marks(text: str) -> Iterator[tuple[str, int]]:
    """Yield parentheses and quantifiers that stand outside escapes and character sets, each with where it ends."""
    for found in re.finditer(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\d*,\}|[()*+]", text, re.DOTALL):
        if found[0][0] not in "\\[":
            yield found[0], found.end()


def bounded_lines(text: str) -> list[str]:
    """Return the lines of a text, blanks run together, each cut to `MOST_LINE` characters; empty ones dropped."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return [line[:MOST_LINE] for line in lines if line]
