"""TIFF and BigTIFF: strips or tiles, any of the usual compressions, grey, colour, palette, several pages."""

from __future__ import annotations

from typing import IO, Any

import numpy as np
import numpy.typing as npt
import tifffile

from sorby.micrograph.formats import Damaged, Header
from sorby.micrograph.image import Pixels
from sorby.micrograph.orientation import swaps_axes, upright
from sorby.micrograph.tags import scale_from_tiff

_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _SEPARATED, _YCBCR = 0, 1, 2, 3, 5, 6
_JPEG_COMPRESSIONS = (6, 7, 34892, 33007)
_ORIENTATION_TAG = 274
_PAGES_COMPARED = 16
_SMALL_TILE = 1 << 22
_PARALLEL_FROM_PIXELS = 32_000_000


class TiffImage:
    """One page of a TIFF file whose directory has been read.

    Parameters
    ----------
    file : binary file
        Positioned at its start.
    size : int
        Length of the file, bytes.
    page : int or None
        Page to use, counted from 0; None takes the first of the largest among the first sixteen
        pages, because some instruments put a thumbnail first.
    """

    def __init__(self, file: IO[bytes], size: int, page: int | None) -> None:
        self._tiff = tifffile.TiffFile(file)
        self._size = size
        n_pages = len(self._tiff.pages)
        if n_pages == 0:
            raise Damaged("no image in the file")
        if page is not None and not 0 <= page < n_pages:
            raise Damaged(f"page {page} asked for; the file has pages 0 to {n_pages - 1}")
        self._notes: list[str] = []
        index = self._largest_page(n_pages) if page is None else page
        if page is None and n_pages > 1:
            self._notes.append(f"page {index} of 0 to {n_pages - 1} read (the first of the largest)")
        self._page: Any = self._full_page(index)
        tag = self._page.tags.get(_ORIENTATION_TAG)
        value = int(tag.value) if tag is not None and isinstance(tag.value, int) else 1
        self._orientation = value if 1 <= value <= 8 else 1
        self.header = self._describe(index, n_pages)
        self.found = scale_from_tiff(self._page, self.header)

    def _full_page(self, index: int) -> Any:
        pages = self._tiff.pages
        return pages.first if index == 0 else pages.get(index, cache=False, validate=False)

    def _largest_page(self, n_pages: int) -> int:
        areas = [
            page.imagewidth * page.imagelength for page in map(self._full_page, range(min(n_pages, _PAGES_COMPARED)))
        ]
        return areas.index(max(areas))

    def _describe(self, index: int, n_pages: int) -> Header:
        page = self._page
        if page.dtype is None:
            raise Damaged(f"{page.bitspersample}-bit samples of format {page.sampleformat} are not supported")
        if page.imagedepth != 1:
            raise Damaged("a volume in one page is not supported")
        if page.dtype.kind not in "buif":
            raise Damaged(f"pixels of type {page.dtype} are not supported")
        if page.tilewidth * page.tilelength > _SMALL_TILE + 4 * page.imagewidth * page.imagelength:
            raise Damaged(f"tiles of {page.tilewidth} x {page.tilelength} pixels, far larger than the image")
        width, height = int(page.imagewidth), int(page.imagelength)
        if swaps_axes(self._orientation):
            width, height = height, width
        channels = self._channels()
        dtype = "uint8" if page.photometric == _PALETTE else str(_target_type(page.dtype))
        return Header("tiff", width, height, channels, dtype, index, n_pages, self._orientation)

    def _channels(self) -> int:
        photometric, samples = self._page.photometric, self._page.samplesperpixel
        if photometric == _PALETTE:
            table = _palette(self._page.colormap)
            return 1 if (table == table[:, :1]).all() else 3
        if photometric in (_MIN_IS_WHITE, _MIN_IS_BLACK) and samples in (1, 2):
            return 1
        if photometric in (_RGB, _MIN_IS_BLACK) and samples in (3, 4):
            return 3
        if photometric == _SEPARATED and samples == 4 and self._page.dtype == np.uint8:
            return 3
        if photometric == _YCBCR and samples == 3 and self._page.compression in _JPEG_COMPRESSIONS:
            return 3
        name = getattr(photometric, "name", str(photometric))
        raise Damaged(f"{samples} samples a pixel of colour type {name} are not supported")

    def decode(self) -> tuple[Pixels, list[str]]:
        """Decode the page; return upright grey or RGB pixels and remarks."""
        self._refuse_missing_data()
        notes = list(self._notes)
        large = self.header.width * self.header.height >= _PARALLEL_FROM_PIXELS
        stored = self._page.asarray(squeeze=False, maxworkers=None if large else 1)
        planes, _, height, width, contiguous = stored.shape
        pixels = np.moveaxis(stored[:, 0, ..., 0], 0, -1) if planes > 1 else stored[0, 0]
        if (height, width) != (self._page.imagelength, self._page.imagewidth) or contiguous > 4:
            raise Damaged("the pixel data does not have the size the header states")
        pixels = _to_colours(pixels, self._page, notes)
        pixels = _to_supported_type(pixels, self._page.bitspersample, notes)
        if self._orientation != 1:
            pixels = upright(pixels, self._orientation)
            notes.append(f"turned upright (EXIF orientation {self._orientation})")
        return np.ascontiguousarray(pixels), notes

    def _refuse_missing_data(self) -> None:
        """Refuse strips and tiles beyond the end of the file, which tifffile would fill with zeros."""
        offsets = np.asarray(self._page.dataoffsets, np.uint64)
        lengths = np.asarray(self._page.databytecounts, np.uint64)
        if not len(offsets) or len(offsets) != len(lengths) or not (offsets.all() and lengths.all()):
            raise Damaged("strips or tiles are missing")
        if (offsets > self._size).any() or (lengths > self._size - offsets).any():
            raise Damaged("truncated: pixel data lies beyond the end of the file")


def _to_colours(pixels: Pixels, page: Any, notes: list[str]) -> Pixels:
    """Bring (H, W, S) samples to (H, W) grey or (H, W, 3) RGB."""
    samples = pixels.shape[2]
    if page.photometric == _PALETTE:
        notes.append("palette expanded")
        table = _palette(page.colormap)
        colours = table[np.minimum(pixels[..., 0], len(table) - 1)]
        grey = bool((table == table[:, :1]).all())
        return np.ascontiguousarray(colours[..., 0]) if grey else colours
    if page.photometric == _SEPARATED:
        notes.append("CMYK converted to RGB")
        ink = 255 - pixels.astype(np.uint32)
        return ((ink[..., :3] * ink[..., 3:] + 127) // 255).astype(np.uint8)
    if samples in (2, 4):
        notes.append(_alpha_note(pixels[..., -1]))
        pixels = pixels[..., :-1]
    if pixels.shape[2] == 3:
        if page.photometric == _MIN_IS_BLACK:
            notes.append("three channels without a stated colour taken for RGB")
        return pixels
    grey_plane: Pixels = pixels[..., 0]
    if page.photometric == _MIN_IS_WHITE and grey_plane.dtype.kind in "bu":
        notes.append("inverted (the file counts from white)")
        return _inverted(grey_plane, page.bitspersample)
    return grey_plane


def _inverted(plane: Pixels, bits: int) -> Pixels:
    if plane.dtype.kind == "b":
        return ~plane
    inverted: Pixels = plane.dtype.type(2 ** int(bits) - 1) - plane
    return inverted


def _alpha_note(alpha: Pixels) -> str:
    opaque = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "ui" else 1
    hidden = 1 - float(np.mean(alpha == opaque))
    return "alpha dropped" + (f" ({hidden:.1%} of the image was not opaque)" if hidden else "")


def _palette(colormap: Any) -> npt.NDArray[np.uint8]:
    """Return the colour table as (entries, 3) uint8."""
    if colormap is None:
        raise Damaged("a palette image without its palette")
    table = np.asarray(colormap).reshape(3, -1).T
    # The high byte serves writers that scale by 256 and those that scale by 257; some leave eight bits.
    return (table if table.max(initial=0) < 256 else table >> 8).astype(np.uint8)


def _target_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind == "b" or (dtype.kind == "u" and dtype.itemsize == 1):
        return np.dtype(np.uint8)
    if dtype.kind == "u" and dtype.itemsize == 2:
        return np.dtype(np.uint16)
    return np.dtype(np.float32)


def _to_supported_type(pixels: Pixels, bits: Any, notes: list[str]) -> Pixels:
    """Bring samples to uint8, uint16 or float32 so that full range means black to white."""
    target = _target_type(pixels.dtype)
    if pixels.dtype.kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255)
    if target == np.float32:
        if pixels.dtype != np.float32:
            notes.append(f"{pixels.dtype} converted to float32")
        with np.errstate(over="ignore"):  # a float64 beyond the range becomes inf and is refused
            real: Pixels = pixels.astype(np.float32)
        return real
    full, wanted = 2 ** int(bits) - 1, np.iinfo(target).max
    if full < wanted:
        notes.append(f"{int(bits)}-bit values stretched to {8 * target.itemsize} bits")
        pixels = (pixels.astype(np.uint32) * wanted + full // 2) // full
    whole: Pixels = pixels.astype(target, copy=False)
    return whole
