"""``sorby record`` on the command line: what the contract promises of it."""

from __future__ import annotations

import csv
import json
import sqlite3
from dataclasses import replace

import pytest

from sealed_records import STATION, chain
from sorby.bundle import load_private_key, new_key, trust
from sorby.cli import cli
from sorby.cli._frame import run
from sorby.record import Anchor, Entry, Head, append_anchor


@pytest.fixture
def sorby(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("SORBY_HOME", str(tmp_path / "home"))

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run(cli, [str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def made(tmp_path, sorby):
    """A record of nine entries with its key and anchors."""
    key = new_key(STATION, tmp_path / "station.pem")
    entries = chain(9, load_private_key(key.private_file))
    path = tmp_path / "record.jsonl"
    path.write_bytes(b"".join(entry.encode() for entry in entries))
    append_anchor(tmp_path / "anchors.jsonl", Anchor.of(Head.of(entries[-1])))
    return entries, path, key.public_file, tmp_path / "anchors.jsonl"


def test_an_intact_record(sorby, made):
    entries, path, public, anchors = made
    code, out, _ = sorby("record", "verify", path, "--anchors", anchors, "--key", public, "--json")
    said = json.loads(out)
    assert code == 0
    assert (said["entries"], said["head"], said["intact"]) == (9, entries[-1].digest, True)
    assert (said["anchors_checked"], said["faults"]) == (1, [])
    assert [signer["name"] for signer in said["signers"]] == [STATION]
    code, out, _ = sorby("record", "verify", path, "--key", public)
    assert code == 0
    assert out.startswith("intact: 9 entries, held against 0 anchors")
    assert "no outside anchor" in out


def test_a_changed_record_is_told_in_full_and_then_fails(sorby, made):
    entries, path, public, anchors = made
    changed = [*entries[:4], replace(entries[4], actor="nobody"), *entries[5:-1]]
    path.write_bytes(b"".join(entry.encode() for entry in changed))
    code, out, err = sorby("record", "verify", path, "--anchors", anchors, "--key", public, "--json")
    said = json.loads(out)
    assert code == 2
    assert not said["intact"]
    assert [(fault["sequence"], fault["kind"]) for fault in said["faults"]] == [(5, "edited"), (9, "truncated")]
    assert "entry 5 was edited" in err
    assert err.count("error: ") == err.count("hint: ") == 1
    code, out, _ = sorby("record", "verify", path, "--key", public, "--anchor", f"9:{entries[8].digest[:20]}")
    assert code == 2
    assert "NOT INTACT" in out


def test_whose_signature_counts(sorby, made, tmp_path):
    _, path, public, _ = made
    code, _, err = sorby("record", "verify", path)
    assert code == 2
    assert "no key" in err
    other = new_key("somebody else", tmp_path / "other.pem")
    assert sorby("record", "verify", path, "--key", other.public_file)[0] == 2
    trust(public)
    assert sorby("record", "verify", path)[0] == 0
    assert sorby("record", "verify", path, "--key", STATION.upper())[0] == 0
    code, _, err = sorby("record", "verify", path, "--key", "nobody")
    assert code == 2
    assert "no trusted key" in err


def test_a_database_and_its_export_say_the_same(sorby, made, tmp_path):
    entries, path, public, anchors = made
    database = tmp_path / "station.db"
    names = list(Entry.__dataclass_fields__)
    with sqlite3.connect(database) as connection:
        connection.execute(f"CREATE TABLE entries ({', '.join(names)})")
        marks = ", ".join("?" for _ in names)
        connection.executemany(f"INSERT INTO entries VALUES ({marks})", [list(e.as_row().values()) for e in entries])
    said = sorby("record", "export", f"sqlite:///{database}", "--out", tmp_path / "copy.jsonl", "--json")
    assert said[0] == 0
    assert json.loads(said[1])["head"] == entries[-1].digest
    assert (tmp_path / "copy.jsonl").read_bytes() == path.read_bytes()
    assert sorby("record", "verify", database, "--anchors", anchors, "--key", public)[0] == 0
    assert sorby("record", "export", database, "--out", tmp_path / "copy.jsonl")[0] == 2
    assert sorby("record", "export", database, "--out", tmp_path / "copy.txt")[0] == 2


def test_a_table_to_read_in_a_spreadsheet(sorby, made, tmp_path):
    entries, path, *_ = made
    code, out, _ = sorby("record", "export", path, "--out", tmp_path / "copy.csv", "--json")
    assert (code, json.loads(out)["entries"]) == (0, 9)
    with open(tmp_path / "copy.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["digest"] for row in rows] == [entry.digest for entry in entries]
    assert json.loads(rows[0]["new"]) == entries[0].new


def test_entries_are_shown_by_subject_time_and_actor(sorby, made):
    entries, path, *_ = made
    code, out, _ = sorby("record", "show", path, "--subject", "image:0002", "--json")
    assert code == 0
    assert [entry["sequence"] for entry in json.loads(out)["shown"]] == [3]
    code, out, _ = sorby("record", "show", path, "--subject", "image:0002")
    for text in ("revi (reviewer)", "review.correct", "signed: reviewed", "reason: needles are shorter"):
        assert text in out
    out = sorby("record", "show", path, "--since", entries[6].at, "--json")[1]
    assert [entry["sequence"] for entry in json.loads(out)["shown"]] == [7, 8, 9]
    out = sorby("record", "show", path, "--actor", "ina", "--last", "1")[1]
    assert "(3 earlier entries; --last shows more)" in out
    assert sorby("record", "show", path, "--since", "yesterday")[0] == 2


def test_what_an_entry_says_cannot_steer_the_terminal(sorby, made):
    entries, path, *_ = made
    path.write_bytes(replace(entries[0], reason="\x1b[2J\u202egone").encode() + b"torn")
    code, out, err = sorby("record", "show", path)
    assert code == 3
    assert "\x1b" not in out + err
    assert "line 2" in err


def test_an_auditor_sets_anchors_of_their_own(sorby, made, tmp_path):
    entries, path, public, _ = made
    own = tmp_path / "auditor" / "anchors.jsonl"
    assert sorby("record", "anchor", path, "--out", own, "--key", public)[0] == 0
    assert sorby("record", "anchor", path, "--out", own, "--key", public)[0] == 0
    assert len(own.read_text().splitlines()) == 2
    path.write_bytes(b"".join(entry.encode() for entry in entries[:-1]))
    code, _, err = sorby("record", "anchor", path, "--out", own, "--key", public)
    assert code == 2
    assert "nothing was anchored" in err
    assert len(own.read_text().splitlines()) == 2
