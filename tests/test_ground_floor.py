"""The ground floor: atomic files, errors, provenance, the public surface, the layers, quick imports."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sorby
from sorby import provenance
from sorby.errors import BundleError, ImageError, InputError, MissingPartError, Quarantined, SorbyError
from sorby.files import atomic_write, explained, sha256_file, staged_directory, write_json

ROOT = Path(__file__).resolve().parents[1]


def _python(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


# -- files ------------------------------------------------------------------------------------------------


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.bin"
    with atomic_write(target) as file:
        file.write(b"half")
        assert not target.exists()
    assert target.read_bytes() == b"half"
    assert [entry.name for entry in target.parent.iterdir()] == ["file.bin"]


def test_a_failed_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError), atomic_write(target) as file:  # noqa: PT012
        file.write(b"new")
        raise RuntimeError
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, where, full)
    with pytest.raises(InputError, match="disk is full") as caught, atomic_write(tmp_path / "file") as file:
        file.write(b"x")
    assert "space" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_staged_folder_is_whole_or_absent(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    with pytest.raises(RuntimeError), staged_directory(target) as folder:  # noqa: PT012
        (folder / "a").write_text("a")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with staged_directory(target) as folder:
        (folder / "a").write_text("a")
        assert not target.exists()
    assert [entry.name for entry in target.iterdir()] == ["a"]
    with pytest.raises(InputError, match="not empty"), staged_directory(target):
        pass
    with staged_directory(target, overwrite=True) as folder:
        (folder / "b").write_text("b")
    assert [entry.name for entry in target.iterdir()] == ["b"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write here"), atomic_write(tmp_path / "file" / "inner"):
        pass
    with pytest.raises(InputError, match="cannot write here"), explained(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_json_has_no_nan_and_bears_any_file_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"value": float("nan")})
    assert not (tmp_path / "x.json").exists()
    write_json(tmp_path / "y.json", {"name": "Schliff_\udcfc.png", "umlaut": "ü"})
    assert json.loads((tmp_path / "y.json").read_text("utf-8"))["umlaut"] == "ü"


def test_the_hash_of_a_file_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert sha256_file(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    big = os.urandom(3 << 20)
    (tmp_path / "big").write_bytes(big)
    assert sha256_file(tmp_path / "big") == hashlib.sha256(big).hexdigest()


# -- errors and provenance --------------------------------------------------------------------------------


def test_errors_know_their_exit_code() -> None:
    assert SorbyError("x").exit_code == 1
    for kind in (InputError, ImageError, BundleError, MissingPartError):
        assert kind("x").exit_code == 2
    assert Quarantined.from_error("a.png", ImageError("a.png: bad")).as_dict() == {
        "file": "a.png",
        "reason": "bad",
    }


def test_a_result_states_its_making() -> None:
    made = provenance.describe(seed=7)
    assert made["seed"] == 7
    assert made["versions"]["sorby"] == sorby.__version__
    assert {"torch", "timm", "openvino", "numpy", "python"} <= set(made["versions"])
    assert made["created"].endswith("+00:00")
    json.dumps(made)


def test_git_that_hangs_or_is_absent_does_not_stop_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert provenance.git_state(tmp_path) is None

    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("git", 10)

    monkeypatch.setattr(subprocess, "run", hang)
    assert provenance.git_state(ROOT) is None


# -- the house --------------------------------------------------------------------------------------------


def test_the_public_surface_is_there_and_nothing_else() -> None:
    for name in sorby.__all__:
        assert getattr(sorby, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'unknown'"):
        sorby.unknown  # noqa: B018


def test_importing_sorby_and_asking_for_help_loads_nothing_heavy() -> None:
    code = """
import sys
import sorby
from sorby.cli import cli
from sorby.cli._frame import run
assert run(cli, ["--help"]) == 0
print([name for name in ("torch", "openvino", "timm", "sklearn", "pandas", "matplotlib") if name in sys.modules])
"""
    assert _python(code).strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize("package", ["evidence", "bundle", "micrograph"])
def test_light_packages_do_without_torch(package: str) -> None:
    assert _python(f"import sys, sorby.{package}; print('torch' in sys.modules)").strip() == "False"


def test_imports_go_down_the_layers_only() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    if not linter.exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run([str(linter)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
