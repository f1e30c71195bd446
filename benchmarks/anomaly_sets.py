"""The real sets as anomaly sets: what is good, what is bad, what is one specimen, and how they are split."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from common import data_folder
from magnetic_tile_groups import tile_groups
from neu_overlap import overlap_groups

Numbers = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

TRAIN_SHARE = 0.8
WINDOW_PX = 64
_BAD_SHARE = 0.5
_BAD_PER_CLASS = 300


@dataclass(frozen=True)
class AnomalySet:
    """Images with what is known of them.

    Attributes
    ----------
    files : list of Path
    kind : ndarray of str, (n,)
        Class of each image.
    bad : ndarray of bool, (n,)
    specimen : ndarray of int, (n,)
        What must not be divided; images count as specimens where nothing is known.
    masks : dict of str to Path
        By file stem.
    """

    files: list[Path]
    kind: npt.NDArray[np.str_]
    bad: Flags
    specimen: Numbers
    masks: dict[str, Path]

    def split_by_image(self, seed: int) -> tuple[Numbers, Numbers]:
        """Return train (a random 80 % of the good images) and test (the other good ones and every bad one)."""
        good = np.flatnonzero(~self.bad)
        order = np.random.default_rng(seed).permutation(len(good))
        count = round(TRAIN_SHARE * len(good))
        return good[order[:count]], np.concatenate([good[order[count:]], np.flatnonzero(self.bad)])

    def split_by_specimen(self, seed: int) -> tuple[Numbers, Numbers]:
        """Return train (the good images of 80 % of the specimens that have any) and test without those specimens."""
        good, bad = np.flatnonzero(~self.bad), np.flatnonzero(self.bad)
        specimens = np.unique(self.specimen[good])
        order = np.random.default_rng(seed).permutation(specimens)
        taught = np.isin(self.specimen, order[: round(TRAIN_SHARE * len(specimens))])
        return good[taught[good]], np.concatenate([good[~taught[good]], bad[~taught[bad]]])


def magnetic_tiles() -> AnomalySet:
    """Huang et al. 2018: free tiles are good; images of one tile are one specimen, see ``magnetic_tile_groups``."""
    files = sorted(data_folder("magnetic-tile").glob("MT_*/*.jpg"))
    kind = np.array([file.parent.name.removeprefix("MT_") for file in files])
    masks = {file.stem: file.with_suffix(".png") for file in files if file.parent.name != "MT_Free"}
    return AnomalySet(files, kind, kind != "Free", tile_groups(files), masks)


def development_images(tiles: AnomalySet) -> Flags:
    """Return which defective images settings were chosen on: whole tiles, 158 of 392 images.

    A third of the defective tiles at random held no frayed tile and few cracked ones, so a third of the tiles of these
    two kinds was added, before any result on them was looked at.
    """

    def drawn(specimens: Numbers, count: int, seed: int) -> Numbers:
        return np.random.default_rng(seed).permutation(np.unique(specimens))[:count]

    of_bad = np.unique(tiles.specimen[tiles.bad])
    chosen = [drawn(of_bad, round(len(of_bad) / 3), 2023)]
    for kind in ("Fray", "Crack"):
        of_kind = np.unique(tiles.specimen[tiles.kind == kind])
        chosen.append(drawn(of_kind, -(-len(of_kind) // 3), 2024))
    return np.asarray(tiles.bad & np.isin(tiles.specimen, np.concatenate(chosen)))


def solar_cells() -> AnomalySet:
    """elpv: certainly functional cells are good, certainly defective ones bad; uncertain ones are left out.

    ``kind`` is the module type. Module ids are not published, so every cell counts as a specimen.
    """
    import elpv_dataset

    folder = Path(elpv_dataset.__file__).parent / "data"
    rows = [line.split() for line in (folder / "labels.csv").read_text().splitlines()]
    sure = [row for row in rows if float(row[1]) in (0.0, 1.0)]
    return AnomalySet(
        [folder / row[0] for row in sure],
        np.array([row[2] for row in sure]),
        np.array([float(row[1]) == 1.0 for row in sure]),
        np.arange(len(sure)),
        {},
    )


def steel_windows(scratch: Path) -> AnomalySet:
    """NEU-DET cut into windows of 64 px: good where no box touches, bad where boxes cover half or more.

    Windows in between are left out, and at most 300 bad ones of a class are drawn. Crops of one field of the strip
    (``neu_overlap``) are one specimen. Boxes are coarse, so there is no pixel truth worth the name.
    """
    images = sorted(data_folder("neu-det").glob("images/**/*.jpg"))
    fields = overlap_groups(images)
    files: list[Path] = []
    rows: list[tuple[str, bool, int]] = []
    rng = np.random.default_rng(0)
    by_kind: dict[str, list[tuple[int, int, int]]] = {}
    for k, image in enumerate(images):
        kind = image.stem.rsplit("_", 1)[0]
        covered = _covered(data_folder("neu-det") / "annotations" / f"{image.stem}.xml")
        pixels = Image.open(image).convert("L")
        for top, left in _windows(covered.shape):
            share = covered[top : top + WINDOW_PX, left : left + WINDOW_PX].mean()
            if share == 0:
                files.append(_cut(pixels, top, left, scratch / f"{image.stem}-{top}-{left}.png"))
                rows.append((kind, False, int(fields[k])))
            elif share >= _BAD_SHARE:
                by_kind.setdefault(kind, []).append((k, top, left))
    for kind, windows in sorted(by_kind.items()):
        for w in rng.permutation(len(windows))[:_BAD_PER_CLASS]:
            k, top, left = windows[w]
            pixels = Image.open(images[k]).convert("L")
            files.append(_cut(pixels, top, left, scratch / f"{images[k].stem}-{top}-{left}.png"))
            rows.append((kind, True, int(fields[k])))
    kinds, bad, specimens = zip(*rows, strict=True)
    return AnomalySet(files, np.array(kinds), np.array(bad), np.array(specimens, np.intp), {})


def _windows(size: tuple[int, ...]) -> Iterable[tuple[int, int]]:
    starts = [range(0, side - WINDOW_PX + 1, WINDOW_PX) for side in size]
    return ((top, left) for top in starts[0] for left in starts[1])


def _cut(pixels: Image.Image, top: int, left: int, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels.crop((left, top, left + WINDOW_PX, top + WINDOW_PX)).save(path)
    return path


def _covered(annotation: Path) -> Flags:
    """Return which pixels lie in a box."""
    root = ElementTree.parse(annotation).getroot()
    covered = np.zeros((_number(root, "size/height"), _number(root, "size/width")), bool)
    for box in root.iter("bndbox"):
        left, top, right, bottom = (_number(box, side) for side in ("xmin", "ymin", "xmax", "ymax"))
        covered[max(top - 1, 0) : bottom, max(left - 1, 0) : right] = True
    return covered


def _number(node: Any, path: str) -> int:
    return round(float(node.findtext(path)))
