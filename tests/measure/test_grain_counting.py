"""Counting along lines and in windows on structures whose counts are known on paper."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from sorby.errors import ImageError, InputError
from sorby.measure.grain_counting import (
    ASTM_E112_WEIGHTS,
    ISO_643_WEIGHTS,
    LineCount,
    circle,
    count_along,
    grains_from_boundaries,
    straight_line,
)
from sorby.measure.grain_fields import (
    measure_field,
    measure_intercepts,
    planimetric_count,
    sub_fields,
    summarise_specimen,
)
from sorby.phantom.grains import render_grains


def squares(n: int, pitch: int) -> np.ndarray:
    """A lattice of n x n squares, complete partition."""
    row = np.arange(n * pitch) // pitch
    return (row[:, None] * n + row[None] + 1).astype(np.int32)


def hexagons(side_px: int, pitch: float) -> np.ndarray:
    """Regular hexagons: Voronoi cells of a triangular lattice with the given distance of centres."""
    step = pitch * np.sqrt(3) / 2
    rows = np.arange(-2, int(side_px / step) + 3)
    cols = np.arange(-2, int(side_px / pitch) + 3)
    centres = np.array([(r * step, (c + 0.5 * (r % 2)) * pitch) for r in rows for c in cols])
    y, x = np.mgrid[0:side_px, 0:side_px]
    _, nearest = cKDTree(centres).query(np.column_stack([y.ravel(), x.ravel()]))
    return (nearest.reshape(side_px, side_px) + 1).astype(np.int32)


def drawn(text: str) -> np.ndarray:
    return np.array([[int(c) for c in row] for row in text.split()], np.int32)


def along_row(labels: np.ndarray, row: int):
    return count_along(labels, straight_line((row, 0), (row, labels.shape[1] - 1)))


def test_a_plain_cut_counts_one_and_both_ends_half_a_grain_each() -> None:
    found = along_row(drawn("111022203333 111022203333 111022203333"), 1)
    assert (found.crossings, found.tangents, found.triples) == (2, 0, 0)
    assert found.intersections(ISO_643_WEIGHTS) == 2.0
    # One whole grain in the middle, one half at each end.
    assert found.intercepts(ISO_643_WEIGHTS) == 2.0


def test_a_line_through_a_triple_point_counts_one_and_a_half() -> None:
    found = along_row(drawn("1112222 1112222 1110222 1133322 1333332"), 2)
    assert found.triples == 1
    assert found.intersections(ISO_643_WEIGHTS) == 1.5


def test_a_tangent_counts_half_in_iso_643_and_one_in_e112() -> None:
    found = along_row(drawn("1122211 1102011 1110111 1111111"), 2)
    assert (found.tangents, found.crossings) == (1, 0)
    assert found.intersections(ISO_643_WEIGHTS) == 0.5
    assert found.intersections(ASTM_E112_WEIGHTS) == 1.0


def test_a_line_that_ends_on_a_boundary_counts_half_an_intersection() -> None:
    found = along_row(drawn("1110222220 1110222220 1110222220"), 1)
    assert found.ends_on_boundary == 1
    assert found.intersections(ISO_643_WEIGHTS) == 1.5
    # Grain 2 is cut off by boundaries on both sides and whole; only grain 1 holds an end.
    assert found.intercepts(ISO_643_WEIGHTS) == 1.5


def test_a_line_within_one_grain_intercepts_nothing() -> None:
    found = along_row(np.ones((5, 30), np.int32), 2)
    assert found.intersections() == 0
    assert found.intercepts() == 0


def test_intersections_equal_intercepts_on_any_structure_without_tangents_and_triple_points() -> None:
    labels = hexagons(200, 23.0)
    for row in range(5, 195, 7):
        found = along_row(labels, row)
        assert found.intersections() == found.intercepts()


def test_on_a_closed_circle_as_many_grains_are_entered_as_boundaries_are_cut() -> None:
    labels = squares(8, 25)
    found = count_along(labels, circle((99.5, 99.5), 60.0), closed=True)
    # Each of the 8 grid lines within 60 px of the centre (at distances 0, 25 and 50) is cut twice, in both directions.
    assert found.intersections() == 2 * 5 * 2
    assert found.intercepts() == found.intersections()
    assert found.length_px == pytest.approx(2 * np.pi * 60, rel=1e-3)


def test_where_a_circle_begins_does_not_matter() -> None:
    labels = hexagons(220, 27.0)
    points = circle((110, 108), 83.0)
    counts = {count_along(labels, np.roll(points, k, axis=0), closed=True).intersections() for k in range(0, 1000, 37)}
    assert len(counts) == 1


def test_square_lattice_has_the_analytic_count_per_length() -> None:
    # For squares of side a, a line at angle t meets (|cos t| + |sin t|) / a boundaries a length.
    labels = squares(20, 25)
    found = measure_intercepts(labels, 1.0, lines_per_direction=200)
    straight, diagonal = found.by_direction_um["0"], found.by_direction_um["45"]
    # 19 boundaries lie within the 499 px between the first and the last pixel.
    assert straight == pytest.approx(499 / 19)
    # Lines in the corners of the field are short; leaving out the shortest shifts the mean by less than 1.5 %.
    assert diagonal == pytest.approx(499 / 19 / np.sqrt(2), rel=0.015)


def test_hexagonal_lattice_has_the_analytic_mean_intercept() -> None:
    # Boundary length per area of hexagons of centre distance d is 2 / d, and P_L = 2 / pi times it.
    d = 31.0
    labels = hexagons(900, d)
    rng = np.random.default_rng(3)
    total = LineCount()
    for _ in range(60):
        points = circle(tuple(rng.uniform(350, 550, 2)), float(rng.uniform(100, 340)))
        total += count_along(labels, points, closed=True)
    # Some 3,500 boundaries on a regular lattice: the count scatters by about 1 %.
    assert total.length_px / total.intersections() == pytest.approx(np.pi * d / 4, rel=0.02)


def test_hexagons_are_counted_to_their_true_number_per_area() -> None:
    d = 31.0
    count = planimetric_count(hexagons(900, d))
    true = 2 / (np.sqrt(3) * d**2) * 900**2
    # Rows of the lattice run along two sides, which cut all their grains alike: up to 1/4 of 2 x 29 grains, 1.5 %.
    assert count.grains == pytest.approx(true, rel=0.016)


def test_square_lattice_aligned_with_the_frame_is_counted_by_hand() -> None:
    # 5 x 5 squares fill the field: 9 inside, 12 on the sides, 4 corners: 9 + 6 + 1.
    count = planimetric_count(squares(5, 20))
    assert (count.inside, count.intersected, count.corners) == (9, 12, 4)
    assert count.grains == 16.0


def test_jeffries_circle_counts_inside_and_half_of_the_cut_grains() -> None:
    # Circle of radius 50 in 5 x 5 squares of 20: 9 squares lie inside, 12 are cut, 4 corners are outside or touched.
    count = planimetric_count(squares(5, 20), "circle")
    assert count.inside == 9
    assert count.grains == 9 + count.intersected / 2
    assert count.area_px == pytest.approx(np.pi * 50**2)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turning_the_picture_leaves_the_grain_size(turns: int) -> None:
    labels = render_grains(8.0, 3, size_px=300).labels
    upright, turned = measure_field(labels, 0.5), measure_field(np.rot90(labels, turns), 0.5)
    assert upright.planimetric is not None
    assert turned.planimetric == upright.planimetric
    # Test lines fall on other pixels by half a pixel at most.
    assert turned.intercept_g.number == pytest.approx(upright.intercept_g.number, abs=0.03)


def test_twice_the_pixels_at_half_the_pixel_size_is_the_same_grain_size() -> None:
    labels = render_grains(8.0, 4, size_px=300).labels
    once, twice = measure_field(labels, 1.0), measure_field(np.kron(labels, np.ones((2, 2), np.int32)), 0.5)
    assert twice.planimetric_g.number == pytest.approx(once.planimetric_g.number, abs=1e-9)
    assert twice.intercept_g.number == pytest.approx(once.intercept_g.number, abs=0.04)


def test_boundary_masks_of_one_and_of_five_pixels_give_the_same_grains() -> None:
    labels = squares(6, 30)
    thin = np.zeros(labels.shape, bool)
    thin[:, 29:-1:30] = thin[29:-1:30] = True
    thick = ndimage.binary_dilation(thin, iterations=2)
    assert grains_from_boundaries(thin).max() == grains_from_boundaries(thick).max() == 36


def test_open_ends_and_specks_enclose_no_grain() -> None:
    mask = np.zeros((60, 60), bool)
    mask[30] = True
    mask[10:25, 20] = True  # a spur that ends within the grain
    mask[45, 45] = True
    assert grains_from_boundaries(mask).max() == 2


def test_a_single_grain_has_no_size_and_says_so() -> None:
    with pytest.raises(ImageError, match="single grain"):
        measure_field(np.ones((50, 50), np.int32), 1.0)
    with pytest.raises(ImageError, match="no grain at all"):
        measure_field(np.zeros((50, 50), np.int32), 1.0)


def test_few_grains_are_measured_with_a_warning() -> None:
    field = measure_field(squares(4, 40), 1.0)
    assert any("fewer than 50" in line for line in field.warnings)


def test_stretched_grains_are_called_elongated_and_equiaxed_ones_are_not() -> None:
    labels = render_grains(8.0, 5).labels
    assert not measure_field(labels, 1.0).intercept.anisotropic
    stretched = measure_field(np.repeat(labels, 2, axis=1), 1.0)
    # Twofold stretching: 0 against 90 degrees differ by two, up to the scatter of some 400 intercepts (15 %).
    ratio = stretched.intercept.by_direction_um["0"] / stretched.intercept.by_direction_um["90"]
    assert ratio == pytest.approx(2.0, rel=0.15)
    assert any("elongated" in line for line in stretched.warnings)


def test_lamellae_along_a_direction_are_as_elongated_as_can_be() -> None:
    lamellae = np.repeat(np.arange(1, 41), 10)[:, None] * np.ones((1, 400), np.int32)
    field = measure_field(lamellae.astype(np.int32), 1.0)
    assert field.intercept.by_direction_um["0"] is None
    assert field.intercept.anisotropic


def test_iso_643_is_not_given_by_intercepts() -> None:
    with pytest.raises(InputError, match="planimetric"):
        measure_field(squares(9, 20), 1.0, method="intercept", standard="iso-643")
    both = measure_field(squares(9, 20), 1.0, standard="iso-643")
    assert both.intercept is not None
    assert both.intercept_g is None


def test_fields_are_averaged_before_they_are_converted() -> None:
    fields = [measure_field(squares(n, 240 // n), 1.0) for n in (8, 10, 12)]
    summary = summarise_specimen(fields)
    mean = np.mean([field.intercept.mean_intercept_um for field in fields])
    assert summary["intercept"]["g"]["value"] == pytest.approx(-6.643856 * np.log10(mean / 1000) - 3.288)
    assert summary["intercept"]["g"]["value"] != pytest.approx(
        np.mean([f.intercept_g.number for f in fields]), abs=1e-3
    )


def test_fields_of_two_standards_are_never_averaged() -> None:
    fields = [measure_field(squares(9, 20), 1.0, standard=name) for name in ("astm-e112", "iso-643")]
    with pytest.raises(InputError, match="two standards"):
        summarise_specimen(fields)


def test_uneven_fields_are_warned_of_by_their_relative_accuracy() -> None:
    summary = summarise_specimen([measure_field(squares(n, 360 // n), 1.0) for n in (6, 9, 18)])
    assert summary["planimetric"]["grains_per_mm2"]["percent_ra"] > 10
    assert any("%RA" in line for line in summary["warnings"])


def test_sub_fields_cover_the_field_once() -> None:
    parts = sub_fields(np.arange(35 * 41).reshape(35, 41), 3)
    assert sum(part.size for part in parts) == 35 * 41
    assert len(np.unique(np.concatenate([part.ravel() for part in parts]))) == 35 * 41


def test_g_of_known_grains_is_found_within_a_quarter_by_every_method() -> None:
    errors = []
    for seed, g in enumerate(np.linspace(5, 11, 12)):
        truth = render_grains(float(g), 40 + seed, size_px=400)
        lines = measure_field(truth.labels, truth.pixel_size_um)
        errors.append([lines.intercept_g.number - truth.intercept_g, lines.planimetric_g.number - truth.grain_size_g])
    assert np.abs(errors).max() < 0.25
    assert np.abs(np.mean(errors, axis=0)).max() < 0.06
