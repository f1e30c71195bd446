"""Protocols of the membrane study: who learns, who is tested, and what a run may not know."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sorby.anomaly.gaussian_sums import GaussianSums
from sorby.anomaly.mahalanobis_maps import PositionGaussians
from sorby.anomaly.recipe import load
from sorby.errors import InputError
from sorby.phantom.membrane import write_membrane
from sorby.phantom.membrane.published import pinhole_sheets
from sorby.workflow.anomaly.baseline_uniformity import uniformity
from sorby.workflow.anomaly.place_distances import distances_from, distances_once, place_rows
from sorby.workflow.anomaly.pretreatment import hidden_defects, treatment
from sorby.workflow.anomaly.protocol_figures import measure, summary
from sorby.workflow.anomaly.protocol_models import detectors
from sorby.workflow.anomaly.protocol_splits import by_sheet, halved, with_negatives, without_held_out
from sorby.workflow.anomaly.protocols import ProtocolSettings, run_protocol
from sorby.workflow.anomaly.sheets import ScannedSheet, read_sheets
from sorby.workflow.anomaly.sub_images import SubImages, cut

SMALL = {"image.height": 64, "image.width": 64}
TILES = {**SMALL, "views.tile_px": 64}
QUICK = ProtocolSettings(features=(20,), repeats=2, held_out=2, timings=1, resamples=20)


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The eight published sheets at a tenth of their size."""
    place = tmp_path_factory.mktemp("sheets") / "membrane"
    write_membrane(place, scale=0.1)
    return place


@pytest.fixture(scope="module")
def scratched(sheets: Path) -> SubImages:
    return cut(read_sheets(sheets).of("scratches"), load("membrane-scratches", SMALL))


@pytest.fixture(scope="module")
def pricked(sheets: Path) -> SubImages:
    return cut(read_sheets(sheets).of("pinholes"), load("membrane-pinholes", TILES))


# -- who learns and who is tested --------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "each"), [("scratches", 18), ("scratches-c3", 162), ("scratches-c5", 450)])
def test_a_sheet_has_18_162_or_450_sub_images(sheets, name, each):
    subs = cut(
        read_sheets(sheets).of("scratches")[:1], load(f"membrane-{name}", {"image.height": 16, "image.width": 16})
    )
    assert len(subs) == each
    assert len(set(subs.groups)) == 18  # whatever the grid, the cells that hold one defect each


def test_published_pinhole_sheets_hold_3924_tiles_and_4181_with_the_border():
    shapes = [sheet.shape for sheet in pinhole_sheets()]
    assert sum((h // 224) * (w // 224) for h, w in shapes) == 3924
    assert sum(len(load("membrane-pinholes").views.boxes(h, w)) for h, w in shapes) == 4181


def test_at_c_1_eighteen_are_learnt_and_the_other_eighteen_count_twice(scratched):
    good, bad = np.flatnonzero(~scratched.of_defective_sheet), np.flatnonzero(scratched.bad)
    assert (len(good), len(bad)) == (36, 36)
    split = halved(good, bad, 0, seed=0)
    tested_good = split.test[~scratched.bad[split.test]]
    assert (len(split.train), len(tested_good)) == (18, 18)
    assert not set(split.train) & set(split.test)
    assert set(split.weights[scratched.bad[split.test]]) == {1.0}
    assert set(split.weights[~scratched.bad[split.test]]) == {2.0}


def test_runs_differ_and_repeat(scratched):
    good, bad = np.arange(36), np.arange(36, 72)
    first, again, other = (halved(good, bad, run, seed=3).train for run in (0, 0, 1))
    assert first.tolist() == again.tolist() != other.tolist()


def test_finer_grids_learn_baseline_sheets_and_test_defective_ones(sheets):
    subs = cut(read_sheets(sheets).of("scratches"), load("membrane-scratches-c3", {**SMALL, "image.height": 16}))
    split = by_sheet(subs.of_defective_sheet, subs.bad)
    assert (len(split.train), len(split.test)) == (324, 324)
    assert not subs.of_defective_sheet[split.train].any()


def test_36_negatives_are_drawn_and_the_rest_is_learnt():
    split = with_negatives(np.arange(3885), np.arange(3885, 3924), 0, seed=0)
    assert (len(split.train), len(split.test)) == (3849, 75)


def test_both_halves_of_a_hole_are_held_out_unless_the_published_way_is_asked_for():
    split = with_negatives(np.arange(100), np.arange(100, 104), 0, seed=0)
    groups = [f"tile {k}" for k in range(100)] + ["hole 1", "hole 1", "hole 2", "hole 3"]
    fair = without_held_out(split, 100, groups)
    published = without_held_out(split, 100, groups, same_defect=False)
    assert (fair.weights == 0).sum() == 2
    assert (published.weights == 0).sum() == 1


def test_tiles_that_share_a_hole_share_its_group(tmp_path):
    pixels = np.full((128, 192), 90, np.uint8)
    mask = np.zeros_like(pixels)
    mask[30:34, 62:66] = 255  # across the border of the first two tiles
    mask[100, 150] = 255
    for folder, content in (("sheets", pixels), ("masks", mask)):
        (tmp_path / folder).mkdir()
        Image.fromarray(content).save(tmp_path / folder / "a.png")
    (tmp_path / "labels.csv").write_text("path,label,mask,set\nsheets/a.png,defect,masks/a.png,pinholes\n")
    subs = cut(read_sheets(tmp_path).sheets, load("membrane-pinholes", TILES))
    assert subs.bad.tolist() == [True, True, False, False, False, True]
    assert subs.groups[0] == subs.groups[1]
    assert len({subs.groups[0], subs.groups[5], *subs.groups[2:5]}) == 5


# -- figures -----------------------------------------------------------------------------------------------


def _maps(rng: np.random.Generator, n: int = 12):
    maps = [rng.normal(size=(24, 24)).astype(np.float32) for _ in range(n)]
    masks = [None] * n
    for k in range(n // 2):
        masks[k] = np.zeros((24, 24), bool)
        masks[k][5 : 5 + k + 2, 8:12] = True
        maps[k][masks[k]] += 2
    return maps, masks


def test_weight_two_is_a_duplicate_in_every_figure(rng):
    maps, masks = _maps(rng)
    weights = np.array([1.0] * 6 + [2.0] * 6)
    once = measure(maps, masks, weights, 0.3)
    twice = measure(maps + maps[6:], masks + masks[6:], np.ones(18), 0.3)
    for key in ("image_auroc", "pixel_auroc", "pro_auc", "threshold", "pixel_f1", "threshold_pro_by_region"):
        assert once[key] == pytest.approx(twice[key], abs=1e-12)


def test_duplicating_good_images_moves_the_threshold_but_no_area(rng):
    maps, masks = _maps(rng)
    plain = measure(maps, masks, np.ones(12), 0.3)
    doubled = measure(maps, masks, np.array([1.0] * 6 + [2.0] * 6), 0.3)
    assert doubled["image_auroc"] == plain["image_auroc"]
    assert doubled["threshold"] > plain["threshold"]  # rarer defects are called later


def test_weight_zero_leaves_no_trace(rng):
    maps, masks = _maps(rng)
    weights = np.ones(12)
    weights[2] = 0
    before = measure(maps, masks, weights, 0.3)
    maps[2] = maps[2] * 100
    assert measure(maps, masks, weights, 0.3) == before


def test_means_are_printed_as_in_the_paper_scores_down_margins_up():
    found = summary([0.899, 0.919], "pro_auc")  # mean .909, t(.975, 1) = 12.7 times .01
    assert found["printed"] == "0.90 ± 0.13"
    assert summary([1.085, 1.085], "total_s")["printed"] == "1.09 ± 0.00"
    assert summary([0.829], "pro_auc")["printed"] == "0.82"


# -- models ------------------------------------------------------------------------------------------------


def _levels(n: int, seed: int, channels=(24, 40, 112), size: int = 16):
    made = torch.Generator().manual_seed(seed)
    return [torch.randn(n, c, size >> k, size >> k, generator=made) for k, c in enumerate(channels)]


def test_distances_of_a_single_use_equal_those_of_the_deployed_graph():
    detector = detectors(load("membrane-scratches", SMALL), (30,))[0]
    embedding = detector.embedding
    train, test = embedding.levels(_levels(25, 1)), embedding.levels(_levels(4, 2))
    rows = place_rows(embedding.assemble(train))
    sums = GaussianSums.about(rows)
    sums.add(rows)
    with torch.inference_mode():
        graph = PositionGaussians(embedding, sums, (16, 16), 0.01)(test)
        once = distances_once(embedding, train, test, 0.01)
        stored = distances_from(embedding, sums, test, 0.01)
    # Float32 against covariances with .01 on the diagonal: three to four digits.
    assert torch.allclose(once, graph, rtol=2e-3)
    assert torch.allclose(stored, graph, rtol=2e-3)


def test_taking_negatives_out_of_the_sums_equals_learning_the_rest():
    detector = detectors(load("membrane-pinholes", TILES), (30,))[0]
    embedding = detector.embedding
    every, test = embedding.levels(_levels(60, 3)), embedding.levels(_levels(3, 4))
    rows = place_rows(embedding.assemble(every))
    sums = GaussianSums.about(rows)
    sums.add(rows)
    with torch.inference_mode():
        without = distances_from(embedding, sums.without(rows[:, 50:]), test, 0.01)
        rest = distances_once(embedding, [level[:50] for level in every], test, 0.01)
    assert torch.allclose(without, rest, rtol=2e-3)


def test_numbers_of_features_share_one_backbone_and_one_random_choice():
    small, again, everything = detectors(load("membrane-scratches", SMALL), (20, 20, None))
    assert small.backbone is everything.backbone
    assert everything.embedding.length == 176  # lite0, stages 1 to 3: 24 + 40 + 112
    for name, buffer in small.embedding.named_buffers():
        assert torch.equal(buffer, dict(again.embedding.named_buffers())[name])


# -- protocols ---------------------------------------------------------------------------------------------


def test_both_procedures_run_on_scratches_and_say_what_they_are(scratched):
    result = run_protocol(scratched, load("membrane-scratches", SMALL), QUICK, device="cpu")
    arm = result.arms[0]
    assert result.name == "scratches, c = 1"
    assert (len(arm.standard), len(arm.inner), len(arm.outer), len(arm.timing)) == (2, 2, 2, 1)
    assert all(0 <= each.pro <= 1 and scratched.bad[each.row] for each in arm.outer)
    inference, total = arm.timing[0]
    assert 0 < inference < total
    assert arm.standard[0]["image_auroc"] > 0.6  # defects are calibrated to be found by most detectors


def test_the_image_held_out_changes_neither_model_nor_threshold(scratched):
    recipe = load("membrane-scratches", SMALL)
    plain = run_protocol(scratched, recipe, QUICK, device="cpu").arms[0]
    row = plain.outer[0].row
    pixels = scratched.pixels.copy()
    pixels[row] = 255 - pixels[row]
    other = SubImages(pixels, scratched.masks, scratched.boxes, scratched.sheet, scratched.groups, scratched.sheets)
    changed = run_protocol(other, recipe, QUICK, device="cpu").arms[0]
    assert changed.inner[0] == plain.inner[0]
    assert changed.outer[0].threshold == plain.outer[0].threshold
    assert not np.array_equal(changed.outer[0].map, plain.outer[0].map)


@pytest.mark.parametrize("kind", ["position", "pooled", "nearest"])
def test_pinholes_are_found_by_any_density(pricked, kind):
    changes = {**TILES, "density.kind": kind, "density.patches": 200, "density.capacity": 20_000}
    settings = ProtocolSettings(features=(20,), repeats=1, held_out=0, timings=0, resamples=2)
    result = run_protocol(pricked, load("membrane-pinholes", changes), settings, device="cpu")
    assert result.arms[0].standard[0]["image_auroc"] > 0.6
    assert not result.arms[0].outer


def test_a_grid_that_is_none_of_the_protocols_is_refused(scratched):
    with pytest.raises(InputError, match="6c x 3c"):
        run_protocol(scratched, load("membrane-scratches", {**SMALL, "views.rows": 7}), QUICK)


# -- sheets ------------------------------------------------------------------------------------------------


def test_a_defective_sheet_needs_a_mask(tmp_path):
    Image.fromarray(np.full((128, 128), 90, np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("path,label\na.png,defect\n")
    with pytest.raises(InputError, match="has no mask"):
        read_sheets(tmp_path)


def test_sheets_without_baselines_cannot_be_run_on_a_grid(sheets):
    found = [sheet for sheet in read_sheets(sheets).of("scratches") if sheet.defective]
    recipe = load("membrane-scratches", SMALL)
    with pytest.raises(InputError, match="cannot be split"):
        run_protocol(cut(found, recipe), recipe, QUICK)


# -- the baseline, and what treatment does to it -----------------------------------------------------------


def _flat(n: int, rng: np.random.Generator) -> SubImages:
    pixels = np.clip(rng.normal(90, 4, (n, 64, 64, 1)), 0, 255).astype(np.uint8)
    sheet = ScannedSheet("flat", Path("flat.png"), None, True, "", False)
    return SubImages(pixels, [None] * n, np.zeros((n, 4), int), np.zeros(n, int), [str(k) for k in range(n)], (sheet,))


def test_bright_spots_of_the_baseline_are_counted(rng):
    subs = _flat(4, rng)
    before = uniformity(subs)
    for k in range(7):
        subs.pixels[0, 4 + 8 * k : 6 + 8 * k, 10:12] = 220
    after = uniformity(subs)
    assert before["spots"] == [0, 0, 0, 0]
    assert after["spots"] == [7, 0, 0, 0]
    assert after["spots_per_mpx"] == pytest.approx(7 / (4 * 64 * 64) * 1e6)


def test_smoothing_hides_a_defect_of_one_pixel_but_not_a_wide_one(rng):
    subs = _flat(2, rng)
    masks = [np.zeros((64, 64), bool) for _ in range(2)]
    masks[0][30, 30] = True
    masks[1][20:40, 20:40] = True
    for k, mask in enumerate(masks):
        subs.pixels[k][mask] = 150
    plain = SubImages(subs.pixels, masks, subs.boxes, subs.sheet, subs.groups, subs.sheets)
    smooth = treatment("smooth")
    assert smooth is not None
    treated = SubImages(
        np.stack([smooth(image[..., 0])[..., None] for image in subs.pixels]),
        masks,
        subs.boxes,
        subs.sheet,
        subs.groups,
        subs.sheets,
    )
    found = hidden_defects(plain, treated)
    assert found["n"] == 2
    assert found["hidden"] == 1


def test_contrast_does_not_depend_on_gain(rng):
    image = np.clip(rng.normal(60, 6, (300, 300)), 0, 255).astype(np.uint8)
    raise_contrast = treatment("contrast")
    assert raise_contrast is not None
    one, two = raise_contrast(image), raise_contrast((2 * image.astype(int)).astype(np.uint8))
    assert np.abs(one.astype(int) - two.astype(int)).max() <= 1
