"""The images on which Yan et al. (2023) taught and tested a few-shot detector, cut from rendered sheets.

Pinholes: a crop of 66 x 66 pixels around each of 36, enlarged to 800 x 800, and 36 tiles of the same sheets that hold
bright spots and no pinhole. Scratches and scuffs: two sheets cut 6 x 3 with a defect in each cell, and a clean sheet
cut the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from sorby.corpus import Corpus
from sorby.corpus.boxes import Box, corpus_boxes, encode
from sorby.errors import InputError
from sorby.files import staged_directory
from sorby.phantom.membrane import PIXEL_SIZE_UM, Sheet, pinhole_sheets, scratch_sheets
from sorby.phantom.membrane.defects import Defect
from sorby.phantom.membrane.published import GRID
from sorby.workflow.detection.negatives import TILE, bright_tiles, without_boxes
from sorby.workflow.phantoms import built_corpus, counting

UInt8 = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.intp]
PublishedCrops = Literal["pinholes", "scratches"]
CROPS: tuple[PublishedCrops, ...] = ("pinholes", "scratches")

#: Short side of the images, as the detector takes them.
SIZE_PX = 800
#: Negatives beside the pinholes.
NEGATIVES = 36
#: The sheets with defects, and the clean one whose 18 sub-images join the test.
_SCRATCHED = ("scratched-1", "scratched-2", "baseline-2")
#: Of a box that a crop cuts, at least this share must remain, and this many pixels each way.
_LEAST_SHARE, _LEAST_PX = 0.2, 3


@dataclass(frozen=True, eq=False)
class Crop:
    """A part of a sheet.

    Attributes
    ----------
    name : str
    sheet : str
        The sheet: the specimen.
    left, top : int
        Its first pixel on the sheet.
    pixels : ndarray of uint8, shape (h, w)
        At the sheet's resolution.
    boxes : tuple of Box
        In pixels of the crop.
    """

    name: str
    sheet: str
    left: int
    top: int
    pixels: UInt8
    boxes: tuple[Box, ...]

    @property
    def part(self) -> str:
        """``defects`` or ``negatives``; negatives are never taught from."""
        return "defects" if self.boxes else "negatives"


def write_published_crops(
    out: Path | str,
    kind: PublishedCrops,
    *,
    seed: int = 0,
    difficulty: float = 1.0,
    scale: float = 1.0,
    size_px: int = SIZE_PX,
    off_centre: bool = False,
) -> dict[str, Any]:
    """Render the published sheets, cut the published crops, and make their corpus.

    Parameters
    ----------
    out : path
        Gets ``crops/`` (images, ``labels.csv``) and ``corpus.parquet`` with the columns ``boxes``, ``specimen`` (the
        sheet) and ``part`` (``defects`` or ``negatives``).
    kind : {"pinholes", "scratches"}
    seed, difficulty, scale
        See `sorby.phantom.membrane.scratch_sheets`.
    size_px : int
        Short side of the images.
    off_centre : bool
        Pinholes: let each lie anywhere in its crop. The published crops have it in their middle, which a detector
        may learn instead of the pinhole and which no tile of a running web does.

    Returns
    -------
    dict
        ``corpus``, ``rows``, ``classes`` (images with and without defects), ``defects`` (boxes of each class),
        ``images``.

    Raises
    ------
    InputError
        The kind is unknown, *off_centre* is asked for scratches, a size is out of range, the sheets are too small to
        hold enough negatives, or the folder cannot be written.
    """
    if kind not in CROPS:
        raise InputError(f"published crops {kind!r} are unknown", f"allowed: {', '.join(CROPS)}")
    if off_centre and kind != "pinholes":
        raise InputError("scratches lie where their sheets have them", "off-centre crops are for pinholes")
    if not 32 <= size_px <= 4096:
        raise InputError(f"images of {size_px} pixels", "allowed: 32 to 4096")
    out = Path(out)
    crops: Iterator[Crop]
    if kind == "pinholes":
        sheets = pinhole_sheets(seed, difficulty, scale)
        crops = pinhole_crops(sheets, seed, off_centre=off_centre)
        total = sum(defect.labelled for sheet in sheets for defect in sheet.truth) + NEGATIVES
    else:
        sheets = [sheet for sheet in scratch_sheets(seed, difficulty, scale) if sheet.name in _SCRATCHED]
        crops = scratch_crops(sheets)
        total = len(sheets) * GRID[0] * GRID[1]
    with staged_directory(out / "crops") as folder, counting("cutting crops", total) as step:
        (folder / "images").mkdir()
        rows = []
        for crop in crops:
            rows.append(_write(crop, folder, size_px, difficulty))
            step(len(rows), total)
        table = pd.DataFrame(rows)
        table.to_csv(folder / "labels.csv", index=False)
    corpus = built_corpus(out, table, "crops")
    boxes = [box for found in corpus_boxes(corpus) for box in found or ()]
    parts = corpus.table["label"].value_counts().to_dict()
    return {
        "corpus": str(corpus.save(out / "corpus.parquet")),
        "rows": len(corpus),
        "classes": {str(name): int(count) for name, count in sorted(parts.items())},
        "defects": {name: sum(box.label == name for box in boxes) for name in sorted({box.label for box in boxes})},
        "images": str(out / "crops" / "images"),
    }


def pinhole_crops(
    sheets: Sequence[Sheet], seed: int = 0, *, tile: int = TILE, negatives: int = NEGATIVES, off_centre: bool = False
) -> Iterator[Crop]:
    """Yield a crop around each pinhole, then tiles with bright spots and without pinhole, chosen by chance.

    Parameters
    ----------
    sheets : sequence of Sheet
    seed : int
        Of the choice, and of the places of pinholes that do not lie in the middle.
    tile : int
        Edge of a crop in pixels of the sheet.
    negatives : int
    off_centre : bool

    Raises
    ------
    InputError
        A sheet is smaller than a crop, or the sheets have too few such tiles.
    """
    rng = np.random.default_rng([seed, 703])
    small = next((sheet for sheet in sheets if min(sheet.shape) < tile), None)
    if small is not None:
        raise InputError(f"{small.name}: {small.shape} pixels hold no crop of {tile}", "render it at a larger scale")
    for sheet in sheets:
        for defect in sheet.truth:
            if defect.labelled and defect.area_px:
                yield _around(sheet, defect, tile, rng if off_centre else None)
    found = [_negative_tiles(sheet, tile) for sheet in sheets]
    ends = np.cumsum([len(tiles) for tiles in found])
    if not len(ends) or ends[-1] < negatives:
        raise InputError(
            f"{int(ends[-1]) if len(ends) else 0} tiles have bright spots and no pinhole, {negatives} are wanted",
            "render the sheets at a larger scale",
        )
    for place in np.sort(rng.choice(int(ends[-1]), negatives, replace=False)).tolist():
        number = int(np.searchsorted(ends, place, side="right"))
        left, top = (int(edge) for edge in found[number][place - int(ends[number])][:2])
        sheet = sheets[number]
        pixels = sheet.rows(top, top + tile)[:, left : left + tile]
        yield _cut(sheet, f"{sheet.name}-{top:05d}-{left:05d}", left, top, pixels)


def scratch_crops(sheets: Sequence[Sheet]) -> Iterator[Crop]:
    """Yield the cells of sheets cut 6 x 3, with the boxes of what lies in them.

    A streak of unknown origin close beside a scuff is boxed as a scratch, as its annotators did (figure 11): whoever
    sees only the image cannot tell. So some images have both classes.
    """
    for sheet in sheets:
        height, width = sheet.shape[0] // GRID[0], sheet.shape[1] // GRID[1]
        for row in range(GRID[0]):
            strip = sheet.rows(row * height, (row + 1) * height)
            for column in range(GRID[1]):
                name = f"{sheet.name}-r{row + 1}-c{column + 1}"
                yield _cut(sheet, name, column * width, row * height, strip[:, column * width : (column + 1) * width])


def published_division(corpus: Corpus, shots: int, seed: int) -> tuple[Rows, Rows]:
    """Divide a corpus of published crops into the images that teach and those that test.

    Of every class, images are drawn until *shots* of them show it; all others, and every negative, test. So 5 and 10
    shots of pinholes leave 31 + 36 and 26 + 36 images, and 5 shots of scratches and scuffs take 5 to 10 images.

    Parameters
    ----------
    corpus : Corpus
        With the columns ``boxes`` and ``part``.
    shots : int
        Images a class.
    seed : int

    Returns
    -------
    teaching, testing : ndarray of int
        Row numbers, ascending.

    Raises
    ------
    InputError
        A class has no image left to test, or the corpus is no such corpus.
    """
    if "part" not in corpus.table or "boxes" not in corpus.table:
        raise InputError("the corpus has no columns boxes and part", "sorby phantom membrane --detection makes one")
    if shots < 1:
        raise InputError(f"{shots} shots teach nothing", "at least 1")
    shown = [sorted({box.label for box in boxes or ()}) for boxes in corpus_boxes(corpus)]
    rng = np.random.default_rng([seed, 704])
    taken: set[int] = set()
    # The rarer class first, so that what it takes counts for the other.
    images = Counter(name for names in shown for name in names)
    classes = sorted(images, key=lambda name: (images[name], name))
    for name in classes:
        rows = [row for row, names in enumerate(shown) if name in names]
        if len(rows) <= shots:
            raise InputError(f"{shots} shots leave none of {len(rows)} images of class {name!r} to test", "fewer shots")
        free = [row for row in rows if row not in taken]
        missing = max(0, shots - (len(rows) - len(free)))
        taken.update(int(row) for row in rng.choice(free, missing, replace=False))
    return (
        np.array(sorted(taken), np.intp),
        np.array([row for row in range(len(corpus)) if row not in taken], np.intp),
    )


# -- cutting -----------------------------------------------------------------------------------------------


def _around(sheet: Sheet, defect: Defect, tile: int, rng: np.random.Generator | None) -> Crop:
    """Cut around a defect: in the middle, or with *rng* anywhere as long as it is whole."""
    top, left = defect.row - (tile - 1) / 2, defect.column - (tile - 1) / 2
    if rng is not None:
        slack_y, slack_x = max(0.0, (tile - defect.h) / 2 - 1), max(0.0, (tile - defect.w) / 2 - 1)
        top, left = top + rng.uniform(-slack_y, slack_y), left + rng.uniform(-slack_x, slack_x)
    height, width = sheet.shape
    x, y = int(np.clip(round(left), 0, width - tile)), int(np.clip(round(top), 0, height - tile))
    pixels = sheet.rows(y, y + tile)[:, x : x + tile]
    return _cut(sheet, f"{sheet.name}-{defect.kind}-{defect.number:02d}", x, y, pixels)


def _negative_tiles(sheet: Sheet, tile: int) -> npt.NDArray[np.int64]:
    """Return the corners of a sheet's tiles that hold bright spots and no labelled defect."""
    labelled = [(d.x, d.y, d.x + d.w, d.y + d.h) for d in sheet.truth if d.labelled and d.area_px]
    return without_boxes(bright_tiles(sheet.rows, sheet.shape, tile), labelled, tile)


def _cut(sheet: Sheet, name: str, left: int, top: int, pixels: UInt8) -> Crop:
    height, width = pixels.shape
    scuffs = [defect for defect in sheet.truth if defect.kind == "scuff"]
    boxes = []
    for defect in sheet.truth:
        label = defect.kind if defect.labelled else _taken_for(defect, scuffs)
        box = label and _within(defect, left, top, width, height)
        if label and box:
            boxes.append(Box(label, *box))
    return Crop(name, sheet.name, left, top, np.ascontiguousarray(pixels), tuple(boxes))


def _taken_for(defect: Defect, scuffs: Sequence[Defect]) -> str:
    """Return as what an annotator labels a mark that nobody made on purpose; empty where it is left alone."""
    if defect.kind != "streak" or not defect.area_px:
        return ""
    for scuff in scuffs:
        gap_x = max(scuff.x - (defect.x + defect.w), defect.x - (scuff.x + scuff.w), 0)
        gap_y = max(scuff.y - (defect.y + defect.h), defect.y - (scuff.y + scuff.h), 0)
        if max(gap_x, gap_y) <= 0.5 * max(scuff.w, scuff.h):
            return "scratch"
    return ""


def _within(defect: Defect, left: int, top: int, width: int, height: int) -> tuple[int, int, int, int] | None:
    """Return x, y, w, h of a defect's box in a crop; None where too little of it is there."""
    x0, y0 = max(defect.x, left), max(defect.y, top)
    x1, y1 = min(defect.x + defect.w, left + width), min(defect.y + defect.h, top + height)
    w, h = x1 - x0, y1 - y0
    if min(w, h) < _LEAST_PX or w * h < _LEAST_SHARE * defect.w * defect.h:
        return None
    return x0 - left, y0 - top, w, h


def _write(crop: Crop, folder: Path, size_px: int, difficulty: float) -> dict[str, Any]:
    """Write a crop at its final size; return its row of the table."""
    height, width = crop.pixels.shape
    factor = size_px / min(height, width)
    size = (round(width * factor), round(height * factor))
    image = Image.fromarray(crop.pixels).resize(size, Image.Resampling.BICUBIC)
    image.save(folder / "images" / f"{crop.name}.png", compress_level=1)
    wide, high = size[0] / width, size[1] / height
    boxes = [Box(box.label, box.x * wide, box.y * high, box.w * wide, box.h * high) for box in crop.boxes]
    return {
        "path": f"images/{crop.name}.png",
        "label": "defect" if crop.boxes else "good",
        "specimen": crop.sheet,
        "label_source": "phantom",
        "boxes": encode(boxes),
        "part": crop.part,
        "pixel_size_um": PIXEL_SIZE_UM / factor,
        "sheet_left": crop.left,
        "sheet_top": crop.top,
        "difficulty": difficulty,
        "phantom": True,
    }
