"""The page of a box detector: what it says of made-up findings, what it shows, and the odd cases."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from sorby import provenance
from sorby.evidence.boxes import FoundBoxes, TrueBoxes
from sorby.evidence.detection_errors import detection_errors
from sorby.evidence.detection_metrics import detection_scores
from sorby.evidence.repeat_intervals import over_repeats
from sorby.report import detection_figures as figures
from sorby.report.detection_cases import choose_cases, show_cases
from sorby.report.detection_page import DetectionFacts, detection_page
from sorby.report.detection_pictures import Mark, boxed, window_about

CLASSES = ["scratch", "scuff <i>&"]
SVG = "{http://www.w3.org/2000/svg}"


def true(*rows):
    """True boxes as left, top, width, height, label."""
    array = np.array(rows, float).reshape(-1, 5)
    return TrueBoxes(
        np.hstack([array[:, :2], array[:, :2] + array[:, 2:4]]).astype(np.float32), array[:, 4].astype(int)
    )


def seen(*rows):
    """Found boxes as left, top, width, height, label, score."""
    array = np.array(rows, float).reshape(-1, 6)
    boxes = np.hstack([array[:, :2], array[:, :2] + array[:, 2:4]]).astype(np.float32)
    return FoundBoxes(boxes, array[:, 4].astype(int), array[:, 5].astype(np.float32))


TRUTH = [
    true((10, 10, 40, 40, 0)),  # found
    true((10, 10, 40, 40, 0)),  # found and named twice
    true((10, 10, 40, 40, 1)),  # found below the score
    true((10, 10, 40, 40, 0)),  # missed
    true((10, 10, 40, 40, 1)),  # reported twice
    true((10, 10, 40, 40, 0)),  # beside
    true((10, 10, 40, 40, 0)),  # misnamed
    true(),  # a false alarm
    true((10, 10, 60, 60, 1), (20, 20, 30, 30, 0)),  # two names on one place
]
FOUND = [
    seen((10, 10, 40, 40, 0, 0.9)),
    seen((10, 10, 40, 40, 0, 0.9), (11, 10, 40, 40, 1, 0.8)),
    seen((10, 10, 40, 40, 1, 0.2)),
    seen(),
    seen((10, 10, 40, 40, 1, 0.9), (12, 10, 40, 40, 1, 0.7)),
    seen((35, 10, 40, 40, 0, 0.8)),
    seen((10, 10, 40, 40, 1, 0.8)),
    seen((50, 50, 20, 20, 0, 0.9)),
    seen((10, 10, 60, 60, 1, 0.8)),
]
NAMES = [f"image{k} <b>.png" for k in range(len(TRUTH))]


@pytest.fixture(scope="module")
def page_and_cases():
    """The page of the findings above at a score given beforehand, with everything that may stand on it."""
    return made(
        repeats={"ap50": over_repeats([0.3, 0.4]).as_dict()},
        history=[{"step": 1.0, "total": 2.0, "class": 1.0}, {"step": 2.0, "total": 1.0, "class": 0.4}],
        speed={"rows": [{"method": "detector", "runtime": "OpenVINO", "device": "CPU", "ms_per_image": 61.2,
                         "images_per_s": 16.3, "line": "47 min"}], "words": ["Too slow."]},
        limits=["Other surfaces."], warnings=["w <1>"], quarantined=[{"file": "x.png", "reason": "broken"}],
        facts=[("recipe", "few-shot")],
    )  # fmt: skip


def made(truth=TRUTH, found=FOUND, classes=CLASSES, score=0.5, read=None, **more):
    scores = detection_scores(truth, found, classes, score=score, resamples=50)
    point = scores.operating
    errors = detection_errors(truth, found, classes, score if point is None else point.score)
    pixels = np.random.default_rng(1).integers(0, 255, (120, 160), np.uint8).astype(np.uint8)
    cases = show_cases(choose_cases(errors, truth, found), read or (lambda _: pixels), NAMES)
    facts = DetectionFacts(
        "Detector <script>",
        "made up",
        scores.as_dict(),
        errors.as_dict(),
        cases,
        provenance=provenance.describe(0),
        **more,
    )
    return detection_page(facts), cases


def test_each_kind_of_case_is_shown_with_what_happened(page_and_cases):
    _, cases = page_and_cases
    words = {kind: [shot.words for shot in shots] for kind, shots in cases.items()}
    assert words["right"] == ["found with 0.90"]
    assert words["double"] == ["scratch, called scratch 0.90 and scuff <i>& 0.80"]
    assert words["unsure"] == ["scuff <i>& found with 0.20, below 0.50"]
    assert words["missed"][0] == "scratch of 40 × 40 px, missed"
    assert words["duplicate"] == ["scuff <i>& reported again with 0.70; overlap 0.90"]
    assert words["misplaced"][0].startswith("scratch 0.80 beside the defect; overlap 0.23")
    assert words["misnamed"] == ["scratch, called scuff <i>& 0.80; overlap 1.00"]
    assert words["invented"] == ["scratch 0.90 on a good image"]
    assert words["ambiguous"] == ["annotated scuff <i>& and scratch; called scuff <i>& 0.80"]


def test_pictures_of_a_kind_are_of_different_images_first():
    truth = [true((0, 0, 9, 9, 0), (50, 50, 20, 20, 0), (80, 0, 30, 30, 0)), true((0, 0, 5, 5, 0))]
    errors = detection_errors(truth, [seen(), seen()], CLASSES, 0.5)
    cases = choose_cases(errors, truth, [seen(), seen()], most=3)["missed"]
    assert [case.image for case in cases] == [0, 1, 0]


def test_the_page_is_whole_escaped_and_fetches_nothing(page_and_cases):
    page, _ = page_and_cases
    assert "<script" not in page
    assert "scuff <i>" not in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert re.findall(r'id="([^"]+)"', page) == list(dict.fromkeys(re.findall(r'id="([^"]+)"', page)))
    for words in ("± 63.5", "± 6.9", "61.2", "Too slow.", "Losses", "Other surfaces.", "w &lt;1&gt;"):
        assert words in page


def test_headline_sentences_say_what_was_counted(page_and_cases):
    page, _ = page_and_cases
    # Of nine boxes those of images 0, 1, 4 and the scuff of 8 are hit; images 1, 4, 5, 6 and 7 have a false alarm each.
    assert "Of a hundred defects it finds about 44" in page
    assert "5 false alarms on 9 images" in page
    assert "9 boxes on 9 images, 1 of them without a defect" in page
    assert "Only 9 boxes stand behind these figures." in page
    assert "Pascal VOC 2007, 11 points" in page


def test_a_score_chosen_on_the_same_images_is_said(page_and_cases):
    page, _ = made(score=None)
    assert "chosen on the images it is judged on" in page
    assert "chosen on the images it is judged on" not in page_and_cases[0]


def test_without_findings_and_without_boxes_the_page_still_stands():
    nothing = [seen()] * len(TRUTH)
    page, cases = made(found=nothing)
    assert list(cases) == ["missed", "ambiguous"]
    assert "finds about 0" in page
    page, cases = made(truth=[true()] * len(TRUTH))
    assert list(cases) == ["invented"]
    assert "There was no defect to be found; it raises 9 false alarms on 9 images" in page
    assert "not defined" in page


def test_an_image_that_is_gone_is_said_to_be():
    errors = detection_errors(TRUTH, FOUND, CLASSES, 0.5)
    shown = show_cases(choose_cases(errors, TRUTH, FOUND), lambda _: None, NAMES)
    assert {shot.missing for shots in shown.values() for shot in shots} == {"the image cannot be read"}


# --- pictures


def parsed(svg):
    return ElementTree.fromstring(svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def test_truth_and_findings_differ_by_line_and_not_by_colour_alone():
    marks = [Mark((10, 10, 60, 60), line, "") for line in ("true", "found", "wrong", "ignored")]
    drawn = [rect for rect in parsed(boxed(np.zeros((100, 100), np.uint8), marks, "all")).iter(f"{SVG}rect")]
    dashes = [rect.get("stroke-dasharray") for rect in drawn if rect.get("stroke") != "#000"]
    assert dashes[0] is None
    assert len(set(dashes)) == 4


def test_boxes_lie_where_they_are_on_the_image():
    rect = next(
        parsed(boxed(np.zeros((50, 100), np.uint8), [Mark((10, 20, 60, 45), "true")], "one")).iter(f"{SVG}rect")
    )
    assert [float(rect.get(key)) for key in ("x", "y", "width", "height")] == [30, 60, 150, 75]  # 3 units a pixel


@pytest.mark.parametrize("side", [200, 700])
def test_small_images_are_shown_whole(side):
    assert window_about((side, side), (10, 10, 20, 20)).whole


@pytest.mark.parametrize("box", [(5, 5, 15, 15), (4080, 4080, 4096, 4096), (2000, 1000, 2010, 1040)])
def test_of_a_large_image_a_window_about_the_defect_is_shown(box):
    window = window_about((4096, 4096), box)
    assert not window.whole
    assert 0 <= window.left <= box[0]
    assert box[2] <= window.right <= 4096
    assert 0 <= window.top <= box[1]
    assert box[3] <= window.bottom <= 4096
    longer = max(box[2] - box[0], box[3] - box[1])
    assert window.right - window.left >= 7 * longer


def test_a_box_too_small_to_see_gets_a_ring():
    tiny = [Mark((2000, 2000, 2008, 2008), "true")]
    assert list(parsed(boxed(np.zeros((4096, 4096), np.uint8), tiny, "pinhole")).iter(f"{SVG}circle"))
    near = window_about((4096, 4096), tiny[0].box)
    assert not list(parsed(boxed(np.zeros((4096, 4096), np.uint8), tiny, "pinhole", near)).iter(f"{SVG}circle"))


def test_words_never_lie_on_other_words():
    marks = [Mark((20 + k, 20 + k, 90 + k, 90 + k), "found", f"scratch 0.{k}") for k in range(8)]
    picture = parsed(boxed(np.zeros((120, 120), np.uint8), marks, "crowded"))
    plates = [tuple(float(rect.get(key)) for key in ("x", "y", "width", "height"))
              for rect in picture.iter(f"{SVG}rect") if rect.get("fill") == "#000"]  # fmt: skip
    for k, (x, y, w, h) in enumerate(plates):
        assert 0 <= x <= 300 - w
        assert 0 <= y <= 300 - h
        assert not any(x < u + p and u < x + w and y < v + q and v < y + h for u, v, p, q in plates[:k])


# --- charts


def test_charts_say_in_words_what_they_show():
    scores = detection_scores(TRUTH, FOUND, CLASSES, score=0.5, resamples=0).as_dict()
    errors = detection_errors(TRUTH, FOUND, CLASSES, 0.5).as_dict()
    ap50 = {name: each["ap50"]["value"] for name, each in scores["per_class"].items()}
    curves = figures.precision_recall(scores["curves"], ap50)
    assert "AP50: scratch" in curves
    assert "each of 9 images" in figures.free_response(scores["froc"], scores["operating"], 9)
    assert "missed" in figures.mistakes(errors["ap50_gained"], errors["findings"], errors["true_boxes"])
    for svg in (curves, figures.scores_by_class(scores["per_class"]), figures.score_cost(scores["by_score"], 0.5)):
        parsed(svg)


def test_a_class_without_a_box_has_no_curve():
    svg = figures.precision_recall({"a": {"precision": [], "recall": []}}, {"a": None})
    assert "no class has a box" in svg
