"""``electro compare``: materials are ranked where their intervals allow it, and nowhere else."""

from __future__ import annotations

import json

import pytest

from polarisation_sweeps import synthetic_sweep, write_columns
from sorby.cli._frame import run
from sorby.cli.electro_compare import compare
from sorby.electrochem.mixed_control import MixedControl
from sorby.errors import InputError
from sorby.workflow.material_comparison import compare_materials
from sorby.workflow.polarisation import Electrode

CELL = Electrode(area_mm2=100.0)


def curve(folder, name, icorr, ecorr=-0.5, noise=0.0, seed=0):
    model = MixedControl(icorr, 60.0, 120.0, ecorr)
    sweep = synthetic_sweep(model, ecorr - 0.2, ecorr + 0.2, noise=noise, seed=seed)
    return write_columns(folder / f"{name}.txt", sweep)


def test_rates_far_apart_are_ranked_and_the_base_metal_is_named(tmp_path):
    result = compare_materials(
        [
            ("AZ31B", curve(tmp_path, "magnesium", 1e-4, -1.5)),
            ("316L", curve(tmp_path, "steel", 1e-6, -0.4)),
        ],
        CELL,
    )
    assert [row["material"] for row in result["materials"]] == ["316L", "AZ31B"]
    slow, fast = (row["corrosion_rate_mm_y"] for row in result["materials"])
    # ASTM G102: 3.27e-3 times current, equivalent weight and 1/density: 0.0106 for 316L, 2.24 for AZ31B.
    assert slow == pytest.approx(0.0106, rel=0.02)
    assert fast == pytest.approx(2.24, rel=0.02)
    assert any("times slower than AZ31B" in line for line in result["reading"])
    assert any("in contact, AZ31B" in line and "1.10 V below" in line for line in result["reading"])
    assert any("passive" in line for line in result["materials"][0]["warnings"])


def test_overlapping_intervals_rank_nothing(tmp_path):
    files = [
        ("1018", curve(tmp_path, "a", 1.0e-5, noise=0.05, seed=1)),
        ("1018", curve(tmp_path, "b", 1.6e-5, noise=0.05, seed=2)),
        ("304", curve(tmp_path, "c", 1.3e-5, noise=0.05, seed=3)),
    ]
    result = compare_materials(files, CELL)
    assert any("not told apart" in line for line in result["reading"])
    steel = next(row for row in result["materials"] if row["material"] == "1018")
    low, high = steel["ci95"]["corrosion_rate_mm_y"]
    # The interval of two specimens spans both of them.
    assert low < 0.0116 * 10
    assert high > 0.0116 * 16
    assert not any("in contact" in line for line in result["reading"])


def test_the_command_and_what_it_refuses(tmp_path, capsys):
    good, bad = curve(tmp_path, "good", 1e-5), tmp_path / "bad.txt"
    bad.write_text("nothing\n")
    assert run(compare, [f"1018={good}", f"316L={bad}", "--area-mm2", "100", "--json"]) == 3
    result = json.loads(capsys.readouterr().out)
    assert [row["material"] for row in result["materials"]] == ["1018"]
    assert [entry["file"] for entry in result["quarantined"]] == [str(bad)]
    assert run(compare, [f"1018={good}", "--area-mm2", "100"]) == 0
    assert "mm/year" in capsys.readouterr().out
    assert run(compare, [str(good)]) == 2
    assert "ALLOY=FILE" in capsys.readouterr().err
    with pytest.raises(InputError, match="cheese"):
        compare_materials([("cheese", good)], CELL)


def test_files_too_far_apart_for_one_alloy_are_told_and_no_couple_is_named(tmp_path):
    result = compare_materials(
        [
            ("316L", curve(tmp_path, "steel", 1e-6, -0.4)),
            ("316L", curve(tmp_path, "perhaps-magnesium", 1e-4, -1.5)),
            ("AZ31B", curve(tmp_path, "magnesium", 1e-4, -1.5)),
        ],
        CELL,
    )
    row = next(row for row in result["materials"] if row["material"] == "316L")
    assert any("differ by 1.10 V" in line for line in row["warnings"])
    assert not any("in contact" in line for line in result["reading"])


def test_a_folder_is_called_one(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        compare_materials([("316L", tmp_path)], CELL)
