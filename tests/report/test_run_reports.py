from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sorby.errors import InputError
from sorby.files import write_json
from sorby.workflow.reporting import write_crossval_report, write_train_report

LINKS = {"src", "href", "srcset", "data", "poster", "action", "background", "cite", "xlink:href"}


class Outline(HTMLParser):
    """Collects what a page refers to, its identifiers, and which tags are left open."""

    VOID = frozenset({"meta", "img", "br", "link", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.identifiers: list[str] = []
        self.tags: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.handle(tag, attributes)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.handle(tag, attributes)

    def handle(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.references += [value or "" for name, value in attributes if name in LINKS]
        if values.get("id"):
            self.identifiers.append(str(values["id"]))
        if tag == "img":
            self.pictures.append(values)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def words(text: str) -> str:
    """Return the text a reader sees, without markup, styles and drawings."""
    text = re.sub(r"<(style|svg)\b.*?</\1>", " ", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", text)))


@pytest.fixture(scope="session")
def train_page(trained) -> str:
    run, classifier = trained
    return write_train_report(run, classifier).read_text("utf-8")


def test_the_page_asks_for_nothing_from_outside_and_runs_no_script(train_page):
    page = Outline(train_page)
    assert all(reference.startswith(("data:image/jpeg;base64,", "#")) for reference in page.references)
    assert not {"script", "link", "iframe", "object", "base"} & set(page.tags)
    without_pictures = re.sub(r"data:image/jpeg;base64,[A-Za-z0-9+/=]*", "", train_page)
    assert not re.search(r"https?:|file:|@import|url\((?!#)", without_pictures)


def test_the_page_is_well_formed_and_its_references_lead_somewhere_once(train_page):
    page = Outline(train_page)
    assert page.open == []
    assert len(page.identifiers) == len(set(page.identifiers))
    targets = {reference[1:] for reference in page.references if reference.startswith("#")}
    targets |= set(re.findall(r"url\(#([^)]*)\)", train_page))
    assert targets <= set(page.identifiers)


def test_every_picture_and_drawing_says_what_it_shows(train_page):
    page = Outline(train_page)
    assert page.pictures
    assert all(picture["alt"] for picture in page.pictures)
    assert train_page.count('role="img" aria-label="') == page.tags.count("svg")


def test_a_label_that_holds_markup_is_shown_and_not_obeyed(train_page):
    assert "plain <i>&" in words(train_page)
    assert "<i>" not in train_page
    assert "plain &lt;i&gt;&amp;" in train_page


def test_the_mistakes_are_shown_with_picture_and_map(trained, train_page):
    run, _ = trained
    verdicts = pd.read_parquet(run / "verdicts.parquet")
    wrong = verdicts[~verdicts["correct"]]
    assert len(wrong) > 0
    section = train_page.split("Mistakes, the most confident first")[1].split("Referred to a person</h3>")[0]
    for name in wrong["path"]:
        assert f'alt="Micrograph {Path(name).name}' in section
        assert re.search(rf'alt="What spoke for [^"]* in {Path(name).name}"', section)


def test_the_sanity_check_of_the_maps_stands_beside_them(train_page):
    assert re.search(r"Randomisation check (passed|failed)", words(train_page))


def test_the_headline_counts_agree_with_the_verdict_table(trained, train_page):
    run, _ = trained
    verdicts = pd.read_parquet(run / "verdicts.parquet")
    right, n = int(verdicts["correct"].sum()), len(verdicts)
    assert f"it named {right} right and {n - right} wrong" in words(train_page)
    assert f"{verdicts['specimen'].nunique()} specimens" in words(train_page)


def test_provenance_names_bundle_corpus_and_seed(trained, train_page):
    run = json.loads((trained[0] / "run.json").read_text("utf-8"))
    for value in (run["bundle"]["sha256"], run["corpus"]["fingerprint"], run["networks"][0]["source"]["sha256"]):
        assert value in train_page
    assert "seed 0" in words(train_page)


def test_the_confusion_matrix_shows_its_counts(make_run):
    labels, predicted = [0] * 17 + [1] * 23, [0] * 13 + [1] * 4 + [1] * 23
    page = write_crossval_report(make_run(("ferrite", "pearlite"), labels, predicted)).read_text("utf-8")
    drawing = page[page.index('aria-label="Confusion matrix') :].split("</svg>")[0]
    cells = re.findall(r">([^<>]+)</text>", drawing)
    assert {"13", "4", "23"} <= set(cells)
    assert "76%→ 100%↓" in cells  # 13 of 17 in the row, 13 of 13 in the column
    assert "ferrite taken for pearlite (4 of 4 mistakes)" in words(page)


def test_images_that_have_vanished_are_said_and_the_numbers_stand(make_run):
    page = write_crossval_report(make_run(images=False)).read_text("utf-8")
    assert "could not be shown (the file is not where it was)" in words(page)
    assert Outline(page).pictures == []
    assert "they named 20 right and 0 wrong" in words(page)


def test_an_image_that_was_changed_is_not_shown_as_if_it_were_the_tested_one(make_run):
    run = make_run()
    for image in (run.parent / "images").iterdir():
        image.write_bytes(image.read_bytes() + b"\0")
    assert "the file has changed since" in words(write_crossval_report(run).read_text("utf-8"))


def test_a_run_folder_that_was_moved_still_finds_its_images(make_run):
    run = make_run()
    elsewhere = run.parent / "deeper" / "archive" / "run"
    elsewhere.parent.mkdir(parents=True)
    run.rename(elsewhere)
    page = write_crossval_report(elsewhere).read_text("utf-8")
    assert "could not be shown" not in words(page)
    assert len(Outline(page).pictures) >= 4


def test_a_flawless_test_says_that_mistakes_may_still_hide(make_run):
    text = words(write_crossval_report(make_run()).read_text("utf-8"))
    assert "There is no mistake to show" in text
    assert "the interval says how many may still hide" in text


def test_a_class_without_test_images_is_called_untested(make_run):
    text = words(write_crossval_report(make_run(("a", "b", "never seen"))).read_text("utf-8"))
    assert "Not tested at all, for want of images: never seen." in text
    assert "not tested" in text


def test_thirty_classes_with_long_labels_make_a_page_of_bounded_size(make_run):
    classes = [f"{k:02d} martensite, tempered, with retained austenite and $carbides$ <u>" for k in range(30)]
    labels = np.repeat(np.arange(30), 4)
    path = write_crossval_report(make_run(classes, labels, np.roll(labels, 7)))
    assert path.stat().st_size < 3_000_000
    assert "<u>" not in path.read_text("utf-8")


def test_undefined_figures_are_called_undefined(make_run):
    run = make_run()
    facts = json.loads((run / "run.json").read_text("utf-8"))
    facts["test"]["cohen_kappa"] |= {"value": None, "ci95": None}
    facts["test"]["per_class"]["a"]["precision"] |= {"value": None, "ci95": None}
    facts["test"]["calibration"]["ece"] |= {"value": None, "ci95": None}
    write_json(run / "run.json", facts)
    text = words(write_crossval_report(run).read_text("utf-8"))
    assert "not defined" in text
    assert "nan" not in text.lower().split()
    assert "None" not in text.split()


def test_unknown_specimens_are_a_warning_at_the_top(make_run):
    text = words(write_crossval_report(make_run()).read_text("utf-8"))
    assert text.index("Specimens are not known") < text.index("What it must not be used for")


def test_a_specimen_in_two_parts_is_named_in_the_audit(make_run):
    run = make_run(specimens=["S1"] * 12 + ["S2"] * 8, grouped=False)
    text = words(write_crossval_report(run).read_text("utf-8"))
    assert "Specimens were not kept whole: 1 specimen gave images to more than one part" in text
    assert "1 specimen of 2 stand in more than one part: S1" in text


def test_specimens_kept_whole_are_said_to_be(make_run):
    run = make_run(specimens=[f"S{k // 5}" for k in range(20)])
    text = words(write_crossval_report(run).read_text("utf-8"))
    assert "Specimens were kept whole" in text
    assert "None of the 4 specimens stands in more than one part" in text


def test_a_folder_without_a_run_is_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match="holds no finished run"):
        write_crossval_report(tmp_path)


def test_writing_the_report_twice_gives_the_same_bytes(make_run):
    run = make_run()
    assert write_crossval_report(run).read_bytes() == write_crossval_report(run).read_bytes()
