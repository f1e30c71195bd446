"""Routes: control charts of what bundles say over time."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from sorby.station import drift
from sorby.station.drift import Drift
from sorby.station.permissions import Actor, Permission
from sorby.station.rest.frame import Needs, Sha, TheDesk
from sorby.station.rest.problems import ANSWERS

router = APIRouter(prefix="/drift", tags=["drift"], responses=ANSWERS)
Looker = Annotated[Actor, Depends(Needs(Permission.LOOK))]


@router.get("/{sha}")
def charts(
    desk: TheDesk,
    actor: Looker,
    sha: Sha,
    instrument: Annotated[str | None, Query(max_length=160)] = None,
    period: Literal["week", "day"] = "week",
    baseline: Annotated[int, Query(ge=1, le=500)] = 12,
) -> Drift:
    """Chart referral, class shares, confidence and novelty of a bundle."""
    return drift.drift(desk, actor, sha, instrument=instrument, period=period, baseline=baseline)


@router.get("/{sha}/instruments")
def instruments(desk: TheDesk, actor: Looker, sha: Sha) -> list[str]:
    """List the instruments whose images the bundle has inspected."""
    return drift.instruments(desk, actor, sha)
