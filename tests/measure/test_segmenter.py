"""The small segmenter: it learns, repeats itself, survives as a bundle, and is scored by parents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from sorby import bundle
from sorby.errors import BundleError, InputError
from sorby.measure.grain_counting import boundary_of
from sorby.measure.patch_parents import infer_parents
from sorby.measure.segmenter import Segmenter, require_marks
from sorby.measure.segmenter_network import SmallUNet
from sorby.measure.segmenter_training import SegmenterSettings, train_segmenter
from sorby.phantom.grains import render_grains
from sorby.workflow.measuring.boundary_training import read_mask, read_patches, split_by_group
from sorby.workflow.measuring.grains import measure_grains

QUICK = SegmenterSettings(crop_px=64, epochs=12, batch=8)


def patches(n: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    images, masks = [], []
    for k in range(n):
        truth = render_grains(8.0, seed + k, size_px=128, pixel_size_um=0.8)
        images.append(np.repeat(truth.pixels[..., None], 3, axis=2))
        masks.append(ndimage.binary_dilation(boundary_of(truth.labels), np.ones((2, 2))))
    return images, masks


@pytest.fixture(scope="module")
def taught() -> Segmenter:
    images, masks = patches(8, 400)
    return Segmenter(train_segmenter(images, masks, QUICK), "lines", 2.0)


def save(segmenter: Segmenter, path: Path) -> str:
    return segmenter.save(
        path, seed=0, fingerprint="0" * 64, n_images=8, n_parents=8, metrics={}, settings={}, notes=[]
    )


def test_after_seconds_of_teaching_boundaries_are_more_probable_than_grains(taught: Segmenter) -> None:
    images, masks = patches(2, 900)
    for image, mask in zip(images, masks, strict=True):
        probability = taught.probability(image)
        assert probability.shape == mask.shape
        assert probability[mask].mean() > 2 * probability[~mask].mean()


def test_the_same_seed_teaches_the_same_network() -> None:
    images, masks = patches(2, 700)
    settings = SegmenterSettings(crop_px=64, epochs=1, batch=4, seed=3)
    first, second = (train_segmenter(images, masks, settings).state_dict() for _ in range(2))
    assert all((first[key] == second[key]).all() for key in first)


def test_a_bundle_gives_the_same_probabilities_and_holds_no_pickle(taught: Segmenter, tmp_path: Path) -> None:
    save(taught, tmp_path / "b.sorby")
    opened = bundle.load(tmp_path / "b.sorby", device="cpu")
    image = patches(1, 901)[0][0]
    assert np.array_equal(opened.probability(image), taught.probability(image))
    with bundle.open_bundle(tmp_path / "b.sorby") as files:
        assert set(files.members) == {"bundle.json", "LICENSE", "model.onnx", "weights.safetensors"}
        assert files.description.kind == "boundary-segmenter"


def test_the_network_is_small() -> None:
    assert 100_000 < sum(each.numel() for each in SmallUNet().parameters()) < 300_000


def test_a_picture_larger_than_a_tile_has_no_seams(taught: Segmenter) -> None:
    image = patches(1, 902)[0][0]
    wide = np.tile(image, (3, 3, 1))
    whole = taught.probability(wide)
    # Normalisation is by tile, so values may move a little where tiles differ, never jump.
    seam = np.abs(np.diff(whole, axis=1))[:, 191].mean()
    usual = np.abs(np.diff(whole, axis=1)).mean()
    assert seam < 2 * usual


def test_a_mask_of_another_size_is_refused() -> None:
    images, masks = patches(2, 703)
    with pytest.raises(InputError, match="its mask"):
        train_segmenter(images, [masks[0], masks[1][:-1]], QUICK)


def test_nothing_marked_teaches_nothing() -> None:
    images, _ = patches(1, 704)
    with pytest.raises(InputError, match="nothing is marked"):
        train_segmenter(images, [np.zeros((128, 128), bool)], QUICK)


def test_a_segmenter_of_spots_measures_no_grains_and_one_of_lines_no_inclusions(taught: Segmenter) -> None:
    spots = Segmenter(SmallUNet(), "regions", 12.0)
    with pytest.raises(InputError, match="no grain size follows"):
        require_marks(spots, "lines", "spots.sorby")
    with pytest.raises(InputError, match="boundary lines"):
        require_marks(taught, "regions", "lines.sorby")


def test_a_bundle_of_another_kind_is_refused(tmp_path: Path) -> None:
    other = bundle.Description(kind="classifier", name="other", licence="none")
    bundle.write(tmp_path / "other.sorby", other)
    with pytest.raises(BundleError, match="not a segmenter"):
        Segmenter.from_bundle(bundle.open_bundle(tmp_path / "other.sorby"))


def texture(seed: int, tint: tuple[float, float, float]) -> np.ndarray:
    grey = ndimage.gaussian_filter(np.random.default_rng(seed).normal(0, 1, (300, 300)), 2)
    return np.clip(128 + 40 * grey[..., None] / grey.std() * tint + np.multiply(tint, 20), 0, 255).astype(np.uint8)


def test_overlapping_crops_are_of_one_parent_and_others_are_not() -> None:
    a, b, c = texture(1, (1, 0.4, 0.2)), texture(2, (0.2, 1, 0.4)), texture(3, (0.3, 0.3, 1))
    crops = [a[:128, :128], b[:128, :128], a[30:158, 50:178], c[:128, :128], b[60:188, 20:148]]
    parents = infer_parents(crops)
    assert parents.group[0] == parents.group[2]
    assert parents.group[1] == parents.group[4]
    assert parents.n_groups == 3
    assert parents.overlapping == 2


def test_groups_stay_whole_in_the_split() -> None:
    groups = np.repeat(np.arange(12), [1, 5, 2, 7, 1, 3, 4, 2, 6, 1, 2, 9])
    train, test = split_by_group(groups, 0.25, 0)
    assert not set(groups[train]) & set(groups[test])
    assert len(train) + len(test) == len(groups)
    assert 0.15 < len(test) / len(groups) <= 0.25
    with pytest.raises(InputError, match="one micrograph"):
        split_by_group(np.zeros(9, np.int64), 0.25, 0)


def test_patches_are_matched_by_name_and_the_odd_ones_set_aside(tmp_path: Path) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for name, size in (("3", 40), ("10", 40), ("7", 40), ("8", 40)):
        Image.new("RGB", (size, size), (90, 90, 90)).save(tmp_path / "images" / f"{name}.png")
    for name, size in (("3_mask", 40), ("10-_mask", 40), ("7_mask", 36), ("99_mask", 40)):
        Image.new("L", (size, size), 255).save(tmp_path / "labels" / f"{name}.png")
    found = read_patches(tmp_path / "images", tmp_path / "labels")
    assert found.names == ["3", "10"]
    reasons = {Path(entry.file).name: entry.reason for entry in found.quarantined}
    assert set(reasons) == {"7.png", "8.png", "99_mask.png"}
    assert "its mask 36 x 36" in reasons["7.png"]


def test_a_mask_stored_as_jpeg_is_cut_at_half_because_jpeg_rings(tmp_path: Path) -> None:
    true = np.zeros((64, 64), bool)
    true[20:40, 20:40] = True
    Image.fromarray((true * 127).astype(np.uint8)).save(tmp_path / "m.jpg", quality=60)
    Image.fromarray((true * 31).astype(np.uint8)).save(tmp_path / "m.png")
    assert (read_mask(tmp_path / "m.jpg") ^ true).mean() < 0.01
    assert np.array_equal(read_mask(tmp_path / "m.png"), true)


@pytest.mark.realdata
def test_the_patches_named_boundaries_mark_spots_and_are_crops_of_the_inclusion_micrographs(real_data: Path) -> None:
    from skimage.feature import match_template

    from sorby.measure.boundary_scores import label_geometry

    labels = sorted((real_data / "mlography" / "boundaries" / "labels").iterdir())[::8]
    assert label_geometry([read_mask(path) for path in labels]).marks == "regions"
    for number in (10, 30):
        patch, whole = (
            np.asarray(Image.open(real_data / "mlography" / kind / "images" / f"{number}.jpg").convert("L").reduce(2))
            for kind in ("boundaries", "inclusions")
        )
        # The crop may sit at an odd pixel of the reduced micrograph.
        assert match_template(whole.astype(float), patch.astype(float)).max() > 0.9


def test_measure_grains_takes_a_bundle_of_lines_and_refuses_one_of_spots(taught: Segmenter, tmp_path: Path) -> None:
    truth = render_grains(8.0, 950, size_px=256, pixel_size_um=0.8)
    Image.fromarray(truth.pixels).save(tmp_path / "etched.png")
    save(taught, tmp_path / "lines.sorby")
    found = measure_grains([tmp_path / "etched.png"], pixel_size_um=0.8, boundaries=tmp_path / "lines.sorby")
    assert found["images"][0]["boundaries"].startswith("segmenter")
    # Seconds of teaching on eight patches are no trained segmenter: within one grain size number.
    assert found["images"][0]["planimetric"]["g"] == pytest.approx(truth.grain_size_g, abs=1.0)
    save(Segmenter(SmallUNet(), "regions", 12.0), tmp_path / "spots.sorby")
    with pytest.raises(InputError, match="no grain size follows"):
        measure_grains([tmp_path / "etched.png"], pixel_size_um=0.8, boundaries=tmp_path / "spots.sorby")
