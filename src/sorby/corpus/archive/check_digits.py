"""Check digits of numbers that people type: mod 11, Luhn and ISO 7064 MOD 97-10."""

from __future__ import annotations

from typing import Literal

CheckMethod = Literal["none", "mod11", "luhn", "mod97-10"]

_LENGTHS: dict[CheckMethod, int] = {"none": 0, "mod11": 1, "luhn": 1, "mod97-10": 2}


def check_length(method: CheckMethod) -> int:
    """Return how many characters the check takes."""
    return _LENGTHS[method]


def check_digit(method: CheckMethod, payload: str) -> str:
    """Return the check character(s) that belong to a payload.

    Parameters
    ----------
    method : {"none", "mod11", "luhn", "mod97-10"}
        ``mod11``: weights 2, 3, 4 ... from the right, the sum with the check digit is a multiple of 11, ten is
        written X (as in ISBN-10, ISO 2108:1992). ``luhn``: ISO/IEC 7812-1, annex B. ``mod97-10``: ISO/IEC 7064, two
        digits; letters count from A = 10.
    payload : str
        Digits; for ``mod97-10`` also letters.

    Returns
    -------
    str
        Empty for ``none``.

    Raises
    ------
    ValueError
        The payload holds characters that the method does not know.

    Examples
    --------
    >>> check_digit("mod11", "030640615"), check_digit("luhn", "7992739871"), check_digit("mod97-10", "794")
    ('2', '3', '44')
    """
    if method == "none":
        return ""
    if method == "mod97-10":
        return f"{98 - int(_as_digits(payload) + '00') % 97:02d}"
    if not payload.isascii() or not payload.isdigit():
        raise ValueError(f"{payload!r} holds more than digits")
    from_right = [int(digit) for digit in reversed(payload)]
    if method == "mod11":
        rest = -sum(weight * digit for weight, digit in enumerate(from_right, start=2)) % 11
        return "X" if rest == 10 else str(rest)
    doubled = [digit if place % 2 else 2 * digit - 9 * (digit > 4) for place, digit in enumerate(from_right)]
    return str(-sum(doubled) % 10)


def is_consistent(method: CheckMethod, payload: str, check: str) -> bool:
    """Whether a number passes its own check; a payload the method cannot read does not."""
    try:
        return check_digit(method, payload) == check
    except ValueError:
        return False


def _as_digits(payload: str) -> str:
    """Write letters as 10 to 35, as ISO/IEC 7064 asks of alphanumeric strings."""
    if not payload.isascii() or not payload.isalnum():
        raise ValueError(f"{payload!r} holds more than letters and digits")
    return "".join(str(int(character, 36)) for character in payload)
