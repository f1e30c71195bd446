"""Ed25519 signatures: who vouches for exactly these bytes.

Signed is the checksum table, and through it every byte of every member, together with the format
version, the signer's name and the time. The message starts with a text of its own, so that a
signature made for a bundle can never be passed off as one made for something else.

References
----------
RFC 8032, Edwards-Curve Digital Signature Algorithm (Ed25519).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sorby.bundle import canonical
from sorby.bundle.description import FORMAT_VERSION
from sorby.bundle.keys import SigningKey, TrustedKey, fingerprint
from sorby.bundle.members import SIGNATURE
from sorby.errors import BundleError

Status = Literal["unsigned", "signed", "untrusted", "invalid"]

_DOMAIN = b"sorby bundle signature\x00"
_FIELDS = {"algorithm", "format_version", "public_key", "signature", "signed_at", "signer"}
_HEX = {"public_key": re.compile(r"[0-9a-f]{64}"), "signature": re.compile(r"[0-9a-f]{128}")}


@dataclass(frozen=True)
class Signature:
    """What a bundle's signature is worth to this user.

    Attributes
    ----------
    status : {'unsigned', 'signed', 'untrusted', 'invalid'}
        ``signed``: it holds, and the key is trusted. ``untrusted``: it holds, but anybody could
        have made the key. ``invalid``: it does not hold; the bundle was changed after signing.
    name : str or None
        The name this user gave a trusted key; otherwise the name the signature claims.
    fingerprint : str or None
        SHA-256 of the raw public key.
    signed_at : str or None
        The time the signer states, ISO 8601.
    """

    status: Status
    name: str | None = None
    fingerprint: str | None = None
    signed_at: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return {
            "status": self.status,
            "name": self.name,
            "fingerprint": self.fingerprint,
            "signed_at": self.signed_at,
        }

    def __str__(self) -> str:
        """Say it in one line."""
        if self.status == "unsigned":
            return "unsigned"
        key = f"key {(self.fingerprint or '')[:16]}"
        if self.status == "signed":
            return f"signed by {self.name} ({key}, {self.signed_at})"
        if self.status == "untrusted":
            return f"signed with an untrusted {key}, which calls itself '{self.name}' ({self.signed_at})"
        return f"the signature does not hold ({key} claimed)"


UNSIGNED = Signature("unsigned")


def sign(checksums: bytes, key: SigningKey, signed_at: str | None = None) -> bytes:
    """Sign the canonical checksum table.

    Parameters
    ----------
    checksums : bytes
        Content of ``checksums.json``.
    key : SigningKey
        Who signs.
    signed_at : str, optional
        ISO 8601 time; by default now.

    Returns
    -------
    bytes
        Content of ``signature.json``. Ed25519 is deterministic: same input, same bytes.
    """
    statement = {
        "algorithm": "Ed25519",
        "format_version": FORMAT_VERSION,
        "public_key": key.public_key,
        "signed_at": signed_at or datetime.now(UTC).isoformat(timespec="seconds"),
        "signer": key.name,
    }
    signature = key.private.sign(_message(statement, checksums)).hex()
    return canonical.encode({**statement, "signature": signature})


def check(signature: bytes, checksums: bytes, trusted: Mapping[str, TrustedKey]) -> Signature:
    """Check ``signature.json`` against the checksum table.

    Parameters
    ----------
    signature, checksums : bytes
        Content of the two files.
    trusted : Mapping[str, TrustedKey]
        Trusted keys by fingerprint.

    Returns
    -------
    Signature
        Status ``signed``, ``untrusted`` or ``invalid``.

    Raises
    ------
    BundleError
        The file is not a signature as sorby writes it.
    """
    statement = _decode(signature)
    raw = bytes.fromhex(statement.pop("signature"))
    key = fingerprint(statement["public_key"])
    status: Status
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(statement["public_key"]))
        public.verify(raw, _message(statement, checksums))
        status = "signed" if key in trusted else "untrusted"
    except (InvalidSignature, ValueError):
        status = "invalid"
    # A trusted key goes by the name its truster chose; a claimed name proves nothing.
    name = trusted[key].name if status == "signed" else canonical.printable(statement["signer"])
    return Signature(status, name, key, canonical.printable(statement["signed_at"]))


def _message(statement: Mapping[str, Any], checksums: bytes) -> bytes:
    """Domain, version, then two parts each with its length, so that no two inputs share a message."""
    parts = [canonical.encode(dict(statement)), checksums]
    version = struct.pack(">I", statement["format_version"])
    return _DOMAIN + version + b"".join(struct.pack(">Q", len(part)) + part for part in parts)


def _decode(data: bytes) -> dict[str, Any]:
    value = canonical.decode(data, SIGNATURE)
    if not isinstance(value, dict) or set(value) != _FIELDS or canonical.encode(value) != data:
        raise BundleError(f"{SIGNATURE}: not as sorby writes it; it was edited or damaged")
    texts = all(isinstance(value[field], str) for field in _FIELDS - {"format_version"})
    if not texts or not all(pattern.fullmatch(value[field]) for field, pattern in _HEX.items()):
        raise BundleError(f"{SIGNATURE}: a field is not what it should be")
    version = value["format_version"]
    if value["algorithm"] != "Ed25519" or type(version) is not int or version != FORMAT_VERSION:
        raise BundleError(f"{SIGNATURE}: made by a scheme this sorby does not know", "update sorby")
    return value
