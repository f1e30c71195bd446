"""Sweeps and where their current is zero."""

from __future__ import annotations

import numpy as np
import pytest

from polarisation_sweeps import METAL, synthetic_sweep
from sorby.electrochem.corrosion_potential import corrosion_potential
from sorby.electrochem.polarisation_curve import PolarisationCurve, Stated, Sweep, densities, split_sweeps
from sorby.electrochem.sweep_analysis import check_sign
from sorby.errors import InputError


def _joined(*sweeps):
    return np.concatenate([one.potential_v for one in sweeps]), np.concatenate([one.density_a_cm2 for one in sweeps])


def _curve(current, *, per_area=False):
    stated = Stated("A", "file")
    return PolarisationCurve(np.zeros(len(current)), np.array(current), per_area, "", ("", ""), stated, stated, stated)


def test_up_and_down_in_one_file_are_two_sweeps():
    sweeps, notes = split_sweeps(*_joined(synthetic_sweep(), synthetic_sweep(down=True)))
    assert [one.direction for one in sweeps] == ["up", "down"]
    assert not notes
    for one in sweeps:
        assert corrosion_potential(one).potential_v == pytest.approx(METAL.ecorr_v, abs=1e-5)


def test_jitter_of_a_millivolt_does_not_turn_a_sweep(rng):
    sweep = synthetic_sweep()
    noisy = sweep.potential_v + 1e-3 * rng.uniform(-1, 1, len(sweep.potential_v))
    sweeps, _ = split_sweeps(noisy, sweep.density_a_cm2)
    assert [one.direction for one in sweeps] == ["up"]


def test_points_after_the_cell_was_switched_off_are_no_sweep():
    volts, amps = _joined(synthetic_sweep())
    volts, amps = np.append(volts, [-0.6, -0.6001, -0.5999]), np.append(amps, [1e-9, -1e-9, 1e-9])
    sweeps, notes = split_sweeps(volts, amps)
    assert len(sweeps) == 1
    assert sweeps[0].potential_v.max() < -0.25
    assert "left out" in notes[0]


def test_a_constant_potential_is_refused():
    with pytest.raises(InputError, match="never changes"):
        split_sweeps(np.full(50, -0.5), np.linspace(-1, 1, 50))


@pytest.mark.parametrize("area", [0.0, -3.0, float("nan")])
def test_an_area_that_is_none_is_refused(area):
    with pytest.raises(InputError, match="area"):
        densities(_curve([1.0]), area)


def test_density_is_current_over_area():
    assert densities(_curve([2e-3]), 50.0) == pytest.approx([4e-3])  # 2 mA on half a cm2
    assert densities(_curve([2e-3], per_area=True), None) == pytest.approx([2e-3])


def test_a_passage_at_the_turning_point_is_spurious():
    sweep = synthetic_sweep(down=True)
    density = sweep.density_a_cm2.copy()
    density[:2] = -1e-6  # the double layer is recharged just after the potential has turned
    found = corrosion_potential(Sweep(sweep.potential_v, density, "down", 0))
    assert found.potential_v == pytest.approx(METAL.ecorr_v, abs=1e-5)
    assert not found.others_v


def test_a_spike_of_a_range_change_is_no_passage():
    sweep = synthetic_sweep()
    density = sweep.density_a_cm2.copy()
    density[60] = 1e-3
    found = corrosion_potential(Sweep(sweep.potential_v, density, "up", 0))
    assert found.potential_v == pytest.approx(METAL.ecorr_v, abs=1e-5)
    assert not found.others_v


def test_a_purely_cathodic_sweep_has_no_corrosion_potential():
    assert corrosion_potential(synthetic_sweep(high_v=-0.55)) is None


def test_the_interval_of_ecorr_covers_the_truth_under_noise():
    covered = 0
    for seed in range(40):
        found = corrosion_potential(synthetic_sweep(noise=0.05, seed=seed))
        covered += found.ci95[0] <= METAL.ecorr_v <= found.ci95[1]
    assert covered >= 32  # 95 % promised by a normal approximation from eight points; 80 % would be a fault


def test_reversed_currents_are_refused_and_not_turned():
    sweep = synthetic_sweep()
    assert check_sign([sweep], "anodic-positive")
    turned = Sweep(sweep.potential_v, -sweep.density_a_cm2, "up", 0)
    with pytest.raises(InputError, match="positive to negative") as caught:
        check_sign([turned], "anodic-positive")
    assert "--sign cathodic-positive" in caught.value.hint


def test_a_branch_alone_confirms_no_sign():
    assert not check_sign([synthetic_sweep(high_v=-0.55)], "anodic-positive")
