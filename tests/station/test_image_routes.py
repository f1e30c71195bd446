"""Images, tiles, masks and decisions by REST: what is sent, what is refused, what a browser is told."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from sorby.station import images
from sorby.station.database import tables
from sorby.station.desk import new_id
from sorby.station.permissions import STATION
from station_household import PASSWORD
from stations import picture

API = "/api/v1"


@pytest.fixture
def app(station):
    return station.app()


@pytest.fixture
def operator(station, app):
    return station.client("operator", app)


def send(client, data, **query):
    return client.post(f"{API}/images", params={"name": "a.png", **query}, content=data)


def test_an_image_is_sent_and_seen(station, app, operator):
    sent = send(operator, picture(1), name="../M7 <b>.png", specimen="S1", pixel_size_um=0.2)
    assert sent.status_code == 201
    sha = sent.json()["sha256"]
    assert sent.json()["name"] == "M7 <b>.png"
    auditor = station.client("auditor", app)
    assert auditor.get(f"{API}/images", params={"specimen": "S1"}).json()["total"] == 1
    tile = auditor.get(f"{API}/images/{sha}/tiles/0/0/0")
    assert tile.headers["content-type"] == "image/jpeg"
    assert "immutable" in tile.headers["cache-control"]
    again = auditor.get(f"{API}/images/{sha}/tiles/0/0/0", headers={"If-None-Match": tile.headers["etag"]})
    assert again.status_code == 304
    assert not again.content
    file = auditor.get(f"{API}/images/{sha}/file")
    assert file.content == picture(1)
    assert file.headers["content-disposition"].startswith("attachment")
    assert file.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"", 422), (b"GIF89a", 422), (picture(1) + b"MZ", 422), (picture(1)[:-30], 422), (b"<svg onload=alert(1)>", 422)],
)
def test_what_is_no_image_is_refused(operator, data, status):
    answer = send(operator, data)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "incoming" not in answer.text  # where files lie is nobody's business


def test_too_many_bytes_are_refused_whether_announced_or_not(station, operator):
    settings = station.desk.settings
    object.__setattr__(settings, "upload_bytes", 2000)
    assert send(operator, b"x" * (2000 + (1 << 20) + 1)).status_code == 413
    assert send(operator, picture(1, (200, 200))).status_code == 413
    pieces = (b"\x89PNG\r\n\x1a\n" + b"x" * 50_000 for _ in range(40))
    assert send(operator, pieces).status_code in (413, 422)
    assert not list((station.desk.store.root / "incoming").iterdir())


def test_a_decompression_bomb_is_refused(station, operator):
    object.__setattr__(station.desk.settings, "upload_pixels", 100_000)
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG")  # 400 megapixels in 50 kB
    assert len(buffer.getvalue()) < 100_000
    assert send(operator, buffer.getvalue()).status_code == 413


@pytest.mark.parametrize("place", ["9/0/0", "0/1/0", "0/0/1", "0/-1/0", "x/0/0"])
def test_there_are_no_other_tiles(operator, place):
    sha = send(operator, picture(1)).json()["sha256"]
    assert operator.get(f"{API}/images/{sha}/tiles/{place}").status_code == 422


@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "..", "0" * 63, "0" * 64, "A" * 64])
def test_only_hashes_of_images_name_files(operator, name):
    for ending in ("", "/file", "/tiles/0/0/0", "/thumbnail", "/annotations"):
        assert operator.get(f"{API}/images/{name}{ending}").status_code in (404, 422)
    assert operator.get(f"{API}/pictures/{name}").status_code in (404, 422)


def test_a_mask_is_sent_and_its_components_come_back(operator):
    sha = send(operator, picture(1)).json()["sha256"]
    inside = np.zeros((48, 64), np.uint8)
    inside[1:3, 1:3] = inside[20:22, 40:45] = 255
    buffer = io.BytesIO()
    Image.fromarray(inside).save(buffer, "PNG")
    made = operator.post(f"{API}/images/{sha}/annotations/mask", params={"label": "pinhole"}, content=buffer.getvalue())
    assert made.status_code == 201, made.text
    assert made.json()["geometry"]["count"] == 2
    overlay = operator.get(f"{API}/pictures/{made.json()['geometry']['overlay']}")
    assert overlay.headers["content-type"] == "image/png"
    (listed,) = operator.get(f"{API}/images/{sha}/annotations").json()
    assert listed["label"] == "pinhole"
    removed = operator.post(f"{API}/annotations/{listed['id']}/remove", json={})
    assert removed.status_code == 204


def test_a_decision_is_signed_with_the_password_and_only_with_it(station, app):
    sha = images.receive(station.desk, station.actors["operator"], io.BytesIO(picture(1)), "a.png")["sha256"]
    with station.desk.acting(STATION) as act:
        act.session.add(
            tables.Bundle(
                sha256="b" * 64, file="b" * 64, name="x", kind="classifier", task="t", state="current",
                classes=["B", "G"], signature="unsigned", added_by="a", added_at=act.at,
            )
        )  # fmt: skip
        act.session.flush()
        identity = new_id()
        act.session.add(
            tables.Inspection(
                id=identity, image=sha, bundle="b" * 64, label="G", confidence=0.5, set_=["G"], novelty=0.1,
                referred=True, reasons=["novel"], verdict={}, overlays={}, risk=0.5, state="waiting", at=act.at,
            )
        )  # fmt: skip
    reviewer = station.client("reviewer", app)
    place = f"{API}/inspections/{identity}/decisions"
    wrong = reviewer.post(place, json={"decision": "accepted", "meaning": "reviewed", "password": "not the one"})
    assert wrong.status_code == 403
    assert reviewer.post(place, json={"decision": "accepted", "meaning": "reviewed"}).status_code in (403, 422)
    done = reviewer.post(place, json={"decision": "accepted", "meaning": "reviewed", "password": PASSWORD})
    assert done.status_code == 201, done.text
    assert done.json()["decisions"][0]["signed"]
    late = reviewer.post(place, json={"decision": "rejected", "reason": "blurred"})
    assert late.status_code == 409
    assert reviewer.get(f"{API}/queue").json()["total"] == 0
    assert reviewer.get(f"{API}/queue", params={"state": "accepted"}).json()["total"] == 1
