"""Watched folders: whole files are taken once, half-written ones are left, links show nothing."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import select

from sorby.errors import InputError
from sorby.station import bundles, images, jobs, watching
from sorby.station.database import tables
from sorby.station.desk import Conflict, Refused
from sorby.station.permissions import STATION
from sorby.station.watching import Watch
from stations import new_desk, person, picture

BUNDLE, NEXT = "b" * 64, "c" * 64


@pytest.fixture
def desk(tmp_path):
    desk = new_desk(tmp_path)
    with desk.acting(STATION) as act:
        for sha, state in ((BUNDLE, "current"), (NEXT, "candidate")):
            act.session.add(
                tables.Bundle(
                    sha256=sha, file=sha, name="x", kind="classifier", task="steel", state=state, classes=["B", "G"],
                    signature="unsigned", added_by="somebody", added_at=act.at,
                )
            )  # fmt: skip
    return desk


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "microscope"
    place.mkdir()
    return place


@pytest.fixture
def watch(desk, folder):
    row = watching.add(desk, person("administrator"), str(folder), bundle=BUNDLE, instrument="SEM 2")
    return Watch(desk, row["id"], settle_s=0.0)


def taken(desk):
    found = images.listed(desk, person("auditor"))["images"]
    return sorted(each["name"] for each in found)


def test_a_whole_file_is_taken_once_and_inspected(desk, folder, watch):
    (folder / "a.png").write_bytes(picture(1))
    (folder / "below").mkdir()
    (folder / "below" / "b.png").write_bytes(picture(2))
    (folder / "notes.txt").write_text("not an image")
    (folder / ".a.png.part").write_bytes(picture(3))
    assert watch.look() == 2
    assert watch.look() == 0
    assert taken(desk) == ["a.png", "b.png"]
    (asked,) = jobs.listed(desk, person("auditor"))
    assert asked["kind"] == "inspect"
    assert len(asked["request"]["images"]) == 2
    assert images.listed(desk, person("auditor"))["images"][0]["instrument"] == "SEM 2"


def test_a_server_that_starts_again_takes_nothing_twice(desk, folder, watch):
    (folder / "a.png").write_bytes(picture(1))
    watch.look()
    assert Watch(desk, watch.folder_id, settle_s=0.0).look() == 0
    assert len(jobs.listed(desk, person("auditor"))) == 1


def test_a_file_that_still_grows_is_left(desk, folder, watch, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(watching.time, "monotonic", lambda: clock[0])
    patient = Watch(desk, watch.folder_id, settle_s=4.0)
    whole = picture(1, (300, 300))
    for second, share in ((0, 0.3), (2, 0.6), (4, 0.9), (6, 1.0)):
        (folder / "a.png").write_bytes(whole[: int(len(whole) * share)])
        clock[0] = second
        assert patient.look() == 0
    clock[0] = 9.0
    assert patient.look() == 0  # three seconds
    clock[0] = 10.5
    assert patient.look() == 1


def test_a_half_written_file_that_pauses_is_left_and_taken_when_it_is_whole(desk, folder, watch, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(watching.time, "monotonic", lambda: clock[0])
    patient = Watch(desk, watch.folder_id, settle_s=4.0)
    whole = picture(1, (300, 300))
    (folder / "a.png").write_bytes(whole[:5000])
    for clock[0] in (0.0, 5.0, 30.0):
        assert patient.look() == 0
    assert not watching.listed(desk, person("auditor"))[0]["aside"]
    clock[0] = 70.0
    patient.look()
    (aside,) = watching.listed(desk, person("auditor"))[0]["aside"]
    assert aside["name"] == "a.png"
    (folder / "a.png").write_bytes(whole)
    for clock[0] in (71.0, 76.0):
        patient.look()
    assert taken(desk) == ["a.png"]
    assert not watching.listed(desk, person("auditor"))[0]["aside"]


def test_links_are_not_followed(desk, folder, watch, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(picture(1))
    (folder / "link.png").symlink_to(outside / "secret.png")
    (folder / "folder").symlink_to(outside, target_is_directory=True)
    os.mkfifo(folder / "pipe.png")
    assert watch.look() == 0
    assert not taken(desk)


def test_a_file_that_becomes_a_link_between_looking_and_reading_is_not_read(desk, folder, watch, tmp_path, monkeypatch):
    (tmp_path / "secret.png").write_bytes(picture(1))
    (folder / "a.png").write_bytes(picture(2))
    original = watching._files
    monkeypatch.setattr(watching, "_files", lambda root: _swapping(original, folder, tmp_path, root))
    watch.look()
    assert not taken(desk)


def _swapping(original, folder, tmp_path, root):
    for name, found, descriptor in original(root):
        (folder / "a.png").unlink()
        (folder / "a.png").symlink_to(tmp_path / "secret.png")
        yield name, found, descriptor


@pytest.mark.parametrize("path", ["relative", "/no/such/folder", "/", "/tmp\x00x"])
def test_other_folders_are_refused(desk, path):
    with pytest.raises(InputError):
        watching.add(desk, person("administrator"), path, bundle=BUNDLE)


def test_the_station_does_not_watch_itself(desk):
    with pytest.raises(InputError, match="station itself"):
        watching.add(desk, person("administrator"), str(desk.store.root), bundle=BUNDLE)


def test_who_may_watch(desk, folder, tmp_path):
    with pytest.raises(Refused):  # it reads the server's computer
        watching.add(desk, person("supervisor"), str(folder), bundle=BUNDLE)
    row = watching.add(desk, person("administrator"), str(folder), bundle=BUNDLE)
    with pytest.raises(Conflict):
        watching.add(desk, person("administrator"), str(folder) + "/.", bundle=BUNDLE)
    with pytest.raises(Refused):
        watching.switch(desk, person("auditor"), row["id"], False)
    watching.switch(desk, person("operator"), row["id"], False)
    (folder / "a.png").write_bytes(picture(1))
    assert Watch(desk, row["id"], settle_s=0.0).look() == 0
    watching.switch(desk, person("operator"), row["id"], True)
    assert Watch(desk, row["id"], settle_s=0.0).look() == 1


def test_when_its_bundle_is_replaced_the_new_one_looks(desk, folder, watch):
    bundles.promote(desk, person("supervisor"), NEXT, reason="better")
    (folder / "a.png").write_bytes(picture(1))
    watch.look()
    (asked,) = jobs.listed(desk, person("auditor"))
    assert asked["request"]["bundles"] == [NEXT]


def test_what_was_set_aside_is_on_the_record(desk, folder, watch):
    (folder / "a.png").write_bytes(b"<script>alert(1)</script>")
    watch.look()
    with desk.database.read() as session:
        entry = session.scalars(select(tables.Entry).where(tables.Entry.action == "watch.aside")).one()
    assert entry.reason
