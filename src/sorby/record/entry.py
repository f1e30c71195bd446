"""One line of the record: who did what to which thing, when and why, bound to the line before it.

An entry has one spelling (`Entry.encode`): JSON with sorted keys and no spaces, in UTF-8. Its digest is the SHA-256 of
that spelling without digest and signature; the digest of the entry before it stands inside. So the last digest, the
*head*, fixes everything that was ever recorded, and an Ed25519 signature over each digest says who sealed it.

References
----------
S. Haber and W. S. Stornetta, "How to time-stamp a digital document", J. Cryptology 3 (1991) 99-111: the chain.
RFC 8032, Edwards-Curve Digital Signature Algorithm (Ed25519).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from sorby.bundle import canonical
from sorby.errors import BundleError, InputError
from sorby.files import sha256_bytes

NOTHING = "0" * 64
"""What the first entry names as the digest of the one before it."""

MEANINGS = ("authored", "reviewed", "approved", "rejected")
"""What an electronic signature can mean; an entry that is none has an empty meaning."""

LARGEST = 4 << 20
"""Bytes that an entry may take up; what is larger belongs into a file, and its hash into the record."""

_DOMAIN = b"sorby record entry 1\x00"
_SIGNED = b"sorby record signature 1\x00"
_TEXTS = ("at", "actor", "role", "action", "subject", "reason", "meaning")
_JSON_FIELDS = ("old", "new", "evidence")
_HEX64, _HEX128 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{128}")
_TIME = re.compile(r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d(\.\d{1,9})?Z")
_LONE = re.compile(r"[\ud800-\udfff]")  # half a surrogate pair, which no UTF-8 holds
_LAST = 2**63 - 1  # of a database's integers


@dataclass(frozen=True)
class Event:
    """What is to be recorded, before it is sealed.

    Attributes
    ----------
    actor : str
        Account that did it; ``system`` where nobody did.
    role : str
        In which role.
    action : str
        A dotted name such as ``review.accept``.
    subject : str
        What it was done to, for example ``image:3f9c``.
    old, new : any JSON value
        State before and after; None where there is none.
    reason : str
        In the actor's words.
    meaning : str
        Of an electronic signature, one of `MEANINGS`; empty for everything else. Whoever records it has asked for
        the password again just before: an entry cannot show that.
    evidence : dict of str to str
        Name to SHA-256 of what it rests on: image, bundle, recipe, certificate.
    """

    actor: str
    role: str
    action: str
    subject: str
    old: Any = None
    new: Any = None
    reason: str = ""
    meaning: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """A sealed event.

    Attributes
    ----------
    sequence : int
        1 for the first, then one more each time.
    at : str
        UTC, ISO 8601 with Z; the clock of the computer that sealed it.
    actor, role, action, subject, old, new, reason, meaning, evidence
        See `Event`.
    previous : str
        Digest of the entry before; `NOTHING` for the first.
    key : str
        Fingerprint of the key that signed: SHA-256 of the raw public key.
    digest : str
        SHA-256 of all of the above.
    signature : str
        Ed25519 over the digest, 128 hexadecimal digits.
    """

    sequence: int
    at: str
    actor: str
    role: str
    action: str
    subject: str
    old: Any
    new: Any
    reason: str
    meaning: str
    evidence: Mapping[str, str]
    previous: str
    key: str
    digest: str
    signature: str

    def content_digest(self) -> str:
        """Return what the digest must be, from the content as it stands."""
        content = self._content()
        del content["digest"], content["signature"]
        return sha256_bytes(_DOMAIN + compact(content))

    def encode(self) -> bytes:
        """Return the entry as one line of JSON, newline included."""
        return compact(self._content()) + b"\n"

    def _content(self) -> dict[str, Any]:
        """Return the fields by name; values are shared, not copied."""
        return {**vars(self), "evidence": dict(self.evidence)}

    def as_row(self) -> dict[str, Any]:
        """Return a row of a table: the structured fields as canonical JSON text, the others as they are.

        Databases respell numbers and reorder objects in JSON columns, so these three belong in text columns.
        """
        row = self._content()
        return {**row, **{name: compact(row[name]).decode() for name in _JSON_FIELDS}}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Entry:
        """Read a row that `as_row` wrote; further columns are passed over.

        Raises
        ------
        InputError
            A field is missing or is not what it can be; nothing is said about digest or signature.
        """
        try:
            values = {item.name: row[item.name] for item in fields(cls)}
        except KeyError as error:
            raise InputError(f"the entry has no {error.args[0]}") from error
        for name in _JSON_FIELDS:
            values[name] = _parsed(values[name], name)
        return _checked(values)

    @classmethod
    def decode(cls, line: bytes) -> Entry:
        """Read a line that `encode` wrote.

        Raises
        ------
        InputError
            Not JSON, another spelling, a field too many or too few, or a field that cannot be.
        """
        try:
            value = canonical.decode(line, "the line")
        except BundleError as error:
            raise InputError(error.message) from error
        names = {item.name for item in fields(cls)}
        if not isinstance(value, dict) or set(value) != names:
            raise InputError("the line is no entry of a record")
        if compact(value) != line.rstrip(b"\n"):
            raise InputError("the line is spelled otherwise than sorby writes it")
        return _checked(value)


@dataclass(frozen=True)
class Head:
    """How far a record goes: the number of entries and the digest of the last."""

    count: int = 0
    digest: str = NOTHING

    @classmethod
    def of(cls, entry: Entry) -> Head:
        """Return the head of a record that ends with *entry*."""
        return cls(entry.sequence, entry.digest)

    def __str__(self) -> str:
        """Say it as ``COUNT:DIGEST``, which `sorby record verify --anchor` takes."""
        return f"{self.count}:{self.digest}"


def compact(value: Any) -> bytes:
    """Return *value* as JSON in its one spelling: sorted keys, no spaces, UTF-8, no newline.

    Raises
    ------
    ValueError
        NaN, infinity, or half a surrogate pair.
    TypeError
        Something that JSON cannot hold.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def signed_message(digest: str) -> bytes:
    """Return the bytes that a signature of an entry with this *digest* covers.

    They begin with a text of their own, so that no signature made for a bundle passes for one of an entry.
    """
    return _SIGNED + bytes.fromhex(digest)


def is_time(text: str) -> bool:
    """Whether *text* is a UTC time as entries and anchors hold it."""
    return _TIME.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Whether *text* is a SHA-256 in 64 lower-case hexadecimal digits."""
    return _HEX64.fullmatch(text) is not None


def _parsed(text: Any, name: str) -> Any:
    """Read a structured field from its column."""
    if not isinstance(text, str):
        raise InputError(f"{name} is no text of JSON")
    try:
        value = canonical.decode(text.encode("utf-8"), name)
        spelled = compact(value) == text.encode("utf-8")
    except (BundleError, UnicodeEncodeError) as error:
        raise InputError(f"{name}: not valid JSON") from error
    if not spelled:
        raise InputError(f"{name} is spelled otherwise than sorby writes it")
    return value


def _checked(values: dict[str, Any]) -> Entry:
    """Make an entry of fields of unknown origin.

    Raises
    ------
    InputError
        A field is not what it can be.
    """
    sequence = values["sequence"]
    if type(sequence) is not int or not 1 <= sequence <= _LAST:
        raise InputError("sequence is no number from 1 on")
    for name in _TEXTS:
        if not isinstance(values[name], str) or _LONE.search(values[name]):
            raise InputError(f"{name} is no text")
    for name, pattern in (("previous", _HEX64), ("key", _HEX64), ("digest", _HEX64), ("signature", _HEX128)):
        if not isinstance(values[name], str) or pattern.fullmatch(values[name]) is None:
            raise InputError(f"{name} is not {64 if pattern is _HEX64 else 128} hexadecimal digits")
    if not is_time(values["at"]):
        raise InputError("at is no UTC time (2026-01-31T12:00:00Z)")
    evidence = values["evidence"]
    if not isinstance(evidence, dict) or not all(isinstance(one, str) and is_digest(one) for one in evidence.values()):
        raise InputError("evidence does not map names to SHA-256 digests")
    return Entry(**values)
