"""The boxes of a corpus: what lies on each image and where, as one column of text.

The column ``boxes`` holds a JSON list for every image. ``[]`` says that somebody looked and found nothing, so the
image is a negative; no value says that nobody has annotated it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sorby.corpus.table import Corpus
from sorby.errors import InputError
from sorby.evidence.boxes import TrueBoxes

COLUMN = "boxes"
"""Column of a corpus that holds them."""

_NUMBERS = ("x", "y", "w", "h")


@dataclass(frozen=True, slots=True)
class Box:
    """One labelled rectangle.

    Attributes
    ----------
    label : str
        Its class.
    x, y : float
        Left and top edge in pixels of the upright image; the image begins at 0.
    w, h : float
        Width and height in pixels, above 0; the right edge ``x + w`` lies outside the box.
    ignored : bool
        Nobody is asked to find it and nobody is blamed for finding it (crowds of COCO, difficult objects of VOC).
    """

    label: str
    x: float
    y: float
    w: float
    h: float
    ignored: bool = False


def encode(boxes: Iterable[Box]) -> str:
    """Return boxes as the text of the column; the numbers come back exactly.

    Raises
    ------
    InputError
        A box without extent, or with a number that is none.

    Examples
    --------
    >>> encode([Box("scratch", 3, 4, 10.5, 2)])
    '[{"label":"scratch","x":3,"y":4,"w":10.5,"h":2}]'
    """
    return json.dumps([_entry(box) for box in boxes], separators=(",", ":"), ensure_ascii=False)


def decode(text: str) -> tuple[Box, ...]:
    """Return the boxes that the text of the column names.

    Raises
    ------
    InputError
        Not such a text, or a box without extent.
    """
    try:
        entries = json.loads(text)
        if not isinstance(entries, list):  # an empty {} or "" would pass for a negative
            raise TypeError(f"a {type(entries).__name__}")
        boxes = tuple(map(_box, entries))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        raise InputError(
            f"column {COLUMN}: {shown!r} is no list of boxes ({type(error).__name__})",
            'e.g. [{"label":"scratch","x":3,"y":4,"w":10,"h":2}], or [] for none',
        ) from error
    for box in boxes:
        _check(box)
    return boxes


def corpus_boxes(corpus: Corpus) -> list[tuple[Box, ...] | None]:
    """Return the boxes of every row of a corpus, None where nobody has annotated the image.

    Raises
    ------
    InputError
        The column holds something else; the image is named.
    """
    if COLUMN not in corpus.table:
        return [None] * len(corpus)
    found: list[tuple[Box, ...] | None] = []
    for path, text in zip(corpus.table["path"], corpus.table[COLUMN], strict=True):
        try:
            found.append(None if pd.isna(text) else decode(str(text)))
        except InputError as error:
            raise InputError(f"{path}: {error.message}", error.hint) from error
    return found


def box_classes(corpus: Corpus) -> list[str]:
    """Return the distinct classes of the boxes, sorted; of images that take part, and of boxes not ignored."""
    return list(images_per_class(corpus))


def images_per_class(corpus: Corpus) -> dict[str, int]:
    """Return on how many images that take part each class of `box_classes` is seen, sorted by class."""
    found = corpus_boxes(corpus.annotated())
    seen = Counter(name for boxes in found for name in {box.label for box in boxes or () if not box.ignored})
    return dict(sorted(seen.items()))


def true_boxes(boxes: Sequence[Box], classes: Sequence[str]) -> TrueBoxes:
    """Return boxes as arrays.

    Parameters
    ----------
    boxes : sequence of Box
    classes : sequence of str
        A box's label is its place among them.

    Returns
    -------
    TrueBoxes
        In the order given.

    Raises
    ------
    InputError
        A box is of none of the classes. An ignored box of another class is left out instead: what nobody is asked to
        find needs no number.
    """
    number = {name: place for place, name in enumerate(classes)}
    kept = [box for box in boxes if not (box.ignored and box.label not in number)]
    unknown = sorted({box.label for box in kept} - set(number))
    if unknown:
        raise InputError(
            f"boxes of class {', '.join(map(repr, unknown[:5]))} among {', '.join(map(repr, classes))}",
            "name every class of the boxes",
        )
    corners = np.array([(box.x, box.y, box.x + box.w, box.y + box.h) for box in kept], np.float32).reshape(-1, 4)
    labels = np.array([number[box.label] for box in kept], np.intp)
    return TrueBoxes(corners, labels, np.array([box.ignored for box in kept], bool))


def _entry(box: Box) -> dict[str, Any]:
    _check(box)
    entry: dict[str, Any] = {"label": box.label}
    for name in _NUMBERS:
        value = float(getattr(box, name))
        entry[name] = int(value) if value.is_integer() else value
    if box.ignored:
        entry["ignored"] = True
    return entry


def _box(entry: dict[str, Any]) -> Box:
    x, y, w, h = (float(entry[name]) for name in _NUMBERS)
    return Box(str(entry["label"]), x, y, w, h, bool(entry.get("ignored", False)))


def _check(box: Box) -> None:
    numbers = (box.x, box.y, box.w, box.h)
    if not all(map(math.isfinite, numbers)) or box.w <= 0 or box.h <= 0:
        raise InputError(f"a box of {box.label!r} at {numbers} has no extent", "width and height are above 0")
