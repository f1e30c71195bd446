"""Opening a bundle: structure, then checksums and signature, and only then its content.

Loading parses JSON and plain arrays. It never runs, imports or unpickles anything from the file.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.bundle import canonical, description, signature
from sorby.bundle.checksums import Checksums, differences
from sorby.bundle.container import Container, open_container
from sorby.bundle.description import Description
from sorby.bundle.keys import TrustedKey, trusted_keys
from sorby.bundle.members import CHECKSUMS, DESCRIPTION, SIGNATURE
from sorby.bundle.signature import UNSIGNED, Signature
from sorby.errors import BundleError
from sorby.files import atomic_write, sha256_bytes

_HINT = "do not use this bundle; ask for a fresh copy"


class OpenBundle:
    """A bundle whose checksums have been verified.

    Made by `open_bundle`; holds no file open. Every read is checked against the checksums again,
    so a file changed meanwhile is found. Use it in a ``with`` block, or let it go: files that had
    to be written out are removed with it.

    Attributes
    ----------
    path : Path
        The folder or archive.
    description : Description
        What the bundle says about itself.
    checksums : Checksums
        Length and SHA-256 of every member.
    signature : Signature
        Who vouches for it, and whether the user trusts the key.
    """

    def __init__(
        self, container: Container, description: Description, checksums: Checksums, signature: Signature
    ) -> None:
        self._container = container
        self.description = description
        self.checksums = checksums
        self.signature = signature
        self._scratch: Path | None = None

    @property
    def path(self) -> Path:
        """The folder or archive."""
        return self._container.path

    @property
    def sha256(self) -> str:
        """The bundle's identity, equal for its folder and its archive form, signed or not."""
        return self.checksums.sha256

    @property
    def members(self) -> dict[str, int]:
        """Bytes of each member, by name, without checksum table and signature."""
        return {name: entry.bytes for name, entry in self.checksums.members.items()}

    @property
    def container(self) -> Container:
        """The members' raw bytes, for copying a bundle to another place."""
        return self._container

    def __contains__(self, name: object) -> bool:
        return name in self.checksums.members

    def __enter__(self) -> OpenBundle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove what `file` and `folder` wrote out; the bundle itself stays usable."""
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def read(self, name: str) -> bytes:
        """Return a member's bytes.

        Raises
        ------
        BundleError
            No such member, or it changed after the bundle was opened.
        """
        self._require(name)
        data = self._container.read(name)
        if sha256_bytes(data) != self.checksums.members[name].sha256:
            raise BundleError(f"{self.path}: {name} was changed while in use", _HINT)
        return data

    def tensors(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of ``<name>.safetensors``.

        Raises
        ------
        BundleError
            No such member, or it is not a safetensors file of types NumPy knows.
        """
        import safetensors.numpy
        from safetensors import SafetensorError

        member = f"{name}.safetensors"
        data = self.read(member)
        try:
            arrays: dict[str, npt.NDArray[Any]] = safetensors.numpy.load(data)
        except (SafetensorError, ValueError, TypeError, KeyError) as error:
            reason = canonical.printable(str(error)[:120])
            raise BundleError(f"{self.path}: {member} is not a safetensors file ({reason})", _HINT) from error
        return {key: np.ascontiguousarray(array).reshape(array.shape) for key, array in arrays.items()}

    def file(self, name: str) -> Path:
        """Return a path under which the member can be opened by a library that wants a file.

        For a folder it is the member itself; for an archive a private temporary copy, which lives
        as long as this object. Raises as `read` does.
        """
        self._require(name)
        if self._container.path.is_dir():
            return self._container.path / name
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="sorby-bundle-"))
            weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        target = self._scratch / name
        if not target.exists():
            with atomic_write(target) as file:
                for piece in self._container.chunks(name):
                    file.write(piece)
        return target

    def folder(self) -> Path:
        """Return a folder with all members, for models of several files; as `file` does."""
        for name in self.checksums.members:
            self.file(name)
        return self._scratch if self._scratch is not None else self._container.path

    def _require(self, name: str) -> None:
        if name not in self.checksums.members:
            raise BundleError(
                f"{self.path}: holds no {canonical.printable(name)}",
                f"it holds {', '.join(self.checksums.members)}",
            )


@dataclass
class _Findings:
    """What an examination found; everything after the first broken step stays None."""

    path: Path
    problems: list[BundleError] = field(default_factory=list)
    container: Container | None = None
    checksums: Checksums | None = None
    description: Description | None = None
    signature: Signature = UNSIGNED


def open_bundle(
    path: Path | str, *, require_signed: bool = False, trusted: Mapping[str, TrustedKey] | None = None
) -> OpenBundle:
    """Verify the bundle at *path* and open it.

    Parameters
    ----------
    path : Path or str
        A bundle folder or a ``.sorby`` archive.
    require_signed : bool
        Refuse a bundle that is not signed with a trusted key.
    trusted : Mapping[str, TrustedKey], optional
        Trusted keys by fingerprint; by default the user's list.

    Raises
    ------
    BundleError
        Missing, damaged, changed, from a newer format, or not signed as demanded.
    """
    found = _examine(Path(path), trusted)
    _demand_signature(found, require_signed)
    if found.problems:
        first = found.problems[0]
        more = f" (and {len(found.problems) - 1} more problems)" if len(found.problems) > 1 else ""
        raise BundleError(first.message + more, first.hint)
    if found.container is None or found.checksums is None or found.description is None:
        raise AssertionError("an examination without problems is complete")
    return OpenBundle(found.container, found.description, found.checksums, found.signature)


def verify(
    path: Path | str, trusted: Mapping[str, TrustedKey] | None = None, *, require_signed: bool = False
) -> dict[str, Any]:
    """Say whether a bundle is intact and who signed it, without opening it for use.

    Returns
    -------
    dict
        ``bundle`` (path), ``intact`` (bool: every byte as it was written, and the signature, where
        there is one, holds), ``signed_by`` (``{"name", "fingerprint", "signed_at"}`` of a trusted key,
        or None), ``signature`` (see `sorby.bundle.signature.Signature`), ``sha256``, ``name``, ``kind``,
        ``classes``, ``metrics`` (None where they cannot be read), ``problems`` (list of lines), ``hint``.

    Raises
    ------
    BundleError
        Nothing lies at *path*.
    """
    path = Path(path)
    if not path.exists():
        raise BundleError(f"{path}: no such bundle", "give a bundle folder or a .sorby file")
    found = _examine(path, trusted)
    intact = not found.problems
    _demand_signature(found, require_signed)
    made = found.description if intact else None
    signed = intact and found.signature.status == "signed"
    stated = found.signature.as_dict()
    return {
        "bundle": str(path),
        "intact": intact,
        "signed_by": {key: stated[key] for key in ("name", "fingerprint", "signed_at")} if signed else None,
        "signature": stated,
        "sha256": found.checksums.sha256 if found.checksums else None,
        "name": made.name if made else None,
        "kind": made.kind if made else None,
        "classes": made.classes if made else None,
        "metrics": made.metrics if made else None,
        "problems": [problem.message for problem in found.problems],
        "hint": found.problems[0].hint if found.problems else "",
    }


def _examine(path: Path, trusted: Mapping[str, TrustedKey] | None) -> _Findings:
    """Go as far as the bundle lets us; collect what is wrong instead of stopping at the first member."""
    found = _Findings(path)
    keys = trusted_keys() if trusted is None else trusted
    try:
        found.container = container = open_container(path)
        _refuse_newer(container)
        table = Checksums.decode(_needed(container, CHECKSUMS))
        found.checksums = table
        found.problems += [BundleError(f"{path}: {line}", _HINT) for line in differences(container, table)]
        if SIGNATURE in container.sizes:
            found.signature = signature.check(container.read(SIGNATURE), table.encode(), keys)
            if found.signature.status == "invalid":
                line = f"{path}: the signature does not fit: the bundle or its checksums were changed after signing"
                found.problems.append(BundleError(line, _HINT))
        if not found.problems:
            made = description.decode(_needed(container, DESCRIPTION))
            if made.format_version != table.format_version:
                raise BundleError(f"{DESCRIPTION} and {CHECKSUMS} state different formats", _HINT)
            found.description = made
    except BundleError as error:
        line = error.message if error.message.startswith(str(path)) else f"{path}: {error.message}"
        found.problems.append(BundleError(line, error.hint or _HINT))
    return found


def _needed(container: Container, name: str) -> bytes:
    if name not in container.sizes:
        raise BundleError(f"{name} is missing; this is not a whole bundle", "give a bundle folder or a .sorby file")
    return container.read(name)


def _refuse_newer(container: Container) -> None:
    """Look at the format's number before all else: a newer one may differ in anything."""
    for name in (DESCRIPTION, CHECKSUMS):
        if name in container.sizes:
            try:
                value = canonical.decode(container.read(name), name)
            except BundleError:
                continue  # the checksums will tell what is wrong with it
            description.refuse_newer(value)


def _demand_signature(found: _Findings, require_signed: bool) -> None:
    if not require_signed or found.signature.status in ("signed", "invalid") or found.problems:
        return
    if found.signature.status == "unsigned":
        hint = "ask its maker to sign it: sorby bundle export BUNDLE --sign KEY --out NEW"
        found.problems.append(BundleError(f"{found.path}: unsigned, and a signature is required", hint))
    else:
        line = f"{found.path}: {found.signature}, and a trusted signature is required"
        hint = "once its fingerprint is confirmed by another way: sorby key trust FILE.pub --as NAME"
        found.problems.append(BundleError(line, hint))
