"""Matching of names with reports: exact, nearest, ties by serial number, and what stays unmatched."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from archive_cases import foan, report
from hypothesis import given, settings
from hypothesis import strategies as st

from sorby.corpus.archive import components_of, match_names
from sorby.corpus.archive.components import without_images
from sorby.corpus.archive.evidence import Evidence, confidence
from sorby.corpus.archive.matching import counts, similarities
from sorby.corpus.archive.rules import MatchRules
from sorby.phantom.fracture.file_naming import Foan


def match(rules, reports, *names):
    """Match (FOAN, serial) pairs; return the table with the component's specimen."""
    components = components_of(reports, rules)
    table = match_names(pd.DataFrame(list(names), columns=["foan", "serial"]), components, rules)
    named = [components["specimen"].iloc[row] if row >= 0 else None for row in table["component"]]
    return table.assign(specimen=named)


def test_the_exact_foan_is_taken_whatever_else_is_near(rules):
    near = foan(417)[:-1] + ("5" if foan(417)[-1] != "5" else "6")
    reports = [report("a.pdf", 417, ("4711023", "material")), report("b.pdf", 9_000, (None, "green_body"))]
    found = match(rules, reports, (foan(417), None), (near, None))
    assert list(found["match"]) == ["exact", "fuzzy"]
    assert list(found["specimen"]) == [f"{foan(417)}/4711023"] * 2
    assert list(found["match_similarity"]) == [1.0, pytest.approx(13 / 14)]
    assert found["match_confidence"].iloc[0] > found["match_confidence"].iloc[1]


def test_similarity_must_lie_above_the_limit_not_on_it(rules):
    ten = rules.model_copy(update={"match": MatchRules(similarity=1 - 1 / 14)})
    reports = [report("a.pdf", 417, (None, "material"))]
    damaged = foan(417)[:-2] + foan(417)[-1]
    assert match(rules, reports, (damaged, None))["match"].item() == "fuzzy"
    assert match(ten, reports, (damaged, None))["match"].item() == "unmatched"


def test_swapped_neighbours_are_two_edits_after_levenshtein_and_one_after_osa(rules):
    whole = foan(41_728)
    swapped = whole[:10] + whole[11] + whole[10] + whole[12:]
    assert swapped != whole
    reports = [report("a.pdf", 41_728, (None, "material"))]
    osa = rules.model_copy(update={"match": MatchRules(metric="osa")})
    assert match(rules, reports, (swapped, None))["match"].item() == "unmatched"
    assert match(osa, reports, (swapped, None))["match"].item() == "fuzzy"


def twins():
    """Two FOANs that differ in one digit and the check digit, and a name one edit from both."""
    first, second = Foan(2023, 417), Foan(2023, 419)
    return first.normalised, second.normalised, first.normalised[:-1] + second.check


def test_a_tie_is_broken_by_the_serial_number_whole_or_in_part(rules):
    first, second, between = twins()
    reports = [report("a.pdf", 417, ("4711023", "material")), report("b.pdf", 419, ("5099107", "green_body"))]
    found = match(rules, reports, (between, "4711023"), (between, "99107"), (between, None), (between, "0000000"))
    assert list(found["match"]) == ["tie", "tie", "unmatched", "unmatched"]
    assert list(found["specimen"][:2]) == [f"{first}/4711023", f"{second}/5099107"]
    assert "no serial number" in found["reason"].iloc[2]
    assert f"{first}/4711023" in found["candidates"].iloc[2]
    assert f"{second}/5099107" in found["candidates"].iloc[2]


def test_a_short_part_of_a_serial_number_decides_nothing(rules):
    _, _, between = twins()
    reports = [report("a.pdf", 417, ("4711023", "material")), report("b.pdf", 419, ("5099107", "green_body"))]
    assert match(rules, reports, (between, "102"))["match"].item() == "unmatched"


def test_components_of_one_foan_are_told_apart_by_serial_number_only(rules):
    reports = [report("a.pdf", 417, ("4711023", "material"), ("5099107", "green_body"))]
    found = match(rules, reports, (foan(417), "5099107"), (foan(417), "11023"), (foan(417), None))
    assert list(found["match"]) == ["exact", "exact", "unmatched"]
    assert list(found["specimen"][:2]) == [f"{foan(417)}/5099107", f"{foan(417)}/4711023"]


def test_a_contradicting_serial_number_costs_confidence(rules):
    reports = [report("a.pdf", 417, ("4711023", "material"))]
    found = match(rules, reports, (foan(417), "4711023"), (foan(417), None), (foan(417), "5099107"))
    assert found["match_confidence"].is_monotonic_decreasing
    assert found["match_confidence"].iloc[2] < rules.match.review_below
    assert "4711023" in found["reason"].iloc[2]


def test_a_nearest_number_that_passes_its_own_check_is_hardly_a_typo():
    typo = Evidence("fuzzy", "absent", False, True, True, False, 1.0)
    other = Evidence("fuzzy", "absent", True, True, True, False, 1.0)
    assert confidence(other) < 0.5 < confidence(typo)


def test_no_foan_and_no_reports_leave_everything_unmatched(rules):
    reports = [report("a.pdf", 417, ("4711023", "material"))]
    assert match(rules, reports, (None, "4711023"))["match"].item() == "unmatched"
    assert match(rules, [], (foan(417), None))["match"].item() == "unmatched"


def test_a_foan_with_no_images_is_named(rules):
    components = components_of(
        [report("a.pdf", 417, (None, "material")), report("b.pdf", 418, (None, "material"))], rules
    )
    assert without_images(components, pd.Series([foan(417), None])) == [foan(418)]


def test_two_reports_for_one_foan_conflict_only_where_they_name_different_causes(rules):
    def one(*reports):
        return components_of(reports, rules)

    same = one(report("a.pdf", 417, ("1111111", "material")), report("b.pdf", 417, ("1111111", "material")))
    other = one(report("a.pdf", 417, ("1111111", "material")), report("b.pdf", 417, ("1111111", "green_body")))
    two = one(report("a.pdf", 417, ("1111111", "material")), report("b.pdf", 417, ("2222222", "green_body")))
    assert (len(same), same["conflict"].item(), same["reports"].item()) == (1, "", "a.pdf; b.pdf")
    assert (len(other), other["label"].item()) == (1, None)
    assert "a.pdf says material, b.pdf says green_body" in other["conflict"].item()
    assert (len(two), list(two["conflict"])) == (2, ["", ""])


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 99_999), min_size=2, max_size=8, unique=True), st.randoms())
def test_the_order_of_reports_and_names_changes_nothing(numbers, shuffler):
    import yaml

    from sorby.corpus.archive import ArchiveRules
    from sorby.phantom.fracture.archive import rules_text

    rules = ArchiveRules.model_validate(yaml.safe_load(rules_text()))
    reports = [report(f"{k:02d}.pdf", number, (f"{k:07d}", "material")) for k, number in enumerate(numbers)]
    names = [(foan(number)[:-1], None) for number in numbers] + [(foan(number), None) for number in numbers]
    before = match(rules, reports, *names).set_index(pd.Index([str(name) for name in names]))
    shuffler.shuffle(reports)
    shuffler.shuffle(names)
    after = match(rules, reports, *names).set_index(pd.Index([str(name) for name in names]))
    pd.testing.assert_frame_equal(
        before.drop(columns=["component", "candidates"]).sort_index(),
        after.drop(columns=["component", "candidates"]).sort_index(),
    )


def test_similarity_is_one_less_edits_over_the_longer_length():
    matrix = similarities(["ABCDEFGHIJ", "ABCDEFGHI"], ["ABCDEFGHIJ", "ABCDXFGHIJ"], MatchRules())
    np.testing.assert_allclose(matrix, [[1.0, 0.9], [0.9, 0.8]])


def test_every_image_is_counted_once(rules):
    reports = [report("a.pdf", 417, ("4711023", "material"))]
    found = match(rules, reports, (foan(417), None), (foan(417)[:-1], None), (None, None))
    assert counts(found) == {"exact": 1, "fuzzy": 1, "tie": 0, "unmatched": 1}
