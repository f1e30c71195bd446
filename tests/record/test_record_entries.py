"""An entry says the same to everybody who reads it, and seals nothing that it could not say."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sealed_records import chain, sealing
from sorby.bundle import new_key
from sorby.errors import InputError
from sorby.record import NOTHING, Entry, Event, Head, seal, sealing_key

KEY = sealing(7)
EVENT = Event("ina", "operator", "image.upload", "image:1")


def test_digest_and_signature_can_be_computed_without_sorby():
    first, second = chain(2, KEY)
    for entry, previous in ((first, NOTHING), (second, first.digest)):
        content = {name: value for name, value in asdict(entry).items() if name not in ("digest", "signature")}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest = hashlib.sha256(b"sorby record entry 1\0" + text.encode()).hexdigest()
        assert (entry.digest, entry.previous) == (digest, previous)
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(KEY.public_key))
        public.verify(bytes.fromhex(entry.signature), b"sorby record signature 1\0" + bytes.fromhex(digest))
    assert first.key == hashlib.sha256(bytes.fromhex(KEY.public_key)).hexdigest()


def test_sealing_is_deterministic_and_counts_from_one():
    assert chain(3, KEY) == chain(3, KEY)
    assert [entry.sequence for entry in chain(3, KEY)] == [1, 2, 3]


def test_lines_and_rows_read_back_as_they_were():
    for entry in chain(5, KEY):
        assert Entry.decode(entry.encode()) == entry
        assert Entry.from_row({**entry.as_row(), "id": 12}) == entry
        assert entry.encode().count(b"\n") == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda line: line.replace(b'"role":', b'"role" :'), "spelled otherwise"),
        (lambda line: line.replace(b"{", b'{"role":"auditor",', 1), "twice"),
        (lambda line: line.replace(b'"role"', b'"rule"'), "no entry"),
        (lambda line: line.replace(b'"sequence":1', b'"sequence":true'), "sequence"),
        (lambda line: line.replace(b'"sequence":1', b'"sequence":0'), "sequence"),
        (lambda line: line.replace(b".25Z", b".25+02:00"), "UTC"),
        (lambda line: line.replace(b'"old":null', b'"old":NaN'), "JSON"),
        (lambda line: line[:-9] + b"\n", "JSON"),
        (lambda line: b"\xff" + line, "JSON"),
        (lambda line: b"[" * 100_000 + b"\n", "nested"),
    ],
)
def test_a_line_with_another_spelling_is_refused(change, says):
    line = chain(1, KEY)[0].encode()
    assert change(line) != line
    with pytest.raises(InputError, match=says):
        Entry.decode(change(line))


@pytest.mark.parametrize(
    "row",
    [
        {"new": '{"b":1,"a":2}'},
        {"new": "{"},
        {"new": 5},
        {"evidence": '{"image":"12"}'},
        {"digest": "A" * 64},
        {"at": ""},
    ],
)
def test_a_row_with_another_spelling_is_refused(row):
    with pytest.raises(InputError):
        Entry.from_row({**chain(1, KEY)[0].as_row(), **row})


@pytest.mark.parametrize(
    "change",
    [
        {"actor": " "},
        {"subject": ""},
        {"meaning": "seen"},
        {"evidence": {"image": "12"}},
        {"evidence": {"image": "A" * 64}},
        {"new": float("nan")},
        {"new": {1: "numbered"}},
        {"new": ("a", "tuple")},
        {"new": b"bytes"},
        {"new": "\ud800"},
        {"reason": "a\x00b"},
    ],
)
def test_what_no_entry_can_hold_is_refused(change):
    with pytest.raises(InputError):
        seal(replace(EVENT, **change), Head(), KEY)


def test_deep_values_are_refused_where_they_would_not_read_back():
    deep: list[object] = []
    for _ in range(60):
        deep = [deep]
    with pytest.raises(InputError, match="nested"):
        seal(replace(EVENT, new=deep), Head(), KEY)


def test_times_are_utc_now_unless_given():
    entry = seal(EVENT, Head(), KEY)
    assert entry.at.endswith("Z")
    assert Entry.decode(entry.encode()) == entry
    with pytest.raises(InputError, match="UTC"):
        seal(EVENT, Head(), KEY, at="2026-01-01 12:00")


@pytest.mark.skipif(os.name != "posix", reason="no file modes here")
def test_a_key_that_others_can_read_seals_nothing(tmp_path):
    made = new_key("the station", tmp_path / "station.pem")
    assert sealing_key(made.private_file).name == "the station"
    made.private_file.chmod(0o640)
    with pytest.raises(InputError, match="others") as caught:
        sealing_key(made.private_file)
    assert caught.value.hint.startswith("chmod 600")


def test_what_is_too_large_to_read_back_is_not_sealed():
    with pytest.raises(InputError, match="bytes"):
        seal(replace(EVENT, new="x" * (4 << 20)), Head(), KEY)
    assert Entry.decode(seal(replace(EVENT, new="x" * 100_000), Head(), KEY).encode()).new == "x" * 100_000
