"""Routes: whether the station is well, and what it can be asked."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from sqlalchemy import text

from sorby._version import __version__
from sorby.station.rest.frame import Needs, Open, TheDesk
from sorby.station.rest.problems import ANSWERS

router = APIRouter(tags=["station"], responses=ANSWERS)


class Health(BaseModel):
    """That the server answers and its database does."""

    status: str


@router.get("/health", dependencies=[Depends(Open("says only that the station answers"))])
def health(desk: TheDesk) -> Health:
    """Answer where the database answers."""
    with desk.database.read() as session:
        session.execute(text("SELECT 1"))
    return Health(status="ok")


@router.get("/version", dependencies=[Depends(Needs())])
def version() -> dict[str, str]:
    """Say which sorby this is."""
    return {"version": __version__}


@router.get("/openapi.json", include_in_schema=False, dependencies=[Depends(Needs())])
def openapi(request: Request) -> dict[str, Any]:
    """Describe all routes."""
    description: dict[str, Any] = request.app.openapi()
    return description
