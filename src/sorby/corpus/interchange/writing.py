"""Boxes of a corpus for other programs: COCO, Pascal VOC or YOLO, with the images beside.

Boxes refer to the upright image. What a format cannot hold is said: VOC counts whole pixels, YOLO has no regions to
ignore and ten decimals of the side of the image.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import yaml

from sorby.corpus.boxes import Box, box_classes, corpus_boxes
from sorby.corpus.table import Corpus
from sorby.errors import InputError
from sorby.files import staged_directory, write_json
from sorby.micrograph import identify

ExportFormat = Literal["coco", "voc", "yolo"]
EXPORTS: tuple[ExportFormat, ...] = ("coco", "voc", "yolo")

_UNSAFE = re.compile(r"[^\w.+-]", re.ASCII)
_PARTS = frozenset({"train", "val", "test"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, eq=False)
class _Row:
    """One image to write."""

    file: Path
    name: str
    width: int
    height: int
    boxes: Sequence[Box]
    part: str | None
    specimen: str | None


@dataclass(eq=False)
class Exported:
    """What was written.

    Attributes
    ----------
    images, boxes, negatives, ignored : int
    classes : list of str
        In the order of their numbers.
    warnings : list of str
        What the format could not hold.
    """

    images: int = 0
    boxes: int = 0
    negatives: int = 0
    ignored: int = 0
    classes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def export_boxes(
    corpus: Corpus, out: Path | str, format: ExportFormat, *, advance: Callable[[int], None] | None = None
) -> Exported:
    """Write the annotated images of a corpus and their boxes into a new folder.

    Parameters
    ----------
    corpus : Corpus
        Rows that are excluded or not annotated are left out, which is said.
    out : path
        ``coco``: ``images/`` and ``annotations.json``, or one JSON a part where a split is stored. ``voc``:
        ``JPEGImages/``, ``Annotations/`` and, with a split, ``ImageSets/Main/``. ``yolo``: ``images/``, ``labels/``,
        each with a folder a part where a split is stored, and ``data.yaml``.
    format : {"coco", "voc", "yolo"}
    advance : callable, optional
        Called with the number of images just written.

    Returns
    -------
    Exported

    Raises
    ------
    InputError
        No row is annotated, a class has a name that the format cannot hold, an image is gone, or *out* cannot be
        written.
    """
    if format not in EXPORTS:
        raise InputError(f"no format is called {format!r}", f"choose one of {', '.join(EXPORTS)}")
    part = corpus.annotated()
    if not len(part):
        raise InputError("no image of the corpus has boxes", "sorby corpus build DIR says which formats are read")
    classes = sorted({*box_classes(part), *(box.label for boxes in corpus_boxes(part) for box in boxes or ())})
    wrong = [name for name in classes if _CONTROL.search(name)]
    if wrong:
        raise InputError(f"class {wrong[0]!r} holds control characters", "rename it")
    rows = _rows(part)
    strange = sorted({row.part for row in rows if row.part} - _PARTS)
    if strange:  # parts become names of files and folders
        raise InputError(f"{strange[0]!r} is no part of a split", f"parts are {', '.join(sorted(_PARTS))}")
    done = Exported(classes=classes)
    if len(part) < len(corpus):
        done.warnings.append(f"{len(corpus) - len(part)} images are excluded or not annotated and were left out")
    turned = sum(identify(row.file).orientation != 1 for row in rows)
    if turned:
        done.warnings.append(
            f"{turned} images carry an orientation tag: boxes refer to the upright image, which programs that ignore"
            " the tag do not show"
        )
    with staged_directory(out) as folder:
        write = {"coco": _write_coco, "voc": _write_voc, "yolo": _write_yolo}[format]
        write(folder, rows, done, advance or (lambda _: None))
    done.images = len(rows)
    done.boxes = sum(not box.ignored for row in rows for box in row.boxes)
    done.ignored = sum(box.ignored for row in rows for box in row.boxes)
    done.negatives = sum(not row.boxes for row in rows)
    return done


def _rows(corpus: Corpus) -> list[_Row]:
    """Give every image a name that no other has, whatever its ending."""
    table = corpus.table
    stems = [_UNSAFE.sub("_", Path(str(path)).stem) for path in table["path"]]
    often = Counter(stem.lower() for stem in stems)
    rows, taken = [], set()
    splits = table["split"].tolist() if "split" in table else [None] * len(table)
    specimens = table["specimen"].tolist() if "specimen" in table else [None] * len(table)
    files = zip(corpus.paths(), table["path"], stems, corpus_boxes(corpus), splits, specimens, strict=True)
    for file, path, stem, boxes, part, specimen in files:
        inner = [_UNSAFE.sub("_", piece) for piece in Path(str(path)).parent.parts if piece not in ("..", "/")]
        name = stem if often[stem.lower()] == 1 else "_".join([*inner, stem])
        while name.lower() in taken:
            name += "_"
        taken.add(name.lower())
        header = identify(file)
        rows.append(
            _Row(file, name + file.suffix.lower(), header.width, header.height, boxes or (),
                 None if pd.isna(part) else str(part), None if pd.isna(specimen) else str(specimen))
        )  # fmt: skip
    return rows


def _copy(row: _Row, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(row.file, folder / row.name)


def _write(path: Path, text: str) -> None:
    """Write into the staged folder, which is complete or absent as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _write_coco(folder: Path, rows: list[_Row], done: Exported, advance: Callable[[int], None]) -> None:
    number = {name: place for place, name in enumerate(done.classes, start=1)}
    categories = [{"id": place, "name": name} for name, place in number.items()]
    parts: dict[str, dict[str, list[Any]]] = {}
    entries = 0
    for image, row in enumerate(rows, start=1):
        _copy(row, folder / "images")
        content = parts.setdefault(row.part or "annotations", {"images": [], "annotations": []})
        entry = {"id": image, "file_name": f"images/{row.name}", "width": row.width, "height": row.height}
        content["images"].append(entry if row.specimen is None else {**entry, "specimen": row.specimen})
        for box in row.boxes:
            entries += 1
            content["annotations"].append(
                {
                    "id": entries,
                    "image_id": image,
                    "category_id": number[box.label],
                    "bbox": [box.x, box.y, box.w, box.h],
                    "area": box.w * box.h,
                    "iscrowd": int(box.ignored),
                }
            )
        advance(1)
    for name, content in parts.items():
        write_json(folder / f"{name}.json", {**content, "categories": categories})


def _write_voc(folder: Path, rows: list[_Row], done: Exported, advance: Callable[[int], None]) -> None:
    moved = 0
    for row in rows:
        _copy(row, folder / "JPEGImages")
        lines, off = _voc(row)
        moved += off
        _write(folder / "Annotations" / f"{Path(row.name).stem}.xml", lines)
        advance(1)
    for part in sorted({row.part for row in rows if row.part}):
        names = [Path(row.name).stem for row in rows if row.part == part]
        _write(folder / "ImageSets" / "Main" / f"{part}.txt", "\n".join(names) + "\n")
    if moved:
        done.warnings.append(f"{moved} boxes were brought to whole pixels, which is all that VOC holds")


def _voc(row: _Row) -> tuple[str, int]:
    """Return the XML of one image and how many of its boxes are not of whole pixels."""
    size = f"<width>{row.width}</width><height>{row.height}</height>"
    lines = ["<annotation>", f"  <filename>{escape(row.name)}</filename>", f"  <size>{size}</size>"]
    off = 0
    for box in row.boxes:
        sides = (box.x, box.y, box.x + box.w, box.y + box.h)
        left, top, right, bottom = map(round, sides)
        off += (left, top, right, bottom) != sides
        # A box thinner than a pixel still has one.
        left, top = min(left, row.width - 1), min(top, row.height - 1)
        numbers = (left + 1, top + 1, max(right, left + 1), max(bottom, top + 1))
        names = ("xmin", "ymin", "xmax", "ymax")
        bounds = "".join(f"<{name}>{value}</{name}>" for name, value in zip(names, numbers, strict=True))
        lines.append(
            f"  <object><name>{escape(box.label)}</name><difficult>{int(box.ignored)}</difficult>"
            f"<bndbox>{bounds}</bndbox></object>"
        )
    return "\n".join([*lines, "</annotation>", ""]), off


def _write_yolo(folder: Path, rows: list[_Row], done: Exported, advance: Callable[[int], None]) -> None:
    number = {name: place for place, name in enumerate(done.classes)}
    ignored = 0
    for row in rows:
        place = (row.part,) if row.part else ()
        _copy(row, folder.joinpath("images", *place))
        lines = []
        for box in row.boxes:
            if box.ignored:
                ignored += 1
                continue
            centre = ((box.x + box.w / 2) / row.width, (box.y + box.h / 2) / row.height)
            shares = (*centre, box.w / row.width, box.h / row.height)
            lines.append(f"{number[box.label]} " + " ".join(f"{share:.10f}" for share in shares) + "\n")
        _write(folder.joinpath("labels", *place, f"{Path(row.name).stem}.txt"), "".join(lines))
        advance(1)
    parts = sorted({row.part for row in rows if row.part})
    places = {part: f"images/{part}" for part in parts} if parts else {"train": "images", "val": "images"}
    names = dict(enumerate(done.classes))
    _write(folder / "data.yaml", yaml.safe_dump({"path": ".", **places, "names": names}, sort_keys=False))
    if not parts:
        done.warnings.append("no split is stored: data.yaml names all images for training and validation alike")
    if ignored:
        done.warnings.append(f"{ignored} regions to ignore were left out, for YOLO has none: there it is background")
