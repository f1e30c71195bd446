"""Routes: consensus sessions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from sorby.station import consensus
from sorby.station.consensus import Sheet
from sorby.station.permissions import Actor, Permission
from sorby.station.rest.frame import Id, Line, Needs, Prose, Secret, TheDesk
from sorby.station.rest.problems import ANSWERS
from sorby.station.rounds import StudyFacts
from sorby.study.consensus import CUES

router = APIRouter(prefix="/consensus", tags=["studies"], responses=ANSWERS)
Looker = Annotated[Actor, Depends(Needs(Permission.LOOK))]
Expert = Annotated[Actor, Depends(Needs(Permission.TAKE_PART))]
Reply = Literal["yes", "no", "unclear"]
Question = Literal["coincides", "plausible", "wrong_reason"]


class ViewOfCase(BaseModel):
    """An image of a case."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    magnification: float | None = Field(None, gt=0, allow_inf_nan=False)
    pixel_size_um: float | None = Field(None, gt=0, allow_inf_nan=False)
    map_sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    predicted: str = Field("", max_length=80)
    confidence: float | None = Field(None, ge=0, le=1)


class CaseOnTable(BaseModel):
    """A specimen on the table."""

    name: str = Field(min_length=1, max_length=40, pattern=r"^[^\x00-\x1f/\\]+$")
    views: list[ViewOfCase] = Field(min_length=1, max_length=50)
    predicted: Line
    confidence: float | None = Field(None, ge=0, le=1)
    label: str = Field("", max_length=80)


class SessionPlan(BaseModel):
    """A session to prepare."""

    name: Line
    cases: list[CaseOnTable] = Field(min_length=1, max_length=500)
    experts: list[Line] = Field(min_length=2, max_length=20)
    cues: list[Line] = Field(default=list(CUES), min_length=1, max_length=100)
    bundle: str = Field("", pattern=r"^([0-9a-f]{64})?$")


class Answers(BaseModel):
    """Replies to the three questions, cues seen, a comment."""

    case: str = Field(min_length=1, max_length=40)
    answers: dict[Question, Reply]
    cues: list[Line] = Field(default=[], max_length=100)
    comment: Prose = ""


class Objection(BaseModel):
    """What one expert holds against the joint answer."""

    rater: Line
    question: Question
    reply: Reply
    reason: Prose


class JointAnswers(Answers):
    """The joint answer, with the password of who writes it down."""

    dissent: list[Objection] = Field(default=[], max_length=100)
    password: Secret


@router.post("", status_code=201)
def create(
    desk: TheDesk, actor: Annotated[Actor, Depends(Needs(Permission.ORGANISE))], wish: SessionPlan
) -> StudyFacts:
    """Prepare a session."""
    cases = [case.model_dump() for case in wish.cases]
    return consensus.create_session(desk, actor, wish.name, cases, wish.experts, cues=wish.cues, bundle=wish.bundle)


@router.get("/{study_id}/cases")
def cases(desk: TheDesk, actor: Looker, study_id: Id) -> list[dict[str, Any]]:
    """List the cases and who is still to judge them."""
    return consensus.list_cases(desk, actor, study_id)


@router.get("/{study_id}/sheet")
def sheet(desk: TheDesk, actor: Looker, study_id: Id, case: str) -> Sheet:
    """Return a case as one may see it."""
    return consensus.sheet(desk, actor, study_id, case)


@router.post("/{study_id}/alone", status_code=201)
def alone(desk: TheDesk, actor: Expert, study_id: Id, given: Answers) -> Sheet:
    """Judge a case alone."""
    return consensus.judge_alone(desk, actor, study_id, given.case, _told(given), given.cues, given.comment)


@router.post("/{study_id}/joint", status_code=201)
def joint(desk: TheDesk, actor: Expert, study_id: Id, given: JointAnswers) -> Sheet:
    """Give the joint answer, signed."""
    dissent = [objection.model_dump() for objection in given.dissent]
    return consensus.judge_together(
        desk, actor, study_id, given.case, _told(given), given.cues, given.comment, dissent, given.password
    )


@router.get("/{study_id}/results")
def results(desk: TheDesk, actor: Looker, study_id: Id) -> dict[str, Any]:
    """Return agreement, joint answers and the register of verdicts right for the wrong reason."""
    return consensus.consensus_results(desk, actor, study_id)


def _told(given: Answers) -> dict[str, str]:
    return {str(question): str(reply) for question, reply in given.answers.items()}
