"""Boxes from Pascal VOC: one XML file an image.

Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 88 (2010), and its development kit: ``xmin`` ...
``ymax`` are the first and last pixel of the box, counted from 1, both within it. So a box over the whole of an image
200 pixels wide has xmin 1 and xmax 200, and here x 0 and w 200. Some programs write the coordinates of edges counted
from 0 into the same fields; nothing in the file tells which, so that has to be stated. Objects marked ``difficult`` are
ignored, as the challenge does, unless they are asked to count.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal
from xml.parsers import expat

import numpy as np

from sorby.corpus.interchange.annotations import Annotated, Reading, no_rectangles, read_bounded
from sorby.corpus.interchange.locating import ImagesByStem, data_folder
from sorby.errors import InputError, Quarantined

Corners = Literal["pixels", "edges"]
"""``pixels``: first and last pixel, counted from 1, as the challenge has it; ``edges``: edges, counted from 0."""

Difficult = Literal["ignored", "kept"]

_FIRST_BYTES = 1024
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_MAX_DEPTH = 64


def voc_files(folder: Path) -> list[Path]:
    """List the VOC files below a folder: XML whose first element is ``annotation``."""
    return [file for file in sorted(folder.rglob("*.[xX][mM][lL]")) if _is_voc(file, folder)]


def _is_voc(file: Path, folder: Path) -> bool:
    if any(part.startswith(".") for part in file.relative_to(folder).parts):
        return False
    try:
        with open(file, "rb") as opened:
            return b"<annotation" in opened.read(_FIRST_BYTES).replace(b"\0", b"")  # UTF-16 too
    except OSError:
        return False


def read_voc(
    folder: Path,
    *,
    corners: Corners = "pixels",
    difficult: Difficult = "ignored",
    unlisted: Literal["negative", "unannotated"] = "unannotated",
) -> Reading:
    """Read a folder with images and XML files, in whichever sub-folders.

    Parameters
    ----------
    folder : Path
        The folder, or its ``Annotations``.
    corners : {"pixels", "edges"}
        What the coordinates mean.
    difficult : {"ignored", "kept"}
        What objects marked so are.
    unlisted : {"negative", "unannotated"}
        What an image without XML file is.

    Returns
    -------
    Reading
        Every image below the folder; XML files that cannot be read are quarantined.

    Raises
    ------
    InputError
        No XML file, or no image of theirs.
    """
    folder = data_folder(folder.resolve())
    files, images = voc_files(folder), ImagesByStem(folder)
    if not files:
        raise InputError(f"{folder}: holds no VOC annotations", "XML files whose first element is <annotation>")
    reading = Reading("voc")
    found: dict[Path, Annotated] = {}
    zeros = 0
    for file in files:
        try:
            seen = _Document(file, corners)
        except InputError as error:
            reading.quarantined.append(Quarantined.from_error(file, error))
            image = images.of(file)
            if image is not None:
                found.setdefault(image, Annotated(image, None, unusable="its annotation cannot be read"))
            continue
        image = images.of(file, seen.filename)
        if image is None or image in found:
            reading.findings.add("annotation without image", str(file.relative_to(folder)))
            continue
        reading.findings.add("malformed", str(file.relative_to(folder)), seen.malformed)
        reading.findings.add("difficult", image.name, seen.n_difficult if difficult == "ignored" else 0)
        zeros += seen.from_zero
        found[image] = seen.about(image, difficult)
    if not found:
        raise InputError(f"{folder}: no image belongs to any of {len(files)} XML files", "images have the same stem")
    bare = no_rectangles() if unlisted == "negative" else None
    for image in images.files:
        if image not in found:
            reading.findings.add("image without annotation", image.name)
    reading.images = [found.get(image, Annotated(image, bare)) for image in images.files]
    if zeros and corners == "pixels":
        reading.warnings.append(
            f"{zeros} boxes begin at 0, where the first pixel is 1: if the program that wrote them counts edges from 0,"
            " read them with --voc-corners edges"
        )
    return reading


class _Document:
    """One XML file, read as a stream; what stands elsewhere than in VOC, such as parts of objects, is passed over."""

    def __init__(self, file: Path, corners: Corners) -> None:
        self.filename = ""
        self.malformed = self.from_zero = 0
        self._inclusive = corners == "pixels"
        self._size: dict[str, str] = {}
        self._object: dict[str, str] = {}
        self._rectangles: list[tuple[float, float, float, float]] = []
        self._labels: list[str] = []
        self._difficult: list[bool] = []
        self._path: list[str] = []
        self._text: list[str] = []
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _refuse
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._text.append
        try:
            parser.Parse(read_bounded(file), True)
        except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two of encodings it states
            raise InputError(f"{file}: not readable XML ({error})", "export it again") from error
        except _Refused as error:
            raise InputError(f"{file}: {error}", "export it without") from error

    @property
    def n_difficult(self) -> int:
        """How many objects are marked so."""
        return sum(self._difficult)

    def about(self, image: Path, difficult: Difficult) -> Annotated:
        """Return what the file says of an image."""
        rectangles = np.array(self._rectangles, np.float64).reshape(-1, 4)
        labels = np.array(self._labels, object)
        ignored = np.array(self._difficult, bool) & (difficult == "ignored")
        return Annotated(image, rectangles, labels, ignored, self._stated())

    def _stated(self) -> tuple[int, int] | None:
        width, height = (_number(self._size.get(name, "")) for name in ("width", "height"))
        known = 0 < width < math.inf and 0 < height < math.inf  # some programs write 0 for unknown
        return (int(width), int(height)) if known else None

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self._path.append(name)
        if len(self._path) > _MAX_DEPTH:
            raise _Refused(f"elements lie more than {_MAX_DEPTH} deep")
        self._text.clear()

    def _end(self, name: str) -> None:
        inner, text = self._path[1:], "".join(self._text).strip()
        self._path.pop()
        self._text.clear()
        if inner == ["filename"]:
            self.filename = text
        elif len(inner) == 2 and inner[0] == "size":
            self._size[name] = text
        elif inner == ["object"]:
            self._finish_object()
        elif inner[:1] == ["object"] and (len(inner) == 2 or inner[1] == "bndbox"):
            self._object[name] = text

    def _finish_object(self) -> None:
        told, self._object = self._object, {}
        if not told.get("name") or any(side not in told for side in _SIDES):
            self.malformed += 1
            return
        left, top, right, bottom = (_number(told[side]) for side in _SIDES)
        if self._inclusive:
            self.from_zero += left == 0 or top == 0
            left, top = left - 1, top - 1
        self._rectangles.append((left, top, right - left, bottom - top))
        self._labels.append(told["name"])
        self._difficult.append(told.get("difficult") in ("1", "true", "True"))


class _Refused(Exception):
    """The document declares something that no annotation needs."""


def _refuse(*_: Any) -> None:
    # Entities can name other files, and nested ones grow without limit.
    raise _Refused("declares a document type or entities, which no annotation needs")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
