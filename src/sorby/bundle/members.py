"""Which files a bundle may hold: safe names, bounded numbers and sizes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sorby.bundle.canonical import printable
from sorby.errors import BundleError

DESCRIPTION = "bundle.json"
CHECKSUMS = "checksums.json"
SIGNATURE = "signature.json"
LICENCE = "LICENSE"
GRAPH = "model.onnx"

RESERVED = frozenset({DESCRIPTION, CHECKSUMS, SIGNATURE})
"""Members that `sorby.bundle.write` makes itself."""

MAX_MEMBERS = 1000
MAX_NAME_LENGTH = 120
MAX_FOLDERS = 4

SIZE_LIMITS = {DESCRIPTION: 16 << 20, CHECKSUMS: 1 << 20, SIGNATURE: 64 << 10}
"""Bytes; the members that are parsed before (or without) a checksum to vouch for them."""

_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._+-]*[A-Za-z0-9_+-])?", re.ASCII)
_WINDOWS_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.ASCII | re.IGNORECASE)


def name_problem(name: str) -> str | None:
    """Say why *name* cannot be a member's name, or return None.

    A name is a relative path of plain ASCII parts joined by ``/`` that means the same on every
    system: no ``..``, no drive, no leading slash or dot, no device name.
    """
    parts = name.split("/")
    if len(name) > MAX_NAME_LENGTH or len(parts) > MAX_FOLDERS:
        return "the name is too long or too deep"
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
        return "the name leads outside the bundle"
    if not all(_PART.fullmatch(part) for part in parts):
        return "the name holds characters a bundle does not allow"
    if any(_WINDOWS_DEVICES.fullmatch(part) for part in parts):
        return "the name means a device on Windows"
    return None


def check_names(names: Iterable[str]) -> None:
    """Refuse a set of member names that no file system could hold safely.

    Raises
    ------
    BundleError
        An unsafe name, a name given twice (also when only the case differs), a file that is
        also a folder, or more than `MAX_MEMBERS` members.
    """
    seen: dict[str, str] = {}
    for name in names:
        problem = name_problem(name)
        if problem is not None:
            raise BundleError(f"{_quoted(name)}: {problem}", "do not use this file; ask for a fresh copy")
        if name.casefold() in seen:
            raise BundleError(f"{_quoted(name)}: the bundle holds this member twice", "ask for a fresh copy")
        seen[name.casefold()] = name
        if len(seen) > MAX_MEMBERS:
            raise BundleError(f"more than {MAX_MEMBERS} members", "this is not a bundle that sorby wrote")
    for folded, name in seen.items():
        parents = folded.split("/")[:-1]
        for depth in range(1, len(parents) + 1):
            if "/".join(parents[:depth]) in seen:
                raise BundleError(f"{_quoted(name)}: lies in a folder that is also a file")


def _quoted(name: str) -> str:
    return f"member '{printable(name[:MAX_NAME_LENGTH])}'"
