"""JSON with one spelling: the same value always gives the same bytes, and odd input is refused."""

from __future__ import annotations

import json
from typing import Any

from sorby.errors import BundleError

MAX_DEPTH = 50
"""Deepest nesting accepted; a hostile file must not exhaust the interpreter's stack."""


def encode(value: Any) -> bytes:
    """Return *value* as canonical JSON: sorted keys, two-space indent, UTF-8, one final newline.

    Raises
    ------
    ValueError
        A number is NaN or infinite, or text holds half a surrogate pair; JSON has neither.
    """
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8") + b"\n"


def decode(data: bytes, what: str) -> Any:
    """Parse strict JSON from an untrusted file.

    Parameters
    ----------
    data : bytes
        The file's content.
    what : str
        The file's name, for the message.

    Raises
    ------
    BundleError
        Not UTF-8, not JSON, a repeated key, NaN or infinity, half a surrogate pair, or nested
        deeper than `MAX_DEPTH`. Two readers could disagree about what such a file says.
    """
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant)
        _limit_depth(value)
        encode(value)  # finds 1e999 and lone surrogates, which json.loads lets through
    except RecursionError as error:
        raise BundleError(f"{what}: nested deeper than {MAX_DEPTH} levels") from error
    except (ValueError, TypeError) as error:
        raise BundleError(f"{what}: not valid JSON ({_one_line(error)})") from error
    return value


def printable(text: str) -> str:
    """Return *text* with control characters spelled out, so that a file cannot steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _limit_depth(value: Any) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise RecursionError


def _one_line(error: Exception) -> str:
    return printable(str(error).splitlines()[0][:120]) if str(error) else type(error).__name__
