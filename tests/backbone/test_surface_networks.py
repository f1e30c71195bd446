"""The published networks for corroding surfaces: their printed counts, their graph, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sorby.attribution import grad_cam
from sorby.backbone import memory
from sorby.backbone.architecture import StageFeatures, load, stage_indices, to_onnx
from sorby.backbone.runtime import OpenVINORuntime, run
from sorby.backbone.surface_networks import SURFACE_NETWORKS, SurfaceNetwork, build_surface_network, weight_count
from sorby.backbone.weights import check_name
from sorby.classify.heads import Head, HeadSpec
from sorby.classify.network import ClassifierNetwork, parameter_groups
from sorby.classify.recipe import FinetuneSection
from sorby.errors import InputError, MissingPartError

NAMES = sorted(SURFACE_NETWORKS)
SIZE = {"bhat-table6": (62, 70), "bhat-text": (94, 94), "bhat-branches": (130, 126)}


def classifier(name: str, size: tuple[int, int] | None = None) -> ClassifierNetwork:
    """The network with one sigmoid output."""
    backbone = load(name, pretrained=False, size=size, seed=1)
    head = Head(HeadSpec(classes=("316L", "AZ31B"), inputs=backbone.module.num_features, output="sigmoid"))  # type: ignore[arg-type]
    torch.nn.init.normal_(head.readout.linear.weight, generator=torch.Generator().manual_seed(0))  # type: ignore[union-attr, arg-type]
    return ClassifierNetwork([backbone], head).eval()


def layer_counts(network: torch.nn.Module) -> list[int]:
    """Parameters of each convolution and dense layer in turn."""
    kinds = (torch.nn.Conv2d, torch.nn.Linear)
    layers = [layer for layer in network.modules() if isinstance(layer, kinds)]
    return [sum(parameter.numel() for parameter in layer.parameters()) for layer in layers]


def test_the_classifier_of_table_6_has_its_printed_parameters() -> None:
    network = classifier("bhat-table6")
    assert layer_counts(network) == [896, 18_496, 73_856, 147_584, 3_211_776, 513]
    assert sum(parameter.numel() for parameter in network.parameters()) == 3_453_121


def test_the_maps_of_table_6_have_its_printed_shapes() -> None:
    stack = classifier("bhat-table6").module.branches[0]  # type: ignore[index, union-attr]
    maps, shapes = torch.zeros(1, 3, 150, 150), []
    for name, layer in stack.named_children():  # type: ignore[union-attr]
        maps = layer(maps)
        if name.startswith(("relu", "pool")):
            shapes.append(tuple(maps.shape[1:]))
    assert shapes == [
        (32, 148, 148), (32, 74, 74), (64, 72, 72), (64, 36, 36),
        (128, 34, 34), (128, 17, 17), (128, 15, 15), (128, 7, 7),
    ]  # fmt: skip


def test_the_text_s_first_dense_layer_has_its_printed_weights() -> None:
    with torch.device("meta"):  # shapes alone: the weights would take 2.6 GB
        network = SurfaceNetwork(SURFACE_NETWORKS["bhat-text"], (450, 450))
    counts = layer_counts(network)
    assert counts[5] == 603_983_872 == 24 * 24 * 256 * 4096 + 4096
    assert len(counts) + 1 == 5 + 4, "five convolutions, and four dense layers with the head's"
    assert sum(isinstance(layer, torch.nn.BatchNorm2d) for layer in network.modules()) == 5
    assert sum(isinstance(layer, torch.nn.MaxPool2d) for layer in network.modules()) == 4
    assert sum(counts[:5]) != 1_204_892, "the printed count of convolutional weights belongs to another network"
    assert weight_count("bhat-text") == sum(parameter.numel() for parameter in network.parameters())


def test_the_text_s_network_is_refused_where_it_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device="cpu": 2_000_000_000)
    with pytest.raises(InputError, match=r"638,526,464 weights and needs 2\.6 GB .* 2\.0 GB are free") as caught:
        load("bhat-text", pretrained=False)
    assert "\n" not in caught.value.message


def test_free_memory_is_what_the_system_says_or_unknown() -> None:
    free = memory.free_memory()
    assert free is None or 0 < free < 1 << 50


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_gives_what_the_network_gives(name: str) -> None:
    size = SIZE[name]
    network = classifier(name, size)
    for channels in (1, 3):
        images = np.random.default_rng(0).integers(0, 255, (3, *size, channels), np.uint8)
        onnx = to_onnx(network, *size, channels, ("logits", "features"))
        logits, features = run(OpenVINORuntime(onnx, (*size, channels), precision="fp32"), images)
        with torch.inference_mode():
            scores, embedding = network(torch.from_numpy(images))
        # Sums of a few thousand products in float32, in another order.
        np.testing.assert_allclose(features, embedding, atol=1e-4)
        np.testing.assert_allclose(logits, scores, atol=1e-3)


def test_a_grey_image_is_its_own_colour_image() -> None:
    network = classifier("bhat-table6", SIZE["bhat-table6"])
    grey = torch.randint(0, 255, (2, *SIZE["bhat-table6"], 1), dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.equal(network(grey)[0], network(grey.expand(-1, -1, -1, 3).contiguous())[0])


@pytest.mark.parametrize("name", ["bhat-table6", "bhat-branches"])
def test_grad_cam_reads_the_last_convolution_of_every_branch(name: str) -> None:
    size = SIZE[name]
    network = classifier(name, size)

    class Scores(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.graph = network

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.graph(images)[0]

    images = np.random.default_rng(0).integers(0, 255, (2, *size, 1), np.uint8)
    found = grad_cam(Scores(), images, score="margin")
    assert found.maps.shape == (2, *size)
    assert len(found.layers) == len(SURFACE_NETWORKS[name].kernels)
    assert all(layer.endswith("conv4") for layer in found.layers)


@pytest.mark.parametrize("name", NAMES)
def test_features_of_every_stage_can_be_pooled(name: str) -> None:
    backbone = load(name, pretrained=False, size=SIZE[name])
    graph = StageFeatures(backbone)
    assert graph.stages == stage_indices(backbone.module)
    pooled = graph(torch.zeros(2, *SIZE[name], 1, dtype=torch.uint8))
    widths = [backbone.module.feature_info[k]["num_chs"] for k in graph.stages]  # type: ignore[index, union-attr]
    assert pooled.shape == (2, 2 * sum(widths))
    for info in backbone.module.feature_info:  # type: ignore[union-attr]
        assert isinstance(backbone.module.get_submodule(info["module"]), torch.nn.ReLU)  # type: ignore[index, call-overload]


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_lies_in_one_group_and_deeper_ones_learn_faster(name: str) -> None:
    network = classifier(name, SIZE[name])
    groups = parameter_groups(network, FinetuneSection(layer_decay=0.5))
    placed = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(placed) == sorted(id(parameter) for parameter in network.parameters())
    scale = {id(parameter): group["lr_scale"] for group in groups for parameter in group["params"]}
    stack = network.module.branches[0]  # type: ignore[index, union-attr]
    rates = [scale[id(stack.get_submodule(f"conv{k}").weight)] for k in range(1, 5)]  # type: ignore[union-attr]
    assert rates == sorted(set(rates))
    assert rates[-1] < scale[id(network.module.dense[0].weight)] <= 1.0  # type: ignore[index, union-attr]


def test_first_weights_follow_from_the_seed_and_glorot_s_rule() -> None:
    first, same, other = (build_surface_network("bhat-table6", (62, 62), seed) for seed in (3, 3, 4))
    weight = first.branches[0].conv2.weight  # type: ignore[union-attr]
    assert torch.equal(weight, same.branches[0].conv2.weight)  # type: ignore[union-attr, arg-type]
    assert not torch.equal(weight, other.branches[0].conv2.weight)  # type: ignore[union-attr, arg-type]
    bound = (6 / (9 * 32 + 9 * 64)) ** 0.5
    assert 0.99 * bound < float(weight.detach().abs().max()) <= bound  # type: ignore[operator, union-attr]
    assert not first.branches[0].conv2.bias.any()  # type: ignore[union-attr, operator]


@pytest.mark.parametrize("name", NAMES)
def test_too_small_an_image_is_one_line(name: str) -> None:
    with pytest.raises(InputError, match="too small for") as caught:
        load(name, pretrained=False, size=(40, 40))
    assert "published size" in caught.value.hint


def test_an_image_of_another_size_is_refused() -> None:
    network = build_surface_network("bhat-table6", (62, 62))
    with pytest.raises(InputError, match="62 x 62 px, not 64 x 62"):
        network(torch.zeros(1, 3, 64, 62))


def test_there_are_no_published_weights_and_no_residual_branches() -> None:
    check_name("bhat-table6")
    with pytest.raises(MissingPartError, match="no weights of bhat-table6") as caught:
        load("bhat-table6", size=(62, 62))
    assert "pretrained=false" in caught.value.hint
    with pytest.raises(InputError, match="knows no drop_path_rate"):
        load("bhat-table6", pretrained=False, drop_path_rate=0.1)
    with pytest.raises(InputError, match="no backbone") as caught_name:
        check_name("bhat-table")
    assert "bhat-table6" in caught_name.value.hint
