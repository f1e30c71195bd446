from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sorby.bundle import canonical, open_bundle, verify
from sorby.errors import BundleError
from sorby.files import sha256_bytes

MEMBERS = ["LICENSE", "bundle.json", "calibration.safetensors", "model.onnx", "weights.safetensors"]


def repack(folder: Path, target: Path, **options: int) -> Path:
    """Zip a folder as a stranger's tool would, without sorby's writer."""
    with zipfile.ZipFile(target, "w", **options) as zipped:
        for file in sorted(folder.rglob("*")):
            zipped.write(file, file.relative_to(folder).as_posix())
    return target


def refused(path: Path, match: str) -> BundleError:
    """The bundle neither opens nor verifies; return what opening said."""
    with pytest.raises(BundleError, match=match) as caught:
        open_bundle(path)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    report = verify(path)
    assert not report["intact"]
    assert report["signed_by"] is None
    assert any(str(path) in line for line in report["problems"])
    return caught.value


@pytest.mark.parametrize("name", MEMBERS)
def test_any_byte_of_a_member_changed_is_found(name: str, make: Callable[..., Path], tmp_path: Path) -> None:
    folder = make("b")
    original = (folder / name).read_bytes()
    for place in {0, len(original) // 2, len(original) - 1}:
        data = bytearray(original)
        data[place] ^= 0x40
        (folder / name).write_bytes(data)
        refused(folder, f"{name} was changed")
        refused(repack(folder, tmp_path / "b.sorby"), f"{name} was changed")


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_grown_or_cut_is_found(name: str, make: Callable[..., Path], tmp_path: Path) -> None:
    folder = make("b")
    original = (folder / name).read_bytes()
    for data in (original[:-1], original + b"\n", b""):
        (folder / name).write_bytes(data)
        refused(folder, f"{name} was changed")
        refused(repack(folder, tmp_path / "b.sorby"), f"{name} was changed")


@pytest.mark.parametrize("name", [*MEMBERS, "checksums.json"])
def test_a_member_removed_is_found(name: str, make: Callable[..., Path], tmp_path: Path) -> None:
    folder = make("b")
    (folder / name).unlink()
    refused(folder, f"{name} is missing")
    refused(repack(folder, tmp_path / "b.sorby"), f"{name} is missing")


@pytest.mark.parametrize("name", ["extra.txt", "sub/extra.py", "weights2.safetensors"])
def test_a_member_added_is_found(name: str, make: Callable[..., Path], tmp_path: Path) -> None:
    folder = make("b")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"more")
    refused(folder, f"{name} was added")
    with zipfile.ZipFile(make("b.sorby"), "a") as zipped:
        zipped.writestr(name, b"more")
    refused(tmp_path / "b.sorby", f"{name} was added")


def test_two_members_swapped_are_found(make: Callable[..., Path]) -> None:
    folder = make("b")
    os.rename(folder / "weights.safetensors", folder / "x")
    os.rename(folder / "calibration.safetensors", folder / "weights.safetensors")
    os.rename(folder / "x", folder / "calibration.safetensors")
    assert len(verify(folder)["problems"]) == 2


def test_every_damaged_member_is_named(make: Callable[..., Path]) -> None:
    folder = make("b")
    (folder / "model.onnx").write_bytes(b"1")
    (folder / "LICENSE").unlink()
    (folder / "new").write_bytes(b"2")
    report = verify(folder)
    assert len(report["problems"]) == 3
    with pytest.raises(BundleError, match="and 2 more problems"):
        open_bundle(folder)


def test_an_edited_description_is_found(make: Callable[..., Path]) -> None:
    folder = make("b")
    text = (folder / "bundle.json").read_text(encoding="utf-8")
    (folder / "bundle.json").write_text(text.replace("0.93", "0.99"), encoding="utf-8")
    refused(folder, r"bundle\.json was changed")


def test_whitespace_in_the_checksums_is_found(make: Callable[..., Path]) -> None:
    folder = make("b")
    table = folder / "checksums.json"
    table.write_bytes(table.read_bytes() + b"\n")
    refused(folder, "edited or damaged")


def rewrite_checksums(folder: Path) -> None:
    """Make the checksum table fit whatever the folder holds now, as a forger would."""
    table = json.loads((folder / "checksums.json").read_bytes())
    table["members"] = {
        name: {"bytes": len(data), "sha256": sha256_bytes(data)}
        for name in sorted(os.listdir(folder))
        if name not in ("checksums.json", "signature.json")
        for data in [(folder / name).read_bytes()]
    }
    (folder / "checksums.json").write_bytes(canonical.encode(table))


def test_checksums_edited_after_signing_are_found(make: Callable[..., Path], trusted_jane, tmp_path: Path) -> None:
    folder = make("b", signing_key=trusted_jane)
    assert verify(folder)["signed_by"]["name"] == "Jane of the lab"
    (folder / "model.onnx").write_bytes(b"another model")
    rewrite_checksums(folder)
    refused(folder, "changed after signing")
    refused(repack(folder, tmp_path / "b.sorby"), "changed after signing")


def test_an_unsigned_forgery_is_intact_but_has_another_identity(make: Callable[..., Path]) -> None:
    folder = make("b")
    before = open_bundle(folder).sha256
    (folder / "model.onnx").write_bytes(b"another model")
    rewrite_checksums(folder)
    report = verify(folder)
    assert report["intact"]  # only a signature protects from somebody who rewrites everything
    assert report["signature"]["status"] == "unsigned"
    assert report["sha256"] != before


@pytest.mark.parametrize("version", [2, 999, 10**30])
def test_a_newer_format_asks_for_an_update(version: int, make: Callable[..., Path], tmp_path: Path) -> None:
    folder = make("b")
    for name in ("bundle.json", "checksums.json"):
        value = json.loads((folder / name).read_bytes())
        value["format_version"] = version
        value["something_new"] = {"unknown": True}
        (folder / name).write_bytes(canonical.encode(value))
    error = refused(folder, f"format {version} is newer")
    assert error.hint == "update sorby"
    assert refused(repack(folder, tmp_path / "b.sorby"), "newer").hint == "update sorby"


@pytest.mark.parametrize("version", [0, -1, True, "1", 1.0, None])
def test_a_format_version_that_is_no_version_is_refused(version: object, make: Callable[..., Path]) -> None:
    folder = make("b")
    value = json.loads((folder / "bundle.json").read_bytes())
    (folder / "bundle.json").write_bytes(canonical.encode({**value, "format_version": version}))
    rewrite_checksums(folder)
    refused(folder, r"bundle\.json")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"{",
        b"\xff\xfe{}",
        b'{"format_version": 1, "format_version": 1}',
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 60 + b"1" + b"}" * 60,
        b"1" * 5000,
    ],
    ids=lambda content: repr(content[:20]),
)
@pytest.mark.parametrize("name", ["bundle.json", "checksums.json", "signature.json"])
def test_hostile_json_is_refused_in_one_line(name: str, content: bytes, make: Callable[..., Path], jane) -> None:
    folder = make("b", signing_key=jane)
    (folder / name).write_bytes(content)
    refused(folder, ".")
    if name == "bundle.json":
        (folder / "signature.json").unlink()
        rewrite_checksums(folder)
        refused(folder, r"bundle\.json")


@pytest.mark.parametrize("name", ["bundle.json", "checksums.json", "signature.json"])
def test_a_giant_description_is_not_read(name: str, make: Callable[..., Path]) -> None:
    folder = make("b")
    with open(folder / name, "wb") as file:
        file.truncate(20 << 20)
    refused(folder, "larger than")


@pytest.mark.parametrize(
    ("path", "change"),
    [
        (("members", "model.onnx", "bytes"), -1),
        (("members", "model.onnx", "bytes"), "12"),
        (("members", "model.onnx", "bytes"), True),
        (("members", "model.onnx", "sha256"), "AB" * 32),
        (("members", "model.onnx", "sha256"), None),
        (("members", "model.onnx"), []),
        (("members",), []),
        (("members", "../../evil"), {"bytes": 1, "sha256": "0" * 64}),
        (("members", "MODEL.onnx"), {"bytes": 1, "sha256": "0" * 64}),
        (("format_version",), True),
    ],
)
def test_a_malformed_checksum_table_is_refused(path, change, make: Callable[..., Path]) -> None:
    folder = make("b")
    value = json.loads((folder / "checksums.json").read_bytes())
    node = value
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = change
    (folder / "checksums.json").write_bytes(canonical.encode(value))
    refused(folder, ".")


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no symbolic links here")
def test_a_link_in_a_folder_is_refused_even_to_the_right_bytes(make: Callable[..., Path], tmp_path: Path) -> None:
    folder = make("b")
    os.rename(folder / "model.onnx", tmp_path / "elsewhere.onnx")
    os.symlink(tmp_path / "elsewhere.onnx", folder / "model.onnx")
    refused(folder, "symbolic link")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_in_a_folder_is_refused_and_not_waited_for(make: Callable[..., Path], tmp_path: Path) -> None:
    folder = make("b")
    os.mkfifo(folder / "pipe")
    refused(folder, "not a plain file")
    os.mkfifo(tmp_path / "pipe.sorby")
    refused(tmp_path / "pipe.sorby", "neither a folder nor a file")


def test_a_folder_of_very_many_files_is_not_listed_to_its_end(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(1001):
        (folder / str(number)).touch()
    refused(folder, "more than 1000")


def test_nothing_there_is_said_so(tmp_path: Path) -> None:
    for ask in (open_bundle, verify):
        with pytest.raises(BundleError, match="no such bundle"):
            ask(tmp_path / "absent.sorby")


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"png")
    refused(tmp_path / "photos", r"checksums\.json is missing")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_member_is_named(make: Callable[..., Path]) -> None:
    folder = make("b")
    (folder / "model.onnx").chmod(0)
    refused(folder, r"cannot read model\.onnx")
