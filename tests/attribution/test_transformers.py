"""Vision transformers: which layer carries a map, what rollout multiplies, and cues that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from sorby.attribution import attention_rollout, cue_masks, cue_match, grad_cam, token_network, token_reshape
from sorby.errors import InputError


class Vit(nn.Module):
    """A small seeded vision transformer for images of 32 x 48, with a linear head."""

    def __init__(self, pool: str = "token", depth: int = 3) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.body = timm.models.VisionTransformer(
            img_size=(32, 48), patch_size=8, embed_dim=24, depth=depth, num_heads=3, num_classes=0, global_pool=pool
        )
        self.head = nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


@pytest.fixture
def pictures() -> Any:
    """Four normalised images 32 x 48."""
    return torch.randn(4, 3, 32, 48, generator=torch.Generator().manual_seed(3))


def test_the_layer_read_is_the_input_of_the_last_blocks_attention(pictures):
    found = grad_cam(Vit(), pictures)
    assert found.layers == ("body.blocks.2.norm1",)
    assert found.maps.shape == (4, 32, 48)
    assert not found.blank.all()


def test_after_the_last_block_a_class_token_leaves_patches_without_gradient(pictures):
    """Only the class token is read there: the place of every patch carries nothing, and averaging tokens all do."""
    by_token = grad_cam(Vit("token"), pictures, layers="body.blocks.2")
    assert by_token.blank.all()
    by_mean = grad_cam(Vit("avg"), pictures, layers="body.blocks.2")
    assert not by_mean.blank.any() or by_mean.peaks.max() > 0


def test_a_layer_can_be_chosen_and_one_that_is_not_there_is_named(pictures):
    assert grad_cam(Vit(), pictures, layers="body.blocks.0.norm1").layers == ("body.blocks.0.norm1",)
    with pytest.raises(InputError, match=r"blocks\.9"):
        grad_cam(Vit(), pictures, layers="body.blocks.9")
    network = token_network(Vit())
    assert network is not None
    with pytest.raises(InputError, match="no block 3"):
        network.layer(3)


def test_tokens_lie_where_their_patches_lie():
    reshape = token_reshape(Vit())
    assert reshape is not None
    tokens = torch.arange(1 + 4 * 6, dtype=torch.float32).reshape(1, -1, 1)
    assert torch.equal(reshape(tokens)[0, 0], torch.arange(1, 25, dtype=torch.float32).reshape(4, 6))


def test_rollout_is_the_product_of_half_attention_half_identity(pictures):
    """Held against attention taken from the network's own unfused path, block by block."""
    model = Vit().eval()
    taken: list[Tensor] = []
    for block in model.body.blocks:
        block.attn.fused_attn = False  # then the probabilities pass the dropout
        block.attn.attn_drop.register_forward_hook(lambda module, inputs, output: taken.append(output.mean(1)))
    with torch.no_grad():
        model(pictures)
    product = torch.eye(25)
    for attention in taken[:3]:
        product = (attention + torch.eye(25)) / 2 @ product
    wanted = product[:, 0, 1:].reshape(4, 4, 6)
    found = attention_rollout(Vit(), pictures)
    centres = found.maps[:, 4::8, 4::8]  # bilinear maps pass between pixels: even cells have no centre pixel
    for one, other in zip(wanted.numpy(), centres, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.98
    np.testing.assert_allclose(found.peaks, (24 * wanted).flatten(1).max(1).values, rtol=0.05)


def test_attention_that_is_even_rolls_out_to_an_even_map(pictures):
    model = Vit("avg")
    for block in model.body.blocks:
        nn.init.zeros_(block.attn.qkv.weight)
        nn.init.zeros_(block.attn.qkv.bias)
    found = attention_rollout(model, pictures)
    np.testing.assert_allclose(found.maps, 1.0, atol=1e-5)


def test_rollout_knows_no_class_and_leaves_the_model_as_it_was(pictures):
    model = Vit().train()
    first, second = attention_rollout(model, pictures, 0), attention_rollout(model, pictures, 2)
    np.testing.assert_array_equal(first.maps, second.maps)
    assert not np.array_equal(first.scores, second.scores)
    assert model.training
    assert not model.body.blocks[0].attn.qkv._forward_hooks


def test_what_is_no_transformer_has_no_attention(pictures):
    with pytest.raises(InputError, match="no vision transformer"):
        attention_rollout(nn.Sequential(nn.Conv2d(3, 2, 32), nn.Flatten()), pictures)


def test_a_map_on_the_cue_wins_the_pointing_game_and_keeps_its_mass():
    cues = np.zeros((2, 64, 64), np.uint8)
    cues[0, 16:32, 16:32], cues[1, 40:48, 8:24] = 1, 4
    maps = np.zeros((2, 32, 32))
    maps[0, 8:16, 8:16] = 1.0
    maps[1, 20:24, 4:8] = 1.0  # left half of the hackle
    maps[1, 0:4, 0:4] = 1.0  # as much elsewhere; the first peak lies here
    by_name = {match.cue: match for match in cue_match(maps, cues, {"origin": (1,), "hackle": (4,)})}
    origin, hackle = by_name["origin"], by_name["hackle"]
    assert origin.shown.tolist() == [True, False]
    assert origin.hit[0]
    assert origin.inside[0] == pytest.approx(1.0)
    assert origin.area[0] == pytest.approx(16 * 16 / 64**2)
    assert origin.lift[0] == pytest.approx(16.0)
    assert np.isnan(origin.lift[1])
    assert not hackle.hit[1]
    assert hackle.inside[1] == pytest.approx(0.5)


def test_an_even_map_has_the_cues_area_inside():
    rng = np.random.default_rng(0)
    cues = rng.integers(0, 6, (3, 40, 60)).astype(np.uint8)
    for match in cue_match(np.ones((3, 40, 60)), cues):
        np.testing.assert_allclose(match.inside, match.area)


def test_a_cue_smaller_than_a_pixel_of_the_map_is_not_lost():
    cues = np.zeros((1, 300, 300), np.uint8)
    cues[0, 150, 200] = 1
    mask = cue_masks(cues, (1,), (7, 7))
    assert np.argwhere(mask[0]).tolist() == [[3, 4]]
    with pytest.raises(InputError, match="do not belong together"):
        cue_match(np.ones((2, 7, 7)), cues)
