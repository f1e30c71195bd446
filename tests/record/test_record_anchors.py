"""Anchor files survive crashes, and hold the record to what it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from sealed_records import chain, sealing, trusting
from sorby.errors import InputError
from sorby.record import Anchor, Head, append_anchor, read_anchors, verify

KEY = sealing(7)
CHAIN = chain(6, KEY)
ANCHORS = [Anchor.of(Head.of(entry), f"2026-03-01T00:00:0{entry.sequence}Z") for entry in CHAIN]


def test_anchors_read_back_in_the_order_in_which_they_were_set(tmp_path):
    path = tmp_path / "elsewhere" / "anchors.jsonl"
    for anchor in ANCHORS:
        append_anchor(path, anchor)
    found = read_anchors(path)
    assert found.anchors == tuple(ANCHORS)
    assert found.damaged == ()
    assert verify(CHAIN, found.anchors, trusting(KEY)).anchors_checked == len(ANCHORS)
    assert json.loads(path.read_text().splitlines()[0]) == {
        "count": 1, "head": CHAIN[0].digest, "at": "2026-03-01T00:00:01Z"
    }  # fmt: skip


@pytest.mark.parametrize("kept", [1, 30, 80])
def test_a_line_torn_by_a_crash_costs_itself_only(tmp_path, kept):
    path = tmp_path / "anchors.jsonl"
    for anchor in ANCHORS[:3]:
        append_anchor(path, anchor)
    whole = path.read_bytes()
    torn = whole[: len(whole) - len(whole.splitlines()[-1]) - 1 + kept]
    path.write_bytes(torn)
    append_anchor(path, ANCHORS[4])
    assert path.read_bytes().startswith(torn)  # append only, also over a torn line
    assert read_anchors(path).anchors == (ANCHORS[0], ANCHORS[1], ANCHORS[4])
    assert read_anchors(path).damaged == (3,)


def test_several_processes_may_append_at_once(tmp_path):
    path = tmp_path / "anchors.jsonl"
    code = (
        "import sys\nfrom sorby.record import Anchor, append_anchor\n"
        "for k in range(40): append_anchor(sys.argv[1], Anchor(k, sys.argv[2] * 64, ''))"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(path), digit]) for digit in "ab"]
    assert [process.wait(60) for process in running] == [0, 0]
    found = read_anchors(path)
    assert found.damaged == ()
    for digit in "ab":
        assert [anchor.count for anchor in found.anchors if anchor.head[0] == digit] == list(range(40))


def test_an_anchor_is_typed_from_paper():
    text = "12: 9F3C 2AB1 4D5E 6F70"
    assert Anchor.parse(text) == Anchor(12, "9f3c2ab14d5e6f70")
    assert Anchor.parse(f"sorby:record:{Head.of(CHAIN[2])}") == Anchor(3, CHAIN[2].digest)


@pytest.mark.parametrize("text", ["12", "12:9f3c", "x:9f3c2ab14d5e6f70", "-1:9f3c2ab14d5e6f70", "12:" + "g" * 64, ""])
def test_what_is_no_anchor_is_refused(text):
    with pytest.raises(InputError, match="no anchor"):
        Anchor.parse(text)


def test_a_file_without_a_single_anchor_is_refused(tmp_path):
    path = tmp_path / "anchors.jsonl"
    path.write_text('{"count":1}\n{"count":true,"head":"' + "0" * 64 + '","at":""}\n')
    with pytest.raises(InputError, match="holds no anchors"):
        read_anchors(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_anchors(tmp_path / "absent.jsonl")


@pytest.mark.skipif(os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_place_that_cannot_be_written_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot write"):
        append_anchor(tmp_path / "anchors.jsonl", ANCHORS[0])
