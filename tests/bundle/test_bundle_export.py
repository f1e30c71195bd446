from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from sorby.bundle import SigningKey, export, open_bundle, verify, write
from sorby.errors import BundleError, InputError


def test_folder_and_archive_turn_into_each_other_without_loss(make: Callable[..., Path], tmp_path: Path) -> None:
    archive = make("b.sorby")
    there = export(archive, tmp_path / "folder")
    back = export(tmp_path / "folder", tmp_path / "back.sorby")
    assert (tmp_path / "back.sorby").read_bytes() == archive.read_bytes()
    assert there.left_out == back.left_out == []
    assert (there.format, back.format) == ("folder", "sorby")


def test_the_graph_alone_is_the_graph_and_says_what_is_missing(either_form: Path, graph: bytes, tmp_path: Path) -> None:
    done = export(either_form, tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").read_bytes() == graph
    onnx.checker.check_model(onnx.load(tmp_path / "m.onnx"))
    said = " ".join(done.left_out)
    for loss in ("calibration", "preprocessing", "signature", "weights.safetensors", "LICENSE"):
        assert loss in said


def test_openvino_computes_the_same_as_the_graph(either_form: Path, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    done = export(either_form, tmp_path / "m.xml")
    assert [file.name for file in done.files] == ["m.xml", "m.bin"]
    model = openvino.Core().compile_model(str(tmp_path / "m.xml"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    x = np.array([[1.0, -2.5, 3e4]], np.float32)
    np.testing.assert_array_equal(model(x)[0], 2 * x + 1)  # exact in float32
    assert "calibration" in " ".join(done.left_out)
    with pytest.raises(InputError, match="exists"):
        export(either_form, tmp_path / "m.xml")


def test_the_description_is_exported_as_json(either_form: Path, tmp_path: Path) -> None:
    done = export(either_form, tmp_path / "d.json")
    assert json.loads((tmp_path / "d.json").read_bytes())["classes"] == ["G3", "G4", "Übergang"]
    assert "model.onnx" in done.left_out


def test_a_damaged_bundle_is_not_exported(make: Callable[..., Path], tmp_path: Path) -> None:
    folder = make("b")
    (folder / "weights.safetensors").write_bytes(b"")
    for out in ("c", "c.sorby", "c.onnx", "c.xml", "c.json"):
        with pytest.raises(BundleError, match="was changed"):
            export(folder, tmp_path / out)
    assert os.listdir(tmp_path) == ["b"]


def test_a_bundle_without_a_graph_says_so(description, tmp_path: Path) -> None:
    write(tmp_path / "b", description)
    with pytest.raises(BundleError, match="no ONNX graph"):
        export(tmp_path / "b", tmp_path / "m.onnx")


def test_a_graph_that_openvino_cannot_read_is_one_line(description, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    write(tmp_path / "b", description, files={"model.onnx": b"not a graph"})
    with pytest.raises(BundleError, match="OpenVINO cannot") as caught:
        export(tmp_path / "b", tmp_path / "m.xml")
    assert "\n" not in caught.value.message
    assert not (tmp_path / "m.xml").exists()


@pytest.mark.parametrize(("out", "to"), [("m.tflite", None), ("m.xml", "onnx"), ("m", "sorby"), ("m.sorby", "folder")])
def test_a_destination_that_contradicts_its_form_is_refused(
    out: str, to: str | None, make: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError):
        export(make("b"), tmp_path / out, to=to)


def test_an_unsignable_form_refuses_the_key(make: Callable[..., Path], jane: SigningKey, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot carry a signature"):
        export(make("b"), tmp_path / "m.onnx", signing_key=jane)
    assert not (tmp_path / "m.onnx").exists()


def test_an_export_replaces_a_file_only_when_asked(make: Callable[..., Path], tmp_path: Path, graph: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(b"old")
    with pytest.raises(InputError, match="exists") as refused:
        export(make("b"), tmp_path / "m.onnx")
    assert refused.value.hint == "choose another --out, or --overwrite"
    assert (tmp_path / "m.onnx").read_bytes() == b"old"
    export(tmp_path / "b", tmp_path / "m.onnx", overwrite=True)
    assert (tmp_path / "m.onnx").read_bytes() == graph


def test_a_folder_name_with_a_dot_is_asked_for_by_name(make: Callable[..., Path], tmp_path: Path) -> None:
    export(make("b.sorby"), tmp_path / "model.v2", to="folder")
    assert verify(tmp_path / "model.v2")["intact"]
    assert open_bundle(tmp_path / "model.v2").sha256 == open_bundle(tmp_path / "b.sorby").sha256
