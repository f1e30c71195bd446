"""A record reads the same from a file, from SQLite and from PostgreSQL, and is never written to."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path

import pytest

from sealed_records import chain, sealing, trusting
from sorby.errors import InputError
from sorby.record import Damaged, Entry, Head, read_lines, read_record, verify, write_lines

KEY = sealing(7)
CHAIN = chain(8, KEY)
COLUMNS = list(Entry.__dataclass_fields__)
TABLE = f"CREATE TABLE entries (sequence INTEGER PRIMARY KEY, {', '.join(f'{name} TEXT' for name in COLUMNS[1:])})"


def fill(path: Path, entries: list[Entry], *, wal: bool = False) -> sqlite3.Connection:
    """Store entries as the station does and return the open connection."""
    connection = sqlite3.connect(path)
    if wal:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(TABLE)
    for entry in reversed(entries):  # a table has no order
        row = entry.as_row()
        marks = ", ".join("?" for _ in row)
        connection.execute(f"INSERT INTO entries ({', '.join(row)}) VALUES ({marks})", list(row.values()))
    connection.commit()
    return connection


def test_a_file_of_lines_gives_back_what_was_written(tmp_path):
    path = tmp_path / "record.jsonl"
    with open(path, "wb") as file:
        assert write_lines(file, CHAIN) == Head.of(CHAIN[-1])
    assert list(read_record(path)) == CHAIN


def test_lines_that_are_no_entries_do_not_end_the_reading(tmp_path):
    lines = [entry.encode() for entry in CHAIN]
    lines[2] = b"\n"
    lines[4] = lines[4].replace(b"ada", b"\xff")
    path = tmp_path / "record.jsonl"
    path.write_bytes(b"".join(lines)[:-5])
    found = list(read_lines(path))
    assert [one.place for one in found if isinstance(one, Damaged)] == ["line 3", "line 5", "line 8"]
    assert found[3] == CHAIN[3]
    with pytest.raises(InputError, match="line 3"):
        write_lines(io.BytesIO(), found)


@pytest.mark.parametrize("wal", [False, True])
def test_a_database_in_use_is_read_and_left_as_it_is(tmp_path, wal):
    path = tmp_path / "with space & 100%.db"
    writer = fill(path, CHAIN, wal=wal)  # held open: closing it would write what is in the WAL into the file
    before = path.read_bytes()
    assert list(read_record(path)) == CHAIN
    assert list(read_record(f"sqlite:///{path}")) == CHAIN
    assert path.read_bytes() == before
    writer.close()


def test_what_was_changed_in_the_table_is_found(tmp_path):
    path = tmp_path / "station.db"
    with fill(path, CHAIN) as connection:
        connection.execute("UPDATE entries SET reason = 'none' WHERE sequence = 4")
        connection.execute("UPDATE entries SET new = ' null' WHERE sequence = 6")
    found = verify(read_record(path), [], trusting(KEY))
    assert [(fault.sequence, fault.kind) for fault in found.faults] == [(4, "edited"), (6, "damaged")]


def test_bytes_that_are_no_text_end_in_one_line(tmp_path):
    path = tmp_path / "station.db"
    with fill(path, CHAIN) as connection:
        connection.execute("UPDATE entries SET reason = CAST(x'ff' AS TEXT) WHERE sequence = 4")
    with pytest.raises(InputError, match="cannot be read"):
        list(read_record(path))


def test_a_password_is_never_repeated():
    with pytest.raises(InputError) as caught:
        list(read_record("postgresql://jane:secret@localhost:1/nothing"))
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "source", ["absent.jsonl", "sqlite:///absent.db", "mysql://localhost/x", "://", "postgresql://h:port/x"]
)
def test_what_is_no_record_is_told_in_one_line(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        list(read_record(source))


def test_a_database_without_the_table_is_told(tmp_path):
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE a (b)")
    with pytest.raises(InputError, match="cannot be read"):
        list(read_record(tmp_path / "other.db"))
