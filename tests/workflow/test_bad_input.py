"""What laboratories really hand over: each bad input is one line, and nothing half-done is left."""

from __future__ import annotations

import errno
import json
import os
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sorby.classify.recipe import load
from sorby.errors import BundleError, InputError
from sorby.workflow import evaluate, inspect, train
from sorby.workflow.runs import RUN_FILE
from textures import SMALL, Trained, write_folder, write_table


def _refused(call: Callable[[], object], says: str) -> InputError:
    with pytest.raises(InputError, match=says) as caught:
        call()
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value


def _train(data: Path, out: Path, **columns: str) -> dict[str, object]:
    return train(data, out, load(None, SMALL), report=False, **columns)  # type: ignore[arg-type]


# -- folders ----------------------------------------------------------------------------------------------


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "data" / "blobs").mkdir(parents=True)
    _refused(lambda: _train(tmp_path / "data", tmp_path / "run"), "holds no images")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    _refused(lambda: _train(tmp_path / "absent", tmp_path / "run"), "no such file or folder")


def test_one_class_only(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", 3, kinds=["blobs"])
    _refused(lambda: _train(tmp_path / "data", tmp_path / "run"), "only one class, 'blobs'")


def test_a_class_with_one_image(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "data", 4, kinds=["blobs", "stripes"])
    write_folder(folder, 1, kinds=["checks"])
    _refused(lambda: _train(folder, tmp_path / "run"), "class 'checks' has a single image")


def test_damaged_images_among_good_ones_are_set_aside_and_the_training_goes_on(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "data", 8, kinds=["blobs", "stripes"])
    blobs = folder / "blobs"
    whole = (blobs / "blobs-000.png").read_bytes()
    (blobs / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (blobs / "empty.png").touch()
    (blobs / "words.jpg").write_text("no image")
    Image.fromarray(np.full((72, 72), 9, np.uint8)).save(blobs / "wide.png")
    (blobs / "wide.png").rename(blobs / "really-a-png.jpg")
    Image.new("1", (40_000, 40_000)).save(blobs / "gigantic.png")
    result = _train(folder, tmp_path / "run")
    aside = {Path(entry["file"]).name for entry in result["quarantined"]}  # type: ignore[attr-defined]
    assert aside == {"truncated.png", "empty.png", "words.jpg", "gigantic.png"}
    assert sum(result["split"].values()) == 17  # type: ignore[attr-defined]
    assert any("not of the format" in line for line in result["warnings"])  # type: ignore[attr-defined]


def test_nothing_but_damaged_images(tmp_path: Path) -> None:
    for kind in ("a", "b"):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for k in range(3):
            (tmp_path / "data" / kind / f"{k}.png").write_bytes(b"")
    _refused(lambda: _train(tmp_path / "data", tmp_path / "run"), "none of 6 images could be read")


# -- tables -----------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "data", specimens=6, per_specimen=1)


def test_a_table_without_the_column(table: Path, tmp_path: Path) -> None:
    error = _refused(lambda: _train(table, tmp_path / "run", image="picture", label="structur"), "structur")
    assert "structure" in error.message + error.hint, "the nearest column is named"


def test_a_table_that_names_files_which_are_not_there(table: Path, tmp_path: Path) -> None:
    gone = sorted((table.parent / "images").iterdir())[:2]
    for file in gone:
        file.unlink()
    result = _train(table, tmp_path / "run", image="picture", label="structure")
    assert {Path(entry["file"]).name for entry in result["quarantined"]} == {file.name for file in gone}  # type: ignore[attr-defined]


def test_rows_that_contradict_each_other_take_no_part(table: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(table)
    doubled = rows.iloc[[0]].assign(structure="stripes")
    pd.concat([rows, doubled]).to_csv(table, index=False)
    result = _train(table, tmp_path / "run", image="picture", label="structure")
    assert sum(result["split"].values()) == len(rows) - 1  # type: ignore[attr-defined]
    assert any("different labels" in line for line in result["warnings"])  # type: ignore[attr-defined]


def test_rows_without_a_label_take_no_part(table: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(table)
    rows.loc[[0, 7], "structure"] = np.nan
    rows.to_csv(table, index=False)
    result = _train(table, tmp_path / "run", image="picture", label="structure")
    assert sum(result["split"].values()) == len(rows) - 2  # type: ignore[attr-defined]
    assert any("no label" in line for line in result["warnings"])  # type: ignore[attr-defined]
    rows["structure"] = np.nan
    rows.to_csv(table, index=False)
    _refused(lambda: _train(table, tmp_path / "other", image="picture", label="structure"), "no labelled images")


# -- bundles ----------------------------------------------------------------------------------------------


def _rewritten(bundle: Path, out: Path, member: str, change: Callable[[bytes], bytes]) -> Path:
    """Copy a bundle with one member changed, the archive itself intact."""
    with zipfile.ZipFile(bundle) as source, zipfile.ZipFile(out, "w") as target:
        for entry in source.infolist():
            data = source.read(entry)
            target.writestr(entry, change(data) if entry.filename == member else data)
    return out


def _both(bundle: Path, data: Path, out: Path, says: str) -> None:
    for call in (lambda: inspect(bundle, [data], out), lambda: evaluate(bundle, data)):
        with pytest.raises(BundleError, match=says) as caught:
            call()
        assert "\n" not in caught.value.message
    assert not out.exists()


def test_a_corrupted_bundle(trained: Trained, class_folders: Path, tmp_path: Path) -> None:
    data = bytearray(trained.bundle.read_bytes())
    data[len(data) // 2] ^= 255
    (tmp_path / "flipped.sorby").write_bytes(data)
    (tmp_path / "half.sorby").write_bytes(data[: len(data) // 3])
    (tmp_path / "empty.sorby").touch()
    for name in ("flipped", "half", "empty"):
        _both(tmp_path / f"{name}.sorby", class_folders, tmp_path / "out", name)


def test_a_tampered_bundle(trained: Trained, class_folders: Path, tmp_path: Path) -> None:
    lie = _rewritten(
        trained.bundle, tmp_path / "lie.sorby", "bundle.json", lambda data: data.replace(b"stripes", b"strikes")
    )
    _both(lie, class_folders, tmp_path / "out", "bundle.json")


def test_a_bundle_from_a_newer_version(trained: Trained, class_folders: Path, tmp_path: Path) -> None:
    def newer(data: bytes) -> bytes:
        return json.dumps({**json.loads(data), "format_version": 99}).encode()

    bundle = _rewritten(trained.bundle, tmp_path / "newer.sorby", "bundle.json", newer)
    _both(bundle, class_folders, tmp_path / "out", "newer")


# -- the disk and the network -----------------------------------------------------------------------------


@pytest.mark.parametrize("victim", ["bundle.sorby", "verdicts.parquet", RUN_FILE])
def test_a_full_disk_leaves_no_run_that_looks_complete(
    class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    replace = os.replace

    def full(source: str | Path, target: str | Path, **_: object) -> None:
        if Path(target).name == victim:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    _refused(lambda: _train(class_folders, tmp_path / "run"), "disk is full")
    assert not (tmp_path / "run" / RUN_FILE).exists()
    assert not (tmp_path / "run" / victim).exists()
    assert not list((tmp_path / "run").glob(".*")), "nothing partial is left"
    if victim == RUN_FILE:
        monkeypatch.undo()
        _train(class_folders, tmp_path / "run")  # the same command goes through once there is space
        assert (tmp_path / "run" / RUN_FILE).is_file()


def test_a_full_disk_leaves_no_verdicts(
    trained: Trained, class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    _refused(lambda: inspect(trained.bundle, [class_folders], tmp_path / "out"), "disk is full")
    assert not list((tmp_path / "out").iterdir())


def test_prepared_pixels_take_their_space_before_they_are_mapped(
    class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A mapped file that meets a full disk would end the process by SIGBUS.
    if not hasattr(os, "posix_fallocate"):
        pytest.skip("this system cannot reserve space")

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    recipe = load("finetune", SMALL)
    _refused(lambda: train(class_folders, tmp_path / "run", recipe, report=False), "disk is full")


def test_the_main_job_needs_no_network_and_its_report_neither(
    class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blocked(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", blocked)
    monkeypatch.setattr(socket, "getaddrinfo", blocked)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    result = train(class_folders, tmp_path / "run", load(None, SMALL))
    inspected = inspect(str(result["bundle"]), [class_folders], tmp_path / "out", explain=True)
    assert inspected["n"] == 24
    assert len(list((tmp_path / "out" / "overlays").iterdir())) == 24
    page = Path(str(result["report"])).read_text("utf-8")
    assert "blobs" in page
    assert "http" not in page.replace("http://www.w3.org", ""), "the page stands alone"
