"""The published crops: their counts, their boxes, and negatives that hold no pinhole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sorby.corpus import Corpus
from sorby.corpus.boxes import box_classes, corpus_boxes
from sorby.errors import InputError
from sorby.evidence.boxes import overlap
from sorby.phantom.membrane import Sheet, pinhole_sheets, scratch_sheets
from sorby.workflow.detection import published_crops
from sorby.workflow.detection.negatives import bright_tiles, mine_negatives
from sorby.workflow.detection.published_crops import (
    pinhole_crops,
    published_division,
    scratch_crops,
    write_published_crops,
)

#: Small enough to be quick.
SCALE = 0.16


def spotted(seed: int = 0, difficulty: float = 1.0, scale: float = SCALE) -> list[Sheet]:
    """Return small sheets with as many bright spots as whole ones have."""
    sheets = pinhole_sheets(seed, difficulty, scale)
    return [Sheet(replace(sheet.spec, spot_rate=60.0)) for sheet in sheets]


@pytest.fixture(scope="module")
def sheets() -> list[Sheet]:
    return spotted(2)


@pytest.fixture(scope="module")
def pinholes(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    out = tmp_path_factory.mktemp("pinholes")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(published_crops, "pinhole_sheets", spotted)
        found = write_published_crops(out, "pinholes", seed=2, scale=SCALE, size_px=132)
    assert found["classes"] == {"defect": 36, "good": 36}
    assert found["defects"] == {"pinhole": 36}
    return Corpus.load(found["corpus"])


@pytest.fixture(scope="module")
def scratches(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    out = tmp_path_factory.mktemp("scratches")
    return Corpus.load(write_published_crops(out, "scratches", scale=0.1, size_px=100)["corpus"])


# -- pinholes ------------------------------------------------------------------------------------------------


def test_36_pinholes_lie_in_the_middle_of_their_crops_and_36_tiles_hold_none(pinholes: Corpus) -> None:
    assert len(pinholes) == len(pinholes.annotated()) == 72
    assert pinholes.table["part"].value_counts().to_dict() == {"defects": 36, "negatives": 36}
    assert set(pinholes.table["specimen"]) == {f"pinholes-{n}" for n in range(1, 5)}
    for path, part, boxes in zip(pinholes.table["path"], pinholes.table["part"], corpus_boxes(pinholes), strict=True):
        assert Image.open(pinholes.root / path).size == (132, 132)
        assert boxes is not None
        assert len(boxes) == (1 if part == "defects" else 0)
        for box in boxes:
            # Enlarged twice; the crop begins at a whole pixel, half a pixel off at most.
            assert abs(box.x + box.w / 2 - 66) <= 4
            assert abs(box.y + box.h / 2 - 66) <= 4


@pytest.mark.parametrize(("shots", "left"), [(5, 31), (10, 26)])
def test_shots_leave_the_published_number_of_images_to_test(pinholes: Corpus, shots: int, left: int) -> None:
    divisions = [published_division(pinholes, shots, seed) for seed in range(5)]
    for teaching, testing in divisions:
        assert len(teaching) == shots
        assert sorted([*teaching, *testing]) == list(range(72))
        assert set(pinholes.table["part"].iloc[teaching]) == {"defects"}
        assert pinholes.table["part"].iloc[testing].value_counts().to_dict() == {"negatives": 36, "defects": left}
    assert len({tuple(teaching.tolist()) for teaching, _ in divisions}) == 5
    with pytest.raises(InputError, match="36"):
        published_division(pinholes, 36, 0)


def test_a_crop_shows_the_pixels_of_its_sheet(sheets: list[Sheet]) -> None:
    whole = {sheet.name: sheet.rows(0, sheet.shape[0]) for sheet in sheets}
    for crop in pinhole_crops(sheets, 1):
        assert crop.pixels.shape == (66, 66)
        there = whole[crop.sheet][crop.top : crop.top + 66, crop.left : crop.left + 66]
        np.testing.assert_array_equal(crop.pixels, there)


def test_off_centre_pinholes_are_whole_and_lie_anywhere(sheets: list[Sheet]) -> None:
    crops = [crop for crop in pinhole_crops(sheets, 1, off_centre=True) if crop.boxes]
    assert len(crops) == 36
    middles = []
    for crop in crops:
        (box,) = crop.boxes
        assert 0 <= box.x <= box.x + box.w <= 66
        assert 0 <= box.y <= box.y + box.h <= 66
        middles.append((box.x + box.w / 2, box.y + box.h / 2))
    # Even over some 45 pixels the deviation is 13; in the middle it would be under 1.
    assert (np.std(middles, axis=0) > 8).all()


def test_sheets_too_small_for_the_negatives_are_refused() -> None:
    with pytest.raises(InputError, match="36 are wanted"):
        list(pinhole_crops(pinhole_sheets(0, scale=0.08)))


# -- negatives -----------------------------------------------------------------------------------------------


def test_no_negative_holds_a_labelled_pinhole(sheets: list[Sheet]) -> None:
    for sheet in sheets:
        pixels = sheet.rows(0, sheet.shape[0])
        labelled = [(d.x, d.y, d.x + d.w, d.y + d.h) for d in sheet.truth if d.labelled]
        tiles = mine_negatives(pixels, labelled)
        mask = sheet.mask_rows(0, sheet.shape[0])
        assert len(tiles)
        assert not any(mask[top:bottom, left:right].any() for left, top, right, bottom in tiles)
        # Asked without the labels, the miner finds the pinholes, the brightest spots there are.
        everywhere = mine_negatives(pixels, [])
        found = overlap(np.asarray(labelled, np.float32), everywhere.astype(np.float32)) > 0
        assert found.any(axis=1).mean() > 0.8  # a dark one with a pale rim may stay below the threshold
        assert len(tiles) == len(everywhere) - int(found.any(axis=0).sum())


def test_tiles_with_a_spot_are_found_and_shading_is_none() -> None:
    rng = np.random.default_rng(0)
    # Light falls by 120 grey levels across; a global threshold would take the bright side.
    image = np.linspace(180, 60, 300)[None, :] + rng.normal(0, 2, (240, 300))
    for y, x in ((33, 70), (150, 250), (239, 299)):  # the last lies in the border that makes no whole tile
        image[y - 1 : y + 2, x - 1 : x + 2] += 40
    tiles = mine_negatives(np.clip(image, 0, 255).astype(np.uint8), [], 60)
    assert tiles.tolist() == [[60, 0, 120, 60], [240, 120, 300, 180], [240, 180, 300, 240]]
    assert mine_negatives(np.clip(image, 0, 255).astype(np.uint8), [(119, 10, 140, 20)], 60).tolist() == [
        [240, 120, 300, 180],
        [240, 180, 300, 240],
    ]
    colour = np.repeat(np.clip(image, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(mine_negatives(colour, [], 60), tiles)


def test_a_plain_image_has_no_bright_tile() -> None:
    assert mine_negatives(np.full((100, 100), 80, np.uint8), [], 50).shape == (0, 4)


def test_a_tile_is_bright_however_many_rows_are_asked_for_at_once() -> None:
    sheet = pinhole_sheets(1, scale=0.15)[0]
    pixels = sheet.rows(0, sheet.shape[0])
    tiles = bright_tiles(sheet.rows, sheet.shape)
    # Row of tiles by row of tiles, with 36 pixels of surroundings: three deviations of the window.
    for row in range(len(tiles)):
        first, last = max(0, 66 * row - 66), min(sheet.shape[0], 66 * row + 132)
        part = bright_tiles(lambda a, b, first=first: pixels[first + a : first + b], (last - first, sheet.shape[1]))
        np.testing.assert_array_equal(part[(66 * row - first) // 66], tiles[row])


def test_what_cannot_be_mined_is_refused() -> None:
    plain = np.zeros((80, 80), np.uint8)
    for image, options in (
        (plain.astype(float), {}),
        (plain[0], {}),
        (plain, {"tile": 81}),
        (plain, {"tile": 0}),
        (plain, {"sigma_px": 0}),
        (plain, {"least_px": 0}),
    ):
        with pytest.raises(InputError):
            mine_negatives(image, [], **options)


# -- scratches and scuffs ------------------------------------------------------------------------------------


def test_36_sub_images_show_scratches_or_scuffs_and_18_of_a_clean_sheet_none(scratches: Corpus) -> None:
    assert box_classes(scratches) == ["scratch", "scuff"]
    table = scratches.table
    assert table.groupby("specimen").size().to_dict() == {"baseline-2": 18, "scratched-1": 18, "scratched-2": 18}
    assert (table["part"].eq("negatives") == table["specimen"].eq("baseline-2")).all()
    shown = [{box.label for box in boxes or ()} for boxes in corpus_boxes(scratches)]
    scuffs = [names for names in shown if "scuff" in names]
    assert len(scuffs) == 12
    # Streaks of unknown origin beside a scuff are taken for scratches: such an image has both.
    assert any("scratch" in names for names in scuffs)
    for path, boxes in zip(table["path"], corpus_boxes(scratches), strict=True):
        width, height = Image.open(scratches.root / path).size
        assert height == 100
        for box in boxes or ():
            assert 0 <= box.x < box.x + box.w <= width + 1e-6
            assert 0 <= box.y < box.y + box.h <= height + 1e-6


def test_five_shots_of_two_classes_take_five_to_ten_images(scratches: Corpus) -> None:
    shown = [{box.label for box in boxes or ()} for boxes in corpus_boxes(scratches)]
    for seed in range(10):
        teaching, testing = published_division(scratches, 5, seed)
        assert 5 <= len(teaching) <= 10
        assert len(testing) == 54 - len(teaching)
        for name in ("scratch", "scuff"):
            assert sum(name in shown[row] for row in teaching) >= 5
        # Scuffs are drawn first; a scratch's image that has a scuff as well may take one more.
        assert sum("scuff" in shown[row] for row in testing) in (6, 7)


def test_labelled_defects_keep_their_boxes_when_sheets_are_cut() -> None:
    sheets = [sheet for sheet in scratch_sheets(5, scale=0.1) if sheet.label == "defect"]
    crops = list(scratch_crops(sheets))
    for sheet in sheets:
        placed = {
            (box.label, crop.left + box.x, crop.top + box.y, box.w, box.h)
            for crop in crops
            if crop.sheet == sheet.name
            for box in crop.boxes
        }
        assert {(d.kind, d.x, d.y, d.w, d.h) for d in sheet.truth if d.labelled} <= placed


def test_what_was_not_published_is_refused(tmp_path: Path, scratches: Corpus) -> None:
    for kind, options in (
        ("dents", {}),
        ("scratches", {"off_centre": True}),
        ("pinholes", {"size_px": 8}),
        ("pinholes", {"scale": 0.01}),
    ):
        with pytest.raises(InputError):
            write_published_crops(tmp_path / "never", kind, **options)  # type: ignore[arg-type]
    assert not (tmp_path / "never").exists()
    with pytest.raises(InputError):
        published_division(scratches, 0, 0)
    with pytest.raises(InputError, match="scuff"):
        published_division(scratches, 12, 0)
