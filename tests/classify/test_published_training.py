"""Training as published for corroding surfaces: one sigmoid output, Adam at a constant rate, the last epoch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sorby.backbone import memory
from sorby.backbone.checkpoint import load_checkpoint
from sorby.bundle import open_bundle
from sorby.classify import Classifier, finetune
from sorby.classify.heads import Head, HeadSpec, Targets, spec_for
from sorby.classify.recipe import HeadSection, Recipe, load
from sorby.classify.search_space import search_space
from sorby.errors import InputError
from sorby.workflow import train
from sorby.workflow.explaining import explain
from textures import textures, write_folder

SPEC = HeadSpec(classes=("blobs", "stripes"), inputs=1, output="sigmoid")
SMALL = {"image.height": 62, "image.width": 62, "finetune.batch_size": 8, "finetune.precision": "fp32"}


def published(**changes: object) -> Recipe:
    return load("corrosion-table6", {**SMALL, "finetune.epochs": 4, **changes})


def parts() -> tuple[finetune.Part, finetune.Part]:
    pixels, labels = textures(["blobs", "stripes"], 16, seed=4, size=62)
    rows = np.random.default_rng(0).permutation(32)
    first, second = (finetune.Part(pixels, part, Targets.plain(labels[part])) for part in (rows[:24], rows[24:]))
    return first, second


def test_one_sigmoid_output_scores_as_softmax_of_zero_and_z() -> None:
    head = Head(SPEC.model_copy(update={"inputs": 3}))
    torch.nn.init.normal_(head.readout.linear.weight, generator=torch.Generator().manual_seed(0))  # type: ignore[union-attr, arg-type]
    assert sum(parameter.numel() for parameter in head.parameters()) == 3 + 1
    features = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    scores, z = head(features), head.readout(features)[:, 0]
    torch.testing.assert_close(torch.softmax(scores, 1)[:, 1], torch.sigmoid(z))
    targets = Targets.plain(np.array([0, 1, 1, 0, 1, 0])).tensors()
    entropy = torch.nn.functional.cross_entropy(scores, targets.labels, reduction="none")
    torch.testing.assert_close(head.losses(features, targets, 1.0), entropy)


def test_a_sigmoid_output_needs_two_classes_and_a_flat_fine_tuned_head() -> None:
    with pytest.raises(InputError, match="tells two classes apart, not 3"):
        spec_for(HeadSection(output="sigmoid"), ("a", "b", "c"), inputs=1, parts=None, lengths=(), frozen=False)
    with pytest.raises(InputError, match=r"head\.output=sigmoid"):
        load(None, {"head.output": "sigmoid"})
    with pytest.raises(InputError, match=r"head\.output=sigmoid"):
        load(None, {"regime": "finetune", "head.output": "sigmoid", "head.kind": "ordinal"})
    with pytest.raises(InputError, match=r"finetune\.patience"):
        load("corrosion-table6", {"finetune.patience": 3})


def test_the_recipes_say_what_is_published() -> None:
    for name in ("table6", "text", "branches"):
        recipe = load(f"corrosion-{name}")
        section = recipe.finetune
        assert (section.optimiser, section.learning_rate, section.weight_decay) == ("adam", 0.0007, 0.0)
        assert (section.epochs, section.schedule, section.keep) == (400, "constant", "last")
        assert (recipe.head.output, recipe.backbone.name) == ("sigmoid", f"bhat-{name}")
        assert not recipe.backbone.pretrained
    assert load("corrosion-text").image.height == 450
    assert "finetune.optimiser" in search_space(load("corrosion-table6"))


@pytest.mark.parametrize("optimiser", ["adamw", "adam", "sgd", "rmsprop"])
def test_every_optimiser_resumes_where_it_was_killed(
    tmp_path: Path, optimiser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = parts()
    recipe = published(**{"finetune.optimiser": optimiser, "finetune.learning_rate": 1e-3})
    whole = finetune.finetune(recipe, SPEC, first, second, tmp_path / "whole", device="cpu")

    def killed(entry: dict[str, float]) -> None:
        if entry["epoch"] == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune.finetune(recipe, SPEC, first, second, tmp_path / "half", device="cpu", on_epoch=killed)
    resumed = finetune.finetune(recipe, SPEC, first, second, tmp_path / "half", device="cpu")
    assert (resumed.resumed_from, len(resumed.history)) == (2, 4)
    # Sums of threads that divide the work anew differ in the last bits, and training carries them on.
    for ours, theirs in zip(resumed.history, whole.history, strict=True):
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-2, abs=1e-3)


def test_the_last_epoch_is_kept_and_needs_no_validation_images(tmp_path: Path) -> None:
    first, second = parts()
    none = replace(second, rows=second.rows[:0], targets=second.targets.take(second.rows[:0]))
    done = finetune.finetune(published(), SPEC, first, none, tmp_path, device="cpu")
    assert done.best_epoch == 3
    assert all("val_accuracy" not in entry for entry in done.history)
    assert {entry["learning_rate"] for entry in done.history} == {0.0007}
    model, best, _, _ = load_checkpoint(tmp_path / "checkpoint.safetensors")
    assert set(best) == set(model)
    for key, value in done.network.state_dict().items():
        assert torch.equal(value, model[key])


def test_a_training_that_memory_cannot_hold_is_refused_with_the_sum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device="cpu": 20_000_000_000)
    recipe = load("corrosion-text", {"finetune.epochs": 1})
    pixels = np.zeros((2, 450, 450, 1), np.uint8)
    part = finetune.Part(pixels, np.arange(2), Targets.plain(np.array([0, 1])))
    with pytest.raises(InputError, match=r"28\.1 GB of memory \(weights, gradients, the state of adam") as caught:
        finetune.finetune(recipe, SPEC, part, part, tmp_path, device="cpu")
    assert "20.0 GB are free" in caught.value.message


def test_twenty_five_originals_end_in_a_bundle_that_says_how_little_it_knows(tmp_path: Path) -> None:
    images = write_folder(tmp_path / "images", per_class=13, kinds=["blobs", "stripes"])
    (images / "blobs" / "blobs-012.png").unlink()  # 12 and 13, as published
    settings = {"split.fractions": "[.8, 0, .2]", "split.group": "none"}
    result = train(images, tmp_path / "run", published(**settings), report=True)
    assert result["split"]["val"] == 0
    assert any("novelty at level" in line for line in result["warnings"])
    assert any("every set is complete" in line for line in result["warnings"])
    with open_bundle(result["bundle"]) as bundle:
        classifier = Classifier.from_bundle(bundle)
    pixels, _ = textures(["blobs", "stripes"], 2, seed=9, size=62)
    maps = explain(classifier, pixels).maps
    assert maps.shape == (4, 62, 62)
    verdicts = list(classifier.inspect(sorted(images.rglob("*.png"))[:3]))
    assert [len(verdict.probabilities) for verdict in verdicts] == [2, 2, 2]  # type: ignore[union-attr]
    assert "the last epoch was kept" in (tmp_path / "run" / "report.html").read_text("utf-8")
