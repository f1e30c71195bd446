"""The corrosion paper's printed numbers: what is kept of them, and which follow from which."""

from __future__ import annotations

import json

import pytest

from sorby.cli import cli
from sorby.cli._frame import run
from sorby.electrochem.alloys import ALLOYS
from sorby.errors import InputError
from sorby.workflow.papers import bhat2023 as s2
from sorby.workflow.papers.corrosion_consistency import TOPICS, VERDICTS, consistency_rows, rate_factor, verdict_counts
from sorby.workflow.papers.corrosion_page import run_consistency


def _rows(topic, quantity=""):
    return [row for row in consistency_rows() if row["topic"] == topic and row["quantity"].startswith(quantity)]


def _computed(topic, quantity=""):
    return [row["computed"] for row in _rows(topic, quantity)]


def test_rates_by_the_standard_are_a_fraction_of_the_printed_ones():
    found = _rows("rates by the standard")
    assert [row["computed"] for row in found] == pytest.approx([0.753, 0.819, 1.008, 1.217, 1.676, 2.157], abs=5e-4)
    # The same wrong factor at all temperatures.
    assert [row["ratio"] for row in found] == pytest.approx([37.4] * 3 + [5.41] * 3, rel=2e-3)
    assert {row["verdict"] for row in found} == {"does not follow"}


def test_one_factor_for_each_alloy_gives_every_printed_rate_to_its_last_digit():
    assert rate_factor("316L") == pytest.approx(0.3907, abs=5e-5)
    assert rate_factor("AZ31B") == pytest.approx(0.12142, abs=5e-6)
    found = _rows("rates by one factor", "rate")
    assert len(found) == 6
    assert {row["verdict"] for row in found} == {"follows"}


def test_stern_geary_from_table_4_misses_table_5():
    found = _rows("Stern-Geary")
    # 2.303 of the standard against the logarithm itself: .02 %.
    assert [row["computed"] for row in found] == pytest.approx(
        [3659.5, 3231.0, 2213.0, 1916.1, 1431.9, 1059.0], rel=3e-4
    )
    assert [1 / row["ratio"] for row in found] == pytest.approx([11.5, 13.1, 11.3, 1.81, 1.53, 1.33], rel=5e-3)
    assert {row["verdict"] for row in found} == {"does not follow"}


def test_activation_energies_of_the_printed_currents():
    assert _computed("temperature", "activation energy from icorr") == pytest.approx([11.8, 23.3], abs=0.05)
    steel, magnesium = (row["why"] for row in _rows("temperature", "activation energy from icorr"))
    assert "r2 0.934" in steel
    assert "r2 0.998" in magnesium


def test_potential_shifts_from_303_k():
    assert _computed("potential shifts", "shift of Ecorr, mV, below") == [42, 38, -7, 9]
    verdicts = [row["verdict"] for row in _rows("potential shifts", "shift of Ecorr, mV, positive")]
    assert verdicts == ["follows", "follows", "does not follow", "follows"]


def test_no_printed_slope_fits_a_decade_into_the_sweep():
    found = _rows("slopes and sweep")
    assert len(found) == 12
    assert {row["verdict"] for row in found} == {"does not follow"}


def test_table_6_adds_up_and_the_text_describes_another_network():
    assert {row["verdict"] for row in _rows("network of Table 6")} == {"follows"}
    assert s2.flattened(150, 4, 4, 128) == s2.TABLE_6_FLATTEN
    assert _computed("network of Table 6", "parameters")[:-1] == [896, 18496, 73856, 147584, 3211776, 513]
    assert _computed("network of Table 6", "parameters")[-1] == 3_453_121
    first, *rest = _rows("network of the text")
    assert (first["computed"], first["verdict"]) == (147_456 * 4096 + 4096, "follows")
    assert "follows" not in {row["verdict"] for row in rest}


def test_images_and_the_accuracies_they_allow():
    assert _computed("images and accuracy", "images") == [25, 185, 210]
    found = {row["case"][:5]: row["verdict"] for row in _rows("images and accuracy", "nearest")}
    assert found == {"92.4%": "follows", "92.7%": "does not follow"}


def test_compositions_are_those_of_tables_1_and_2():
    # Magnesium is the balance; the heat of steel sums to 99.997.
    assert sum(ALLOYS["AZ31B"].composition.values()) == pytest.approx(100)
    assert sum(ALLOYS["316L"].composition.values()) == pytest.approx(99.997, abs=1e-9)


def test_digits_bound_what_rounding_may_have_moved():
    assert s2.Printed("794.80").half_unit == pytest.approx(0.005)
    assert s2.Printed("-413.0").relative_rounding == pytest.approx(0.05 / 413)
    assert s2.TABLE_4["AZ31B", 303].icorr_a_cm2.half_unit == pytest.approx(5e-9)


def test_every_row_has_a_verdict_and_a_reason():
    rows = consistency_rows()
    assert {row["topic"] for row in rows} == set(TOPICS)
    assert sum(verdict_counts(rows).values()) == len(rows)
    for row in rows:
        assert row["verdict"] in VERDICTS
        assert row["why"]
        # What nobody printed cannot be checked; trends and signs are said in words.
        assert row["verdict"] == "cannot be checked" or row["computed"] == row["computed"]


def test_the_page_and_its_json_hold_every_row(tmp_path):
    result = run_consistency(tmp_path / "out")
    text = (tmp_path / "out" / "paper.json").read_text(encoding="utf-8")
    stored = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert len(stored["rows"]) == len(result["rows"])
    page = (tmp_path / "out" / "consistency.html").read_text(encoding="utf-8")
    for part in ("28.14", "37.4 times", "3,453,121", "does not follow", "ASTM G102"):
        assert part in page
    assert ">nan<" not in page
    with pytest.raises(InputError):
        run_consistency(tmp_path / "out")


def test_the_command_prints_one_object(capsys):
    assert run(cli, ["electro", "consistency", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdicts"]["follows"] == len([row for row in found["rows"] if row["verdict"] == "follows"])
    assert run(cli, ["electro", "consistency"]) == 0
    assert "does not follow" in capsys.readouterr().out
