"""Sealing: an event becomes the next entry of the record.

The key lies in a file of its own, outside the database, so that who can write the database cannot write the record.
"""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sorby.bundle import SigningKey, load_private_key
from sorby.bundle.canonical import MAX_DEPTH
from sorby.bundle.keys import fingerprint
from sorby.errors import InputError
from sorby.record.entry import LARGEST, MEANINGS, Entry, Event, Head, is_digest, is_time, signed_message

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_REQUIRED = ("actor", "role", "action", "subject")


def utc_now() -> str:
    """Return the time as entries hold it: UTC, ISO 8601, microseconds, Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seal(event: Event, head: Head, key: SigningKey, *, at: str | None = None) -> Entry:
    """Make *event* the entry after *head*.

    Parameters
    ----------
    event : Event
    head : Head
        Of the record so far; ``Head()`` for the first entry. Whoever calls holds the record locked from reading the
        head until the entry is stored, or two entries would follow the same one.
    key : SigningKey
        Ed25519, see `sealing_key`.
    at : str, optional
        UTC, ISO 8601 with Z; by default now.

    Returns
    -------
    Entry
        Ed25519 is deterministic: the same input gives the same entry.

    Raises
    ------
    InputError
        The event has no actor, role, action or subject, a meaning that is none, evidence that is no SHA-256, values
        that JSON cannot hold, or more than `LARGEST` bytes.
    """
    at = utc_now() if at is None else at
    _refuse_unfit(event, at)
    unsigned: dict[str, Any] = {
        "sequence": head.count + 1,
        "at": at,
        **{name: getattr(event, name) for name in Event.__dataclass_fields__},
        "evidence": dict(event.evidence),
        "previous": head.digest,
        "key": fingerprint(key.public_key),
    }
    try:
        digest = Entry(**unsigned, digest="", signature="").content_digest()
        entry = Entry(**unsigned, digest=digest, signature=key.private.sign(signed_message(digest)).hex())
        # What is sealed must read back as it was: JSON turns tuples into lists and numbered keys into texts.
        line = entry.encode()
        if Entry.decode(line) != entry:
            raise InputError(f"{event.action}: old and new must be plain JSON values")
        if len(line) > LARGEST:
            raise InputError(
                f"{event.action}: an entry of {len(line)} bytes", "keep it in a file, and record its SHA-256"
            )
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{event.action}: cannot be recorded ({error})", "record plain JSON values") from error
    return entry


def sealing_key(path: Path | str, passphrase: bytes | None = None) -> SigningKey:
    """Read the key that seals entries.

    Parameters
    ----------
    path : Path or str
        A private key of ``sorby key new``, readable by its owner alone.
    passphrase : bytes, optional

    Raises
    ------
    InputError
        No such key, the wrong passphrase, or others may read the file.
    """
    path = Path(path)
    key = load_private_key(path, passphrase)
    if os.name == "posix" and path.stat().st_mode & _OTHERS:
        raise InputError(f"{path}: others than its owner may read or write this key", f"chmod 600 {path}")
    return key


def _refuse_unfit(event: Event, at: str) -> None:
    """Refuse what no entry can hold.

    Raises
    ------
    InputError
    """
    for name in _REQUIRED:
        if not getattr(event, name).strip():
            raise InputError(f"an entry needs {name}", "say who did what to which thing, and in which role")
    if event.meaning not in ("", *MEANINGS):
        raise InputError(f"'{event.meaning}' is no meaning of a signature", f"one of {', '.join(MEANINGS)}")
    wrong = sorted(name for name, digest in event.evidence.items() if not is_digest(digest))
    if wrong:
        raise InputError(f"evidence '{wrong[0]}' is no SHA-256", "give 64 hexadecimal digits")
    if not is_time(at):
        raise InputError(f"'{at}' is no UTC time", "for example 2026-01-31T12:00:00Z")
    # Databases cannot hold a NUL in text, JSON text can: better refused here than lost there.
    if any("\x00" in getattr(event, name) for name in (*_REQUIRED, "reason")):
        raise InputError(f"{event.action}: a text holds a NUL character", "leave it out")
    _refuse_deep(event.old, event.action)
    _refuse_deep(event.new, event.action)


def _refuse_deep(value: Any, action: str) -> None:
    level = [value]
    for _ in range(MAX_DEPTH - 2):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise InputError(f"{action}: old or new is nested deeper than {MAX_DEPTH - 2} levels")
