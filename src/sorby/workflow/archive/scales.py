"""Magnification and pixel size of images: tags first, info bars as their check, or alone where there are no tags."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sorby import progress
from sorby.errors import ImageError, InputError, MissingPartError, Quarantined
from sorby.micrograph import Micrograph, find_images, read
from sorby.micrograph.image import NO_SCALE
from sorby.micrograph.info_bar import CheckedScale, InfoBar, InfoBarReading, cross_check, find_info_bar, read_info_bars
from sorby.micrograph.text_reading import TextReader, open_reader

_CHUNK = 24  # images decoded at once: their lines of text are read in common batches, memory stays bounded


@dataclass(frozen=True, eq=False)
class _Seen:
    """An image whose info bar was looked for."""

    path: Path
    micrograph: Micrograph
    bar: InfoBar | None


def state_scales(
    images: Sequence[Path | str],
    *,
    ignore_tags: bool = False,
    engine: str | None = None,
    threads: int | None = None,
    reader: TextReader | None = None,
) -> dict[str, Any]:
    """State magnification and pixel size of images, and where their sources contradict each other.

    Parameters
    ----------
    images : sequence of path
        Files, or folders whose images are taken.
    ignore_tags : bool
        Leave tags and sidecar files out: what the info bar alone says.
    engine : str, optional
        What reads the bars, see `sorby.micrograph.text_reading`. Not given: RapidOCR where it is installed; where it
        is not, bars are found but not read, and a warning says so.
    threads : int, optional
        Processor threads; all cores where not given.
    reader : TextReader, optional
        An engine that is loaded already; *engine* and *threads* then say nothing.

    Returns
    -------
    dict
        ``images``: for each ``file``, ``magnification``, ``pixel_size_um``, ``relative_error``, ``source``,
        ``confidence``, ``info_bar`` (first row or None), ``info_bar_rows``, ``info_bar_edge``, ``bar`` (value, source,
        confidence and text of each field read), ``pixel_sizes_um`` and ``magnifications`` by witness,
        ``disagreements`` (``name``, ``detail``), ``detail``, ``notes``; ``engine``; ``warnings``; ``quarantined``.

    Raises
    ------
    InputError
        A folder without images, or none of the files is an image.
    MissingPartError
        The engine that was asked for is not installed.
    """
    files = image_files(images)
    warnings: list[str] = []
    stated: list[dict[str, Any]] = []
    quarantined: list[Quarantined] = []
    with progress.bar("reading scales", len(files)) as advance:
        for seen, refused in _in_chunks(files):
            # The networks take seconds to load, and pictures without bars need none.
            if reader is None and not warnings and any(one.bar is not None for one in seen):
                reader, warnings = _reader(engine, threads)
            stated += _state(seen, reader, ignore_tags=ignore_tags)
            quarantined += refused
            advance(len(seen) + len(refused))
    if not stated:
        first = quarantined[0]
        raise InputError(f"none of {len(quarantined)} files is an image ({first.reason})", "check the paths")
    silent = [entry["file"] for entry in stated if entry["pixel_size_um"] is None]
    if silent:
        warnings.append(
            f"{len(silent)} of {len(stated)} images have no pixel size in tags, sidecar file or info bar,"
            f" e.g. {silent[0]}; state it in a table's column pixel_size_um, or by a command's --pixel-size-um"
        )
    return {
        "images": stated,
        "engine": None if reader is None else reader.provenance,
        "warnings": warnings,
        "quarantined": [entry.as_dict() for entry in quarantined],
    }


def image_files(images: Sequence[Path | str]) -> list[Path]:
    """Return the files named, and the images of the folders named.

    Raises
    ------
    InputError
        A folder without images, or nothing named.
    """
    files: list[Path] = []
    for path in map(Path, images):
        found = find_images(path) if path.is_dir() else [path]
        if not found:
            raise InputError(f"{path}: holds no images", "name image files, or a folder of them")
        files.extend(found)
    if not files:
        raise InputError("no images named", "sorby corpus scale IMAGE...")
    return files


def _reader(engine: str | None, threads: int | None) -> tuple[TextReader | None, list[str]]:
    try:
        return open_reader(engine or "rapidocr", threads=threads), []
    except MissingPartError as error:
        if engine is not None:
            raise
        return None, [f"info bars were not read: {error.message}; {error.hint}"]


def _in_chunks(files: Sequence[Path]) -> Iterator[tuple[list[_Seen], list[Quarantined]]]:
    """Decode images and find their bars, a chunk at a time, on all cores."""
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for start in range(0, len(files), _CHUNK):
            seen: list[_Seen] = []
            refused: list[Quarantined] = []
            for entry in pool.map(_look, files[start : start + _CHUNK]):
                if isinstance(entry, _Seen):
                    seen.append(entry)
                else:
                    refused.append(entry)
            yield seen, refused


def _look(path: Path) -> _Seen | Quarantined:
    try:
        micrograph = read(path)
    except ImageError as error:
        return Quarantined.from_error(path, error)
    return _Seen(path, micrograph, find_info_bar(micrograph.pixels))


def _state(seen: Sequence[_Seen], reader: TextReader | None, *, ignore_tags: bool) -> list[dict[str, Any]]:
    if reader is None:
        readings: list[InfoBarReading | None] = [None] * len(seen)
    else:
        readings = read_info_bars([one.micrograph.pixels for one in seen], reader, [one.bar for one in seen])
    return [
        _entry(one, reading, cross_check(
            reading, NO_SCALE if ignore_tags else one.micrograph.scale, one.micrograph.width
        ))
        for one, reading in zip(seen, readings, strict=True)
    ]  # fmt: skip


def _entry(seen: _Seen, reading: InfoBarReading | None, checked: CheckedScale) -> dict[str, Any]:
    scale, bar = checked.scale, seen.bar
    values = {} if reading is None else reading.values
    return {
        "file": str(seen.path),
        "magnification": scale.magnification,
        "pixel_size_um": scale.pixel_size_um,
        "relative_error": checked.relative_error,
        "source": scale.source,
        "confidence": scale.confidence,
        "info_bar": None if bar is None else bar.top,
        "info_bar_rows": None if bar is None else bar.height,
        "info_bar_edge": None if bar is None else bar.edge,
        "bar": {
            name: {"value": one.value, "source": one.source, "confidence": one.confidence, "text": one.text,
                   "note": one.note}
            for name, one in values.items()
        },
        "pixel_sizes_um": checked.pixel_sizes_um,
        "magnifications": checked.magnifications,
        "disagreements": [entry.as_dict() for entry in checked.disagreements],
        "detail": scale.detail,
        "notes": list(seen.micrograph.notes),
    }  # fmt: skip
