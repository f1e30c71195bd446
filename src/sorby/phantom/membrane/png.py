"""Grey PNG files written strip by strip, so that a sheet never has to lie in memory whole."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import IO

import numpy as np
import numpy.typing as npt

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def write_grey_png(
    file: IO[bytes], shape: tuple[int, int], strips: Iterable[npt.NDArray[np.uint8]], level: int = 1
) -> None:
    """Write strips of grey levels as one PNG image of 8 bits (ISO/IEC 15948, no interlace).

    Parameters
    ----------
    file : binary file
        Open for writing.
    shape : tuple of int
        Rows and columns of the whole image.
    strips : iterable of ndarray of uint8, shape (n, columns)
        From the top; together they have all rows.
    level : int
        Of the compression; noise hardly compresses, so more than 1 costs time and saves little.

    Raises
    ------
    ValueError
        The strips do not make up the shape.
    """
    rows, columns = shape
    packer = zlib.compressobj(level)
    file.write(_SIGNATURE)
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0))
    written = 0
    for strip in strips:
        if strip.ndim != 2 or strip.shape[1] != columns:
            raise ValueError(f"a strip of shape {strip.shape} in an image of {columns} columns")
        # Each row begins with the number of its filter; 0 is none.
        lines = np.zeros((len(strip), columns + 1), dtype=np.uint8)
        lines[:, 1:] = strip
        packed = packer.compress(lines.tobytes())
        if packed:
            _chunk(file, b"IDAT", packed)
        written += len(strip)
    if written != rows:
        raise ValueError(f"{written} rows for an image of {rows}")
    _chunk(file, b"IDAT", packer.flush())
    _chunk(file, b"IEND", b"")


def _chunk(file: IO[bytes], kind: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
