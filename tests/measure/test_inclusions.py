"""Inclusions of known area on fields made for it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from sorby.errors import ImageError, InputError
from sorby.measure.inclusion_segmentation import find_inclusions, inclusions_from_mask
from sorby.measure.inclusion_statistics import measure_inclusions, summarise_inclusions


def field(rng: np.random.Generator, n: int = 30, radius: float = 5.0) -> tuple[np.ndarray, np.ndarray]:
    """A polished field with dark discs on a jittered grid, and their mask."""
    y, x = np.mgrid[0:360, 0:360]
    mask = np.zeros((360, 360), bool)
    for place in rng.choice(81, n, replace=False):
        r, c = 20 + 40 * (place // 9) + rng.uniform(-8, 8), 20 + 40 * (place % 9) + rng.uniform(-8, 8)
        mask |= (y - r) ** 2 + (x - c) ** 2 < radius**2
    bright = ndimage.gaussian_filter(np.where(mask, 40.0, 200.0), 0.7) + rng.normal(0, 4, mask.shape)
    return np.clip(bright, 0, 255).astype(np.uint8), mask


def test_area_fraction_and_count_of_discs_are_found(rng: np.random.Generator) -> None:
    pixels, mask = field(rng)
    found = measure_inclusions(find_inclusions(pixels), 0.5)
    assert found.count == 30
    # Half a pixel of rim on a radius of five is a fifth of the area; half of that is allowed.
    assert found.area_fraction == pytest.approx(mask.mean(), rel=0.1)
    assert found.mean_area_um2 == pytest.approx(np.pi * 5**2 * 0.25, rel=0.12)
    assert found.feret_um == pytest.approx(np.full(found.feret_um.size, 5.0), abs=1.0)


def test_uneven_light_and_tinted_grains_are_no_inclusions(rng: np.random.Generator) -> None:
    pixels, mask = field(rng)
    tint = np.stack([pixels, pixels, pixels], axis=2).astype(float)
    tint[:, :180, 0] *= 0.3
    tint[:, 180:, 2] *= 0.3
    tint *= np.linspace(0.5, 1.0, 360)[:, None, None]
    found = find_inclusions(tint.astype(np.uint8))
    assert int(found.labels.max()) == 30
    assert found.mask.mean() == pytest.approx(mask.mean(), rel=0.12)


def test_sixteen_bits_give_the_same_inclusions(rng: np.random.Generator) -> None:
    pixels, _ = field(rng)
    deep = find_inclusions(pixels.astype(np.uint16) * 257).mask
    assert (deep ^ find_inclusions(pixels).mask).mean() < 0.002


def test_specks_smaller_than_the_least_area_are_left_out() -> None:
    mask = np.zeros((60, 60), bool)
    mask[5:7, 5:7] = True
    mask[20:24, 20:24] = True
    assert inclusions_from_mask(mask, 9).labels.max() == 1
    assert inclusions_from_mask(mask, 4).labels.max() == 2


def test_inclusions_cut_by_the_frame_count_for_the_area_but_not_for_the_sizes() -> None:
    mask = np.zeros((100, 100), bool)
    mask[:10, 40:60] = True
    mask[50:60, 50:60] = True
    found = measure_inclusions(inclusions_from_mask(mask), 2.0)
    assert found.area_fraction == pytest.approx(0.03)
    assert found.count == 2
    assert found.areas_um2.tolist() == [400.0]


def test_the_mean_chord_of_stereology_joins_area_fraction_and_intercepts(rng: np.random.Generator) -> None:
    # A_A = N_L * mean chord, and the mean chord of a disc is pi r / 2.
    _, mask = field(rng, n=81)
    found = measure_inclusions(inclusions_from_mask(mask), 1.0)
    chord_mm = np.pi * 5.0 / 2 / 1000
    # 48 lines meet some 300 discs; 15 % is two and a half standard deviations.
    assert found.intercepts_per_mm * chord_mm == pytest.approx(found.area_fraction, rel=0.15)


def test_a_clean_field_has_no_inclusions_and_no_sizes(rng: np.random.Generator) -> None:
    clean = np.clip(rng.normal(200, 4, (200, 200)), 0, 255).astype(np.uint8)
    found = measure_inclusions(find_inclusions(clean), 1.0)
    assert (found.count, found.area_fraction, found.mean_area_um2) == (0, 0.0, None)


@pytest.mark.parametrize(("pixels", "reason"), [
    (np.zeros((80, 80), np.uint8), "flat grey"),
    (np.pad(np.full((10, 10), 255, np.uint8), 60), "all but black"),
])  # fmt: skip
def test_fields_without_a_matrix_are_refused(pixels: np.ndarray, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        find_inclusions(pixels)


def test_impossible_requests_are_refused(rng: np.random.Generator) -> None:
    pixels, _ = field(rng)
    with pytest.raises(InputError, match="darkness"):
        find_inclusions(pixels, darkness=1.5)
    with pytest.raises(InputError, match="pixel size"):
        measure_inclusions(find_inclusions(pixels), 0.0)


def test_fields_of_a_specimen_are_put_together_with_interval_and_relative_accuracy() -> None:
    fields = []
    for side in (10, 12, 14):
        mask = np.zeros((100, 100), bool)
        mask[20 : 20 + side, 20 : 20 + side] = True
        fields.append(measure_inclusions(inclusions_from_mask(mask), 1.0))
    summary = summarise_inclusions(fields)
    assert summary["area_fraction"]["mean"] == pytest.approx(np.mean([0.0100, 0.0144, 0.0196]))
    assert summary["area_fraction"]["percent_ra"] > 10
    assert len(summary["warnings"]) == 2
    with pytest.raises(InputError, match="no field"):
        summarise_inclusions([])
