"""What an image file that somebody sends must be before the station keeps it.

Its header is read before its pixels, so that a picture too large to hold is refused while it is still a few bytes. It
must end where its format says it ends: a file that is an image and something else besides (an archive, a page with a
script) is refused, whoever might one day be made to read the other half.
"""

from __future__ import annotations

import mmap
import re
import struct
import unicodedata
from collections.abc import Callable
from pathlib import Path

from sorby.errors import ImageError
from sorby.micrograph import Header, identify
from sorby.station.store.content import TooLarge

MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "bmp": "image/bmp", "tiff": "image/tiff"}
"""Media type of each format that is accepted; what is served is called by it, whatever the file's name says."""

SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/bmp": ".bmp", "image/tiff": ".tif"}
"""Ending of a file of each media type."""

_NAME = 120  # characters of a name that are kept
_PADDING = 1 << 16  # zeros after the end of an image that are taken for padding
_ZIP_COMMENT = 1 << 16
_ZIP_END = b"PK\x05\x06"
_PDF_WITHIN = 1024  # where readers of PDF still look for its mark
#: What makes a browser or an interpreter take a file for a page or a program.
_ACTIVE = re.compile(rb"<(?:script[\s>/]|iframe[\s>]|!doctype\s|html[\s>]|\?php\s|object\s|embed\s)|javascript:", re.I)
#: In the entropy-coded part of a JPEG, FF stands before 00, a restart, or the next marker.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def shown_name(raw: str) -> str:
    r"""Return a file's name as it is shown: text, never a path.

    Folders, control characters and marks that turn the reading direction (with which ``gpj.exe`` reads ``exe.jpg``)
    are left out.

    Examples
    --------
    >>> shown_name("../../etc/passwd"), shown_name("C:\\images\\M7 500x.tif"), shown_name("..")
    ('passwd', 'M7 500x.tif', 'image')
    """
    text = unicodedata.normalize("NFC", raw.encode("utf-8", "replace").decode("utf-8", "replace"))
    last = re.split(r"[/\\]", text)[-1]
    clean = "".join(
        one for one in last if unicodedata.category(one)[0] != "C" and unicodedata.bidirectional(one) not in _BIDI
    )
    clean = " ".join(clean.split())
    if not clean.strip(". "):
        return "image"
    if len(clean) > _NAME:
        stem, dot, ending = clean.rpartition(".")
        ending = dot + ending if stem and len(ending) <= 8 else ""
        clean = clean[: _NAME - len(ending) - 1] + "\u2026" + ending
    return clean


def checked_header(path: Path, max_pixels: int) -> Header:
    """Say whether a received file is an image that the station keeps, without decoding it.

    Parameters
    ----------
    path : Path
    max_pixels : int

    Returns
    -------
    Header

    Raises
    ------
    ImageError
        It is no image of a format read here, damaged, or something else besides.
    TooLarge
        The image has more pixels.
    """
    try:
        header = identify(path)
    except ImageError as error:
        raise ImageError(_without(path, error.message), error.hint) from None
    if header.width * header.height > max_pixels:
        raise TooLarge(
            f"{header.width} x {header.height} pixels, more than the limit of {max_pixels:,}", "crop the image first"
        )
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        _refuse_trailing(data, _ENDS[header.format](data))
        _refuse_double(data)
    return header


def _without(path: Path, message: str) -> str:
    """Return an error's message without the path of a file that has no name yet."""
    return message.replace(f"{path}: ", "").replace(str(path), "the file")


def _refuse_trailing(data: mmap.mmap, end: int | None) -> None:
    """Refuse a file that goes on after its image; zeros are padding.

    Raises
    ------
    ImageError
    """
    if end is None or end >= len(data):
        return
    rest = data[end : end + _PADDING + 1]
    if len(data) - end > _PADDING or rest.strip(b"\x00"):
        raise ImageError(
            f"{len(data) - end:,} bytes follow the end of the image",
            "open it in an image program and save it again; what follows would be lost",
        )


def _refuse_double(data: mmap.mmap) -> None:
    """Refuse a file that is an archive, a document or a page besides.

    Raises
    ------
    ImageError
    """
    hint = "open it in an image program and save it again without comments"
    if data.find(b"%PDF-", 0, _PDF_WITHIN) >= 0:
        raise ImageError("an image that is a PDF too", hint)
    place = data.rfind(_ZIP_END, max(0, len(data) - _ZIP_COMMENT - 22))
    if 0 <= place <= len(data) - 22:
        (comment,) = struct.unpack_from("<H", data, place + 20)
        if place + 22 + comment <= len(data):
            raise ImageError("an image that is a ZIP archive too", hint)
    found = _ACTIVE.search(data)
    if found is not None:
        raise ImageError(f"an image that holds a page or a program at byte {found.start():,}", hint)


# -- where an image ends ----------------------------------------------------------------------------------


def _png_end(data: mmap.mmap) -> int:
    position = 8
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kind = data[position + 4 : position + 8]
        position += 12 + int(length)
        if kind == b"IEND":
            return position
    raise ImageError("a PNG without its end", "export the image again")


def _jpeg_end(data: mmap.mmap) -> int:
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            raise ImageError(f"no JPEG marker at byte {position:,}", "export the image again")
        code = data[position + 1]
        if code == 0xFF:  # fill byte
            position += 1
        elif code == 0xD9:
            return position + 2
        else:
            (length,) = struct.unpack_from(">H", data, position + 2)
            position += 2 + int(length)
            if code == 0xDA:
                found = _JPEG_MARKER.search(data, position)
                if found is None:
                    break
                position = found.start()
    if data[position : position + 2] == b"\xff\xd9":
        return position + 2
    raise ImageError("a JPEG without its end", "export the image again")


def _bmp_end(data: mmap.mmap) -> int:
    if len(data) < 30:
        raise ImageError("a BMP without its header", "export the image again")
    stated, offset = struct.unpack_from("<I4xI", data, 2)
    header_size = struct.unpack_from("<I", data, 14)[0]
    if header_size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
    else:
        width, height, _, bits = struct.unpack_from("<iiHH", data, 18)
    rows = offset + ((abs(width) * bits + 31) // 32) * 4 * abs(height)
    # Some writers state a wrong size; compressed rows take less than whole ones. Profiles lie inside the stated size.
    return int(max(stated, rows) if stated <= rows + _PADDING else rows)


def _tiff_end(_data: mmap.mmap) -> None:
    """Return None: a TIFF may hold its parts in any order, so the search for a second nature has to suffice."""
    return None


_ENDS: dict[str, Callable[[mmap.mmap], int | None]] = {
    "png": _png_end,
    "jpeg": _jpeg_end,
    "bmp": _bmp_end,
    "tiff": _tiff_end,
}
