"""Fine-tuning: it learns, keeps its best epoch, and survives being killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from interrupted_training import EPOCHS, SPEC, parts, recipe

from sorby.backbone.checkpoint import load_checkpoint
from sorby.classify import finetune
from sorby.classify.heads import Targets
from sorby.classify.recipe import load
from sorby.errors import InputError
from textures import textures

HERE = Path(__file__).parent


def _process(state: Path, out: Path, *kill_after: int) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    command = [sys.executable, str(HERE / "interrupted_training.py"), str(state), str(out), *map(str, kill_after)]
    return subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=280, check=False
    )


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Sums are the same bit by bit only for the same number of threads; two also hinder each other on busy cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def one_epoch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a training of one epoch."""
    state = tmp_path_factory.mktemp("state")
    train, validation = parts()
    finetune.finetune(recipe(**{"finetune.epochs": 1}), SPEC, train, validation, state, device="cpu")
    return state


def test_killed_and_started_again_it_ends_with_the_same_network(tmp_path: Path) -> None:
    killed = _process(tmp_path / "state", tmp_path / "never.safetensors", 0)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "never.safetensors").exists()
    train, validation = parts()
    resumed = finetune.finetune(recipe(), SPEC, train, validation, tmp_path / "state", device="cpu")
    whole = finetune.finetune(recipe(), SPEC, train, validation, tmp_path / "other", device="cpu")
    assert (resumed.resumed_from, whole.resumed_from) == (1, 0)
    assert len(resumed.history) == EPOCHS
    assert resumed.history == whole.history
    other = whole.network.state_dict()
    for key, value in resumed.network.state_dict().items():
        assert torch.equal(value, other[key]), key


def test_an_easy_set_is_learnt_in_two_epochs_from_scratch(tmp_path: Path) -> None:
    pixels, labels = textures(["blobs", "stripes"], 40, seed=0, size=48)
    rows = np.random.default_rng(0).permutation(80)
    train, validation = (finetune.Part(pixels, part, Targets.plain(labels[part])) for part in (rows[:56], rows[56:]))
    chosen = load(
        None,
        {
            "regime": "finetune",
            "backbone.name": "resnet10t",
            "backbone.pretrained": False,
            "augment": "none",
            "finetune.epochs": 2,
            "finetune.batch_size": 4,
            "finetune.learning_rate": 0.002,
            "finetune.layer_decay": 1.0,
            "finetune.warmup_steps": 2,
            "finetune.precision": "fp32",
        },
    )
    done = finetune.finetune(chosen, SPEC, train, validation, tmp_path, device="cpu")
    assert done.history[1]["val_accuracy"] >= 0.9
    assert [entry["epoch"] for entry in done.history] == [0, 1]


def test_the_best_epoch_is_kept_and_patience_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation = parts()
    scores = iter([0.5, 0.9, 0.2, 0.3, 1.0])
    states: list[dict[str, torch.Tensor]] = []

    def pretend(training: finetune._Training, part: finetune.Part, n_classes: int) -> dict[str, float]:
        states.append({key: value.clone() for key, value in training.plain_network.state_dict().items()})
        return {"val_loss": 1.0, "val_accuracy": 0.5, "val_macro_f1": next(scores)}

    monkeypatch.setattr(finetune, "_validate", pretend)
    monkeypatch.setattr(finetune._Training, "run_epoch", lambda self, epoch: _nudge(self))
    chosen = recipe(**{"finetune.epochs": 9, "finetune.patience": 2})
    done = finetune.finetune(chosen, SPEC, train, validation, tmp_path, device="cpu")
    assert done.best_epoch == 1
    assert len(done.history) == 4, "two epochs without a better score end the training"
    bias = "head.readout.linear.bias"
    assert torch.equal(done.network.state_dict()[bias], states[1][bias])
    again = finetune.finetune(chosen, SPEC, train, validation, tmp_path, device="cpu")
    assert (len(again.history), again.resumed_from) == (4, 4), "a finished training is not continued"


def _nudge(training: finetune._Training) -> float:
    with torch.no_grad():
        training.plain_network.head.readout.linear.bias += 1
    return 0.0


def test_a_checkpoint_of_another_recipe_or_other_data_is_refused(one_epoch: Path) -> None:
    train, validation = parts()
    with pytest.raises(InputError, match="other data or another recipe"):
        finetune.finetune(recipe(**{"finetune.epochs": 1, "seed": 9}), SPEC, train, validation, one_epoch, device="cpu")
    changed = finetune.Part(255 - train.pixels, train.rows, train.targets)
    with pytest.raises(InputError, match="other data or another recipe"):
        finetune.finetune(recipe(**{"finetune.epochs": 1}), SPEC, changed, validation, one_epoch, device="cpu")


@pytest.mark.parametrize("keep", [0, 7, 5000])
def test_a_damaged_checkpoint_is_one_line(one_epoch: Path, tmp_path: Path, keep: int) -> None:
    whole = (one_epoch / "checkpoint.safetensors").read_bytes()
    (tmp_path / "checkpoint.safetensors").write_bytes(whole[:keep])
    with pytest.raises(InputError, match="damaged checkpoint") as caught:
        load_checkpoint(tmp_path / "checkpoint.safetensors")
    assert "delete it" in caught.value.hint
    assert "\n" not in caught.value.message


def test_a_checkpoint_holds_model_best_and_optimiser_and_no_pickle(one_epoch: Path) -> None:
    raw = (one_epoch / "checkpoint.safetensors").read_bytes()
    assert not raw.startswith((b"PK", b"\x80"))
    length = int.from_bytes(raw[:8], "little")
    assert raw[8:9] == b"{"  # a JSON header, then plain numbers
    assert 8 + length < len(raw)
    model, best, optimiser, notes = load_checkpoint(one_epoch / "checkpoint.safetensors")
    assert set(model) == set(best)
    assert {"exp_avg", "exp_avg_sq", "step"} <= set(optimiser[0])
    assert notes["epoch"] == 0
