"""Images of the station: what comes in, what is seen of it, who may change what."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from PIL import Image
from sqlalchemy import select

from sorby.errors import ImageError, InputError
from sorby.station import images
from sorby.station.database import tables
from sorby.station.desk import NotFound, Refused, TooLarge
from stations import new_desk, person, picture, put_picture


@pytest.fixture
def desk(tmp_path):
    return new_desk(tmp_path, upload_bytes=200_000, upload_pixels=1_000_000)


def send(desk, data, name="a.png", by="operator", **words):
    return images.receive(desk, person(by), io.BytesIO(data), name, **words)


def recorded(desk):
    with desk.database.read() as session:
        return [entry.action for entry in session.scalars(select(tables.Entry).order_by(tables.Entry.sequence))]


def test_the_same_image_twice_is_one_image(desk):
    first = send(desk, picture(1), "first.png", specimen="S1")
    again = send(desk, picture(1), "second.png", specimen="S2")
    assert (first["new"], again["new"]) == (True, False)
    assert again["name"] == "first.png"
    assert again["specimen"] == "S1"
    assert recorded(desk) == ["image.add"]


def test_a_name_with_folders_or_markup_is_only_text(desk):
    assert send(desk, picture(1), "../../../etc/cron.d/x.png")["name"] == "x.png"
    assert send(desk, picture(2), "<script>alert(1)</script>")["name"] == "script>"
    assert send(desk, picture(3), "<img onerror=alert(1) src=x>")["name"] == "<img onerror=alert(1) src=x>"
    kept = sorted(
        path.relative_to(desk.store.root / "sha256").parts[0] for path in (desk.store.root / "sha256").glob("*/*")
    )
    assert all(len(part) == 2 for part in kept)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (picture(1) + b"PK\x03\x04", ImageError),
        (b"GIF89a", ImageError),
        (b"", ImageError),
        (b"\x00" * 200_001, TooLarge),
        (picture(5)[:-20], ImageError),
    ],
)
def test_what_is_no_whole_image_leaves_nothing_behind(desk, data, error):
    with pytest.raises(error):
        send(desk, data)
    assert not list((desk.store.root / "incoming").iterdir())
    assert not list((desk.store.root / "sha256").glob("*/*"))
    assert not recorded(desk)


def test_more_pixels_than_allowed_are_refused(desk):
    buffer = io.BytesIO()
    Image.new("L", (1001, 1000)).save(buffer, "PNG")
    with pytest.raises(TooLarge, match="1001 x 1000"):
        send(desk, buffer.getvalue())


def test_a_truncated_body_of_an_image_is_refused(desk):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90), np.uint8)).save(buffer, "TIFF")
    with pytest.raises(InputError):
        send(desk, buffer.getvalue()[:4000], "half.tif")


def test_the_scale_is_read_and_a_persons_word_comes_first(desk, tmp_path):
    grey = np.zeros((40, 50), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", grey, imagej=True, resolution=(5.0, 5.0), metadata={"unit": "um"})
    found = send(desk, (tmp_path / "a.tif").read_bytes(), "a.tif")
    assert found["pixel_size_um"] == pytest.approx(0.2)
    assert found["scale_source"] == "imagej"
    said = images.describe(desk, person("operator"), found["sha256"], {"pixel_size_um": 0.5}, reason="calibrated")
    assert (said["pixel_size_um"], said["scale_source"]) == (0.5, "user")
    stated = send(desk, picture(4), pixel_size_um=1.5)
    assert (stated["pixel_size_um"], stated["scale_source"]) == (1.5, "user")


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "wide", True])
def test_an_impossible_scale_is_refused(desk, value):
    sha = put_picture(desk, 1)
    with pytest.raises(InputError, match="above 0"):
        images.describe(desk, person("operator"), sha, {"pixel_size_um": value})


def test_what_the_file_is_cannot_be_described_away(desk):
    sha = put_picture(desk, 1)
    for field in ("sha256", "width", "added_by", "synthetic_state"):
        with pytest.raises(InputError):
            images.describe(desk, person("operator"), sha, {field: "x"})


def test_only_those_who_inspect_add_images(desk):
    for role in ("auditor", "administrator"):
        with pytest.raises(Refused):
            send(desk, picture(1), by=role)
    assert not list((desk.store.root / "sha256").glob("*/*"))


def test_large_images_have_tiles_when_they_come_and_small_ones_on_the_first_look(tmp_path):
    desk = new_desk(tmp_path)
    buffer = io.BytesIO()
    Image.new("L", (2100, 40), 90).save(buffer, "PNG")
    large, small = send(desk, buffer.getvalue()), send(desk, picture(1))
    assert desk.store.derived(large["sha256"], "tiles").is_file()
    assert not desk.store.derived(small["sha256"], "tiles").is_file()
    assert images.tiles(desk, small["sha256"]).tile(0, 0, 0).startswith(b"\xff\xd8")
    seen = images.get(desk, person("auditor"), large["sha256"])
    assert [level["width"] for level in seen["levels"]] == [263, 525, 1050, 2100]


def test_a_specimen_is_seen_from_far_to_near(desk):
    near = put_picture(desk, 1, specimen="S1", pixel_size_um=0.1)
    far = put_picture(desk, 2, specimen="S1", pixel_size_um=2.0)
    unknown = put_picture(desk, 3, specimen="S1")
    put_picture(desk, 4, specimen="S2")
    assert [each["sha256"] for each in images.of_specimen(desk, person("auditor"), "S1")] == [far, near, unknown]
    assert [each["specimen"] for each in images.specimens(desk, person("auditor"))] == ["S2", "S1"]


def test_a_search_takes_signs_of_patterns_as_they_are(desk):
    put_picture(desk, 1, specimen="100% C")
    put_picture(desk, 2, specimen="1000 C")
    assert images.listed(desk, person("auditor"), search="0% C")["total"] == 1
    assert images.listed(desk, person("auditor"), search="%")["total"] == 1
    assert images.listed(desk, person("auditor"), search="' OR 1=1 --")["total"] == 0


def test_synthetic_images_wait_for_a_reviewer(desk):
    parent = put_picture(desk, 1)
    child = put_picture(desk, 2, parent=parent)
    assert [i["sha256"] for i in images.listed(desk, person("auditor"), synthetic="waiting")["images"]] == [child]
    with pytest.raises(Refused):
        images.judge_synthetic(desk, person("operator"), [child], True)
    with pytest.raises(InputError, match="reason"):
        images.judge_synthetic(desk, person("reviewer"), [child], False)
    with pytest.raises(InputError, match="original"):
        images.judge_synthetic(desk, person("reviewer"), [child, parent], True)
    assert images.listed(desk, person("auditor"), synthetic="waiting")["total"] == 1  # all or none
    images.judge_synthetic(desk, person("reviewer"), [child], False, "needles end in the air")
    assert images.listed(desk, person("auditor"), synthetic="rejected")["total"] == 1


def test_a_parent_must_be_here(desk):
    with pytest.raises(NotFound):
        put_picture(desk, 2, parent="ab" * 32)


def test_only_what_the_station_drew_is_handed_out_as_a_picture(desk):
    image = put_picture(desk, 1)
    drawn = desk.store.put(picture(9)).sha256
    other = desk.store.put(b"a bundle, say").sha256
    assert images.picture(desk, person("auditor"), drawn).is_file()
    for sha in (image, other, "cd" * 32):
        with pytest.raises(NotFound):
            images.picture(desk, person("auditor"), sha)
