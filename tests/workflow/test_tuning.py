"""Search: it sees no test image, a kill changes nothing, what it finds is a recipe that trains."""

from __future__ import annotations

import builtins
import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from sorby.classify.recipe import changed, load
from sorby.classify.search_space import Choice, Real, Whole, search_space
from sorby.cli.tune import tune as command
from sorby.corpus import Corpus, build
from sorby.errors import InputError, MissingPartError
from sorby.workflow import tuning
from sorby.workflow.tuning import tune
from textures import SMALL, write_table

optuna = pytest.importorskip("optuna", reason="tuning is an optional part")

TINY = {
    "image.height": 32,
    "image.width": 32,
    "regime": "finetune",
    "backbone.name": "resnet10t",
    "backbone.pretrained": False,
    "augment": "none",
    "finetune.precision": "fp32",
    "finetune.batch_size": 8,
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Sums are the same bit by bit only for the same number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Three textures, eight specimens of two images each, with the split stated."""
    place = tmp_path_factory.mktemp("tuned")
    table = pd.read_csv(write_table(place, specimens=8))
    number = table["piece"].str.extract(r"(\d+)$")[0].astype(int)
    table["split"] = np.where(number < 4, "train", np.where(number < 6, "val", "test"))
    table.to_csv(place / "labels.csv", index=False)
    return build([place / "labels.csv"], image="picture", label="structure", group="piece").corpus


@pytest.fixture(scope="module")
def frozen(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A finished search over frozen heads."""
    out = tmp_path_factory.mktemp("frozen") / "study"
    return out, tune(corpus, out, load(None, {**SMALL, "head.folds": 2}), trials=5)


def _without_times(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in trial.items() if key != "seconds"} for trial in trials]


def test_the_result_holds_what_scripts_read(frozen: tuple[Path, dict[str, Any]]) -> None:
    out, result = frozen
    assert result["best"]["value"] == max(trial["value"] for trial in result["trials"])
    assert [trial["number"] for trial in result["trials"]] == [0, 1, 2, 3, 4]
    assert result["inner"] == {"train": 24, "val": 12, "held_out": 12}
    assert json.loads((out / "tuning.json").read_text())["best"] == result["best"]
    rows = list(csv.DictReader((out / "trials.csv").open()))
    assert [float(row["value"]) for row in rows] == [trial["value"] for trial in result["trials"]]
    assert {"head.views", "balance.loss"} <= set(rows[0])
    page = (out / "report.html").read_text()
    assert "<svg" in page
    assert "no trial has seen" in page
    assert not (out / "state").exists()


def test_the_best_recipe_trains(frozen: tuple[Path, dict[str, Any]]) -> None:
    _, result = frozen
    recipe = load(result["best"]["recipe"])
    assert recipe.name == "default-tuned"
    for field, value in result["best"]["settings"].items():
        section, _, key = field.partition(".")
        assert getattr(getattr(recipe, section), key) == value


def test_labels_of_the_test_part_change_nothing(
    corpus: Corpus, frozen: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """Nested: were a test label ever looked at, swapping them all would change a score."""
    table = corpus.table.copy()
    test = table["split"] == "test"
    turned = {"blobs": "checks", "checks": "stripes", "stripes": "blobs"}
    table.loc[test, "label"] = table.loc[test, "label"].map(turned)
    spoilt = Corpus(table, corpus.root)
    again = tune(spoilt, tmp_path / "study", load(None, {**SMALL, "head.folds": 2}), trials=5, report=False)
    assert _without_times(again["trials"]) == _without_times(frozen[1]["trials"])


def test_interrupted_in_mid_trial_and_resumed_it_ends_with_the_same_trials(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load(None, TINY)
    whole = tune(corpus, tmp_path / "whole", recipe, trials=3, epochs=2, report=False)
    told = 0
    plain = tuning.FinetuneTrainer.train_network

    def dying(self: Any, recipe: Any, train: Any, validation: Any, name: str, on_epoch: Any) -> Any:
        def count(entry: Any) -> None:
            nonlocal told
            told += 1
            if told == 3:  # the first epoch of the second trial is on the disk
                raise KeyboardInterrupt
            on_epoch(entry)

        return plain(self, recipe, train, validation, name, count)

    monkeypatch.setattr(tuning.FinetuneTrainer, "train_network", dying)
    with pytest.raises(KeyboardInterrupt):
        tune(corpus, tmp_path / "cut", recipe, trials=3, epochs=2, report=False)
    monkeypatch.undo()
    assert (tmp_path / "cut" / "state" / "trial-1" / "checkpoint.safetensors").is_file()
    with pytest.raises(InputError, match="holds a study"):
        tune(corpus, tmp_path / "cut", recipe, trials=3, epochs=2, report=False)
    resumed = tune(corpus, tmp_path / "cut", recipe, trials=3, epochs=2, resume=True, report=False)
    assert _without_times(resumed["trials"]) == _without_times(whole["trials"])
    assert resumed["best"]["settings"] == whole["best"]["settings"]
    stored = optuna.load_study(study_name="sorby", storage=f"sqlite:///{tmp_path / 'cut' / 'study.db'}")
    assert [trial.params for trial in stored.trials] == [trial["settings"] for trial in whole["trials"]]
    with pytest.raises(InputError, match="other data or another recipe"):
        tune(corpus, tmp_path / "cut", recipe, trials=4, epochs=1, resume=True, report=False)


def _finished(study: Path) -> int:
    """Return how many trials a study file holds; 0 while it is being made."""
    try:
        with sqlite3.connect(f"file:{study}?mode=ro", uri=True) as base:
            return int(base.execute("select count(*) from trials").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal on this system")
def test_a_killed_study_goes_on_with_every_finished_trial_once(
    corpus: Corpus, frozen: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out, data = tmp_path / "killed", corpus.save(tmp_path / "corpus.parquet")
    settings = [f"--set={key}={value}" for key, value in {**SMALL, "head.folds": 2}.items()]
    asked = [sys.executable, "-m", "sorby", "tune", str(data), "--out", str(out), "--trials", "500", *settings]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(asked, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        while _finished(out / "study.db") < 1:
            assert running.poll() is None, "the search ended by itself"
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL
    assert not (out / "tuning.json").exists()
    done = _finished(out / "study.db")
    recipe = load(None, {**SMALL, "head.folds": 2})
    resumed = tune(data, out, recipe, trials=done + 1, resume=True, report=False)
    assert [trial["number"] for trial in resumed["trials"]] == list(range(done + 1))
    assert _finished(out / "study.db") == done + 1
    common = min(done + 1, 5)
    assert _without_times(resumed["trials"][:common]) == _without_times(frozen[1]["trials"][:common])


def test_what_falls_behind_is_ended_early_and_what_diverges_is_set_aside(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores rise for the first trial and stay low for later ones; one setting cannot be trained at all."""

    def pretend(self: Any, recipe: Any, train: Any, validation: Any, name: str, on_epoch: Any) -> None:
        number = int(name.removeprefix("trial-"))
        if number == 2:
            raise InputError("the training loss is no longer a number")
        for epoch in range(9):
            on_epoch({"epoch": epoch, "val_macro_f1": 0.1 * epoch if number == 0 else 0.01})

    monkeypatch.setattr(tuning.FinetuneTrainer, "train_network", pretend)
    found = tune(corpus, tmp_path / "study", load(None, TINY), trials=6, epochs=9, report=False)
    states = [trial["state"] for trial in found["trials"]]
    assert states[0] == "complete"
    assert states[2] == "fail"
    assert "no longer a number" in found["trials"][2]["reason"]
    assert "pruned" in states
    assert min(trial["steps"] for trial in found["trials"] if trial["state"] == "pruned") == tuning.MIN_RESOURCE
    assert found["best"]["number"] == 0


@pytest.mark.parametrize(
    ("of_each", "settings", "said"),
    [
        (1, {}, "one specimen cannot be split into folds"),
        (2, {"split.fractions": [0.5, 0.25, 0.25]}, "leaves one class to learn from"),
    ],
)
def test_data_that_no_fold_can_be_made_of_end_the_search_at_once_and_leave_no_study(
    tmp_path: Path, of_each: int, settings: dict[str, Any], said: str
) -> None:
    """So few specimens that no setting helps: the hint is about the data, not about trials."""
    table = write_table(tmp_path, specimens=of_each, kinds=("blobs", "checks"))
    place, recipe = tmp_path / "study", load(None, {**SMALL, "head.folds": 2, **settings})
    columns = {"image": "picture", "label": "structure", "group": "piece"}
    with pytest.raises(InputError, match=said) as caught:
        tune(table, place, recipe, trials=3, report=False, **columns)
    assert "trials" not in f"{caught.value.message}{caught.value.hint}"
    assert not (place / tuning.STUDY_FILE).exists()
    assert not (place / "state").exists()


@pytest.mark.parametrize(
    ("fractions", "hint"), [([0.64, 0.16, 0.2], "add specimens"), ([0.8, 0.0, 0.2], "--set split.fractions")]
)
def test_a_fine_tuning_without_validation_images_says_whether_specimens_or_the_split_are_wanting(
    tmp_path: Path, fractions: list[float], hint: str
) -> None:
    table = write_table(tmp_path, specimens=1, kinds=("blobs", "checks"))
    columns = {"image": "picture", "label": "structure", "group": "piece"}
    with pytest.raises(InputError, match="needs a validation part") as caught:
        tune(table, tmp_path / "study", load(None, {**TINY, "split.fractions": fractions}), report=False, **columns)
    assert caught.value.hint.startswith(hint)
    assert not list(tmp_path.glob("study/*"))


def test_a_first_setting_that_cannot_be_trained_is_set_aside_where_the_recipe_can(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[str] = []

    def pretend(self: Any, recipe: Any, train: Any, validation: Any, name: str, on_epoch: Any) -> None:
        taught.append(name)
        if name == "trial-0":
            raise InputError("the training loss is no longer a number")
        on_epoch({"epoch": 0, "val_macro_f1": 0.5})

    monkeypatch.setattr(tuning.FinetuneTrainer, "train_network", pretend)
    found = tune(corpus, tmp_path / "study", load(None, TINY), trials=3, epochs=1, report=False)
    assert [trial["state"] for trial in found["trials"]] == ["fail", "complete", "complete"]
    assert taught == ["trial-0", "recipe", "trial-1", "trial-2"]


def test_every_dimension_of_the_published_space_reaches_the_recipe() -> None:
    base = load("fracture-vit")
    space = search_space(base)
    assert len(space) == 9
    assert space["finetune.learning_rate"] == Real(1e-6, 1e-4, log=True)
    assert space["finetune.randaugment_magnitude"] == Whole(5, 15)
    for name, dimension in space.items():
        ends = (dimension.options[0], dimension.options[-1]) if isinstance(dimension, Choice) else (
            dimension.low, dimension.high)  # fmt: skip
        first, last = (changed(base, {name: end}) for end in ends)
        assert first != last, name


def test_what_a_network_or_a_regime_does_not_use_is_not_searched() -> None:
    assert "finetune.patch_drop" not in search_space(load("fracture-lite0"))
    assert "finetune.randaugment_ops" not in search_space(load("finetune"))
    assert not any(name.startswith("finetune") for name in search_space(load()))


def test_without_optuna_the_extra_is_named(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "optuna":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingPartError) as caught:
        tune(corpus, tmp_path / "study", trials=1)
    assert "sorby[tune]" in caught.value.hint


def test_the_command_has_an_example() -> None:
    assert "Example: sorby tune" in (command.help or "")
