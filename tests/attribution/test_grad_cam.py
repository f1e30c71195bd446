"""Grad-CAM and the linear decomposition on networks whose maps are known."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from attribution_networks import ChannelMean, PooledStages, Tokens, Trained
from torch import Tensor, nn

from sorby.attribution import (
    activations,
    grad_cam,
    last_conv_layer,
    layers,
    linear_contribution,
    token_grid,
)
from sorby.errors import InputError

STAGES = ["stages.0", "stages.1", "stages.2"]
FLOAT32 = 1e-5  # a few sums of some hundred float32 terms of order one


def test_a_logit_that_averages_one_channel_is_explained_by_that_channel(images):
    model = ChannelMean()
    found = grad_cam(model, images, targets=2, layers="act")
    channel = activations(model, images, "act")[:, 2]
    np.testing.assert_allclose(found.maps, channel / channel.max((1, 2), keepdims=True), atol=FLOAT32)
    np.testing.assert_allclose(found.peaks, channel.max((1, 2)), rtol=FLOAT32)
    np.testing.assert_allclose(found.scores, channel.mean((1, 2)), rtol=FLOAT32)


def test_each_image_may_have_its_own_target(images):
    model, targets = ChannelMean(), [0, 1, 2, 3, 0]
    together = grad_cam(model, images, targets=targets, layers="act")
    for i, target in enumerate(targets):
        alone = grad_cam(model, images[i : i + 1], targets=target, layers="act")
        np.testing.assert_allclose(together.maps[i], alone.maps[0], atol=FLOAT32)


def test_without_targets_the_predicted_class_is_explained(images):
    model = Trained()
    with torch.no_grad():
        predicted = model.eval()(torch.from_numpy(images)).argmax(1).numpy()
    np.testing.assert_array_equal(grad_cam(model, images).targets, predicted)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_the_batch_size_does_not_change_a_map(images, batch_size):
    whole = grad_cam(Trained(), images, targets=1, batch_size=64)
    split = grad_cam(Trained(), images, targets=1, batch_size=batch_size)
    np.testing.assert_allclose(split.maps, whole.maps, atol=FLOAT32)


@pytest.mark.parametrize("axis", [2, 3])
def test_mirroring_the_image_mirrors_the_map_when_the_filters_are_symmetric(images, axis):
    model = Trained()
    model.body[3].stride = (1, 1)
    with torch.no_grad():
        for conv in (model.body[0], model.body[3]):
            conv.weight.copy_((conv.weight + conv.weight.flip(axis)) / 2)
    upright = grad_cam(model, images, targets=0)
    mirrored = grad_cam(model, np.flip(images, axis).copy(), targets=0)
    np.testing.assert_allclose(np.flip(mirrored.maps, axis - 1), upright.maps, atol=FLOAT32)


def test_a_blob_detector_points_at_the_blob():
    y, x = np.mgrid[:48, :64]
    blob = np.exp(-((y - 14) ** 2 + (x - 45) ** 2) / (2 * 3.0**2)).astype(np.float32)
    ry, rx = np.mgrid[-7:8, -7:8]
    template = np.exp(-(ry**2 + rx**2) / (2 * 3.0**2)).astype(np.float32)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 15, padding=7), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)
    )
    with torch.no_grad():
        model[0].weight.copy_(torch.from_numpy(np.stack([template, -template])[:, None]))
        model[0].bias.zero_()
        model[4].weight.copy_(torch.eye(2))
    found = grad_cam(model, blob[None, None], targets=0, layers="1")
    peak = np.unravel_index(found.maps[0].argmax(), found.maps[0].shape)
    assert tuple(int(p) for p in peak) == (14, 45)
    assert grad_cam(model, blob[None, None], targets=1, layers="1").blank.all()


def test_an_even_image_has_an_even_map_and_not_a_stretched_one():
    model = ChannelMean()
    found = grad_cam(model, np.full((1, 3, 16, 16), 0.4, np.float32), targets=0, layers="act")
    np.testing.assert_allclose(found.maps, 1.0, atol=FLOAT32)


def test_nothing_in_favour_gives_a_blank_map_that_says_so(images):
    model = ChannelMean()
    with torch.no_grad():
        model.head.weight.mul_(-1)
    found = grad_cam(model, images, targets=0, layers="act")
    assert found.blank.all()
    assert not found.maps.any()


def test_maps_have_the_size_of_the_input_and_reach_one(images):
    found = grad_cam(Trained(), images, targets=0)
    assert found.maps.shape == (5, 32, 48)
    assert found.maps.dtype == np.float32
    np.testing.assert_array_equal(found.maps[~found.blank].max((1, 2)), 1.0)


def test_an_activation_that_writes_in_place_changes_nothing(images):
    plain = grad_cam(ChannelMean(inplace=False), images, targets=1, layers="conv")
    inplace = grad_cam(ChannelMean(inplace=True), images, targets=1, layers="conv")
    np.testing.assert_array_equal(inplace.maps, plain.maps)


def test_raw_uint8_images_give_the_maps_of_the_same_images_as_floats(rng):
    raw = rng.integers(0, 256, (3, 32, 40, 3), dtype=np.uint8)
    floats = (raw.transpose(0, 3, 1, 2) / 255).astype(np.float32)
    from_raw = grad_cam(PooledStages(from_uint8=True), raw, 0, STAGES)
    from_floats = grad_cam(PooledStages(), floats, 0, STAGES)
    np.testing.assert_allclose(from_raw.maps, from_floats.maps, atol=FLOAT32)


# -- heads that pool by mean and standard deviation -------------------------------------------------------------


class SpreadOnly(ChannelMean):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.conv(x)).std((2, 3), unbiased=False))


def test_grad_cam_is_blind_to_a_standard_deviation_and_the_spread_part_is_not(images):
    blind = grad_cam(SpreadOnly(), images, targets=0, layers="act")
    seeing = grad_cam(SpreadOnly(), images, targets=0, layers="act", spread=True)
    assert (blind.peaks < 1e-4 * seeing.peaks).all()  # zero but for rounding


def test_the_spread_part_is_the_squared_deviation_over_the_standard_deviation(images):
    model = SpreadOnly()
    found = grad_cam(model, images, targets=1, layers="act", spread=True)
    channel = activations(model, images, "act")[:, 1].astype(float)
    deviation = channel - channel.mean((1, 2), keepdims=True)
    expected = deviation**2 / channel.std((1, 2), keepdims=True)
    np.testing.assert_allclose(found.maps * found.peaks[:, None, None], expected, atol=1e-4 * expected.max())


def test_averaging_heads_have_no_spread_part(images):
    plain = grad_cam(ChannelMean(), images, targets=1, layers="act")
    spread = grad_cam(ChannelMean(), images, targets=1, layers="act", spread=True)
    np.testing.assert_allclose(spread.maps, plain.maps, atol=FLOAT32)


@pytest.mark.parametrize("score", ["logit", "margin"])
def test_the_contributions_of_all_places_average_to_the_score(images, score):
    found = linear_contribution(PooledStages(), images, None, STAGES, score=score)
    np.testing.assert_allclose(found.maps.mean((1, 2)), found.scores, atol=FLOAT32)
    np.testing.assert_allclose(found.parts.sum((1, 2)) + found.rest, found.scores, atol=FLOAT32)


def test_what_belongs_to_no_place_is_the_constant_of_the_standardised_linear_head(images):
    model = PooledStages()
    found = linear_contribution(model, images, 2, STAGES)
    weight = model.head.weight[2] / model.scale
    constant = (model.head.bias[2] - (weight * model.centre).sum()).item()
    np.testing.assert_allclose(found.rest, constant, atol=FLOAT32)


def test_each_layer_is_credited_with_its_own_features_and_nothing_twice(images):
    model = PooledStages()
    found = linear_contribution(model, images, 1, STAGES)
    with torch.no_grad():
        terms = (model.features(torch.from_numpy(images)) * model.head.weight[1] / model.scale).numpy()
    start = 0
    for layer, width in enumerate((6, 8, 10)):
        for part in range(2):
            expected = terms[:, start : start + width].sum(1)
            np.testing.assert_allclose(found.parts[:, layer, part], expected, atol=FLOAT32)
            start += width


def test_a_backbone_that_runs_without_gradients_can_still_be_explained(images):
    plain = linear_contribution(PooledStages(), images, 0, STAGES)
    frozen = linear_contribution(PooledStages(frozen_pass=True), images, 0, STAGES)
    np.testing.assert_array_equal(frozen.maps, plain.maps)


def test_an_unused_layer_of_the_head_shows_in_a_rest_that_differs_between_images(images):
    rest = linear_contribution(PooledStages(), images, 0, STAGES[1:]).rest
    assert np.ptp(rest) > 100 * FLOAT32


def test_an_average_pooling_network_has_only_its_bias_left_over(images):
    model = Trained()
    found = linear_contribution(model, images, 0, "body.4")
    np.testing.assert_allclose(found.rest, model.head.bias[0].item(), atol=FLOAT32)


def test_smoothing_keeps_the_score(images):
    model = ChannelMean()  # every contribution to logit 3 is positive, so nothing is cut off
    found = linear_contribution(model, images, 3, "act").positive(smooth_px=3.0)
    np.testing.assert_allclose((found.maps * found.peaks[:, None, None]).mean((1, 2)), found.scores, rtol=1e-5)


def test_what_all_images_share_cancels_against_a_reference(images, rng):
    frame = np.zeros((3, 32, 48), np.float32)
    frame[:, :4], frame[:, :, -4:] = 2.0, 3.0
    model, others = ChannelMean(), rng.random((7, 3, 32, 48), dtype=np.float32)

    def relative(shared):
        found = linear_contribution(model, images + shared, 1, "act")
        return found.relative_to(linear_contribution(model, others + shared, 1, "act"))

    # Non-negative filters on non-negative images: the rectifier never acts and the maps are linear in the image.
    np.testing.assert_allclose(relative(frame).maps, relative(0 * frame).maps, atol=FLOAT32)
    np.testing.assert_allclose(relative(frame).maps.mean((1, 2)), relative(frame).scores, atol=FLOAT32)
    np.testing.assert_allclose(relative(frame).rest, 0, atol=FLOAT32)


def test_a_reference_must_explain_every_target(images):
    found = linear_contribution(PooledStages(), images, [0, 0, 1, 1, 1], STAGES)
    references = [linear_contribution(PooledStages(), images[:2], target, STAGES) for target in (0, 1)]
    assert found.relative_to(*references).maps.shape == found.maps.shape
    with pytest.raises(InputError, match="target 1"):
        found.relative_to(references[0])


def test_a_margin_does_not_depend_on_how_a_binary_head_is_written(images):
    symmetric = ChannelMean()
    with torch.no_grad():
        symmetric.head = nn.Linear(4, 2)
        symmetric.head.weight[1] = torch.tensor([-1.0, 0.3, -0.5, 0.2])
        symmetric.head.weight[0] = -symmetric.head.weight[1]
    one_sided = ChannelMean()
    one_sided.head = nn.Linear(4, 2)
    with torch.no_grad():
        one_sided.head.weight[0] = 0  # logits (0, z)
        one_sided.head.weight[1] = 2 * symmetric.head.weight[1]
    of_logit = [grad_cam(m, images, 0, "act").maps for m in (symmetric, one_sided)]
    of_margin = [grad_cam(m, images, 0, "act", score="margin").maps for m in (symmetric, one_sided)]
    assert of_logit[0].any()
    assert not of_logit[1].any()
    np.testing.assert_allclose(of_margin[0], of_margin[1], atol=FLOAT32)


# -- transformers and real architectures ------------------------------------------------------------------------


def test_tokens_are_laid_out_as_the_patches_lie_in_the_image(images):
    model = Tokens()
    found = linear_contribution(model, images, 3, "block", reshape=token_grid(1, grid=(8, 12)))
    with torch.no_grad():
        patches = model.embed(torch.from_numpy(images))[:, 3].numpy()
    centre_of_patches = found.maps.reshape(5, 8, 4, 12, 4)[:, :, 1:3, :, 1:3].mean((2, 4))
    # Bilinear interpolation spreads a patch over its neighbours, which keeps the order but not the values.
    for one, other in zip(centre_of_patches, patches, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.95
    np.testing.assert_allclose(found.rest, 0, atol=FLOAT32)


def test_tokens_that_do_not_fill_a_square_need_a_grid(images):
    with pytest.raises(InputError, match="do not fill a grid"):
        grad_cam(Tokens(), images, 0, "block", reshape=token_grid(1))
    with pytest.raises(InputError, match="not N x C x h x w"):
        grad_cam(Tokens(), images, 0, "block")


def test_a_vision_transformer_is_explained_before_its_last_attention(rng):
    timm = pytest.importorskip("timm")
    torch.manual_seed(5)
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False, img_size=64, depth=2, num_classes=3)
    found = grad_cam(model, rng.random((2, 3, 64, 64), dtype=np.float32), None, "blocks.1.norm1", reshape=token_grid(1))
    assert found.maps.shape == (2, 64, 64)
    assert not found.blank.all()


def test_efficientnet_lite0_is_read_at_its_last_convolution(rng):
    timm = pytest.importorskip("timm")
    torch.manual_seed(6)
    model = timm.create_model("efficientnet_lite0", pretrained=False, num_classes=4)
    pictures = rng.random((2, 3, 64, 96), dtype=np.float32)
    assert last_conv_layer(model) == last_conv_layer(model, pictures) == "conv_head"
    stages = {layer.name: layer.shape for layer in layers(model, pictures)}
    assert stages["blocks.6"] == (320, 2, 3)
    found = grad_cam(model, pictures)
    assert found.maps.shape == (2, 64, 96)
    assert found.layers == ("conv_head",)
    exact = linear_contribution(model, pictures, 0, "bn2")
    np.testing.assert_allclose(exact.rest, model.classifier.bias[0].item(), atol=FLOAT32)


# -- leaving no trace, and saying what is wrong -----------------------------------------------------------------


def trace(model: nn.Module) -> list[object]:
    """Everything about a model that an explanation might disturb."""
    return [
        [(name, tensor.clone()) for name, tensor in model.state_dict().items()],
        [module.training for module in model.modules()],
        [len(module._forward_hooks) + len(module._backward_hooks) for module in model.modules()],
        [parameter.requires_grad for parameter in model.parameters()],
        [None if parameter.grad is None else parameter.grad.clone() for parameter in model.parameters()],
    ]


def half_trained() -> nn.Module:
    model = Trained().train()
    model.body[1].eval()
    model.head.weight.requires_grad_(False)
    model.body[0].weight.grad = torch.ones_like(model.body[0].weight)
    return model


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_exactly_as_it_was(images, fails):
    model = half_trained()
    before = trace(model)
    if fails:
        with pytest.raises(InputError):
            grad_cam(model, images, targets=99)
    else:
        grad_cam(model, images)
        linear_contribution(model, images)
        layers(model, images)
        activations(model, images, "body.0")
    for now, then in zip(trace(model), before, strict=True):
        for one, other in zip(now, then, strict=True):
            if isinstance(one, tuple):
                assert one[0] == other[0]
                assert torch.equal(one[1], other[1])
            else:
                assert torch.equal(one, other) if isinstance(one, Tensor) else one == other


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_caller_without_gradients_gets_the_same_map(images, mode):
    expected = grad_cam(Trained(), images, 0).maps
    with mode():
        found = grad_cam(Trained() if mode is torch.no_grad else _trained_outside(), images, 0).maps
    np.testing.assert_array_equal(found, expected)


def _trained_outside() -> nn.Module:
    with torch.inference_mode(False):
        return Trained()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": "nowhere"}, "no layer 'nowhere'"),
        ({"layers": ["body.0", "body.4"]}, "only through another layer"),
        ({"layers": ["body.0", "body.0"]}, "each once"),
        ({"layers": "head"}, "not N x C x h x w"),
        ({"targets": 3}, "3 classes"),
        ({"targets": -1}, "3 classes"),
        ({"targets": [0, 1]}, "each of the 5 images"),
        ({"score": "entropy"}, "unknown score"),
    ],
)
def test_a_wrong_request_is_one_line_that_names_the_fault(images, arguments, message):
    with pytest.raises(InputError, match=message):
        grad_cam(Trained(), images, **arguments)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((3, 32, 32), np.float32),
        np.zeros((0, 3, 32, 32), np.float32),
        np.zeros((2, 3, 32, 32), np.uint8),
        np.zeros((2, 32, 32, 3), np.int32),
    ],
)
def test_images_of_another_layout_are_refused(wrong):
    with pytest.raises(InputError, match="cannot be attributed"):
        grad_cam(Trained(), wrong)


def test_a_layer_used_twice_cannot_be_read(images):
    class Twice(ChannelMean):
        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.act(self.act(self.conv(x))).mean((2, 3)))

    with pytest.raises(InputError, match="more than once"):
        grad_cam(Twice(), images, 0, "act")


def test_a_root_of_a_zero_variance_is_reported_and_not_drawn():
    class Root(ChannelMean):
        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.act(self.conv(x)).var((2, 3)).sqrt())

    with pytest.raises(InputError, match="not finite"):
        grad_cam(Root(), np.zeros((1, 3, 16, 16), np.float32), 0, "act")


def test_overlays_and_coverage_load_without_torch():
    code = "import sorby.attribution as a, sys; a.overlay, a.coverage; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
