"""Rules of an archive: check digits, FOAN grammar, file names, and complaints about wrong files."""

from __future__ import annotations

import re

import pytest
import yaml
from archive_cases import foan

from sorby.corpus.archive import check_digit, load_rules, parse_names
from sorby.corpus.archive.check_digits import is_consistent
from sorby.corpus.archive.patterns import compile_pattern
from sorby.errors import InputError
from sorby.phantom.fracture.archive import rules_text


@pytest.mark.parametrize(
    ("method", "payload", "check"),
    [
        ("mod11", "030640615", "2"),  # ISBN 0-306-40615-2
        ("mod11", "080442957", "X"),  # ISBN 0-8044-2957-X
        ("luhn", "7992739871", "3"),  # the example of every textbook
        ("luhn", "453201511283036", "6"),
        ("mod97-10", "794", "44"),  # ISO/IEC 7064, table of examples
        ("mod97-10", "WEST12345698765432GB", "82"),  # IBAN GB82 WEST 1234 5698 7654 32
    ],
)
def test_check_digits_are_those_of_the_standards(method, payload, check):
    assert check_digit(method, payload) == check
    assert is_consistent(method, payload, check)
    assert not is_consistent(method, payload[1:] + payload[0], check)


def test_no_single_wrong_digit_passes_the_check(rules):
    whole = foan(417)
    assert rules.foan.is_whole(whole)
    for place in range(4, len(whole)):
        for digit in "0123456789":
            if digit != whole[place]:
                assert not rules.foan.is_whole(whole[:place] + digit + whole[place + 1 :])


def test_a_number_recognised_with_letters_for_digits_is_mended_when_only_one_reading_is_whole(rules):
    whole = foan(10_508)
    assert "0" in whole[6:]
    assert "1" in whole[6:]
    damaged = whole[:8] + whole[8:].replace("0", "O").replace("1", "I")
    assert damaged != whole
    assert rules.foan.mend(damaged) == whole
    assert rules.foan.mend("FOAN20230A4179") is None, "A looks like no digit"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("images/FOAN-2023-00417-9_SN4711023_FrA2_00050x_003.tif", ("FOAN2023004179", "4711023", "A2", 50.0)),
        ("FOAN-2023-0O417-9_FrB_02000x_010.png", ("FOAN20230O4179", None, "B", 2000.0)),
        ("sem-2023004179-s4711023-fA-m2k-07.png", ("FOAN2023004179", "4711023", "A", 2000.0)),
        ("sem-202304179-fA-m250-07.png", ("FOAN202304179", None, "A", 250.0)),
        ("Bruch_23-00417-9_Nr11023_BS-A_V500_2023-03-14_02.TIF", ("FOAN2023004179", "11023", "A", 500.0)),
        ("IMG_0042.png", (None, None, None, None)),
        ("overview (3).png", (None, None, None, None)),
    ],
)
def test_file_names_of_three_plants_give_foan_and_tags(rules, name, expected):
    row = parse_names([name], rules).iloc[0]
    magnification = None if row["magnification"] != row["magnification"] else row["magnification"]
    assert (row["foan"], row["serial"], row["fragment"], magnification) == expected


def test_the_session_date_stands_in_the_third_plants_names(rules):
    assert parse_names(["Bruch_23-00417-9_BS-A_V500_2023-03-14_02.tif"], rules)["date"].item() == "2023-03-14"


def written(tmp_path, change):
    content = yaml.safe_load(rules_text())
    change(content)
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(content), "utf-8")
    return path


def test_a_broken_regular_expression_is_named_with_its_place(tmp_path):
    def breaks(content):
        content["file_names"][1]["pattern"] = "sem-(?P<foan>[0-9+"

    with pytest.raises(InputError, match=r"file_names.1.*not a regular expression.*unterminated") as caught:
        load_rules(written(tmp_path, breaks))
    assert "\n" not in caught.value.message
    assert "(?P<name>" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["report"]["foan"].__setitem__(0, "FOAN (.*)"), r"report.foan.*no named group \(\?P<value>"),
        (lambda c: c["report"]["rows"].append(r"(?P<serial>\d+) (?P<colour>\w+)"), "group 'colour' means nothing"),
        (lambda c: c["file_names"][1].__setitem__("foan", "FOAN{year}"), "'year', which no group"),
        (lambda c: c["foan"]["check"].__setitem__("method", "mod12"), "foan.check.method"),
        (lambda c: c["foan"]["check"].__setitem__("over", ["plant"]), "no named group"),
        (lambda c: c["match"].__setitem__("similarity", 90), "match.similarity"),
        (lambda c: c.__setitem__("labelz", {}), "labelz: no such field"),
        (lambda c: c.pop("labels"), "labels"),
        (lambda c: c["report"].__setitem__("load_range_n", [5, 1]), "lower one first"),
    ],
)
def test_wrong_rules_are_refused_in_one_line_that_names_the_field(tmp_path, change, message):
    with pytest.raises(InputError, match=message) as caught:
        load_rules(written(tmp_path, change))
    assert "\n" not in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (lambda c: c.pop("report"), "add section report, fields: foan, serial"),
        (lambda c: c.pop("foan"), "add section foan, fields: "),
        (lambda c: c.pop("labels"), "add field labels"),
        (lambda c: c["report"].pop("foan"), "add field foan in report"),
        (lambda c: c["file_names"][1].pop("pattern"), "add field pattern in file_names.1"),
        (lambda c: c.__setitem__("report", None), "a section with fields: foan, serial"),
    ],
)
def test_what_is_missing_from_rules_is_named_by_the_hint(tmp_path, change, hint):
    with pytest.raises(InputError) as caught:
        load_rules(written(tmp_path, change))
    assert caught.value.hint.startswith(hint)


def test_an_absent_rules_file_says_where_one_comes_from(tmp_path):
    with pytest.raises(InputError, match="no such rules file") as caught:
        load_rules(tmp_path / "rules.yaml")
    assert "phantom" in caught.value.hint


ENDLESS = [
    r"(a+)+$",
    r"(?:\w*,)*x",
    r"((ab)*c)+",
    r"(x|y{2,})*",
    r"(a{1,20})+$",
    r"(?:[A-Z]{1,3}x)*",
    r"(\d{2,4}(-x)?)+",
    r"(a+){1,20}$",
    r"(b)(\1a{1,3})+",
]
HARMLESS = [
    r"(?:\d{1,3},)*\d+",
    r"[(*+)]+",
    r"\(\++\)+",
    r"(\d+)?x",
    r"(a|b)+c*",
    r"(?:[A-Z]{1,3}\d)+",
    r"(?P<foan>[A-Z]{3}(?:-\d{2,5}){1,3})",
    r"(?:_\d{1,4})+",
    r"(\d{3})+",
]


@pytest.mark.parametrize("pattern", ENDLESS)
def test_a_repeat_within_a_repeat_is_refused_because_it_may_never_end(pattern):
    with pytest.raises(ValueError, match="repeat within a repeat"):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", HARMLESS)
def test_harmless_repeats_are_taken(pattern):
    assert compile_pattern(pattern).pattern == pattern
    assert re.compile(pattern)
