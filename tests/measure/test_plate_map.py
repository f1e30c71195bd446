"""Maps of plates: areas that add up, fractions behind a known confusion, intervals that know neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from sorby.errors import InputError
from sorby.measure.plate_map import block_side, map_of_tiles, resampled_fractions, unconfused
from sorby.micrograph.tiling import Tiler

WHOLE = np.ones((50, 70), bool)


def certain(grades: np.ndarray, size: int = 5) -> np.ndarray:
    return np.eye(size)[grades]


def test_cells_cover_the_plate_once_however_tiles_overlap() -> None:
    for overlap in (0, 7):
        plan = Tiler.fixed_pixels(20, 30, overlap=overlap).plan(105, 143)
        found = map_of_tiles(
            plan, certain(np.zeros(len(plan), int)), np.ones(len(plan), bool), np.ones((105, 143), bool)
        )
        assert found.area.sum() == pytest.approx(105 * 143)
        assert found.counted().tolist() == [1, 0, 0, 0, 0]
        assert found.judged_share == 1


def test_a_cell_takes_the_mean_of_the_tiles_over_it() -> None:
    plan = Tiler.fixed_pixels(10, 10).plan(10, 15)  # the second tile is moved inwards: 5 columns lie in both
    found = map_of_tiles(plan, np.array([[1.0, 0.0], [0.0, 1.0]]), np.ones(2, bool), np.ones((10, 15), bool))
    assert found.left.tolist() == [0, 5, 10, 15]
    assert found.probabilities[0].tolist() == [[1, 0], [0.5, 0.5], [0, 1]]
    assert found.area.tolist() == [[50, 50, 50]]


def test_what_is_not_judged_counts_nowhere() -> None:
    plan = Tiler.fixed_pixels(10, 10).plan(10, 40)
    judged = np.array([True, True, False, True])
    found = map_of_tiles(plan, certain(np.array([0, 0, 4, 1])), judged, np.ones((10, 40), bool))
    assert found.called.tolist() == [[0, 0, -1, 1]]
    assert found.judged_share == 0.75
    assert found.counted() == pytest.approx([2 / 3, 1 / 3, 0, 0, 0])


def test_the_plate_and_not_its_surroundings_are_measured() -> None:
    plan = Tiler.fixed_pixels(10, 10).plan(20, 20)
    shown = np.ones((10, 10), bool)  # a mask at half the size
    shown[:, 5:] = False
    shown[:5, :5] = np.tri(5, dtype=bool)  # 15 of 25 entries of the first tile
    found = map_of_tiles(plan, certain(np.array([1, 2, 3, 4])), np.ones(4, bool), shown)
    assert found.area.tolist() == [[60, 0], [100, 0]]
    assert found.called.tolist() == [[1, -1], [3, -1]]
    assert found.counted() == pytest.approx([0, 60 / 160, 0, 100 / 160, 0])
    with pytest.raises(InputError, match="shows a plate"):
        map_of_tiles(plan, certain(np.zeros(4, int)), np.ones(4, bool), np.zeros((10, 10), bool))


def test_a_known_confusion_is_undone() -> None:
    confusion = np.array([[80, 20, 0], [10, 70, 20], [0, 30, 70]], float)
    truth = np.array([0.5, 0.3, 0.2])
    counted = truth @ (confusion / 100)
    # The iteration nears the answer as 1 / rounds where the matrix is as mild as this one.
    assert unconfused(counted, confusion, rounds=5000) == pytest.approx(truth, abs=1e-4)
    assert unconfused(counted, confusion) == pytest.approx(truth, abs=0.02)
    assert unconfused(counted, np.eye(3)) == pytest.approx(counted)


def test_corrected_fractions_are_shares() -> None:
    confusion = np.array([[60, 40], [40, 60]], float)
    found = unconfused(np.array([0.9, 0.1]), confusion)  # plain inversion would give 2.5 and -1.5
    assert found.sum() == pytest.approx(1)
    assert found.min() >= 0
    assert found[0] > 0.99


def test_a_class_that_was_never_tested_stays_as_called() -> None:
    confusion = np.diag([50.0, 50.0, 0.0])
    assert unconfused(np.array([0.2, 0.3, 0.5]), confusion) == pytest.approx([0.2, 0.3, 0.5])


def _plate(grades: np.ndarray):
    rows, columns = grades.shape
    plan = Tiler.fixed_pixels(10, 10).plan(rows * 10, columns * 10)
    return map_of_tiles(
        plan, certain(grades.ravel()), np.ones(rows * columns, bool), np.ones((rows * 10, columns * 10), bool)
    )  # fmt: skip


def test_neighbours_that_resemble_each_other_widen_the_interval(rng: np.random.Generator) -> None:
    patches = np.kron(rng.integers(0, 2, (4, 4)), np.ones((5, 5), int))
    mixed = rng.permutation(patches.ravel()).reshape(20, 20)
    clustered, scattered = _plate(patches), _plate(mixed)
    assert block_side(clustered) > block_side(scattered)
    spread = [np.ptp(np.percentile(resampled_fractions(each, None, 0)[:, 0], [2.5, 97.5]))
              for each in (clustered, scattered)]  # fmt: skip
    # 16 patches against 400 cells: five times as wide were they the blocks; they are found only roughly.
    assert spread[0] > 2 * spread[1]


def test_a_poorly_tested_classifier_widens_the_corrected_interval(rng: np.random.Generator) -> None:
    plate = _plate(rng.integers(0, 3, (12, 12)))
    confusion = np.zeros((5, 5))
    confusion[:3, :3] = [[80, 20, 0], [10, 80, 10], [0, 20, 80]]
    few, many = (np.ptp(np.percentile(resampled_fractions(plate, confusion, n)[:, 1], [2.5, 97.5])) for n in (15, 300))
    assert few > 1.3 * many


def test_the_same_seed_gives_the_same_draws(rng: np.random.Generator) -> None:
    plate = _plate(rng.integers(0, 5, (8, 8)))
    one, two = (resampled_fractions(plate, np.eye(5) * 20, 40, seed=3, n_resamples=50) for _ in range(2))
    assert np.array_equal(one, two)
    assert np.allclose(one.sum(axis=1), 1)


def test_a_single_tile_has_a_block_of_one() -> None:
    assert block_side(_plate(np.array([[2]]))) == 1


def test_intervals_of_patchy_plates_hold_the_truth_more_often_than_not() -> None:
    # Patches of about four cells on 8 x 10 and 16 x 20: 7 and 8 of 10 are what so few patches allow, and blocks just
    # as wide as the patches reached half of that. Scattered cells reach the stated 95 %.
    rng = np.random.default_rng(3)
    held = {}
    for rows, columns, width in ((8, 10, 0.0), (8, 10, 1.0), (16, 20, 2.0)):
        hits = []
        for _ in range(60):
            field = rng.standard_normal((rows + 20, columns + 20))
            smooth = ndimage.gaussian_filter(field, width)[10:-10, 10:-10] if width else field[10:-10, 10:-10]
            # Sums of squares of a Gaussian of this width give the spread of what it smoothed.
            spread = 1.0 if not width else 1 / (2 * np.sqrt(np.pi) * width)
            drawn = resampled_fractions(_plate((smooth > 0.5244 * spread).astype(int)), None, 0, n_resamples=300)[:, 1]
            low, high = np.percentile(drawn, [2.5, 97.5])
            hits.append(low <= 0.3 <= high)
        held[rows, width] = float(np.mean(hits))
    assert held[8, 0.0] > 0.85
    assert held[8, 1.0] > 0.8
    assert held[16, 2.0] > 0.7
