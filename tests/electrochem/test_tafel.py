"""Tafel analysis and polarisation resistance on curves with known kinetics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from polarisation_sweeps import METAL, synthetic_sweep
from sorby.electrochem.corrosion_potential import corrosion_potential
from sorby.electrochem.linear_polarisation import (
    polarisation_resistance,
    stern_geary_b_v,
    stern_geary_current,
    stern_geary_resistance,
)
from sorby.electrochem.mixed_control import MixedControl
from sorby.electrochem.passivity import find_passive_branch
from sorby.electrochem.polarisation_curve import Sweep
from sorby.electrochem.sweep_analysis import analyse_sweep
from sorby.electrochem.tafel import fit_tafel
from sorby.errors import InputError

NAMES = ("icorr_a_cm2", "beta_a_mv_dec", "beta_c_mv_dec")


def _ratios(model: MixedControl, truth: MixedControl) -> np.ndarray:
    return np.array([getattr(model, name) / getattr(truth, name) for name in NAMES])


def _fit(sweep, **windows):
    return fit_tafel(sweep, corrosion_potential(sweep), **windows)


def test_the_model_is_zero_at_ecorr_and_bounded_by_its_limit():
    model = replace(METAL, limit_a_cm2=2e-4, resistance_ohm_cm2=30.0)
    assert model.density(np.array([model.ecorr_v]))[0] == pytest.approx(0, abs=1e-15)
    assert model.density(np.array([-2.0]))[0] == pytest.approx(-2e-4, rel=1e-6)


def test_an_ohmic_drop_is_taken_off_the_potential():
    model = replace(METAL, resistance_ohm_cm2=50.0)
    volts = np.linspace(-0.7, -0.3, 41)
    density = model.density(volts)
    np.testing.assert_allclose(density, METAL.density(volts - 50.0 * density), rtol=1e-9)


@pytest.mark.parametrize("window", [(20.0, 120.0), (50.0, 150.0), (0.0, 100.0)])
@pytest.mark.parametrize(
    "truth",
    [METAL, replace(METAL, limit_a_cm2=3e-4), replace(METAL, resistance_ohm_cm2=20.0)],
    ids=["activation", "limiting current", "ohmic drop"],
)
def test_a_given_window_recovers_the_truth_within_one_per_cent(truth, window):
    fit = _fit(synthetic_sweep(truth), anodic_window_mv=window, cathodic_window_mv=window)
    np.testing.assert_allclose(_ratios(fit.model, truth), 1, atol=0.01)
    assert fit.chosen_by == "person"
    assert fit.anodic_window_mv == window


def test_noise_of_one_per_cent_leaves_the_truth_within_two():
    """Two hundred points with 1 % noise fix slopes to a fraction of a per cent; 2 % is several standard errors."""
    fit = _fit(synthetic_sweep(noise=0.01), anodic_window_mv=(20, 120), cathodic_window_mv=(20, 120))
    np.testing.assert_allclose(_ratios(fit.model, METAL), 1, atol=0.02)


def test_the_rule_takes_all_of_a_curve_that_obeys_the_model():
    fit = _fit(synthetic_sweep(noise=0.005))
    assert fit.chosen_by == "rule"
    assert min(fit.anodic_window_mv[1], fit.cathodic_window_mv[1]) > 240
    for name in NAMES:
        low, high = fit.ci95[name]
        assert low <= getattr(METAL, name) <= high


def test_the_rule_stops_where_the_mechanism_changes():
    """Above 100 mV the anodic current is made to level off, as before a passivation peak."""
    sweep = synthetic_sweep()
    over = 1e3 * (sweep.potential_v - METAL.ecorr_v)
    bent = np.where(over > 100, METAL.density(np.array([METAL.ecorr_v + 0.1]))[0], sweep.density_a_cm2)
    fit = _fit(Sweep(sweep.potential_v, bent, "up", 0))
    assert fit.anodic_window_mv[1] <= 130
    for name in NAMES:
        assert fit.ci95[name][0] <= getattr(METAL, name) <= fit.ci95[name][1]


def test_the_interval_holds_both_its_shares():
    fit = _fit(synthetic_sweep(replace(METAL, resistance_ohm_cm2=100.0), noise=0.01))
    for name in NAMES:
        for share in (fit.window_range[name], fit.bootstrap_ci95[name]):
            assert fit.ci95[name][0] <= share[0] * 1.0001
            assert fit.ci95[name][1] >= share[1] / 1.0001


def test_spikes_of_range_changes_do_not_move_the_fit():
    sweep = synthetic_sweep(noise=0.002)
    density = sweep.density_a_cm2.copy()
    density[[150, 190, 300, 330]] *= np.array([20.0, 0.02, 15.0, -3.0])
    fit = _fit(Sweep(sweep.potential_v, density, "up", 0), anodic_window_mv=(0, 150), cathodic_window_mv=(0, 150))
    np.testing.assert_allclose(_ratios(fit.model, METAL), 1, atol=0.02)


def test_the_same_seed_gives_the_same_interval():
    sweep = synthetic_sweep(noise=0.01)
    assert _fit(sweep, seed=3).ci95 == _fit(sweep, seed=3).ci95


@pytest.mark.parametrize("window", [(100.0, 50.0), (-5.0, 50.0), (400.0, 500.0)])
def test_a_window_beyond_its_branch_is_refused(window):
    with pytest.raises(InputError, match="anodic window"):
        _fit(synthetic_sweep(), anodic_window_mv=window)


def test_a_short_anodic_branch_is_warned_of():
    lines = analyse_sweep(synthetic_sweep(high_v=-0.46)).warnings
    assert any("short anodic branch" in line and "less than a decade" in line for line in lines)
    assert any("more than the 39 mV" in line for line in lines)


def test_a_branch_of_ten_millivolts_has_no_slope():
    result = analyse_sweep(synthetic_sweep(high_v=-0.49))
    assert not result.tafel.beta_a_known
    assert result.icorr_stern_geary_a_cm2 is None
    assert any("beta_a is not known" in line for line in result.warnings)


def test_slopes_of_hundreds_of_millivolts_are_no_tafel_slopes():
    """The published table of 316L has 1356 and 1099 mV a decade from a sweep of 250 mV."""
    printed = MixedControl(7.203e-5, 1356.5, 1098.8, -0.413)
    lines = analyse_sweep(synthetic_sweep(printed, -0.663, -0.163)).warnings
    assert any("no Tafel slope" in line or "passive" in line for line in lines)


def test_twenty_millivolts_serve_linear_polarisation_only():
    result = analyse_sweep(synthetic_sweep(low_v=-0.52, high_v=-0.48), beta_mv_dec=(60.0, 120.0))
    assert result.tafel is None
    assert any("linear polarisation only" in line for line in result.warnings)
    # 1 %: a cubic over 10 mV leaves the fifth-order term of the curve.
    assert result.icorr_stern_geary_a_cm2 == pytest.approx(METAL.icorr_a_cm2, rel=0.01)


def test_rp_is_the_slope_at_ecorr_and_its_interval_covers_it():
    truth = stern_geary_resistance(METAL.icorr_a_cm2, METAL.beta_a_mv_dec, METAL.beta_c_mv_dec)
    sweep = synthetic_sweep(noise=0.02)
    found = polarisation_resistance(sweep, corrosion_potential(sweep))
    assert found.rp_ohm_cm2 == pytest.approx(truth, rel=0.03)
    assert found.ci95[0] <= truth <= found.ci95[1]


@pytest.mark.parametrize(
    ("icorr", "beta_a", "beta_c", "ohm_cm2"),
    [
        (7.203e-5, 1356.5, 1098.8, 3659.5), (7.834e-5, 1601.3, 916.6, 3231.0), (9.647e-5, 1190.7, 837.5, 2213.0),
        (5.420e-5, 427.7, 542.6, 1916.1), (7.466e-5, 451.4, 541.6, 1431.9), (9.611e-5, 419.4, 531.4, 1059.0),
    ],
)  # fmt: skip
def test_stern_geary_resistances_of_the_published_table(icorr, beta_a, beta_c, ohm_cm2):
    # The record was worked out with 2.303 for ln 10, 2e-4 more.
    found = stern_geary_resistance(icorr, beta_a, beta_c)
    assert found == pytest.approx(ohm_cm2, rel=3e-4)
    assert stern_geary_current(found, stern_geary_b_v(beta_a, beta_c)) == pytest.approx(icorr)


def test_a_passive_branch_is_found_and_gets_no_tafel_fit():
    sweep = synthetic_sweep(high_v=0.2)
    over = 1e3 * (sweep.potential_v - METAL.ecorr_v)
    passive = np.where(over > 120, 5e-6 * (1 + 1e-4 * over), sweep.density_a_cm2)
    result = analyse_sweep(Sweep(sweep.potential_v, passive, "up", 0))
    assert result.passive.density_a_cm2 == pytest.approx(5e-6, rel=0.1)
    assert result.passive.from_v == pytest.approx(-0.38, abs=0.01)
    assert result.passive.peak_a_cm2 > 1e-4
    assert result.tafel is None
    assert any("passive" in line for line in result.warnings)


def test_a_resistance_is_no_passivity():
    """Far above Ecorr an ohmic drop takes everything, and log currents hardly rise; yet nothing is passive."""
    sweep = synthetic_sweep(replace(METAL, resistance_ohm_cm2=2000.0), high_v=0.3)
    assert find_passive_branch(sweep, corrosion_potential(sweep)) is None


def test_a_metal_that_dissolves_freely_is_not_passive():
    sweep = synthetic_sweep()
    assert find_passive_branch(sweep, corrosion_potential(sweep)) is None
