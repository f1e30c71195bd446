"""A log whose entries are chained by hash: what was changed or cut out afterwards no longer fits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sorby.errors import InputError
from sorby.files import sha256_bytes, write_text

FIRST = "0" * 64
"""What the first entry names as the one before it."""
_HINT = "a refinement whose record was changed proves nothing; start a new one"


@dataclass(frozen=True)
class Entry:
    """One entry of a log.

    Attributes
    ----------
    number : int
        From 0.
    kind : str
    content : mapping
        Plain values.
    previous : str
        Hash of the entry before it.
    hash : str
        SHA-256 of all the other fields.
    """

    number: int
    kind: str
    content: Mapping[str, Any]
    previous: str
    hash: str


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _hash(number: int, kind: str, content: Mapping[str, Any], previous: str) -> str:
    told = {"number": number, "kind": kind, "content": content, "previous": previous}
    return sha256_bytes(_canonical(told).encode())


def read_log(path: Path) -> list[Entry]:
    """Read a log and check its chain.

    A log from which the last entries were cut off is still a chain: who compares its last hash with the one that was
    printed notices that too.

    Raises
    ------
    InputError
        There is none, or an entry is no longer what was written; the line says which.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path.parent}: holds no refinement", "sorby refine start DATA --out DIR") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a log (no UTF-8)", _HINT) from None
    entries: list[Entry] = []
    previous = FIRST
    for number, line in enumerate(lines):
        entry = _entry(path, number, line)
        fits = entry.number == number and entry.previous == previous
        if not fits or entry.hash != _hash(number, entry.kind, entry.content, previous):
            raise InputError(f"{path}: entry {number} is not what was written", _HINT)
        entries.append(entry)
        previous = entry.hash
    if not entries:
        raise InputError(f"{path}: is empty", _HINT)
    return entries


def _entry(path: Path, number: int, line: str) -> Entry:
    try:
        told = json.loads(line)
        content, kind = dict(told["content"]), str(told["kind"])
        return Entry(int(told["number"]), kind, content, str(told["previous"]), str(told["hash"]))
    except (ValueError, TypeError, KeyError):
        raise InputError(f"{path}: entry {number} is not what was written", _HINT) from None


def appended(path: Path, entries: Sequence[Entry], kind: str, content: Mapping[str, Any]) -> list[Entry]:
    """Write the log with one more entry, and return it; the file is whole at any moment.

    Parameters
    ----------
    path : Path
    entries : sequence of Entry
        The log so far.
    kind : str
    content : mapping
        Values that JSON holds; no NaN.
    """
    number, previous = len(entries), entries[-1].hash if entries else FIRST
    plain = json.loads(_canonical(content))
    added = [*entries, Entry(number, kind, plain, previous, _hash(number, kind, plain, previous))]
    lines = [
        _canonical({"number": e.number, "kind": e.kind, "content": e.content, "previous": e.previous, "hash": e.hash})
        for e in added
    ]
    write_text(path, "\n".join(lines) + "\n")
    return added
