"""What reports say: loads with points and commas, causes in two spellings, doubtful FOANs."""

from __future__ import annotations

import pytest
from archive_cases import foan

from sorby.corpus.archive import parse_report
from sorby.corpus.archive.report_fields import classify_text, read_load
from sorby.corpus.archive.report_text import Line, Page, ReportText

BOUNDS = (500.0, 100_000.0)


def said(*lines: str, sure: float = 1.0) -> ReportText:
    return ReportText((Page(tuple(Line(line, sure) for line in lines), "text layer"),), 1)


@pytest.mark.parametrize(
    ("text", "unit_n", "load_n"),
    [
        ("14.23", 1000, 14_230.0),
        ("14,23", 1000, 14_230.0),
        ("14 234", 1, 14_234.0),
        ("14.234", 1, 14_234.0),  # 14 N would not break it
        ("14,234", 1, 14_234.0),
        ("14.234,5", 1, 14_234.5),
        ("14,234.5", 1, 14_234.5),
        ("9'870", 1, 9_870.0),
        ("14.234", 1000, 14_234.0),  # 14,234 kN would be a bridge
        ("0,9", 1000, 900.0),
    ],
)
def test_loads_are_read_with_points_commas_and_blanks(text, unit_n, load_n):
    assert read_load(text, unit_n, BOUNDS) == (load_n, "")


def test_a_load_of_two_plausible_readings_is_in_doubt():
    load, doubt = read_load("1.500", 1000.0, (1.0, 1e7))
    assert load == 1_500_000.0
    assert "1500 N" in doubt


@pytest.mark.parametrize("text", ["3", "999999999", "1.2.3", "no number"])
def test_an_implausible_load_is_none_and_says_why(text):
    load, doubt = read_load(text, 1.0, BOUNDS)
    assert load is None
    assert doubt


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Grünkörperfehler", "green_body"),
        ("GRUENKOERPERFEHLER", "green_body"),
        ("Grunkorperfehler", "green_body"),
        ("Hard-machining defect.", "hard_machining"),
        ("Hard machining defecl", "hard_machining"),
        ("Ursprung unbekannt", "unknown"),
        ("Handling damage", "unknown"),
        ("", "unknown"),
    ],
)
def test_causes_are_understood_without_accents_case_and_a_misread_letter(rules, text, label):
    assert classify_text(text, rules)[0] == label


def test_a_cause_that_the_rules_do_not_know_is_said(rules):
    found = parse_report(
        said(f"FOAN: {foan(417)}", "Serial no.: 4711023", "Fracture type: Handling damage"), "r", rules
    )
    assert found.components[0].label == "unknown"
    assert any("Handling damage" in line for line in found.problems)


def test_a_recognised_foan_is_mended_and_less_sure(rules):
    whole = foan(10_508)
    printed = f"FOAN-{whole[4:8]}-{whole[8:13].replace('0', 'O', 1)}-{whole[13]}"
    found = parse_report(said(f"FOAN: {printed}", "Fracture type: Material defect", sure=0.9), "r", rules)
    assert found.foan == whole
    assert found.confidence["foan"] == pytest.approx(0.72)
    assert any("taken for" in line for line in found.problems)


def test_a_broken_check_digit_is_kept_and_said(rules):
    broken = foan(417)[:-1] + ("0" if foan(417)[-1] != "0" else "1")
    found = parse_report(said(f"FOAN: {broken}"), "r", rules)
    assert found.foan == broken
    assert any("does not obey" in line for line in found.problems)


def test_several_foans_in_one_report_are_said_and_the_first_whole_one_counts(rules):
    found = parse_report(said(f"FOAN: {foan(417)}", f"see also FOAN: {foan(418)}"), "r", rules)
    assert found.foan == foan(417)
    assert any("several FOANs" in line for line in found.problems)


def test_a_report_without_foan_has_no_components(rules):
    found = parse_report(said("Fracture type: Material defect"), "r", rules)
    assert (found.foan, found.components) == (None, ())


def test_several_serial_numbers_are_several_components(rules):
    lines = (f"FOAN: {foan(417)}", "Serial no.: 4711023", "Serial no.: 4711024", "Fracture type: Material defect")
    assert parse_report(said(*lines), "r", rules).serials == ("4711023", "4711024")


def test_a_pattern_with_a_line_break_sees_the_next_line(rules):
    report = rules.report.model_copy(update={"fracture_type": [r"Fracture type\n(?P<value>.+)"]})
    below = rules.model_copy(update={"report": report})
    found = parse_report(said(f"FOAN: {foan(417)}", "Fracture type", "Material defect"), "r", below)
    assert found.components[0].label == "material"
