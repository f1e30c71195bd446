"""Records sealed by keys of the tests, and what is needed to judge them."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sorby.bundle import SigningKey, TrustedKey
from sorby.record import Entry, Event, Head, seal

STATION = "the station"

ACTIONS = (
    ("ina", "operator", "image.upload", None, {"file": "Probe 7 – Übergang.tif"}, "", ""),
    ("ina", "operator", "inspection.run", None, {"label": "G9-10", "confidence": 0.97}, "", ""),
    ("revi", "reviewer", "review.correct", {"label": "G9-10"}, {"label": "G8"}, "needles are shorter", "reviewed"),
    ("sue", "supervisor", "bundle.promote", None, ["a", 1, 1.5, True, None], "", "approved"),
    ("ada", "administrator", "account.new", None, "aud", "", ""),
)


def sealing(seed: int, name: str = STATION) -> SigningKey:
    """Return a key that is the same in every run."""
    return SigningKey(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def trusting(*keys: SigningKey) -> dict[str, TrustedKey]:
    """Return the keys as a list of trust."""
    found = [TrustedKey(key.name, key.public_key, "2026-01-01T00:00:00+00:00") for key in keys]
    return {key.fingerprint: key for key in found}


def chain(n: int, key: SigningKey, start: Head | None = None) -> list[Entry]:
    """Return *n* entries that follow *start*."""
    head, entries = start or Head(), list[Entry]()
    for k in range(head.count, head.count + n):
        actor, role, action, old, new, reason, meaning = ACTIONS[k % len(ACTIONS)]
        event = Event(actor, role, action, f"image:{k:04x}", old, new, reason, meaning, {"image": f"{k:064x}"})
        entries.append(seal(event, head, key, at=f"2026-03-01T{k // 3600:02d}:{k // 60 % 60:02d}:{k % 60:02d}.25Z"))
        head = Head.of(entries[-1])
    return entries
