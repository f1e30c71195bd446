"""Info bars: found in any layout or not at all, taken off, read, and measured to a pixel."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from info_bars import LAYOUTS, Words, picture, with_bar
from sorby.micrograph import read
from sorby.micrograph.info_bar import (
    crop_fixed,
    crop_info_bar,
    cross_check,
    find_info_bar,
    read_info_bar,
    read_info_bars,
)
from sorby.micrograph.text_reading import open_reader

SHORT = {
    "ticks": Words("x5.00k", "15.0kV", "8.5mm", "SE(M)", "5.00um"),
    "cells": Words("5 000 x", "15.00 kV", "8.5 mm", "ETD", "5 µm"),
    "plain": Words("x5,000", "15.0kV", "WD8.5mm", "SEI", "5µm"),
}
LENGTHS = {"light": 97, "ticks": 300, "cells": 211, "plain": 155}


@pytest.fixture(scope="module")
def reader():
    pytest.importorskip("rapidocr", reason="the extra ocr is not installed")
    return open_reader(threads=1)


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("top", [False, True], ids=["bottom", "top"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_bar_is_found_to_the_row_in_every_layout(layout, top):
    drawn = with_bar(layout, SHORT.get(layout), top=top)
    bar = find_info_bar(drawn.pixels)
    assert bar is not None
    assert (bar.top, bar.bottom) == (drawn.bar_top, drawn.bar_top + drawn.bar_rows)
    assert bar.edge == ("top" if top else "bottom")
    assert bar.dark == (layout in ("ticks", "cells"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_turning_grey_values_round_leaves_the_bar_where_it_is(layout):
    drawn = with_bar(layout, SHORT.get(layout))
    bar, turned = find_info_bar(drawn.pixels), find_info_bar(255 - drawn.pixels)
    assert bar is not None
    assert turned is not None
    assert (turned.top, turned.bottom, turned.tone) == (bar.top, bar.bottom, 255 - bar.tone)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_jpeg_moves_the_border_by_no_more_than_its_noise(layout):
    drawn = with_bar(layout, SHORT.get(layout))
    bar = find_info_bar(jpeg(drawn.pixels, 75))
    assert bar is not None
    assert abs(bar.top - drawn.bar_top) <= 3  # blocks of 8 px smear the border


@pytest.mark.parametrize("seed", range(4))
def test_a_picture_without_a_bar_has_none(seed):
    assert find_info_bar(picture(seed)) is None
    assert find_info_bar(picture(seed, level=12, contrast=6)) is None


def test_an_even_strip_without_letters_is_no_bar():
    pixels = picture()
    pixels[-50:] = 0
    assert find_info_bar(pixels) is None


def test_a_black_picture_does_not_swallow_a_black_bar():
    drawn = with_bar("cells", SHORT["cells"], level=6, contrast=3)
    bar = find_info_bar(drawn.pixels)
    assert bar is not None
    assert bar.top == drawn.bar_top


def test_rows_of_picture_beyond_the_bar_go_with_it():
    drawn = with_bar("light")
    pixels = np.vstack([drawn.pixels, picture(3, rows=2)])  # some instruments leave such rows
    bar = find_info_bar(pixels)
    assert bar is not None
    assert abs(bar.top - drawn.bar_top) <= 1
    assert crop_info_bar(pixels, bar).shape[0] == bar.top


def test_cropping_gives_the_picture_back():
    for top in (False, True):
        drawn = with_bar("cells", SHORT["cells"], top=top)
        assert np.array_equal(crop_info_bar(drawn.pixels, find_info_bar(drawn.pixels)), picture())
    assert crop_info_bar(picture(), None).shape == picture().shape


def test_the_fixed_share_is_nine_per_cent_of_the_bottom():
    pixels = np.arange(1000)[:, None].repeat(3, 1).astype(np.uint16)
    assert np.array_equal(crop_fixed(pixels), pixels[:910])
    with pytest.raises(ValueError, match="share"):
        crop_fixed(pixels, 1.0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read_and_its_bar_measured_to_a_pixel(layout, reader):
    drawn = with_bar(layout, SHORT.get(layout), length=LENGTHS[layout])
    reading = read_info_bar(drawn.pixels, reader)
    assert reading is not None
    assert reading.number("magnification") == 5000
    assert reading.number("scale_label_um") == (2 if layout == "light" else 5)
    assert abs(reading.number("bar_length_px") - drawn.length_px) <= 1
    assert reading.number("voltage_kv") == 15
    assert reading.number("working_distance_mm") == 8.5
    assert reading.engine["engine"] == "rapidocr"


def test_a_bar_at_the_top_gives_places_in_the_image(reader):
    drawn = with_bar("light", top=True)
    reading = read_info_bar(drawn.pixels, reader)
    assert reading is not None
    assert all(0 <= line.top < line.bottom <= drawn.bar_rows for line in reading.lines)


@pytest.mark.parametrize(
    ("words", "magnification", "label"),
    [
        (Words("Vergr. = 1,50 K X", "EHT = 5,00 kV", "AA = 10,5 mm", "Signal A = SE2", "20 µm"), 1500, 20),
        (Words("Mag = 50 X", "EHT = 10,00 kV", "WD = 12,5 mm", "Signal A = SE2", "1,5 mm"), 50, 1500),
    ],
    ids=["german", "comma in label"],
)
def test_german_bars_have_decimal_commas(words, magnification, label, reader):
    reading = read_info_bar(with_bar("light", words).pixels, reader)
    assert reading is not None
    assert reading.number("magnification") == magnification
    assert reading.number("scale_label_um") == label
    assert reading.number("working_distance_mm") in (10.5, 12.5)


@pytest.mark.parametrize("unit", ["um", "pm", "µrn", "μm", "µm"])
def test_a_badly_written_micrometre_is_one(unit, reader):
    reading = read_info_bar(with_bar("light", Words(label=f"2 {unit}")).pixels, reader)
    assert reading is not None
    assert reading.number("scale_label_um") == 2


def test_many_are_read_as_each_alone(reader):
    images = [with_bar(layout, SHORT.get(layout), seed=k).pixels for k, layout in enumerate(LAYOUTS)]
    together = read_info_bars([*images, picture(9)], reader)
    assert together[-1] is None
    for image, reading in zip(images, together, strict=False):
        alone = read_info_bar(image, reader)
        assert alone is not None
        assert reading is not None
        assert {k: v.value for k, v in reading.values.items()} == {k: v.value for k, v in alone.values.items()}


def test_a_magnification_that_contradicts_the_pixel_size_is_named(reader):
    words = Words("Mag = 50 X", label="2 µm")  # 16 um across at 50x would need a display of 0.8 mm
    checked = cross_check(read_info_bar(with_bar("light", words).pixels, reader))
    assert [entry.name for entry in checked.disagreements] == ["magnification contradicts pixel size"]
    assert checked.scale.pixel_size_um == pytest.approx(2 / 120, rel=0.01)
    assert checked.scale.confidence <= 0.5


@pytest.mark.realdata
def test_bars_of_two_vendors_are_read_exactly(real_data, reader):
    folder = real_data / "metaldam" / "images"
    truth = {"micrograph0": (10000, 1, 719), "micrograph3": (5000, 2, 719), "micrograph26": (15000, 2, 719),
             "micrograph4": (10000, 5, 896), "micrograph8": (5000, 10, 896)}  # fmt: skip
    readings = read_info_bars([read(folder / f"{name}.jpg").pixels for name in truth], reader)
    for (magnification, label, row), reading in zip(truth.values(), readings, strict=True):
        assert reading is not None
        assert reading.number("magnification") == magnification
        assert reading.number("scale_label_um") == label
        assert abs(reading.bar.top - row) <= 3


@pytest.mark.realdata
@pytest.mark.parametrize("folder", ["neu-det", "magnetic-tile"])
def test_pictures_without_bars_have_none(real_data, folder):
    files = sorted((real_data / folder).rglob("*.jpg"))[::60]
    assert files
    assert not [path.name for path in files if find_info_bar(read(path).pixels) is not None]
