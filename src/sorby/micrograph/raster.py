"""PNG and BMP.

Pillow reads the headers (some 10 us); imagecodecs decodes PNG, for it is up to twice as fast as Pillow
with identical pixels, keeps 16-bit colour and releases the interpreter lock. Pillow decodes BMP.
Pillow's plugin classes are called directly: its global size limit and warnings stay out of it, so
threads do not meet.
"""

from __future__ import annotations

from typing import IO, Any, Literal

import imagecodecs
import numpy as np
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.PngImagePlugin import PngImageFile

from sorby.micrograph.formats import Damaged, Found, Header
from sorby.micrograph.image import Pixels
from sorby.micrograph.orientation import exif_orientation, swaps_axes, upright

RasterFormat = Literal["png", "bmp"]

_PLUGINS: dict[RasterFormat, Any] = {"png": PngImageFile, "bmp": BmpImageFile}
_GREY_MODES = frozenset({"1", "L"})
_PNG_GREY = (0, 4)  # colour types without and with alpha


class RasterImage:
    """A PNG or BMP file whose header has been read.

    Parameters
    ----------
    file : binary file
        Positioned at its start.
    kind : {"png", "bmp"}
        What the signature says.
    """

    def __init__(self, file: IO[bytes], kind: RasterFormat) -> None:
        self._file = file
        self._kind = kind
        self._image: Image.Image = _PLUGINS[kind](file)
        exif = self._image.info.get("exif") if kind != "bmp" else None
        self._orientation = exif_orientation(exif) if isinstance(exif, bytes) else 1
        self.header = self._describe()
        # pHYs densities are print settings and are never taken for a pixel size.
        self.found = Found()

    def decode(self) -> tuple[Pixels, list[str]]:
        """Decode; return upright grey or RGB pixels and remarks."""
        notes: list[str] = []
        pixels = self._decode_as_stored()
        if getattr(self._image, "is_animated", False):
            notes.append("animated PNG: only its default image is read")
        if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
            pixels = _without_alpha(pixels, notes)
        if self._image.mode == "P":
            notes.append("palette expanded")
            if pixels.ndim == 3 and self.header.channels == 1:
                pixels = np.ascontiguousarray(pixels[..., 0])
        if self._orientation != 1:
            pixels = upright(pixels, self._orientation)
            notes.append(f"turned upright (EXIF orientation {self._orientation})")
        if pixels.dtype not in (np.uint8, np.uint16):
            raise Damaged(f"pixels of type {pixels.dtype} are not supported in this format")
        return pixels, notes

    def _describe(self) -> Header:
        width, height = self._image.size
        if swaps_axes(self._orientation):
            width, height = height, width
        grey, sixteen = self._image.mode in _GREY_MODES, False
        if self._kind == "png":
            # Pillow has no mode for 16-bit colour and calls 16-bit grey with alpha RGBA.
            depth, colour_type = _png_depth_and_colour_type(self._file)
            grey, sixteen = colour_type in _PNG_GREY, depth == 16
        if self._image.mode == "P":
            grey = _palette_is_grey(self._image)
        return Header(
            self._kind, width, height, 1 if grey else 3, "uint16" if sixteen else "uint8", orientation=self._orientation
        )

    def _decode_as_stored(self) -> Pixels:
        if self._kind == "bmp":
            return self._decode_with_pillow()
        self._file.seek(0)
        pixels: Pixels = imagecodecs.png_decode(self._file.read())
        return pixels

    def _decode_with_pillow(self) -> Pixels:
        self._image.load()
        wanted = "L" if self.header.channels == 1 else "RGB"
        if self._image.mode == wanted or self._image.mode == "RGBA":
            return np.array(self._image)
        return np.array(self._image.convert(wanted))


def _without_alpha(pixels: Pixels, notes: list[str]) -> Pixels:
    """Drop the last channel of (H, W, 2) or (H, W, 4) and say whether it hid anything."""
    alpha = pixels[..., -1]
    opaque = np.iinfo(pixels.dtype).max
    hidden = 1 - float(np.mean(alpha == opaque))
    notes.append("alpha dropped" + (f" ({hidden:.1%} of the image was not opaque)" if hidden else ""))
    return np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3])


def _palette_is_grey(image: Image.Image) -> bool:
    palette = image.palette
    if palette is None:
        return True
    entries = np.frombuffer(bytes(palette.palette), np.uint8)
    width = len(palette.rawmode or palette.mode)
    entries = entries[: len(entries) // width * width].reshape(-1, width)
    # BMP palettes are blue, green, red, filler in the file; Pillow's raw mode keeps that order.
    return bool((entries[:, :3] == entries[:, :1]).all())


def _png_depth_and_colour_type(file: IO[bytes]) -> tuple[int, int]:
    """Read two bytes of IHDR, which Pillow has checked; the position in the file is kept."""
    position = file.tell()
    file.seek(24)
    depth, colour_type = file.read(2)
    file.seek(position)
    return depth, colour_type
