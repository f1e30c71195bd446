"""Membrane phantoms on disk: sheets, masks, truth, boxes, and tiles for quick trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count as counting
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from sorby.errors import InputError
from sorby.files import staged_directory, write_json
from sorby.phantom.membrane.defects import Defect
from sorby.phantom.membrane.png import write_grey_png
from sorby.phantom.membrane.published import pinhole_sheets, scratch_sheets
from sorby.phantom.membrane.sheet import Sheet, truth_table

MembraneSet = Literal["scratches", "pinholes", "both"]
#: Sheets in each published set.
PUBLISHED_SHEETS: Mapping[MembraneSet, int] = {"scratches": 4, "pinholes": 4, "both": 8}
SETS: tuple[MembraneSet, ...] = tuple(PUBLISHED_SHEETS)
#: Rows rendered and written at a time.
STRIP = 512
#: Kinds in the order of their numbers in the box file.
_CATEGORIES = ("scratch", "scuff", "pinhole", "dent", "debris", "fibre", "streak", "discoloration")


def membrane_sheets(
    set: MembraneSet = "both", n: int | None = None, *, seed: int = 0, difficulty: float = 1.0, scale: float = 1.0
) -> list[Sheet]:
    """Return *n* sheets of the published sets.

    Parameters
    ----------
    set : {"scratches", "pinholes", "both"}
    n : int, optional
        How many; the whole set where None. Beyond it, sheets of the next seeds follow, their names numbered on.
        Defective and clean sheets alternate, so that the first two are one of each in the scratch set.
    seed, difficulty, scale
        See :func:`scratch_sheets`.

    Raises
    ------
    InputError
        The set is unknown, or *n* is not above 0.
    """
    if set not in SETS:
        raise InputError(f"membrane set {set!r} is unknown", f"allowed: {', '.join(SETS)}")
    if n is not None and n < 1:
        raise InputError(f"{n} sheets cannot be rendered", "ask for at least 1")
    return list(islice(_endless(set, seed, difficulty, scale), PUBLISHED_SHEETS[set] if n is None else n))


def _endless(set: MembraneSet, seed: int, difficulty: float, scale: float) -> Iterator[Sheet]:
    for turn in counting():
        sheets: list[Sheet] = []
        if set != "pinholes":
            scratched = scratch_sheets(seed + turn, difficulty, scale)
            sheets += [scratched[i] for i in (0, 2, 1, 3)]
        if set != "scratches":
            sheets += pinhole_sheets(seed + turn, difficulty, scale)
        yield from (sheet.renamed(f"{sheet.name}-{turn + 1}") if turn else sheet for sheet in sheets)


def write_membrane(
    out: Path | str,
    *,
    seed: int = 0,
    set: MembraneSet = "both",
    n: int | None = None,
    difficulty: float = 1.0,
    scale: float = 1.0,
    tiles: int | None = None,
    max_good_tiles: int | None = 400,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Render membrane sheets and write them with their truth.

    The folder gets ``sheets/`` and ``masks/`` (PNG; masks 0 and 255, of labelled defects), ``truth.csv`` (one row a
    defect, unlabelled ones too), ``boxes.json`` (COCO: labelled defects) and ``labels.csv`` (one row a sheet, the
    returned table). With *tiles*, also ``tiles/good``, ``tiles/bad`` and ``tiles/masks``: tiles at native
    resolution from the upper left of each sheet, what remains at its right and lower border left out. The folder is
    complete or absent.

    Parameters
    ----------
    out : path
        Destination folder.
    seed : int
        Same seed, same bytes.
    set : {"scratches", "pinholes", "both"}
    n : int, optional
        Number of sheets; see :func:`membrane_sheets`.
    difficulty, scale : float
        See :func:`scratch_sheets`.
    tiles : int, optional
        Edge of the tiles in pixels.
    max_good_tiles : int, optional
        At most so many tiles without defect, spread evenly over all there are; all where None. A tile is good
        where nothing on it is labelled: debris may lie on it.
    overwrite : bool
        Replace an existing folder.
    progress : callable, optional
        Called with sheets done and sheets in all.

    Returns
    -------
    pandas.DataFrame
        One row a sheet, ``path`` relative to *out* (kept in ``attrs["root"]``).

    Raises
    ------
    InputError
        A request cannot be met, or the folder cannot be written.
    """
    sheets = membrane_sheets(set, n, seed=seed, difficulty=difficulty, scale=scale)
    _check_tiles(tiles, max_good_tiles, sheets)
    chosen = _good_tiles(sheets, tiles, max_good_tiles) if tiles else {}
    with staged_directory(out, overwrite=overwrite) as folder:
        for part in ("sheets", "masks"):
            (folder / part).mkdir()
        for part in ("good", "bad", "masks") if tiles else ():
            (folder / "tiles" / part).mkdir(parents=True)
        for done, sheet in enumerate(sheets, start=1):
            _write_sheet(folder, sheet)
            if tiles:
                _write_tiles(folder / "tiles", sheet, tiles, chosen[sheet.name])
            if progress is not None:
                progress(done, len(sheets))
        table = pd.DataFrame([_row(sheet, difficulty) for sheet in sheets])
        table.to_csv(folder / "labels.csv", index=False)
        truth_table([defect for sheet in sheets for defect in sheet.truth]).to_csv(folder / "truth.csv", index=False)
        write_json(folder / "boxes.json", boxes(sheets))
    table.attrs["root"] = str(out)
    return table


def boxes(sheets: Sequence[Sheet], *, unlabelled: bool = False) -> dict[str, Any]:
    """Return the boxes of defects as a COCO object.

    Parameters
    ----------
    sheets : sequence of Sheet
    unlabelled : bool
        Defects that were not made on purpose as well.

    Returns
    -------
    dict
        ``images``, ``annotations`` (``bbox`` as x, y, width, height in pixels; ``area`` of the mask) and
        ``categories``.
    """
    images = [
        {"id": i, "file_name": f"sheets/{sheet.name}.png", "height": sheet.shape[0], "width": sheet.shape[1]}
        for i, sheet in enumerate(sheets, start=1)
    ]
    wanted = [
        (i, defect)
        for i, sheet in enumerate(sheets, start=1)
        for defect in sheet.truth
        if defect.area_px and (defect.labelled or unlabelled)
    ]
    return {
        "images": images,
        "annotations": [_annotation(number, i, defect) for number, (i, defect) in enumerate(wanted, start=1)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(_CATEGORIES, start=1)],
    }


def _annotation(number: int, image: int, defect: Defect) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": _CATEGORIES.index(defect.kind) + 1,
        "category": defect.kind,
        "bbox": [defect.x, defect.y, defect.w, defect.h],
        "area": defect.area_px,
        "iscrowd": 0,
        "origin_unknown": defect.origin_unknown,
    }


def _row(sheet: Sheet, difficulty: float) -> dict[str, Any]:
    spec = sheet.spec
    return {
        "path": f"sheets/{sheet.name}.png",
        "label": sheet.label,
        "specimen": sheet.name,
        "label_source": "phantom",
        "pixel_size_um": spec.pixel_size_um,
        "mask": f"masks/{sheet.name}.png",
        "set": spec.subset,
        "membrane": spec.membrane,
        "defects": sum(defect.labelled for defect in sheet.truth),
        "unlabelled": sum(not defect.labelled for defect in sheet.truth),
        "spot_rate": spec.spot_rate,
        "difficulty": difficulty,
        "phantom": True,
    }


def _strips(height: int, draw: Callable[[int, int], npt.NDArray[np.uint8]]) -> Iterator[npt.NDArray[np.uint8]]:
    for first in range(0, height, STRIP):
        yield draw(first, min(first + STRIP, height))


def _write_sheet(folder: Path, sheet: Sheet) -> None:
    with open(folder / "sheets" / f"{sheet.name}.png", "wb") as file:
        write_grey_png(file, sheet.shape, _strips(sheet.shape[0], sheet.rows))
    with open(folder / "masks" / f"{sheet.name}.png", "wb") as file:
        write_grey_png(file, sheet.shape, _strips(sheet.shape[0], lambda a, b: _grey(sheet.mask_rows(a, b))))


def _grey(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    return np.where(mask, 255, 0).astype(np.uint8)


# -- tiles -------------------------------------------------------------------------------------------------


def _check_tiles(tiles: int | None, max_good_tiles: int | None, sheets: Sequence[Sheet]) -> None:
    smallest = min(min(sheet.shape) for sheet in sheets)
    if tiles is not None and not 16 <= tiles <= smallest:
        raise InputError(f"tiles of {tiles} pixels from sheets of {smallest}", f"allowed: 16 to {smallest}")
    if max_good_tiles is not None and max_good_tiles < 0:
        raise InputError(f"{max_good_tiles} good tiles cannot be written", "give 0 or more")


def tile_labels(sheet: Sheet, tile: int) -> npt.NDArray[np.bool_]:
    """Return which whole tiles of *tile* pixels show labelled pixels, shape (rows of tiles, columns of tiles)."""
    rows, columns = sheet.shape[0] // tile, sheet.shape[1] // tile
    bad = np.zeros((rows, columns), dtype=bool)
    for row in range(rows):
        mask = sheet.mask_rows(row * tile, (row + 1) * tile)[:, : columns * tile]
        bad[row] = mask.reshape(tile, columns, tile).any(axis=(0, 2))
    return bad


def _good_tiles(sheets: Sequence[Sheet], tile: int, most: int | None) -> dict[str, npt.NDArray[np.bool_]]:
    """Return of each sheet which good tiles are written, spread evenly over all sheets."""
    good = [~tile_labels(sheet, tile) for sheet in sheets]
    flat = np.concatenate([part.ravel() for part in good])
    places = np.flatnonzero(flat)
    if most is not None and most < len(places):
        kept = np.zeros_like(flat)
        kept[places[np.linspace(0, len(places) - 1, most).astype(np.int64)] if most else []] = True
        flat = kept
    ends = np.cumsum([part.size for part in good])[:-1]
    return {
        sheet.name: part.reshape(shape.shape)
        for sheet, part, shape in zip(sheets, np.split(flat, ends), good, strict=True)
    }


def _write_tiles(folder: Path, sheet: Sheet, tile: int, good: npt.NDArray[np.bool_]) -> None:
    bad = tile_labels(sheet, tile)
    for row in np.flatnonzero((good | bad).any(axis=1)):
        top = int(row) * tile
        pixels, mask = sheet.rows(top, top + tile), sheet.mask_rows(top, top + tile)
        for column in np.flatnonzero(good[row] | bad[row]):
            name = f"{sheet.name}-{row:02d}-{column:02d}.png"
            here = slice(int(column) * tile, (int(column) + 1) * tile)
            place = folder / ("bad" if bad[row, column] else "good") / name
            Image.fromarray(pixels[:, here]).save(place, compress_level=1)
            if bad[row, column]:
                Image.fromarray(_grey(mask[:, here])).save(folder / "masks" / name, compress_level=1)
