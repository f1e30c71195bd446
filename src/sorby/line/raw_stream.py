"""Bare pixels, line after line: a stream on standard input, a named pipe, or a file of them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.line.lines import Incident, Item, Levels, LineBlock, one_lane
from sorby.line.scorer import GreyStrip

RawType = Literal["uint8", "uint16"]

_BLOCK_ROWS = 128
_PROBE_LINES = 48  # lines looked at to judge whether the stated width can be right
_SURE, _UNSURE = 0.6, 0.2


@dataclass(frozen=True)
class RawFormat:
    """What a stream cannot say about itself.

    Attributes
    ----------
    width : int
        Columns of a line.
    dtype : {"uint8", "uint16"}
        16 bits little-endian.
    levels : Levels
    """

    width: int
    dtype: RawType = "uint8"
    levels: Levels = field(default_factory=Levels)

    @property
    def line_bytes(self) -> int:
        """Bytes of a line."""
        return self.width * np.dtype(self.dtype).itemsize

    def decode(self, data: bytes) -> GreyStrip:
        """Return whole lines as pixels."""
        values: npt.NDArray[Any] = np.frombuffer(data, dtype=np.dtype(self.dtype).newbyteorder("<"))
        return self.levels.apply(values.astype(self.dtype, copy=False).reshape(-1, self.width))


class RawStream:
    """Pixels from a file, a pipe or standard input.

    Parameters
    ----------
    place : Path or binary file
        A regular file can be taken up in the middle; anything else cannot.
    form : RawFormat
    block_rows : int

    Raises
    ------
    InputError
        The file is empty, or its size is not a whole number of lines: the width is wrong or the file was cut off.
    """

    def __init__(self, place: Path | IO[bytes], form: RawFormat, *, block_rows: int = _BLOCK_ROWS) -> None:
        self._place, self._form, self._block_rows = place, form, block_rows
        self._bytes = _regular_size(place)
        if self._bytes is None:
            return
        if self._bytes == 0:
            raise InputError(f"{self.name}: the file is empty (0 bytes)", "record it again")
        if self._bytes % form.line_bytes:
            raise InputError(
                f"{self.name}: {self._bytes} bytes are no whole number of lines of {form.width} {form.dtype} pixels",
                f"state the right --width and --dtype; a file that was cut off ends with "
                f"{self._bytes % form.line_bytes} bytes to remove",
            )

    @property
    def name(self) -> str:
        """What the stream is called."""
        return str(self._place) if isinstance(self._place, Path) else "standard input"

    @property
    def width(self) -> int:
        """Columns."""
        return self._form.width

    @property
    def rows_total(self) -> int | None:
        """Lines of a file; None for a stream."""
        return None if self._bytes is None else self._bytes // self._form.line_bytes

    def identity(self) -> dict[str, Any]:
        """Return the name, the size and the stated format."""
        return {
            "raw": str(self._place.resolve()) if isinstance(self._place, Path) else "-",
            "bytes": self._bytes,
            "width": self._form.width,
            "dtype": self._form.dtype,
            "levels": self._form.levels.as_dict(),
        }

    def items(self, cursor: Any = None) -> Iterator[Item]:
        """Yield blocks of lines; a cursor is a row, None for what cannot be taken up.

        Raises
        ------
        InputError
            The lines are evidently of another width, or the stream ends before the first line does.
        """
        if not isinstance(self._place, Path):
            yield from self._blocks(self._place, 0, rewindable=False)
            return
        try:
            file = open(self._place, "rb")  # noqa: SIM115 - closed below; an error here is of the path
        except OSError as error:
            raise InputError(f"{self.name}: cannot be opened ({error.strerror})", "check the path") from error
        with file:
            row = 0 if cursor is None else int(cursor)
            if self._bytes is not None:
                file.seek(row * self._form.line_bytes)
            yield from self._blocks(file, row, rewindable=self._bytes is not None)

    def _blocks(self, file: IO[bytes], row: int, *, rewindable: bool) -> Iterator[Item]:
        first = True
        while True:
            data = _read_fully(file, self._block_rows * self._form.line_bytes)
            spare = len(data) % self._form.line_bytes
            whole = self._form.decode(data[: len(data) - spare])
            if first and len(whole) == 0:
                raise InputError(
                    f"{self.name}: ended after {len(data)} bytes, before the first line of {self._form.line_bytes}",
                    "check what sends it, --width and --dtype",
                )
            if first and row == 0:
                _check_width(whole, self.name)
            first = False
            incidents = self._cut_off(len(whole), spare)
            if len(whole) or incidents:
                cursor = row if rewindable else None
                block = whole if len(whole) else np.empty((0, self._form.width), np.uint8)
                yield LineBlock(block, one_lane(self.width), self.name, cursor, incidents)
            row += len(whole)
            if len(data) < self._block_rows * self._form.line_bytes:
                return

    def _cut_off(self, rows: int, spare: int) -> tuple[Incident, ...]:
        if not spare:
            return ()
        message = (
            f"{self.name}: ended within a line, {spare} of {self._form.line_bytes} bytes; "
            "it was cut off, or --width is wrong"
        )
        return (Incident("truncated", rows, 0, 0, message),)


def evident_width(pixels: GreyStrip) -> int | None:
    """Return the line width that the pixels themselves tell, where they tell one.

    Neighbouring lines of a web resemble each other, so the autocorrelation of the stream peaks at the width. Where
    lines are cut at another length, that peak lies elsewhere. A texture of pure noise tells nothing.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (rows, stated width)

    Returns
    -------
    int or None
        The width found; None where the stated one fits or nothing can be told.
    """
    width = int(pixels.shape[1])
    lines = pixels[:_PROBE_LINES].astype(np.float64)
    stream = (lines - lines.mean()).ravel()
    if pixels.shape[0] < 8 or not stream.any():
        return None
    size = 1 << int(np.ceil(np.log2(2 * stream.size)))
    power = np.abs(np.fft.rfft(stream, size)) ** 2
    lags = np.fft.irfft(power, size)[: min(stream.size // 2, 2 * width + 1)]
    correlation = lags / lags[0] * (stream.size / (stream.size - np.arange(lags.size)))
    # Short lags correlate by themselves: neighbouring pixels of one line are alike.
    low = width // 4
    best = low + int(np.argmax(correlation[low:]))
    if correlation[width] < _UNSURE and correlation[best] > _SURE:
        return best
    return None


def _check_width(pixels: GreyStrip, name: str) -> None:
    found = evident_width(pixels)
    if found is not None:
        raise InputError(
            f"{name}: lines look {found} pixels wide, not {pixels.shape[1]}: neighbouring lines do not fit together",
            f"state --width {found}, or check --dtype",
        )


def _read_fully(file: IO[bytes], size: int) -> bytes:
    """Read *size* bytes, fewer only at the end of the stream; a pipe gives what it has."""
    parts: list[bytes] = []
    while size > 0:
        part = file.read(size)
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _regular_size(place: Path | IO[bytes]) -> int | None:
    """Return the bytes of a regular file, also where it was redirected to standard input; None for a pipe."""
    try:
        status = os.stat(place) if isinstance(place, Path) else os.fstat(place.fileno())
    except FileNotFoundError as error:
        raise InputError(f"{place}: no such file", "check the path") from error
    except OSError:  # a file in memory has no descriptor
        return None
    return int(status.st_size) if stat.S_ISREG(status.st_mode) else None
