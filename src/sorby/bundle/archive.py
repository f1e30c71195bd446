"""The .sorby archive: a zip file with one possible layout, written and read strictly.

Members are stored uncompressed, back to back from the first byte, each under one header; the
directory follows at once and ends the file. So an archive cannot unpack to more than its own
size, no byte of it is unaccounted for, and no two zip readers can see different members in it.
The same members give the same bytes: times are 1980-01-01, modes 0644, the order is the writer's.

References
----------
PKWARE, APPNOTE.TXT, .ZIP File Format Specification 6.3.10, sections 4.3.7, 4.3.12, 4.3.14-4.3.16.
"""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sorby.bundle.canonical import printable
from sorby.bundle.members import MAX_MEMBERS, name_problem
from sorby.errors import BundleError

_LOCAL = struct.Struct("<4s5H3L2H")  # 4.3.7: signature .. name length, extra length
_END = struct.Struct("<4s4H2LH")  # 4.3.16
_LOCATOR = struct.Struct("<4sLQL")  # 4.3.15
_END64 = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
_MAX_DIRECTORY = MAX_MEMBERS * 512
_UTF8_NAMES = 0x800
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_IN_ZIP64 = 0xFFFFFFFF
_EPOCH = (1980, 1, 1, 0, 0, 0)

_FRESH = "the file is damaged or was not written by sorby; ask for a fresh copy"
_REPACK = "unpack it and run `sorby bundle export FOLDER --out NEW.sorby`"


@dataclass(frozen=True)
class Span:
    """Where a member's bytes lie in the archive: first byte and number of bytes."""

    offset: int
    size: int


def locate_members(path: Path) -> dict[str, Span]:
    """Read the directory of the archive at *path* and prove its layout.

    Returns
    -------
    dict of str to Span
        In the order of the file.

    Raises
    ------
    BundleError
        Not a zip file, or one with leading, trailing or unaccounted bytes, unsafe or repeated
        names, links or folders, compressed or encrypted members, or too large a directory.
    """
    try:
        with open(path, "rb") as file:
            _check_ending(path, file)
            with _zip_errors(path), zipfile.ZipFile(file) as zipped:
                infos = sorted(zipped.infolist(), key=lambda info: info.header_offset)
                directory_start = zipped.start_dir
            return _walk(path, file, infos, directory_start)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror or error})", _FRESH) from error


class ArchiveWriter:
    """Appends members to a new archive on an open, seekable file; use it in a ``with`` block."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)

    def __enter__(self) -> ArchiveWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def add(self, name: str, size: int, copy: Callable[[IO[bytes]], None]) -> None:
        """Store one member of *size* bytes, which *copy* writes to the file it is given."""
        info = zipfile.ZipInfo(name, _EPOCH)
        info.create_system = 3  # the mode bits below are Unix's, on whichever system this runs
        info.external_attr = (stat.S_IFREG | 0o644) << 16
        info.file_size = size
        with self._zip.open(info, "w", force_zip64=size >= zipfile.ZIP64_LIMIT) as member:
            copy(member)


def _check_ending(path: Path, file: IO[bytes]) -> None:
    """Demand that the file ends with the end-of-directory record and announces a small directory."""
    size = file.seek(0, 2)
    if size < _END.size:
        raise BundleError(f"{path}: not a sorby bundle (too short for a zip archive)", _FRESH)
    file.seek(size - _END.size)
    signature, _, _, _, count, length, _, comment = _END.unpack(file.read(_END.size))
    if signature != b"PK\x05\x06" or comment:
        file.seek(0)
        if file.read(4) == b"PK\x03\x04":
            raise BundleError(f"{path}: the archive is cut short or bytes were added at its end", _FRESH)
        raise BundleError(f"{path}: not a sorby bundle (neither a folder nor a zip archive)", _FRESH)
    lengths = [length]
    before = size - _END.size - _LOCATOR.size - _END64.size
    if before >= 0:
        file.seek(before)
        record, locator = file.read(_END64.size), file.read(_LOCATOR.size)
        if locator[:4] == b"PK\x06\x07" and record[:4] == b"PK\x06\x06":
            lengths.append(_END64.unpack(record)[8])
    if count > MAX_MEMBERS or max(lengths) > _MAX_DIRECTORY:
        raise BundleError(f"{path}: more than {MAX_MEMBERS} members", "this is not a bundle that sorby wrote")


@contextmanager
def _zip_errors(path: Path) -> Iterator[None]:
    """Whatever zipfile stumbles over in a damaged directory is one fact: it is damaged."""
    try:
        yield
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, struct.error, OverflowError) as error:
        reason = printable(str(error)[:100])
        raise BundleError(f"{path}: the archive's directory is damaged ({reason})", _FRESH) from error


def _walk(path: Path, file: IO[bytes], infos: list[zipfile.ZipInfo], directory_start: int) -> dict[str, Span]:
    """Follow the members from the first byte to the directory; they must tile the space exactly."""
    spans: dict[str, Span] = {}
    position = 0
    for info in infos:
        _check_entry(path, info)
        where = f"{path}: member '{printable(info.filename)}'"
        if info.filename in spans:
            raise BundleError(f"{where} is held twice", _FRESH)
        if info.header_offset != position:
            raise BundleError(f"{where} does not follow its predecessor; bytes are hidden or shared", _FRESH)
        file.seek(position)
        header = file.read(_LOCAL.size)
        if len(header) != _LOCAL.size:
            raise BundleError(f"{where} is cut short", _FRESH)
        magic, _, flags, method, _, _, _, packed, size, name_length, extra_length = _LOCAL.unpack(header)
        sizes_agree = all(value in (info.file_size, _IN_ZIP64) for value in (packed, size))
        name_agrees = file.read(name_length) == info.filename.encode("ascii")
        if magic != b"PK\x03\x04" or flags != info.flag_bits or method or not sizes_agree or not name_agrees:
            raise BundleError(f"{where}: its header contradicts the archive's directory", _FRESH)
        spans[info.filename] = Span(position + _LOCAL.size + name_length + extra_length, info.file_size)
        position = spans[info.filename].offset + info.file_size
    if position != directory_start:
        raise BundleError(f"{path}: bytes are hidden between the members and the directory", _FRESH)
    return spans


def _check_entry(path: Path, info: zipfile.ZipInfo) -> None:
    """Refuse what a bundle's directory entry never says."""
    where = f"{path}: member '{printable(info.orig_filename[:200])}'"
    if info.flag_bits & _ENCRYPTED:
        raise BundleError(f"{where} is encrypted; a bundle's members are not", _FRESH)
    # orig_filename: zipfile shortens a name at its first NUL, and the two must not differ.
    problem = name_problem(info.orig_filename.removesuffix("/"))
    if problem is not None:
        raise BundleError(f"{where}: {problem}", "do not use this file; ask for a fresh copy")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise BundleError(f"{where} is a symbolic link", "a bundle holds plain files only")
    if info.is_dir() or kind not in (0, stat.S_IFREG):
        raise BundleError(f"{where} is not a plain file", "a bundle archive holds plain files only")
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        raise BundleError(f"{where} is compressed; a .sorby archive stores its members as they are", _REPACK)
    if info.flag_bits & ~_UTF8_NAMES:
        raise BundleError(f"{where}: zip feature bits {info.flag_bits:#x} are not used by bundles", _REPACK)
