"""The content-addressed store: what is there is whole, on disk, and what its name says."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO

from sorby.errors import InputError
from sorby.files import explained, sha256_file

_CHUNK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}\Z")


class TooLarge(InputError):
    """More bytes, or more pixels, than the station takes."""


@dataclass(frozen=True)
class Stored:
    """A file in the store.

    Attributes
    ----------
    sha256 : str
    size : int
        Bytes.
    new : bool
        Whether it was not there before.
    """

    sha256: str
    size: int
    new: bool


class Store:
    """Files under their SHA-256, read-only, each written once.

    ``sha256/ab/cdef...`` holds the files, ``derived/`` what can be made again from them (tiles, thumbnails), and
    ``incoming/`` what is still being received.

    Parameters
    ----------
    root : Path
        Made where it is missing.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        with explained(self.root):
            for name in ("sha256", "derived", "incoming"):
                (self.root / name).mkdir(parents=True, exist_ok=True)

    def put(self, content: IO[bytes] | bytes, limit: int | None = None) -> Stored:
        """Keep a file.

        Parameters
        ----------
        content : binary stream or bytes
            Read to its end, a megabyte at a time.
        limit : int, optional
            Most bytes that are taken.

        Returns
        -------
        Stored
            When this returns, the file is on disk and survives a crash.

        Raises
        ------
        TooLarge
            More than *limit* bytes came; nothing is kept.
        InputError
            The disk is full or cannot be written.
        """
        with self.receiving() as (file, path):
            size = self.fill(file, BytesIO(content) if isinstance(content, bytes) else content, limit)
            return self.keep(path, size)

    @contextmanager
    def receiving(self) -> Iterator[tuple[IO[bytes], Path]]:
        """Open a file that is gone at the end of the block unless `keep` took it.

        Yields
        ------
        binary file, Path
        """
        path = self.root / "incoming" / uuid.uuid4().hex
        try:
            with explained(self.root), open(path, "xb") as file:
                yield file, path
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    @staticmethod
    def fill(file: IO[bytes], content: IO[bytes], limit: int | None = None) -> int:
        """Copy a stream to its end, a megabyte at a time; return the bytes.

        Raises
        ------
        TooLarge
            More than *limit* bytes came.
        """
        size = 0
        while chunk := content.read(_CHUNK):
            size += len(chunk)
            if limit is not None and size > limit:
                raise TooLarge(f"more than {limit:,} bytes", "send a smaller file")
            file.write(chunk)
        file.flush()
        return size

    def keep(self, path: Path, size: int | None = None) -> Stored:
        """Take a file of ``incoming/`` in, after looking at it.

        Parameters
        ----------
        path : Path
            A file that `receiving` opened, written to its end and flushed.
        size : int, optional
            Its bytes, where known.
        """
        sha = sha256_file(path)
        size = path.stat().st_size if size is None else size
        target = self._place(sha)
        if target.exists():
            return Stored(sha, size, False)
        with explained(self.root):
            target.parent.mkdir(exist_ok=True)
            os.chmod(path, 0o440)
            _sync(path)
            os.replace(path, target)
            # The name is on disk only when the folder is, and the folder's own name when its parent is.
            _sync(target.parent)
            _sync(target.parent.parent)
        return Stored(sha, size, True)

    def path(self, sha256: str) -> Path:
        """Return where a file lies.

        Raises
        ------
        InputError
            No such file is kept, or *sha256* is no SHA-256.
        """
        place = self._place(sha256)
        if not place.is_file():
            raise InputError(f"{sha256[:12]}: no such file in the store", "it may have been removed by hand")
        return place

    def open(self, sha256: str) -> IO[bytes]:
        """Open a file for reading.

        Raises
        ------
        InputError
            No such file is kept.
        """
        return open(self.path(sha256), "rb")

    def has(self, sha256: str) -> bool:
        """Say whether a file is kept."""
        return self._place(sha256).is_file()

    def intact(self, sha256: str) -> bool:
        """Say whether a file still is what its name says."""
        return sha256_file(self.path(sha256)) == sha256

    def derived(self, sha256: str, kind: str) -> Path:
        """Return the folder of what was made from a file; it may not exist yet, and may be deleted at any time.

        Parameters
        ----------
        sha256 : str
        kind : str
            Such as ``tiles``.
        """
        if not _NAME.match(kind):
            raise ValueError(f"{kind!r} names no kind of derived files")
        self._place(sha256)
        return self.root / "derived" / kind / sha256[:2] / sha256[2:]

    def _place(self, sha256: str) -> Path:
        """Return where a file would lie; the pattern is what keeps paths inside the store."""
        if not _SHA256.match(sha256):
            raise InputError(f"{sha256[:80]!r} is no SHA-256", "64 hexadecimal digits, in lower case")
        return self.root / "sha256" / sha256[:2] / sha256[2:]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
