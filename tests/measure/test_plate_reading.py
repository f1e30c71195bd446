"""Reading a plate: one stretch for all of it, its scale held against the taught one, what shows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sorby.errors import ImageError
from sorby.measure.plate_reading import TaughtScale, in_eight_bits, outline, scale_doubts, tiles_over
from sorby.micrograph import to_uint8
from sorby.micrograph.region import region_path, write_region

TAUGHT = TaughtScale((254.0, 254.0), 1.134, 0.5644)


def test_eight_bits_pass_unchanged(rng: np.random.Generator) -> None:
    plate = rng.integers(0, 256, (40, 50), dtype=np.uint8)
    found, how = in_eight_bits(plate, "percentile", 0.1, 99.9)
    assert found is plate or np.array_equal(found, plate)
    assert how == ""


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_depth_is_reduced_as_for_a_picture_but_strip_by_strip(kind: type, rng: np.random.Generator) -> None:
    plate = rng.normal(20_000, 4_000, (1300, 60)).clip(0, 65535).astype(kind)
    found, how = in_eight_bits(plate, "percentile", 0.1, 99.9)
    # Percentiles of levels against percentiles of values: at most one grey level apart.
    assert np.abs(found.astype(int) - to_uint8(plate).astype(int)).max() <= 1
    assert "whole plate" in how


def test_a_sound_corner_is_not_stretched_into_contrast() -> None:
    plate = np.full((600, 100), 10_000, np.uint16)
    plate[::2, :50] += 100  # faint lines
    plate[:, 50:] = np.linspace(0, 60_000, 600, dtype=np.uint16)[:, None]
    found, _ = in_eight_bits(plate, "percentile", 0.1, 99.9)
    assert np.ptp(found[:, :50]) <= 1


def test_one_grey_level_is_middle_grey() -> None:
    found, _ = in_eight_bits(np.full((5, 5), 7, np.uint16), "percentile", 0.1, 99.9)
    assert (found == 128).all()


def test_the_scale_the_network_saw_passes_and_others_are_told_or_refused() -> None:
    assert scale_doubts("p", 0.5644, TAUGHT) == []
    assert "noise and sharpness" in scale_doubts("p", 1.13, TAUGHT)[0]
    assert "lack its finest detail" in scale_doubts("p", 1.5, TAUGHT)[0]
    with pytest.raises(ImageError, match=r"2\.0 times those the network was taught on"):
        scale_doubts("p", 2.268, TAUGHT)
    with pytest.raises(ImageError, match="times finer than the taught ones"):
        scale_doubts("p", 0.05, TAUGHT)
    assert "not checked" in scale_doubts("p", 1.0, TaughtScale((254.0, 254.0), 1.134, None))[0]


def test_a_plate_smaller_than_a_tile_is_no_plate() -> None:
    with pytest.raises(ImageError, match="the plate is 200 x 300 um, a tile 254 x 254 um"):
        tiles_over("p", (300, 200), 1.0, (254.0, 254.0), 0.0)
    plan = tiles_over("p", (600, 800), 1.0, (254.0, 254.0), 0.5)
    assert plan.tile == (254, 254)
    assert plan.boxes[:, 2].max() == 600


def test_holders_are_left_out_and_a_region_file_decides(tmp_path: Path) -> None:
    plate = np.full((300, 400), 140, np.uint8)
    plate[:, 300:] = 3
    mask, source = outline(None, plate)
    assert "proposal" in source
    assert mask[:, :280].all()
    assert not mask[:, 320:].any()
    assert outline(None, plate, whole=True)[0].all()
    picture = tmp_path / "plate.png"
    drawn = np.zeros(plate.shape, bool)
    drawn[:, :100] = True
    write_region(region_path(picture), drawn)
    mask, source = outline(picture, plate)
    assert "region file" in source
    assert mask.mean() == pytest.approx(0.25, abs=0.01)


def test_a_picture_of_the_chamber_only_is_refused() -> None:
    with pytest.raises(ImageError, match="no part of it shows a plate"):
        outline(None, np.zeros((200, 200), np.uint8))
