"""Archives as they come: every bad report and every contradiction in one line, and the rest goes on."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pypdfium2
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from info_bars import Words, picture, with_bar
from sorby.cli.corpus import corpus as corpus_command
from sorby.cli.train import crossval
from sorby.corpus import Corpus
from sorby.errors import MissingPartError
from sorby.micrograph.text_reading import open_reader
from sorby.phantom.fracture import fracture_set
from sorby.phantom.fracture.archive import write_archive
from sorby.phantom.fracture.archive_plan import ArchiveRates
from sorby.phantom.fracture.file_naming import Foan
from sorby.phantom.fracture.reports import PhantomReport, ReportedComponent, report_pdf

OTHER = {"green_body": "material", "hard_machining": "green_body", "material": "hard_machining"}
SUBTYPE = {"green_body": "lamination", "hard_machining": "machining_crack", "material": "pore"}
LONELY, SCANNED, LONG, TURNED = (Foan(2023, number) for number in (417, 418, 420, 421))


def pdf(path: Path, pages: list[list[str]], **options) -> Path:
    canvas = Canvas(str(path), pagesize=A4, invariant=1, **options)
    for lines in pages:
        for number, line in enumerate(lines):
            canvas.drawString(60, 780 - 20 * number, line)
        canvas.showPage()
    canvas.save()
    return path


def report(path: Path, foan: Foan | str, serial: str, label: str, *, scanned: bool = False) -> None:
    part = ReportedComponent(serial, label, SUBTYPE[label], 9000.0)
    said = PhantomReport(path.name, str(foan), (part,), "2023-03-14", "en", "list", scanned)
    path.write_bytes(report_pdf(said))


def lying(path: Path, lines: list[str]) -> None:
    """Write a report with a text layer whose page is turned by a quarter."""
    upright = pdf(path.with_suffix(".upright"), [lines])
    document = pypdfium2.PdfDocument(str(upright))
    document[0].set_rotation(90)
    document.save(str(path))
    document.close()
    upright.unlink()


@dataclass(frozen=True)
class Built:
    """What a build of the bad archive said."""

    result: Result
    found: dict
    twice: str
    agreed: str


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Built:
    place = tmp_path_factory.mktemp("bad")
    archive, reports = place / "archive", place / "archive" / "reports"
    nothing = ArchiveRates(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    drawn = [specimen.with_views(specimen.views[:5]) for specimen in fracture_set(12, 5)]
    write_archive(archive, drawn, 5, rates=nothing, size=(48, 36), bars=False, cues=False, file_format="png", jobs=1)
    truth = pd.read_csv(archive / "truth.csv", dtype=str).drop_duplicates("specimen")
    first, second = (truth[truth["label"] == "hard_machining"].iloc[k] for k in (0, 1))
    for name, row, label in (("second.pdf", first, OTHER[first["label"]]), ("again.pdf", second, second["label"])):
        report(reports / name, Foan(int(row["foan"][4:8]), int(row["foan"][8:13])), row["serial"], label)
    report(reports / "lonely.pdf", LONELY, "4711023", "material")
    report(reports / "scan.pdf", SCANNED, "4711024", "material", scanned=True)
    lines = ["Serial no.: 4711026", "Fracture type: Material defect"]
    pdf(reports / "long.pdf", [[f"FOAN: {LONG}", *lines], *([f"page {k} goes on"] for k in range(499))])
    lying(reports / "turned.pdf", [f"FOAN: {TURNED}", *lines])
    pdf(reports / "locked.pdf", [["secret"]], encrypt=StandardEncryption("password", strength=128))
    pdf(reports / "blank.pdf", [[], []])
    (reports / "empty.pdf").write_bytes(b"")
    (reports / "letter.pdf").write_bytes(b"Dear colleague")

    def absent(engine: str = "rapidocr", *, threads: int | None = None):
        raise MissingPartError("rapidocr is not installed", "pip install 'sorby[ocr]'")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sorby.workflow.archive.building.open_reader", absent)
        options = ["build", archive, "--reports", reports, "--out", place / "c.parquet", "--json"]
        result = CliRunner().invoke(corpus_command, [str(option) for option in options])
    return Built(result, json.loads(result.stdout), first["specimen"], second["specimen"])


def test_every_unreadable_report_is_one_line_with_what_to_do_and_the_exit_code_is_3(built):
    wanted = {
        "blank.pdf": ("no text", "look at the report"),
        "empty.pdf": ("empty file", "copy the report again"),
        "letter.pdf": ("not a readable PDF", "save it again"),
        "locked.pdf": ("encrypted", "without password"),
        "scan.pdf": ("rapidocr is not installed", "sorby[ocr]"),
    }
    assert built.result.exit_code == 3
    said = {Path(entry["file"]).name: entry["reason"] for entry in built.found["quarantined"]}
    assert set(said) == set(wanted)
    for name, (what, todo) in wanted.items():
        assert what in said[name]
        assert todo in said[name]
        assert "\n" not in said[name]
    lines = [line for line in built.result.stderr.splitlines() if line.startswith("quarantined: ")]
    assert len(lines) == len(wanted)


def test_long_and_turned_reports_are_read_and_foans_without_images_named(built):
    assert set(built.found["without_images"]) == {foan.normalised for foan in (LONELY, LONG, TURNED)}
    long, unheard = built.found["report_problems"]
    assert long == "long.pdf: 488 of 500 pages not read (pages.most is 12)"
    assert "long.pdf: pages without text layer not read, 2, 3, " in unheard, "a few letters may be a scan's stamp"
    assert any(line.startswith("no images for 3 FOANs") for line in built.found["warnings"])


def test_two_reports_for_one_foan_exclude_its_images_only_where_they_contradict_each_other(built):
    (conflict,) = built.found["conflicts"]
    assert built.twice in conflict
    assert "second.pdf says green_body" in conflict
    table = Corpus.load(built.found["corpus"]).table
    mine = table["specimen"] == built.twice
    assert table.loc[mine, "exclusion"].str.startswith("reports contradict each other").all()
    assert table.loc[~mine, "exclusion"].isna().all()
    assert table.loc[table["specimen"] == built.agreed, "label"].eq("hard_machining").all()
    review = pd.read_csv(built.found["review"])
    assert len(review) == mine.sum(), "a person decides"


def test_the_rest_is_cross_validated(built, tmp_path):
    options = [built.found["corpus"], "--folds", "2", "--out", tmp_path / "cv", "--json", "--no-inflation"]
    settings = ["--set", "image.height=32", "--set", "image.width=32", "--set", "head.folds=2"]
    result = CliRunner().invoke(crossval, [str(option) for option in (*options, *settings)])
    assert result.exit_code == 0, result.stderr
    table = Corpus.load(built.found["corpus"]).usable()
    assert json.loads(result.stdout)["n"] == len(table)
    assert built.twice not in set(table.table["specimen"])


@pytest.fixture(scope="module")
def scaled(tmp_path_factory) -> dict[str, dict]:
    """``corpus scale`` on bars as they are misread, German ones, contradicting ones, and none."""
    pytest.importorskip("rapidocr", reason="text recognition is an extra")
    folder = tmp_path_factory.mktemp("bars")
    words = {
        "um": replace(Words(), label="2 um"),
        "pm": replace(Words(), label="2 pm"),
        "urn": replace(Words(), label="2 µrn"),
        "german": replace(Words(), magnification="Vergr. = 5,00 K X", distance="AA = 8,5 mm", label="2,00 µm"),
        "odd": replace(Words(), magnification="Mag = 50 X"),
    }
    for name, said in words.items():
        Image.fromarray(with_bar("light", said).pixels).save(folder / f"{name}.png")
    Image.fromarray(picture()).save(folder / "none.png")
    (folder / "note.png").write_text("no image")
    loaded = open_reader(threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sorby.workflow.archive.scales.open_reader", lambda engine="rapidocr", *, threads=None: loaded)
        result = CliRunner().invoke(corpus_command, ["scale", str(folder), "--json"])
    found = json.loads(result.stdout)
    shutil.rmtree(folder)
    by_name = {Path(entry["file"]).stem: entry for entry in found["images"]}
    return {**by_name, "said": {"exit": result.exit_code, "warnings": found["warnings"], "bad": found["quarantined"]}}


@pytest.mark.parametrize("name", ["um", "pm", "urn", "german"])
def test_micrometres_read_badly_and_german_commas_are_understood(scaled, name):
    entry = scaled[name]
    assert entry["magnification"] == 5000
    assert entry["pixel_size_um"] == pytest.approx(2 / 120, rel=0.01)  # one pixel in 120
    assert not entry["disagreements"]


def test_a_unit_that_was_guessed_is_less_sure(scaled):
    assert scaled["pm"]["confidence"] < scaled["um"]["confidence"]


def test_a_magnification_against_the_pixel_size_is_named_and_doubted(scaled):
    (said,) = scaled["odd"]["disagreements"]
    assert said["name"] == "magnification contradicts pixel size"
    assert scaled["odd"]["confidence"] < 0.5 < scaled["um"]["confidence"]


def test_an_image_without_a_bar_says_so_and_a_broken_one_makes_the_exit_code_3(scaled):
    assert scaled["none"]["source"] == "none"
    (line,) = scaled["said"]["warnings"]
    assert line.startswith("1 of 6 images have no pixel size")
    assert "none.png" in line
    assert scaled["said"]["exit"] == 3
    assert len(scaled["said"]["bad"]) == 1
