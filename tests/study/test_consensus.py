"""Consensus sessions: alone first, dissent on record, right for the wrong reason, nothing overwritten."""

from __future__ import annotations

import json

import pytest

from sorby.errors import InputError
from sorby.study import (
    CUES,
    QUESTIONS,
    Case,
    Dissent,
    Joint,
    Judgement,
    Session,
    View,
    session_results,
    wrong_reasons,
)

ANNE, BO, CY = "anne", "bo", "cy"


def _case(name: str, predicted: str = "pressing", label: str = "pressing", confidence: float = 0.9) -> Case:
    views = tuple(View(f"{k:064x}", magnification=power) for k, power in enumerate((50.0, 500.0)))
    return Case(name, views, predicted, confidence, label)


def _answers(coincides: str = "yes", plausible: str = "yes", wrong_reason: str = "no") -> dict[str, str]:
    return {"coincides": coincides, "plausible": plausible, "wrong_reason": wrong_reason}


def _alone(case: str, rater: str, **answers: str) -> Judgement:
    return Judgement(case, _answers(**answers), ("mirror",), rater)  # type: ignore[arg-type]


def _joint(case: str, *dissent: Dissent, cues: tuple[str, ...] = ("pore",), **answers: str) -> Joint:
    return Joint(Judgement(case, _answers(**answers), cues), dissent)  # type: ignore[arg-type]


@pytest.fixture
def session() -> Session:
    return Session(
        "september", (_case("A"), _case("B", label="sintering"), _case("C", confidence=0.99)), (ANNE, BO, CY)
    )


def _judged(session: Session, case: str, **answers: str) -> Session:
    for rater in session.raters:
        session = session.with_judgement(_alone(case, rater, **answers))
    return session


def test_nothing_is_said_together_before_everybody_has_judged_alone(session: Session) -> None:
    session = session.with_judgement(_alone("A", ANNE)).with_judgement(_alone("A", BO))
    with pytest.raises(InputError, match="cy has not judged it alone"):
        session.with_joint(_joint("A"))
    closed = session.with_judgement(_alone("A", CY)).with_joint(_joint("A"))
    assert closed.joint[0].unanimous
    assert session.joint == ()


def test_judgements_of_others_are_hidden_until_all_are_in(session: Session) -> None:
    session = session.with_judgement(_alone("A", ANNE)).with_judgement(_alone("A", BO))
    assert [each.rater for each in session.visible_to(ANNE, "A")] == [ANNE]
    assert session.visible_to(CY, "A") == ()
    assert len(session.with_judgement(_alone("A", CY)).visible_to(CY, "A")) == 3


def test_what_was_said_stays_said(session: Session) -> None:
    session = session.with_judgement(_alone("A", ANNE))
    with pytest.raises(InputError, match="has judged case A already"):
        session.with_judgement(_alone("A", ANNE, coincides="no"))
    closed = _judged(session.with_judgement(_alone("B", ANNE)), "C").with_joint(_joint("C"))
    with pytest.raises(InputError, match="closed"):
        closed.with_joint(_joint("C"))


def test_a_dissent_contradicts_and_gives_its_reason(session: Session) -> None:
    session = _judged(session, "A")
    with pytest.raises(InputError, match="without a reason"):
        session.with_joint(_joint("A", Dissent(BO, "plausible", "no", " ")))
    with pytest.raises(InputError, match="dissents with the joint answer itself"):
        session.with_joint(_joint("A", Dissent(BO, "plausible", "yes", "hm")))
    with pytest.raises(InputError, match="fits nothing"):
        session.with_joint(_joint("A", Dissent("dora", "plausible", "no", "hm")))
    closed = session.with_joint(_joint("A", Dissent(BO, "plausible", "no", "the pore is an artefact")))
    assert not closed.joint[0].unanimous


@pytest.mark.parametrize(
    ("judgement", "says"),
    [
        (_alone("Z", ANNE), "case 'Z'"),
        (_alone("A", "dora"), "takes no part"),
        (_alone("A", ANNE, coincides="perhaps"), "'perhaps'"),
        (Judgement("A", {"coincides": "yes"}, (), ANNE), "each once"),
        (Judgement("A", _answers(), ("moss",), ANNE), "cue 'moss'"),  # type: ignore[arg-type]
        (_alone("B", ANNE, wrong_reason="yes"), "prediction is wrong"),
    ],
)
def test_judgements_that_do_not_fit_are_refused(session: Session, judgement: Judgement, says: str) -> None:
    with pytest.raises(InputError, match=says):
        session.with_judgement(judgement)


def test_the_register_holds_right_verdicts_for_wrong_reasons_the_surest_first(session: Session) -> None:
    session = _judged(session, "A").with_joint(_joint("A", plausible="no"))
    session = _judged(session, "B").with_joint(_joint("B", coincides="no", plausible="no"))
    session = _judged(session, "C", wrong_reason="yes").with_joint(_joint("C", wrong_reason="yes"))
    register = wrong_reasons(session)
    # B is wrong anyway; A is denied plausibility without anybody calling it so.
    assert [(entry.case, entry.votes) for entry in register] == [("C", 3), ("A", 0)]


def test_results_count_replies_and_agree_as_the_table_does(session: Session) -> None:
    session = _judged(_judged(session, "A"), "B", coincides="no", plausible="no").with_joint(
        _joint("A", coincides="unclear")
    )
    found = session_results(session)
    assert found["cases"] == {"all": 3, "judged_by_all": 2, "closed": 1}
    assert found["questions"]["coincides"]["alone"] == {"yes": 3, "no": 3, "unclear": 0}
    assert found["questions"]["coincides"]["agreement"]["fleiss_kappa"]["value"] == pytest.approx(1)
    assert found["changed"] == 1
    assert found["cues"]["pore"] == 1
    # Everybody always says no to the third: agreement beyond chance has no meaning there.
    assert found["questions"]["wrong_reason"]["agreement"]["fleiss_kappa"]["value"] is None


def test_a_house_adds_cues_and_a_session_survives_json(session: Session) -> None:
    own = Session("own", session.cases, session.raters, (*CUES, "river lines"))
    own = own.with_judgement(Judgement("A", _answers(), ("river lines",), ANNE))  # type: ignore[arg-type]
    own = _judged(own, "C").with_joint(_joint("C", Dissent(CY, "coincides", "no", "it is the edge")))
    assert Session.from_dict(json.loads(json.dumps(own.as_dict()))) == own
    with pytest.raises(InputError, match="not a consensus session"):
        Session.from_dict({"name": "x"})


def test_a_session_needs_two_people_and_asks_three_questions() -> None:
    with pytest.raises(InputError, match="one rater"):
        Session("s", (_case("A"),), (ANNE,))
    with pytest.raises(InputError, match="cases A, A"):
        Session("s", (_case("A"), _case("A")), (ANNE, BO))
    assert list(QUESTIONS) == ["coincides", "plausible", "wrong_reason"]
