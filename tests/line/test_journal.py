"""Whatever happens to the end of the file, a journal gives back its last checkpoint and nothing after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sorby.errors import InputError
from sorby.line.journal import Journal

HEADER = {"source": {"folder": "a"}, "strip": {"rows": 96}}


def _write(path: Path) -> int:
    journal = Journal(path, HEADER)
    journal.write("defect", {"number": 1})
    journal.checkpoint({"row": 64, "value": 0.1})
    safe = path.stat().st_size
    journal.write("defect", {"number": 2})
    journal.close()
    return safe


def test_the_end_may_be_torn_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    safe = _write(path)
    data = path.read_bytes()
    for length in range(safe, len(data) + 1):
        path.write_bytes(data[:length])
        journal = Journal(path, HEADER)
        assert journal.state == {"row": 64, "value": 0.1}
        assert [value["number"] for _, value in journal.entries("defect")] == [1]
        journal.close()


def test_before_the_first_checkpoint_it_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, HEADER)
    journal.write("defect", {"number": 1})
    journal.close()
    again = Journal(path, HEADER)
    assert again.state is None
    assert list(again.entries("defect")) == []
    again.close()
    path.write_bytes(b'{"crc32')  # killed while writing the very first line
    assert Journal(path, HEADER).state is None


def test_a_damaged_line_hides_what_follows(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    _write(path)
    data = bytearray(path.read_bytes())
    at = data.index(b'"number":1') + 9
    data[at : at + 1] = b"7"  # still JSON, but not what was written
    path.write_bytes(bytes(data))
    assert Journal(path, HEADER).state is None


def test_another_run_is_refused_with_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    _write(path)
    with pytest.raises(InputError, match="other strip"):
        Journal(path, {**HEADER, "strip": {"rows": 128}})
