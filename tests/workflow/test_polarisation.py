"""``electro pdp`` from file to result: contract, bad input, and the real curves against their authors."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from polarisation_sweeps import METAL, synthetic_sweep, write_columns
from sorby.cli._frame import finite, run
from sorby.cli.electro_pdp import pdp
from sorby.electrochem.mixed_control import MixedControl
from sorby.electrochem.polarisation_curve import Sweep
from sorby.errors import InputError
from sorby.workflow.polarisation import Electrode, PolarisationOptions, analyse_polarisation, analyse_series

VALUES = ("ecorr_v", "icorr_a_cm2", "beta_a_mv_dec", "beta_c_mv_dec", "rp_ohm_cm2", "corrosion_rate_mm_y")
STEEL = Electrode(area_mm2=100.0, material="1018")
SHORT = {"low_v": -0.7, "high_v": -0.3}


@pytest.fixture
def both_ways(tmp_path):
    shifted = MixedControl(2e-5, 60.0, 120.0, -0.52)
    sweeps = synthetic_sweep(**SHORT), synthetic_sweep(shifted, **SHORT, down=True)
    return write_columns(tmp_path / "curve.txt", *sweeps)


def test_the_top_level_repeats_the_first_sweep(both_ways):
    result = analyse_polarisation(both_ways, STEEL)
    assert [one["direction"] for one in result["sweeps"]] == ["up", "down"]
    for name in (*VALUES, "ci95", "direction"):
        assert result[name] == result["sweeps"][0][name]
    assert set(result["sweeps"][0]["warnings"]) <= set(result["warnings"])
    assert [one["ecorr_v"] for one in result["sweeps"]] == pytest.approx([-0.5, -0.52], abs=1e-4)
    for one in result["sweeps"]:
        for name in VALUES:
            low, high = one["ci95"][name]
            assert low <= one[name] <= high
    # 10 uA/cm2 of iron: 0.0116 mm a year for each uA/cm2.
    assert result["corrosion_rate_mm_y"] == pytest.approx(0.116, rel=0.01)
    json.dumps(finite(result), allow_nan=False)


def test_the_command_prints_one_object(both_ways, capsys):
    assert run(pdp, [str(both_ways), "--area-mm2", "100", "--material", "1018", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["material"] == "1018"
    assert run(pdp, [str(both_ways), "--area-mm2", "100", "--material", "1018"]) == 0
    assert "sweep down" in capsys.readouterr().out


def test_windows_of_the_person_are_used(both_ways, capsys):
    arguments = ["--anodic-window", "20,120", "--cathodic-window", "30,150", "--area-mm2", "100", "--json"]
    assert run(pdp, [str(both_ways), *arguments]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["fit"]["anodic_window_mv"], result["fit"]["cathodic_window_mv"]) == ([20, 120], [30, 150])
    assert result["icorr_a_cm2"] == pytest.approx(METAL.icorr_a_cm2, rel=0.01)
    assert result["corrosion_rate_mm_y"] is None
    assert any("no corrosion rate" in line for line in result["warnings"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--area-mm2", "0"], "area of 0 mm2"),
        ([], "area is not known"),
        (["--area-mm2", "100", "--material", "cheese"], "cheese"),
        (["--area-mm2", "100", "--anodic-window", "20"], "two numbers"),
        (["--area-mm2", "100", "--anodic-window", "900,950"], "branch ends"),
        (["--area-mm2", "100", "--sign", "cathodic-positive"], "positive to negative"),
        (["--area-mm2", "100", "--current-unit", "kA"], "unknown unit"),
        (["--area-mm2", "100", "--equivalent-weight", "0", "--density", "7"], "equivalent weight 0"),
        (["--area-mm2", "100", "--beta-mv-dec", "0,120"], "not above zero"),
        (["--area-mm2", "100", "--temperature-k", "303", "--temperature-k", "313"], "2 temperatures for 1 curves"),
        (["--area-mm2", "100", "--temperature-k", "0"], "temperature-k"),
    ],
)
def test_wrong_requests_get_one_line_and_a_hint(both_ways, capsys, arguments, message):
    assert run(pdp, [str(both_ways), *arguments]) == 2
    error, hint = capsys.readouterr().err.strip().splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert hint.startswith("hint: ")


def test_milliamperes_labelled_amperes_are_warned_of_and_not_changed(tmp_path):
    file = write_columns(
        tmp_path / "wrong.txt", synthetic_sweep(MixedControl(2e-4, 60, 120, -0.5), **SHORT), area_cm2=1e3
    )
    result = analyse_polarisation(file, STEEL)
    assert result["icorr_a_cm2"] == pytest.approx(0.2, rel=0.01)
    assert sum("implausible" in line for line in result["warnings"]) >= 1
    assert result["units"]["current"] == {"unit": "A", "from": "file"}
    right = analyse_polarisation(file, STEEL, PolarisationOptions(current_unit="mA"))
    assert right["icorr_a_cm2"] == pytest.approx(2e-4, rel=0.01)
    assert right["units"]["current"] == {"unit": "mA", "from": "option"}
    assert not any("implausible" in line for line in right["warnings"])


def test_a_reversed_sign_is_refused_and_the_option_mends_it(tmp_path):
    model = synthetic_sweep(**SHORT)
    file = write_columns(tmp_path / "american.txt", model, area_cm2=-1.0)
    with pytest.raises(InputError, match="positive to negative"):
        analyse_polarisation(file, STEEL)
    result = analyse_polarisation(file, STEEL, PolarisationOptions(sign="cathodic-positive"))
    assert result["icorr_a_cm2"] == pytest.approx(METAL.icorr_a_cm2, rel=0.01)


def test_decimal_commas_give_the_same_result(tmp_path):
    first, second = (
        analyse_polarisation(write_columns(tmp_path / f"{comma}.txt", synthetic_sweep(**SHORT), comma=comma), STEEL)
        for comma in (False, True)
    )
    assert second["icorr_a_cm2"] == pytest.approx(first["icorr_a_cm2"], rel=1e-6)


def test_bare_numbers_are_volts_and_amperes_by_default_and_say_so(tmp_path):
    file = write_columns(tmp_path / "bare.txt", synthetic_sweep(**SHORT), header="")
    result = analyse_polarisation(file, STEEL)
    assert {entry["from"] for entry in result["units"].values()} == {"default"}
    assert any("states no units" in line for line in result["warnings"])


def test_columns_of_bare_numbers_can_be_chosen(tmp_path):
    sweep = synthetic_sweep(**SHORT)
    file = tmp_path / "timed.txt"
    pairs = enumerate(zip(sweep.potential_v, sweep.density_a_cm2, strict=True))
    file.write_text("".join(f"{second} {volt:.4f} {amp:.8e}\n" for second, (volt, amp) in pairs))
    assert any("V are implausible" in line for line in analyse_polarisation(file, STEEL)["warnings"])
    result = analyse_polarisation(file, STEEL, PolarisationOptions(columns=(2, 3)))
    assert result["icorr_a_cm2"] == pytest.approx(METAL.icorr_a_cm2, rel=0.01)
    with pytest.raises(InputError, match="columns 2 and 4 of 3"):
        analyse_polarisation(file, STEEL, PolarisationOptions(columns=(2, 4)))


def test_absolute_currents_are_suspected(tmp_path):
    sweep = synthetic_sweep(**SHORT)
    turned = Sweep(sweep.potential_v, abs(sweep.density_a_cm2), "up", 0)
    result = analyse_polarisation(write_columns(tmp_path / "absolute.txt", turned), STEEL)
    assert result["icorr_a_cm2"] is None
    assert any("lost their sign" in line for line in result["warnings"])


def test_noise_has_no_corrosion_potential(tmp_path, rng):
    sweep = synthetic_sweep(**SHORT)
    noise = Sweep(sweep.potential_v, 1e-6 * rng.standard_normal(len(sweep.potential_v)), "up", 0)
    result = analyse_polarisation(write_columns(tmp_path / "noise.txt", noise), STEEL)
    assert result["ecorr_v"] is None
    assert any("noise" in line for line in result["warnings"])


def test_an_activation_energy_over_temperatures(tmp_path):
    kelvins, files = (303.0, 313.0, 323.0), []
    for kelvin in kelvins:
        model = MixedControl(1e-5 * math.exp(-30e3 / 8.314462618 * (1 / kelvin - 1 / 303)), 60, 120, -0.5)
        files.append(write_columns(tmp_path / f"{kelvin:.0f}.txt", synthetic_sweep(model, **SHORT)))
    result = analyse_series(files, STEEL, temperatures_k=kelvins)
    assert result["arrhenius"]["activation_energy_kj_mol"] == pytest.approx(30, rel=0.01)
    assert result["arrhenius"]["decorr_v"] == pytest.approx([0, 0, 0], abs=1e-5)
    assert result["arrhenius"]["icorr_rises"]
    assert "icorr rises" in result["arrhenius"]["reading"][0]
    assert "both reactions" in result["arrhenius"]["reading"][1]
    assert [one["temperature_k"] for one in result["series"]] == [303, 313, 323]
    # Given from hot to cold, the current still rises with temperature; the potential shifts from the first file.
    assert analyse_series(files[::-1], STEEL, temperatures_k=kelvins[::-1])["arrhenius"]["icorr_rises"]


def test_a_large_shift_of_potential_is_one_reactions(tmp_path):
    files = [
        write_columns(tmp_path / f"{k}.txt", synthetic_sweep(MixedControl(1e-5, 60, 120, -0.5 - 0.1 * k), **SHORT))
        for k in (0, 1)
    ]
    reading = analyse_series(files, STEEL, temperatures_k=(303, 313))["arrhenius"]["reading"]
    assert any("-100 mV" in line and "one reaction" in line for line in reading)


def test_a_bad_curve_among_good_ones_is_set_aside(both_ways, tmp_path, capsys):
    bad = tmp_path / "bad.txt"
    bad.write_text("nothing\n")
    kelvins = ["--temperature-k", "303", "--temperature-k", "313"]
    assert run(pdp, [str(both_ways), str(bad), "--area-mm2", "100", *kelvins, "--json"]) == 3
    result = json.loads(capsys.readouterr().out)
    assert [entry["file"] for entry in result["quarantined"]] == [str(bad)]
    assert len(result["series"]) == 1
    with pytest.raises(InputError, match="none of 2"):
        analyse_series([bad, bad], STEEL)


def test_the_page_shows_every_sweep_and_the_line_over_temperature(tmp_path):
    files = []
    for kelvin, factor in ((303.0, 1.0), (323.0, 2.0)):
        model = MixedControl(1e-5 * factor, 60, 120, -0.5)
        path = write_columns(tmp_path / f"{kelvin:.0f}.txt", synthetic_sweep(model, **SHORT))
        files.append(path)
    analyse_series(files, STEEL, temperatures_k=(303, 323), out=tmp_path / "page")
    page = (tmp_path / "page" / "polarisation.html").read_text()
    assert page.count("<svg") == 4  # both curves together, the Arrhenius line, and each curve by itself
    assert "Activation energy" in page
    stored = json.loads((tmp_path / "page" / "polarisation.json").read_text())
    assert len(stored["series"]) == 2


# Author's fits of the laboratory report: Ecorr (V vs SCE), icorr (A/mm2) and both slopes (mV a decade). Its table does
# not say which slope belongs to which branch, so each has to lie in both intervals.
AUTHOR = {
    "1018MS_1M_H2SO4_Cathodic_Anodic": [(-0.4794, 1.784e-6, 87.8, 89.0), (-0.4843, 1.888e-6, 95.9, 88.3)],
    "1018MS_1M_H2SO4_Cathodic_Anodic_10mA": [(-0.4730, 1.663e-6, 83.4, 85.2), (-0.4842, 3.096e-6, 57.3, 80.8)],
}


@pytest.mark.realdata
@pytest.mark.parametrize("stem", sorted(AUTHOR))
def test_intervals_of_mild_steel_cover_the_author_within_a_factor_of_two(real_data, stem):
    result = analyse_polarisation(real_data / "pdp" / f"{stem}.txt", Electrode(152.71, "1018"))
    assert [one["direction"] for one in result["sweeps"]] == ["up", "down"]
    for one, (ecorr, icorr, *slopes) in zip(result["sweeps"], AUTHOR[stem], strict=True):
        assert one["ecorr_v"] == pytest.approx(ecorr, abs=1e-3)
        covered = {"icorr_a_cm2": [100 * icorr], "beta_a_mv_dec": slopes, "beta_c_mv_dec": slopes}
        for name, values in covered.items():
            low, high = one["ci95"][name]
            assert high <= 2 * low, name
            for value in values:
                assert low <= value <= high, name


@pytest.mark.realdata
@pytest.mark.parametrize("stem", sorted(AUTHOR))
def test_fifty_millivolts_either_way_repeat_the_author(real_data, stem):
    """Read as anodic, cathodic, the author's slopes are what mixed control gives within 50 mV; 10 % is one window."""
    options = PolarisationOptions(anodic_window_mv=(0, 50), cathodic_window_mv=(0, 50))
    result = analyse_polarisation(real_data / "pdp" / f"{stem}.txt", Electrode(152.71, "1018"), options)
    for one, (_, icorr, beta_a, beta_c) in zip(result["sweeps"], AUTHOR[stem], strict=True):
        found = [one["icorr_a_cm2"], one["beta_a_mv_dec"], one["beta_c_mv_dec"]]
        assert found == pytest.approx([100 * icorr, beta_a, beta_c], rel=0.1)


@pytest.mark.realdata
def test_the_short_anodic_branch_of_mild_steel_is_warned_of(real_data):
    file = real_data / "pdp" / "1018MS_1M_H2SO4_Cathodic_Anodic.txt"
    result = analyse_polarisation(file, Electrode(152.71, "1018"))
    assert any("short anodic branch" in line and "52 mV" in line for line in result["warnings"])


@pytest.mark.realdata
def test_linear_polarisation_agrees_with_the_wide_sweep(real_data):
    """The same steel and acid within a 1 mA range; electrodes differ by some 10 %."""
    wide = analyse_polarisation(real_data / "pdp" / "1018MS_1M_H2SO4_Cathodic_Anodic.txt", Electrode(152.71))
    slow = analyse_polarisation(real_data / "pdp" / "1018MS_1M_H2SO4_LPR.txt", Electrode(152.71))
    low, high = slow["ci95"]["rp_ohm_cm2"]
    assert low <= slow["rp_ohm_cm2"] <= high <= 1.3 * low
    assert slow["rp_ohm_cm2"] == pytest.approx(wide["rp_ohm_cm2"], rel=0.15)
    assert slow["icorr_a_cm2"] is None


@pytest.mark.realdata
def test_304_is_recognised_as_passive(real_data):
    result = analyse_polarisation(real_data / "pdp" / "304SS_1M_H2SO4_Anodic.txt", Electrode(165.45, "304"))
    assert result["passive"] is not None
    assert result["corrosion_rate_mm_y"] is None
    assert all(any("passive" in line for line in one["warnings"]) for one in result["sweeps"])
    cathodic = analyse_polarisation(real_data / "pdp" / "304SS_1M_H2SO4_Cathodic.txt", Electrode(165.45, "304"))
    assert any("passive" in line for line in cathodic["warnings"])
    assert any("beta_a is not known" in line for line in cathodic["warnings"])


@pytest.mark.realdata
def test_no_impedance_file_yields_a_corrosion_potential(real_data):
    """Most are refused; bare numbers, and a maker's file with potentials of its own, end without a result."""
    refused = 0
    files = sorted((real_data / "eis").iterdir())
    for file in files:
        try:
            assert analyse_polarisation(file, STEEL)["ecorr_v"] is None
        except InputError:
            refused += 1
    assert refused >= len(files) - 4


def test_an_area_beside_currents_per_area_is_told_and_zero_refused(tmp_path: Path) -> None:
    volts = np.linspace(-0.7, -0.3, 201)
    currents = 1e-6 * (10 ** ((volts + 0.5) / 0.1) - 10 ** (-(volts + 0.5) / 0.12))
    lines = [
        "Potential (V)\tCurrent density (A/cm2)",
        *(f"{v:.6f}\t{i:.8e}" for v, i in zip(volts, currents, strict=True)),
    ]
    file = tmp_path / "density.txt"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    told = analyse_polarisation(file, Electrode(area_mm2=100.0))
    plain = analyse_polarisation(file, Electrode())
    assert told["icorr_a_cm2"] == plain["icorr_a_cm2"]
    assert any("not used" in line for line in told["warnings"])
    with pytest.raises(InputError, match="an area of 0 mm2"):
        analyse_polarisation(file, Electrode(area_mm2=0.0))
