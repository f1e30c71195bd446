"""``sorby corpus build ARCHIVE --reports DIR``: what it writes, what it says, and that a second build reads no PDF."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pypdfium2
import pytest
from click.testing import CliRunner, Result
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from sorby.cli.corpus import corpus
from sorby.corpus import Corpus
from sorby.errors import InputError
from sorby.phantom.fracture import fracture_set
from sorby.phantom.fracture.archive import write_archive
from sorby.phantom.fracture.archive_plan import ArchiveRates


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(corpus, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("house") / "archive"
    drawn = fracture_set(12, 5)
    rates = ArchiveRates(scanned=0.0, typos=0.15)
    write_archive(place, drawn, 5, rates=rates, size=(48, 36), bars=False, cues=False, file_format="png", jobs=1)
    return place


@pytest.fixture
def archive(original, tmp_path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "archive"))


def build(archive: Path, *options: object) -> Result:
    return ask(
        "build", archive, "--reports", archive / "reports", "--out", archive.parent / "c.parquet", "--json", *options
    )


def test_the_result_holds_what_scripts_rely_on(archive):
    result = build(archive)
    found = json.loads(result.stdout)
    truth = pd.read_csv(archive / "truth.csv")
    assert result.exit_code == 0, result.stderr
    assert found["rows"] == len(truth)
    assert found["matched"] == {
        kind: int((truth["expected_match"] == kind).sum()) for kind in ("exact", "fuzzy", "tie", "unmatched")
    }
    assert set(found["classes"]) == {"green_body", "hard_machining", "material"}
    assert found["quarantined"] == []
    stored = Corpus.load(found["corpus"])
    assert sum(found["classes"].values()) == len(stored.usable()) == found["usable"]
    assert all(path.is_file() for path in stored.paths())
    review = pd.read_csv(found["review"])
    assert len(review) == found["to_review"]
    assert set(review["match"]) <= {"fuzzy", "tie", "unmatched", "exact"}
    assert len(pd.read_csv(found["components"])) >= found["specimens"]


def test_a_bad_report_is_named_and_makes_the_exit_code_3(archive):
    locked = Canvas(str(archive / "reports" / "locked.pdf"), encrypt=StandardEncryption("password", strength=128))
    locked.drawString(60, 700, "FOAN")
    locked.save()
    (archive / "reports" / "empty.pdf").write_bytes(b"")
    result = build(archive)
    reasons = {Path(entry["file"]).name: entry["reason"] for entry in json.loads(result.stdout)["quarantined"]}
    assert result.exit_code == 3
    assert "encrypted" in reasons["locked.pdf"]
    assert "empty" in reasons["empty.pdf"]


def test_a_second_build_opens_no_report_again_and_says_the_same(archive, monkeypatch):
    first = json.loads(build(archive).stdout)

    def refuse(*_):
        raise AssertionError("a report was opened again")

    monkeypatch.setattr(pypdfium2, "PdfDocument", refuse)
    assert json.loads(build(archive).stdout) == first


def test_corrections_beside_the_corpus_are_applied_and_kept(archive):
    found = json.loads(build(archive).stdout)
    review = pd.read_csv(found["review"], dtype=str, keep_default_na=False)
    truth = pd.read_csv(archive / "truth.csv", dtype=str)
    stray = truth[(truth["mistake"] == "no FOAN") & truth["report"].notna() & (truth["label"] != "unknown")].iloc[0]
    row = review["image"] == stray["image"].removeprefix("images/")
    review.loc[row, ["correct_foan", "correct_serial"]] = [stray["foan"], stray["serial"]]
    review.to_csv(found["review"], index=False)
    second = build(archive)
    assert second.exit_code == 0, second.stderr
    again = json.loads(second.stdout)
    assert again["reviewed"] == 1
    assert again["matched"]["unmatched"] == found["matched"]["unmatched"] - 1
    table = Corpus.load(again["corpus"]).table
    mended = table[table["path"].str.endswith(stray["image"])].iloc[0]
    assert (mended["label"], mended["specimen"], mended["reviewed"]) == (stray["label"], stray["specimen"], True)
    kept = pd.read_csv(again["review"], dtype=str, keep_default_na=False)
    assert (kept["correct_foan"] == stray["foan"]).sum() == 1


def test_a_review_table_from_elsewhere_is_applied_and_what_was_filled_in_before_is_kept(archive, tmp_path):
    found = json.loads(build(archive).stdout)
    review = pd.read_csv(found["review"], dtype=str, keep_default_na=False)
    matched = review[review["match"].isin(["fuzzy", "tie"])]
    here, there = matched.index[0], matched.index[1]
    review.loc[here, ["exclude", "remark"]] = ["x", "out of focus"]
    review.to_csv(found["review"], index=False)
    elsewhere = review.loc[[there]].assign(exclude="", remark="", correct_label="material")
    elsewhere.to_csv(tmp_path / "colleague.csv", index=False)
    again = json.loads(build(archive, "--review", tmp_path / "colleague.csv").stdout)
    table = Corpus.load(again["corpus"]).table.set_index("path")
    assert again["reviewed"] == 2
    assert table.filter(like=review.loc[here, "image"], axis=0)["exclusion"].iloc[0] == (
        "excluded in review: out of focus"
    )
    assert table.filter(like=review.loc[there, "image"], axis=0)["label"].iloc[0] == "material"
    kept = pd.read_csv(again["review"], dtype=str, keep_default_na=False)
    assert {"out of focus"} <= set(kept["remark"])
    assert {"material"} <= set(kept["correct_label"])
    assert json.loads(build(archive).stdout)["reviewed"] == 2, "once is enough"


def test_the_match_report_is_one_file_without_outside_references_and_escapes_names(archive):
    first = next((archive / "images" / "plant-1").glob("*.png"), None) or next((archive / "images").rglob("*.png"))
    first.rename(first.with_name("<script>alert(1)<script>.png"))
    page = Path(json.loads(build(archive).stdout)["report"]).read_text("utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert page.count("<svg") == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rules", "nowhere.yaml"), "no such rules file"),
        (("--review", "nowhere.csv"), "no such review table"),
        (("--label", "cause"), "an archive has no columns"),
    ],
)
def test_wrong_requests_are_refused(archive, options, message):
    result = build(archive, *options)
    assert isinstance(result.exception, InputError)
    assert message in result.exception.message


def test_an_archive_without_rules_says_where_to_get_them(archive):
    (archive / "rules.yaml").unlink()
    error = build(archive).exception
    assert isinstance(error, InputError)
    assert "--rules" in error.hint


def test_options_of_an_archive_need_reports(archive):
    error = ask("build", archive / "images", "--read-bars", "--out", archive.parent / "c.parquet").exception
    assert isinstance(error, InputError)
    assert "--reports" in error.hint


def test_info_bars_of_phantoms_agree_with_their_names(tmp_path):
    pytest.importorskip("rapidocr", reason="text recognition is an extra")
    drawn = [specimen.with_views(specimen.views[:2]) for specimen in fracture_set(6, 3)]
    nothing = ArchiveRates(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    write_archive(tmp_path / "archive", drawn, 3, rates=nothing, size=(512, 384), cues=False, file_format="png", jobs=1)
    result = build(tmp_path / "archive", "--read-bars")
    table = Corpus.load(json.loads(result.stdout)["corpus"]).table
    truth = pd.read_csv(tmp_path / "archive" / "truth.csv").set_index("image")
    told = truth.loc[[path.removeprefix("archive/") for path in table["path"]]]
    heard = table["magnification_source"] == "info bar"
    assert heard.mean() > 0.8, "small lettering may not be read, most must be"
    assert list(table["magnification"]) == list(told["magnification"])
    assert table["magnification_conflict"].isna().all()
    sized = table["pixel_size_um"].notna().to_numpy()
    assert sized.mean() > 0.5
    assert (abs(table["pixel_size_um"][sized].to_numpy() / told["pixel_size_um"][sized].to_numpy() - 1) < 0.05).all()
