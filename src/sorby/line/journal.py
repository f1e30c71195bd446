"""The journal of a run: every defect and alarm as it comes, and enough to go on after a crash.

One JSON object a line, each with the CRC-32 of its content, appended only. A checkpoint holds the complete state after
a strip; what stands after the last one, whole or torn, is dropped when the run is taken up and made again, the same.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sorby.errors import InputError
from sorby.files import explained

Entry = tuple[str, dict[str, Any]]


def _line(kind: str, value: dict[str, Any]) -> bytes:
    text = json.dumps([kind, value], allow_nan=False, separators=(",", ":"))
    return f'{{"crc32":"{zlib.crc32(text.encode()):08x}","entry":{text}}}\n'.encode()


def _parse(line: bytes) -> Entry | None:
    """Return kind and value of a line; None where it is torn or damaged."""
    if not line.endswith(b"\n"):
        return None
    try:
        found = json.loads(line)
        kind, value = found["entry"]
    except (ValueError, KeyError, TypeError):
        return None
    return (kind, value) if _line(kind, value) == line else None


class Journal:
    """The journal file of one run.

    Parameters
    ----------
    path : Path
    header : dict
        What the run was asked to do. A journal with another header belongs to another run.

    Attributes
    ----------
    state : dict or None
        Of the last checkpoint; None for a run that begins.

    Raises
    ------
    InputError
        The journal is of another run, is no journal, or cannot be written.
    """

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path, self.state = path, None
        header = json.loads(json.dumps(header))
        end = 0
        if path.exists() and path.stat().st_size:
            end, self.state = self._recover(header)
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "r+b" if path.exists() else "w+b")  # noqa: SIM115 - open as long as the run
            self._file.truncate(end)
            self._file.seek(end)
        if end == 0:
            self.write("run", header)
            self._sync()

    def _recover(self, header: dict[str, Any]) -> tuple[int, dict[str, Any] | None]:
        """Return where the last checkpoint ends and its state."""
        at, end, state = 0, 0, None
        with open(self.path, "rb") as file:
            for number, line in enumerate(file):
                entry = _parse(line)
                if entry is None:
                    break
                kind, value = entry
                at += len(line)
                if number == 0:
                    self._refuse_another(kind, value, header)
                    end = at
                elif kind == "checkpoint":
                    end, state = at, value
        return end, state

    def _refuse_another(self, kind: str, value: dict[str, Any], header: dict[str, Any]) -> None:
        if kind == "run" and value == header:
            return
        other = sorted(name for name in {*value, *header} if value.get(name) != header.get(name))
        raise InputError(
            f"{self.path}: belongs to a run with other {', '.join(other) or 'content'}",
            "repeat the same command to go on with it, or choose another --out",
        )

    def write(self, kind: str, value: dict[str, Any]) -> None:
        """Append an entry; it is safe from the next checkpoint on."""
        with explained(self.path):
            self._file.write(_line(kind, value))

    def checkpoint(self, state: dict[str, Any]) -> None:
        """Append the state and make all of it safe on disk."""
        self.write("checkpoint", state)
        self._sync()

    def entries(self, *kinds: str) -> Iterator[Entry]:
        """Yield the entries of some kinds from the beginning."""
        self._sync()
        with open(self.path, "rb") as file:
            for line in file:
                entry = _parse(line)
                if entry is None:
                    raise InputError(
                        f"{self.path}: damaged while in use", "repeat the same command to go on from there"
                    )
                if entry[0] in kinds:
                    yield entry

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _sync(self) -> None:
        with explained(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
