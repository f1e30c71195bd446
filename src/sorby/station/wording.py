"""Text that people send: one rule for what of it is kept."""

from __future__ import annotations

import unicodedata

from sorby.errors import InputError


def plain_text(raw: str, most: int, what: str) -> str:
    """Return text without control characters, trimmed; line breaks stay.

    It is kept as text. Whoever shows it escapes it.

    Parameters
    ----------
    raw : str
    most : int
        Characters.
    what : str
        How an error calls it.

    Raises
    ------
    InputError
        It is longer.
    """
    text = unicodedata.normalize("NFC", raw.encode("utf-8", "replace").decode("utf-8", "replace"))
    text = "".join(one for one in text if one == "\n" or unicodedata.category(one) not in ("Cc", "Cs", "Cf"))
    text = text.strip()
    if len(text) > most:
        raise InputError(f"the {what} is longer than {most} characters", "shorten it")
    return text


def one_line(raw: str, most: int, what: str) -> str:
    """Return text on one line, see `plain_text`."""
    return " ".join(plain_text(raw, most * 4, what).split())[:most]
