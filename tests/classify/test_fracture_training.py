"""Training as the fracture papers do it: schedule, mixing, patches left out, comparable train metrics."""

from __future__ import annotations

import itertools
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from interrupted_vit import EPOCHS, SPEC, parts, recipe

from sorby.classify import finetune
from sorby.classify.augmentation import make
from sorby.classify.heads import Head, HeadSpec, Targets
from sorby.classify.losses import HeadLoss
from sorby.classify.mixing import mix
from sorby.classify.network import parameter_groups
from sorby.classify.recipe import BalanceSection, FinetuneSection, load
from sorby.classify.schedule import rate_factor
from sorby.errors import InputError, MissingPartError

HERE = Path(__file__).parent


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Sums are the same bit by bit only for the same number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> finetune.Finetuned:
    """A small vision transformer trained without a break, everything random switched on."""
    train, validation = parts()
    folder = tmp_path_factory.mktemp("whole")
    return finetune.finetune(recipe(), SPEC, train, validation, folder, device="cpu")


def test_the_recipe_is_the_published_training() -> None:
    chosen = load("fracture-vit")
    section = chosen.finetune
    assert chosen.backbone.name == "vit_base_patch16_224.augreg2_in21k_ft_in1k"
    assert (section.learning_rate, section.weight_decay, section.layer_decay) == (7.3e-5, 0.14, 0.843)
    assert (section.drop_path, section.patch_drop, section.label_smoothing) == (0.1, 0.111, 0.0)
    assert (section.batch_size, section.accumulate, section.epochs, section.warmup_steps) == (8, 2, 50, 103)
    assert (section.randaugment_ops, section.randaugment_magnitude, chosen.seed) == (2, 12, 42)
    assert chosen.balance.corrects_twice
    assert not load("fracture-vit-mixup").balance.corrects_twice


def test_published_weights_that_are_not_there_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    train, validation = parts()
    chosen = recipe(**{"backbone.name": load("fracture-vit").backbone.name, "backbone.pretrained": True})
    with pytest.raises(MissingPartError, match="no pretrained weights") as caught:
        finetune.finetune(chosen, SPEC, train, validation, tmp_path, device="cpu")
    assert "sorby weights add" in caught.value.hint


def test_a_transformer_killed_and_started_again_ends_with_the_same_network(
    tmp_path: Path, whole: finetune.Finetuned
) -> None:
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    command = [sys.executable, str(HERE / "interrupted_vit.py"), str(tmp_path / "state"), "0"]
    killed = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=280, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    train, validation = parts()
    told: list[int] = []
    resumed = finetune.finetune(
        recipe(), SPEC, train, validation, tmp_path / "state", device="cpu",
        on_epoch=lambda entry: told.append(int(entry["epoch"])),
    )  # fmt: skip
    assert resumed.resumed_from == 1
    assert told == list(range(EPOCHS)), "whoever listens hears of the epochs before the kill too"
    assert resumed.history == whole.history
    assert resumed.train_scores == whole.train_scores
    other = whole.network.state_dict()
    for key, value in resumed.network.state_dict().items():
        assert torch.equal(value, other[key]), key


def test_the_learning_rate_moves_in_every_epoch(whole: finetune.Finetuned) -> None:
    rates = [entry["learning_rate"] for entry in whole.history]
    assert len(set(rates)) == EPOCHS
    assert rates[-1] < rates[0], "a cosine falls"
    assert rates[0] > 0.1 * recipe().finetune.learning_rate, "the warm-up is left behind"


def test_warm_up_rises_from_a_tenth_and_the_cosine_ends_near_zero() -> None:
    section = load("fracture-vit").finetune
    per_epoch = 743  # micro-batches of 8 in .7 of 8,493 images
    factors = [rate_factor(section, step, per_epoch) for step in range(50 * per_epoch)]
    assert factors[0] == pytest.approx(0.1)
    assert np.argmax(factors) == 103
    assert max(factors) == 1.0
    half = 103 + (50 * per_epoch - 103) // 2
    assert factors[half] == pytest.approx(0.5, abs=1e-4)  # one step of 37,000 off the middle
    assert 0 < factors[-1] < 1e-6
    assert all(after < before for before, after in itertools.pairwise(factors[103:]))


def test_train_scores_are_those_of_the_images_as_they_are(whole: finetune.Finetuned) -> None:
    train, _ = parts()
    pixels = torch.from_numpy(train.pixels[train.rows])
    with torch.inference_mode():
        logits = whole.network.eval()(pixels)[0]
    right = (logits.argmax(1).numpy() == train.labels).mean()
    assert whole.train_scores["accuracy"] == pytest.approx(right)
    kept = whole.history[whole.best_epoch]
    assert kept["train_accuracy"] == pytest.approx(right)


def test_each_block_learns_slower_than_the_one_above_it(whole: finetune.Finetuned) -> None:
    section = FinetuneSection(layer_decay=0.843)
    groups = parameter_groups(whole.network, section)
    depth = len(whole.network.module.blocks)  # type: ignore[arg-type]
    scale = {id(each): group["lr_scale"] for group in groups for each in group["params"]}
    by_block = [scale[id(whole.network.module.get_parameter(f"blocks.{k}.attn.qkv.weight"))] for k in range(depth)]
    np.testing.assert_allclose(np.diff(np.log(by_block)), -np.log(0.843))
    assert max(scale.values()) == 1.0


def test_patches_are_dropped_by_transformers_only(tmp_path: Path) -> None:
    train, validation = parts()
    chosen = recipe(**{"backbone.name": "efficientnet_lite0"})
    with pytest.raises(InputError, match=r"finetune\.patch_drop") as caught:
        finetune.finetune(chosen, SPEC, train, validation, tmp_path, device="cpu")
    assert "vision transformer" in caught.value.hint


def test_mixed_labels_follow_the_pixels() -> None:
    """With one image black and its partner white, the mean grey of a mixture is the share of the white one."""
    images = torch.zeros(2, 40, 40, 1, dtype=torch.uint8)
    images[1] = 255
    for section in (FinetuneSection(mixup=0.8), FinetuneSection(cutmix=1.0), FinetuneSection(mixup=0.8, cutmix=1.0)):
        for seed in range(20):
            mixed = mix(images, section, np.random.default_rng(seed))
            assert mixed is not None
            assert mixed.partner.tolist() == [1, 0]
            means = mixed.images.mean((1, 2, 3)) / 255
            np.testing.assert_allclose(means.numpy(), [1 - mixed.share, mixed.share], atol=1e-6)


def test_mixing_keeps_to_its_probability() -> None:
    images = torch.zeros(2, 8, 8, 1, dtype=torch.uint8)
    section = FinetuneSection(mixup=0.8, mix_probability=0.25)
    found = [mix(images, section, np.random.default_rng(seed)) is not None for seed in range(800)]
    assert pytest.approx(np.mean(found), abs=0.06) == 0.25  # four standard errors of .0153
    assert mix(images, FinetuneSection(), np.random.default_rng(0)) is None


def test_the_loss_of_a_mixture_is_cross_entropy_against_the_blended_labels() -> None:
    torch.manual_seed(0)
    head = Head(HeadSpec(classes=("a", "b", "c"), inputs=4))
    with torch.no_grad():
        head.readout.linear.weight.normal_()  # type: ignore[union-attr, operator]
    features = torch.randn(6, 4)
    first, second = np.array([0, 1, 2, 0, 1, 2]), np.array([2, 2, 1, 0, 0, 1])
    loss = HeadLoss(BalanceSection(), first, 3)
    found = loss.mixed(head, features, Targets.plain(first).tensors(), Targets.plain(second).tensors(), 0.3)
    one_hot = torch.eye(3)
    soft = 0.3 * one_hot[first] + 0.7 * one_hot[second]
    torch.testing.assert_close(found, torch.nn.functional.cross_entropy(head(features), soft))


def test_focal_loss_takes_smoothed_labels_and_its_factor_from_the_true_one() -> None:
    """p = (1/2, 1/2): smoothed cross-entropy is ln 2 whatever the smoothing, the factor (1 - 1/2)^2."""
    head = Head(HeadSpec(classes=("a", "b"), inputs=1))
    loss = HeadLoss(BalanceSection(loss="focal", gamma=2), np.array([0, 1]), 2, label_smoothing=0.1)
    found = loss(head, torch.zeros(2, 1), Targets.plain(np.array([0, 1])).tensors())
    assert found.item() == pytest.approx(math.log(2) / 4)


def test_randaugment_grows_with_its_magnitude() -> None:
    image = torch.randint(0, 255, (1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    def change(magnitude: int) -> float:
        augment = make("fracture", 1, magnitude)
        assert augment is not None
        torch.manual_seed(5)
        return float(np.mean([(augment(image).float() - image.float()).abs().mean() for _ in range(60)]))

    assert change(28) > change(4)
