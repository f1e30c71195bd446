"""Pictures of defects: boxes hold what was drawn, and what was not drawn is not boxed."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sorby.corpus.boxes import decode
from sorby.errors import InputError
from sorby.evidence.boxes import areas
from sorby.files import sha256_file
from sorby.phantom.defects import FAMILIES, KINDS, DefectPicture, defect_set, render, write_defects
from sorby.phantom.defects.grounds import TEXTURES, draw_ground
from sorby.phantom.defects.noise import band_noise, sloped_noise
from sorby.phantom.membrane import PIXEL_SIZE_UM, DefectPlan
from sorby.phantom.membrane.strokes import draw_scratch

SIZE = (160, 176)


@pytest.fixture(scope="module")
def pictures() -> list[DefectPicture]:
    return list(defect_set(300, 4, size=SIZE))


def change(picture: DefectPicture) -> np.ndarray:
    return picture.pixels.astype(float) - picture.clean


def test_boxes_are_the_bounds_of_their_masks(pictures: list[DefectPicture]) -> None:
    for picture in pictures:
        assert picture.pixels.shape == picture.clean.shape == SIZE
        assert picture.masks.shape == (len(picture), *SIZE)
        assert picture.boxes.dtype == np.float32
        for (left, top, right, bottom), mask in zip(picture.boxes.astype(int), picture.masks, strict=True):
            assert 0 <= left < right <= SIZE[1]
            assert 0 <= top < bottom <= SIZE[0]
            inside = mask[top:bottom, left:right]
            assert inside.sum() == mask.sum()
            # Every edge of the box touches the mask: none could be drawn closer.
            assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


def test_a_seed_is_a_picture_and_a_longer_set_begins_with_the_shorter() -> None:
    again = list(islice(defect_set(300, 4, size=SIZE), 5))
    for number, picture in enumerate(defect_set(5, 4, size=SIZE)):
        alone = render((4, number), size=SIZE)
        for other in (again[number], alone):
            np.testing.assert_array_equal(picture.pixels, other.pixels)
            np.testing.assert_array_equal(picture.boxes, other.boxes)
            assert picture.labels == other.labels
    assert (render(1, size=SIZE).pixels != render(2, size=SIZE).pixels).mean() > 0.5


def test_all_kinds_surfaces_and_both_tones_occur(pictures: list[DefectPicture]) -> None:
    counts = Counter(label for picture in pictures for label in picture.labels)
    assert set(counts) == set(KINDS)
    assert min(counts.values()) >= 10
    assert {picture.family for picture in pictures} == set(FAMILIES)
    textures = {name for family in TEXTURES.values() for name in family} | {"electrode", "membrane"}
    assert {picture.texture for picture in pictures} == textures
    tone = {
        (label, bool(change(picture)[mask].mean() > 0))
        for picture in pictures
        for label, mask in zip(picture.labels, picture.masks, strict=True)
    }
    for kind in set(KINDS) - {"chip"}:  # what has broken out of an edge is hardly ever lighter
        assert {(kind, True), (kind, False)} <= tone, kind


def test_about_one_picture_in_eight_shows_nothing(pictures: list[DefectPicture]) -> None:
    empty = [picture for picture in pictures if not len(picture)]
    # 12 % of 300 are 36; three binomial deviations are 17.
    assert 19 <= len(empty) <= 53
    for picture in empty:
        np.testing.assert_array_equal(picture.pixels, picture.clean)
        assert picture.boxes.shape == (0, 4)
    assert max(len(picture) for picture in pictures) <= 8


def test_boxes_span_from_a_few_pixels_to_the_whole_picture(pictures: list[DefectPicture]) -> None:
    boxes = np.concatenate([picture.boxes for picture in pictures])
    share = areas(boxes) / (SIZE[0] * SIZE[1])
    sides = boxes[:, 2:] - boxes[:, :2]
    assert sides.min() >= 3
    assert sides.min(axis=1).min() <= 6
    assert share.max() > 0.95
    assert np.quantile(share, 0.1) < 0.01
    assert np.quantile(share, 0.9) > 0.15
    long = sides.max(axis=1) / sides.min(axis=1)
    assert np.quantile(long, 0.95) > 4  # scratches and slivers


def test_what_is_boxed_differs_from_its_surface(pictures: list[DefectPicture]) -> None:
    ratios = []
    for picture in pictures:
        difference = np.abs(change(picture))
        for mask in picture.masks:
            strongest = float(np.quantile(difference[mask], 0.95))
            # A thin line drawn around by a hand of 5 pixels fills a tenth of its mask; blur halves its height.
            assert strongest >= 2.0
            ratios.append(strongest / max(picture.grain, 1.0))
    assert np.median(ratios) > 2.5
    assert np.quantile(ratios, 0.05) > 0.5


def test_nothing_happens_outside_the_boxes(pictures: list[DefectPicture]) -> None:
    # Zones, specks, rolling lines, vignettes are of the surface: they are there without defects too.
    for picture in pictures:
        outside = np.ones(SIZE, bool)
        for left, top, right, bottom in picture.boxes.astype(int):
            # Halos, shadows and burrs of a mark reach a little beyond what an annotator marks.
            reach = 8 + (max(right - left, bottom - top) // 2)
            outside[max(0, top - reach) : bottom + reach, max(0, left - reach) : right + reach] = False
        assert not np.abs(change(picture)[outside] > 6).any()


def test_boxes_of_one_kind_do_not_lie_on_one_another(pictures: list[DefectPicture]) -> None:
    for picture in pictures:
        for i, first in enumerate(picture.boxes):
            for j in range(i):
                if picture.labels[i] != picture.labels[j]:
                    continue
                second = picture.boxes[j]
                sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
                shared = float(np.clip(sides, 0, None).prod())
                smaller = min(float((box[2:] - box[:2]).prod()) for box in (first, second))
                # A quarter where they are drawn; enlarging rounds small boxes by a pixel.
                assert shared <= 0.25 * smaller + 2 * max(first[2:] - first[:2])


@pytest.mark.parametrize("family", list(TEXTURES))
def test_a_ground_leaves_its_film_room(family: str) -> None:
    for number in range(12):
        ground = draw_ground(family, SIZE, np.random.default_rng([7, number]))
        assert ground.field.shape == SIZE
        assert ground.field.dtype == np.float32
        assert np.isfinite(ground.field).all()
        assert ground.grain > 0
    assert all((picture.pixels == 255).mean() < 0.9 for picture in defect_set(12, 8, size=SIZE, family=family))


def test_noise_has_its_wavelength_and_its_direction() -> None:
    rng = np.random.default_rng(0)
    field = band_noise((256, 256), 8.0, rng, octaves=0.2)
    assert field.mean() == pytest.approx(0, abs=1e-5)
    assert field.std() == pytest.approx(1, abs=1e-5)
    spectrum = np.abs(np.fft.rfft2(field)) ** 2
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None, :])
    # Power-weighted mean frequency; the band is narrow, so it lies within 10 % of 1 / 8.
    assert (spectrum * frequency).sum() / spectrum.sum() == pytest.approx(1 / 8, rel=0.1)
    down = sloped_noise((256, 256), 1.0, rng, elongation=20, angle_deg=90)
    steps = [float(np.abs(np.diff(down, axis=axis)).mean()) for axis in (0, 1)]
    assert steps[0] < 0.3 * steps[1]  # long along columns: little changes from row to row


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    for call in (
        lambda: render(0, family="marble"),
        lambda: render(0, size=(20, 200)),
        lambda: list(defect_set(-1)),
        lambda: write_defects(tmp_path / "d", 0),
        lambda: write_defects(tmp_path / "d", 3, family="marble"),
    ):
        with pytest.raises(InputError):
            call()
    assert not (tmp_path / "d").exists()


def test_a_short_scratch_of_a_web_is_never_lifted_from_end_to_end() -> None:
    plans = (DefectPlan("scratch", 40, 40, 20 * PIXEL_SIZE_UM, 4 * PIXEL_SIZE_UM, 60, seed=seed) for seed in range(400))
    for plan in plans:
        patch = draw_scratch(plan, PIXEL_SIZE_UM)
        assert np.isfinite(patch.light).all()
        assert patch.body.any()


# -- on disk -------------------------------------------------------------------------------------------------


def test_the_files_say_what_was_drawn(tmp_path: Path) -> None:
    table = write_defects(tmp_path / "set", 12, 3, size=(96, 112), jobs=1)
    assert list(table["path"]) == [f"images/defects-{n:05d}.png" for n in range(1, 13)]
    truth = pd.read_csv(tmp_path / "set" / "truth.csv")
    coco = json.loads((tmp_path / "set" / "boxes.json").read_text())
    categories = {entry["id"]: entry["name"] for entry in coco["categories"]}
    assert list(categories.values()) == list(KINDS)
    for number, (row, picture) in enumerate(zip(table.itertuples(), defect_set(12, 3, size=(96, 112)), strict=True), 1):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "set" / row.path)), picture.pixels)
        mask = np.asarray(Image.open(tmp_path / "set" / row.mask))
        np.testing.assert_array_equal(mask, np.where(picture.masks.any(axis=0), 255, 0))
        corners = [(box.label, box.x, box.y, box.x + box.w, box.y + box.h) for box in decode(row.boxes)]
        assert corners == [(k, *map(float, b)) for k, b in zip(picture.labels, picture.boxes, strict=True)]
        boxes = [(categories[a["category_id"]], *a["bbox"]) for a in coco["annotations"] if a["image_id"] == number]
        there = truth[truth["image"] == row.path]
        assert boxes == [tuple(r) for r in there[["kind", "x", "y", "w", "h"]].itertuples(index=False)]
        assert there["area_px"].tolist() == picture.masks.sum(axis=(1, 2)).tolist()
        assert row.label == ("defect" if len(picture) else "good")
    again = write_defects(tmp_path / "again", 12, 3, size=(96, 112), jobs=1)
    files = [*table["path"], *table["mask"], "boxes.json", "truth.csv", "labels.csv"]
    assert all(sha256_file(tmp_path / "set" / f) == sha256_file(tmp_path / "again" / f) for f in files)
    assert len(again) == 12
