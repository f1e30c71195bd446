"""Routes: what a rater does with a link; its secret stands in the address and is the key."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, Field

from sorby.station import images, rating
from sorby.station.rating import Place, Saved, Welcome
from sorby.station.rest.frame import ByLink, Plain, TheDesk
from sorby.station.rest.problems import ANSWERS

router = APIRouter(prefix="/rate/{secret}", tags=["rating"], responses=ANSWERS, dependencies=[Depends(ByLink())])
Link = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{16,64}$")]
PlaceNumber = Annotated[int, Path(ge=1, le=100_000)]
_KEPT = {"Cache-Control": "private, max-age=86400"}


class GivenAnswer(BaseModel):
    """What a rater says, and how long it took."""

    answer: Plain
    seconds: float = Field(0.0, ge=0, le=1e9, allow_inf_nan=False)


@router.get("")
def welcome(desk: TheDesk, secret: Link) -> Welcome:
    """Return the question, what may be said, and the next place."""
    return rating.welcome(desk, secret)


@router.put("/profile")
def save_profile(desk: TheDesk, secret: Link, profile: Plain) -> dict[str, Any]:
    """Keep `experience_years`, `frequency` and `site`."""
    return rating.save_profile(desk, secret, profile)


@router.get("/places/{place}")
def look(desk: TheDesk, secret: Link, place: PlaceNumber) -> Place:
    """Return a place with the answer given so far."""
    return rating.look(desk, secret, place)


@router.put("/places/{place}")
def save(desk: TheDesk, secret: Link, place: PlaceNumber, given: GivenAnswer) -> Saved:
    """Save an answer; the same one again changes nothing."""
    return rating.save_rating(desk, secret, place, given.answer, given.seconds)


@router.get("/places/{place}/tiles")
def describe_tiles(desk: TheDesk, secret: Link, place: PlaceNumber) -> dict[str, Any]:
    """Describe the sizes in which the picture is there."""
    return images.tiles(desk, rating.picture(desk, secret, place)).describe()


@router.get(
    "/places/{place}/tiles/{z}/{x}/{y}", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}}
)
def tile(
    desk: TheDesk,
    secret: Link,
    place: PlaceNumber,
    z: Annotated[int, Path(ge=0, le=30)],
    x: Annotated[int, Path(ge=0, le=10**6)],
    y: Annotated[int, Path(ge=0, le=10**6)],
) -> Response:
    """Return a part of the picture."""
    pyramid = images.tiles(desk, rating.picture(desk, secret, place))
    return Response(pyramid.tile(z, x, y), media_type="image/jpeg", headers=_KEPT)
