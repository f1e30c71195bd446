"""What every annotation format comes down to: images, rectangles with a class, and what was wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError, Quarantined

MAX_BYTES = 1 << 29
"""Larger annotation files are refused before they are read: half a gigabyte is some two million boxes."""

NAMED = 20
"""Places that are named for each kind of finding; the others are counted."""

Rectangles = npt.NDArray[np.float64]
"""Shape (n, 4): left, top, width, height."""

KINDS: dict[str, str] = {
    "cut": "boxes reached beyond their image and were cut to it",
    "outside": "boxes lay wholly outside their image and were dropped",
    "degenerate": "boxes without extent (zero, negative or no number) were dropped",
    "duplicate": "boxes repeated one of the same class exactly and were dropped",
    "conflict": "pairs of boxes of different classes cover the same place (IoU above .9); both were kept",
    "other class": "boxes have another class than the folder or file name of their image says; they were kept",
    "unknown class": "boxes are of a class that no list names; they are regions to ignore",
    "difficult": "boxes are marked difficult and are regions to ignore; --difficult kept counts them",
    "class not asked for": "boxes are of classes that were not asked for and were dropped",
    "malformed": "entries are no boxes and were left out",
    "annotation without image": "annotations name no image that is there and were left out",
    "image without annotation": "images have no annotation",
    "refused path": "annotations name an image outside the given folders and were left out",
    "turned": "images are stored turned or mirrored, and their boxes were drawn on them as stored: turned along",
    "frame unclear": "images are stored turned or mirrored and nothing says on which of the two their boxes were drawn:"
    " taken as drawn on the upright image",
    "size": "annotations state another size than their image has; boxes are taken in pixels of the image",
    "segmentation": "outlines were left out: only boxes are read",
    "polygon": "outlines stood in place of boxes; the boxes around them were taken",
}
"""Kinds of findings, each with the sentence that follows its count."""


@dataclass(frozen=True, eq=False)
class Annotated:
    """One image as an annotation names it, before the image is opened.

    Attributes
    ----------
    file : Path
        Where the image lies.
    rectangles : ndarray of float64, shape (n, 4), or None
        Left, top, width and height; None where nobody has annotated the image.
    labels : ndarray of object, shape (n,)
        Class of each; None where no list names it.
    ignored : ndarray of bool, shape (n,)
    stated : tuple of int, optional
        Width and height of the image according to the annotation.
    relative : bool
        Whether rectangles are shares of width and height rather than pixels.
    specimen : str, optional
        The physical thing that the image shows, where the annotation names it.
    unusable : str
        Why the annotation could not be read; empty where it could.
    """

    file: Path
    rectangles: Rectangles | None
    labels: npt.NDArray[Any] = field(default_factory=lambda: np.zeros(0, object))
    ignored: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    stated: tuple[int, int] | None = None
    relative: bool = False
    specimen: str | None = None
    unusable: str = ""


@dataclass(eq=False)
class Findings:
    """What was wrong with annotations, counted by kind, the first few places of each named.

    Attributes
    ----------
    counts : Counter
        By the kinds of `KINDS`.
    named : dict of str to list of str
    """

    counts: Counter[str] = field(default_factory=Counter)
    named: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, place: str, n: int = 1) -> None:
        """Count *n* findings of a kind at one place."""
        if not n:
            return
        assert kind in KINDS, kind
        self.counts[kind] += n
        places = self.named.setdefault(kind, [])
        if len(places) < NAMED:
            places.append(place if n == 1 else f"{place} ({n})")

    def join(self, others: Iterable[Findings]) -> None:
        """Take in what others found."""
        for other in others:
            self.counts.update(other.counts)
            for kind, places in other.named.items():
                mine = self.named.setdefault(kind, [])
                mine += places[: NAMED - len(mine)]

    def lines(self) -> list[str]:
        """Return one line a kind, in the order of `KINDS`."""
        return [f"{self.counts[kind]} {said}, e.g. {self.named[kind][0]}" for kind, said in KINDS.items()
                if self.counts[kind]]  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """Return ``findings`` (kind -> count) and ``named`` (kind -> first places) for JSON."""
        kinds = [kind for kind in KINDS if self.counts[kind]]
        return {
            "findings": {kind: self.counts[kind] for kind in kinds},
            "named": {kind: self.named[kind] for kind in kinds},
        }


@dataclass(eq=False)
class Reading:
    """What an annotated source holds.

    Attributes
    ----------
    format : str
        ``coco``, ``voc``, ``yolo`` or ``masks``.
    images : list of Annotated
    findings : Findings
    quarantined : list of Quarantined
        Annotation files that cannot be read.
    warnings : list of str
        What was decided.
    classes : list of str
        Names that the source lists, in its order; empty where it lists none.
    """

    format: Literal["coco", "voc", "yolo", "masks"]
    images: list[Annotated] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    quarantined: list[Quarantined] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)


def no_rectangles() -> Rectangles:
    """Return an empty array of rectangles: somebody looked and nothing is there."""
    return np.zeros((0, 4), np.float64)


def read_bounded(path: Path) -> bytes:
    """Return the content of an annotation file.

    Raises
    ------
    InputError
        It cannot be read, or is larger than `MAX_BYTES`.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path}: {size:,} bytes, more than the limit of {MAX_BYTES:,}", "divide the file")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})", "check the file") from error
