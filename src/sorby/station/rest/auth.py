"""Routes: signing in and out, oneself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from sorby.station import accounts, sessions
from sorby.station.accounts import Account
from sorby.station.permissions import Actor
from sorby.station.rest.frame import Line, Needs, Open, Secret, TheDesk, address_of, visit
from sorby.station.rest.problems import ANSWERS

router = APIRouter(tags=["signing in"], responses=ANSWERS)


class Credentials(BaseModel):
    """Name and password."""

    name: Line
    password: Secret


class Me(BaseModel):
    """Who is signed in."""

    account: Account
    permissions: list[str]
    csrf: str


class PasswordChange(BaseModel):
    """The old password and the new one."""

    old: Secret
    new: Secret


@router.post("/auth/sign-in", dependencies=[Depends(Open("who signs in is not signed in yet"))])
def sign_in(request: Request, response: Response, desk: TheDesk, credentials: Credentials) -> Me:
    """Begin a session; the cookie comes with the answer."""
    begun = sessions.sign_in(
        desk, credentials.name, credentials.password, address_of(request), request.cookies.get(sessions.COOKIE)
    )
    response.set_cookie(
        sessions.COOKIE, begun.cookie, max_age=int(desk.settings.session_s), path="/", secure=desk.settings.secure,
        httponly=True, samesite="strict",
    )  # fmt: skip
    return _me(begun.visit)


@router.post("/auth/sign-out", status_code=204, dependencies=[Depends(Needs())])
def sign_out(response: Response, desk: TheDesk, found: Annotated[sessions.Visit, Depends(visit)]) -> None:
    """End the session."""
    sessions.sign_out(desk, found)
    response.delete_cookie(sessions.COOKIE, path="/", secure=desk.settings.secure, httponly=True, samesite="strict")


@router.get("/me", dependencies=[Depends(Needs())])
def me(found: Annotated[sessions.Visit, Depends(visit)]) -> Me:
    """Say who is signed in, with the token that changes need."""
    return _me(found)


@router.post("/me/password", status_code=204)
def change_password(
    request: Request, desk: TheDesk, change: PasswordChange, actor: Annotated[Actor, Depends(Needs())]
) -> None:
    """Change one's own password; one's other sessions end."""
    cookie = request.cookies.get(sessions.COOKIE)
    accounts.change_own_password(
        desk, actor, change.old, change.new, None if cookie is None else sessions.digest_of(cookie)
    )


def _me(found: sessions.Visit) -> Me:
    return Me(
        account=found.account, permissions=sorted(each.value for each in found.actor.permissions), csrf=found.csrf
    )
