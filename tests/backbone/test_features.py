"""Pooled features: known size, the two runtimes agree, the cache never lies."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from sorby.backbone import FeatureExtractor, Preprocessing, StageFeatures, load
from sorby.backbone.architecture import Backbone, to_onnx
from sorby.backbone.cache import FeatureCache
from sorby.backbone.runtime import OpenVINORuntime, TorchRuntime, run
from sorby.errors import InputError, SorbyWarning
from sorby.files import sha256_file
from textures import texture, textures, write_folder

Pixels = npt.NDArray[np.generic]


@pytest.fixture(scope="module")
def lite0() -> Backbone:
    return load("efficientnet_lite0")


@pytest.fixture
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SORBY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _extractor(backbone: Backbone, **changes: object) -> FeatureExtractor:
    settings = {"height": 64, "width": 64, **changes}
    return FeatureExtractor(backbone, Preprocessing.model_validate(settings), precision="fp32")


def _cosine(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def _formats(folder: Path, rng: np.random.Generator) -> list[Path]:
    """8 and 16 bit, odd sizes, grey and colour."""
    grey = texture("checks", rng, 97)[:61]
    files = {
        "grey8": grey,
        "grey16": grey.astype(np.uint16) * 200 + 1000,
        "colour": np.stack([grey, grey[::-1], 255 - grey], axis=2),
    }
    for name, pixels in files.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return [folder / f"{name}.png" for name in files]


def test_a_known_image_gives_992_finite_features(lite0: Backbone, cache_home: Path, class_folders: Path) -> None:
    # Mean and standard deviation of 40 + 112 + 24 + 320 channels.
    found = _extractor(lite0).extract(sorted(class_folders.rglob("*.png"))[:2])
    assert found.features.shape == (2, 992)
    assert found.features.dtype == np.float32
    assert np.isfinite(found.features).all()
    assert not np.allclose(found.features[0], found.features[1])


@pytest.mark.parametrize("colour", ["grey", "rgb"])
@pytest.mark.parametrize("sizing", ["resize", "mirror"])
def test_openvino_and_torch_agree_on_every_kind_of_image(
    lite0: Backbone, tmp_path: Path, rng: np.random.Generator, colour: str, sizing: str
) -> None:
    rule = Preprocessing.model_validate({"height": 70, "width": 93, "colour": colour, "sizing": sizing})
    images = np.stack([rule.read(path) for path in _formats(tmp_path, rng)])
    graph = StageFeatures(lite0)
    onnx, shape = to_onnx(graph, *images.shape[1:], ("features",)), images.shape[1:]
    reference = run(TorchRuntime(graph, device="cpu", precision="fp32"), images)[0]
    exact = run(OpenVINORuntime(onnx, shape, precision="fp32"), images)[0]
    # Same arithmetic in another order: rounding errors relative to the size of the features.
    assert np.abs(exact - reference).max() <= 1e-3 * np.abs(reference).max()
    half = run(OpenVINORuntime(onnx, shape, precision="bf16"), images)[0]
    # bf16 keeps 8 bits, so single features differ by percents; the direction, which a linear head uses, does not.
    # .9987 was seen on these tiny synthetic images, .9999 is usual.
    assert (_cosine(half, reference) > 0.998).all()
    assert np.linalg.norm(half - reference) <= 0.05 * np.linalg.norm(reference)


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0", "vit_tiny_patch16_224"])
def test_every_family_of_networks_runs_as_onnx_and_says_what_torch_says(name: str) -> None:
    backbone = load(name, pretrained=False, size=(64, 64))
    graph = StageFeatures(backbone)
    images, _ = textures(["blobs", "stripes"], 2, seed=3, size=64)
    reference = run(TorchRuntime(graph, device="cpu", precision="fp32"), images)[0]
    found = run(OpenVINORuntime(to_onnx(graph, 64, 64, 1, ("f",)), (64, 64, 1), precision="fp32"), images)[0]
    assert found.shape == reference.shape == (4, reference.shape[1])
    np.testing.assert_allclose(found, reference, atol=2e-3 * np.abs(reference).max())


@pytest.mark.parametrize("views", [4, 8])
def test_features_averaged_over_views_do_not_know_a_mirror(lite0: Backbone, views: int) -> None:
    images, _ = textures(["stripes", "blobs"], 1, seed=4, size=64)
    graph = StageFeatures(lite0, views=views)
    runtime = TorchRuntime(graph, device="cpu", precision="fp32")
    plain, mirrored = run(runtime, images)[0], run(runtime, np.ascontiguousarray(images[:, :, ::-1]))[0]
    np.testing.assert_allclose(plain, mirrored, atol=1e-4 * np.abs(plain).max())
    turned = run(runtime, np.ascontiguousarray(images.transpose(0, 2, 1, 3)))[0]
    alike = np.abs(turned - plain).max() <= 1e-4 * np.abs(plain).max()
    assert alike == (views == 8)


def test_cuda_is_never_replaced_silently() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(InputError, match="no CUDA device"):
        TorchRuntime(torch.nn.Identity(), device="cuda")


# -- cache ------------------------------------------------------------------------------------------------


def test_a_second_extraction_computes_nothing_and_is_identical(
    lite0: Backbone, cache_home: Path, class_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sorted(class_folders.rglob("*.png"))[:5]
    first = _extractor(lite0).extract(files)
    again = _extractor(lite0)
    monkeypatch.setattr(again.runtime, "start", lambda *_: pytest.fail("computed again"))
    second = again.extract(files)
    assert (first.from_cache, second.from_cache) == (0, 5)
    assert np.array_equal(first.features, second.features)


def test_a_changed_image_is_computed_anew(lite0: Backbone, cache_home: Path, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", 1)
    file, other = folder / "blobs" / "blobs-000.png", folder / "checks" / "checks-000.png"
    before = _extractor(lite0).extract([file]).features
    shutil.copy(other, file)
    after = _extractor(lite0).extract([file])
    assert after.from_cache == 0
    assert not np.allclose(before, after.features)
    renamed = shutil.copy(file, tmp_path / "renamed.png")
    assert _extractor(lite0).extract([renamed]).from_cache == 1  # found by content, not by name


def test_whatever_shapes_a_vector_is_part_of_its_key(lite0: Backbone, cache_home: Path, class_folders: Path) -> None:
    file = [next(class_folders.rglob("*.png"))]
    _extractor(lite0).extract(file)
    assert _extractor(lite0, width=80).extract(file).from_cache == 0
    assert _extractor(lite0, intensity="full-range").extract(file).from_cache == 0
    assert _extractor(load("efficientnet_lite0", pretrained=False)).extract(file).from_cache == 0
    assert _extractor(lite0).extract(file).from_cache == 1


def test_a_file_that_cannot_be_read_is_set_aside_and_not_cached(
    lite0: Backbone, cache_home: Path, class_folders: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    good = sorted(class_folders.rglob("*.png"))[:2]
    for _ in range(2):
        found = _extractor(lite0).extract([good[0], bad, good[1], tmp_path / "absent.png"])
        assert list(found.kept) == [0, 2]
        assert [entry.file for entry in found.quarantined] == [str(bad), str(tmp_path / "absent.png")]


def test_the_cache_forgets_the_longest_unused_first(tmp_path: Path) -> None:
    cache = FeatureCache("k", tmp_path, limit_mb=1)
    vector = np.zeros(50_000, np.float32)  # 200 kB
    for name in "abcd":
        cache.put([(name, vector)])
    cache.get(["a"])  # used just now
    cache.put([("e", vector), ("f", vector)])  # 1.2 MB: down to .8 MB
    held = set(cache.get(list("abcdef")))
    assert held == {"a", "d", "e", "f"}


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "features.sqlite").write_bytes(b"not a database " * 100)
    cache = FeatureCache("k", tmp_path)
    cache.put([("a", np.ones(3, np.float32))])
    assert np.array_equal(cache.get(["a"])["a"], np.ones(3))


def test_a_cache_that_cannot_be_written_is_said_and_does_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(SorbyWarning, match="cache not used"):
        cache = FeatureCache("k", tmp_path / "file")
    cache.put([("a", np.ones(3, np.float32))])
    assert cache.get(["a"]) == {}


def test_a_nonsensical_cache_size_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SORBY_CACHE_MB", "lots")
    with pytest.raises(InputError, match="SORBY_CACHE_MB=lots"):
        FeatureCache("k", tmp_path)


def test_two_extractors_share_a_cache_by_content_hash(lite0: Backbone, cache_home: Path, class_folders: Path) -> None:
    files = sorted(class_folders.rglob("*.png"))[:3]
    hashes = [sha256_file(file) for file in files]
    first = _extractor(lite0).extract(files, hashes)
    assert _extractor(lite0).extract(files[::-1], hashes[::-1]).from_cache == 3
    assert np.array_equal(_extractor(lite0).extract(files[::-1]).features, first.features[::-1])
