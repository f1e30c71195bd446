from __future__ import annotations

import re
from importlib import resources

import numpy as np
import pandas as pd
import pytest

from sorby.report import audit_split, promise, select
from sorby.report.drawing import short
from sorby.report.figures import confusion, learning, novelty, per_class, reliability, risk_coverage
from sorby.report.findings import decided, share, worst_confusion
from sorby.report.page import render
from sorby.report.thumbnails import centre_square, embed, shrink, strip
from sorby.report.wording import in_a_hundred, listed, metric_rows, percent


def test_a_share_below_one_is_never_printed_as_all():
    assert percent(0.9999) == ">99.9 %"
    assert percent(1.0) == "100.0 %"
    assert percent(0.0001) == "<0.1 %"
    assert percent(0.0) == "0.0 %"
    assert percent(None) == percent(float("nan")) == "not defined"


def test_an_interval_of_accuracies_becomes_mistakes_in_a_hundred():
    assert in_a_hundred(0.16, (0.806, 0.869)) == "about 16 wrong (13 to 20)"


def test_a_long_list_of_names_ends_in_a_number():
    assert listed(list("abc")) == "a, b, c"
    assert listed(list("abcd"), 2) == "a, b and 2 more"


def test_the_audit_finds_a_byte_identical_file_in_two_parts():
    found = audit_split(
        ["a"] * 4,
        ["train", "train", "test", "test"],
        ["a"],
        ["1" * 64, "2" * 64, "2" * 64, "3" * 64],
        list("wxyz"),
        None,
    )
    assert found.shared_images == ("x", "y")
    assert not found.clean


def test_the_audit_counts_images_and_specimens_of_each_part():
    found = audit_split(
        list("aabbb"),
        ["train", "test", "train", "train", "val"],
        ["a", "b"],
        [f"{k:064x}" for k in range(5)],
        list("vwxyz"),
        ["s", "t", "u", "u", "v"],
    )
    assert found.parts == ("train", "val", "test")
    np.testing.assert_array_equal(found.counts, [[1, 2], [0, 1], [1, 0]])
    assert found.specimens == (2, 1, 1)
    assert found.clean
    assert found.untested == ("a (none in val)", "b (none in test)")


def test_the_same_repeat_within_one_part_is_no_leak():
    found = audit_split(["a", "a"], ["train", "train"], ["a"], ["1" * 64] * 2, ["x", "y"], ["s", "s"])
    assert found.clean


def measured(value, low, high):
    return {"value": value, "ci95": [low, high], "n": 100}


@pytest.mark.parametrize(
    ("entry", "kept", "words"),
    [
        (measured(0.93, 0.86, 0.97), True, "aim is met"),
        (measured(0.88, 0.80, 0.93), True, "agrees with the aim"),
        (measured(0.83, 0.79, 0.87), True, "not below the guaranteed"),
        (measured(0.78, 0.70, 0.85), True, "too small to be sure"),
        (measured(0.60, 0.50, 0.69), False, "Do not rely on the sets"),
        ({"value": None, "ci95": None, "n": 0}, True, "nothing to measure"),
    ],
)
def test_a_promise_is_judged_by_its_interval(entry, kept, words):
    found = promise(0.1, 0.8, "at least .8", entry)
    assert found.kept is kept
    assert words in found.verdict


def table(**columns):
    n = len(columns["correct"])
    usual = {
        "label": ["a"] * n,
        "confidence": np.linspace(0.5, 0.9, n),
        "novelty": [0.5] * n,
        "referred": [False] * n,
        "reason": [""] * n,
    }
    return pd.DataFrame(usual | columns)


def test_the_most_confident_mistake_comes_first():
    assert select(table(correct=[True, False, False, True]), ["a"]).errors == [2, 1]


def test_every_reason_of_referral_gets_a_picture_before_any_gets_two():
    reason = ["set-several"] * 8 + ["novel", "set-empty"]
    found = select(table(correct=[True] * 10, referred=[True] * 10, reason=reason), ["a"])
    assert {reason[k] for k in found.referred[:3]} == set(reason)


def test_classes_of_which_nothing_was_named_right_are_listed():
    found = select(table(correct=[True, False], label=["a", "b"]), ["a", "b", "c"])
    assert found.examples == [0]
    assert found.without_example == ["b", "c"]


def test_mistakes_that_nobody_would_see_are_counted():
    verdicts = table(
        correct=[True, False, False, True], predicted=["a", "b", "b", "a"], referred=[False, False, True, True]
    )
    found = decided(verdicts, ["a", "b"], None)
    assert (found["n"], found["right"], found["silent_errors"], found["referred_right"]) == (2, 1, 1, 1)


def test_the_share_of_hits_is_the_share_of_hits():
    hit = np.array([True] * 3 + [False] * 7)
    assert share(hit, None)["value"] == pytest.approx(0.3)
    assert share(np.zeros(4, bool), np.array(["s", "s", "t", "t"]))["value"] == 0


def test_the_most_frequent_mistake_is_truth_then_verdict():
    assert worst_confusion([[5, 3], [1, 9]], ["a", "b"]) == ("a", "b", 3)
    assert worst_confusion([[5, 0], [0, 9]], ["a", "b"]) is None


CURVE = {
    "low": [0.5],
    "high": [0.6],
    "confidence": [0.55],
    "accuracy": [0.5],
    "count": [2],
    "ci95_low": [0.1],
    "ci95_high": [0.9],
}
SELECTIVE = {"coverage": [0.5, 1.0], "risk": [0.0, 0.5], "ci95_low": [0.0, 0.1], "ci95_high": [0.8, 0.9], "n": 2}
UNDEFINED = {"value": None, "ci95": None}


@pytest.mark.parametrize(
    "drawn",
    [
        confusion([[2, 1], [0, 0]], ["a", "<script>$x$"]),
        confusion(np.eye(30, dtype=int), [f"class {k}" for k in range(30)]),
        reliability(CURVE, 2),
        reliability({name: [] for name in CURVE}, 0),
        risk_coverage(SELECTIVE),
        per_class({"a": dict.fromkeys(("precision", "recall", "f1"), UNDEFINED)}),
        novelty([], 0.01),
        learning([{"epoch": 0, "train_loss": None, "val_loss": 1.0, "val_accuracy": 0.5, "val_macro_f1": 0.4}], 0),
    ],
)
def test_a_drawing_takes_its_colours_from_the_page_and_refers_to_nothing_else(drawn):
    assert drawn.startswith("<svg")
    assert drawn.endswith("</svg>")
    assert "http" not in drawn
    assert "<script" not in drawn
    assert "var(--ink)" in drawn
    assert not re.search(r"#(0[1-4]){3}\b", drawn)  # no placeholder colour is left


def test_a_drawing_is_the_same_each_time():
    assert risk_coverage(SELECTIVE) == risk_coverage(SELECTIVE)


def test_a_long_label_is_cut_where_it_is_drawn():
    assert short("retained\naustenite", 40) == "retained austenite"
    assert len(short("x" * 100)) == 22


def test_thumbnails_keep_the_aspect_and_never_enlarge(rng):
    wide = rng.integers(0, 65535, (300, 900), dtype=np.uint16)
    assert shrink(wide, 256).shape == (85, 256, 3)
    assert shrink(wide[:20, :30], 256).shape == (20, 30, 3)
    assert centre_square(wide, 64).shape == (64, 64, 3)


def test_a_picture_is_embedded_as_jpeg(rng):
    tile = rng.integers(0, 255, (20, 20, 3), dtype=np.uint8)
    picture = embed(strip([tile, tile]), "two tiles")
    assert picture.uri.startswith("data:image/jpeg;base64,")
    assert (picture.width, picture.height) == (43, 20)


def test_the_templates_come_with_the_package():
    names = {entry.name for entry in resources.files("sorby.report").joinpath("templates").iterdir()}
    assert {"run.html", "frame.html", "pieces.html", "style.css"} <= names


def test_a_template_that_misses_a_fact_fails_loudly():
    with pytest.raises(Exception, match="undefined"):
        render("run.html")


def test_a_share_over_folds_does_not_exceed_all() -> None:
    estimate = {"value": 0.99, "ci95": [0.958, 1.022], "sd": 0.02, "n": 5, "method": "t over 5 folds"}
    row = metric_rows({"accuracy": estimate})[0]
    assert row["interval"].endswith("100.0 % (cut)")
    assert metric_rows({"accuracy": {**estimate, "ci95": [0.958, 0.998]}})[0]["interval"].endswith("99.8 %")
