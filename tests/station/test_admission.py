"""Which files are taken as images: what lies behind an image's end, bombs, and names."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sorby.errors import ImageError
from sorby.station.store import TooLarge
from sorby.station.store.admission import checked_header, shown_name

LIMIT = 1_000_000


def encoded(kind: str, **options) -> bytes:
    grey = np.random.default_rng(3).integers(0, 255, (61, 83), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, kind, **options)
    return buffer.getvalue()


def put(tmp_path, data: bytes):
    path = tmp_path / "received"
    path.write_bytes(data)
    return path


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("evil.js", "alert(1)")
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF"])
def test_plain_images_pass(tmp_path, kind):
    header = checked_header(put(tmp_path, encoded(kind)), LIMIT)
    assert (header.format, header.width, header.height) == (kind.lower(), 83, 61)


def test_a_progressive_jpeg_with_a_thumbnail_ends_where_it_ends(tmp_path):
    # The thumbnail in the EXIF segment is a JPEG with an end of its own.
    exif = Image.Exif()
    exif[0x010E] = "inner " + encoded("JPEG").decode("latin-1")
    path = put(tmp_path, encoded("JPEG", progressive=True, exif=exif.tobytes()))
    assert checked_header(path, LIMIT).width == 83


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
@pytest.mark.parametrize("rest", [b"#!/bin/sh\nrm -rf ~\n", b"\x00" * 10 + b"MZ", b"x"])
def test_what_follows_the_end_of_an_image_is_refused(tmp_path, kind, rest):
    with pytest.raises(ImageError, match="follow the end"):
        checked_header(put(tmp_path, encoded(kind) + rest), LIMIT)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_zeros_at_the_end_are_padding(tmp_path, kind):
    assert checked_header(put(tmp_path, encoded(kind) + bytes(512)), LIMIT).width == 83


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF"])
def test_an_image_that_is_an_archive_too_is_refused(tmp_path, kind):
    data = encoded(kind) + archive()
    assert zipfile.is_zipfile(put(tmp_path, data)), "the example is no polyglot"
    with pytest.raises(ImageError):
        checked_header(tmp_path / "received", LIMIT)


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "<HTML ><body>", "<!DOCTYPE svg>", "javascript:alert(1)"]
)
def test_an_image_whose_comment_is_a_page_is_refused(tmp_path, text):
    info = PngInfo()
    info.add_text("Comment", text)
    with pytest.raises(ImageError, match="page or a program"):
        checked_header(put(tmp_path, encoded("PNG", pnginfo=info)), LIMIT)
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8), np.uint8), description=text)
    with pytest.raises(ImageError, match="page or a program"):
        checked_header(tmp_path / "a.tif", LIMIT)


def test_descriptions_in_xml_are_no_pages(tmp_path):
    xml = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="0"/></OME>'
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8), np.uint8), description=xml, metadata=None)
    assert checked_header(tmp_path / "a.tif", LIMIT).format == "tiff"


def png_of(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


def test_a_bomb_is_refused_by_its_header(tmp_path):
    # 80 bytes that claim ten billion pixels: nothing is decoded to find out.
    with pytest.raises(TooLarge, match="100000 x 100000"):
        checked_header(put(tmp_path, png_of(100_000, 100_000)), LIMIT)


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a" + bytes(50), b"<svg onload=alert(1)>", b"\x89PNG\r\n\x1a\n", b"%PDF-1.7"]
)
def test_other_files_are_refused(tmp_path, data):
    with pytest.raises(ImageError) as found:
        checked_header(put(tmp_path, data), LIMIT)
    assert "received" not in found.value.message  # where it lies on the server is nobody's business


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("../../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/abs/olute.tif", "olute.tif"),
        ("a\x00b\r\n.png", "ab.png"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("", "image"),
        (" . ", "image"),
        ("Gefüge 500×.tif", "Gefüge 500×.tif"),
        ("<img src=x onerror=alert(1)>.png", "<img src=x onerror=alert(1)>.png"),  # text; faces escape it
        ("bad\udcff.png", "bad?.png"),
    ],
)
def test_names_are_text_and_no_paths(raw, shown):
    assert shown_name(raw) == shown


def test_a_long_name_keeps_its_ending():
    name = shown_name("x" * 500 + ".tiff")
    assert len(name) == 120
    assert name.endswith(".tiff")
