"""Boxes from COCO JSON: ``images``, ``annotations`` with ``bbox``, ``categories``.

Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014; format at cocodataset.org. ``bbox`` is left, top,
width and height in pixels, the image beginning at 0. ``iscrowd`` marks regions that nobody is asked to take apart: they
are ignored. An image without annotations is a negative. Outlines are left out. An image entry may name a
``specimen``, which the format leaves free.
"""

from __future__ import annotations

import json
import mmap
from array import array
from pathlib import Path
from typing import Any

import numpy as np

from sorby.corpus.interchange.annotations import Annotated, Reading, Rectangles, no_rectangles, read_bounded
from sorby.corpus.interchange.locating import ROOMS, ImagesBelow
from sorby.errors import InputError

_WORDS = (b'"images"', b'"annotations"')


def is_coco(path: Path) -> bool:
    """Whether a file has the two lists of the format, by the words in it; it is not read into memory."""
    try:
        if not path.is_file() or not path.stat().st_size:
            return False
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return all(content.find(word) >= 0 for word in _WORDS)
    except OSError:
        return False


def read_coco(path: Path, images: Path | None = None) -> Reading:
    """Read one file.

    Parameters
    ----------
    path : Path
        The JSON file.
    images : Path, optional
        Folder with the images; by default the file's folder, and the one above where that is called ``annotations``.

    Returns
    -------
    Reading
        Annotations that name no image, no class or no box are findings; the others are there.

    Raises
    ------
    InputError
        Not such a file, too large, or none of its images is there.
    """
    path = path.resolve()
    content = _Content(path)
    reading = Reading("coco", classes=list(dict.fromkeys(content.names.values())))
    reading.findings.add("malformed", path.name, content.malformed)
    reading.findings.add("segmentation", path.name, content.outlines)
    if not content.names and len(content.image_ids):
        reading.warnings.append(f"{path.name} names no categories; their numbers serve as names")
    home = path.parent.parent if path.parent.name.lower() in ROOMS else path.parent
    below = ImagesBelow([images.resolve()] if images is not None else [path.parent, home, home / "images"])
    rows = content.rows_by_image()
    for number, entry in content.images.items():
        _add_image(reading, content, entry, rows.pop(number, None), below)
    for strangers in rows.values():
        place = f"{path.name}, image_id {content.image_ids[strangers[0]]!r}"
        reading.findings.add("annotation without image", place, len(strangers))
    if not content.images:
        raise InputError(f"{path}: lists no images", "annotations need the list images, with id and file_name")
    if not reading.images:
        kind = "refused path" if reading.findings.counts["refused path"] else "annotation without image"
        first = reading.findings.named[kind][0]
        raise InputError(f"{path}: none of its {len(content.images)} images is there, e.g. {first}", "--images DIR")
    return reading


def _add_image(
    reading: Reading, content: _Content, entry: dict[str, Any], rows: list[int] | None, below: ImagesBelow
) -> None:
    """Find the image of one entry and add it with its boxes."""
    name = str(entry["file_name"])
    try:
        file = below.named(name)
    except PermissionError:
        reading.findings.add("refused path", repr(name))
        return
    if file is None:
        reading.findings.add("annotation without image", name)
        return
    stated, named = _size(entry), entry.get("specimen")
    specimen = str(named) if isinstance(named, str | int) and str(named) else None
    if rows is None:
        reading.images.append(Annotated(file, no_rectangles(), stated=stated, specimen=specimen))
        return
    chosen = np.array(rows)
    boxes, crowds = content.rectangles[chosen], content.crowds[chosen]
    reading.images.append(Annotated(file, boxes, content.labels(rows), crowds, stated, specimen=specimen))


def _size(entry: dict[str, Any]) -> tuple[int, int] | None:
    width, height = entry.get("width"), entry.get("height")
    return (int(width), int(height)) if isinstance(width, int) and isinstance(height, int) else None


class _Content:
    """The lists of one file; annotations are taken apart while it is parsed, so that no object of theirs remains."""

    def __init__(self, path: Path) -> None:
        self.image_ids: list[Any] = []
        self._categories: list[Any] = []
        self._numbers = array("d")
        self._crowds = bytearray()
        self.malformed = self.outlines = 0
        whole = self._parsed(path)
        lists = {name: whole.get(name) for name in ("images", "annotations")} if isinstance(whole, dict) else {}
        if not lists or not all(isinstance(entries, list) for entries in lists.values()):
            raise InputError(f"{path}: not a COCO file", "it holds the lists images, annotations and categories")
        # What the parser has left in the list was no annotation with a box.
        self.malformed += sum(entry is not None for entry in lists["annotations"] or ())
        self.images: dict[Any, dict[str, Any]] = {}
        for entry in lists["images"] or ():
            if isinstance(entry, dict) and _hashable(entry.get("id")) and isinstance(entry.get("file_name"), str):
                self.malformed += entry["id"] in self.images
                self.images.setdefault(entry["id"], entry)
            else:
                self.malformed += 1
        categories = whole.get("categories")
        self.names = {
            entry["id"]: str(entry["name"]).strip()
            for entry in (categories if isinstance(categories, list) else ())
            if isinstance(entry, dict) and _hashable(entry.get("id")) and str(entry.get("name", "")).strip()
        }
        self.rectangles: Rectangles = np.frombuffer(self._numbers, np.float64).reshape(-1, 4)
        self.crowds = np.frombuffer(self._crowds, np.bool_)

    def _parsed(self, path: Path) -> Any:
        try:
            return json.loads(read_bounded(path), object_hook=self._take)
        except (ValueError, RecursionError) as error:  # also wrong encodings
            said = " ".join(str(error).split())[:100]
            raise InputError(f"{path}: not readable JSON ({said})", "export the annotations again") from error

    def _take(self, entry: dict[str, Any]) -> dict[str, Any] | None:
        """Keep the numbers of an annotation and forget the rest; leave any other object as it is."""
        if "bbox" not in entry or "image_id" not in entry:
            return entry
        try:
            x, y, w, h = map(float, entry["bbox"])
        except (TypeError, ValueError, OverflowError):
            return entry
        if not _hashable(entry["image_id"]) or not _hashable(entry.get("category_id")):
            return entry
        self._numbers.extend((x, y, w, h))
        self.image_ids.append(entry["image_id"])
        self._categories.append(entry.get("category_id"))
        self._crowds.append(entry.get("iscrowd") in (1, True))
        self.outlines += bool(entry.get("segmentation"))
        return None

    def rows_by_image(self) -> dict[Any, list[int]]:
        """Return the annotations of each image id."""
        rows: dict[Any, list[int]] = {}
        for row, number in enumerate(self.image_ids):
            rows.setdefault(number, []).append(row)
        return rows

    def labels(self, rows: list[int]) -> np.ndarray[Any, Any]:
        """Return the class names of annotations, None where no category has the number."""
        named = [self._categories[row] for row in rows]
        if self.names:
            return np.array([self.names.get(number) for number in named], object)
        return np.array([None if number is None else str(number) for number in named], object)


def _hashable(value: Any) -> bool:
    return isinstance(value, str | int)
