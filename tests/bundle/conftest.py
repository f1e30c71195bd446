"""A small bundle, and a configuration folder of its own for every test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from onnx import TensorProto, helper, numpy_helper

from sorby.bundle import Description, SigningKey, TrainingData, load_private_key, new_key, trust, write

Tensors = dict[str, dict[str, npt.NDArray[np.generic]]]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Trust and keys of the person who runs the tests stay out of them."""
    home = tmp_path / "home"
    monkeypatch.setenv("SORBY_HOME", str(home))
    monkeypatch.delenv("SORBY_KEY_PASSPHRASE", raising=False)
    return home


@pytest.fixture
def description() -> Description:
    return Description(
        kind="classifier",
        name="needle grades",
        created="2026-11-21T09:00:00+00:00",
        classes=["G3", "G4", "Übergang"],
        preprocessing={"height": 224, "width": 224, "colour": "grey"},
        model={"head": "linear", "temperature": 1.5},
        training_data=TrainingData(fingerprint="ab" * 32, n=120, n_specimens=12),
        metrics={"accuracy": {"value": 0.93, "ci95": [0.88, 0.97], "n": 40, "method": "Wilson"}},
        versions={"sorby": "0.1.0"},
        licence="CC-BY-4.0",
        limits=["not for duplex steels"],
    )


@pytest.fixture
def tensors() -> Tensors:
    values = np.random.default_rng(1863)
    return {
        "weights": {"w": values.normal(size=(3, 4)).astype(np.float32), "b": np.arange(3, dtype=np.int64)},
        "calibration": {"scores": values.normal(size=17), "empty": np.zeros((0, 5)), "n": np.array([7.0])},
    }


@pytest.fixture
def graph() -> bytes:
    """y = 2 x + 1 on vectors of three."""
    factor = numpy_helper.from_array(np.full(3, 2, np.float32), "factor")
    offset = numpy_helper.from_array(np.ones(3, np.float32), "offset")
    nodes = [helper.make_node("Mul", ["x", "factor"], ["m"]), helper.make_node("Add", ["m", "offset"], ["y"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in "xy"]
    made = helper.make_graph(nodes, "line", ends[:1], ends[1:], [factor, offset])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


@pytest.fixture
def make(tmp_path: Path, description: Description, tensors: Tensors, graph: bytes) -> Callable[..., Path]:
    """Write the small bundle: ``make("a.sorby")`` or ``make("a", signing_key=key)``."""

    def make_bundle(name: str, **options: SigningKey) -> Path:
        write(tmp_path / name, description, tensors=tensors, files={"model.onnx": graph}, **options)
        return tmp_path / name

    return make_bundle


@pytest.fixture(params=["folder", "archive"])
def either_form(request: pytest.FixtureRequest, make: Callable[..., Path]) -> Path:
    return make("b" if request.param == "folder" else "b.sorby")


@pytest.fixture
def jane(tmp_path: Path) -> SigningKey:
    """A signer nobody trusts yet; her public key lies at jane.pem.pub."""
    return load_private_key(new_key("Jane Doe", tmp_path / "jane.pem").private_file)


@pytest.fixture
def trusted_jane(jane: SigningKey, tmp_path: Path) -> SigningKey:
    trust(tmp_path / "jane.pem.pub", "Jane of the lab")
    return jane


@pytest.fixture
def copy_of() -> Callable[[Path, str], Path]:
    """Copy a bundle of either form beside itself."""

    def copy(bundle: Path, name: str) -> Path:
        target = bundle.with_name(name + bundle.suffix)
        return Path(shutil.copytree(bundle, target) if bundle.is_dir() else shutil.copy(bundle, target))

    return copy
