"""Grain size numbers against the relations and tables of ASTM E112 and ISO 643."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sorby.errors import InputError
from sorby.measure.grain_size import AstmGrainSize, IsoGrainSize, field_statistics, from_grains_per_mm2

# ASTM E112, table of grain size relationships for uniform, randomly oriented, equiaxed grains:
# G, grains per mm2 at 1x, mean intercept in micrometres.
E112_TABLE = [
    (0.0, 7.75, 320.0),
    (1.0, 15.50, 226.3),
    (2.0, 31.00, 160.0),
    (4.0, 124.0, 80.0),
    (5.0, 248.0, 56.6),
    (8.0, 1984.0, 20.0),
    (10.0, 7936.0, 10.0),
    (12.0, 31744.0, 5.0),
]


@pytest.mark.parametrize(("g", "per_mm2", "intercept_um"), E112_TABLE)
def test_e112_table_of_grain_size_relationships_is_reproduced(g: float, per_mm2: float, intercept_um: float) -> None:
    # The table is rounded to three or four digits, which moves G by less than .01.
    assert AstmGrainSize.from_mean_intercept(intercept_um / 1000).number == pytest.approx(g, abs=0.01)
    assert AstmGrainSize.from_grains_per_mm2(per_mm2).number == pytest.approx(g, abs=0.01)


def test_g_8_has_a_mean_intercept_of_twenty_micrometres_in_the_equation_itself() -> None:
    expected_mm = 10 ** ((8.0 + 3.288) / -6.643856)
    assert AstmGrainSize(8.0).mean_intercept_mm == pytest.approx(expected_mm)
    assert expected_mm == pytest.approx(0.0200, abs=5e-5)


@pytest.mark.parametrize("g", [-2, 0, 3, 4, 8, 12])
def test_iso_643_defines_eight_grains_per_mm2_times_two_to_the_g(g: int) -> None:
    assert IsoGrainSize.from_grains_per_mm2(8.0 * 2.0**g).number == pytest.approx(g)


def test_iso_643_lies_46_thousandths_below_astm_for_the_same_grains_per_area() -> None:
    for density in (31.0, 496.0, 7936.0):
        apart = from_grains_per_mm2(density, "astm-e112").number - from_grains_per_mm2(density, "iso-643").number
        assert apart == pytest.approx(0.046, abs=0.001)


def test_the_two_standards_never_compare_equal_and_print_their_edition() -> None:
    astm, iso = AstmGrainSize(7.0), IsoGrainSize(7.0)
    assert astm != iso
    assert str(astm).startswith("ASTM E112-")
    assert str(iso).startswith("ISO 643:")


def test_halving_the_mean_intercept_adds_two_to_g() -> None:
    coarse, fine = AstmGrainSize.from_mean_intercept(0.08), AstmGrainSize.from_mean_intercept(0.04)
    assert fine.number - coarse.number == pytest.approx(2.0, abs=1e-5)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_length_or_count_that_cannot_be_has_no_grain_size(value: float) -> None:
    with pytest.raises(InputError):
        AstmGrainSize.from_mean_intercept(value)
    with pytest.raises(InputError):
        IsoGrainSize.from_grains_per_mm2(value)


def test_interval_and_relative_accuracy_follow_the_t_distribution() -> None:
    # Five fields, mean 11, s = sqrt(2.5); t(.975, 4) = 2.776 from the printed table.
    over = field_statistics([10.0, 12.0, 11.0, 9.0, 13.0])
    half = 2.776 * math.sqrt(2.5) / math.sqrt(5)
    assert over.s == pytest.approx(math.sqrt(2.5))
    assert over.ci95 == pytest.approx((11 - half, 11 + half), abs=1e-3)
    assert over.relative_accuracy == pytest.approx(100 * half / 11, abs=0.02)


def test_one_field_has_no_spread_and_no_field_is_an_error() -> None:
    assert field_statistics([4.0]).ci95 is None
    with pytest.raises(InputError, match="no field"):
        field_statistics([])


def test_the_interval_covers_the_mean_in_19_of_20_repetitions() -> None:
    rng = np.random.default_rng(112)
    inside = 0
    for values in rng.normal(20.0, 2.0, (2000, 5)):
        low, high = field_statistics(values.tolist()).ci95 or (0.0, 0.0)
        inside += low <= 20.0 <= high
    assert inside / 2000 == pytest.approx(0.95, abs=0.015)  # three standard errors of 2,000 trials
