"""Networks larger than one ONNX file: stored in half precision, computed as before, and left as they were."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sorby.backbone import half_storage
from sorby.backbone.architecture import load, to_onnx
from sorby.backbone.half_storage import HalfStored, halved, too_large
from sorby.backbone.runtime import OpenVINORuntime, run
from sorby.backbone.surface_networks import SURFACE_NETWORKS, SurfaceNetwork

SIZE = (94, 94)


class Graph(torch.nn.Module):
    """Grey pixels to an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.network = load("bhat-table6", pretrained=False, size=SIZE).module

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images.permute(0, 3, 1, 2).float().repeat(1, 3, 1, 1) / 255)  # type: ignore[no-any-return]


def test_a_graph_too_large_for_a_file_is_stored_in_half(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = Graph().eval()
    images = np.random.default_rng(0).integers(0, 255, (2, *SIZE, 1), np.uint8)
    whole = to_onnx(graph, *SIZE, 1, ("features",))
    monkeypatch.setattr(half_storage, "LARGEST", 1_000_000)
    half = to_onnx(graph, *SIZE, 1, ("features",))
    dense = graph.network.dense[0].weight.numel()  # type: ignore[index, union-attr]
    assert len(whole) - len(half) == pytest.approx(2 * dense, rel=0.01)
    with torch.inference_mode():
        wanted = graph(torch.from_numpy(images)).numpy()
    found = run(OpenVINORuntime(half, (*SIZE, 1), precision="fp32"), images)[0]
    # Weights are rounded to 11 bits, independently of each other.
    np.testing.assert_allclose(found, wanted, atol=1e-3 * np.abs(wanted).max())


def test_the_graph_is_as_it_was_afterwards() -> None:
    graph = Graph()
    before = graph.network.dense[0]  # type: ignore[index, union-attr]
    with halved(graph):
        assert isinstance(graph.network.dense[0], HalfStored)  # type: ignore[index, union-attr]
    assert graph.network.dense[0] is before  # type: ignore[index, union-attr]


def test_the_published_text_s_network_needs_it_and_table_6_does_not() -> None:
    with torch.device("meta"):
        text = SurfaceNetwork(SURFACE_NETWORKS["bhat-text"], (450, 450))
        assert too_large(text)
        assert not too_large(SurfaceNetwork(SURFACE_NETWORKS["bhat-table6"], (150, 150)))
    first = max(layer.weight.numel() for layer in text.modules() if isinstance(layer, torch.nn.Linear))
    left = sum(parameter.numel() for parameter in text.parameters()) - first
    assert 4 * left + 2 * first < half_storage.LARGEST
