"""Routes: round robins, as those who organise them see them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from sorby.station import rounds
from sorby.station.permissions import Actor, Permission
from sorby.station.rest.frame import Id, Line, Needs, Plain, TheDesk
from sorby.station.rest.problems import ANSWERS
from sorby.station.rounds import Invitation, Seat, StudyFacts, Wanted

router = APIRouter(prefix="/studies", tags=["studies"], responses=ANSWERS)
Looker = Annotated[Actor, Depends(Needs(Permission.LOOK))]
Organiser = Annotated[Actor, Depends(Needs(Permission.ORGANISE))]
Knower = Annotated[Actor, Depends(Needs(Permission.READ_RECORD))]


class WantedImage(BaseModel):
    """An image for a study, with what is known of it."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    label: str = Field("", max_length=40)
    predicted: str = Field("", max_length=40)


class RoundPlan(BaseModel):
    """A round robin to design."""

    name: Line
    scheme: Line
    images: list[WantedImage] = Field(min_length=1, max_length=500)
    raters: list[Line] = Field(min_length=1, max_length=200)
    n: int | None = Field(None, ge=1, le=500)
    difficult_share: float | None = Field(None, ge=0, le=1)
    repeats: int = Field(0, ge=0, le=500)
    seed: int = Field(0, ge=0, le=2**32 - 1)


class RaterNames(BaseModel):
    """Raters to invite; all of the design where left out."""

    names: list[Line] | None = Field(None, max_length=200)


class State(BaseModel):
    """The next state."""

    state: Literal["open", "closed"]


@router.get("")
def list_studies(
    desk: TheDesk, actor: Looker, kind: Literal["round-robin", "consensus"] | None = None
) -> list[StudyFacts]:
    """List studies, newest first."""
    return rounds.list_studies(desk, actor, kind)


@router.post("", status_code=201)
def create_study(desk: TheDesk, actor: Organiser, design: Plain) -> StudyFacts:
    """Keep a design as `sorby study new` writes it; its images are here already."""
    return rounds.create_round(desk, actor, design)


@router.post("/plan", status_code=201)
def plan_study(desk: TheDesk, actor: Organiser, wish: RoundPlan) -> StudyFacts:
    """Design a round robin from images of the station."""
    images = [Wanted(image.sha256, image.label, image.predicted) for image in wish.images]
    return rounds.plan_round(
        desk, actor, wish.name, wish.scheme, images, wish.raters, n=wish.n, difficult_share=wish.difficult_share,
        repeats=wish.repeats, seed=wish.seed,
    )  # fmt: skip


@router.get("/{study_id}")
def get_study(desk: TheDesk, actor: Looker, study_id: Id) -> StudyFacts:
    """Describe a study, without what its images are."""
    return rounds.get_study(desk, actor, study_id)


@router.get("/{study_id}/design")
def get_design(desk: TheDesk, actor: Knower, study_id: Id) -> dict[str, Any]:
    """Return the design with its labels."""
    return rounds.get_design(desk, actor, study_id)


@router.post("/{study_id}/state")
def set_state(desk: TheDesk, actor: Organiser, study_id: Id, wish: State) -> StudyFacts:
    """Open or close a study."""
    return rounds.set_state(desk, actor, study_id, wish.state)


@router.post("/{study_id}/invitations", status_code=201)
def invite(desk: TheDesk, actor: Organiser, study_id: Id, wish: RaterNames) -> list[Invitation]:
    """Make links for raters; a link made again ends the one before."""
    return rounds.invite(desk, actor, study_id, wish.names)


@router.get("/{study_id}/raters")
def seats(desk: TheDesk, actor: Knower, study_id: Id) -> list[Seat]:
    """Tell how far each rater is."""
    return rounds.seats(desk, actor, study_id)


@router.get("/{study_id}/results")
def results(desk: TheDesk, actor: Knower, study_id: Id) -> dict[str, Any]:
    """Return accuracies, agreement and all the rest, so far."""
    return rounds.round_results(desk, actor, study_id)
