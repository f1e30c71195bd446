"""A detector from good images to verdicts, and every way in which its input can be wrong."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from sorby.anomaly.recipe import AnomalyRecipe
from sorby.anomaly.recipe import load as load_recipe
from sorby.errors import BundleError, InputError
from sorby.workflow import anomaly

SMALL = {
    "image.height": 64,
    "image.width": 64,
    "features.count": 12,
    "grid.stride": 8,
    "threshold.false_alarm_rate": 0.1,
}


def texture(rng: np.random.Generator, size: int = 64) -> np.ndarray[Any, np.dtype[np.uint8]]:
    grain = rng.normal(0, 12, (size, size)).cumsum(1)
    grain -= grain.mean(1, keepdims=True)
    return np.clip(128 + 0.3 * grain + rng.normal(0, 6, (size, size)), 0, 255).astype(np.uint8)


def write_goods(folder: Path, n: int, seed: int, size: int = 64, name: str = "good") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for k in range(n):
        Image.fromarray(texture(rng, size)).save(folder / f"{name}{k:02d}.png")
    return folder


def write_bads(folder: Path, n: int, seed: int) -> tuple[Path, Path]:
    """Images with a white square each, and their masks."""
    rng = np.random.default_rng(seed)
    bad, masks = folder / "bad", folder / "masks"
    for each in (bad, masks):
        each.mkdir(parents=True, exist_ok=True)
    for k in range(n):
        pixels, mask = texture(rng), np.zeros((64, 64), np.uint8)
        y, x = rng.integers(8, 44, 2)
        pixels[y : y + 12, x : x + 12] = 250
        mask[y : y + 12, x : x + 12] = 255
        Image.fromarray(pixels).save(bad / f"bad{k:02d}.png")
        Image.fromarray(mask).save(masks / f"bad{k:02d}.png")
    return bad, masks


def recipe(**settings: Any) -> AnomalyRecipe:
    return load_recipe(None, {**SMALL, **{key.replace("__", "."): value for key, value in settings.items()}})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("anomaly")
    write_goods(folder / "good", 40, seed=0)
    write_goods(folder / "fresh", 20, seed=1, name="fresh")
    write_bads(folder, 10, seed=2)
    return folder


@pytest.fixture(scope="module")
def fitted(place: Path) -> dict[str, Any]:
    return anomaly.fit(place / "good", place / "fitted.sorby", recipe=recipe())


def test_a_fit_says_what_it_remembers_and_what_it_promises(fitted: dict[str, Any]) -> None:
    assert (fitted["n_images"], fitted["n_calibration"]) == (30, 10)
    assert fitted["calibration"]["rule"] == "split"
    assert "in the long run" in fitted["calibration"]["guarantee"]
    assert fitted["tiles_per_s"] > 0
    assert fitted["quarantined"] == []


def test_scores_and_findings_lie_where_the_defects_are(place: Path, fitted: dict[str, Any]) -> None:
    result = anomaly.score(
        fitted["bundle"], [place / "bad", place / "fresh"], place / "scores", pixel_size_um=2.0, maps=True
    )
    with (place / "scores" / "scores.csv").open() as file:
        scores = {Path(row["image"]).stem: row for row in csv.DictReader(file)}
    assert list(next(iter(scores.values())))[:4] == ["image", "score", "threshold", "anomalous"]
    assert all(scores[f"bad{k:02d}"]["anomalous"] == "true" for k in range(10))
    assert sum(row["anomalous"] == "true" for name, row in scores.items() if name.startswith("fresh")) <= 6
    with (place / "scores" / "findings.csv").open() as file:
        findings = list(csv.DictReader(file))
    assert list(findings[0])[:8] == ["image", "x", "y", "w", "h", "label", "score", "area_um2"]
    for k in range(10):
        rows, columns = np.nonzero(np.array(Image.open(place / "masks" / f"bad{k:02d}.png")))
        best = max((f for f in findings if f"bad{k:02d}" in f["image"]), key=lambda f: float(f["score"]))
        middle = float(best["y"]) + float(best["h"]) / 2, float(best["x"]) + float(best["w"]) / 2
        # One cell of the coarsest features; regions near the border end at it, which moves their middle.
        assert abs(middle[0] - rows.mean()) < 16
        assert abs(middle[1] - columns.mean()) < 16
        assert float(best["area_um2"]) == pytest.approx(float(best["area_px"]) * 4, rel=1e-3)
    assert result["n"] == 30
    assert len(list((place / "scores" / "maps").glob("*.png"))) == 30
    with pytest.raises(InputError, match="exists"):
        anomaly.score(fitted["bundle"], [place / "bad"], place / "scores")


def test_an_evaluation_gives_every_figure_its_interval_and_its_n(place: Path, fitted: dict[str, Any]) -> None:
    result = anomaly.evaluate(
        fitted["bundle"], place / "fresh", place / "bad", place / "masks", out=place / "evaluation"
    )
    assert result["image_auroc"]["value"] == 1.0
    assert "no spread" in result["image_auroc"]["note"]  # every resample is perfect as well
    for name in ("pixel_auroc", "pro_auc"):
        low, high = result[name]["ci95"]
        assert 0 <= low <= result[name]["value"] <= high <= 1
        assert result[name]["n"] == 30
    assert result["pixel_auroc"]["value"] > 0.95
    assert result["at_threshold"]["detection_rate"]["value"] == 1.0
    assert result["tiles_per_s"] > 0
    assert json.loads((place / "evaluation" / "evaluation.json").read_text())["threshold"] == fitted["threshold"]
    seen = anomaly.evaluate(fitted["bundle"], place / "good", place / "bad")
    assert any("used in fitting" in line for line in seen["warnings"])
    assert seen["pro_auc"] is None


def test_a_loaded_bundle_scores_as_the_fitted_detector_did(place: Path, fitted: dict[str, Any]) -> None:
    first = anomaly.open_detector(fitted["bundle"])
    detector = first.detector
    paths = sorted((place / "fresh").iterdir())[:4]
    stored = [found.score for _, found in detector.score(paths)]  # type: ignore[union-attr]
    detector.changed()  # made again from the memory instead of the stored graph
    again = [found.score for _, found in detector.score(paths)]  # type: ignore[union-attr]
    np.testing.assert_allclose(stored, again, rtol=1e-3)
    assert {image.role for image in first.images} == {"good", "calibration"}


@pytest.mark.parametrize("kind", ["position", "pooled", "nearest"])
def test_adding_and_removing_images_ends_where_a_fit_of_the_rest_does(tmp_path: Path, kind: str) -> None:
    goods = write_goods(tmp_path / "good", 24, seed=5)
    extra = write_goods(tmp_path / "extra", 4, seed=6, name="extra")
    chosen = recipe(density__kind=kind, threshold__rule="leave-one-out", density__patches=200)
    whole = tmp_path / "all"
    shutil.copytree(goods, whole)
    for path in extra.iterdir():
        shutil.copy(path, whole)
    plain = anomaly.fit(goods, tmp_path / "plain.sorby", recipe=chosen)
    anomaly.fit(whole, tmp_path / "all.sorby", recipe=chosen)
    removed = anomaly.update(tmp_path / "all.sorby", remove=extra, out=tmp_path / "removed.sorby")
    assert (removed["removed"], removed["n_images"]) == (4, 24)
    added = anomaly.update(tmp_path / "plain.sorby", add=extra, out=tmp_path / "added.sorby")
    assert (added["added"], added["n_images"]) == (4, 28)
    again = anomaly.update(tmp_path / "added.sorby", add=extra)
    assert again["added"] == 0
    assert any("known already" in line for line in again["warnings"])
    if kind == "nearest":  # a coreset depends on the order in which patches were seen
        assert removed["threshold"] == pytest.approx(plain["threshold"], rel=0.2)
    else:
        assert removed["threshold"] == pytest.approx(plain["threshold"], rel=0.01)


def test_calibration_images_that_are_gone_stop_an_update_unless_found_elsewhere(tmp_path: Path) -> None:
    goods = write_goods(tmp_path / "good", 40, seed=7)
    anomaly.fit(goods, tmp_path / "d.sorby", recipe=recipe())
    extra = write_goods(tmp_path / "extra", 2, seed=8, name="extra")
    goods.rename(tmp_path / "moved")
    before = (tmp_path / "d.sorby").read_bytes()
    with pytest.raises(InputError, match="not there any more"):
        anomaly.update(tmp_path / "d.sorby", add=extra)
    assert (tmp_path / "d.sorby").read_bytes() == before
    assert anomaly.update(tmp_path / "d.sorby", add=extra, images=[tmp_path / "moved"])["added"] == 2
    with pytest.raises(InputError, match="does not know"):
        anomaly.update(tmp_path / "d.sorby", remove=write_goods(tmp_path / "strange", 1, seed=99))
    with pytest.raises(InputError, match="nothing to add"):
        anomaly.update(tmp_path / "d.sorby")


def test_no_good_image_one_and_too_few_each_get_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no good images"):
        anomaly.fit(tmp_path / "empty", tmp_path / "a.sorby", recipe=recipe())
    one = write_goods(tmp_path / "one", 1, seed=0)
    with pytest.raises(InputError, match="one good image cannot say"):
        anomaly.fit(one, tmp_path / "a.sorby", recipe=recipe())
    few = write_goods(tmp_path / "few", 6, seed=0)
    with pytest.raises(InputError, match=r"6 good images cannot hold a false-alarm rate of 0\.1: 9 are needed"):
        anomaly.fit(few, tmp_path / "a.sorby", recipe=recipe())
    assert not (tmp_path / "a.sorby").exists()


def test_leave_one_out_takes_over_where_a_split_would_not_suffice(tmp_path: Path) -> None:
    goods = write_goods(tmp_path / "good", 12, seed=3)
    result = anomaly.fit(goods, tmp_path / "a.sorby", recipe=recipe())
    assert (result["calibration"]["rule"], result["n_images"], result["n_calibration"]) == ("leave-one-out", 12, 0)
    assert "none proven" in result["calibration"]["guarantee"]
    assert any("rank-deficient" in line for line in result["warnings"])


def test_good_images_of_different_sizes_are_resized_and_said(tmp_path: Path) -> None:
    goods = write_goods(tmp_path / "good", 12, seed=3)
    write_goods(goods, 2, seed=4, size=96, name="large")
    result = anomaly.fit(goods, tmp_path / "a.sorby", recipe=recipe())
    assert any("differ in size" in line for line in result["warnings"])


def test_a_damaged_good_image_is_set_aside_and_the_rest_fitted(tmp_path: Path) -> None:
    goods = write_goods(tmp_path / "good", 40, seed=3)
    (goods / "broken.png").write_bytes(b"not a picture")
    result = anomaly.fit(goods, tmp_path / "a.sorby", recipe=recipe())
    assert [Path(entry["file"]).name for entry in result["quarantined"]] == ["broken.png"]
    assert result["n_images"] + result["n_calibration"] == 40


def test_masks_of_another_size_are_set_aside_and_any_value_above_zero_is_defect(
    place: Path, fitted: dict[str, Any], tmp_path: Path
) -> None:
    masks = tmp_path / "masks"
    shutil.copytree(place / "masks", masks)
    Image.fromarray(np.full((32, 32), 255, np.uint8)).save(masks / "bad00.png")
    low = np.array(Image.open(masks / "bad01.png")) // 255
    Image.fromarray(low.astype(np.uint8)).save(masks / "bad01.png")  # 0 and 1, as many label tools write
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(masks / "bad02.png")
    result = anomaly.evaluate(fitted["bundle"], place / "fresh", place / "bad", masks)
    reasons = {Path(entry["file"]).name: entry["reason"] for entry in result["quarantined"]}
    assert set(reasons) == {"bad00.png", "bad02.png"}
    assert "32 x 32 px for an image of 64 x 64" in reasons["bad00.png"]
    assert "marks no pixel" in reasons["bad02.png"]
    assert result["n_bad"] == 8


def test_the_threshold_of_best_f1_needs_labels_and_says_that_it_saw_them(place: Path, tmp_path: Path) -> None:
    chosen = recipe(threshold__rule="f1")
    with pytest.raises(InputError, match="belong together"):
        anomaly.fit(place / "good", tmp_path / "a.sorby", recipe=chosen)
    with pytest.raises(InputError, match="needs masks"):
        anomaly.fit(place / "good", tmp_path / "a.sorby", recipe=chosen, bad=place / "bad")
    result = anomaly.fit(place / "good", tmp_path / "a.sorby", recipe=chosen, bad=place / "bad", masks=place / "masks")
    assert "optimistic" in result["calibration"]["guarantee"]
    assert result["calibration"]["false_alarm_rate"] is None


def test_specimens_stay_whole_between_memory_and_calibration(tmp_path: Path) -> None:
    goods = tmp_path / "good"
    for specimen in range(10):
        write_goods(goods, 4, seed=specimen, name=f"s{specimen}_")
    chosen = recipe(threshold__false_alarm_rate=0.2)
    anomaly.fit(goods, tmp_path / "a.sorby", recipe=chosen, specimen_pattern=r"(s\d+)_")
    images = anomaly.open_detector(tmp_path / "a.sorby").images
    roles: dict[str, set[str]] = {}
    for image in images:
        roles.setdefault(image.specimen, set()).add(image.role)
    assert len(roles) == 10
    assert all(len(each) == 1 for each in roles.values())
    with pytest.raises(InputError, match="has no group"):
        anomaly.fit(goods, tmp_path / "b.sorby", recipe=chosen, specimen_pattern=r"s\d+_")
    with pytest.raises(InputError, match="does not fit"):
        anomaly.fit(goods, tmp_path / "b.sorby", recipe=chosen, specimen_pattern=r"(tile\d+)_")


def test_a_web_is_scored_in_tiles_that_overlap_by_their_margins(tmp_path: Path) -> None:
    goods = write_goods(tmp_path / "good", 3, seed=3, size=256)
    web = recipe(
        density__kind="pooled", views__kind="tiles", views__tile_px=128, views__margin_px=32,
        image__height=128, image__width=128, threshold__unit="view", grid__stride=4, features__kind="all",
    )  # fmt: skip
    result = anomaly.fit(goods, tmp_path / "web.sorby", recipe=web)
    assert result["views"] % 16 == 0  # 256 px are four inner tiles of 64 px in each direction
    sheet = texture(np.random.default_rng(9), 256)
    sheet[100:106, 150:156] = 255
    Image.fromarray(sheet).save(tmp_path / "sheet.png")
    anomaly.score(tmp_path / "web.sorby", [tmp_path / "sheet.png"], tmp_path / "out")
    with (tmp_path / "out" / "findings.csv").open() as file:
        best = next(csv.DictReader(file))
    # Half a cell of the coarsest features, 16 px.
    assert abs(float(best["y"]) + float(best["h"]) / 2 - 103) < 8
    assert abs(float(best["x"]) + float(best["w"]) / 2 - 153) < 8


def test_strips_give_the_map_of_the_whole_wherever_they_are_cut(tmp_path: Path) -> None:
    goods = write_goods(tmp_path / "good", 3, seed=3, size=256)
    web = recipe(
        density__kind="pooled", views__kind="tiles", views__tile_px=128, views__margin_px=32,
        image__height=128, image__width=128, threshold__unit="view", grid__stride=4,
    )  # fmt: skip
    anomaly.fit(goods, tmp_path / "web.sorby", recipe=web)
    detector = anomaly.open_detector(tmp_path / "web.sorby").detector
    # Rows of 1500 px are cut into three panels.
    strip = np.tile(texture(np.random.default_rng(4), 256), (1, 6))[:, :1504].copy()
    strip[120:126, 740:746] = 255  # beside the seam of two panels
    scorer = detector.strip_scorer(1500, rows=256, precision="fp32")
    assert (scorer.width, scorer.margin_px, scorer.stride) == (1504, 32, 4)
    scorer.start(0, strip)
    cut = scorer.finish(0)
    import torch

    from sorby.anomaly.smoothing import smooth_grid

    with torch.inference_mode():
        whole = detector.graph()(torch.from_numpy(strip[None, :, :, None])).numpy()
    whole = smooth_grid(whole, detector.sigma_cells)[0]
    inner = slice(8, -8)  # without the margins of 32 px
    difference = np.abs(cut[inner, inner] - whole[inner, inner]) / whole[inner, inner]
    # Features beyond the margin still lean on padding a little, near the two seams only.
    assert np.median(difference) < 1e-3
    assert np.quantile(difference, 0.99) < 0.2
    assert np.unravel_index(cut.argmax(), cut.shape) == np.unravel_index(whole.argmax(), whole.shape)
    with pytest.raises(ValueError, match="a strip of"):
        scorer.start(0, strip[:128])


def test_a_position_wise_detector_refuses_a_web(fitted: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="knows places"):
        anomaly.open_detector(fitted["bundle"]).detector.strip_scorer(640)


def test_a_bundle_of_another_kind_or_a_damaged_one_is_refused(fitted: dict[str, Any], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.sorby"
    data = bytearray(Path(fitted["bundle"]).read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(bytes(data))
    with pytest.raises(BundleError):
        anomaly.open_detector(damaged)


def test_any_bundle_opens_by_its_kind_and_a_wrong_command_names_the_right_one(
    fitted: dict[str, Any], place: Path, tmp_path: Path
) -> None:
    import sorby

    assert sorby.load(fitted["bundle"]).threshold.value == pytest.approx(fitted["threshold"])
    with pytest.raises(BundleError, match="not a classifier") as refused:
        sorby.inspect(fitted["bundle"], [place / "fresh"], tmp_path / "out")
    assert "sorby anomaly score" in refused.value.hint


def test_images_deeper_than_the_good_ones_are_scored_with_a_warning(
    fitted: dict[str, Any], place: Path, tmp_path: Path
) -> None:
    pixels = np.array(Image.open(place / "fresh" / "fresh00.png"))
    tifffile.imwrite(tmp_path / "deep.tif", pixels.astype(np.uint16) * 200)
    deep = anomaly.score(fitted["bundle"], [tmp_path / "deep.tif"], tmp_path / "deep")
    assert any("another depth than the good ones (uint8)" in line for line in deep["warnings"])
    same = anomaly.score(fitted["bundle"], [place / "fresh"], tmp_path / "same")
    assert not any("depth" in line for line in same["warnings"])
