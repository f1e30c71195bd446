"""Deep zoom: an image as tiles of 512 pixels at halved and halved again sizes, in one file beside the store.

Level 0 is the whole image in one tile; each level doubles it; the last has the image's own pixels. Tiles are JPEG in
eight bits; deeper images are stretched as `sorby.micrograph.to_uint8` does, for looking at only. The file holds the
tiles one behind the other and an index at its end, so it is there whole or not at all, and a tile is one read.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import imagecodecs
import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.files import atomic_write
from sorby.micrograph import read, to_uint8

TILE = 512
QUALITY = 88

_MAGIC = b"sorbytil"
_TAIL = struct.Struct("<Q8s")  # length of the description before it, and the magic again
_BAND = TILE * 4  # rows of a level that are halved at once: memory stays that of the image

UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Level:
    """One size of an image.

    Attributes
    ----------
    width, height : int
        Pixels.
    columns, rows : int
        Tiles.
    first : int
        Number of its first tile; they follow by rows.
    """

    width: int
    height: int
    columns: int
    rows: int
    first: int


@dataclass(frozen=True, eq=False)
class Pyramid:
    """An image's tiles; levels lie in the file from the largest down.

    Attributes
    ----------
    path : Path
    levels : tuple of Level
        From the whole image in one tile to its own pixels.
    places : ndarray of int64, (tiles, 2)
        Where each tile begins in the file, and its bytes.
    """

    path: Path
    levels: tuple[Level, ...]
    places: npt.NDArray[np.int64]

    def tile(self, z: int, x: int, y: int) -> bytes:
        """Return a tile as JPEG.

        Raises
        ------
        InputError
            There is no such tile.
        """
        if not 0 <= z < len(self.levels):
            raise InputError(f"no level {z}", f"levels are 0 to {len(self.levels) - 1}")
        level = self.levels[z]
        if not (0 <= x < level.columns and 0 <= y < level.rows):
            raise InputError(f"no tile {x}, {y} at level {z}", f"{level.columns} x {level.rows} tiles")
        start, length = self.places[level.first + y * level.columns + x].tolist()
        with open(self.path, "rb") as file:
            file.seek(start)
            return file.read(length)

    def describe(self) -> dict[str, Any]:
        """Return what a viewer must know: ``tile``, ``levels`` (``width``, ``height``, ``columns``, ``rows``)."""
        return {
            "tile": TILE,
            "levels": [{key: value for key, value in asdict(each).items() if key != "first"} for each in self.levels],
        }


def plan(width: int, height: int) -> tuple[Level, ...]:
    """Return the levels of an image.

    Examples
    --------
    >>> [(level.width, level.height, level.columns, level.rows) for level in plan(1500, 600)]
    [(375, 150, 1, 1), (750, 300, 2, 1), (1500, 600, 3, 2)]
    """
    sizes = [(width, height)]
    while max(sizes[0]) > TILE:
        sizes.insert(0, (-(-sizes[0][0] // 2), -(-sizes[0][1] // 2)))
    levels: list[Level] = []
    first = 0
    for wide, high in sizes:
        columns, rows = -(-wide // TILE), -(-high // TILE)
        levels.append(Level(wide, high, columns, rows, first))
        first += columns * rows
    return tuple(levels)


def build(image: Path, target: Path) -> Pyramid:
    """Cut an image into tiles.

    Parameters
    ----------
    image : Path
    target : Path
        The file that gets the tiles; it appears when all are in.

    Raises
    ------
    ImageError
        The image cannot be decoded.
    """
    return write(to_uint8(read(image).pixels), target)


def write(pixels: UInt8, target: Path) -> Pyramid:
    """Write the tiles of an image (H, W) or (H, W, 3) of eight bits."""
    levels = plan(pixels.shape[1], pixels.shape[0])
    lengths = np.zeros(levels[-1].first + levels[-1].columns * levels[-1].rows, np.int64)
    places = np.zeros_like(lengths)
    with atomic_write(target) as file:
        file.write(_MAGIC)
        current = pixels
        for level in reversed(levels):
            for number, tile in enumerate(_tiles(current), level.first):
                places[number], lengths[number] = file.tell(), file.write(tile)
            if level is not levels[0]:
                current = halved(current)
        _write_index(file, levels, places, lengths)
    return load(target)


def _tiles(pixels: UInt8) -> Iterator[bytes]:
    for top in range(0, pixels.shape[0], TILE):
        for left in range(0, pixels.shape[1], TILE):
            part = np.ascontiguousarray(pixels[top : top + TILE, left : left + TILE])
            yield bytes(imagecodecs.jpeg8_encode(part, level=QUALITY))


def halved(pixels: UInt8) -> UInt8:
    """Return an image of half the size, each pixel the mean of up to four; an odd border is kept, not dropped."""
    height, width = pixels.shape[:2]
    small = np.empty((-(-height // 2), -(-width // 2), *pixels.shape[2:]), np.uint8)
    for top in range(0, height, _BAND):
        band = pixels[top : top + _BAND]
        if band.shape[0] % 2:
            band = np.concatenate([band, band[-1:]])
        if width % 2:
            band = np.concatenate([band, band[:, -1:]], axis=1)
        total = band[0::2, 0::2].astype(np.uint16)
        total += band[1::2, 0::2]
        total += band[0::2, 1::2]
        total += band[1::2, 1::2]
        small[top // 2 : top // 2 + total.shape[0]] = (total + 2) >> 2
    return small


def _write_index(
    file: IO[bytes], levels: tuple[Level, ...], places: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> None:
    table = np.stack([places, lengths], axis=1).astype("<i8").tobytes()
    described = json.dumps({"levels": [asdict(each) for each in levels], "tiles": len(places)}).encode()
    file.write(table)
    file.write(described)
    file.write(_TAIL.pack(len(described), _MAGIC))


def load(path: Path) -> Pyramid:
    """Read the index of a file of tiles.

    Raises
    ------
    InputError
        There is none, or it is not whole.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise InputError(f"{path.name[:12]}: has no tiles", "they are made on the first look") from None
    return _load(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _load(path: Path, _changed: int, size: int) -> Pyramid:
    with open(path, "rb") as file:
        if size < len(_MAGIC) + _TAIL.size:
            raise InputError(f"{path}: is no file of tiles", "delete it; it is made again")
        file.seek(size - _TAIL.size)
        length, magic = _TAIL.unpack(file.read(_TAIL.size))
        if magic != _MAGIC or length > size:
            raise InputError(f"{path}: is no file of tiles", "delete it; it is made again")
        file.seek(size - _TAIL.size - length)
        described = json.loads(file.read(length))
        tiles = int(described["tiles"])
        file.seek(size - _TAIL.size - length - 16 * tiles)
        table = np.frombuffer(file.read(16 * tiles), "<i8").reshape(tiles, 2)
    return Pyramid(path, tuple(Level(**each) for each in described["levels"]), table.astype(np.int64))
