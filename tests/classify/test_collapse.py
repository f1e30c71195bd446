"""The collapse monitor: chance does not alarm it, the published fall does, and a dip is told from a collapse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sorby.classify import finetune
from sorby.classify.collapse import LASTING, RATE, find_collapse, watch
from sorby.classify.heads import HeadSpec, Targets
from sorby.classify.recipe import load
from sorby.errors import InputError
from textures import textures

PUBLISHED = np.concatenate([np.full(150, 61 / 66), np.full(250, 48 / 66)])  # 92 % to 73 % of 66 images


@pytest.mark.parametrize(("n", "level"), [(5, 1.0), (66, 0.92), (66, 0.5), (300, 0.8), (1000, 0.99)])
def test_chance_alarms_no_more_often_than_stated(rng: np.random.Generator, n: int, level: float) -> None:
    histories = rng.binomial(n, level, (400, 400)) / n
    alarms = sum(find_collapse(history, n) is not None for history in histories)
    # At a rate of 1 % eleven alarms of 400 would come once in 400 such tests; the measured rate is near 0.1 %.
    assert alarms <= 400 * RATE + 6


def test_learning_is_no_collapse(rng: np.random.Generator) -> None:
    rising = np.linspace(0.5, 0.95, 200)
    assert find_collapse(rng.binomial(66, rising) / 66, 66) is None


def test_the_published_fall_is_found_where_it_happens() -> None:
    found = find_collapse(PUBLISHED, 66)
    assert found is not None
    assert (found.epoch, found.recovered) == (150, None)
    assert found.before == pytest.approx(61 / 66)
    assert found.after == pytest.approx(48 / 66)
    assert found.p_value < 1e-4
    assert "from 92 % to 73 % from epoch 151 on" in found.sentence
    assert "did not recover" in found.sentence


def test_the_published_fall_is_found_under_noise_soon_after(rng: np.random.Generator) -> None:
    for _ in range(20):
        noisy = rng.binomial(66, np.where(np.arange(400) < 150, 0.92, 0.70)) / 66
        found = find_collapse(noisy, 66)
        assert found is not None
        assert 140 <= found.epoch <= 200  # a chance run of good epochs sets the level, a bad one begins the fall


def test_the_fall_is_known_while_the_training_runs() -> None:
    known = [end for end in range(1, 400) if find_collapse(PUBLISHED[:end], 66, epochs=400) is not None]
    assert known[0] == 150 + LASTING // 2 + 1, "as soon as the middle one of five epochs is low"
    assert known == list(range(known[0], 400))


def test_a_dip_that_recovers_is_told_as_one() -> None:
    history = np.concatenate([np.full(60, 0.95), np.full(12, 0.5), np.full(60, 0.95)])
    found = find_collapse(history, 66)
    assert found is not None
    assert (found.epoch, found.recovered) == (60, 72)
    assert found.after == 0.5
    assert "recovered at epoch 73" in found.sentence


def test_one_bad_epoch_is_no_fall() -> None:
    history = np.full(100, 0.95)
    history[[40, 41, 70]] = 0.1
    assert find_collapse(history, 66) is None


def test_the_same_fall_of_few_images_may_be_chance() -> None:
    assert find_collapse(PUBLISHED, 11) is None


def test_short_or_unmeasured_histories_say_nothing() -> None:
    assert find_collapse(np.r_[np.ones(4), np.zeros(5)], 66) is None
    assert find_collapse(np.full(100, np.nan), 66) is None
    assert watch([], {"val_accuracy": 66}) is None
    assert watch([{"epoch": 0, "train_loss": 1.0}], {"val_accuracy": 0, "train_accuracy": 20}) is None


def test_without_validation_images_the_training_accuracy_is_watched() -> None:
    history = [{"epoch": float(k), "train_accuracy": value} for k, value in enumerate(PUBLISHED)]
    found = watch(history, {"val_accuracy": 0, "train_accuracy": 66})
    assert found is not None
    assert found.watched == "training accuracy"


def test_a_training_that_collapses_is_stopped_and_its_best_epoch_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, labels = textures(["blobs", "stripes"], 6, seed=1, size=48)
    parts = [finetune.Part(pixels, rows, Targets.plain(labels[rows])) for rows in (np.arange(12), np.tile([0, 11], 33))]
    scores = iter([0.9] * 8 + [0.3] * 100)

    def pretend(training: finetune._Training, part: finetune.Part, n_classes: int) -> dict[str, float]:
        accuracy = next(scores)
        return {"val_loss": 1.0, "val_accuracy": accuracy, "val_macro_f1": accuracy}

    monkeypatch.setattr(finetune, "_validate", pretend)
    monkeypatch.setattr(finetune._Training, "run_epoch", lambda self, epoch: 0.0)
    settings = {"image.height": 48, "image.width": 48, "finetune.precision": "fp32", "finetune.keep": "best"}
    recipe = load("corrosion-table6", {**settings, "finetune.epochs": 60, "finetune.on_collapse": "stop"})
    spec = HeadSpec(classes=("blobs", "stripes"), inputs=1, output="sigmoid")
    done = finetune.finetune(recipe, spec, *parts, tmp_path, device="cpu")
    assert done.collapse is not None
    assert (done.collapse.epoch, done.best_epoch) == (8, 0)
    assert len(done.history) == 8 + LASTING // 2 + 1
    again = finetune.finetune(recipe, spec, *parts, tmp_path, device="cpu")
    assert len(again.history) == len(done.history), "a stopped training is not continued"
    with pytest.raises(InputError, match="on_collapse=stop"):
        load("corrosion-table6", {"finetune.on_collapse": "stop"})
