"""The two bodies of a bundle, a folder and one stored zip archive, read through one interface.

Nothing is unpacked to be read. A container knows its members' names and sizes and hands out
their bytes; what the bytes mean is decided elsewhere, after the checksums hold.
"""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from sorby.bundle import archive
from sorby.bundle.members import MAX_MEMBERS, SIZE_LIMITS, check_names
from sorby.errors import BundleError

_CHUNK = 1 << 20


class Container(ABC):
    """Names, sizes and bytes of a bundle's members.

    Attributes
    ----------
    path : Path
        Where the bundle lies.
    sizes : Mapping[str, int]
        Bytes of each member, by name. The names have passed `sorby.bundle.members.check_names`.
    """

    def __init__(self, path: Path, sizes: Mapping[str, int]) -> None:
        self.path = path
        self.sizes = dict(sorted(sizes.items()))
        check_names(self.sizes)
        for name, limit in SIZE_LIMITS.items():
            if self.sizes.get(name, 0) > limit:
                raise BundleError(f"{name}: larger than {limit >> 10} KiB", "sorby never writes such a file")

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the member's bytes in pieces of at most 1 MiB.

        Raises
        ------
        BundleError
            No such member, or its file cannot be read or has shrunk.
        """
        left = self._size(name)
        try:
            with self._positioned(name) as file:
                while left:
                    piece = file.read(min(left, _CHUNK))
                    if not piece:
                        raise BundleError(f"{self.path}: {name} is cut short")
                    left -= len(piece)
                    yield piece
        except OSError as error:
            raise BundleError(f"{self.path}: cannot read {name} ({error.strerror or error})") from error

    def read(self, name: str) -> bytes:
        """Return the member's bytes in one piece; raises as `chunks` does."""
        size = self._size(name)
        try:
            with self._positioned(name) as file:
                data = file.read(size)
        except OSError as error:
            raise BundleError(f"{self.path}: cannot read {name} ({error.strerror or error})") from error
        if len(data) != size:
            raise BundleError(f"{self.path}: {name} is cut short")
        return data

    def _size(self, name: str) -> int:
        if name not in self.sizes:
            raise BundleError(f"{self.path}: holds no {name}", f"it holds {', '.join(self.sizes)}")
        return self.sizes[name]

    @abstractmethod
    def _positioned(self, name: str) -> IO[bytes]:
        """Open the file that holds *name*, standing at the member's first byte."""


class FolderContainer(Container):
    """A bundle whose members are files of a folder."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, dict(_regular_files(path)))

    def _positioned(self, name: str) -> IO[bytes]:
        return open(self.path / name, "rb")


class ArchiveContainer(Container):
    """A bundle whose members are stored, uncompressed, in one zip archive."""

    def __init__(self, path: Path) -> None:
        spans = archive.locate_members(path)
        self._offsets = {name: span.offset for name, span in spans.items()}
        super().__init__(path, {name: span.size for name, span in spans.items()})

    def _positioned(self, name: str) -> IO[bytes]:
        file = open(self.path, "rb")  # noqa: SIM115 - the caller closes it
        file.seek(self._offsets[name])
        return file


def open_container(path: Path | str) -> Container:
    """Open the folder or archive at *path* and check its structure, not yet its content.

    Raises
    ------
    BundleError
        Nothing is there, or it is neither a folder nor an archive a bundle may be.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: no such bundle", "give a bundle folder or a .sorby file") from error
    if stat.S_ISDIR(mode):
        return FolderContainer(path)
    if stat.S_ISREG(mode):
        return ArchiveContainer(path)
    raise BundleError(f"{path}: neither a folder nor a file", "give a bundle folder or a .sorby file")


def _regular_files(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield name and size of each file; a link or device could lead anywhere and is refused."""
    pending, found = [folder], 0
    while pending:
        current = pending.pop()
        try:
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError as error:
            raise BundleError(f"{current}: cannot be listed ({error.strerror or error})") from error
        for entry in entries:
            name = Path(entry.path).relative_to(folder).as_posix()
            found += 1
            if found > MAX_MEMBERS:
                raise BundleError(f"{folder}: more than {MAX_MEMBERS} entries", "this is not a bundle folder")
            if entry.is_symlink():
                raise BundleError(f"{folder}: {name} is a symbolic link", "a bundle holds plain files only")
            if entry.is_dir(follow_symlinks=False):
                pending.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield name, entry.stat(follow_symlinks=False).st_size
            else:
                raise BundleError(f"{folder}: {name} is not a plain file", "a bundle holds plain files only")
