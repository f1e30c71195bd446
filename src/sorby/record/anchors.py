"""Anchors: how far the record went and with which head, kept where who writes the record cannot write.

A chain alone does not show that its end was cut off, nor that the holder of the key wrote it anew. An anchor outside
does: in a file on another drive, printed on a certificate, or sent to somebody.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from sorby.bundle import canonical
from sorby.errors import BundleError, InputError
from sorby.files import explained
from sorby.record.entry import Head, compact, is_digest, is_time
from sorby.record.sealing import utc_now

_TYPED = re.compile(r"(\d{1,18}):([0-9a-f]{16,64})")
_SPACES = re.compile(r"\s+")
_LONGEST_LINE = 1024


@dataclass(frozen=True)
class Anchor:
    """A count and a head as they were at some time.

    Attributes
    ----------
    count : int
        Entries there were.
    head : str
        Digest of the last of them, or its first 16 or more digits where somebody typed it from paper.
    at : str
        When it was set, UTC, ISO 8601 with Z; empty where nobody said.
    """

    count: int
    head: str
    at: str = ""

    @classmethod
    def of(cls, head: Head, at: str | None = None) -> Anchor:
        """Return the anchor of a *head*, set now unless *at* says when."""
        return cls(head.count, head.digest, utc_now() if at is None else at)

    @classmethod
    def parse(cls, text: str) -> Anchor:
        """Read ``COUNT:HEAD`` as a certificate prints it; spaces between groups of digits do not count.

        Raises
        ------
        InputError
            Not of that form, or fewer than 16 digits of the head.
        """
        match = _TYPED.fullmatch(_SPACES.sub("", text).lower().removeprefix("sorby:record:"))
        if match is None:
            raise InputError(
                f"'{canonical.printable(text)}': no anchor", "give COUNT:HEAD with 16 or more digits of the head"
            )
        return cls(int(match[1]), match[2])

    def holds_for(self, head: Head) -> bool:
        """Whether the record had this *head* when it had as many entries."""
        return head.count == self.count and head.digest.startswith(self.head)


@dataclass(frozen=True)
class AnchorLines:
    """What an anchor file holds.

    Attributes
    ----------
    anchors : tuple of Anchor
    damaged : tuple of int
        Numbers of lines that are no anchor: a power failure while writing leaves a torn one.
    """

    anchors: tuple[Anchor, ...]
    damaged: tuple[int, ...]


def append_anchor(path: Path | str, anchor: Anchor) -> None:
    """Add an anchor to a file and make it safe on disk.

    The file is only ever appended to, in one write, so an append-only attribute of the file system (``chattr +a``) or a
    share that allows no more may protect it. Set an anchor only *after* the transaction that stored its entries: an
    anchor of entries that a crash then took away would accuse an honest record.

    Parameters
    ----------
    path : Path or str
        JSON lines; created where missing, with its folder.
    anchor : Anchor

    Raises
    ------
    InputError
        The file cannot be written.
    """
    path = Path(path)
    line = compact(asdict(anchor)) + b"\n"
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        created = not path.exists()
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        try:
            if _is_torn(handle):
                line = b"\n" + line
            if os.write(handle, line) != len(line):
                raise InputError(f"{path}: the anchor was not written completely", "free some space")
            os.fsync(handle)
        finally:
            os.close(handle)
        if created:
            _sync_folder(path.parent)


def read_anchors(path: Path | str) -> AnchorLines:
    """Read an anchor file.

    Raises
    ------
    InputError
        The file cannot be read, or no line of it is an anchor although it has lines.
    """
    anchors, damaged = list[Anchor](), list[int]()
    for number, line in _lines(Path(path)):
        found = _anchor_of(line)
        if found is None:
            damaged.append(number)
        else:
            anchors.append(found)
    if damaged and not anchors:
        raise InputError(f"{path}: holds no anchors", "give the anchor file that the station writes")
    return AnchorLines(tuple(anchors), tuple(damaged))


def _anchor_of(line: bytes) -> Anchor | None:
    """Return the anchor of a line; None where it is none."""
    try:
        value = canonical.decode(line, "the line")
    except BundleError:
        return None
    if not isinstance(value, dict) or set(value) != {"count", "head", "at"}:
        return None
    count, head, at = value["count"], value["head"], value["at"]
    sound = type(count) is int and count >= 0 and isinstance(head, str) and is_digest(head) and isinstance(at, str)
    return Anchor(count, head, at) if sound and (at == "" or is_time(at)) else None


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield number and text of each line that is not empty; an endless line comes in pieces."""
    try:
        with open(path, "rb") as file:
            number = 0
            while line := file.readline(_LONGEST_LINE):
                number += 1
                if line.strip():
                    yield number, line
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})", "give an anchor file") from error


def _is_torn(handle: int) -> bool:
    """Whether the file ends within a line."""
    end = os.lseek(handle, 0, os.SEEK_END)
    if end == 0:
        return False
    os.lseek(handle, end - 1, os.SEEK_SET)
    return os.read(handle, 1) != b"\n"


def _sync_folder(folder: Path) -> None:
    """Make the file's name safe as well, where the system lets one open folders."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
