"""Losses, sampling, learning rate and augmentation: the small laws of training."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sorby.classify import augmentation
from sorby.classify.heads import Head, HeadSpec, Targets
from sorby.classify.heads.logistic import image_weights
from sorby.classify.losses import HeadLoss, class_weights, focal_factor
from sorby.classify.recipe import BalanceSection, FinetuneSection
from sorby.classify.sampling import epoch_order
from sorby.classify.schedule import rate_factor
from textures import textures

LABELS = np.repeat([0, 1, 2], [60, 30, 10])


# -- losses -----------------------------------------------------------------------------------------------


def test_class_weights_are_n_over_c_nc_and_average_to_one() -> None:
    weights = class_weights(LABELS, 4)
    np.testing.assert_allclose(weights, [100 / 180, 100 / 90, 100 / 30, 0])
    assert weights[LABELS].mean() == pytest.approx(1)


def test_focal_loss_without_focus_weighs_all_alike() -> None:
    logits = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(16) % 4
    np.testing.assert_array_equal(focal_factor(logits, labels, 0.0), np.ones(16))


def test_focal_loss_of_a_coin_toss() -> None:
    # p_t = 1/2 and gamma = 2: (1/2)^2 ln 2
    untaught = Head(HeadSpec(classes=("a", "b"), inputs=4))  # its scores are 0
    loss = HeadLoss(BalanceSection(loss="focal", gamma=2), np.array([0, 1, 0]), 2)
    found = loss(untaught, torch.ones(3, 4), Targets.plain(np.array([0, 1, 0])).tensors())
    assert found.item() == pytest.approx(math.log(2) / 4, rel=1e-6)


def test_weighted_loss_is_that_of_torch() -> None:
    torch.manual_seed(0)
    head = Head(HeadSpec(classes=("a", "b", "c"), inputs=5))
    torch.nn.init.normal_(head.readout.linear.weight)
    features, labels = torch.randn(40, 5), np.arange(40) % 3
    weighted = HeadLoss(BalanceSection(loss="class-weights"), LABELS, 3, label_smoothing=0.0)
    np.testing.assert_allclose(weighted.weight, class_weights(LABELS, 3), rtol=1e-6)
    wanted = torch.nn.functional.cross_entropy(head(features), torch.from_numpy(labels), weight=weighted.weight)
    assert weighted(head, features, Targets.plain(labels).tensors()).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_label_smoothing_is_that_of_torch() -> None:
    torch.manual_seed(0)
    head = Head(HeadSpec(classes=("a", "b", "c"), inputs=5))
    torch.nn.init.normal_(head.readout.linear.weight)
    features, labels = torch.randn(40, 5), np.arange(40) % 3
    smoothed = HeadLoss(BalanceSection(), LABELS, 3, label_smoothing=0.2)
    wanted = torch.nn.functional.cross_entropy(head(features), torch.from_numpy(labels), label_smoothing=0.2)
    assert smoothed(head, features, Targets.plain(labels).tensors()).item() == pytest.approx(wanted.item(), rel=1e-5)


# -- sampling ---------------------------------------------------------------------------------------------


def test_plain_sampling_visits_each_image_once() -> None:
    assert sorted(epoch_order(LABELS, "plain", 0, 0)) == list(range(100))


def test_oversampling_makes_classes_equal_and_repeats_images_evenly() -> None:
    order = epoch_order(LABELS, "oversample", 0, 3)
    assert list(np.bincount(LABELS[order])) == [60, 60, 60]
    times = np.bincount(order, minlength=100)
    assert set(times[:60]) == {1}
    assert set(times[60:90]) == {2}
    assert set(times[90:]) == {6}


def test_weighted_sampling_draws_classes_alike_on_average() -> None:
    draws = np.concatenate([epoch_order(LABELS, "weighted", 0, epoch) for epoch in range(60)])
    shares = np.bincount(LABELS[draws]) / len(draws)
    # 6000 draws: the standard deviation of a share is .006; four of them.
    np.testing.assert_allclose(shares, 1 / 3, atol=0.025)


@pytest.mark.parametrize("sampling", ["plain", "oversample", "weighted"])
def test_an_epochs_order_depends_on_seed_and_epoch_alone(sampling: str) -> None:
    order = epoch_order(LABELS, sampling, 5, 2)  # type: ignore[arg-type]
    assert np.array_equal(order, epoch_order(LABELS, sampling, 5, 2))  # type: ignore[arg-type]
    assert not np.array_equal(order, epoch_order(LABELS, sampling, 5, 3))  # type: ignore[arg-type]
    assert not np.array_equal(order, epoch_order(LABELS, sampling, 6, 2))  # type: ignore[arg-type]


def test_a_head_gives_each_class_the_same_weight_under_either_correction() -> None:
    for balance in (BalanceSection(loss="class-weights"), BalanceSection(sampling="oversample")):
        weights = image_weights(LABELS, balance, seed=0)
        assert weights is not None
        sums = np.bincount(LABELS, weights)
        np.testing.assert_allclose(sums, sums[0])
    assert image_weights(LABELS, BalanceSection(), seed=0) is None


# -- learning rate ----------------------------------------------------------------------------------------


def test_the_rate_rises_linearly_from_a_tenth_and_falls_to_zero() -> None:
    section = FinetuneSection(epochs=10, warmup_steps=20, schedule="cosine")
    rates = np.array([rate_factor(section, step, 10) for step in range(101)])
    assert rates[0] == pytest.approx(0.1)
    assert rates[10] == pytest.approx(0.55)
    assert rates[20] == pytest.approx(1)
    assert rates[60] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0, abs=1e-12)
    assert (np.diff(rates[20:]) < 0).all()


def test_a_step_schedule_decays_every_few_epochs() -> None:
    section = FinetuneSection(epochs=9, warmup_steps=0, schedule="step", step_epochs=3, step_gamma=0.1)
    rates = [rate_factor(section, epoch * 7, 7) for epoch in range(9)]
    np.testing.assert_allclose(rates, [1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01])


def test_the_warm_up_never_takes_more_than_half_of_a_short_training() -> None:
    section = FinetuneSection(epochs=1, warmup_steps=1000, schedule="constant")
    assert rate_factor(section, 4, 10) < 1
    assert rate_factor(section, 5, 10) == 1


# -- augmentation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["flips", "steel", "fracture"])
@pytest.mark.parametrize("channels", [1, 3])
def test_augmentation_keeps_type_and_shape(preset: str, channels: int) -> None:
    change = augmentation.make(preset)
    assert change is not None
    image = torch.from_numpy(textures(["checks"], 1, seed=0)[0][0]).permute(2, 0, 1).repeat(channels, 1, 1)
    changed = [change(image) for _ in range(12)]
    assert all(each.dtype == torch.uint8 and each.shape == image.shape for each in changed)
    assert any(not torch.equal(each, image) for each in changed)


def test_no_augmentation_is_none_and_an_unknown_one_an_error() -> None:
    assert augmentation.make("none") is None
    with pytest.raises(ValueError, match="unknown augmentation"):
        augmentation.make("blue")


def test_flips_move_pixels_and_change_none() -> None:
    torch.manual_seed(0)
    change = augmentation.make("flips")
    assert change is not None
    image = torch.arange(64, dtype=torch.uint8).reshape(1, 8, 8)
    seen = {bytes(change(image).numpy().tobytes()) for _ in range(200)}
    assert len(seen) == 8  # the symmetries of the square, all of them
    assert all(sorted(each) == list(range(64)) for each in seen)


@pytest.mark.parametrize("shape", [(48, 48), (24, 120), (120, 24)])
def test_a_turned_micrograph_has_no_black_corners(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    turn = augmentation._MirrorRotation()
    white = torch.full((1, *shape), 255, dtype=torch.uint8)
    for _ in range(20):
        assert turn(white).min() == 255
