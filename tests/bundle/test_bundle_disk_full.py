from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sorby import files
from sorby.bundle import export, open_bundle, verify, write
from sorby.errors import InputError

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(("name", "call"), [("b.sorby", 1), ("b", 1), ("b", 2), ("b", 6)])
def test_a_disk_that_fills_at_any_sync_leaves_nothing(
    name: str, call: int, description, tensors, graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def fsync(handle: int) -> None:
        calls.append(handle)
        if len(calls) == call:
            raise FULL

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(InputError, match="disk is full"):
        write(tmp_path / name, description, tensors=tensors, files={"model.onnx": graph})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["b", "b.sorby"])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_disk_that_fills_while_writing_leaves_nothing(
    name: str, share: float, make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make("whole")
    room = int(share * sum(file.stat().st_size for file in whole.iterdir()))
    used = [0]

    class SmallDisk(io.FileIO):
        def write(self, data) -> int:
            if used[0] + len(data) > room:
                raise FULL
            used[0] += len(data)
            return super().write(data)

    monkeypatch.setattr(files, "open", lambda path, mode: SmallDisk(path, mode.replace("b", "")), raising=False)
    with pytest.raises(InputError, match="disk is full"):
        make(name)
    assert os.listdir(tmp_path) == ["whole"]


@pytest.mark.parametrize("name", ["b", "b.sorby"])
def test_a_failed_replacement_leaves_the_old_bundle(
    name: str, make: Callable[..., Path], description, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(name)
    before = open_bundle(path).sha256

    def fsync(_handle: int) -> None:
        raise FULL

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(InputError, match="disk is full"):
        write(path, description, overwrite=True)
    assert open_bundle(path).sha256 == before


@pytest.mark.parametrize("out", ["c.sorby", "c", "c.onnx", "c.json"])
def test_a_failed_export_leaves_nothing(
    out: str, make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make("b.sorby")

    def fsync(_handle: int) -> None:
        raise FULL

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(InputError, match="disk is full"):
        export(path, tmp_path / out)
    assert os.listdir(tmp_path) == ["b.sorby"]


@pytest.mark.skipif(not hasattr(os, "kill") or sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("name", ["b", "b.sorby"])
def test_a_killed_writer_leaves_nothing_that_looks_like_a_bundle(name: str, description, tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from sorby.bundle import Description, write\n"
        "calls = []\n"
        "def fsync(handle):\n"
        "    calls.append(handle)\n"
        "    if len(calls) == int(sys.argv[3]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.fsync = fsync\n"
        "write(sys.argv[2], Description.model_validate_json(sys.argv[1]), files={'model.onnx': b'graph'})\n"
    )
    moment = "1" if name.endswith(".sorby") else "3"
    arguments = [description.model_dump_json(), str(tmp_path / name), moment]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, check=False)
    assert done.returncode == -9
    assert not (tmp_path / name).exists()
    write(tmp_path / name, description, files={"model.onnx": b"graph"})  # and does not stand in the way
    assert verify(tmp_path / name)["intact"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere")
def test_a_place_that_cannot_be_written_is_named(description, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot write here"):
        write(tmp_path / "b.sorby", description)


def test_a_destination_below_a_file_is_named(description, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for name in ("b", "b.sorby"):
        with pytest.raises(InputError, match="cannot write here"):
            write(tmp_path / "file" / name, description)
