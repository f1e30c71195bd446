"""Writing a bundle: whole or not at all, and the same content as the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from sorby.bundle import archive, members, signature
from sorby.bundle.canonical import printable
from sorby.bundle.checksums import Checksums, Entry
from sorby.bundle.description import FORMAT_VERSION, Description
from sorby.bundle.keys import SigningKey
from sorby.bundle.reading import OpenBundle
from sorby.errors import BundleError, InputError
from sorby.files import atomic_write, staged_directory

SUFFIX = ".sorby"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class _Source:
    """A member to be written: its name, and how to get its length and its bytes in pieces.

    The bytes are asked for only when their turn comes, so that one member at a time is in memory.
    """

    name: str
    open: Callable[[], tuple[int, Iterable[bytes]]]


class _Sink(Protocol):
    def add(self, name: str, size: int, copy: Callable[[IO[bytes]], None]) -> None: ...


def write(
    path: Path | str,
    description: Description,
    *,
    tensors: Mapping[str, Mapping[str, npt.NDArray[Any]]] | None = None,
    files: Mapping[str, bytes | Path] | None = None,
    signing_key: SigningKey | None = None,
    overwrite: bool = False,
) -> str:
    """Write a bundle: one archive where *path* ends in ``.sorby``, else a folder.

    Parameters
    ----------
    path : Path or str
        Destination.
    description : Description
        What the bundle says about itself.
    tensors : mapping of str to mapping of str to ndarray, optional
        ``{"weights": {"conv.weight": array}}`` becomes ``weights.safetensors``.
    files : mapping of str to bytes or Path, optional
        Further members by name, such as ``model.onnx``; a Path is copied in pieces. Without a
        ``LICENSE`` among them, one that names the description's licence is added.
    signing_key : SigningKey, optional
        Sign the bundle.
    overwrite : bool
        Replace a bundle that is there; anything else at *path* is never replaced.

    Returns
    -------
    str
        SHA-256 of the checksum table: the bundle's identity, the same for both forms.

    Raises
    ------
    InputError
        Something is there already, a member's name or array is unfit, a file cannot be read, the
        description does not hold, or the disk is full. Nothing incomplete is left behind.
    """
    sources = _sources(description, tensors or {}, files or {})
    with _open_sink(Path(path), overwrite=overwrite) as sink:
        table = _write_members(sink, sources)
        if signing_key is not None:
            _add_bytes(sink, members.SIGNATURE, signature.sign(table.encode(), signing_key))
    return table.sha256


def rewrite(
    bundle: OpenBundle, path: Path | str, *, signing_key: SigningKey | None = None, overwrite: bool = False
) -> str:
    """Copy an open bundle to *path*, as folder or archive, and sign it where a key is given.

    An existing signature is kept unless *signing_key* replaces it. Content and identity stay.

    Returns
    -------
    str
        The bundle's identity.

    Raises
    ------
    BundleError
        The bundle was changed while being copied.
    InputError
        As for `write`.
    """
    path = Path(path)
    if path.exists() and path.resolve() == bundle.path.resolve() and bundle.path.is_dir():
        raise InputError(f"{path}: a bundle folder cannot be written over itself", "choose another --out")
    container = bundle.container
    sources = _in_order(_from_container(bundle, name) for name in bundle.checksums.members)
    with _open_sink(path, overwrite=overwrite) as sink:
        table = _write_members(sink, sources)
        if table != bundle.checksums:
            raise BundleError(f"{bundle.path}: was changed while being copied", "ask for a fresh copy")
        if signing_key is not None:
            _add_bytes(sink, members.SIGNATURE, signature.sign(table.encode(), signing_key))
        elif members.SIGNATURE in container.sizes:
            _add_bytes(sink, members.SIGNATURE, container.read(members.SIGNATURE))
    return table.sha256


def _sources(
    description: Description,
    tensors: Mapping[str, Mapping[str, npt.NDArray[Any]]],
    files: Mapping[str, bytes | Path],
) -> list[_Source]:
    """Check names and inputs at the border."""
    given = {members.LICENCE: _licence_notice(description), **files}
    names = [f"{name}.safetensors" for name in tensors] + list(given)
    for name in names:
        if name in members.RESERVED:
            raise InputError(f"{name}: this member is made by sorby itself", "give the file another name")
    try:
        members.check_names([*names, *members.RESERVED])
    except BundleError as error:
        raise InputError(error.message, "give the member another name") from error
    sources = [_from_arrays(f"{name}.safetensors", arrays) for name, arrays in tensors.items()]
    for name, content in given.items():
        sources.append(_from_file(name, content) if isinstance(content, Path) else _from_bytes(name, content))
    return _in_order([_from_bytes(members.DESCRIPTION, description.encode()), *sources])


def _in_order(sources: Iterable[_Source]) -> list[_Source]:
    """Put the description first, where a person looking into the file sees it; the rest by name."""
    return sorted(sources, key=lambda source: (source.name != members.DESCRIPTION, source.name))


def _from_bytes(name: str, data: bytes) -> _Source:
    return _Source(name, lambda: (len(data), _pieces(BytesIO(data))))


def _from_file(name: str, path: Path) -> _Source:
    try:
        with open(path, "rb"):
            size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})", f"it should become {name}") from error

    def pieces() -> Iterator[bytes]:
        with open(path, "rb") as file:
            yield from _pieces(file)

    return _Source(name, lambda: (size, pieces()))


def _from_arrays(name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> _Source:
    for key, array in arrays.items():
        numeric = isinstance(array, np.ndarray | np.generic)
        if not numeric or array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            kind = array.dtype if numeric else type(array).__name__
            raise InputError(f"{name}: '{printable(key)}' is {kind}; safetensors hold plain numbers")

    def serialise() -> tuple[int, Iterable[bytes]]:
        import safetensors.numpy

        # safetensors copies memory as it lies, so a transposed or big-endian array must be laid out first.
        plain = {
            key: np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
            for key, array in arrays.items()
        }
        data = safetensors.numpy.save(plain)
        return len(data), _pieces(BytesIO(data))

    return _Source(name, serialise)


def _from_container(bundle: OpenBundle, name: str) -> _Source:
    return _Source(name, lambda: (bundle.members[name], bundle.container.chunks(name)))


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(_CHUNK):
        yield piece


def _write_members(sink: _Sink, sources: Iterable[_Source]) -> Checksums:
    """Write every member and then the table of what was written."""
    entries: dict[str, Entry] = {}
    for source in sources:
        expected, pieces = source.open()
        digest = hashlib.sha256()
        written = 0

        def copy(
            file: IO[bytes], pieces: Iterable[bytes] = pieces, digest: Any = digest, name: str = source.name
        ) -> None:
            nonlocal written
            for piece in pieces:
                digest.update(piece)
                written += file.write(piece)

        sink.add(source.name, expected, copy)
        if written != expected:
            raise InputError(f"{source.name}: its file changed while being copied", "try again")
        entries[source.name] = Entry(written, digest.hexdigest())
    table = Checksums(FORMAT_VERSION, dict(sorted(entries.items())))
    _add_bytes(sink, members.CHECKSUMS, table.encode())
    return table


def _add_bytes(sink: _Sink, name: str, data: bytes) -> None:
    def copy(file: IO[bytes]) -> None:
        file.write(data)

    sink.add(name, len(data), copy)


class _FolderSink:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, name: str, size: int, copy: Callable[[IO[bytes]], None]) -> None:
        with atomic_write(self._folder / name) as file:
            copy(file)


@contextmanager
def _open_sink(path: Path, *, overwrite: bool) -> Iterator[_Sink]:
    """Open the destination; it takes its name only when the block ends well."""
    _check_destination(path, overwrite)
    if path.suffix == SUFFIX:
        with atomic_write(path) as file, archive.ArchiveWriter(file) as writer:
            yield writer
    else:
        with staged_directory(path, overwrite=overwrite) as folder:
            yield _FolderSink(folder)


def _check_destination(path: Path, overwrite: bool) -> None:
    """Let a bundle replace a bundle, never a folder of something else."""
    if not path.exists() or (path.is_dir() and path.suffix != SUFFIX and not any(path.iterdir())):
        return
    if not overwrite:
        raise InputError(f"{path}: exists", "choose another --out")
    whole = path.is_file() if path.suffix == SUFFIX else (path / members.CHECKSUMS).is_file()
    if not whole:
        raise InputError(f"{path}: exists and is not a bundle; it will not be replaced", "choose another --out")


def _licence_notice(description: Description) -> bytes:
    return f"{description.name}\n\nLicence of this model bundle: {description.licence}\n".encode()
