"""Where pretrained weights come from, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from sorby.backbone import load, weights
from sorby.errors import InputError, MissingPartError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SORBY_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def _state(name: str, seed: int = 0, classes: int = 10) -> dict[str, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return dict(timm.create_model(name, pretrained=False, num_classes=classes).state_dict())


def test_packaged_lite0_has_296_tensors_and_fills_timms_network_in_order() -> None:
    path = weights.PACKAGED["efficientnet_lite0"].path()
    tensors = weights._read_checkpoint(path)
    assert len(tensors) == 296
    backbone = load("efficientnet_lite0")
    assert backbone.source.kind == "package"
    assert backbone.mean == (0.498, 0.498, 0.498)
    assert len(backbone.source.sha256) == 64
    own = backbone.module.state_dict()
    for mine, theirs in zip(own.values(), tensors.values(), strict=False):
        assert torch.equal(mine, theirs)


def test_random_weights_are_those_of_the_seed_and_are_called_random() -> None:
    first, again, other = (load("resnet18", pretrained=False, seed=seed) for seed in (1, 1, 2))
    weight = [each.module.state_dict()["conv1.weight"] for each in (first, again, other)]
    assert torch.equal(weight[0], weight[1])
    assert not torch.equal(weight[0], weight[2])
    assert first.source.kind == "random"


@pytest.mark.parametrize("name", ["efficientnet_lite", "resnet81", "resnet18.no_such_tag"])
def test_an_unknown_name_is_refused_and_the_nearest_is_named(name: str) -> None:
    with pytest.raises(InputError, match="no backbone named") as caught:
        load(name)
    assert ("efficientnet_lite" if "lite" in name else "resnet18") in caught.value.hint


def test_a_name_that_would_reach_for_the_network_is_no_name() -> None:
    with pytest.raises(InputError, match="no backbone named"):
        load("hf-hub:somebody/model", pretrained=False)


def test_without_weights_anywhere_it_is_an_error_never_random_weights(folder: Path) -> None:
    with pytest.raises(MissingPartError, match="no pretrained weights") as caught:
        load("resnet18.a1_in1k")
    assert "sorby weights add" in caught.value.hint
    assert "efficientnet_lite0" in caught.value.hint


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_added_weights_are_found_under_their_name(folder: Path, tmp_path: Path, suffix: str) -> None:
    state = _state("resnet18", seed=5)
    file = tmp_path / f"mine{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, file)
    else:
        save_file(state, file)
    entry = weights.add(file, "resnet18.a1_in1k")
    backbone = load("resnet18.a1_in1k")
    assert backbone.source.kind == "folder"
    assert backbone.source.sha256 == entry["sha256"]
    assert torch.equal(backbone.module.state_dict()["conv1.weight"], state["conv1.weight"])
    listed = {row["name"]: row for row in weights.available()}
    assert listed["resnet18.a1_in1k"]["kind"] == "folder"
    assert listed["efficientnet_lite0"]["kind"] == "package"


class _Trap:
    """Touches a file when unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.file,)


def test_a_pickle_that_runs_code_is_refused_and_does_not_run(folder: Path, tmp_path: Path) -> None:
    touched = tmp_path / "executed"
    torch.save({"state_dict": _Trap(touched)}, tmp_path / "trap.pth")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(_Trap(touched)))
    for name in ("trap.pth", "raw.pth"):
        with pytest.raises(InputError, match=name):
            weights.add(tmp_path / name, "resnet18.a1_in1k")
    assert not touched.exists()
    assert not list(folder.glob("*"))


@pytest.mark.parametrize("other", ["resnet34", "efficientnet_lite0"])
def test_weights_of_another_architecture_are_refused(folder: Path, tmp_path: Path, other: str) -> None:
    # A ResNet-34 holds every tensor of a ResNet-18 in the right shape, and more.
    save_file(_state(other), tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="does not fit the architecture"):
        weights.add(tmp_path / "other.safetensors", "resnet18.a1_in1k")
    assert not folder.exists() or not list(folder.iterdir())


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\x80\x04"])
def test_damaged_weight_files_are_one_line(folder: Path, tmp_path: Path, content: bytes) -> None:
    for name in ("bad.safetensors", "bad.pth"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name) as caught:
            weights.add(tmp_path / name, "resnet18.a1_in1k")
        assert "\n" not in caught.value.message
    with pytest.raises(InputError, match="no such file"):
        weights.add(tmp_path / "absent.pth", "resnet18.a1_in1k")


def test_the_weights_folder_comes_before_the_hub_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file(_state("resnet18", seed=1), tmp_path / "cached.safetensors")
    monkeypatch.setattr(weights, "_hub_file", lambda name: tmp_path / "cached.safetensors")
    assert load("resnet18.a1_in1k").source.kind == "hub-cache"
    save_file(_state("resnet18", seed=2), tmp_path / "mine.safetensors")
    weights.add(tmp_path / "mine.safetensors", "resnet18.a1_in1k")
    assert load("resnet18.a1_in1k").source.kind == "folder"


def test_the_hub_is_not_asked_when_it_is_switched_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(name: str) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(weights, "_from_hub", forbidden)
    with pytest.raises(MissingPartError):
        load("resnet18.a1_in1k")


def test_position_embeddings_are_resampled_to_the_images_and_odd_sizes_refused() -> None:
    backbone = load("vit_tiny_patch16_224", pretrained=False, size=(64, 96))
    with torch.inference_mode():
        assert backbone.module(torch.zeros(1, 3, 64, 96)).shape == (1, 192)
    with pytest.raises(InputError, match="65 x 64") as caught:
        load("vit_tiny_patch16_224", pretrained=False, size=(65, 64))
    assert "multiples of 16" in caught.value.hint
    assert np.isfinite(backbone.std).all()
