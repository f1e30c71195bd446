"""Tracing boundaries of phantoms whose grains are known, and refusing where there is nothing to trace."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from sorby.errors import ImageError, InputError
from sorby.measure.boundary_scores import label_geometry, mask_intersections, overlap
from sorby.measure.boundary_tracing import close_boundaries, flattened, trace_boundaries
from sorby.measure.grain_counting import boundary_of
from sorby.measure.grain_fields import measure_field
from sorby.phantom.grains import GrainPhantom, render_grains


@pytest.fixture(scope="module")
def etched() -> GrainPhantom:
    return render_grains(8.0, 21, size_px=384)


def test_traced_boundaries_lie_where_the_true_ones_do(etched: GrainPhantom) -> None:
    found = overlap(trace_boundaries(etched.pixels).boundary, boundary_of(etched.labels), 2.0)
    assert found.found_right / found.found > 0.97
    # Four hundredths of the boundaries are not etched at all.
    assert found.true_met / found.true > 0.93


def test_bright_boundaries_are_told_from_dark_ones_and_traced_alike(etched: GrainPhantom) -> None:
    dark, bright = trace_boundaries(etched.pixels), trace_boundaries(255 - etched.pixels)
    assert (dark.polarity, bright.polarity) == ("dark", "bright")
    assert overlap(dark.boundary, bright.boundary, 1.0).dice > 0.99


def test_every_traced_grain_is_enclosed(etched: GrainPhantom) -> None:
    labels = trace_boundaries(etched.pixels).labels
    assert labels.min() == 1
    for grain in range(1, int(labels.max()) + 1, 9):
        assert ndimage.label(labels == grain)[1] == 1


def test_sixteen_bits_and_uneven_light_change_next_to_nothing(etched: GrainPhantom) -> None:
    from_eight = trace_boundaries(etched.pixels)
    deep = etched.pixels.astype(np.uint16) * 200 + 900
    assert overlap(trace_boundaries(deep).boundary, from_eight.boundary, 1.0).dice > 0.98
    slope = np.linspace(0.5, 1.0, 384)[None]
    shaded = np.rint(etched.pixels * slope).astype(np.uint8)
    assert overlap(trace_boundaries(shaded).boundary, from_eight.boundary, 2.0).dice > 0.97


def test_a_quarter_turn_turns_the_trace(etched: GrainPhantom) -> None:
    upright, turned = trace_boundaries(etched.pixels), trace_boundaries(np.rot90(etched.pixels))
    assert overlap(np.rot90(upright.boundary), turned.boundary, 2.0).dice > 0.98


@pytest.mark.parametrize("blur", [0.0, 1.0, 2.0])
def test_noise_has_no_grain_boundaries(blur: float) -> None:
    noise = np.random.default_rng(5).normal(0, 1, (256, 256))
    noise = ndimage.gaussian_filter(noise, blur) if blur else noise
    picture = np.clip(128 + 30 * noise / noise.std(), 0, 255).astype(np.uint8)
    with pytest.raises(ImageError, match="no grain boundary found"):
        trace_boundaries(picture)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_picture_is_refused(level: int) -> None:
    with pytest.raises(ImageError, match="flat grey"):
        trace_boundaries(np.full((100, 100), level, np.uint8))


def test_g_traced_from_pictures_stays_within_a_quarter() -> None:
    errors = []
    for seed, g in enumerate((5.0, 7.0, 9.0, 11.0)):
        truth = render_grains(g, 300 + seed, size_px=384)
        found = measure_field(trace_boundaries(truth.pixels).labels, truth.pixel_size_um)
        errors += [found.intercept_g.number - truth.intercept_g, found.planimetric_g.number - truth.grain_size_g]
    assert np.abs(errors).max() < 0.25


def test_a_gap_in_a_boundary_is_closed_and_a_false_start_is_not_made_a_boundary() -> None:
    probability = np.zeros((120, 120), np.float32)
    probability[58:61] = probability[:, 58:61] = 1.0
    probability[58:61, 20:32] = 0.0  # a gap of twelve pixels
    probability[85:100, 90:92] = 1.0  # a scratch within a grain
    found = close_boundaries(probability)
    assert found.labels.max() == 4
    assert 0 < found.closed_share < 0.1


def test_an_empty_probability_map_has_no_boundaries() -> None:
    with pytest.raises(ImageError, match="no grain boundary"):
        close_boundaries(np.zeros((64, 64), np.float32))


def test_light_falling_off_to_a_side_is_taken_out(etched: GrainPhantom) -> None:
    shaded = np.rint(etched.pixels * np.linspace(0.4, 1.0, 384)[None]).astype(np.uint8)
    flat = flattened(shaded)

    def fall(picture: np.ndarray) -> float:
        return abs(float(picture[:, :100].mean() - picture[:, -100:].mean())) / float(picture.std())

    assert fall(flat) < fall(shaded) / 4


def test_dice_of_a_line_one_pixel_aside_is_zero_without_and_one_with_tolerance() -> None:
    line, beside = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    line[10], beside[11] = True, True
    assert overlap(line, beside).dice == 0.0
    assert overlap(line, beside, 2.0).dice == 1.0


def test_dice_of_half_covered_squares_is_two_thirds() -> None:
    whole, half = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    whole[:4, :4] = True
    half[:4, :2] = True
    assert overlap(half, whole).dice == pytest.approx(2 * 8 / (16 + 8))


def test_masks_of_two_sizes_are_not_compared() -> None:
    with pytest.raises(InputError, match="cannot be compared"):
        overlap(np.ones((5, 5), bool), np.ones((5, 6), bool))


def test_labels_of_boundaries_are_lines_and_labels_of_spots_are_regions(etched: GrainPhantom) -> None:
    lines = label_geometry([ndimage.binary_dilation(boundary_of(etched.labels))])
    assert lines.marks == "lines"
    assert 2 <= lines.width_px <= 5
    y, x = np.mgrid[0:200, 0:200]
    spots = (y % 50 - 25) ** 2 + (x % 50 - 25) ** 2 < 10**2
    regions = label_geometry([spots])
    assert regions.marks == "regions"
    assert regions.width_px == pytest.approx(20, abs=4)


def test_test_lines_meet_stripes_as_often_as_there_are_stripes() -> None:
    stripes = np.zeros((200, 200), bool)
    stripes[:, 10::20] = stripes[:, 11::20] = True
    # 12 lines along the rows meet 10 stripes each; along the stripes none; the diagonals' projections the rest.
    found = mask_intersections(stripes, 12)
    rows_only = 12 * 10
    assert found > rows_only
    assert mask_intersections(stripes.T, 12) == pytest.approx(found, rel=0.02)
    assert mask_intersections(np.zeros((200, 200), bool)) == 0
