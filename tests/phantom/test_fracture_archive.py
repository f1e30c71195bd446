"""Phantom archives: what is true of them, and that the archive's own rules find it out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml
from rapidfuzz.distance import Levenshtein

from sorby.corpus.archive import ArchiveRules, build_archive, list_archive, load_rules, parse_names, read_reports
from sorby.errors import InputError
from sorby.phantom.fracture import fracture_set
from sorby.phantom.fracture.archive import rules_text, write_archive
from sorby.phantom.fracture.archive_plan import ArchiveRates, plan_archive
from sorby.phantom.fracture.file_naming import EDITS, TYPOS, Foan, misspell
from sorby.phantom.fracture.reports import PhantomReport, ReportedComponent, report_pdf

RULES = ArchiveRules.model_validate(yaml.safe_load(rules_text()))


@pytest.mark.parametrize("typo", TYPOS)
def test_a_mistake_has_its_number_of_edits_and_breaks_the_check_digit(typo, rng):
    for number in range(40):
        foan = Foan(2019 + number % 6, int(rng.integers(100_000)))
        typed = misspell(foan.digits, typo, rng)
        assert Levenshtein.distance(typed, foan.digits) in {EDITS[typo], 1}
        assert not RULES.foan.is_whole(f"FOAN{typed}")


@pytest.fixture(scope="module")
def specimens():
    return fracture_set(120, 7, unknown=0.05)


def test_the_set_rates_are_met(specimens):
    rates = ArchiveRates()
    plan = plan_archive(specimens, 7, rates)
    expected = pd.Series([image.expected for image in plan.images])
    share = expected.value_counts(normalize=True)
    assert share["unmatched"] == pytest.approx(0.23, abs=1 / len(expected))
    assert 0.02 < share["fuzzy"] < 0.10, "as published: below 10 % of images"
    assert share["tie"] > 0
    scanned = np.mean([report.scanned for report in plan.reports])
    assert scanned == pytest.approx(rates.scanned, abs=0.12), "three binomial standard deviations of 100 reports"
    assert {report.language for report in plan.reports} == {"en", "de"}
    assert {report.layout for report in plan.reports} == {"list", "table"}
    assert sum(len(report.components) > 1 for report in plan.reports) == int(rates.shared * 120) // 2


def test_without_mistakes_everything_is_exact(specimens):
    plan = plan_archive(specimens, 7, ArchiveRates(0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
    assert {image.expected for image in plan.images} == {"exact"}
    assert not {image.mistake for image in plan.images} - {""}


def test_the_same_seed_plans_the_same_archive_and_another_one_another(specimens):
    assert plan_archive(specimens, 7) == plan_archive(specimens, 7)
    assert plan_archive(specimens, 8) != plan_archive(specimens, 7)


def test_no_two_pictures_have_one_name(specimens):
    names = [(image.plant, image.name) for image in plan_archive(specimens, 7).images]
    assert len(set(names)) == len(names)


def test_every_class_keeps_reports(specimens):
    plan = plan_archive(specimens, 7)
    kept = {specimen.label for specimen, report in zip(specimens, plan.report_of, strict=True) if report}
    assert kept == {specimen.label for specimen in specimens}


def test_the_rules_read_every_name_as_it_was_meant(specimens):
    plan = plan_archive(specimens, 7)
    read = parse_names([f"{image.name}.tif" for image in plan.images], RULES)
    told = [image for image in plan.images if image.mistake != "no FOAN"]
    assert read["foan"].notna().sum() == len(told)
    right = read.loc[[not image.mistake for image in plan.images]]
    meant = [plan.foans[image.specimen].normalised for image in plan.images if not image.mistake]
    assert list(right["foan"]) == meant
    magnified = read["magnification"].dropna()
    assert list(magnified) == [image.plan.magnification for image in told]


def test_a_report_is_the_same_bytes_every_time_scanned_or_not():
    part = ReportedComponent("4711023", "material", "pore", 14_234.0)
    for scanned in (False, True):
        report = PhantomReport("r.pdf", str(Foan(2023, 417)), (part,), "2023-03-14", scanned=scanned, seed=3)
        assert report_pdf(report) == report_pdf(report)
        assert report_pdf(report).startswith(b"%PDF")


@pytest.mark.parametrize("name", ["unmatched", "typos"])
def test_a_rate_that_is_no_share_is_refused(name):
    with pytest.raises(InputError, match=name):
        ArchiveRates(**{name: 1.2})


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A small archive with text-layer reports only: scans are read elsewhere."""
    place = tmp_path_factory.mktemp("phantom") / "archive"
    drawn = fracture_set(16, 5, unknown=0.1)
    rates = ArchiveRates(scanned=0.0, typos=0.15)
    truth = write_archive(place, drawn, 5, rates=rates, size=(48, 36), bars=False, file_format="png", jobs=1)
    return place, truth


def test_the_folder_holds_what_the_readme_says(archive):
    place, truth = archive
    assert all((place / image).is_file() for image in truth["image"])
    assert all((place / "reports" / name).is_file() for name in truth["report"].dropna().unique())
    cues = {path.stem for path in (place / "truth" / "cues").glob("*.png")}
    assert cues == {image.rsplit("/", 1)[1].rsplit(".", 1)[0] for image in truth["image"]}
    told = pd.read_csv(place / "truth.csv", dtype={"serial": str})
    assert list(told["image"]) == list(truth["image"])
    wanted = {
        "foan",
        "serial",
        "specimen",
        "fragment",
        "label",
        "fracture_load_n",
        "vendor",
        "bar_top",
        "origin_in_view",
    }
    assert wanted <= set(told.columns)
    assert {"mirror_radius_um", "fracture_stress_mpa", "flaw_size_um"} <= set(
        pd.read_csv(place / "truth" / "specimens.csv").columns
    )
    assert "check digit" in (place / "README.txt").read_text("utf-8")


def test_matching_by_the_archives_own_rules_finds_the_truth(archive):
    place, truth = archive
    rules = load_rules(place / "rules.yaml")

    def no_reader():
        raise AssertionError("no report of this archive is a scan")

    reports, quarantined = read_reports(place / "reports", rules, no_reader)
    found = build_archive(list_archive([place], place / "reports"), reports, rules)
    assert quarantined == []
    assert found.matched == {
        kind: int((truth["expected_match"] == kind).sum()) for kind in ("exact", "fuzzy", "tie", "unmatched")
    }
    table = found.built.corpus.table
    table.index = pd.Index([f"images/{path}" for path in table["path"]])
    told = truth.set_index("image").loc[table.index]
    assert (table["match"] == told["expected_match"]).all()
    matched = table["match"] != "unmatched"
    for column in ("specimen", "label", "foan", "report", "fragment"):
        assert (table.loc[matched, column] == told.loc[matched, column]).all(), column
    np.testing.assert_allclose(table.loc[matched, "fracture_load_n"], told.loc[matched, "stated_load_n"])
    assert (table.loc[table["label"] == "unknown", "exclusion"] == "set aside: unknown").all()
    assert found.conflicts == []
