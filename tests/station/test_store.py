"""The content-addressed store."""

from __future__ import annotations

import hashlib
import io
import stat
import threading

import pytest

from sorby.errors import InputError
from sorby.station.store import Store, TooLarge


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_a_file_lies_under_its_sha256_and_cannot_be_written(store):
    kept = store.put(b"martensite")
    assert kept.sha256 == hashlib.sha256(b"martensite").hexdigest()
    path = store.path(kept.sha256)
    assert path == store.root / "sha256" / kept.sha256[:2] / kept.sha256[2:]
    assert path.read_bytes() == b"martensite"
    assert stat.S_IMODE(path.stat().st_mode) & 0o222 == 0
    assert store.intact(kept.sha256)


def test_the_same_content_is_kept_once(store):
    first, again = store.put(b"bainite"), store.put(io.BytesIO(b"bainite"))
    assert (first.new, again.new) == (True, False)
    assert first.sha256 == again.sha256
    assert len(list((store.root / "sha256").glob("*/*"))) == 1
    assert not list((store.root / "incoming").iterdir())


def test_what_is_too_large_leaves_nothing_behind(store):
    with pytest.raises(TooLarge):
        store.put(io.BytesIO(b"x" * 1000), limit=999)
    assert store.put(io.BytesIO(b"x" * 999), limit=999).size == 999
    assert not list((store.root / "incoming").iterdir())


def test_a_broken_upload_leaves_nothing_behind(store):
    class Torn(io.RawIOBase):
        def read(self, size=-1):
            raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        store.put(Torn())
    assert not list((store.root / "incoming").iterdir())
    assert not list((store.root / "sha256").iterdir())


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..", "", "a" * 63, "A" * 64, "a" * 64 + "\n", "/" + "a" * 63, "a" * 32 + "/../" + "a" * 28],
)
def test_only_a_sha256_names_a_file(store, name):
    for ask in (store.path, store.has, store.open, lambda sha: store.derived(sha, "tiles")):
        with pytest.raises(InputError):
            ask(name)


def test_a_changed_file_is_noticed(store):
    kept = store.put(b"pearlite")
    path = store.path(kept.sha256)
    path.chmod(0o640)
    path.write_bytes(b"ferrite")
    assert not store.intact(kept.sha256)


def test_many_writers_of_one_content(store):
    answers = []

    def write():
        answers.append(store.put(b"z" * 100_000))

    threads = [threading.Thread(target=write) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({each.sha256 for each in answers}) == 1
    assert store.intact(answers[0].sha256)
