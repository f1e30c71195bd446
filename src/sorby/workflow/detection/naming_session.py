"""A folder that keeps all about the naming of findings: what they are, what they look like, what they are called.

Every file is complete or absent. What a person wrote is kept twice: in the table as it was written, and in
``labels.csv`` as it was understood.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from safetensors.numpy import load_file, save

from sorby.errors import InputError
from sorby.files import atomic_write, write_json
from sorby.workflow.detection.describing import Describe, Described
from sorby.workflow.detection.located import Located
from sorby.workflow.detection.name_labels import LABELS, TO_LABEL, read_labels

_SESSION, _FINDINGS, _DESCRIBED = "session.json", "findings.csv", "described"
_FORMAT = 1
_COLUMNS = ("number", "image", "left", "top", "right", "bottom", "score")


@dataclass(frozen=True)
class SessionSettings:
    """What a session was started with.

    Attributes
    ----------
    source : str
        Folder of the findings.
    base : str
        Bundle of the detector whose stages describe them.
    base_sha256 : str
    describe : {"head", "texture", "context"}
    window_px : int
        Edge of the window about a finding, in pixels of its picture.
    views : int
    ask : int
        Findings asked for at a time.
    seed : int
    """

    source: str
    base: str
    base_sha256: str
    describe: Describe
    window_px: int
    views: int
    ask: int
    seed: int


class Session:
    """The files of one session.

    Parameters
    ----------
    folder : Path
    settings : SessionSettings
    findings : list of Located
    """

    def __init__(self, folder: Path, settings: SessionSettings, findings: list[Located]) -> None:
        self.folder, self.settings, self.findings = folder, settings, findings

    @classmethod
    def begin(cls, folder: Path, settings: SessionSettings, findings: list[Located]) -> Session:
        """Make a session, or take up one that was begun the same way.

        Raises
        ------
        InputError
            The folder holds something else.
        """
        if (folder / _SESSION).exists():
            there = cls.open(folder)
            if there.settings != settings or there.findings != findings:
                raise InputError(
                    f"{folder}: holds the naming of other findings, or other settings", "choose another --out"
                )
            return there
        if folder.exists() and any(entry.name != ".lock" for entry in folder.iterdir()):
            raise InputError(f"{folder}: exists and is not empty", "choose another --out")
        _write_findings(folder / _FINDINGS, findings)
        write_json(folder / _SESSION, {"format": _FORMAT, **asdict(settings)})
        return cls(folder, settings, findings)

    @classmethod
    def open(cls, folder: Path) -> Session:
        """Open a session.

        Raises
        ------
        InputError
            There is none, or it is damaged or newer than this version.
        """
        try:
            stored = json.loads((folder / _SESSION).read_text("utf-8"))
            if stored.pop("format") != _FORMAT:
                raise InputError(f"{folder}: of another version of sorby", "start a new session")
            return cls(folder, SessionSettings(**stored), _read_findings(folder / _FINDINGS))
        except FileNotFoundError as error:
            raise InputError(f"{folder}: holds no session", "sorby detect name start DIR --out SESSION") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{folder}: the session is damaged ({error})", "start a new one; labels.csv holds your labels"
            ) from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes out.

        Raises
        ------
        InputError
            Another process is at work here.
        """
        lock = filelock.FileLock(self.folder / ".lock", timeout=0)
        try:
            with lock:
                yield
        except filelock.Timeout as error:
            raise InputError(f"{self.folder}: another sorby is at work here", "wait for it") from error

    @property
    def table(self) -> Path:
        """What the person fills."""
        return self.folder / TO_LABEL

    @property
    def last_number(self) -> int:
        """Largest number of a finding."""
        return max(each.number for each in self.findings)

    def labels(self) -> dict[int, str]:
        """Return the labels understood so far, by number."""
        path = self.folder / LABELS
        return read_labels(path, self.last_number) if path.exists() else {}

    def described_numbers(self) -> list[int]:
        """Return which findings are described already."""
        return [int(n) for part in self._parts() for n in load_file(part)["numbers"]]

    def add_described(self, numbers: Sequence[int], described: Described) -> None:
        """Keep descriptions (n, V, D)."""
        part = self.folder / _DESCRIBED / f"{len(self._parts()):05d}.safetensors"
        with atomic_write(part) as file:
            file.write(save({"numbers": np.array(numbers, np.int64), "described": np.ascontiguousarray(described)}))

    def described(self) -> tuple[list[Located], Described]:
        """Return all findings that could be described, by number, and their descriptions (n, V, D).

        Raises
        ------
        InputError
            There are none.
        """
        parts = [load_file(part) for part in self._parts()]
        if not parts:
            raise InputError(f"{self.folder}: nothing is described yet", "repeat sorby detect name start")
        numbers = np.concatenate([part["numbers"] for part in parts])
        order = np.argsort(numbers, kind="stable")
        by_number = {each.number: each for each in self.findings}
        values = np.concatenate([part["described"] for part in parts])[order]
        return [by_number[int(n)] for n in numbers[order]], values

    def _parts(self) -> list[Path]:
        return sorted((self.folder / _DESCRIBED).glob("*.safetensors"))


def _write_findings(path: Path, findings: Sequence[Located]) -> None:
    with atomic_write(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(_COLUMNS)
        writer.writerows([each.number, each.image, *each.box, each.score] for each in findings)
        text.flush()
        text.detach()


def _read_findings(path: Path) -> list[Located]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    return [
        Located(
            int(row["number"]),
            Path(row["image"]),
            (float(row["left"]), float(row["top"]), float(row["right"]), float(row["bottom"])),
            float(row["score"]),
        )
        for row in rows
    ]
