"""Reading a micrograph: one call, one line of error, nothing silent."""

from __future__ import annotations

import math
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np

from sorby.errors import ImageError
from sorby.micrograph.formats import (
    SIGNATURE_BYTES,
    Damaged,
    Format,
    Found,
    Header,
    OpenImage,
    sniff,
    suffix_agrees,
)
from sorby.micrograph.image import Micrograph, Pixels, Scale
from sorby.micrograph.jpeg import JpegImage
from sorby.micrograph.raster import RasterImage
from sorby.micrograph.sidecars import read_sidecar

MAX_PIXELS = 400_000_000
"""Images with more pixels are refused from their header: they are damaged, or meant to exhaust memory."""

# A file may carry metadata and thumbnails, but not many times the bytes its pixels could need.
_SPARE_BYTES, _BYTES_PER_PIXEL = 1 << 26, 32

# Everything that Pillow, imagecodecs and tifffile raise on damaged content.
_DECODER_FAILURES = (
    Damaged, OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, RuntimeError,
    AttributeError, EOFError, MemoryError, struct.error, zlib.error,
)  # fmt: skip

_DISAGREEMENT = 0.02


def read(
    path: Path | str,
    *,
    page: int | None = None,
    pixel_size_um: float | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Micrograph:
    """Read one image with its scale.

    Formats are told by content, not by name: PNG, JPEG, BMP, TIFF and BigTIFF. Alpha is dropped,
    palettes are expanded, EXIF orientation is applied, and each is noted. Safe in threads; the
    interpreter lock is released while decoding.

    Parameters
    ----------
    path : Path or str
    page : int, optional
        Page of a multi-page TIFF, counted from 0. Left out, the first of the largest pages is
        read and the choice is noted.
    pixel_size_um : float, optional
        The pixel size where the user knows it, micrometres; it overrules the file.
    max_pixels : int
        Larger images are refused before decoding.

    Returns
    -------
    Micrograph

    Raises
    ------
    ImageError
        The file is absent, unreadable, no image, damaged, too large, or holds NaN; one line.
    """
    path = Path(path)
    if pixel_size_um is not None and not 0 < pixel_size_um < math.inf:
        raise ImageError(f"{path}: pixel size must be positive, not {pixel_size_um}", "state um per pixel")
    with _opened(path, page) as (image, notes):
        header = image.header
        _refuse_too_large(path, header, max_pixels)
        pixels, remarks = image.decode()
        found = _with_sidecar(image.found, path, header)
    _refuse_unusable(path, pixels)
    scale, said = _with_user_scale(found.scale, pixel_size_um)
    return Micrograph(
        pixels=pixels,
        path=path,
        scale=scale,
        page=header.page,
        n_pages=header.n_pages,
        notes=(*notes, *remarks, *found.notes, *said),
        info=found.info,
    )


def identify(path: Path | str, *, page: int | None = None) -> Header:
    """Read size, colour and depth from the header, without decoding.

    Parameters
    ----------
    path : Path or str
    page : int, optional
        As for :func:`read`.

    Returns
    -------
    Header
        Its width, height and mode are those of what :func:`read` returns. No limit is applied to
        the size, so that a caller may report it.

    Raises
    ------
    ImageError
        The file is absent, unreadable, or no image.
    """
    with _opened(Path(path), page) as (image, _):
        return image.header


def scale_of(path: Path | str, *, page: int | None = None) -> dict[str, object]:
    """State magnification and pixel size of an image from its tags or sidecar, without decoding.

    Returns
    -------
    dict
        ``file``, ``magnification``, ``pixel_size_um``, ``source``, ``confidence``, ``info_bar`` (None:
        the bar is not looked at here), ``detail``, ``notes``.

    Raises
    ------
    ImageError
        The file is absent, unreadable, or no image.
    """
    path = Path(path)
    with _opened(path, page) as (image, notes):
        found = _with_sidecar(image.found, path, image.header)
    scale = found.scale
    return {
        "file": str(path),
        "magnification": scale.magnification,
        "pixel_size_um": scale.pixel_size_um,
        "source": scale.source,
        "confidence": scale.confidence,
        "info_bar": None,
        "detail": scale.detail,
        "notes": [*notes, *found.notes],
    }


@contextmanager
def _opened(path: Path, page: int | None) -> Iterator[tuple[OpenImage, list[str]]]:
    """Open *path*, read its header, and turn whatever goes wrong in the block into one line."""
    size = _regular_file_size(path)
    try:
        file = open(path, "rb")  # noqa: SIM115 - opened apart: an error here is of the path, not of the content
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened ({error.strerror})", "check its permissions") from error
    with file:
        kind = sniff(file.read(SIGNATURE_BYTES))
        if kind is None:
            raise ImageError(
                f"{path}: not a PNG, JPEG, BMP or TIFF image by its content",
                "convert it to one of these, or leave it out",
            )
        try:
            file.seek(0)
            image = _open_as(kind, file, size, page)
            _refuse_absurd(image.header, size)
            yield image, _name_notes(path, kind)
        except Damaged as error:
            raise ImageError(f"{path}: {error}", "export the image again") from error
        except ImageError:
            raise
        except _DECODER_FAILURES as error:
            raise ImageError(
                f"{path}: truncated or damaged {kind.upper()} ({_one_line(error)})", "export the image again"
            ) from error


def _open_as(kind: Format, file: IO[bytes], size: int, page: int | None) -> OpenImage:
    if kind == "tiff":
        from sorby.micrograph.tiff import TiffImage  # tifffile takes a while to import

        return TiffImage(file, size, page)
    if page not in (None, 0):
        raise Damaged(f"page {page} asked for; a {kind.upper()} file has page 0 only")
    if kind == "jpeg":
        return JpegImage(file)

    return RasterImage(file, kind)


def _regular_file_size(path: Path) -> int:
    try:
        status = os.stat(path)
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file", "check the path") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: cannot be opened ({_one_line(error)})", "check the path") from error
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(f"{path}: a folder, not an image", "name an image file")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"{path}: not a regular file", "name an image file")
    if status.st_size == 0:
        raise ImageError(f"{path}: the file is empty (0 bytes)", "copy or export it again")
    return status.st_size


def _refuse_absurd(header: Header, size: int) -> None:
    pixels = header.width * header.height
    if pixels <= 0:
        raise Damaged(f"the header states {header.width} x {header.height} pixels")
    if header.n_pages == 1 and size > _SPARE_BYTES + _BYTES_PER_PIXEL * pixels:
        raise Damaged(f"{size} bytes for {header.width} x {header.height} pixels")


def _refuse_too_large(path: Path, header: Header, max_pixels: int) -> None:
    if header.width * header.height > max_pixels:
        raise ImageError(
            f"{path}: {header.width} x {header.height} pixels, more than the limit of {max_pixels:,}",
            "crop or reduce the image first",
        )


def _refuse_unusable(path: Path, pixels: Pixels) -> None:
    if pixels.dtype.kind != "f":
        return
    bad = int(pixels.size - np.count_nonzero(np.isfinite(pixels)))
    if bad:
        raise ImageError(
            f"{path}: {bad} of {pixels.size} pixel values are NaN or infinite",
            "replace them before export; sorby does not guess pixels",
        )


def _name_notes(path: Path, kind: Format) -> list[str]:
    if suffix_agrees(path.suffix, kind):
        return []
    return [f"named {path.suffix or 'without an ending'}, but a {kind.upper()} by content"]


def _with_sidecar(found: Found, path: Path, header: Header) -> Found:
    """Complete what the tags state from the sidecar; the tag inside the image comes first."""
    beside = read_sidecar(path, header.width)
    if beside is None:
        return found
    info, notes = {**beside.info, **found.info}, (*found.notes, *beside.notes)
    ours, theirs = found.scale.pixel_size_um, beside.scale.pixel_size_um
    if ours is None or (found.scale.source == "tiff-resolution" and theirs is not None):
        scale = beside.scale if beside.scale.source != "none" else found.scale
        return Found(scale, info, notes)
    scale = found.scale
    if theirs is not None and abs(theirs / ours - 1) > _DISAGREEMENT:
        scale = replace(scale, confidence=scale.confidence / 2)
        notes = (*notes, f"sidecar states {theirs:g} um a pixel, the tag {ours:g}: the tag is used, with doubt")
    return Found(scale, info, notes)


def _with_user_scale(scale: Scale, pixel_size_um: float | None) -> tuple[Scale, list[str]]:
    if pixel_size_um is None:
        return scale, []
    notes, stated = [], scale.pixel_size_um
    if stated is not None and abs(stated / pixel_size_um - 1) > _DISAGREEMENT:
        notes.append(
            f"the file states {stated:g} um a pixel ({scale.source}); overruled by the user's {pixel_size_um:g}"
        )
    return Scale(float(pixel_size_um), scale.magnification, "user", 1.0, "stated by the user"), notes


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else text[:117] + "..."
