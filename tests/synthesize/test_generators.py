"""Shapes at the sizes that matter, layers counted, ranges kept."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from small_generators import small
from sorby.synthesize.discriminators import ImageClassifier, PatchDiscriminator
from sorby.synthesize.generator_model import draw_noise
from sorby.synthesize.generators import FiveLayerGenerator, UNetGenerator
from sorby.synthesize.methods import networks
from sorby.synthesize.small_data import ModulatedGenerator, SmallDataDiscriminator, parallel_waves


def made(generator: nn.Module, condition: torch.Tensor | None = None, count: int = 2) -> torch.Tensor:
    noise = draw_noise(generator, count, torch.Generator().manual_seed(0))
    with torch.inference_mode():
        images: torch.Tensor = generator.eval()(noise, condition)
    return images


@pytest.mark.parametrize(("size", "first"), [(64, 4), (128, 8), (450, 29)])
def test_five_layers_reach_every_size(size: int, first: int) -> None:
    generator = FiveLayerGenerator(size, 8, 2)
    layers = [layer for layer in generator.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert len(layers) == 5
    assert layers[0].kernel_size == (first, first)
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in generator.modules()) == 4
    assert sum(isinstance(layer, nn.LeakyReLU) for layer in generator.modules()) == 4
    assert not any(isinstance(layer, nn.Conv2d | nn.Linear) for layer in generator.modules())
    images = made(generator)
    assert images.shape == (2, 1, size, size)
    assert images.abs().max() <= 1


@pytest.mark.parametrize("size", [64, 128, 450])
def test_unet_keeps_the_size_also_where_it_does_not_divide_by_eight(size: int) -> None:
    images = made(UNetGenerator(size, 4, 2), torch.rand(1, 4, size, size), 1)
    assert images.shape == (1, 1, size, size)
    assert images.abs().max() <= 1


@pytest.mark.parametrize("size", [32, 100, 128])
def test_small_data_generator_reaches_sizes_between_powers_of_two(size: int) -> None:
    images = made(ModulatedGenerator(size, 8, 2))
    assert images.shape == (2, 1, size, size)
    assert not torch.equal(images[0], images[1])


def test_waves_run_across_one_direction_with_known_lengths() -> None:
    """Along the latent direction the longest wave repeats after 128 px; across it nothing changes."""
    latent, phases = torch.tensor([[0.0, 2.0, 5.0]]), torch.zeros(1, 4)
    waves = parallel_waves(latent, phases, 256, 1.0)[0]
    assert torch.allclose(waves[0, :, :128], waves[0, :, 128:], atol=1e-4)
    assert torch.allclose(waves[:, :1].expand_as(waves), waves, atol=1e-5)
    assert not torch.allclose(waves[0, :, :64], waves[0, :, 64:128], atol=0.1)


def test_waves_too_short_for_coarse_cells_are_left_out_and_the_others_agree_over_sizes() -> None:
    latent, phases = torch.randn(1, 3), torch.randn(1, 16)
    fine, coarse = (parallel_waves(latent, phases, edge, 128 / edge)[0] for edge in (128, 16))
    present = coarse.abs().amax(dim=(1, 2)) > 0
    assert present.any()
    assert not present.all()
    centres = torch.nn.functional.avg_pool2d(fine[:1], 8)  # the longest wave hardly changes within a cell
    assert torch.allclose(centres, coarse[:1], atol=0.05)


def test_unet_refuses_to_work_without_a_condition() -> None:
    with pytest.raises(ValueError, match="condition"):
        UNetGenerator(32, 1, 2)([], None)


@pytest.mark.parametrize("size", [64, 128, 450])
def test_a_classifier_scores_images_and_a_patch_discriminator_patches(size: int) -> None:
    images = torch.rand(2, 1, size, size)
    assert ImageClassifier(4)(images).shape == (2, 1)
    assert PatchDiscriminator(4)(images).shape == (2, 1, size // 8, size // 8)


def test_a_patch_score_sees_38_pixels() -> None:
    """Three strided convolutions of 4 and one of 3 look at 4, 10, 22 and 38 px; a change further off is not seen."""
    discriminator = PatchDiscriminator(4)
    image = torch.zeros(1, 1, 128, 128, requires_grad=True)
    discriminator(image)[0, 0, 8, 8].backward()
    assert image.grad is not None
    rows = torch.nonzero(image.grad[0, 0].abs().sum(1))[:, 0]
    assert int(rows.max() - rows.min()) + 1 == 38


def test_images_that_repeat_are_seen_in_the_spread_of_the_batch() -> None:
    """The same image scores differently among copies of itself and among others."""
    torch.manual_seed(0)
    discriminator = SmallDataDiscriminator(32, 4).eval()
    image, others = torch.rand(1, 1, 32, 32), torch.rand(3, 1, 32, 32)
    with torch.inference_mode():
        among_copies = discriminator(image.expand(4, -1, -1, -1))[0]
        among_others = discriminator(torch.cat([image, others]))[0]
    assert not torch.allclose(among_copies, among_others)


@pytest.mark.parametrize("method", ["gan-five-layer", "gan-frames", "gan-stills", "small-data"])
def test_first_weights_follow_from_the_seed(method: str) -> None:
    first, again, other = (networks(small(method), seed)[0].state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)
