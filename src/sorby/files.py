"""Files that are either complete or absent: atomic writing, staged folders, hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from sorby.errors import InputError

_CHUNK = 1 << 20


_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}


def _explain(error: OSError, path: Path) -> Exception:
    """Turn an error of the destination into one line; leave any other as it is."""
    if error.errno in _FULL:
        return InputError(f"{path}: the disk is full", "free some space; nothing incomplete was left behind")
    if error.errno in _FORBIDDEN:
        return InputError(f"{path}: cannot write here ({error.strerror})", "choose another --out")
    return error


@contextmanager
def explained(path: Path | str) -> Iterator[None]:
    """Turn errors of writing to *path* into one line.

    Raises
    ------
    InputError
        The disk is full or the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise _explain(error, Path(path)) from error


@contextmanager
def atomic_write(path: Path | str) -> Iterator[IO[bytes]]:
    """Open *path* for binary writing; it appears only when the block ends well.

    Parameters
    ----------
    path : Path or str
        Destination. Its folder is created where missing.

    Yields
    ------
    binary file
        A temporary file in the same folder, renamed over *path* after an fsync.

    Raises
    ------
    InputError
        The disk is full or the folder cannot be written; nothing is left behind.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise _explain(error, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def staged_directory(path: Path | str, *, overwrite: bool = False) -> Iterator[Path]:
    """Fill a folder beside *path*; it takes the name *path* only when the block ends well.

    Parameters
    ----------
    path : Path or str
        Destination folder.
    overwrite : bool
        Replace an existing folder; otherwise a non-empty one is refused.

    Raises
    ------
    InputError
        *path* exists and is not empty, the disk is full, or the place cannot be written.
    """
    path = Path(path)
    if path.exists() and not overwrite and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path}: exists and is not empty", "choose another --out")
    staging = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        staging.mkdir(parents=True)
        yield staging
        if path.exists():
            shutil.rmtree(path)
        os.replace(staging, path)
    except OSError as error:
        raise _explain(error, path) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_text(path: Path | str, text: str) -> None:
    """Write *text* as UTF-8, atomically."""
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))


def write_json(path: Path | str, value: Any) -> None:
    """Write *value* as indented JSON, atomically; NaN is refused because JSON has none."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    with atomic_write(path) as file:
        # File names that are no UTF-8 carry surrogates, which JSON can only hold escaped.
        file.write(text.encode("utf-8", "backslashreplace"))


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of *data* as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path | str) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits, read in constant memory."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
