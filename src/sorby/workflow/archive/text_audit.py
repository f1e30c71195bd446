"""Does lettering remain on the pictures? Images drawn by chance, their info bars taken off, and read once more."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby import progress
from sorby.corpus import Corpus
from sorby.errors import ImageError, InputError, Quarantined
from sorby.evidence import wilson
from sorby.files import staged_directory, write_text
from sorby.micrograph import Pixels, read, to_uint8
from sorby.micrograph.info_bar import FIXED_SHARE, crop_fixed, crop_info_bar, find_info_bar
from sorby.micrograph.text_reading import TextLine, TextReader, open_reader
from sorby.report.text_audit_page import AuditedImage, text_audit_page
from sorby.workflow.data import open_data

CROPS = ("found", "fixed", "none")
"""Ways to take info bars off."""

_SAID = {
    "found": "the info bar where it was found",
    "fixed": f"a fixed {FIXED_SHARE:.0%} of the height off the bottom",
    "none": "nothing cropped",
}
_FEWEST_CHARACTERS = 2  # a single letter or digit is more often an edge of the picture than a rest of a bar
_COLUMNS = ("file", "height", "info_bar_top", "info_bar_rows", "rows_cut", "text", "confidence", "left", "top")


@dataclass(frozen=True)
class _Cut:
    """An image without its bar."""

    pixels: Pixels
    bar_top: int | None
    bar_rows: int | None
    rows_cut: int
    first_row: int


def audit_text(
    data: Path | str | Corpus,
    out: Path | str,
    *,
    n_images: int = 100,
    crop: str = "found",
    seed: int = 0,
    engine: str | None = None,
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
) -> dict[str, Any]:
    """Crop images drawn by chance and look for text that remains.

    Parameters
    ----------
    data : Corpus, or path of a corpus, a table or a folder with one folder a class
    out : path
        Folder for ``text_audit.html`` and ``text_audit.csv`` (one row a piece of text, and one for each image
        without any).
    n_images : int
        How many to draw; all where there are fewer.
    crop : {"found", "fixed", "none"}
        The info bar where it is found, the published 9 % off the bottom, or nothing.
    seed : int
    engine : str, optional
        See `sorby.micrograph.text_reading.open_reader`.
    label, group, image : str, optional
        Columns of a table.

    Returns
    -------
    dict
        ``n``, ``with_text``, ``share_with_text``, ``ci95`` (Wilson), ``without_bar`` (images on which none was
        found), ``crop``, ``images`` (``file``, ``texts``, ``rows_cut`` ...), ``engine``, ``report``, ``table``,
        ``warnings``, ``quarantined``.

    Raises
    ------
    InputError
        No usable image, an unknown crop, or *out* is not empty.
    MissingPartError
        No engine to read with.

    Notes
    -----
    An engine that reads nothing has not proved that there is nothing: small, slanted or handwritten lettering may
    escape it, so the page shows every image. Text counts from two letters or digits on.
    """
    if crop not in CROPS:
        raise InputError(f"{crop!r} is no way to crop", f"choose from {', '.join(CROPS)}")
    opened = open_data(data, label=label, group=group, image=image, min_classes=1)
    paths = opened.corpus.usable().paths()
    if not paths:
        raise InputError("no image takes part", "look at the corpus's column exclusion")
    reader = open_reader(engine or "rapidocr")
    chosen = np.sort(np.random.default_rng(seed).choice(len(paths), min(n_images, len(paths)), replace=False))
    images, refused = _look([paths[k] for k in chosen], crop, reader)
    if not images:
        raise InputError("none of the images drawn could be read", "build the corpus again")
    quarantined = [*opened.quarantined, *refused]
    warnings = list(opened.warnings)
    if len(paths) < n_images:
        warnings.append(f"{n_images} images asked for, the corpus has {len(paths)}")
    result = _result(images, crop, reader.provenance, warnings, quarantined)
    out = Path(out)
    with staged_directory(out) as folder:
        write_text(folder / "text_audit.csv", _table(images))
        write_text(folder / "text_audit.html", text_audit_page(result, images, _SAID[crop]))
    return {**result, "report": str(out / "text_audit.html"), "table": str(out / "text_audit.csv")}


def _look(paths: Sequence[Path], crop: str, reader: TextReader) -> tuple[list[AuditedImage], list[Quarantined]]:
    images: list[AuditedImage] = []
    refused: list[Quarantined] = []
    with progress.bar("looking for text", len(paths)) as advance:
        for path in paths:
            try:
                pixels = read(path).pixels
            except ImageError as error:
                refused.append(Quarantined.from_error(path, error))
                advance(1)
                continue
            cut = _CUTS[crop](pixels)
            lines = tuple(line for line in reader.read(to_uint8(cut.pixels)) if _counts(line))
            images.append(
                AuditedImage.of(
                    path, pixels, cut.pixels, lines, bar_top=cut.bar_top, bar_rows=cut.bar_rows,
                    rows_cut=cut.rows_cut, first_row=cut.first_row,
                )
            )  # fmt: skip
            advance(1)
    return images, refused


def _counts(line: TextLine) -> bool:
    return sum(character.isalnum() for character in line.text) >= _FEWEST_CHARACTERS


def _found(pixels: Pixels) -> _Cut:
    bar = find_info_bar(pixels)
    cut = crop_info_bar(pixels, bar)
    first = 0 if bar is None or bar.edge == "bottom" else bar.bottom
    top, rows = (None, None) if bar is None else (bar.top, bar.height)
    return _Cut(cut, top, rows, pixels.shape[0] - cut.shape[0], first)


def _fixed(pixels: Pixels) -> _Cut:
    bar = find_info_bar(pixels)
    cut = crop_fixed(pixels)
    top, rows = (None, None) if bar is None else (bar.top, bar.height)
    return _Cut(cut, top, rows, pixels.shape[0] - cut.shape[0], 0)


def _none(pixels: Pixels) -> _Cut:
    bar = find_info_bar(pixels)
    top, rows = (None, None) if bar is None else (bar.top, bar.height)
    return _Cut(pixels, top, rows, 0, 0)


_CUTS: dict[str, Callable[[npt.NDArray[Any]], _Cut]] = {"found": _found, "fixed": _fixed, "none": _none}


def _result(
    images: Sequence[AuditedImage],
    crop: str,
    engine: dict[str, str],
    warnings: list[str],
    quarantined: Sequence[Quarantined],
) -> dict[str, Any]:
    with_text = sum(bool(one.lines) for one in images)
    low, high = wilson(with_text, len(images))
    without_bar = sum(one.bar_top is None for one in images)
    if without_bar and crop == "found":
        warnings = [*warnings, f"no info bar was found on {without_bar} of {len(images)} images"]
    return {
        "n": len(images),
        "with_text": with_text,
        "share_with_text": with_text / len(images),
        "ci95": {"share_with_text": [low, high]},
        "without_bar": without_bar,
        "crop": crop,
        "engine": engine,
        "images": [
            {
                "file": one.file,
                "info_bar": one.bar_top,
                "rows_cut": one.rows_cut,
                "texts": [line.text for line in one.lines],
                "confidences": [line.confidence for line in one.lines],
            }
            for one in images
        ],
        "warnings": warnings,
        "quarantined": [entry.as_dict() for entry in quarantined],
    }


def _table(images: Sequence[AuditedImage]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for one in images:
        facts = [one.file, one.height, one.bar_top, one.bar_rows, one.rows_cut]
        if not one.lines:
            writer.writerow([*facts, "", "", "", ""])
        for line in one.lines:
            place = [round(line.left), round(line.top) + one.first_row]
            writer.writerow([*facts, line.text, round(line.confidence, 3), *place])
    return buffer.getvalue()
