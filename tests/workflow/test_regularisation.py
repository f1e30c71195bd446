"""The regularisation ablation: arms differ in what they say, the network in what it can leave out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sorby.classify.recipe import load
from sorby.errors import InputError
from sorby.workflow.experiments import arms, experiments, run_experiment
from textures import write_table

TINY = {
    "image.height": 32,
    "image.width": 32,
    "regime": "finetune",
    "backbone.pretrained": False,
    "finetune.epochs": 1,
    "finetune.precision": "fp32",
    "verdict.novelty_rate": 0.1,
}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "data", specimens=4, kinds=("blobs", "stripes"))


def _names(monkeypatch: pytest.MonkeyPatch, table: Path, out: Path, backbone: str) -> dict[str, dict[str, object]]:
    """Run the ablation with a learner that learns nothing, and return each arm's fine-tuning settings."""
    seen: dict[str, dict[str, object]] = {}

    class Idle:
        def __init__(self, bench: arms.Bench, recipe: arms.Recipe) -> None:
            self.bench = bench
            seen[f"{len(seen)}"] = {**recipe.finetune.model_dump(), "augment": recipe.augment}

        def predict(self, train: np.ndarray, test: np.ndarray, name: str) -> np.ndarray:
            return np.full((len(test), len(self.bench.classes)), 0.5)

    monkeypatch.setattr(arms, "RecipeLearner", Idle)
    found = run_experiment(
        "regularisation", table, out, recipe=load(None, {**TINY, "backbone.name": backbone}), image="picture",
        label="structure", group="piece", folds=2, min_count=2, report=False,
    )  # fmt: skip
    return dict(zip([row["arm"] for row in found["table"]], seen.values(), strict=True))


def test_each_arm_changes_one_thing(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _names(monkeypatch, table, tmp_path / "vit", "vit_tiny_patch16_224")
    default = found["default"]
    changes = {arm: {key for key in settings if settings[key] != default[key]} for arm, settings in found.items()}
    assert changes == {
        "default": set(),
        "none": {"augment", "drop_path", "patch_drop"},
        "deeper drop": {"drop_path"},
        "stronger augmentation": {"randaugment_ops", "randaugment_magnitude"},
        "more patches left out": {"patch_drop"},
    }


def test_a_network_without_patches_drops_none(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _names(monkeypatch, table, tmp_path / "cnn", "resnet10t")
    assert "more patches left out" not in found
    assert all(settings["patch_drop"] == 0 for settings in found.values())


def test_it_is_registered_and_asks_for_fine_tuning(table: Path, tmp_path: Path) -> None:
    assert experiments()["regularisation"].slow
    with pytest.raises(InputError, match="fine-tuned"):
        run_experiment("regularisation", table, tmp_path / "out", image="picture", label="structure", group="piece")
