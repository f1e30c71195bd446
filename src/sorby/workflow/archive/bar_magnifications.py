"""Magnifications that only the info bar states: what a verdict needs where neither tag nor table says it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sorby.errors import ImageError, MissingPartError
from sorby.micrograph import Micrograph, read
from sorby.micrograph.info_bar import InfoBar, cross_check, find_info_bar, read_info_bars
from sorby.micrograph.text_reading import TextReader, open_reader
from sorby.progress import bar
from sorby.report.wording import count

_AT_ONCE = 32

_Mute = tuple[Path, Micrograph, InfoBar]


def told_by_bars(files: Sequence[Path], reader: TextReader | None = None) -> tuple[dict[Path, float], list[str]]:
    """Read the magnification off the info bars of images whose tags and sidecar files state none.

    Text recognition is loaded for the first such image that has a bar. Files that cannot be read are passed over:
    whoever judges them says so.

    Parameters
    ----------
    files : sequence of Path
    reader : TextReader, optional
        Loaded already.

    Returns
    -------
    magnifications : dict of Path to float
        Of the images whose bar told one credibly.
    warnings : list of str
        Bars that were not believed, or not read because text recognition is missing.
    """
    told: dict[Path, float] = {}
    doubted: list[Path] = []
    with bar("magnifications", len(files)) as advance, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for start in range(0, len(files), _AT_ONCE):
            some = files[start : start + _AT_ONCE]
            mute = [each for each in pool.map(_mute, some) if each is not None]
            if mute and reader is None:
                try:
                    reader = open_reader()
                except MissingPartError as error:
                    return told, [f"magnifications on info bars were not read: {error.message}; {error.hint}"]
            if mute and reader is not None:
                pictures, bars = [each.pixels for _, each, _ in mute], [found for _, _, found in mute]
                for (path, micrograph, _), said in zip(mute, read_info_bars(pictures, reader, bars), strict=True):
                    checked = cross_check(said, micrograph.scale, micrograph.width)
                    if checked.scale.magnification is not None and checked.disagreements:
                        doubted.append(path)
                    elif checked.scale.magnification is not None:
                        told[path] = checked.scale.magnification
            advance(len(some))
    if not doubted:
        return told, []
    return told, [
        f"the info bars of {count(len(doubted), 'image')} are contradicted by themselves or by tags and not believed,"
        f" e.g. {doubted[0]}; state the magnification by --magnification or in a table"
    ]


def _mute(path: Path) -> _Mute | None:
    """Return an image that states no magnification but has a bar that may."""
    try:
        micrograph = read(path)
    except (ImageError, OSError):
        return None
    if micrograph.scale.magnification is not None:
        return None
    found = find_info_bar(micrograph.pixels)
    return None if found is None else (path, micrograph, found)
