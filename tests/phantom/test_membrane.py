"""Membrane phantoms: what is rendered is what the truth says, however it is asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import label

from sorby.errors import InputError
from sorby.files import sha256_file
from sorby.phantom.membrane import (
    DefectPlan,
    Sheet,
    SheetSpec,
    Web,
    WebSpec,
    boxes,
    membrane_sheets,
    pinhole_sheets,
    scratch_sheets,
    tile_labels,
    web_strips,
    write_membrane,
)
from sorby.phantom.membrane.surface import BAND

EIGHT = np.ones((3, 3), dtype=int)
#: Small enough to be quick, large enough for a scratch in each cell.
SCALE = 0.125


def plain(height: int = 300, width: int = 400, **options: object) -> SheetSpec:
    return SheetSpec(width_px=width, height_px=height, **options)  # type: ignore[arg-type]


# -- rows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [scratch_sheets, pinhole_sheets])
def test_strips_show_the_pixels_of_the_whole_sheet(make: type) -> None:
    for sheet in make(3, scale=SCALE)[1:3]:
        height = sheet.shape[0]
        whole, mask = sheet.rows(0, height), sheet.mask_rows(0, height)
        assert whole.dtype == np.uint8
        assert whole.shape == mask.shape == sheet.shape
        # Strips that begin and end within, at and across bands, asked of a sheet that has rendered nothing yet.
        fresh = make(3, scale=SCALE)[[each.name for each in make(3, scale=SCALE)].index(sheet.name)]
        edges = [0, 1, BAND - 1, BAND, 3 * BAND + 7, 5 * BAND, height]
        for first, last in reversed(list(pairwise(edges))):
            np.testing.assert_array_equal(fresh.rows(first, last), whole[first:last])
            np.testing.assert_array_equal(fresh.mask_rows(first, last), mask[first:last])


def test_a_seed_is_a_sheet_and_another_seed_another() -> None:
    first, again, other = (scratch_sheets(seed, scale=SCALE)[0].rows(0, 200) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.mean(first[:, : other.shape[1]] != other[:200, : first.shape[1]]) > 0.5


def test_bands_join_without_a_seam() -> None:
    rows = Sheet(plain(20 * BAND, 600, spot_rate=0.0)).rows(0, 20 * BAND).astype(np.float64)
    step = np.abs(np.diff(rows, axis=0)).mean(axis=1)
    at_seams = step[BAND - 1 :: BAND]
    # Means of 600 differences each: a seam of a grey level would lie many deviations off.
    assert abs(at_seams.mean() - step.mean()) < 4 * step.std() / np.sqrt(len(at_seams))


def test_rows_outside_the_sheet_are_refused() -> None:
    sheet = Sheet(plain())
    for first, last in ((-1, 5), (5, 5), (0, 301)):
        with pytest.raises(InputError):
            sheet.rows(first, last)


# -- the surface ---------------------------------------------------------------------------------------------


def test_grey_levels_lie_about_the_level_and_do_not_clip() -> None:
    pixels = Sheet(plain(1024, 1024, level=84.0, spot_rate=0.0)).rows(0, 1024)
    assert pixels.mean() == pytest.approx(84.0, abs=6.0)  # clouds and shading move the mean of so small a sheet
    assert 3.0 < pixels.std() < 10.0
    assert pixels.min() > 30
    assert pixels.max() < 150


def test_bright_spots_come_at_their_rate() -> None:
    bare = Sheet(plain(1024, 2048, spot_rate=0.0)).rows(0, 1024).astype(int)
    spotted = Sheet(plain(1024, 2048, spot_rate=200.0, spot_strength=60.0)).rows(0, 1024).astype(int)
    assert (spotted >= bare).all()  # spots only add light
    found = label(spotted - bare > 8, EIGHT)[1]
    # About 420 expected; clumping widens the Poisson deviation of 20 to about 60, and a few touch or are too dim.
    assert 200 < found < 600


# -- the published sets --------------------------------------------------------------------------------------


def test_the_scratch_set_has_24_scratches_and_12_scuffs_one_a_cell() -> None:
    sheets = {sheet.name: sheet for sheet in scratch_sheets(1, scale=SCALE)}
    truth = pd.concat([sheet.truth_table() for sheet in sheets.values()])
    counts = truth[truth["labelled"]].groupby(["sheet", "kind"]).size()
    assert counts.groupby("kind").sum().to_dict() == {"scratch": 24, "scuff": 12}
    assert {sheet.label for name, sheet in sheets.items() if "baseline" in name} == {"good"}
    assert [sheets[name].spec.membrane for name in ("baseline-1", "baseline-2")] == [True, False]
    for name in ("scratched-1", "scratched-2"):
        sheet = sheets[name]
        height, width = sheet.shape[0] // 6, sheet.shape[1] // 3
        assert (sheet.shape[0] % 6, sheet.shape[1] % 3) == (0, 0)
        mask = sheet.mask_rows(0, sheet.shape[0])
        marked = mask.reshape(6, height, 3, width).any(axis=(1, 3))
        assert marked.all()
        defects = truth[(truth["sheet"] == name) & truth["labelled"]]
        cells = {(d.y // height, d.x // width, (d.y + d.h - 1) // height, (d.x + d.w - 1) // width) for d in
                 defects.itertuples()}  # fmt: skip
        assert {cell[:2] for cell in cells} == {cell[2:] for cell in cells}
        assert len(cells) == 18


def test_full_size_is_as_published() -> None:
    cells = [(sheet.shape[0] / 6, sheet.shape[1] / 3) for sheet in scratch_sheets(0)]
    assert all(1359 <= height <= 1365 and 2041 <= width <= 2124 for height, width in cells)
    sheets = pinhole_sheets(0)
    assert sum((h // 224) * (w // 224) for h, w in (sheet.shape for sheet in sheets)) == 3924
    assert sum(-(-h // 224) * -(-w // 224) for h, w in (sheet.shape for sheet in sheets)) == 4181
    truth = [defect for sheet in sheets for defect in sheet.truth if defect.labelled]
    assert [defect.kind for defect in truth] == ["pinhole"] * 36
    # 36 pinholes fall on 39 tiles: three lie across a border.
    assert sum(int(tile_labels(sheet, 224).sum()) for sheet in sheets) == 39
    assert {bool(defect.rings) for defect in truth} == {True, False}
    assert {defect.form for defect in truth} == {"white", "rimmed"}


def test_the_smallest_pinhole_is_150_um_in_the_pixels() -> None:
    sheets = pinhole_sheets(4)
    smallest = min(
        ((sheet, defect) for sheet in sheets for defect in sheet.truth if defect.labelled),
        key=lambda pair: pair[1].length_um,
    )
    sheet, defect = smallest
    assert defect.length_um == 150.0
    # A disc of 150 um has 15.3 pixels; counted by their centres, a few more or less.
    assert defect.area_um2 == pytest.approx(np.pi / 4 * 150**2, rel=0.25)
    pixels = sheet.rows(defect.y, defect.y + defect.h)[:, defect.x : defect.x + defect.w].astype(float)
    bright = pixels > (pixels.max() + np.median(pixels)) / 2
    diameter_um = 2 * np.sqrt(bright.sum() / np.pi) * sheet.spec.pixel_size_um
    assert diameter_um == pytest.approx(150, abs=34)  # a pixel


@pytest.mark.parametrize("make", [scratch_sheets, pinhole_sheets])
def test_masks_boxes_and_truth_agree(make: type) -> None:
    for sheet in make(2, scale=SCALE):
        for unlabelled in (False, True):
            mask = sheet.mask_rows(0, sheet.shape[0], unlabelled=unlabelled)
            drawn = np.zeros_like(mask)
            for defect, patch in zip(sheet.truth, sheet.patches, strict=True):
                if not (defect.labelled or unlabelled) or not defect.area_px:
                    continue
                box = mask[defect.y : defect.y + defect.h, defect.x : defect.x + defect.w]
                rows, columns = patch.mask.shape
                drawn[patch.top : patch.top + rows, patch.left : patch.left + columns] |= patch.mask
                assert defect.area_px == patch.mask.sum() <= box.sum()
                assert box.any(axis=0)[[0, -1]].all()
                assert box.any(axis=1)[[0, -1]].all()
            np.testing.assert_array_equal(mask, drawn)
        labelled = [defect for defect in sheet.truth if defect.labelled]
        mask = sheet.mask_rows(0, sheet.shape[0])
        # Defects made on purpose do not touch, so areas and components add up.
        assert mask.sum() == sum(defect.area_px for defect in labelled)
        assert label(mask, EIGHT)[1] == sum(defect.components for defect in labelled)


def test_only_what_was_made_on_purpose_is_labelled() -> None:
    truth = pd.concat([sheet.truth_table() for sheet in membrane_sheets(scale=0.3)])
    by_kind = truth.groupby("kind")["labelled"].agg(["min", "max"])
    assert by_kind.loc[["scratch", "scuff", "pinhole"]].all(axis=None)
    assert not by_kind.loc[["debris", "fibre", "streak", "discoloration"]].any(axis=None)
    assert (truth["origin_unknown"] == ~truth["artificial"]).all()


def test_contrast_falls_with_difficulty_and_nothing_else_changes() -> None:
    easy, usual, hard = (scratch_sheets(8, difficulty, SCALE)[1] for difficulty in (0.5, 1.0, 2.0))
    pairs = [
        (a, b, c) for a, b, c in zip(easy.truth, usual.truth, hard.truth, strict=True) if a.labelled
    ]  # fmt: skip
    for a, b, c in pairs:
        assert a.contrast == pytest.approx(2 * b.contrast, rel=0.01)  # rounded to hundredths
        assert b.contrast > c.contrast
        assert (a.x, a.y, a.area_px) == (b.x, b.y, b.area_px) == (c.x, c.y, c.area_px)
    clear = ~usual.mask_rows(0, 200, unlabelled=True)
    far = (
        clear & ~np.roll(~clear, 12, 0) & ~np.roll(~clear, -12, 0) & ~np.roll(~clear, 12, 1) & ~np.roll(~clear, -12, 1)
    )
    same = usual.rows(0, 200) == hard.rows(0, 200)
    assert same[far].mean() > 0.97  # strokes of scuffs beyond their contour are not in the mask


# -- single defects ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "form", "length_um", "width_um"),
    [
        ("scratch", "", 5000.0, 200.0),
        ("scuff", "", 6000.0, 4000.0),
        ("pinhole", "white", 300.0, 300.0),
        ("pinhole", "rimmed", 400.0, 400.0),
        ("dent", "", 1500.0, 1000.0),
        ("debris", "", 350.0, 350.0),
        ("fibre", "", 3000.0, 70.0),
        ("streak", "", 6000.0, 90.0),
        ("discoloration", "", 6000.0, 4000.0),
    ],
)
def test_a_defect_shows_where_its_mask_is(kind: str, form: str, length_um: float, width_um: float) -> None:
    plan = DefectPlan(kind, 150.2, 200.7, length_um, width_um, contrast=60.0, angle_deg=30.0, form=form, seed=3)
    spec = plain(spot_rate=0.0)
    without, sheet = Sheet(spec), Sheet(replace(spec, defects=(plan,)))
    change = np.abs(sheet.rows(0, 300).astype(int) - without.rows(0, 300).astype(int))
    mask = sheet.mask_rows(0, 300, unlabelled=True)
    assert change[mask].mean() > 6 * change[~mask].mean()
    (defect,) = sheet.truth
    assert np.hypot(defect.row - 150.2, defect.column - 200.7) < 40
    assert defect.contrast > 5


def test_a_pinhole_is_white_or_dark_with_a_whiter_border() -> None:
    level = 84.0
    rings = {}
    for form in ("white", "rimmed"):
        for turns in (0, 4):
            plan = DefectPlan("pinhole", 150.0, 200.0, 420.0, 420.0, 100.0, form=form, rings=turns, seed=1)
            sheet = Sheet(plain(spot_rate=0.0, texture=0.0, clouds=0.0, shading=0.0, lines=0.0, defects=(plan,)))
            pixels = sheet.rows(0, 300).astype(float)
            border = pixels[150, 200 - 9 : 200 + 9].max()
            assert border > level + 50
            assert pixels[150, 200] > level + 50 if form == "white" else pixels[150, 200] < level - 15
            rings[form, turns] = np.abs(pixels[150, 212:225] - level).max()
    assert rings["white", 0] < 2 < rings["white", 4]
    assert rings["rimmed", 0] < 2 < rings["rimmed", 4]


def test_unknown_kinds_and_forms_are_refused() -> None:
    for plan in (DefectPlan("crack", 9, 9, 100, 100, 9), DefectPlan("pinhole", 9, 9, 100, 100, 9, form="blue")):
        with pytest.raises(InputError, match="unknown"):
            Sheet(plain(defects=(plan,))).rows(0, 20)


# -- the web -------------------------------------------------------------------------------------------------


def test_a_web_is_the_same_however_far_it_is_begun() -> None:
    spec = WebSpec(width_px=512, defects_per_m=60.0, repeat_period_mm=30.0, repeat_across_mm=8.0)
    strips = np.concatenate(list(islice(web_strips(spec, 4, rows=300), 12)))
    web = Web(spec, 4)
    np.testing.assert_array_equal(web.rows(2900, 3500), strips[2900:3500])
    assert strips.shape == (3600, 512)
    assert web.mask_rows(0, 3600).any()


def test_a_roller_dents_the_web_at_every_turn() -> None:
    spec = WebSpec(width_px=512, defects_per_m=0.0, dirt_per_m=0.0, repeat_period_mm=31.4, repeat_across_mm=9.0)
    repeats = [defect for defect in Web(spec, 1).truth(10_000) if defect.group == "repeat"]
    turns = (np.array([defect.row for defect in repeats]) - repeats[0].row) * spec.pixel_size_um / 1e3
    np.testing.assert_allclose(turns, 31.4 * np.arange(len(repeats)), atol=0.04)  # centres of masks: a pixel
    assert len(repeats) == 1 + int((10_000 * 0.034 - 20.0) // 31.4)
    assert {defect.kind for defect in repeats} == {"dent"}


def test_a_cluster_lies_where_it_is_wanted() -> None:
    spec = WebSpec(width_px=2048, defects_per_m=0.0, dirt_per_m=0.0, cluster_at_mm=150.0, cluster_across_mm=35.0)
    cluster = Web(spec, 2).truth_table(12_000)
    assert len(cluster) == 12
    assert cluster["row"].mean() * 0.034 == pytest.approx(150, abs=3 * 5 / np.sqrt(12))
    assert cluster["column"].mean() * 0.034 == pytest.approx(35, abs=3 * 5 / np.sqrt(12))


def test_webs_that_cannot_be_are_refused() -> None:
    for spec in (
        WebSpec(width_px=10),
        WebSpec(difficulty=0.0),
        WebSpec(defects_per_m=-1.0),
        WebSpec(repeat_period_mm=0.1),
    ):
        with pytest.raises(InputError):
            Web(spec)
    with pytest.raises(InputError):
        next(web_strips(WebSpec(), rows=0))


# -- on disk -------------------------------------------------------------------------------------------------


def test_a_set_on_disk_reads_back(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    table = write_membrane(
        tmp_path / "m", seed=6, scale=SCALE, tiles=64, max_good_tiles=20, progress=lambda *step: seen.append(step)
    )
    assert seen[-1] == (8, 8)
    sheets = {sheet.name: sheet for sheet in membrane_sheets(seed=6, scale=SCALE)}
    found = json.loads((tmp_path / "m" / "boxes.json").read_text(encoding="utf-8"))
    assert found == boxes(list(sheets.values()))
    assert len(found["annotations"]) == 24 + 12 + 36
    truth = pd.read_csv(tmp_path / "m" / "truth.csv")
    assert truth["labelled"].sum() == 24 + 12 + 36
    for row in pd.read_csv(tmp_path / "m" / "labels.csv").itertuples():
        sheet = sheets[row.specimen]
        pixels = np.asarray(Image.open(tmp_path / "m" / row.path))
        np.testing.assert_array_equal(pixels, sheet.rows(0, sheet.shape[0]))
        mask = np.asarray(Image.open(tmp_path / "m" / row.mask))
        assert set(np.unique(mask)) <= {0, 255}
        np.testing.assert_array_equal(mask > 0, sheet.mask_rows(0, sheet.shape[0]))
        assert row.label == ("defect" if mask.any() else "good") == sheet.label
    assert list(table["path"]) == [f"sheets/{name}.png" for name in sheets]
    bad = sorted(path.name for path in (tmp_path / "m" / "tiles" / "bad").iterdir())
    assert bad == sorted(path.name for path in (tmp_path / "m" / "tiles" / "masks").iterdir())
    assert len(bad) == sum(int(tile_labels(sheet, 64).sum()) for sheet in sheets.values())
    assert all(np.asarray(Image.open(tmp_path / "m" / "tiles" / "masks" / name)).any() for name in bad)
    assert len(list((tmp_path / "m" / "tiles" / "good").iterdir())) == 20


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_membrane(tmp_path / name, seed=2, set="scratches", n=1, scale=0.08)
    for path in sorted((tmp_path / "a").rglob("*.*")):
        assert sha256_file(path) == sha256_file(tmp_path / "b" / path.relative_to(tmp_path / "a"))


def test_any_number_of_sheets_can_be_had() -> None:
    names = [sheet.name for sheet in membrane_sheets("scratches", 6, scale=SCALE)]
    assert names == ["scratched-1", "baseline-1", "scratched-2", "baseline-2", "scratched-1-2", "baseline-1-2"]
    first, other = (s for s in membrane_sheets("pinholes", 5, scale=SCALE) if s.name.startswith("pinholes-1"))
    assert (first.rows(0, 50) != other.rows(0, 50)).mean() > 0.5


def test_requests_that_cannot_be_met_are_refused(tmp_path: Path) -> None:
    for options in ({"set": "cracks"}, {"n": 0}, {"scale": 0.01}, {"difficulty": 0.0}, {"scale": SCALE, "tiles": 5000}):
        with pytest.raises(InputError):
            write_membrane(tmp_path / "m", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "m").exists()
