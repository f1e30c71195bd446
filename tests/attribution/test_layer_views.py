"""Looking into layers: which there are, which channels are strong, and that a picture shows their values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sorby.attribution.colour_maps import coloured
from sorby.attribution.layer_views import chosen_layers, grid, layer_maps, view_layers, visible_layers
from sorby.backbone.architecture import load
from sorby.classify.heads import Head, HeadSpec
from sorby.classify.network import ClassifierNetwork
from sorby.classify.scoring_graphs import ScoresOnly
from sorby.errors import InputError


def scores(name: str, size: int) -> nn.Module:
    """A classifier's scores as attribution is given them."""
    backbone = load(name, pretrained=False, size=(size, size))
    width = int(backbone.module.num_features)  # type: ignore[arg-type]
    return ScoresOnly(ClassifierNetwork([backbone], Head(HeadSpec(classes=("a", "b"), inputs=width)))).eval()


def pixels(size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (1, size, size, 1), np.uint8)


def test_table_6_has_the_eight_layers_that_its_paper_counts() -> None:
    model, image = scores("bhat-table6", 150), pixels(150)
    found = visible_layers(model, image)
    assert [layer.kind for layer in found] == ["Conv2d", "MaxPool2d"] * 4
    assert found[-1].shape == (128, 7, 7)
    views = view_layers(model, image, list(enumerate(found, 1)))
    assert [view.number for view in views] == list(range(1, 9))
    assert [views[k - 1].colour_map for k in (3, 5, 7, 8, 1, 4)] == [
        "blue_RGB", "aqua", "moonlight", "bronze", "red_lava", "bone",
    ]  # fmt: skip


def test_layers_are_listed_as_they_run_and_shown_from_one_pass() -> None:
    model, image = scores("resnet10t", 64), pixels(64)
    found = visible_layers(model, image)
    areas = [layer.shape[1] * layer.shape[2] for layer in found if layer.shape is not None]
    assert areas == sorted(areas, reverse=True)
    maps = layer_maps(model, image, [layer.name for layer in found])
    assert [tuple(each.shape) for each in maps] == [layer.shape for layer in found]


class TwoChannels(nn.Module):
    """One channel that copies the image and one that is the same everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1)
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1))
            self.conv.bias.copy_(torch.tensor([5.0, 0.0]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.conv(images.permute(0, 3, 1, 2).float()).mean((2, 3))


def test_the_channel_that_varies_comes_first_and_a_flat_one_is_counted() -> None:
    image = pixels(32)
    model = TwoChannels()
    (view,) = view_layers(model, image, [(1, visible_layers(model, image)[0])], "bone")
    assert view.channels == (1, 0)
    assert view.flat == 1
    assert view.colour_map == "bone"


def test_a_grid_shows_every_channel_s_values_in_its_place() -> None:
    ramp = np.linspace(0, 1, 14, dtype=np.float32)
    maps = np.stack([np.tile(ramp, (14, 1)), np.tile(ramp[:, None], (1, 14)), np.zeros((14, 14), np.float32)])
    picture = grid(maps, "aqua")
    assert picture.shape == (112, 3 * 112 + 2 * 4, 3)
    low, high = np.percentile(np.tile(ramp, (14, 1))[1:-1, 1:-1], (1, 99))
    wanted = coloured((ramp - low) / (high - low), "aqua")
    np.testing.assert_array_equal(picture[60, 4:112:8], wanted)
    np.testing.assert_array_equal(picture[4:112:8, 116 + 60], wanted)
    assert (picture[:, 112:116] == 255).all()
    assert len(np.unique(picture[:, 232:].reshape(-1, 3), axis=0)) == 1, "a flat channel has one colour"


def test_padding_at_the_border_makes_no_channel_strong() -> None:
    framed = np.zeros((1, 32, 32), np.float32)
    framed[:, [0, -1]] = framed[:, :, [0, -1]] = 1000.0
    framed[0, 10:20, 10:20] = 1.0
    assert len(np.unique(grid(framed, "bone")[30:-30, 30:-30].reshape(-1, 3), axis=0)) >= 2, "the inner square is seen"


def test_layers_may_be_chosen() -> None:
    assert chosen_layers(8, [], 12) == list(range(1, 9))
    assert chosen_layers(48, [7, 3, 7], 12) == [3, 7]
    evenly = chosen_layers(48, [], 12)
    assert (len(evenly), evenly[0], evenly[-1]) == (12, 1, 48)
    with pytest.raises(InputError, match="no layer 9"):
        chosen_layers(8, [9], 12)


def test_a_network_without_convolutions_is_one_line() -> None:
    class Flat(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.float().flatten(1)[:, :2]

    with pytest.raises(InputError, match="no convolution"):
        visible_layers(Flat(), pixels(8))
