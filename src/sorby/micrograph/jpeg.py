"""JPEG: the header by hand, the pixels by libjpeg-turbo.

Stepping over the segments takes some 10 us and warns about nothing; imagecodecs decodes up to 1.6
times as fast as Pillow, to the same pixels, and releases the interpreter lock. Pillow decodes what
is rare: CMYK.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import imagecodecs
import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from sorby.micrograph.formats import Damaged, Found, Header
from sorby.micrograph.image import Pixels
from sorby.micrograph.orientation import exif_orientation, swaps_axes, upright

_MARKER = 0xFF
_START_OF_SCAN, _APP1 = 0xDA, 0xE1
# Start-of-frame codes are C0 to CF without the tables DHT, JPG and DAC among them.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_END_OF_IMAGE = b"\xff\xd9"


class JpegImage:
    """A JPEG file whose header has been read.

    Parameters
    ----------
    file : binary file
        Positioned at its start.

    References
    ----------
    ITU-T T.81, annex B (markers); JFIF densities are print settings and never taken for a pixel size.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._orientation = 1
        frame = b""
        for code, start, body in _segments(file):
            if code == _APP1 and body.startswith(b"Exif\x00\x00"):
                self._orientation = exif_orientation(body)
            elif code in _FRAMES:
                frame = body
            self._scan_start = start
        if len(frame) < 6:
            raise Damaged("truncated: no frame header")
        precision, self._components = frame[0], frame[5]
        if precision != 8 or self._components not in (1, 3, 4):
            raise Damaged(f"JPEG of {self._components} x {precision} bits is not supported")
        height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
        if swaps_axes(self._orientation):
            width, height = height, width
        self.header = Header(
            "jpeg", width, height, 1 if self._components == 1 else 3, "uint8", orientation=self._orientation
        )
        self.found = Found()

    def decode(self) -> tuple[Pixels, list[str]]:
        """Decode; return upright grey or RGB pixels and remarks."""
        notes: list[str] = []
        self._file.seek(0)
        data = self._file.read()
        # libjpeg fills what a truncated file lacks with grey and only warns: look for the end marker.
        # In entropy-coded data FF is followed by 00 or a restart, so a find there is the real end.
        if data.rfind(_END_OF_IMAGE) < self._scan_start:
            raise Damaged("truncated: the end of the image is missing")
        pixels: Pixels
        if self._components == 4:
            self._file.seek(0)
            pixels = np.array(JpegImageFile(self._file).convert("RGB"))
            notes.append("CMYK converted to RGB")
        else:
            pixels = imagecodecs.jpeg8_decode(data)
        if self._orientation != 1:
            pixels = upright(pixels, self._orientation)
            notes.append(f"turned upright (EXIF orientation {self._orientation})")
        return pixels, notes


def _segments(file: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Step over the segments up to the first scan; yield marker code, offset and body of each.

    A segment may hold a whole thumbnail with markers of its own, so searching for bytes will not do.
    """
    position = 2
    while True:
        file.seek(position)
        marker = file.read(4)
        if len(marker) < 4:
            raise Damaged("truncated: no image data")
        if marker[0] != _MARKER:
            raise Damaged(f"no JPEG marker at byte {position}")
        code, length = marker[1], int.from_bytes(marker[2:], "big")
        if code == _MARKER:  # a fill byte
            position += 1
            continue
        wanted = code == _APP1 or code in _FRAMES
        yield code, position, file.read(length - 2) if wanted and length > 2 else b""
        if code == _START_OF_SCAN:
            return
        position += 2 + length
