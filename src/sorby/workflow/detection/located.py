"""Findings where they lie: read from what ``anomaly score`` or ``line run`` wrote."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from sorby.errors import InputError, Quarantined
from sorby.line.crops import CONTEXT_PX, LEAST_PX, MOST_PX

FINDINGS_FILE, ROLL_MAP_FILE, LINE_FILE = "findings.csv", "roll_map.csv", "line.json"


@dataclass(frozen=True)
class Located:
    """One finding.

    Attributes
    ----------
    number : int
        From 1 on: its line in the list, or its number on the roll map.
    image : Path
        The picture that shows it.
    box : (float, float, float, float)
        Left, top, right, bottom in pixels of that picture.
    score : float
        Of the anomaly map.
    """

    number: int
    image: Path
    box: tuple[float, float, float, float]
    score: float

    @property
    def size(self) -> tuple[float, float]:
        """Width and height."""
        return self.box[2] - self.box[0], self.box[3] - self.box[1]


@dataclass(frozen=True)
class ReadFindings:
    """What a folder of findings holds.

    Attributes
    ----------
    findings : list of Located
        By number.
    quarantined : list of Quarantined
        Pictures that are gone, with the number of findings lost.
    """

    findings: list[Located]
    quarantined: list[Quarantined] = field(default_factory=list)


def read_findings(folder: Path) -> ReadFindings:
    """Read the findings of a folder.

    Parameters
    ----------
    folder : Path
        With ``findings.csv`` (``image``, ``x``, ``y``, ``w``, ``h``, ``score``) or with ``roll_map.csv``, ``line.json``
        and ``crops/``. Pictures are looked for where the file says, from here and from the folder.

    Raises
    ------
    InputError
        Neither is there, a column is missing, a value is no number, or no picture can be found.
    """
    if (folder / FINDINGS_FILE).is_file():
        found = _from_score(folder)
    elif (folder / ROLL_MAP_FILE).is_file():
        found = _from_line(folder)
    else:
        raise InputError(
            f"{folder}: holds neither {FINDINGS_FILE} nor {ROLL_MAP_FILE}",
            "give the --out folder of sorby anomaly score or sorby line run",
        )
    lost: dict[Path, int] = {}
    kept = []
    for each in found:
        if each.image.is_file():
            kept.append(each)
        else:
            lost[each.image] = lost.get(each.image, 0) + 1
    if not kept:
        reason = f"none of its {len(lost)} pictures is there, e.g. {next(iter(lost))}" if lost else "lists no finding"
        raise InputError(f"{folder}: {reason}", "run this where the pictures can be reached, or score again")
    return ReadFindings(kept, [Quarantined(str(path), f"is gone; {n} findings left out") for path, n in lost.items()])


def _from_score(folder: Path) -> list[Located]:
    def located(number: int, row: Mapping[str, str], number_in: Callable[[str], float]) -> Located:
        left, top = number_in("x"), number_in("y")
        box = (left, top, left + max(number_in("w"), 1.0), top + max(number_in("h"), 1.0))
        return Located(number, _picture(folder, row["image"]), box, number_in("score"))

    return _rows(folder / FINDINGS_FILE, ("image", "x", "y", "w", "h", "score"), located)


def _picture(folder: Path, name: str) -> Path:
    path = Path(name)
    if path.is_absolute() or path.is_file() or not (folder / path).is_file():
        return path
    return folder / path


def _from_line(folder: Path) -> list[Located]:
    try:
        scale = json.loads((folder / LINE_FILE).read_text("utf-8"))["scale"]
        along_mm, across_mm = float(scale["along_um"]) / 1000, float(scale["across_um"]) / 1000
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder / LINE_FILE}: does not say the scale ({error})", "run sorby line run to its end"
        ) from error

    def located(_: int, row: Mapping[str, str], number_in: Callable[[str], float]) -> Located | None:
        if not row["crop"]:
            return None
        rows = number_in("along_from_mm") / along_mm, number_in("along_to_mm") / along_mm
        columns = number_in("across_from_mm") / across_mm, number_in("across_to_mm") / across_mm
        picture = folder / row["crop"]
        box = _box_in_crop(picture, rows, columns)
        return Located(int(number_in("number")), picture, box, number_in("score"))

    columns = ("number", "crop", "score", "along_from_mm", "along_to_mm", "across_from_mm", "across_to_mm")
    return _rows(folder / ROLL_MAP_FILE, columns, located)


def _box_in_crop(
    picture: Path, rows: tuple[float, float], columns: tuple[float, float]
) -> tuple[float, float, float, float]:
    """Return where a region lies on its picture; one that is larger than pictures may be fills it."""
    try:
        with Image.open(picture) as opened:
            width, height = opened.size
    except OSError:
        return 0.0, 0.0, 1.0, 1.0  # told as gone, or as unreadable when it is described
    (top, bottom), (left, right) = _span(rows, height), _span(columns, width)
    return left, top, right, bottom


def _span(region: tuple[float, float], shown: int) -> tuple[float, float]:
    size = round(region[1]) - round(region[0]) + 2 * CONTEXT_PX
    if size > MOST_PX:
        return 0.0, float(shown)
    size = max(size, LEAST_PX)
    first = max(0, (round(region[0]) + round(region[1]) - size) // 2)
    begin, end = max(0.0, round(region[0]) - first), min(float(shown), round(region[1]) - first)
    return (begin, end) if end - begin >= 1 else (0.0, float(shown))


def _rows(path: Path, columns: tuple[str, ...], located: Callable[..., Located | None]) -> list[Located]:
    try:
        return _read_rows(path, columns, located)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a table in UTF-8 ({error})", "score again, or save it as UTF-8") from error


def _read_rows(path: Path, columns: tuple[str, ...], located: Callable[..., Located | None]) -> list[Located]:
    found: list[Located] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if absent := [name for name in columns if name not in (reader.fieldnames or ())]:
            raise InputError(f"{path}: no column {absent[0]}", f"needed: {', '.join(columns)}")
        for line, row in enumerate(reader, start=2):

            def number_in(name: str, row: Mapping[str, Any] = row, line: int = line) -> float:
                try:
                    value = float(row[name])
                except (TypeError, ValueError):
                    value = math.nan
                if not math.isfinite(value):
                    raise InputError(
                        f"{path}, line {line}: {name} is {row[name]!r}, no number", "mend or remove the line"
                    )
                return value

            each = located(line - 1, row, number_in)
            if each is not None:
                found.append(each)
    return sorted(found, key=lambda each: each.number)
