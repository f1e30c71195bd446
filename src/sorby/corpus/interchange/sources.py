"""Annotated sources of a corpus: which format a path holds, its rows, and the boxes once the images were read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd

from sorby.corpus.boxes import COLUMN, decode
from sorby.corpus.folders import Listed
from sorby.corpus.interchange.annotations import Annotated, Findings, Reading
from sorby.corpus.interchange.checking import Checked, Frame, check
from sorby.corpus.interchange.coco import is_coco, read_coco
from sorby.corpus.interchange.from_masks import read_masks
from sorby.corpus.interchange.locating import ROOMS, part_of
from sorby.corpus.interchange.voc import Corners, Difficult, read_voc, voc_files
from sorby.corpus.interchange.yolo import is_yolo, read_yolo
from sorby.errors import ImageError, InputError, Quarantined
from sorby.micrograph import identify

Format = Literal["coco", "voc", "yolo", "masks"]
Unlisted = Literal["auto", "negative", "unannotated"]

FORMATS: tuple[Format, ...] = ("coco", "voc", "yolo", "masks")

ANNOTATION = "_annotation"
"""Column of rows that carries an `Annotated` until its image has been read."""

NOT_ANNOTATED = "not annotated"
"""Why a row without boxes takes no part."""


@dataclass(frozen=True)
class BoxOptions:
    """How annotations are read.

    Attributes
    ----------
    format : {"auto", "coco", "voc", "yolo", "masks", "none"}
        ``auto`` looks at what lies there; ``none`` takes folders for classes even where it finds boxes.
    images : Path, optional
        Folder of the images that a COCO file names.
    masks : Path, optional
        Folder of masks, from which boxes are made.
    mask_values : mapping of int to str
        Class of each mask value; above zero is one class where empty.
    mask_label : str
        That class.
    min_area_px, merge_px
        See `sorby.corpus.interchange.from_masks.boxes_of_mask`.
    classes : tuple of str
        Classes wanted; all where empty.
    voc_corners : {"pixels", "edges"}
    difficult : {"ignored", "kept"}
        Both of VOC files; see `sorby.corpus.interchange.voc`.
    frame : {"auto", "upright", "stored"}
        See `sorby.corpus.interchange.checking.check`.
    unlisted : {"auto", "negative", "unannotated"}
        What an image without annotation file is. ``auto`` follows the format: a negative in YOLO, not annotated in
        VOC and where masks are given. An image that a COCO file lists without annotations is a negative always.
    """

    format: Literal["auto", "coco", "voc", "yolo", "masks", "none"] = "auto"
    images: Path | None = None
    masks: Path | None = None
    mask_values: Mapping[int, str] = field(default_factory=dict)
    mask_label: str = "defect"
    min_area_px: int = 1
    merge_px: float = 0
    classes: tuple[str, ...] = ()
    voc_corners: Corners = "pixels"
    difficult: Difficult = "ignored"
    frame: Frame = "auto"
    unlisted: Unlisted = "auto"


def recognise(source: Path, options: BoxOptions) -> Format | None:
    """Return the annotation format of a path, None where it holds no boxes.

    Parameters
    ----------
    source : Path
        A JSON file, or a folder: with COCO files in it or in its ``annotations``, with VOC files, with YOLO texts.
    options : BoxOptions
        Its format is taken as given, its masks mean masks.

    Raises
    ------
    InputError
        A .json file that is no COCO file.
    """
    if options.format != "auto":
        return None if options.format == "none" else options.format
    if options.masks is not None:
        return "masks"
    if source.is_file():
        if source.suffix.lower() != ".json":
            return None
        if not is_coco(source):
            raise InputError(f"{source}: not a COCO file", "it holds the lists images, annotations and categories")
        return "coco"
    if not source.is_dir():
        return None
    if coco_files(source):
        return "coco"
    if voc_files(source):
        return "voc"
    return "yolo" if is_yolo(source) else None


def coco_files(folder: Path) -> list[Path]:
    """List the COCO files that lie in a folder or in its ``annotations``."""
    rooms = [folder, *(place for place in sorted(folder.iterdir()) if place.is_dir() and place.name.lower() in ROOMS)]
    return [file for room in rooms for file in sorted(room.glob("[!.]*.json")) if is_coco(file)]


def list_annotated(source: Path, kind: Format, options: BoxOptions) -> tuple[Listed, Reading]:
    """List the images of an annotated source.

    Parameters
    ----------
    source : Path
    kind : {"coco", "voc", "yolo", "masks"}
    options : BoxOptions

    Returns
    -------
    listed : Listed
        ``file``, an empty ``label``, the column `ANNOTATION`, and ``specimen`` and ``split`` where they are told.
    reading : Reading
        Findings so far; what is quarantined.

    Raises
    ------
    InputError
        The source is absent, or not of this format.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder", "check the path")
    if kind == "coco":
        reading, parts = _cocos(source, options)
    else:
        if not source.is_dir():
            raise InputError(f"{source}: not a folder", f"--format {kind} takes the folder of images and annotations")
        reading = _of_folder(source, kind, options)
        root = source.resolve()
        parts = [part_of(each.file, root) if each.file.is_relative_to(root) else None for each in reading.images]
    rows = pd.DataFrame({"file": pd.Series([each.file for each in reading.images], dtype=object)})
    rows["label"] = pd.Series([None] * len(rows), dtype=object)
    rows[ANNOTATION] = pd.Series(list(reading.images), index=rows.index, dtype=object)
    if any(each.specimen is not None for each in reading.images):
        rows["specimen"] = pd.Series([each.specimen for each in reading.images], index=rows.index, dtype=object)
    warnings = [f"{source}: boxes read as {_NAMES[kind]}", *reading.warnings]
    if parts and all(parts):
        rows["split"] = pd.Series(parts, dtype=object)
        warnings.append(f"the names {', '.join(sorted(set(map(str, parts))))} are taken for the parts of a split")
    bare = reading.findings.counts["image without annotation"]
    if bare:
        taken = "negatives" if _unlisted(kind, options) == "negative" else "not annotated"
        warnings.append(f"{bare} images have no annotation file and are taken for {taken}; --unlisted says otherwise")
    return Listed(rows, warnings), reading


_NAMES = {"coco": "COCO", "voc": "Pascal VOC", "yolo": "YOLO", "masks": "masks"}


def _unlisted(kind: Format, options: BoxOptions) -> Literal["negative", "unannotated"]:
    if options.unlisted == "auto":
        return "negative" if kind == "yolo" else "unannotated"
    return options.unlisted


def _of_folder(source: Path, kind: Format, options: BoxOptions) -> Reading:
    unlisted = _unlisted(kind, options)
    if kind == "voc":
        return read_voc(source, corners=options.voc_corners, difficult=options.difficult, unlisted=unlisted)
    if kind == "yolo":
        return read_yolo(source, unlisted=unlisted)
    return read_masks(
        source,
        options.masks,
        values=options.mask_values,
        label=options.mask_label,
        min_area_px=options.min_area_px,
        merge_px=options.merge_px,
        unlisted=unlisted,
    )


def _cocos(source: Path, options: BoxOptions) -> tuple[Reading, list[str | None]]:
    """Read one COCO file, or those of a folder as parts of one set."""
    files = [source] if source.is_file() else coco_files(source)
    if not files:
        raise InputError(f"{source}: holds no COCO file", "a .json with the lists images, annotations and categories")
    whole, parts = Reading("coco"), cast("list[str | None]", [])
    for file in files:
        reading = read_coco(file, options.images)
        whole.images += reading.images
        whole.findings.join([reading.findings])
        whole.warnings += reading.warnings
        whole.classes += [name for name in reading.classes if name not in whole.classes]
        parts += [_part_of_name(file.stem)] * len(reading.images)
    return whole, parts if len(set(parts)) > 1 else []


def _part_of_name(stem: str) -> str | None:
    """Return the part of a split that the name of a COCO file tells, such as ``instances_train2017``."""
    lower = stem.lower()
    return next((part for part in ("train", "val", "test") if part in lower), None)


def settle_boxes(
    table: pd.DataFrame, readings: Iterable[Reading], options: BoxOptions, quarantined: list[Quarantined]
) -> dict[str, Any]:
    """Turn the annotations of a table into its columns ``boxes`` and ``label``, *table* in place.

    Parameters
    ----------
    table : DataFrame
        Rows whose image was read, with the column `ANNOTATION`, or ``boxes`` that a table brought along.
    readings : iterable of Reading
        Where the annotations came from.
    options : BoxOptions
    quarantined : list of Quarantined
        Rows whose boxes cannot be read are added.

    Returns
    -------
    dict
        ``images`` (annotated), ``negatives``, ``unannotated``, ``boxes``, ``ignored``, ``per_class`` (class ->
        boxes), ``findings`` (kind -> count), ``named`` (kind -> first places), ``lines`` (one a kind).

    Raises
    ------
    InputError
        None of the classes asked for is there.
    """
    readings, findings = list(readings), Findings()
    findings.join(reading.findings for reading in readings)
    annotations = _taken(table, ANNOTATION)
    given = _taken(table, COLUMN)
    paths = table["path"].tolist()
    known = frozenset(str(label) for each in annotations if each is not None for label in each.labels if label)
    settled: list[Checked | None] = []
    exclusion = table["exclusion"].astype(object).where(table["exclusion"].notna(), None).tolist()
    labels = table["label"].tolist()
    for row, (annotated, text) in enumerate(zip(annotations, given, strict=True)):
        try:
            checked = _checked(annotated, text, findings, options, known)
        except (ImageError, InputError) as error:
            quarantined.append(Quarantined(str(paths[row]), error.message))
            exclusion[row] = exclusion[row] or "its boxes cannot be read"
            settled.append(None)
            continue
        settled.append(checked)
        if annotated is not None:
            classes = [] if checked is None else [*checked.per_class]
            labels[row] = classes[0] if len(classes) == 1 else None
            exclusion[row] = exclusion[row] or annotated.unusable or (NOT_ANNOTATED if checked is None else None)
    texts = [None if checked is None else checked.text for checked in settled]
    table[COLUMN] = pd.Series(texts, index=table.index, dtype=object)
    table["label"] = pd.Series(labels, index=table.index, dtype=object)
    table["exclusion"] = pd.Series(exclusion, index=table.index, dtype=object)
    if any(each is not None for each in annotations):
        sources = table["label_source"].tolist() if "label_source" in table else [None] * len(table)
        table["label_source"] = pd.Series(
            ["boxes" if each is not None else source for each, source in zip(annotations, sources, strict=True)],
            index=table.index, dtype=object,
        )  # fmt: skip
    return _summary(settled, findings, options)


def _taken(table: pd.DataFrame, column: str) -> list[Any]:
    """Take a column off a table; None where it holds nothing."""
    if column not in table:
        return [None] * len(table)
    values = table.pop(column)
    return [None if isinstance(value, float) and np.isnan(value) else value for value in values]


def _checked(
    annotated: Annotated | None, text: str | None, findings: Findings, options: BoxOptions, known: frozenset[str]
) -> Checked | None:
    """Return the usable boxes of one row, None where nobody has annotated it."""
    if annotated is None:
        if text is None:
            return None
        boxes = decode(text)
        return Checked(text, Counter(box.label for box in boxes if not box.ignored), sum(box.ignored for box in boxes))
    if annotated.rectangles is None:
        return None
    return check(
        annotated, identify(annotated.file), findings, frame=options.frame, classes=options.classes, known=known
    )


def _summary(settled: list[Checked | None], findings: Findings, options: BoxOptions) -> dict[str, Any]:
    known = [checked for checked in settled if checked is not None]
    per_class: Counter[str] = Counter()
    for checked in known:
        per_class.update(checked.per_class)
    lines = findings.lines()
    absent = [name for name in options.classes if name not in per_class]
    if absent and len(absent) == len(options.classes):
        raise InputError(
            f"no box is of class {', '.join(map(repr, absent))}",
            f"classes dropped: {findings.counts['class not asked for']} boxes; leave --classes out to see them",
        )
    lines += [f"class {name!r} was asked for and no box has it" for name in absent]
    return {
        "images": len(known),
        "negatives": sum(checked.empty for checked in known),
        "unannotated": len(settled) - len(known),
        "boxes": per_class.total(),
        "ignored": sum(checked.n_ignored for checked in known),
        "per_class": dict(sorted(per_class.items())),
        **findings.as_dict(),
        "lines": lines,
    }
