"""Schemes: the range belongs to the class that was chosen, labels may merge codes, YAML says it all."""

from __future__ import annotations

from pathlib import Path

import pytest

from sorby.errors import InputError
from sorby.study import CANNOT_RATE, Answer, Scheme, dump_scheme, read_scheme, scheme_names

STEEL = read_scheme("steel")


def test_codes_come_from_the_range_of_the_class_chosen_whatever_is_true() -> None:
    assert STEEL.range_of("M") == ("M5", "M6", "M7", "M8", "M9", "M10")
    assert STEEL.check(Answer("M", "M7")).code == "M7"
    with pytest.raises(InputError, match="'M7' lies outside the range of class B") as error:
        STEEL.check(Answer("B", "M7"))
    assert "B5, B6" in error.value.hint


def test_the_reduced_classes_of_steel_are_the_eight_that_were_taught() -> None:
    assert STEEL.reduced_codes == ("G7", "G8", "G9-10", "B7", "B8", "B9-10", "M8", "M9-10")
    assert STEEL.covers("G9-10") == ("G9", "G10")
    assert (STEEL.reduce("B10"), STEEL.reduce("B9-10"), STEEL.reduce("M7")) == ("B9-10", "B9-10", None)
    assert STEEL.sizes == ("5", "6", "7", "8", "9", "10")


@pytest.mark.parametrize(
    ("label", "code", "steps"),
    [
        ("G9-10", "G9", 0),
        ("G9-10", "G10", 0),
        ("G9-10", "G8", -1),
        ("G8", "G10", 2),
        ("G7", "B7", None),
        ("B7", "B5", -2),
    ],
)
def test_steps_count_from_the_nearest_code_that_a_label_covers(label: str, code: str, steps: int | None) -> None:
    assert STEEL.steps(label, code) == steps


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(), "no class"),
        (Answer("Q", "Q7"), "class 'Q' is unknown"),
        (Answer("G"), "no code"),
        (Answer("G", "G7", criterion="luck"), "criterion 'luck'"),
        (Answer("G", "G7", region="corner"), "region 'corner'"),
        (Answer("G", "G7", region="box:.5,.5,.6,.1"), "region"),
        (Answer("G", "G7", flags=("pretty",)), "flag 'pretty'"),
        (Answer("G", "G7", flags=("over_etched", "over_etched")), "twice"),
        (Answer("G", "G7", flags=(CANNOT_RATE,)), "cannot be rated"),
        (Answer("G", "G7", comment="x" * 2001), "2001 characters"),
    ],
)
def test_an_answer_that_does_not_fit_is_told_why(answer: Answer, says: str) -> None:
    assert any(says in problem for problem in STEEL.problems(answer))


@pytest.mark.parametrize(
    "answer",
    [
        Answer("G", "G7", "extrema", "box:0,.25,.5,.75", ("over_etched",), "coarse <b>needles</b>"),
        Answer(flags=(CANNOT_RATE, "over_etched")),
    ],
)
def test_answers_that_fit(answer: Answer) -> None:
    assert STEEL.problems(answer) == ()


def test_what_is_written_by_hand_is_completed() -> None:
    assert STEEL.completed(Answer("M", "7")).code == "M7"
    assert STEEL.completed(Answer("", "B10")).class_name == "B"
    plain = read_scheme("accept-reject")
    assert plain.completed(Answer("reject")).code == "reject"
    assert (plain.rejects("reject"), plain.rejects("accept"), STEEL.rejects("G5")) == (True, False, None)


@pytest.mark.parametrize("name", scheme_names())
def test_a_scheme_survives_yaml(name: str, tmp_path: Path) -> None:
    scheme = read_scheme(name)
    path = tmp_path / "own.yaml"
    path.write_text(dump_scheme(scheme), "utf-8")
    assert read_scheme(path) == scheme


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: x\nclasses: [{name: a}, {name: a}]", "class a stands there twice"),
        ("name: x\nclasses: [{name: a, codes: [k]}, {name: b, codes: [k]}]", "code k stands there twice"),
        ("name: x\nclasses: [{name: a}]", "at least 2"),
        ("name: x\nclasses: [{name: a}, {name: b}]\nreduced: {c: d}", "c is no code"),
        ("name: x\nclasses: [{name: a}, {name: b}]\nreduced: {a: d, b: d}", "joins codes of several classes"),
        ("name: x\nclasses: [{name: a, size: 3}, {name: b}]", "no such field"),
        ("name: x\nclasses: [{name: 'a|b'}, {name: b}]", "pattern"),
    ],
)
def test_a_scheme_that_contradicts_itself_is_refused(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=says):
        read_scheme(path)


def test_classes_without_order_have_no_steps() -> None:
    causes = Scheme(name="causes", classes=[{"name": "press"}, {"name": "cut"}], ordered=False)  # type: ignore[arg-type]
    assert causes.steps("press", "press") is None
    assert not causes.two_steps
    assert not causes.reduces
