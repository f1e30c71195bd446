"""A chained log: what is changed, cut out or moved no longer fits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sorby.errors import InputError
from sorby.workflow.refinement_log import FIRST, Entry, appended, read_log


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Four entries."""
    path, entries = tmp_path / "log.jsonl", list[Entry]()
    for number in range(4):
        entries = appended(path, entries, "round", {"why": f"reason {number}", "value": number / 3})
    return path


def test_what_was_written_is_read_and_each_entry_names_the_one_before(log: Path) -> None:
    entries = read_log(log)
    assert [entry.content["why"] for entry in entries] == [f"reason {k}" for k in range(4)]
    assert [entry.previous for entry in entries] == [FIRST, *(entry.hash for entry in entries[:-1])]
    assert len({entry.hash for entry in entries}) == 4


def change_a_reason(lines: list[str]) -> list[str]:
    return [line.replace("reason 2", "a better one") for line in lines]


def change_a_figure(lines: list[str]) -> list[str]:
    told = json.loads(lines[1])
    told["content"]["value"] = 0.99
    return [lines[0], json.dumps(told), *lines[2:]]


@pytest.mark.parametrize(
    ("change", "number"),
    [
        (change_a_reason, 2),
        (change_a_figure, 1),
        (lambda lines: [lines[0], lines[2], lines[3]], 1),
        (lambda lines: lines[1:], 0),
        (lambda lines: [lines[0], lines[2], lines[1], lines[3]], 1),
        (lambda lines: [*lines[:2], "not JSON", *lines[3:]], 2),
        (lambda lines: [*lines[:3], "[]"], 3),
    ],
)
def test_a_changed_log_is_refused_and_the_entry_named(log: Path, change, number: int) -> None:  # type: ignore[no-untyped-def]
    log.write_text("\n".join(change(log.read_text("utf-8").splitlines())) + "\n", "utf-8")
    with pytest.raises(InputError, match=f"entry {number} is not what was written"):
        read_log(log)


def test_no_log_and_an_empty_one_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no refinement") as caught:
        read_log(tmp_path / "log.jsonl")
    assert "refine start" in caught.value.hint
    (tmp_path / "log.jsonl").write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        read_log(tmp_path / "log.jsonl")
    (tmp_path / "log.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="no UTF-8"):
        read_log(tmp_path / "log.jsonl")
