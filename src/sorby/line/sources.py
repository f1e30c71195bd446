"""Recorded lines: a folder of images, one tall image, arrays of a program."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from sorby.errors import ImageError, InputError
from sorby.files import sha256_bytes
from sorby.line.lines import Item, Levels, LineBlock, LostLines, one_lane
from sorby.micrograph import Header, Pixels, find_images, identify, read

_BLOCK_ROWS = 1024
_DIGITS = re.compile(r"(\d+)")


def natural_order(path: Path) -> tuple[Any, ...]:
    """Return the key that puts ``strip_2`` before ``strip_10``: digits compare as numbers."""
    parts = _DIGITS.split(path.as_posix())
    return tuple((1, int(part), part) if part.isdigit() else (0, 0, part) for part in parts)


def frame_numbers(names: list[str]) -> list[int] | None:
    """Return the running number of each file, or None where the names do not count.

    Parameters
    ----------
    names : list of str
        File stems in order.

    Returns
    -------
    list of int or None
        Numbers in steps of one frame. They count where all names are the same but for their last number, and the
        numbers rise. The commonest step counts as one frame, so that 100, 110, 130 lacks one.
    """
    found = [re.fullmatch(r"(.*?)(\d+)(\D*)", name) for name in names]
    matches = [each for each in found if each]
    if len(matches) < len(names) or len(names) < 3 or len({(each[1], each[3]) for each in matches}) > 1:
        return None
    numbers = np.array([int(each[2]) for each in matches], dtype=np.int64)
    steps = np.diff(numbers)
    if (steps <= 0).any():
        return None
    values, counts = np.unique(steps, return_counts=True)
    step = int(values[np.argmax(counts)])
    if (steps % step).any():
        return None
    return [int(each) for each in (numbers - numbers[0]) // step]


@dataclass(frozen=True)
class _Listed:
    file: Path
    header: Header | None
    reason: str


def _list(file: Path) -> _Listed:
    try:
        return _Listed(file, identify(file), "")
    except ImageError as error:
        return _Listed(file, None, error.message.removeprefix(f"{file}: "))


class FolderSource:
    """A folder of images, each the continuation of the one before.

    Parameters
    ----------
    folder : Path
        Files are taken in name order, digits as numbers.
    levels : Levels
    separate : bool
        The images are sheets of their own: no strip spans two of them.

    Raises
    ------
    InputError
        The folder holds no images, or none that can be read.
    """

    def __init__(self, folder: Path, levels: Levels | None = None, *, separate: bool = False) -> None:
        self._folder, self._levels, self._separate = folder, levels or Levels(), separate
        files = sorted(find_images(folder), key=natural_order)
        if not files:
            raise InputError(f"{folder}: holds no images", "give a folder of strips or sheets in name order")
        self._files = [_list(file) for file in files]
        if all(each.header is None for each in self._files):
            raise InputError(f"{folder}: none of its {len(files)} images can be read", self._files[0].reason)
        self._numbers = None if separate else frame_numbers([file.stem for file in files])

    @property
    def width(self) -> int:
        """Columns of the widest image."""
        return max(each.header.width for each in self._files if each.header)

    @property
    def rows_total(self) -> int | None:
        """Lines of all images, lost ones too where their number is known."""
        lost = sum(self._missing_rows(i) or 0 for i in range(len(self._files)) if self._missing(i))
        return lost + sum(self._rows_of(i) or 0 for i in range(len(self._files)))

    def identity(self) -> dict[str, Any]:
        """Return the folder, its files and how they are read."""
        names = "\n".join(each.file.as_posix() for each in self._files)
        return {
            "folder": str(self._folder.resolve()),
            "files": len(self._files),
            "names": sha256_bytes(names.encode("utf-8", "surrogateescape")),
            "levels": self._levels.as_dict(),
            "separate": self._separate,
        }

    def items(self, cursor: Any = None) -> Iterator[Item]:
        """Yield each image as a block; a cursor is (index of the file, whether the gap before it has been told)."""
        first, told = (0, False) if cursor is None else (int(cursor[0]), bool(cursor[1]))
        for i in range(first, len(self._files)):
            missing = 0 if told else self._missing(i)
            told = False
            if missing:
                message = f"{missing} missing before {self._files[i].file.name} by its number"
                yield LostLines(self._missing_rows(i), message, self._files[i].file.name, [i, False])
            yield self._read(i, breaks=self._separate and i > 0)

    def _read(self, i: int, *, breaks: bool) -> Item:
        file = self._files[i].file
        try:
            if self._files[i].header is None:
                raise ImageError(f"{file}: {self._files[i].reason}")
            pixels = self._levels.apply(read(file).pixels)
        except ImageError as error:
            reason = error.message.removeprefix(f"{file}: ")
            rows = self._rows_of(i)
            message = f"{file.name} cannot be read: {reason}" + ("" if rows else "; how many lines it had is unknown")
            return LostLines(rows, message, str(file), [i, True], quarantined=reason)
        return LineBlock(pixels, one_lane(pixels.shape[1]), file.name, [i, True], breaks=breaks)

    def _missing(self, i: int) -> int:
        if self._numbers is None or i == 0:
            return 0
        return self._numbers[i] - self._numbers[i - 1] - 1

    def _missing_rows(self, i: int) -> int | None:
        each = self._told_by_neighbours(i - 1, i)
        return None if each is None else self._missing(i) * each

    def _rows_of(self, i: int) -> int | None:
        header = self._files[i].header
        return header.height if header else self._told_by_neighbours(i - 1, i + 1)

    def _told_by_neighbours(self, before: int, after: int) -> int | None:
        """Return the height of a lost image where the nearest ones on both sides agree (at an end, the nearest)."""
        heights = [
            next((each.header.height for each in side if each.header), None)
            for side in (reversed(self._files[: max(0, before + 1)]), self._files[after:])
        ]
        known = {height for height in heights if height is not None}
        return known.pop() if len(known) == 1 else None


class TallImage:
    """One image file as a web; an uncompressed or striped TIFF is read piece by piece, anything else whole.

    Parameters
    ----------
    file : Path
    levels : Levels
    block_rows : int

    Raises
    ------
    ImageError
        The file cannot be read.
    """

    def __init__(self, file: Path, levels: Levels | None = None, *, block_rows: int = _BLOCK_ROWS) -> None:
        self._file, self._levels, self._block_rows = file, levels or Levels(), block_rows
        self._header = identify(file)

    @property
    def width(self) -> int:
        """Columns."""
        return self._header.width

    @property
    def rows_total(self) -> int | None:
        """Lines."""
        return self._header.height

    def identity(self) -> dict[str, Any]:
        """Return the file, its size and how it is read."""
        size = self._file.stat().st_size
        return {"image": str(self._file.resolve()), "bytes": size, "levels": self._levels.as_dict()}

    def items(self, cursor: Any = None) -> Iterator[Item]:
        """Yield pieces of the image; a cursor is a row."""
        first = 0 if cursor is None else int(cursor)
        pixels = self._mapped()
        if pixels is None:
            pixels = read(self._file, max_pixels=1 << 33).pixels
        for row in range(first, self._header.height, self._block_rows):
            block = self._levels.apply(np.ascontiguousarray(pixels[row : row + self._block_rows]))
            yield LineBlock(block, one_lane(block.shape[1]), self._file.name, row)

    def _mapped(self) -> Pixels | None:
        """Return the pixels as a map of the file where they lie in it as they are."""
        if self._header.format != "tiff":
            return None
        with tifffile.TiffFile(self._file) as tiff:
            page = tiff.pages[self._header.page]
            plain = isinstance(page, tifffile.TiffPage) and page.is_memmappable and page.photometric == 1
            upright = isinstance(page, tifffile.TiffPage) and 274 not in page.tags
            if not (plain and upright and page.ndim == 2 and page.dtype in (np.uint8, np.uint16)):
                return None
        return np.asarray(tifffile.memmap(self._file, page=self._header.page, mode="r"))


class ArraySource:
    """Lines that a program makes.

    Parameters
    ----------
    make : callable
        Returns an iterable of arrays (rows, columns), uint8 or what *levels* bring there, or of ready `LineBlock` and
        `LostLines`. Called again when a run is taken up, so it must yield the same each time.
    name : str
    levels : Levels
    rows_total : int, optional

    Raises
    ------
    InputError
        It yields nothing.
    """

    def __init__(
        self,
        make: Callable[[], Iterable[Pixels | Item]],
        name: str = "generator",
        levels: Levels | None = None,
        rows_total: int | None = None,
    ) -> None:
        self._make, self._name, self._levels, self._rows_total = make, name, levels or Levels(), rows_total
        first = next((self._width_of(item) for item in self._make() if not isinstance(item, LostLines)), None)
        if first is None:
            raise InputError(f"{name}: yields no lines", "give a generator of arrays (rows, columns)")
        self._width = first

    @property
    def width(self) -> int:
        """Columns of the first array."""
        return self._width

    @property
    def rows_total(self) -> int | None:
        """Lines, where the caller told."""
        return self._rows_total

    def identity(self) -> dict[str, Any]:
        """Return the name."""
        return {"generator": self._name, "levels": self._levels.as_dict()}

    def items(self, cursor: Any = None) -> Iterator[Item]:
        """Yield what the program makes; a cursor counts its items."""
        first = 0 if cursor is None else int(cursor)
        for number, item in enumerate(islice(self._make(), first, None), start=first):
            if isinstance(item, LostLines):
                yield LostLines(
                    item.rows, item.message, item.origin, number, item.lane, item.advances, item.quarantined
                )
            elif isinstance(item, LineBlock):
                yield LineBlock(item.pixels, item.lanes, item.origin, number, item.incidents, item.breaks)
            else:
                pixels = self._levels.apply(item)
                yield LineBlock(pixels, one_lane(pixels.shape[1]), f"{self._name} {number}", number)

    @staticmethod
    def _width_of(item: Pixels | LineBlock) -> int:
        return int((item.pixels if isinstance(item, LineBlock) else item).shape[1])
