"""Boxes from YOLO text files: one line a box, class number, centre, width and height as shares of the image.

Redmon's Darknet began it: the text lies beside the image or in ``labels`` beside ``images``, and an image without text
has nothing on it. Class names stand in ``data.yaml`` (a list, or numbers with names), ``classes.txt``, ``obj.names``
or ``*.names``, one a line. Lines of an odd number of at least seven fields are outlines; their bounding box is taken.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from sorby.corpus.interchange.annotations import Annotated, Findings, Reading, Rectangles, no_rectangles, read_bounded
from sorby.corpus.interchange.locating import ImagesByStem, data_folder
from sorby.errors import InputError, Quarantined

_LISTS = ("classes.txt", "obj.names", "names.txt")
_YAMLS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_LOOKED_AT = 20
_MOST_CLASSES = 1_000_000
_OTHERS = frozenset({*_LISTS, "train.txt", "val.txt", "test.txt", "readme.txt", "requirements.txt", "license.txt"})


def yolo_files(folder: Path) -> list[Path]:
    """List the text files below a folder that may hold boxes, sorted."""
    texts = (file for file in folder.rglob("*.[tT][xX][tT]") if file.name.lower() not in _OTHERS)
    return sorted(file for file in texts if not any(part.startswith(".") for part in file.relative_to(folder).parts))


def is_yolo(folder: Path) -> bool:
    """Whether a folder holds images and texts of this format, by the first lines of up to twenty of the texts."""
    folder = data_folder(folder.resolve())
    files = yolo_files(folder)
    if not files:
        return False
    images = ImagesByStem(folder)
    beside = [file for file in files[: 5 * _LOOKED_AT] if images.of(file) is not None][:_LOOKED_AT]
    texts = [text for file in beside if (text := _first_line(file))]
    if not texts:  # negatives only: a list of names tells what the empty texts are
        return bool(beside) and bool(class_names(folder)[0])
    return 2 * sum(map(_is_line, texts)) >= len(texts)  # single damaged ones among them are reported later


def read_yolo(folder: Path, *, unlisted: Literal["negative", "unannotated"] = "negative") -> Reading:
    """Read a folder with images and texts, in whichever sub-folders.

    Parameters
    ----------
    folder : Path
        The folder, or its ``labels`` or ``images``.
    unlisted : {"negative", "unannotated"}
        What an image without text is.

    Returns
    -------
    Reading
        Every image below the folder; texts that cannot be read are quarantined, single lines that are no boxes left
        out and counted.

    Raises
    ------
    InputError
        No images, or a list of names that cannot be read.
    """
    folder = data_folder(folder.resolve())
    images = ImagesByStem(folder)
    if not images.files:
        raise InputError(f"{folder}: holds no images", "images lie beside the texts, or in images/ beside labels/")
    names, where = class_names(folder)
    reading = Reading("yolo", classes=list(names.values()))
    reading.warnings.append(f"class names from {where}" if names else "no list of class names; their numbers serve")
    found: dict[Path, Annotated] = {}
    for file in yolo_files(folder):
        image, place = images.of(file), str(file.relative_to(folder))
        if image is None or image in found:
            reading.findings.add("annotation without image", place)
            continue
        try:
            found[image] = _annotated(image, read_bounded(file), names, reading.findings, place)
        except (InputError, UnicodeError) as error:
            reason = error.message if isinstance(error, InputError) else "not text in UTF-8"
            reading.quarantined.append(Quarantined(str(file), reason.removeprefix(f"{file}: ")))
            found[image] = Annotated(image, None, unusable="its annotation cannot be read")
    bare = no_rectangles() if unlisted == "negative" else None
    for image in images.files:
        if image not in found:
            reading.findings.add("image without annotation", image.name)
    reading.images = [found.get(image, Annotated(image, bare)) for image in images.files]
    return reading


def class_names(folder: Path) -> tuple[dict[int, str], str]:
    """Return the names of class numbers and the file that they stand in; nothing where no file lists them.

    Raises
    ------
    InputError
        The file is damaged.
    """
    for place in (folder, folder / "labels"):
        for name in _YAMLS:
            if (place / name).is_file() and (names := _from_yaml(place / name)):
                return names, name
        listed = [place / name for name in _LISTS] + sorted(place.glob("*.names"))
        for file in listed:
            if file.is_file():
                lines = read_bounded(file).decode("utf-8-sig", "replace").splitlines()
                while lines and not lines[-1].strip():
                    lines.pop()
                return {number: line.strip() or str(number) for number, line in enumerate(lines)}, file.name
    return {}, ""


def _from_yaml(file: Path) -> dict[int, str]:
    """Return the names of a data.yaml, nothing where it has none.

    Only words and numbers are names: of lists within lists, a few lines of aliases can make more text than memory.
    """
    try:
        content = yaml.safe_load(read_bounded(file))
    except (yaml.YAMLError, UnicodeError, RecursionError) as error:
        said = " ".join(str(error).split())[:80]
        raise InputError(f"{file}: not readable YAML ({said})", "names: [first, second]") from error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(_is_number(number) for number in names):
        return {}
    if not all(isinstance(name, str | int | float) for name in names.values()):
        raise InputError(f"{file}: names holds something that is no name", "names: [first, second]")
    return {int(number): str(name).strip() for number, name in names.items()}


def _is_number(value: Any) -> bool:
    """Whether a key of the names is the number of a class."""
    if isinstance(value, str):
        return len(value) <= len(str(_MOST_CLASSES)) and value.isdecimal()
    return isinstance(value, int) and value >= 0


def _first_line(file: Path) -> str:
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            return opened.readline(4096).strip()
    except OSError:
        return ""


def _is_line(text: str) -> bool:
    fields = text.split()
    if len(fields) < 5 or not fields[0].isdigit():
        return False
    try:
        shares = [float(value) for value in fields[1:]]
    except ValueError:
        return False
    return all(-1 <= share <= 2 for share in shares)


def _annotated(image: Path, content: bytes, names: dict[int, str], findings: Findings, place: str) -> Annotated:
    """Read one text."""
    lines = [fields for line in content.decode("utf-8-sig").splitlines() if (fields := line.split())]
    numbers, centred = _boxes(lines)
    if numbers is None:  # something else among them: line by line
        readable = [read for fields in lines if (read := _line(fields)) is not None]
        findings.add("malformed", place, len(lines) - len(readable))
        findings.add("polygon", place, sum(outline for _, _, outline in readable))
        numbers = np.array([number for number, _, _ in readable], np.int64)
        centred = np.array([box for _, box, _ in readable], np.float64).reshape(-1, 4)
    rectangles = centred.copy()
    rectangles[:, :2] -= centred[:, 2:] / 2
    labels = np.array([names.get(number) if names else str(number) for number in numbers.tolist()], object)
    return Annotated(image, rectangles, labels, np.zeros(len(labels), bool), relative=True)


def _boxes(lines: list[list[str]]) -> tuple[Any, Rectangles]:
    """Return class numbers and boxes of lines of five fields; (None, empty) where a line is anything else."""
    if not lines:
        return np.zeros(0, np.int64), no_rectangles()
    if any(len(fields) != 5 for fields in lines):
        return None, no_rectangles()
    try:
        values = np.array(lines, dtype=np.float64)
    except ValueError:
        return None, no_rectangles()
    numbers = values[:, 0]
    if not ((numbers >= 0) & (numbers < _MOST_CLASSES) & (numbers == np.floor(numbers))).all():
        return None, no_rectangles()
    return numbers.astype(np.int64), values[:, 1:]


def _line(fields: list[str]) -> tuple[int, tuple[float, float, float, float], bool] | None:
    """Return class number, centred box and whether it was an outline; None where the line is no box."""
    try:
        number, *values = (float(field) for field in fields)
    except ValueError:
        return None
    if not 0 <= number < _MOST_CLASSES or not number.is_integer():  # also no number and infinity
        return None
    if len(values) == 4 or len(values) == 5:  # a fifth is the confidence of a detector
        x, y, w, h = values[:4]
        return int(number), (x, y, w, h), False
    if len(values) < 6 or len(values) % 2:
        return None
    left, right, top, bottom = min(values[::2]), max(values[::2]), min(values[1::2]), max(values[1::2])
    return int(number), ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top), True
