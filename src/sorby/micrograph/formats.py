"""What a file's first bytes and its header say, before a single pixel is decoded."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Literal, Protocol

from sorby.micrograph.image import NO_SCALE, Pixels, Scale, mode_of

# Decoders report odd tags and profiles through logging; without a handler that lands on stderr.
for _decoder in ("imagecodecs", "tifffile"):
    logging.getLogger(_decoder).addHandler(logging.NullHandler())

Format = Literal["png", "jpeg", "bmp", "tiff"]

SIGNATURE_BYTES = 16

_SIGNATURES: tuple[tuple[bytes, Format], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),  # BigTIFF
    (b"MM\x00+", "tiff"),
    (b"BM", "bmp"),
)

_SUFFIXES: dict[Format, frozenset[str]] = {
    "png": frozenset({".png"}),
    "jpeg": frozenset({".jpg", ".jpeg", ".jpe", ".jfif"}),
    "bmp": frozenset({".bmp", ".dib"}),
    "tiff": frozenset({".tif", ".tiff", ".btf"}),
}


@dataclass(frozen=True)
class Header:
    """What an image file holds, read from its header alone.

    Attributes
    ----------
    format : str
        ``png``, ``jpeg``, ``bmp`` or ``tiff``, by content, not by name.
    width, height : int
        Pixels, upright: as :func:`sorby.micrograph.read` returns them.
    channels : int
        1 (grey) or 3 (RGB).
    dtype : str
        ``uint8``, ``uint16`` or ``float32``.
    page, n_pages : int
        The page described, counted from 0, and how many there are.
    orientation : int
        EXIF orientation, 1 to 8: how the stored pixels were turned to be upright; 1 where they were not.
    """

    format: Format
    width: int
    height: int
    channels: int
    dtype: str
    page: int = 0
    n_pages: int = 1
    orientation: int = 1

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height of the pixels as stored, before they are turned upright."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)

    @property
    def mode(self) -> str:
        """Colour and depth in one word, for example ``grey8``, ``rgb16``, ``grey32f``."""
        return mode_of(self.channels, self.dtype)


@dataclass(frozen=True)
class Found:
    """What a tag or a sidecar states: the scale, the instrument, and remarks."""

    scale: Scale = NO_SCALE
    info: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Damaged(Exception):
    """The content of an image file cannot be used; the message says why in a few words."""


class OpenImage(Protocol):
    """An image file whose header has been read."""

    @property
    def header(self) -> Header:
        """Size, colour, depth, pages."""

    @property
    def found(self) -> Found:
        """Scale and instrument as the file itself states them."""

    def decode(self) -> tuple[Pixels, list[str]]:
        """Decode the page; return upright pixels and remarks on what was done to them."""


def sniff(first: bytes) -> Format | None:
    """Tell the format from the first bytes of a file; None if it is none of ours."""
    for signature, name in _SIGNATURES:
        if first.startswith(signature):
            return name
    return None


def suffix_agrees(suffix: str, name: Format) -> bool:
    """Whether a file name ending goes with the format the content has."""
    return suffix.lower() in _SUFFIXES[name]
