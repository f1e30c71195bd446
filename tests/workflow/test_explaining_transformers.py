"""``inspect --explain`` with vision transformers: frozen with class token, fine-tuned, every method."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sorby.backbone.architecture import StageFeatures
from sorby.backbone.architecture import load as load_backbone
from sorby.classify import Classifier
from sorby.classify.recipe import load
from sorby.errors import InputError
from sorby.workflow import inspect, train
from sorby.workflow.explaining import METHODS, explain
from sorby.workflow.opening import open_classifier
from textures import write_table

VIT = {
    "image.height": 48,
    "image.width": 64,
    "backbone.name": "vit_tiny_patch16_224",
    "backbone.pretrained": False,
    "verdict.novelty_rate": 0.1,
}


@pytest.fixture(scope="module", params=["cls+mean", "mean+std", "finetune"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A classifier on a small transformer, and its images."""
    place = tmp_path_factory.mktemp("vit")
    table = write_table(place, specimens=6)
    settings = dict(VIT)
    if request.param == "finetune":
        settings |= {"regime": "finetune", "finetune.epochs": 1, "finetune.precision": "fp32", "augment": "none"}
    else:
        settings |= {"backbone.pooling": request.param, "backbone.stages": "[3, 8]", "head.folds": 2}
    result = train(
        table, place / "run", load(None, settings), image="picture", label="structure", group="piece", report=False
    )
    return request.param, Path(result["bundle"])


def _opened(bundle: Path) -> tuple[Classifier, np.ndarray]:
    classifier, _ = open_classifier(bundle)
    files = sorted((bundle.parents[1] / "images").glob("*.png"))[:3]
    return classifier, np.stack([np.asarray(Image.open(file).resize((64, 48)))[..., None] for file in files])


def test_every_method_that_fits_gives_maps_and_others_say_why_not(bundle: tuple[str, Path]) -> None:
    kind, path = bundle
    classifier, images = _opened(path)
    for method in METHODS:
        if method == "linear" and kind != "mean+std":
            with pytest.raises(InputError, match="linear"):
                explain(classifier, images, method=method)
            continue
        if method == "grad-cam" and kind == "mean+std":
            continue  # reads within the last block, which such features leave aside
        found = explain(classifier, images, method=method)
        assert found.maps.shape == (3, 48, 64)
        assert found.maps.min() >= 0
        assert found.maps.max() <= 1


def test_a_layer_is_chosen_by_its_name_in_the_network(bundle: tuple[str, Path]) -> None:
    _, path = bundle
    classifier, images = _opened(path)
    assert explain(classifier, images, layer="blocks.2.norm1").layers[0].endswith("blocks.2.norm1")
    with pytest.raises(InputError, match="no layer"):
        explain(classifier, images, layer="blocks.77")
    with pytest.raises(InputError, match="grad-cam"):
        explain(classifier, images, layer="blocks.2", method="rollout")


def test_inspect_draws_at_the_images_own_aspect(bundle: tuple[str, Path], tmp_path: Path) -> None:
    kind, path = bundle
    wide = tmp_path / "wide"
    wide.mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (60, 120), dtype=np.uint8)).save(wide / "one.png")
    method = "auto" if kind == "mean+std" else "rollout"
    inspect(path, [wide], tmp_path / "out", explain=True, method=method)
    (overlay,) = (tmp_path / "out" / "overlays").glob("*.png")
    assert Image.open(overlay).size == (120, 60)


def test_a_bundle_gives_the_features_of_the_network_it_was_made_of(bundle: tuple[str, Path]) -> None:
    kind, path = bundle
    if kind == "finetune":
        return
    classifier, images = _opened(path)
    graph = StageFeatures(
        load_backbone("vit_tiny_patch16_224", pretrained=False, seed=0, size=(48, 64)),
        (3, 8),
        1,
        kind,  # type: ignore[arg-type]
    ).eval()
    with torch.inference_mode():
        wanted = graph(torch.from_numpy(images)).numpy()
        found = classifier.graph(torch.from_numpy(images))[1].numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_places_that_a_network_lacks_are_named() -> None:
    lite = load_backbone("efficientnet_lite0", pretrained=False)
    with pytest.raises(InputError, match="no class token"):
        StageFeatures(lite, pooling="cls")
    with pytest.raises(InputError, match="stages 0 to 4"):
        StageFeatures(lite, (2, 9))


@pytest.mark.parametrize("size", [(224, 224), (112, 168), (70, 70)])
def test_class_tokens_come_at_any_size_the_patches_allow(size: tuple[int, int]) -> None:
    backbone = load_backbone("vit_tiny_patch16_224", pretrained=False, size=(size[0] // 14 * 16, size[1] // 14 * 16))
    graph = StageFeatures(backbone, pooling="cls").eval()
    images = torch.zeros(1, size[0] // 14 * 16, size[1] // 14 * 16, 1, dtype=torch.uint8)
    with torch.inference_mode():
        assert graph(images).shape == (1, 4 * 192)
