"""Verification: is the record what was sealed, entry by entry, and as long as it once was?

Entries stream through; what is kept is the entry before, a count for each key, and the anchors. So a record of any
length is checked in the same memory.

What verification cannot find
-----------------------------
Whoever holds the key can write the whole record anew after the last outside anchor: the result is intact. Times are
those of the computer that sealed. Nothing shows that an event was recorded that should have been, nor that the person
at the keyboard was the one who signed in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sorby.bundle import TrustedKey
from sorby.record.anchors import Anchor
from sorby.record.entry import Entry, Head, signed_message

Kind = Literal[
    "damaged", "edited", "foreign", "forged", "missing", "misplaced", "unlinked", "rewritten", "truncated"
]  # fmt: skip

KINDS: dict[Kind, str] = {
    "damaged": "cannot be read as an entry",
    "edited": "its content is not what its digest says",
    "foreign": "signed with a key that is not trusted",
    "forged": "the signature does not hold",
    "missing": "entries before it are gone",
    "misplaced": "stands where a later entry belongs",
    "unlinked": "does not follow from the entry before",
    "rewritten": "is not the entry that was anchored",
    "truncated": "the record ends before an anchored entry",
}
"""What each kind of fault means."""

_LISTED = 100
_KEYS = 100


@dataclass(frozen=True)
class Damaged:
    """Something in a record that is no entry.

    Attributes
    ----------
    place : str
        ``line 7``, or ``row 7``.
    reason : str
    """

    place: str
    reason: str


@dataclass(frozen=True)
class Fault:
    """What is wrong with one entry.

    Attributes
    ----------
    sequence : int
        Of the entry; of a damaged one, the number it should have.
    kind : str
        A key of `KINDS`.
    message : str
        One line.
    """

    sequence: int
    kind: Kind
    message: str

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {"sequence": self.sequence, "kind": self.kind, "message": self.message}


@dataclass(frozen=True)
class Signer:
    """A key found in the record: whose, trusted or not, and how many entries it sealed."""

    fingerprint: str
    name: str | None
    entries: int

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object; an untrusted key has no name, for nobody vouches for it."""
        return {
            "fingerprint": self.fingerprint,
            "name": self.name,
            "trusted": self.name is not None,
            "entries": self.entries,
        }


@dataclass(frozen=True)
class Verification:
    """What a record is worth.

    Attributes
    ----------
    entries : int
        Entries seen, damaged ones too.
    head : Head
        Sequence and digest of the last entry.
    faults : tuple of Fault
        The first hundred, and of an untrusted key only its first entry.
    n_faults : int
        All of them.
    anchors_checked : int
        Anchors that the record was held against.
    signers : tuple of Signer
    first_at, last_at : str or None
        Times of the first and last entry.
    warnings : tuple of str
        What was not or could not be checked.
    """

    entries: int
    head: Head
    faults: tuple[Fault, ...]
    n_faults: int
    anchors_checked: int
    signers: tuple[Signer, ...]
    first_at: str | None
    last_at: str | None
    warnings: tuple[str, ...]

    @property
    def intact(self) -> bool:
        """Whether nothing at all is wrong."""
        return self.n_faults == 0

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "entries": self.entries,
            "head": self.head.digest,
            "intact": self.intact,
            "faults": [fault.as_dict() for fault in self.faults],
            "n_faults": self.n_faults,
            "anchors_checked": self.anchors_checked,
            "signers": [signer.as_dict() for signer in self.signers],
            "first_at": self.first_at,
            "last_at": self.last_at,
            "warnings": list(self.warnings),
        }


def verify(
    entries: Iterable[Entry | Damaged],
    anchors: Iterable[Anchor] = (),
    trusted: Mapping[str, TrustedKey] | None = None,
) -> Verification:
    """Check a record from its first entry to its last.

    Parameters
    ----------
    entries : iterable of Entry or Damaged
        In the order of the record; from its beginning.
    anchors : iterable of Anchor
        From outside: a file, certificates. With none, a cut end is not found.
    trusted : Mapping[str, TrustedKey], optional
        Keys by fingerprint that may have sealed entries. With none, every entry is foreign.

    Returns
    -------
    Verification
    """
    inspector = _Inspector(dict(trusted or {}), _by_count(anchors))
    for found in entries:
        inspector.see(found)
    return inspector.close()


def _by_count(anchors: Iterable[Anchor]) -> dict[int, set[Anchor]]:
    """Return the different anchors of each count; the same one from two places is one."""
    found: dict[int, dict[str, Anchor]] = {}
    for anchor in anchors:
        found.setdefault(anchor.count, {}).setdefault(anchor.head, anchor)
    return {count: set(those.values()) for count, those in found.items()}


@dataclass
class _Inspector:
    """Keeps what the next entry is held against."""

    trusted: dict[str, TrustedKey]
    anchors: dict[int, set[Anchor]]
    seen: int = 0
    last: Head = field(default_factory=Head)
    unread: int = 0
    first_at: str | None = None
    last_at: str | None = None
    faults: list[Fault] = field(default_factory=list)
    n_faults: int = 0
    checked: int = 0
    keys: Counter[str] = field(default_factory=Counter)
    public: dict[str, Ed25519PublicKey] = field(default_factory=dict)
    backwards: list[int] = field(default_factory=lambda: [0, 0])  # how often a clock went back, and where first

    def blame(self, sequence: int, kind: Kind, message: str, *, listed: bool = True) -> None:
        self.n_faults += 1
        if listed and len(self.faults) < _LISTED:
            self.faults.append(Fault(sequence, kind, message))

    def see(self, found: Entry | Damaged) -> None:
        if self.seen == 0:
            self.hold_against(Head())
        self.seen += 1
        if isinstance(found, Damaged):
            self.unread += 1
            n = self.last.count + self.unread
            self.blame(n, "damaged", f"entry {n} ({found.place}) cannot be read: {found.reason}")
            return
        self.check_place(found)
        self.check_content(found)
        self.hold_against(Head.of(found))
        self.note_time(found)
        self.last, self.unread = Head.of(found), 0

    def check_place(self, entry: Entry) -> None:
        """Compare number and link; lines that could not be read may have been the entries between, or added."""
        expected, n = self.last.count + 1, entry.sequence
        if expected < n <= expected + self.unread:
            return  # it follows from a line that nobody can read
        if n > expected:
            gone = f"entry {expected} is" if n == expected + 1 else f"entries {expected} to {n - 1} are"
            self.blame(n, "missing", f"entry {n}: {gone} missing before it")
        elif n < expected:
            self.blame(n, "misplaced", f"entry {n} stands where entry {expected} belongs")
        elif entry.previous != self.last.digest:
            before = "it must begin the record" if n == 1 else f"its link is not the digest of entry {n - 1}"
            self.blame(n, "unlinked", f"entry {n} does not follow from the one before: {before}")

    def check_content(self, entry: Entry) -> None:
        """Compare digest and signature."""
        n = entry.sequence
        if entry.content_digest() != entry.digest:
            self.blame(n, "edited", f"entry {n} was edited: its content is not what its digest says")
        new = entry.key not in self.keys
        if not new or len(self.keys) < _KEYS:
            self.keys[entry.key] += 1
        if entry.key not in self.trusted:
            message = f"entry {n} is signed with key {entry.key[:16]}, which is not trusted here"
            self.blame(n, "foreign", message, listed=new)  # one line a key; the signers say how many entries
        elif not self.signature_holds(entry):
            self.blame(n, "forged", f"entry {n}: the signature of key {entry.key[:16]} does not hold")

    def signature_holds(self, entry: Entry) -> bool:
        if entry.key not in self.public:
            raw = bytes.fromhex(self.trusted[entry.key].public_key)
            self.public[entry.key] = Ed25519PublicKey.from_public_bytes(raw)
        try:
            self.public[entry.key].verify(bytes.fromhex(entry.signature), signed_message(entry.digest))
        except InvalidSignature:
            return False
        return True

    def hold_against(self, head: Head) -> None:
        """Compare with the anchors of this count; each is used up."""
        for anchor in sorted(self.anchors.pop(head.count, ()), key=lambda anchor: anchor.head):
            self.checked += 1
            if not anchor.holds_for(head):
                self.blame(
                    head.count,
                    "rewritten",
                    f"entry {head.count} is not the one anchored{_when(anchor)}: {anchor.head[:16]} was its digest",
                )

    def note_time(self, entry: Entry) -> None:
        if self.last_at is not None and entry.at[:19] < self.last_at[:19]:
            self.backwards = [self.backwards[0] + 1, self.backwards[1] or entry.sequence]
        self.first_at = self.first_at or entry.at
        self.last_at = entry.at

    def close(self) -> Verification:
        if self.seen == 0:
            self.hold_against(Head())
        for count in sorted(self.anchors):
            for anchor in sorted(self.anchors[count], key=lambda anchor: anchor.head):
                self.checked += 1
                self.blame_unmet(anchor)
        return Verification(
            self.seen,
            self.last,
            tuple(self.faults),
            self.n_faults,
            self.checked,
            tuple(self.signers()),
            self.first_at,
            self.last_at,
            tuple(self.warnings()),
        )

    def blame_unmet(self, anchor: Anchor) -> None:
        end = self.last.count
        if anchor.count > end:
            message = f"the record ends with entry {end}; entry {anchor.count} was anchored{_when(anchor)}"
            self.blame(anchor.count, "truncated", message)
        else:
            message = f"entry {anchor.count}, anchored{_when(anchor)}, is not there"
            self.blame(anchor.count, "rewritten", message)

    def signers(self) -> list[Signer]:
        return [
            Signer(key, self.trusted[key].name if key in self.trusted else None, count)
            for key, count in self.keys.most_common()
        ]

    def warnings(self) -> list[str]:
        said = [] if self.seen else ["the record holds no entries"]
        if self.checked == 0:
            said.append("no outside anchor was given: an end cut off, or a record written anew, would not be seen")
        if self.backwards[0]:
            said.append(
                f"{self.backwards[0]} entries state an earlier time than the one before, the first is entry"
                f" {self.backwards[1]}: a clock was set back"
            )
        if self.n_faults > len(self.faults):
            said.append(f"{self.n_faults} faults were found, {len(self.faults)} of them are listed")
        return said


def _when(anchor: Anchor) -> str:
    return f" on {anchor.at}" if anchor.at else ""
