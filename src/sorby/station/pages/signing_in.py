"""The door: signing in, and changing one's password."""

from __future__ import annotations

import asyncio

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from nicegui import ui
from nicegui.element import Element

from sorby.station.pages.elements import box, heading, link, note, text
from sorby.station.pages.frame import the_desk
from sorby.station.sessions import COOKIE, visit_of


class Door(Element, component="static/door.js"):
    """The forms that speak to the REST interface."""

    def __init__(self, kind: str, **properties: str | bool) -> None:
        super().__init__()
        self._props.update({"kind": kind, **properties})


def inside(path: str) -> str:
    """Return an address to go on to, if it lies within this station; else the first page.

    A link that somebody sends may name any address to go on to; only a path of ours is followed.

    Examples
    --------
    >>> inside("/queue?state=waiting"), inside("//elsewhere.org"), inside("https://elsewhere.org")
    ('/queue?state=waiting', '/', '/')
    """
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if plain else "/"


def put() -> None:
    """Put the pages on the station."""

    @ui.page("/sign-in", title="Sign in \u2013 sorby")
    async def sign_in(request: Request) -> Response | None:
        to = inside(request.query_params.get("next", "/"))
        if await asyncio.to_thread(visit_of, the_desk(), request.cookies.get(COOKIE)) is not None:
            return RedirectResponse(to, 303)
        with box("alone stack"):
            heading("sorby", 1)
            text("Images, verdicts, reviews and the record of this station.", "soft")
            with box("sheet stack"):
                Door("sign-in", next=to)
            text("No account, or the password forgotten? An administrator of this station helps.", "soft small")
        return None

    @ui.page("/password", title="Change password \u2013 sorby")
    async def password(request: Request) -> Response | None:
        found = await asyncio.to_thread(visit_of, the_desk(), request.cookies.get(COOKIE))
        if found is None:
            return RedirectResponse("/sign-in?next=/password", 303)
        with box("alone stack"):
            heading("Change password", 1)
            if found.actor.must_change:
                note("Your password was given to you by somebody else. Choose one that only you know.", "warn")
            with box("sheet stack"):
                Door("password", csrf=found.csrf, next="/")
            text("Your sessions on other devices end.", "soft small")
            if not found.actor.must_change:
                link("Back to the station", "/")
        return None
