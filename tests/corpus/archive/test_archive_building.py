"""From images and reports to a corpus: conflicts, corrections, magnifications, and rows that are never lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from archive_cases import foan, report
from PIL import Image

from sorby.corpus import Corpus
from sorby.corpus.archive import (
    build_archive,
    components_of_corpus,
    list_archive,
    read_corrections,
    write_review,
)
from sorby.corpus.archive.magnifications import reconcile
from sorby.errors import InputError
from sorby.phantom.fracture.file_naming import Foan


def name(
    number: int, serial: str | None = "4711023", fragment: str = "A", magnification: int = 100, shot: int = 1
) -> str:
    middle = f"_SN{serial}" if serial else ""
    return f"{Foan(2023, number)}{middle}_Fr{fragment}_{magnification:05d}x_{shot:03d}.png"


@pytest.fixture
def folder(tmp_path: Path):
    """Write pictures of the given names and return their paths."""
    rng = np.random.default_rng(1863)

    def write(*names: str) -> list[Path]:
        place = tmp_path / "archive" / "images"
        place.mkdir(parents=True, exist_ok=True)
        for each in names:
            if not (place / each).exists():
                Image.fromarray(rng.integers(0, 255, (24, 20), dtype=np.uint8)).save(place / each)
        return sorted(place.iterdir())

    return write


REPORTS = [report("a.pdf", 417, ("4711023", "material")), report("b.pdf", 9_000, ("5099107", "green_body"))]


def rows(found) -> pd.DataFrame:
    return found.built.corpus.table.set_index("path")


def test_an_image_knows_its_fragment_fracture_component_and_report(folder, rules):
    found = build_archive(folder(name(417), name(9_000, "5099107", "B", 2000)), REPORTS, rules)
    row = rows(found).loc[name(9_000, "5099107", "B", 2000)]
    assert (row["specimen"], row["fragment"]) == (f"{foan(9_000)}/5099107", "B")
    assert row["fracture"] == f"{foan(9_000)}/5099107/green_body"
    assert (row["report"], row["fracture_load_n"], row["match"]) == ("b.pdf", 14_000.0, "exact")
    assert (row["magnification"], row["magnification_source"]) == (2000.0, "file name")
    assert row["label_source"] == "report b.pdf"
    assert found.matched == {"exact": 2, "fuzzy": 0, "tie": 0, "unmatched": 0}


def test_the_links_are_kept_in_parquet_and_can_be_asked(folder, rules, tmp_path):
    images = folder(name(417), name(417, fragment="B", shot=2), name(417, None, "B", 500, 3), name(9_000, "5099107"))
    build_archive(images, REPORTS, rules).built.corpus.save(tmp_path / "c.parquet")
    asked = components_of_corpus(Corpus.load(tmp_path / "c.parquet").table).set_index("specimen")
    assert asked.loc[f"{foan(417)}/4711023", ["images", "fragments", "magnifications"]].tolist() == [3, 2, 2]
    assert asked.loc[f"{foan(9_000)}/5099107", "fracture_load_n"] == 14_000.0


def test_unmatched_images_stay_as_rows_without_label_and_say_why(folder, rules):
    found = build_archive(folder(name(417), name(9_000, "5099107"), "IMG_0042.png"), REPORTS, rules)
    row = rows(found).loc["IMG_0042.png"]
    assert (row["label"], row["match"]) == (None, "unmatched")
    assert row["exclusion"] == "no report matched: the file name holds no FOAN"
    assert len(found.built.corpus.usable()) == 2


def test_an_unknown_cause_is_kept_aside_but_matched(folder, rules):
    reports = [*REPORTS, report("c.pdf", 500, (None, "unknown"))]
    found = build_archive(folder(name(417), name(9_000, "5099107"), name(500, None)), reports, rules)
    row = rows(found).loc[name(500, None)]
    assert (row["label"], row["exclusion"], row["match"]) == ("unknown", "set aside: unknown", "exact")


def test_contradicting_reports_keep_their_images_aside_and_are_named(folder, rules):
    reports = [*REPORTS, report("c.pdf", 417, ("4711023", "green_body"))]
    found = build_archive(folder(name(417), name(9_000, "5099107")), reports, rules)
    assert found.conflicts == [f"{foan(417)}/4711023: a.pdf says material, c.pdf says green_body"]
    row = rows(found).loc[name(417)]
    assert row["label"] is None
    assert row["exclusion"].startswith("reports contradict each other")
    assert list(found.review["image"]) == [name(417)]


def test_a_foan_without_images_is_named(folder, rules):
    found = build_archive(folder(name(9_000, "5099107")), REPORTS, rules)
    assert found.without_images == [foan(417)]


def corrected(found, tmp_path: Path, image: str, **filled: str) -> Path:
    """Fill in the review table of a build and save it as a German spreadsheet would."""
    table = found.review.set_index("image")
    for column, value in filled.items():
        table.loc[image, column] = value
    path = tmp_path / "review.csv"
    path.write_bytes(table.reset_index().to_csv(index=False, sep=";").encode("cp1252"))
    return path


def test_a_corrected_foan_is_applied_on_the_next_build_and_the_table_keeps_it(folder, rules, tmp_path):
    images = folder(name(417), name(9_000, "5099107"), "IMG_0042.png")
    first = build_archive(images, REPORTS, rules)
    review = corrected(first, tmp_path, "IMG_0042.png", correct_foan=str(Foan(2023, 417)), remark="from the lab book")
    second = build_archive(images, REPORTS, rules, corrections=read_corrections(review, rules))
    row = rows(second).loc["IMG_0042.png"]
    assert (row["label"], row["match"], row["match_confidence"], row["reviewed"]) == ("material", "exact", 1.0, True)
    assert (row["foan_read"], row["foan"]) == (None, foan(417)), "what was read stays beside what was corrected"
    assert second.reviewed == 1
    write_review(second.review, tmp_path / "next.csv")
    third = build_archive(images, REPORTS, rules, corrections=read_corrections(tmp_path / "next.csv", rules))
    assert rows(third).loc["IMG_0042.png", "label"] == "material"
    assert list(third.review["remark"]) == ["from the lab book"]


def test_a_corrected_foan_that_no_report_has_settles_nothing_and_is_said(folder, rules, tmp_path):
    images = folder(name(417), name(9_000, "5099107"), "IMG_0042.png")
    review = corrected(build_archive(images, REPORTS, rules), tmp_path, "IMG_0042.png", correct_foan=foan(31_313))
    found = build_archive(images, REPORTS, rules, corrections=read_corrections(review, rules))
    assert rows(found).loc["IMG_0042.png", "match"] == "unmatched"
    assert any("lead to no report" in line for line in found.built.warnings)
    assert list(found.review["correct_foan"]) == [foan(31_313)]


def test_corrections_follow_an_image_that_was_renamed(folder, rules, tmp_path):
    images = folder(name(417), name(9_000, "5099107"), "IMG_0042.png")
    review = corrected(build_archive(images, REPORTS, rules), tmp_path, "IMG_0042.png", correct_foan=foan(417))
    renamed = images[0].parent / "IMG_9999.png"
    (images[0].parent / "IMG_0042.png").rename(renamed)
    found = build_archive(folder(), REPORTS, rules, corrections=read_corrections(review, rules))
    assert rows(found).loc["IMG_9999.png", "label"] == "material"


def test_corrections_of_images_that_are_gone_are_kept_and_said(folder, rules, tmp_path):
    images = folder(name(417), name(9_000, "5099107"), "IMG_0042.png")
    review = corrected(build_archive(images, REPORTS, rules), tmp_path, "IMG_0042.png", exclude="yes", remark="blurred")
    (images[0].parent / "IMG_0042.png").unlink()
    found = build_archive(folder(), REPORTS, rules, corrections=read_corrections(review, rules))
    assert list(found.review["remark"]) == ["blurred"]
    assert any("fit no image" in line for line in found.built.warnings)


def test_an_image_is_excluded_with_the_reviewers_remark(folder, rules, tmp_path):
    images = folder(name(417), name(417, shot=2), name(9_000, "5099107"), "IMG_0042.png")
    review = corrected(
        build_archive(images, REPORTS, rules), tmp_path, "IMG_0042.png", exclude="x", remark="not a fracture"
    )
    found = build_archive(images, REPORTS, rules, corrections=read_corrections(review, rules))
    assert rows(found).loc["IMG_0042.png", "exclusion"] == "excluded in review: not a fracture"


def test_a_corrected_label_that_puts_a_specimen_into_two_classes_is_a_conflict(folder, rules, tmp_path):
    wrong = name(417, "4711023", shot=2).replace("4711023", "9999999")  # contradicts the report, so it is reviewed
    images = folder(name(417), wrong, name(9_000, "5099107"))
    review = corrected(build_archive(images, REPORTS, rules), tmp_path, wrong, correct_label="green_body")
    found = build_archive(images, REPORTS, rules, corrections=read_corrections(review, rules))
    assert found.conflicts == [f"specimen in two classes: {foan(417)}/4711023 is green_body and material"]
    assert rows(found).loc[[name(417), wrong], "exclusion"].notna().all()
    assert len(found.built.corpus.usable()) == 1


def test_an_unknown_label_in_a_review_is_refused_with_its_line(folder, rules, tmp_path):
    found = build_archive(folder(name(417), name(9_000, "5099107"), "IMG_1.png"), REPORTS, rules)
    review = corrected(found, tmp_path, "IMG_1.png", correct_label="grinding")
    with pytest.raises(InputError, match="line 2: no class 'grinding'") as caught:
        read_corrections(review, rules)
    assert "hard_machining" in caught.value.hint


def test_a_table_that_is_no_review_is_refused(tmp_path, rules):
    (tmp_path / "r.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="neither a column image nor sha256"):
        read_corrections(tmp_path / "r.csv", rules)


def test_reports_without_any_foan_are_refused(folder, rules):
    with pytest.raises(InputError, match="holds a FOAN"):
        build_archive(folder(name(417)), [], rules)


def test_damaged_images_are_quarantined_and_the_rest_go_on(folder, rules):
    images = folder(name(417), name(9_000, "5099107"))
    (images[0].parent / name(417, shot=9)).write_text("not an image")
    found = build_archive(folder(), REPORTS, rules)
    assert (len(found.built.corpus), len(found.built.quarantined)) == (2, 1)


def test_reports_and_truth_are_no_images_of_an_archive(tmp_path):
    for part in ("sem", "reports", "truth"):
        (tmp_path / part).mkdir()
        Image.new("L", (8, 8)).save(tmp_path / part / "a.png")
    assert [image.parent.name for image in list_archive([tmp_path], tmp_path / "reports")] == ["sem"]


def test_info_bars_are_heard_beside_names_and_contradictions_are_reviewed(folder, rules):
    images = folder(name(417, magnification=500), name(9_000, "5099107", magnification=100))

    def bars(paths, hashes):
        assert len(paths) == len(hashes) == 2
        size = [0.5, 2.0]
        return pd.DataFrame({"magnification": [500.0, 1000.0], "pixel_size_um": size, "bar_top": [20, 20]})

    found = build_archive(images, REPORTS, rules, read_bars=bars)
    table = rows(found)
    assert list(table["magnification"]) == [500.0, 1000.0]
    assert list(table["magnification_source"]) == ["info bar", "info bar"]
    assert table.loc[name(9_000, "5099107"), "magnification_conflict"] == "info bar 1000x, file name 100x"
    assert table.loc[name(417, magnification=500), "magnification_conflict"] is None
    assert list(table["scale_source"]) == ["info bar", "info bar"]
    assert list(found.review["image"]) == [name(9_000, "5099107")]


def test_the_tag_is_believed_before_bar_and_name():
    found = reconcile(
        {
            "tag": pd.Series([1000.0, np.nan, np.nan]),
            "bar": pd.Series([1010.0, 500.0, np.nan]),
            "name": pd.Series([10_000.0, np.nan, np.nan]),
        }
    )
    assert found["magnification"].tolist()[:2] == [1000.0, 500.0]
    assert list(found["magnification_source"]) == ["file tag", "info bar", None]
    assert found["magnification_conflict"].tolist()[0] == "file tag 1000x, info bar 1010x, file name 10000x"
    assert found["magnification_conflict"].isna().tolist() == [False, True, True]


def test_the_folder_above_an_archive_is_not_taken_for_it(folder, tmp_path):
    files = folder(name(417))
    archive = tmp_path / "archive"
    assert list_archive([archive], archive / "reports") == [path.resolve() for path in files]
    with pytest.raises(InputError, match="folder below") as refused:
        list_archive([tmp_path], archive / "reports")
    assert str(archive) in (refused.value.hint or "")
