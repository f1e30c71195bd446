"""The published leakage table: what its percentages stand for, and the rules that every such table obeys."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.corpus.leakage_table import (
    PUBLISHED_N,
    PUBLISHED_PERCENT,
    THRESHOLDS,
    LeakageTable,
    confirmed_counts,
    published_table,
)

# Whole numbers of images that the printed percentages stand for.
COUNTS = [
    [295, 121, 35, 14, 14, 14, 11],
    [258, 108, 32, 8, 6, 6, 5],
    [263, 111, 34, 10, 8, 8, 8],
    [291, 107, 40, 16, 13, 9, 8],
    [279, 100, 37, 12, 10, 8, 7],
]


def test_the_published_shares_are_whole_numbers_of_1772_images():
    table = published_table()
    assert table.counts.tolist() == COUNTS
    again = np.round(table.percent, 2)
    off = np.argwhere(again != np.array(PUBLISHED_PERCENT))
    # Three entries are printed one unit in the last place off what their counts give.
    printed = sorted(PUBLISHED_PERCENT[i][j] for i, j in off)
    assert printed == [6.10, 6.83, 15.75]
    assert np.abs(table.percent - np.array(PUBLISHED_PERCENT)).max() < 0.008


def test_another_number_of_images_fits_worse():
    printed = np.array(PUBLISHED_PERCENT)

    def misfit(n: float) -> float:
        return float(np.abs(np.rint(printed / 100 * n) / n * 100 - printed)[1:].max())

    stated = 8493 / 5
    assert misfit(1772) < 0.008 < 0.02 < min(misfit(int(stated)), misfit(int(stated) + 1))
    assert sum(PUBLISHED_N) == 8861


def test_mean_and_sd_over_the_published_folds():
    mean, sd = [15.64, 6.17, 2.01, 0.676, 0.574, 0.508, 0.440], [0.926, 0.432, 0.172, 0.179, 0.188, 0.169, 0.122]
    printed = np.array(PUBLISHED_PERCENT)
    assert np.allclose(printed.mean(axis=0), mean, atol=0.005)
    assert np.allclose(printed.std(axis=0, ddof=1), sd, atol=0.0006)
    table = published_table()
    # From the counts, rounding of the printed entries moves the means by up to .005 and the deviations by up to .003.
    assert np.allclose(table.mean, mean, atol=0.006)
    assert np.allclose(table.sd, sd, atol=0.0035)


def test_shares_never_rise_with_the_threshold(rng):
    best = rng.uniform(-1, 1, (200, 50))
    counts = np.stack([confirmed_counts(row) for row in best])
    assert (np.diff(counts, axis=1) <= 0).all()
    assert (np.diff(published_table().counts, axis=1) <= 0).all()


@pytest.mark.parametrize("place", range(7))
def test_an_image_at_the_threshold_counts(place):
    assert confirmed_counts([THRESHOLDS[place]])[place] == 1
    assert confirmed_counts([np.nextafter(THRESHOLDS[place], 0)])[place] == 0


def test_an_image_without_candidates_is_confirmed_nowhere():
    assert confirmed_counts([-1.0, -1.0, 0.7]).tolist() == [1, 1, 1, 0, 0, 0, 0]


def test_one_fold_has_no_spread():
    table = LeakageTable(THRESHOLDS, np.ones((1, 7), np.int64), np.array([4]))
    assert np.isnan(table.sd).all()
    assert table.as_dict()["sd"] == [None] * 7
