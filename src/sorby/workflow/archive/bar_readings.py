"""Info bars of many images, read in batches and kept by content, for building a corpus."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sorby.corpus.archive import ReadBars
from sorby.errors import ImageError
from sorby.files import sha256_bytes, write_json
from sorby.micrograph import read
from sorby.micrograph.info_bar import cross_check, read_info_bars
from sorby.micrograph.text_reading import TextReader
from sorby.progress import bar

_FORMAT = 1
_AT_ONCE = 16
COLUMNS = ("magnification", "pixel_size_um", "bar_top", "bar_edge", "disagreements")
"""What is kept of a bar; ``pixel_size_um`` as all witnesses together give it."""


def bar_reader(reader: Callable[[], TextReader], engine: str, cache: Path) -> ReadBars:
    """Return a function that reads the info bars of images.

    Parameters
    ----------
    reader : callable
        Opens text recognition; called when the first image is not in the cache.
    engine : str
        Its name and version.
    cache : Path
        Folder of readings by the image's content.
    """

    def read_all(paths: Sequence[Path], hashes: Sequence[str]) -> pd.DataFrame:
        places = [cache / sha[:2] / f"{sha256_bytes(f'{_FORMAT} {sha} {engine}'.encode())}.json" for sha in hashes]
        found = {place: _stored(place) for place in places}
        missing = [(path, place) for path, place in zip(paths, places, strict=True) if found[place] is None]
        with bar("reading info bars", len(missing)) as advance:
            for start in range(0, len(missing), _AT_ONCE):
                batch = missing[start : start + _AT_ONCE]
                for (_, place), said in zip(batch, _read([path for path, _ in batch], reader()), strict=True):
                    write_json(place, said)
                    found[place] = said
                advance(len(batch))
        return pd.DataFrame([found[place] for place in places], columns=list(COLUMNS))

    return read_all


def _read(paths: Sequence[Path], reader: TextReader) -> list[dict[str, Any]]:
    micrographs = []
    for path in paths:
        try:
            micrographs.append(read(path))
        except ImageError as error:  # it could be read a moment ago
            raise ImageError(f"{path}: changed while the corpus was built", "build it again") from error
    readings = read_info_bars([micrograph.pixels for micrograph in micrographs], reader)
    said = []
    for micrograph, reading in zip(micrographs, readings, strict=True):
        checked = cross_check(reading, micrograph.scale, micrograph.width)
        said.append(
            {
                "magnification": None if reading is None else reading.number("magnification"),
                "pixel_size_um": checked.scale.pixel_size_um,
                "bar_top": None if reading is None else reading.bar.top,
                "bar_edge": None if reading is None else reading.bar.edge,
                "disagreements": "; ".join(f"{each.name} ({each.detail})" for each in checked.disagreements) or None,
            }
        )
    return said


def _stored(place: Path) -> dict[str, Any] | None:
    """Return a stored reading; one that cannot be read is as good as none."""
    try:
        said = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) and set(COLUMNS) <= set(said) else None
