"""The pixel size comes from the right field of the right tag, and from nowhere else."""

from __future__ import annotations

import csv
import json
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from sorby import micrograph
from sorby.micrograph.tags import magnification_of, micrometres_per

PIXELS = np.zeros((48, 64), np.uint8)

FEI = """[User]\r
Date=02/06/2020\r
[System]\r
SystemType=Versa 3D\r
[Beam]\r
HV=5000\r
Scan={beam}\r
[{section}]\r
PixelWidth=1.34896e-07\r
PixelHeight=1.34896e-07\r
HorFieldsize=0.0002072\r
[Image]\r
ResolutionX={width}\r
[Detectors]\r
Name=ETD\r
[PrivateFei]\r
DatabarHeight=79\r
"""


def write(path, tag=None, text="", **options):
    extra = [(tag, "s", 0, text, True)] if tag else []
    tifffile.imwrite(path, PIXELS, extratags=extra, metadata=None, **options)
    return path


def fei(path, tag=34682, section="Scan", width=64):
    return write(path, tag, FEI.format(beam="EScan", section=section, width=width))


@pytest.mark.parametrize("tag", [34680, 34682])
@pytest.mark.parametrize("section", ["Scan", "EScan"])
def test_fei_pixel_width_is_metres_and_magnification_a_207_mm_display_over_the_field(tmp_path, tag, section):
    image = micrograph.read(fei(tmp_path / "a.tif", tag, section))
    assert image.scale.pixel_size_um == pytest.approx(0.134896)
    assert image.scale.magnification == 1000
    assert image.scale.source == "fei"
    assert image.info["info_bar_height_px"] == "79"
    assert (image.info["instrument"], image.info["detector"], image.info["hv_kv"]) == ("Versa 3D", "ETD", "5")


def test_an_fei_image_that_was_resized_since_is_doubted(tmp_path):
    scale = micrograph.read(fei(tmp_path / "a.tif", width=1536)).scale
    sure = micrograph.read(fei(tmp_path / "b.tif")).scale
    assert scale.confidence < 0.6 < 0.9 < sure.confidence
    assert "1536 pixels across" in micrograph.read(tmp_path / "a.tif").notes[0]


@pytest.mark.realdata
def test_all_versa_images_have_the_scale_their_info_bar_shows(real_data):
    with open(real_data / "sem-fei" / "truth.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 17
    for row in rows:
        path = real_data / "sem-fei" / row["file"]
        stated = micrograph.scale_of(path)
        assert stated["pixel_size_um"] == pytest.approx(float(row["pixel_size_nm"]) / 1000, rel=1e-5)
        assert stated["magnification"] == float(row["magnification"])
        assert (stated["source"], stated["info_bar"]) == ("fei", None)
        image = micrograph.read(path)
        assert image.info["info_bar_height_px"] == row["info_bar_height_px"]
        assert (image.height, image.width) == (int(row["image_height_px"]), int(row["image_width_px"]))


ZEISS_MONITOR = "AP_PIXEL_SIZE\r\nPixel Size = 0.2931 mm\r\n"
ZEISS_IMAGE = "AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = {size}\r\n"
ZEISS_REST = "AP_MAG\r\nMag = {mag}\r\nDP_DETECTOR_CHANNEL\r\nSignal A = SE2\r\nAP_WD\r\nWD = 4.1 mm\r\n"


@pytest.mark.parametrize(
    ("size", "expected_um"), [("26.14 nm", 0.02614), ("1.117 µm", 1.117), ("558.3 pm", 5.583e-4), ("0.002 mm", 2.0)]
)
def test_zeiss_image_pixel_size_is_the_scale_whatever_stands_beside_it(tmp_path, size, expected_um):
    text = "0\r\n" + ZEISS_MONITOR + ZEISS_IMAGE.format(size=size) + ZEISS_REST.format(mag="10.00 K X")
    image = micrograph.read(write(tmp_path / "a.tif", 34118, text.encode("cp1252")))
    assert image.scale.pixel_size_um == pytest.approx(expected_um)
    assert image.scale.magnification == 10_000
    assert (image.scale.source, image.info["detector"], image.info["wd_mm"]) == ("zeiss", "SE2", "4.1")


def test_the_pitch_of_the_zeiss_monitor_is_never_the_pixel_size(tmp_path):
    text = "0\r\n" + ZEISS_MONITOR + ZEISS_REST.format(mag="500 X")
    scale = micrograph.read(write(tmp_path / "a.tif", 34118, text.encode("cp1252"))).scale
    assert scale.pixel_size_um is None
    assert (scale.magnification, scale.source) == (500, "zeiss")


def test_olympus_sis_calibration_is_mantissa_and_exponent_of_metres(tmp_path):
    head = struct.pack("<4s6xhhhhh6x32sH", b"SIS0", 30, 12, 5, 3, 120, b"analySIS", 1)
    entry = struct.pack("<hhI", 1, 1, 0)
    body = struct.pack("<10xhdd8xd2x34s32s", -6, 0.25, 0.25, 50.0, b"UC30", b"RGB") + bytes(110)
    path = write(tmp_path / "a.tif", 33560, head + entry + body)
    data = bytearray(path.read_bytes())
    start = data.index(b"SIS0")  # the entry points into the file, so it is known only now
    data[start + 64 : start + 68] = struct.pack("<I", start + 68)
    path.write_bytes(data)
    image = micrograph.read(path)
    assert image.scale.pixel_size_um == pytest.approx(0.25)
    assert (image.scale.magnification, image.scale.source, image.info["detector"]) == (50, "sis", "UC30")


@pytest.mark.parametrize(("unit", "size", "expected"), [("µm", 0.35, 0.35), ("nm", 350, 0.35), ("mm", 0.002, 2.0)])
def test_ome_physical_size_is_read_in_its_unit(tmp_path, unit, size, expected):
    metadata = {"axes": "YX", "PhysicalSizeX": size, "PhysicalSizeXUnit": unit}
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS, metadata=metadata)
    scale = micrograph.read(tmp_path / "a.ome.tif").scale
    assert scale.pixel_size_um == pytest.approx(expected)
    assert scale.source == "ome"


@pytest.mark.parametrize(
    ("unit", "per_unit", "expected"),
    [("um", 4.0, 0.25), ("micron", 4.0, 0.25), ("\\u00B5m", 4.0, 0.25), ("nm", 0.5, 0.002)],
)
def test_imagej_calibration_is_pixels_per_unit(tmp_path, unit, per_unit, expected):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, imagej=True, resolution=(per_unit, per_unit), metadata={"unit": unit})
    scale = micrograph.read(path).scale
    assert scale.pixel_size_um == pytest.approx(expected)
    assert scale.source == "imagej"


def test_an_imagej_file_in_inches_has_no_scale(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, imagej=True, resolution=(72, 72), metadata={"unit": "inch"})
    assert micrograph.read(tmp_path / "a.tif").scale.pixel_size_um is None


@pytest.mark.parametrize("dpi", [56, 72, 96, 150, 300, 600, 1200, 2400, 4800])
def test_a_print_resolution_is_no_pixel_size(tmp_path, dpi):
    scale = micrograph.read(write(tmp_path / "a.tif", resolution=(dpi, dpi), resolutionunit="INCH")).scale
    assert (scale.pixel_size_um, scale.source, scale.confidence) == (None, "none", 0)
    assert "print setting" in scale.detail
    for suffix in ("png", "jpg", "bmp"):
        Image.fromarray(PIXELS).save(tmp_path / f"a.{suffix}", dpi=(dpi, dpi))
        assert micrograph.read(tmp_path / f"a.{suffix}").scale.pixel_size_um is None


def test_a_resolution_too_fine_for_print_is_taken_with_doubt_and_a_note(tmp_path):
    path = write(tmp_path / "a.tif", resolution=(28_571, 28_571), resolutionunit="CENTIMETER")
    image = micrograph.read(path)
    assert image.scale.pixel_size_um == pytest.approx(0.35, rel=1e-4)
    assert image.scale.source == "tiff-resolution"
    assert image.scale.confidence <= 0.5
    assert image.notes


def test_a_damaged_vendor_tag_costs_the_scale_not_the_image(tmp_path):
    image = micrograph.read(write(tmp_path / "a.tif", 33560, b"not a SIS structure at all" + bytes(60)))
    assert image.scale.pixel_size_um is None
    np.testing.assert_array_equal(image.pixels, PIXELS)


def test_the_user_overrules_the_file_and_a_contradiction_is_noted(tmp_path):
    path = fei(tmp_path / "a.tif")
    image = micrograph.read(path, pixel_size_um=0.5)
    assert (image.scale.pixel_size_um, image.scale.source, image.scale.confidence) == (0.5, "user", 1.0)
    assert image.scale.magnification == 1000
    assert "overruled" in image.notes[-1]
    assert micrograph.read(path, pixel_size_um=0.1349).notes == ()


def test_scale_of_says_what_the_command_promises_and_is_json(tmp_path):
    stated = micrograph.scale_of(fei(tmp_path / "a.tif"))
    assert set(stated) >= {"file", "magnification", "pixel_size_um", "source", "confidence", "info_bar"}
    assert json.loads(json.dumps(stated)) == stated


HITACHI = """[SemImageFile]
InstructName=SU8000
Format=tif
Date=11/03/2019
DataSize=64x48
PixelSize=9.921875
SignalName=SE(U)
AcceleratingVoltage=5000 Volt
WorkingDistance=8200 um
Magnification=10000
"""

JEOL = """$CM_FORMAT JEOL-SEM
$CM_VERSION 1.0
$CM_DATE 2018/05/09
$CM_ACCEL_VOLT 15.00
$CM_MAG 2500
$CM_FULL_SIZE 64 48
$$SM_MICRON_BAR 125
$$SM_MICRON_MARKER {marker}
"""


def sidecar(tmp_path, text, name="a.txt", image="a.png"):
    Image.fromarray(PIXELS).save(tmp_path / image)
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return micrograph.read(tmp_path / image)


@pytest.mark.parametrize("name", ["a.txt", "a.TXT", "a.png.txt"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_hitachi_pixel_size_is_nanometres(tmp_path, name, encoding):
    image = sidecar(tmp_path, HITACHI.replace("\n", "\r\n").encode(encoding), name)
    assert image.scale.pixel_size_um == pytest.approx(0.009921875)
    assert (image.scale.magnification, image.scale.source) == (10_000, "hitachi")
    assert image.info == {
        "instrument": "SU8000", "detector": "SE(U)", "hv_kv": "5", "wd_mm": "8.2", "date": "11/03/2019",
    }  # fmt: skip


@pytest.mark.parametrize(("marker", "expected"), [("10um", 0.08), ("1mm", 8.0), ("100nm", 0.0008), ("10µm", 0.08)])
def test_jeol_pixel_size_is_marker_over_bar(tmp_path, marker, expected):
    image = sidecar(tmp_path, JEOL.format(marker=marker))
    assert image.scale.pixel_size_um == pytest.approx(expected)
    assert (image.scale.magnification, image.scale.source) == (2500, "jeol")
    assert "0.4 %" in image.scale.detail  # half a pixel of 125


def test_a_sidecar_of_another_size_is_doubted(tmp_path):
    image = sidecar(tmp_path, HITACHI.replace("64x48", "1280x960"))
    assert image.scale.confidence <= 0.5
    assert "1280 pixels across, the image has 64" in image.notes[0]


@pytest.mark.parametrize("text", ["0 0.5 0.5 0.2 0.2\n", "", "PixelSize=3\n", "\x00\xff\xfe"])
def test_another_text_beside_the_image_is_no_sidecar(tmp_path, text):
    image = sidecar(tmp_path, text)
    assert (image.scale.source, image.notes) == ("none", ())


@pytest.mark.parametrize("text", [HITACHI.replace("9.921875", "0"), HITACHI.replace("9.921875", "n/a")])
def test_an_empty_hitachi_pixel_size_is_not_invented(tmp_path, text):
    assert sidecar(tmp_path, text).scale.pixel_size_um is None


def test_tag_and_sidecar_that_disagree_are_both_named(tmp_path):
    fei(tmp_path / "a.tif")
    (tmp_path / "a.txt").write_text(HITACHI)
    image = micrograph.read(tmp_path / "a.tif")
    assert image.scale.source == "fei"
    assert image.scale.confidence < 0.5
    assert "sidecar states" in image.notes[-1]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500 X", 500),
        ("50.00 K X", 50_000),
        ("x1.0k", 1000),
        ("10000", 10_000),
        ("1,200 x", 1200),
        ("none", None),
        ("0 X", None),
    ],
)
def test_magnifications_are_read_as_instruments_print_them(text, value):
    assert magnification_of(text) == value


def test_both_micro_characters_are_a_micrometre_and_an_inch_is_none():
    assert micrometres_per("\u00b5m") == micrometres_per("\u03bcm") == micrometres_per("um") == 1
    assert micrometres_per("inch") is None
    assert micrometres_per("pixel") is None
