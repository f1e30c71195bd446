"""A bad file costs one line: what, where, what to do."""

from __future__ import annotations

import io
import os
import resource
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image
from test_reading import bare_tiff

from sorby import micrograph
from sorby.errors import ImageError


def refused(path, match, **options):
    with pytest.raises(ImageError, match=match) as caught:
        micrograph.read(path, **options)
    message = caught.value.message
    assert "\n" not in message
    assert str(path) in message
    assert caught.value.hint
    return message


def encoded(suffix: str, pixels) -> bytes:
    buffer = io.BytesIO()
    if suffix.startswith("tif"):
        compression = "zlib" if suffix == "tif-zlib" else None
        tifffile.imwrite(buffer, pixels, compression=compression, rowsperstrip=8)
    else:
        Image.fromarray(pixels).save(buffer, suffix)
    return buffer.getvalue()


FORMATS = ["png", "jpeg", "bmp", "tif", "tif-zlib"]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kept", [0.05, 0.3, 0.7, 0.97])
def test_a_truncated_file_is_refused_never_filled_with_grey(tmp_path, rng, suffix, kept):
    data = encoded(suffix, rng.integers(0, 256, (64, 64), dtype=np.uint8))
    path = tmp_path / f"a.{suffix.split('-')[0]}"
    path.write_bytes(data[: int(len(data) * kept)])
    refused(path, "truncated|damaged|beyond the end|missing|no image|not a PNG")


def test_a_truncated_jpeg_is_refused_though_its_thumbnail_is_whole(tmp_path, rng):
    thumbnail = encoded("jpeg", rng.integers(0, 256, (16, 16), dtype=np.uint8))
    exif = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + thumbnail
    path = tmp_path / "a.jpg"
    Image.fromarray(rng.integers(0, 256, (64, 64), dtype=np.uint8)).save(path, exif=exif)
    assert micrograph.read(path).pixels.shape == (64, 64)
    path.write_bytes(path.read_bytes()[:-40])
    refused(path, "truncated")


@pytest.mark.parametrize("suffix", FORMATS)
def test_damaged_bytes_give_an_image_or_one_line_and_nothing_else(tmp_path, rng, suffix):
    good = encoded(suffix, rng.integers(0, 256, (48, 40), dtype=np.uint8))
    path = tmp_path / f"a.{suffix.split('-')[0]}"
    messages = []
    for _ in range(150):
        bad = bytearray(good)
        # Headers stand in front (or, in TIFF, anywhere): hit the first bytes more often than the rest.
        reach = 200 if rng.random() < 0.6 else len(bad)
        for position in rng.integers(0, min(reach, len(bad)), rng.integers(1, 6)):
            bad[position] = rng.integers(0, 256)
        path.write_bytes(bad)
        try:
            micrograph.read(path, max_pixels=1_000_000)
        except ImageError as error:
            messages.append(error.message)
    assert messages
    assert not any("\n" in message for message in messages)


def test_an_empty_file_a_folder_and_an_absent_file_are_told_apart(tmp_path):
    (tmp_path / "empty.png").touch()
    refused(tmp_path / "empty.png", "empty")
    refused(tmp_path, "a folder")
    refused(tmp_path / "absent.png", "no such file")
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "not a regular file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path):
    path = tmp_path / "a.png"
    Image.new("L", (4, 4)).save(path)
    path.chmod(0)
    refused(path, "cannot be opened")


def test_a_text_called_png_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("magnification 500 x, operator on leave\n")
    refused(tmp_path / "a.png", "not a PNG, JPEG, BMP or TIFF")


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_an_image_of_another_format_is_refused(tmp_path, suffix):
    Image.new("L", (8, 8)).save(tmp_path / f"a.{suffix}")
    refused(tmp_path / f"a.{suffix}", "not a PNG")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_a_number_is_refused_and_counted(tmp_path, bad):
    pixels = np.zeros((9, 9), np.float32)
    pixels[2, 3:5] = bad
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    refused(tmp_path / "a.tif", "2 of 81 pixel values are NaN or infinite")


def claimed_png(side: int) -> bytes:
    """A PNG header of side x side grey pixels with next to no data behind it."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def claimed_bmp(side: int) -> bytes:
    return struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 0, 0, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(99)


def claimed_jpeg(side: int) -> bytes:
    data = encoded("jpeg", np.zeros((8, 8), np.uint8))
    frame = data.index(b"\xff\xc0") + 5
    return data[:frame] + struct.pack(">HH", side, side) + data[frame + 4 :]


@pytest.mark.parametrize("suffix", ["png", "bmp", "jpg", "tif"])
def test_forty_thousand_squared_is_refused_from_the_header(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    if suffix == "tif":
        bare_tiff(path, bytes(99), width=40_000, length=40_000, bits=8)
    else:
        path.write_bytes({"png": claimed_png, "bmp": claimed_bmp, "jpg": claimed_jpeg}[suffix](40_000))
    refused(path, "40000 x 40000 pixels, more than the limit of 400,000,000")  # and modules are loaded
    tracemalloc.start()
    refused(path, "40000 x 40000")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000  # against 1.6 GB decoded


def test_a_real_forty_thousand_squared_png_is_refused_without_decoding(tmp_path):
    packer = zlib.compressobj(1)
    rows = bytes(40_001 * 500)
    body = b"".join(packer.compress(rows) for _ in range(80)) + packer.flush()
    data = claimed_png(40_000)
    cut = data.index(b"IDAT") - 4
    chunk = struct.pack(">I", len(body)) + b"IDAT" + body + struct.pack(">I", zlib.crc32(b"IDAT" + body))
    (tmp_path / "a.png").write_bytes(data[:cut] + chunk + data[-12:])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(tmp_path / "a.png", "40000 x 40000")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def test_the_limit_is_the_callers_and_the_header_stays_readable(tmp_path):
    Image.new("L", (200, 100)).save(tmp_path / "a.png")
    refused(tmp_path / "a.png", "200 x 100", max_pixels=19_999)
    assert micrograph.read(tmp_path / "a.png", max_pixels=20_000).width == 200
    (tmp_path / "b.png").write_bytes(claimed_png(40_000))
    assert micrograph.identify(tmp_path / "b.png").width == 40_000


def test_a_strip_that_expands_beyond_its_image_is_refused(tmp_path):
    bomb = zlib.compress(bytes(50_000_000), 9)
    path = bare_tiff(tmp_path / "a.tif", bomb, width=10, length=10, bits=8, compression=8)
    refused(path, "damaged")


def test_a_small_image_in_a_huge_tile_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((16, 16), np.uint8), tile=(16, 16))
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as tiff:
        tiff.pages[0].tags["TileWidth"].overwrite(60_000)
        tiff.pages[0].tags["TileLength"].overwrite(60_000)
    refused(tmp_path / "a.tif", "far larger than the image")


@pytest.mark.parametrize("samples", [5, 200])
def test_spectral_images_are_refused(tmp_path, samples):
    tifffile.imwrite(
        tmp_path / "a.tif", np.zeros((8, 8, samples), np.uint8), photometric="minisblack", planarconfig="contig"
    )
    refused(tmp_path / "a.tif", f"{samples} samples a pixel")


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_pixel_size_is_refused(tmp_path, size):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    refused(tmp_path / "a.png", "pixel size must be positive", pixel_size_um=size)
