"""Every format gives back the pixels that were written, and says what was done to them."""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from sorby import micrograph
from sorby.errors import ImageError

HEIGHT, WIDTH = 37, 53  # odd and prime: no row or tile boundary falls into place by luck


def noise(rng, *shape, dtype=np.uint8):
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def bare_tiff(path: Path, data: bytes, **tags: int) -> Path:
    """A little-endian TIFF of one strip, for sample sizes that no writer at hand produces."""
    codes = {
        "width": 256, "length": 257, "bits": 258, "compression": 259, "photometric": 262,
        "offset": 273, "samples": 277, "rows": 278, "count": 279,
    }  # fmt: skip
    values = {"compression": 1, "photometric": 1, "samples": 1, "count": len(data), **tags}
    values["rows"] = values["length"]
    values["offset"] = 8 + 2 + 12 * len(codes) + 4
    entries = b"".join(struct.pack("<HHII", code, 4, 1, values[name]) for name, code in codes.items())
    path.write_bytes(struct.pack("<4sIH", b"II*\0", 8, len(codes)) + entries + bytes(4) + data)
    return path


def assert_reads(path, expected, note=""):
    image = micrograph.read(path)
    np.testing.assert_array_equal(image.pixels, expected)
    assert image.pixels.dtype == expected.dtype
    assert note in " / ".join(image.notes)
    header = micrograph.identify(path)
    assert (header.height, header.width, header.mode) == (image.height, image.width, image.mode)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_lossless_eight_bit_formats_return_the_written_pixels(tmp_path, rng, suffix, channels):
    pixels = noise(rng, HEIGHT, WIDTH, *channels)
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}")
    assert_reads(tmp_path / f"a{suffix}", pixels)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_decodes_to_the_pixels_that_pillow_gives(tmp_path, rng, mode, progressive):
    smooth = Image.fromarray(noise(rng, 8, 8, 3)).resize((WIDTH, HEIGHT)).convert(mode)
    smooth.save(tmp_path / "a.jpg", quality=80, progressive=progressive)
    assert_reads(tmp_path / "a.jpg", np.array(Image.open(tmp_path / "a.jpg")))


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_survive_in_grey_and_in_colour(tmp_path, rng, suffix, channels):
    pixels = noise(rng, HEIGHT, WIDTH, *channels, dtype=np.uint16)
    path = tmp_path / f"a{suffix}"
    if suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(pixels))
    else:
        tifffile.imwrite(path, pixels, photometric="rgb" if channels else "minisblack")
    assert_reads(path, pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_alpha_is_dropped_and_noted_with_what_it_hid(tmp_path, rng, suffix, colours, dtype):
    pixels = noise(rng, HEIGHT, WIDTH, colours, dtype=dtype)
    alpha = np.full((HEIGHT, WIDTH, 1), np.iinfo(dtype).max, dtype)
    alpha[:, : WIDTH // 2] = 0
    path, both = tmp_path / f"a{suffix}", np.concatenate([pixels, alpha], axis=2)
    if suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(both))
    else:
        tifffile.imwrite(
            path, both, photometric="rgb" if colours == 3 else "minisblack", extrasamples=["unassalpha"],
            planarconfig="contig",
        )  # fmt: skip
    hidden = (WIDTH // 2) / WIDTH
    assert_reads(path, pixels if colours == 3 else pixels[..., 0], f"alpha dropped ({hidden:.1%}")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_a_colour_palette_is_expanded(tmp_path, rng, suffix):
    indexed = Image.fromarray(noise(rng, HEIGHT, WIDTH, 3)).quantize(40)
    indexed.save(tmp_path / f"a{suffix}")
    assert_reads(tmp_path / f"a{suffix}", np.array(indexed.convert("RGB")), "palette expanded")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_grey_palette_gives_a_grey_image(tmp_path, rng, suffix):
    levels = noise(rng, 64)
    indexed = Image.fromarray(noise(rng, HEIGHT, WIDTH) // 4)
    indexed.putpalette(np.repeat(levels, 3).tobytes())
    indexed.save(tmp_path / f"a{suffix}")
    assert_reads(tmp_path / f"a{suffix}", levels[np.array(indexed)], "palette expanded")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_one_bit_becomes_black_and_white(tmp_path, rng, suffix):
    pixels = noise(rng, HEIGHT, WIDTH) > 127
    Image.fromarray(pixels).convert("1").save(tmp_path / f"a{suffix}")
    assert_reads(tmp_path / f"a{suffix}", np.where(pixels, 255, 0).astype(np.uint8))


def test_twelve_bit_values_fill_the_sixteen_bit_range(tmp_path):
    packed = bytes([0x00, 0x0F, 0xFF, 0x80, 0x00, 0x01])  # 0, 4095, 2048, 1 in twelve bits each
    path = bare_tiff(tmp_path / "a.tif", packed, width=4, length=1, bits=12)
    expected = np.round(np.array([[0, 4095, 2048, 1]]) * 65535 / 4095).astype(np.uint16)
    assert_reads(path, expected, "12-bit values stretched to 16 bits")


def test_a_file_that_counts_from_white_is_inverted(tmp_path, rng):
    pixels = noise(rng, HEIGHT, WIDTH)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite")
    assert_reads(tmp_path / "a.tif", 255 - pixels, "inverted")


@pytest.mark.parametrize(
    "options",
    [
        {"tile": (16, 32)},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"rowsperstrip": 5, "compression": "zlib", "predictor": True},
        {"compression": "lzw", "tile": (32, 16)},
        {"compression": "packbits"},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "tile": (16, 16), "compression": "zlib", "bigtiff": True},
    ],
    ids=str,
)
def test_every_layout_of_tiff_gives_the_same_pixels(tmp_path, rng, options):
    pixels = noise(rng, HEIGHT, WIDTH, 3, dtype=np.uint16)
    stored = np.moveaxis(pixels, 2, 0) if "planarconfig" in options else pixels
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", **options)
    assert_reads(tmp_path / "a.tif", pixels)


@pytest.mark.parametrize("dtype", ["float16", "float64", "int16", "int32", "uint32"])
def test_other_numbers_become_float32_and_say_so(tmp_path, dtype):
    pixels = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    assert_reads(tmp_path / "a.tif", pixels.astype(np.float32), f"{dtype} converted to float32")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_exif_orientation_turns_the_image_as_pillow_does(tmp_path, rng, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path, png = tmp_path / f"a{suffix}", tmp_path / "a.png"
    image = Image.fromarray(noise(rng, HEIGHT, WIDTH))
    image.save(png, exif=exif)
    if suffix == ".tif":
        image.save(path, tiffinfo={274: orientation})
    elif suffix == ".jpg":
        image.save(path, exif=exif)
    # Pillow turns a TIFF on loading and again when asked, so the lossless twin says what is right.
    expected = np.array(ImageOps.exif_transpose(Image.open(path if suffix == ".jpg" else png)))
    assert_reads(path, expected, "" if orientation == 1 else f"EXIF orientation {orientation}")


def test_a_page_is_chosen_by_number_and_the_default_choice_is_stated(tmp_path, rng):
    stack = noise(rng, 4, HEIGHT, WIDTH)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    for page in range(4):
        image = micrograph.read(tmp_path / "a.tif", page=page)
        np.testing.assert_array_equal(image.pixels, stack[page])
        assert (image.page, image.n_pages, image.notes) == (page, 4, ())
    default = micrograph.read(tmp_path / "a.tif")
    assert default.page == 0
    assert "page 0 of 0 to 3 read" in default.notes[0]


def test_a_thumbnail_in_front_is_not_taken_for_the_image(tmp_path, rng):
    pixels = noise(rng, HEIGHT, WIDTH)
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(pixels[::4, ::4])
        writer.write(pixels)
    image = micrograph.read(tmp_path / "a.tif")
    assert image.page == 1
    np.testing.assert_array_equal(image.pixels, pixels)


@pytest.mark.parametrize("page", [-1, 1, 7])
def test_a_page_that_is_not_there_is_refused(tmp_path, rng, page):
    for name in ("a.tif", "a.png"):
        Image.fromarray(noise(rng, 5, 5)).save(tmp_path / name)
        with pytest.raises(ImageError, match=f"page {page} asked for"):
            micrograph.read(tmp_path / name, page=page)


def test_a_jpeg_called_png_is_read_with_a_note(tmp_path, rng):
    Image.fromarray(noise(rng, HEIGHT, WIDTH)).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "a.png")
    image = micrograph.read(tmp_path / "a.png")
    assert image.notes == ("named .png, but a JPEG by content",)


def test_cmyk_jpeg_is_converted_and_noted(tmp_path):
    Image.new("CMYK", (WIDTH, HEIGHT), (0, 0, 0, 0)).save(tmp_path / "a.jpg")
    image = micrograph.read(tmp_path / "a.jpg")
    assert image.mode == "rgb8"
    assert image.pixels.min() >= 254  # no ink is white; JPEG may round by one
    assert "CMYK converted to RGB" in image.notes


def test_threads_read_the_same_pixels_as_one_thread(tmp_path, rng):
    paths = []
    for index in range(12):
        paths.append(tmp_path / f"{index}{('.png', '.jpg', '.bmp', '.tif')[index % 4]}")
        Image.fromarray(noise(rng, 40 + index, 60)).save(paths[-1])
    alone = [micrograph.read(path).pixels for path in paths]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for image, expected in zip(pool.map(micrograph.read, paths), alone, strict=True):
                np.testing.assert_array_equal(image.pixels, expected)


def test_a_step_changes_pixels_and_scale_together_and_is_noted():
    image = micrograph.Micrograph(np.zeros((8, 6), np.uint8), scale=micrograph.Scale(0.5, None, "user", 1.0))
    halved = image.apply(lambda pixels: pixels[::2, ::2], "halved", pixel_size_factor=2.0)
    assert (halved.height, halved.width, halved.scale.pixel_size_um) == (4, 3, 1.0)
    assert halved.notes == ("halved",)


@pytest.mark.parametrize("shape", [(4,), (4, 4, 2), (4, 4, 4), (0, 4)])
def test_a_micrograph_is_grey_or_rgb(shape):
    with pytest.raises(ValueError, match="pixels must be"):
        micrograph.Micrograph(np.zeros(shape, np.uint8))


def test_finding_images_is_sorted_and_leaves_out_hidden_and_foreign_files(tmp_path):
    for name in ("b.PNG", "a.tif", "sub/c.jpeg", "._b.png", ".cache/d.png", "notes.txt", "sub/e.bmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in micrograph.find_images(tmp_path)]
    assert found == ["a.tif", "b.PNG", "sub/c.jpeg", "sub/e.bmp"]
    top = [path.name for path in micrograph.find_images(tmp_path, recursive=False)]
    assert top == ["a.tif", "b.PNG"]
    with pytest.raises(Exception, match="no such file or folder"):
        micrograph.find_images(tmp_path / "absent")


@pytest.mark.realdata
def test_real_photographs_read_as_their_headers_say(real_data):
    for folder in ("neu-det", "magnetic-tile", "metaldam", "mlography"):
        for path in micrograph.find_images(real_data / folder)[::150]:
            image, header = micrograph.read(path), micrograph.identify(path)
            assert (image.height, image.width, image.mode) == (header.height, header.width, header.mode)
            assert image.scale.pixel_size_um is None  # none of these states one
