"""The checksum table: what every member must hash to, and through that the bundle's identity."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from sorby.bundle import canonical
from sorby.bundle.container import Container
from sorby.bundle.members import CHECKSUMS, SIGNATURE, check_names
from sorby.errors import BundleError
from sorby.files import sha256_bytes

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """Length in bytes and SHA-256 (64 hexadecimal digits) of one member."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Checksums:
    """Every member except the table itself and its signature, with length and SHA-256.

    Attributes
    ----------
    format_version : int
        Version of the bundle format.
    members : Mapping[str, Entry]
        By member name.
    """

    format_version: int
    members: Mapping[str, Entry]

    def encode(self) -> bytes:
        """Return the only accepted spelling of ``checksums.json``."""
        members = {name: {"bytes": e.bytes, "sha256": e.sha256} for name, e in self.members.items()}
        return canonical.encode({"format_version": self.format_version, "members": members})

    @property
    def sha256(self) -> str:
        """The bundle's identity: it binds every byte of every member, and is the same for folder and archive."""
        return sha256_bytes(self.encode())

    @classmethod
    def decode(cls, data: bytes) -> Checksums:
        """Read ``checksums.json``.

        Raises
        ------
        BundleError
            Not the table of a bundle, or not in canonical spelling, so that it was edited.
        """
        value = canonical.decode(data, CHECKSUMS)
        try:
            members = {name: Entry(e["bytes"], e["sha256"]) for name, e in value["members"].items()}
            table = cls(value["format_version"], members)
        except (KeyError, TypeError, AttributeError) as error:
            raise BundleError(f"{CHECKSUMS}: not a table of checksums") from error
        plain = type(table.format_version) is int and all(
            type(e.bytes) is int and isinstance(e.sha256, str) and _SHA256.fullmatch(e.sha256) for e in members.values()
        )
        if not plain or table.encode() != data:
            raise BundleError(f"{CHECKSUMS}: not as sorby writes it; it was edited or damaged")
        check_names(members)
        return table


def differences(container: Container, table: Checksums) -> list[str]:
    """Compare every member with the table; constant memory.

    Returns
    -------
    list of str
        One line for each member that is missing, not listed, or changed. Empty = intact.
    """
    present = set(container.sizes) - {CHECKSUMS, SIGNATURE}
    problems = [f"{name} is missing" for name in sorted(set(table.members) - present)]
    problems += [f"{name} was added: the checksums do not list it" for name in sorted(present - set(table.members))]
    for name in sorted(present & set(table.members)):
        entry = table.members[name]
        if container.sizes[name] != entry.bytes:
            problems.append(f"{name} was changed ({container.sizes[name]} bytes instead of {entry.bytes})")
        elif _sha256(container, name) != entry.sha256:
            problems.append(f"{name} was changed (its checksum differs)")
    return problems


def _sha256(container: Container, name: str) -> str:
    digest = hashlib.sha256()
    for piece in container.chunks(name):
        digest.update(piece)
    return digest.hexdigest()
