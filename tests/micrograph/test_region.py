"""The region of interest: what the phantoms' truth says is found, whatever is no background stays."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from sorby.backbone import Preprocessing
from sorby.errors import ImageError, InputError
from sorby.micrograph import Micrograph, find_images, read, to_grey
from sorby.micrograph.region import (
    KINDS,
    NO_SURFACE,
    Region,
    draw_region,
    inscribed_rectangle,
    propose_region,
    read_region,
    region_path,
    write_region,
)
from sorby.phantom import Border, SteelPhantom, draw_specimen, render_novel, render_steel

Mask = npt.NDArray[np.bool_]


@cache
def phantom(
    code: str, seed: int, resin: float = 0.0, bleeding: float = 0.0, micron_bar: bool = True, size: int = 384
) -> SteelPhantom:
    """A steel micrograph of 384 px, by default without resin."""
    specimen = draw_specimen(code, seed, images=1, size_px=(size, size), micron_bar=micron_bar, resin_share=0)
    return render_steel(replace(specimen.specs[0], border=Border(resin, bleeding, 0.16)), seed)


def overlap(ours: Mask, truth: Mask) -> float:
    """Intersection over union."""
    return float((ours & truth).sum() / (ours | truth).sum())


@pytest.mark.parametrize(("code", "seed"), [("G8", 1), ("G9-10", 2), ("B7", 3), ("M8", 4)])
def test_resin_at_the_top_is_found_and_the_specimen_kept(code: str, seed: int) -> None:
    made = phantom(code, seed, resin=0.12)
    found = propose_region(made.pixels)
    # Phantoms of 512 px reach .98 on average; in smaller ones lettering beside high-contrast needles costs some more.
    assert overlap(found.mask, made.region) > 0.93
    assert (made.region & ~found.mask).sum() < 0.07 * made.region.sum()
    assert not found.mask[:16].any()
    assert found.shares["resin"] == pytest.approx(0.12, abs=0.03)


def test_a_bleeding_zone_is_cut_deeper_than_a_clean_edge() -> None:
    clean = propose_region(phantom("G9-10", 5, resin=0.12).pixels)
    bled = phantom("G9-10", 5, resin=0.12, bleeding=0.09)
    found = propose_region(bled.pixels)
    assert found.shares["bleeding"] > 1.4 * clean.shares["bleeding"]
    assert overlap(found.mask, bled.region) > 0.93


@pytest.mark.parametrize(("code", "seed"), [("G7", 6), ("G9-10", 7), ("B8", 8), ("M9-10", 9), ("B9-10", 10)])
def test_without_resin_and_bar_the_whole_picture_is_kept(code: str, seed: int) -> None:
    found = propose_region(phantom(code, seed, micron_bar=False).pixels)
    assert found.mask.all()
    assert found.notes == ()


@pytest.mark.parametrize("seed", range(20, 26))
def test_micron_bars_are_found_whole_and_nothing_else(seed: int) -> None:
    made = phantom("G8", seed)
    found = propose_region(made.pixels)
    truth = ~made.region
    # The padding round small lettering on the picture itself is part of the truth, but shows nothing to find.
    assert (found.excluded["bar"] & truth).sum() > 0.9 * truth.sum()
    assert overlap(found.mask, made.region) > 0.99


def test_both_styles_of_bar_are_among_the_phantoms() -> None:
    styles = {phantom("G8", seed).spec.instrument.bar_style for seed in range(20, 26)}
    assert styles == {"box", "plain"}


@pytest.mark.parametrize("turn", ["mirrored", "upside down", "on its side"])
def test_a_turned_picture_has_the_turned_region(turn: str) -> None:
    change = {"mirrored": np.fliplr, "upside down": np.flipud, "on its side": np.rot90}[turn]
    made = phantom("G9-10", 5, resin=0.12, micron_bar=False)  # bars stand upright
    straight, turned = propose_region(made.pixels).mask, propose_region(np.ascontiguousarray(change(made.pixels))).mask
    # The grids on which outline and stain are followed begin at the other end.
    assert overlap(turned, change(straight)) > 0.985


@pytest.mark.parametrize("resin", [0.0, 0.12])
def test_inverted_contrast_is_cut_like_the_original(resin: float) -> None:
    made = phantom("G9-10", 5, resin=resin)
    straight, inverted = propose_region(made.pixels), propose_region(255 - made.pixels)
    assert overlap(inverted.mask, straight.mask) > 0.99  # rounding of the local means only
    assert (inverted.shares["resin"] > 0.05) == (resin > 0)


@pytest.mark.parametrize("factor", [0.5, 1.3])
def test_brightness_does_not_move_the_edge(factor: float) -> None:
    made = phantom("G9-10", 5, resin=0.12)
    other = np.clip(made.pixels * factor, 0, 255).astype(np.uint8)
    # Clipped highlights and rounding change the local contrast by some percent.
    assert overlap(propose_region(other).mask, propose_region(made.pixels).mask) > 0.97


def test_grey_and_sixteen_bit_pictures_have_the_region_of_the_coloured_one() -> None:
    made = phantom("B8", 11, resin=0.1)
    expected = propose_region(made.pixels).mask
    assert np.array_equal(propose_region(to_grey(made.pixels)).mask, expected)
    wide = to_grey(made.pixels).astype(np.uint16) * np.uint16(257)
    assert overlap(propose_region(wide).mask, expected) > 0.98  # its contrast is stretched first


def test_a_jpeg_and_a_resized_copy_keep_bar_and_resin() -> None:
    made = phantom("G8", 21, resin=0.12)
    expected = propose_region(made.pixels)
    store = io.BytesIO()
    Image.fromarray(made.pixels).save(store, "JPEG", quality=75)
    assert overlap(propose_region(np.asarray(Image.open(store))).mask, expected.mask) > 0.98
    double = np.asarray(Image.fromarray(made.pixels).resize((768, 768), Image.Resampling.BICUBIC))
    found = propose_region(double)
    assert found.shares["bar"] > 0.9 * expected.shares["bar"]
    assert overlap(found.mask, made.region.repeat(2, axis=0).repeat(2, axis=1)) > 0.93


@pytest.mark.parametrize("kind", ["resin", "defocused"])
@pytest.mark.parametrize("seed", range(4))
def test_a_picture_of_resin_or_out_of_focus_shows_no_specimen(kind: str, seed: int) -> None:
    found = propose_region(render_novel(kind, seed).pixels)
    assert found.empty
    assert NO_SURFACE in found.notes


@pytest.mark.parametrize("kind", ["pearlite", "ferrite", "inclusions"])
def test_other_structures_and_unetched_sections_are_no_background(kind: str) -> None:
    for seed in range(3):
        found = propose_region(render_novel(kind, seed, micron_bar=False).pixels)
        assert found.mask.all()


def test_a_blank_picture_shows_nothing() -> None:
    assert propose_region(np.full((200, 300), 127, np.uint8)).empty


def test_a_known_scale_changes_little_and_empty_magnification_nothing_at_all() -> None:
    made = phantom("G8", 1, resin=0.12)
    expected = propose_region(made.pixels).mask
    assert np.array_equal(propose_region(made.pixels, made.spec.pixel_size_um).mask, expected)
    assert overlap(propose_region(made.pixels, 0.07).mask, expected) > 0.95  # joined by 1.4


def test_each_pixel_has_one_reason() -> None:
    found = propose_region(phantom("G9-10", 5, resin=0.12, bleeding=0.09).pixels)
    assert tuple(found.excluded) == KINDS
    reasons = np.sum([mask.astype(int) for mask in found.excluded.values()], axis=0)
    assert np.array_equal(reasons, (~found.mask).astype(int))
    assert found.kept + sum(found.shares.values()) == pytest.approx(1)


@pytest.mark.realdata
def test_etched_patches_and_whole_micrographs_without_resin_stay_whole(real_data: Path) -> None:
    patches = sorted((real_data / "mlography" / "boundaries" / "images").iterdir())[::4]
    whole = sorted((real_data / "mlography" / "inclusions" / "images").iterdir())[::4]
    kept = [propose_region(read(path).pixels).kept for path in [*patches, *whole]]
    assert len(kept) > 100
    assert min(kept) == 1.0


def _largest_by_trial(mask: Mask) -> int:
    height, width = mask.shape
    areas = [
        (bottom - top) * (right - left)
        for top in range(height)
        for bottom in range(top + 1, height + 1)
        for left in range(width)
        for right in range(left + 1, width + 1)
        if mask[top:bottom, left:right].all()
    ]
    return max(areas, default=0)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_the_inscribed_rectangle_is_the_largest_by_trial_of_all(share: float, rng: np.random.Generator) -> None:
    for _ in range(12):
        mask = rng.random((7, 9)) < share
        mask = mask[:, rng.integers(0, 9, 9)][rng.integers(0, 7, 7)]  # with equal rows and columns too
        top, left, height, width = inscribed_rectangle(mask)
        assert height * width == _largest_by_trial(mask)
        assert mask[top : top + height, left : left + width].all()


def test_the_inscribed_rectangle_of_nothing_is_nothing() -> None:
    assert inscribed_rectangle(np.zeros((4, 5), bool)) == (0, 0, 0, 0)
    assert inscribed_rectangle(np.ones((4, 5), bool)) == (0, 0, 4, 5)


def test_a_region_file_holds_the_mask_it_was_written_from(tmp_path: Path, rng: np.random.Generator) -> None:
    mask = rng.random((30, 40)) < 0.5
    write_region(tmp_path / "a.region.png", mask)
    assert np.array_equal(read_region(tmp_path / "a.region.png", (30, 40)), mask)


def test_a_coloured_drawing_counts_wherever_it_is_not_black(tmp_path: Path) -> None:
    drawn = np.zeros((30, 40, 3), np.uint8)
    drawn[10:, :, 2] = 7
    Image.fromarray(drawn).save(tmp_path / "a.region.tif")
    assert read_region(tmp_path / "a.region.tif", (30, 40)).sum() == 20 * 40


@pytest.mark.parametrize("fault", ["another size", "empty", "no image"])
def test_a_faulty_region_file_is_refused_in_one_line(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "a.region.png"
    if fault == "no image":
        path.write_text("white", encoding="utf-8")
    else:
        write_region(path, np.full((30, 41) if fault == "another size" else (30, 40), fault == "another size"))
    with pytest.raises(InputError) as refused:
        read_region(path, (30, 40))
    assert path.name in refused.value.message
    assert "\n" not in refused.value.message
    assert refused.value.hint


def test_region_files_and_their_pictures_are_not_taken_for_micrographs(tmp_path: Path) -> None:
    for name in ("a.png", "a.region.png", "a.region.tif", "a.region-overlay.png", "region.png"):
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / name)
    assert [path.name for path in find_images(tmp_path)] == ["a.png", "region.png"]


def test_the_picture_of_a_region_is_red_where_resin_lies_and_untouched_inside() -> None:
    made = phantom("G9-10", 5, resin=0.12)
    found = propose_region(made.pixels)
    drawn = draw_region(made.pixels, found).astype(int)
    assert drawn.shape == made.pixels.shape
    resin = drawn[found.excluded["resin"]].mean(axis=0)
    assert resin[0] > resin[1] + 40
    assert np.array_equal(drawn[200:240, 100:140], made.pixels[200:240, 100:140])


# -- what the network sees ----------------------------------------------------------------------------------


def test_the_key_is_the_old_one_while_whole_pictures_are_taken() -> None:
    # A value from before there were regions: cached features and bundles stay valid.
    assert Preprocessing().key == "d2ada59deacdeaef"
    assert Preprocessing(region="auto").key != Preprocessing().key


def test_the_network_sees_the_inscribed_rectangle_of_the_proposal() -> None:
    made = phantom("G9-10", 5, resin=0.12)
    auto, whole = Preprocessing(region="auto"), Preprocessing()
    top, left, height, width = auto.crop(made.pixels)
    assert top >= 0.12 * 384
    assert propose_region(made.pixels).mask[top : top + height, left : left + width].all()
    expected = whole.prepare(made.pixels[top : top + height, left : left + width])
    assert np.array_equal(auto.prepare(made.pixels), expected)
    assert auto.window(made.pixels) == (top, left, height, width)


def test_an_edited_region_file_wins_over_the_proposal(tmp_path: Path) -> None:
    made = phantom("G9-10", 5, resin=0.12)
    image = tmp_path / "a.png"
    Image.fromarray(made.pixels).save(image)
    auto = Preprocessing(region="auto")
    proposed = auto.content_key(image, "0" * 64)
    mask = np.zeros(made.pixels.shape[:2], bool)
    mask[100:250, 60:300] = True
    write_region(region_path(image), mask)
    assert auto.crop(read(image)) == (100, 60, 150, 240)
    # Cached features of the proposal must not stand for the edited region.
    assert auto.content_key(image, "0" * 64) != proposed
    assert Preprocessing().content_key(image, "0" * 64) == proposed


def test_a_micrograph_that_is_all_resin_is_an_image_error() -> None:
    pixels = render_novel("resin", 1).pixels
    with pytest.raises(ImageError, match="no specimen surface found"):
        Preprocessing(region="auto").prepare(Micrograph(pixels))
    assert Preprocessing().prepare(pixels).shape == (224, 224, 1)


def test_a_region_too_small_to_look_at_is_an_image_error(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    Image.fromarray(np.full((100, 100), 90, np.uint8)).save(image)
    mask = np.zeros((100, 100), bool)
    mask[50:60] = True
    write_region(region_path(image), mask)
    with pytest.raises(ImageError, match="no rectangle of 32 px"):
        Preprocessing(region="auto").read(image)


def test_an_empty_region_says_so() -> None:
    nothing = Region(np.zeros((4, 4), bool), {}, ())
    assert nothing.empty
    assert nothing.kept == 0
