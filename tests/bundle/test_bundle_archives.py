from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sorby.bundle import archive, open_bundle, verify
from sorby.bundle.archive import locate_members
from sorby.errors import BundleError


def refused(path: Path, match: str) -> None:
    with pytest.raises(BundleError, match=match) as caught:
        open_bundle(path)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert not verify(path)["intact"]


@pytest.mark.parametrize(
    "name", ["../evil.txt", "a/../../evil", "/etc/cron.d/evil", "C:/evil", "..\\evil", "\\\\host\\x", "a\x00b", "a\nb"]
)
def test_a_name_that_leads_outside_is_refused(name: str, make: Callable[..., Path], tmp_path: Path) -> None:
    path = make("b.sorby")
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.writestr(zipfile.ZipInfo("placeholder"), b"evil")
    # zipfile itself tidies some of these names when writing, so they are put in by hand.
    raw = name.encode().ljust(len("placeholder"), b"x")
    data = path.read_bytes()
    if len(raw) == len("placeholder"):
        path.write_bytes(data.replace(b"placeholder", raw))
    else:
        with zipfile.ZipFile(make("c.sorby"), "a") as zipped:
            zipped.writestr(name, b"evil")
        path = tmp_path / "c.sorby"
    refused(path, "name (leads outside|holds characters)")
    assert not list(tmp_path.parent.rglob("evil*"))


def test_a_symbolic_link_is_refused(make: Callable[..., Path]) -> None:
    path = make("b.sorby")
    link = zipfile.ZipInfo("link")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.writestr(link, "/etc/passwd")
    refused(path, "symbolic link")


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR])
def test_a_device_or_pipe_is_refused(kind: int, make: Callable[..., Path]) -> None:
    path = make("b.sorby")
    entry = zipfile.ZipInfo("odd")
    entry.create_system = 3
    entry.external_attr = (kind | 0o644) << 16
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.writestr(entry, b"")
    refused(path, "not a plain file")


def test_a_folder_entry_is_refused(make: Callable[..., Path]) -> None:
    path = make("b.sorby")
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.writestr("sub/", b"")
    refused(path, "not a plain file")


def test_a_zip_bomb_is_refused_without_unpacking(make: Callable[..., Path]) -> None:
    path = make("b.sorby")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("bomb", bytes(50 << 20))
    assert path.stat().st_size < 1 << 20
    refused(path, "compressed")


def test_a_stored_member_cannot_claim_more_bytes_than_the_file_has(make: Callable[..., Path]) -> None:
    path = make("b.sorby")
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.writestr("liar", b"abc")
    data = bytearray(path.read_bytes())
    directory = data.rindex(b"PK\x01\x02")
    struct.pack_into("<LL", data, directory + 20, 1 << 31, 1 << 31)
    path.write_bytes(data)
    refused(path, "contradicts|hidden|damaged")


def test_overlapping_members_are_refused(make: Callable[..., Path]) -> None:
    """Two directory entries that share one body: the other way to make a small file unpack to a large one."""
    path = make("b.sorby")
    data = path.read_bytes()
    start = locate_end(data)
    first = data.index(b"PK\x01\x02")
    end_of_first = data.index(b"PK\x01\x02", first + 4)
    entry = bytearray(data[first:end_of_first])
    name_at = 46
    entry[name_at : name_at + 1] = b"Z"
    ending = bytearray(data[start:])
    count, size = struct.unpack_from("<H", ending, 10)[0] + 1, struct.unpack_from("<L", ending, 12)[0] + len(entry)
    struct.pack_into("<HHL", ending, 8, count, count, size)
    path.write_bytes(data[:start] + entry + ending)
    refused(path, "shared|hidden")


def locate_end(data: bytes) -> int:
    return data.rindex(b"PK\x05\x06")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_held_twice_is_refused(make: Callable[..., Path], graph: bytes) -> None:
    path = make("b.sorby")
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.writestr("model.onnx", graph)
    refused(path, "twice")


def test_names_that_differ_in_case_only_are_refused(make: Callable[..., Path], graph: bytes) -> None:
    path = make("b.sorby")
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.writestr("Model.ONNX", graph)
    refused(path, "twice")


def test_an_encrypted_member_is_refused(make: Callable[..., Path]) -> None:
    path = make("b.sorby")
    data = bytearray(path.read_bytes())
    data[6] |= 1  # flag bits of the first local header
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and of its directory entry
    path.write_bytes(data)
    refused(path, "encrypted")


@pytest.mark.parametrize("tail", [b"\x00", b"\n", b"garbage" * 1000, b"PK\x05\x06", bytes(70_000)])
def test_trailing_bytes_are_refused(tail: bytes, make: Callable[..., Path]) -> None:
    path = make("b.sorby")
    path.write_bytes(path.read_bytes() + tail)
    refused(path, "cut short or bytes were added")


@pytest.mark.parametrize("head", [b"\x00", b"#!/bin/sh\nrm -rf ~\n"])
def test_leading_bytes_are_refused(head: bytes, make: Callable[..., Path]) -> None:
    path = make("b.sorby")
    path.write_bytes(head + path.read_bytes())
    refused(path, ".")


def test_an_archive_comment_is_refused(make: Callable[..., Path]) -> None:
    path = make("b.sorby")
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.comment = b"hello"
    refused(path, "cut short or bytes were added")


def test_bytes_hidden_between_members_and_directory_are_refused(make: Callable[..., Path]) -> None:
    path = make("b.sorby")
    data = path.read_bytes()
    directory = data.index(b"PK\x01\x02")
    ending = bytearray(data[directory:])
    offset_at = len(ending) - 6
    struct.pack_into("<L", ending, offset_at, struct.unpack_from("<L", ending, offset_at)[0] + 7)
    path.write_bytes(data[:directory] + b"secrets" + ending)
    refused(path, "hidden")


def test_a_second_archive_behind_the_first_is_refused(make: Callable[..., Path], tmp_path: Path) -> None:
    """Readers that search from the front and from the end would see different bundles."""
    first, second = make("b.sorby"), make("c.sorby")
    (tmp_path / "both.sorby").write_bytes(first.read_bytes() + second.read_bytes())
    refused(tmp_path / "both.sorby", ".")


def test_a_local_header_that_names_another_member_is_refused(make: Callable[..., Path]) -> None:
    path = make("b.sorby")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"model.onnx", b"nodel.onnx", 1))
    refused(path, ".")


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"not a zip", b"\x89PNG\r\n" * 10, b"PK\x03\x04" + bytes(100), bytes(1 << 17)]
)
def test_a_file_that_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.sorby").write_bytes(content)
    refused(tmp_path / "x.sorby", "not a sorby bundle|cut short")


def test_an_empty_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.sorby", "w"):
        pass
    refused(tmp_path / "x.sorby", r"checksums\.json is missing")


def test_a_truncated_archive_is_refused(make: Callable[..., Path]) -> None:
    path = make("b.sorby")
    data = path.read_bytes()
    for length in range(0, len(data), 97):
        path.write_bytes(data[:length])
        with pytest.raises(BundleError):
            open_bundle(path)


def test_a_directory_of_very_many_members_is_not_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.sorby", "w") as zipped:
        for number in range(1001):
            zipped.writestr(str(number), b"")
    refused(tmp_path / "x.sorby", "more than 1000")


def test_a_stored_archive_of_another_tool_is_accepted(make: Callable[..., Path], tmp_path: Path) -> None:
    folder = make("b")
    with zipfile.ZipFile(tmp_path / "by-hand.sorby", "w", zipfile.ZIP_STORED) as zipped:
        for file in sorted(folder.iterdir(), reverse=True):
            zipped.write(file, file.name)  # real times and modes, another order
    assert open_bundle(tmp_path / "by-hand.sorby").sha256 == open_bundle(folder).sha256


def test_members_beyond_four_gigabytes_are_located(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The zip64 layout, reached with small members by lowering zipfile's limit."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    file = io.BytesIO()
    with archive.ArchiveWriter(file) as writer:
        writer.add("large", 300, lambda member: member.write(bytes(300)) and None)
        writer.add("small", 3, lambda member: member.write(b"abc") and None)
    monkeypatch.undo()
    assert b"PK\x06\x06" in file.getvalue()
    (tmp_path / "x.sorby").write_bytes(file.getvalue())
    spans = locate_members(tmp_path / "x.sorby")
    assert [(name, span.size) for name, span in spans.items()] == [("large", 300), ("small", 3)]
    assert file.getvalue()[spans["small"].offset :][:3] == b"abc"
