"""Silent channels change shapes, not results."""

import pytest
import timm
import torch

from sorby.backbone.silent_channels import with_silent_channels


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    module = timm.create_model("efficientnet_lite0", num_classes=0).eval()
    with torch.no_grad():  # statistics as after training: other than those that make a channel's fate trivial
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.3)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 2.0)
    return module


def test_features_stay_the_same(network):
    images = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        before, after = network(images), with_silent_channels(network)(images)
    # Sums of the same numbers and zeros, in another order.
    assert torch.allclose(before, after, rtol=1e-5, atol=1e-6)


def test_every_hidden_layer_fills_its_tiles(network):
    wide = with_silent_channels(network)
    hidden = [block.conv_pw.out_channels for stage in wide.blocks for block in stage if hasattr(block, "conv_pwl")]
    assert hidden
    assert all(count % 32 == 0 for count in hidden)
    assert 160 in hidden  # 144 rounded up


def test_the_original_is_not_touched(network):
    before = [tuple(parameter.shape) for parameter in network.parameters()]
    with_silent_channels(network)
    assert [tuple(parameter.shape) for parameter in network.parameters()] == before


def test_blocks_with_squeeze_and_excitation_are_left_alone():
    network = timm.create_model("efficientnet_b0", num_classes=0).eval()
    wide = with_silent_channels(network)
    assert [p.shape for p in wide.parameters()] == [p.shape for p in network.parameters()]
