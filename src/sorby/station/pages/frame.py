"""What every page shares: who is looking, the rail, and how an action is done and its refusal told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from nicegui import app, ui
from nicegui.element import Element

from sorby.errors import InputError
from sorby.station.desk import Desk, SignedOut
from sorby.station.pages.elements import box, heading, note, text
from sorby.station.permissions import Actor, Permission
from sorby.station.sessions import COOKIE, visit_of

log = logging.getLogger("sorby.station")

Given = ParamSpec("Given")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Place:
    """A line of the rail."""

    path: str
    title: str
    icon: str
    needs: tuple[Permission, ...]


PLACES = (
    Place("/", "Home", "home", ()),
    Place("/inspect", "Inspect", "inspect", (Permission.INSPECT,)),
    Place("/queue", "Queue", "queue", (Permission.LOOK,)),
    Place("/specimens", "Specimens", "specimens", (Permission.LOOK,)),
    Place("/studies", "Studies", "studies", (Permission.LOOK,)),
    Place("/jobs", "Jobs", "jobs", (Permission.LOOK,)),
    Place("/models", "Models", "models", (Permission.LOOK,)),
    Place("/drift", "Drift", "drift", (Permission.LOOK,)),
    Place("/certificates", "Certificates", "certificates", (Permission.LOOK,)),
    Place("/record", "Record", "record", (Permission.READ_RECORD,)),
    Place("/accounts", "Accounts", "accounts", (Permission.MANAGE_ACCOUNTS,)),
)


class Rail(Element, component="static/rail.js"):
    """The rail at the left."""


@dataclass
class Visitor:
    """Somebody who is signed in and looks at one page.

    A page outlives the request that opened it, and its session may end meanwhile: whatever is done through it asks
    for the session again.

    Attributes
    ----------
    desk : Desk
    cookie : str
        Of the session.
    request : Request
        That opened the page.
    by_hand : bool
        Whether a person asks; what a page looks up by itself keeps no session from ending.
    """

    desk: Desk
    cookie: str
    request: Request
    by_hand: bool = True

    @property
    def actor(self) -> Actor:
        """Who acts, as the session stands now.

        Raises
        ------
        SignedOut
            It has ended.
        """
        found = visit_of(self.desk, self.cookie, by_hand=self.by_hand)
        if found is None:
            raise SignedOut("your session has ended", "sign in again")
        return found.actor

    @property
    def csrf(self) -> str:
        """What requests to the REST interface repeat."""
        found = visit_of(self.desk, self.cookie)
        return "" if found is None else found.csrf

    def may(self, *needed: Permission) -> bool:
        """Whether the role allows it; decides what a page offers, not what is done."""
        return all(each in self.actor.permissions for each in needed)

    def go(self, to: str) -> None:
        """Open another page of the station."""
        ui.navigate.to(to)

    def reload(self) -> None:
        """Show the page anew."""
        ui.navigate.reload()

    def part(self, name: str) -> str:
        """Return a part of the page's address, such as the hash in ``/images/{sha}``."""
        return str(self.request.path_params[name])

    def asked(self, name: str, otherwise: str = "") -> str:
        """Return a parameter behind the question mark of the address."""
        return self.request.query_params.get(name, otherwise)

    async def ask(
        self, function: Callable[Concatenate[Desk, Actor, Given], Result], *args: Given.args, **kwargs: Given.kwargs
    ) -> Result:
        """Call a function of the station as this visitor, in a thread, so that others need not wait.

        Raises
        ------
        InputError
            Whatever the function refuses, or the session has ended.
        """
        return await asyncio.to_thread(lambda: function(self.desk, self.actor, *args, **kwargs))

    def does(self, act: Callable[..., Awaitable[Any]], *args: Any) -> Callable[[], Awaitable[None]]:
        """Return a handler that does *act* and tells what was refused."""

        async def handler() -> None:
            await self._try(act, *args)

        return handler

    def hears(self, act: Callable[..., Awaitable[Any]], *args: Any) -> Callable[[Any], Awaitable[None]]:
        """Return a handler that does *act* with the event, and tells what was refused."""

        async def handler(event: Any) -> None:
            await self._try(act, *args, event)

        return handler

    async def _try(self, act: Callable[..., Awaitable[Any]], *args: Any) -> None:
        client = ui.context.client
        try:
            await act(*args)
        except SignedOut:
            with client:
                ui.navigate.to(sign_in_address(self.request))
        except InputError as error:
            with client:
                tell(error)


def tell(error: InputError) -> None:
    """Show a refusal: what was wrong, and what to do."""
    words = error.message[:1].upper() + error.message[1:]
    said(f"{words} \u2014 {error.hint}" if error.hint else words, "negative")


def said(words: str, kind: str = "positive") -> None:
    """Show a short message that goes by itself; it is read out."""
    colours = {"positive": "#1b6238", "negative": "#9b1c1c", "warning": "#7a4700"}
    ui.notification(
        words, color=colours[kind], text_color="white", position="bottom", timeout=8 if kind == "negative" else 4,
        close_button="Close" if kind == "negative" else False, multi_line=True,
    )  # fmt: skip


def the_desk() -> Desk:
    """Return the desk that the pages of this process work with."""
    desk: Desk = app.state.desk
    return desk


def sign_in_address(request: Request) -> str:
    """Return the address of the door that leads back to where somebody was."""
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return "/sign-in" if path == "/" else f"/sign-in?next={quote(path)}"


def page(path: str, title: str, *needed: Permission) -> Callable[[Callable[[Visitor], Awaitable[None]]], None]:
    """Put a page on the station for those who are signed in.

    Parameters
    ----------
    path : str
        Parts in braces are found with `Visitor.part`.
    title : str
    *needed : Permission
        Without these the page says so and shows nothing; its functions check them again.
    """

    def register(build: Callable[[Visitor], Awaitable[None]]) -> None:
        async def shown(request: Request) -> Response | None:
            desk = the_desk()
            cookie = request.cookies.get(COOKIE, "")
            found = await asyncio.to_thread(visit_of, desk, cookie)
            if found is None:
                return RedirectResponse(sign_in_address(request), 303)
            if found.actor.must_change:
                return RedirectResponse("/password", 303)
            visitor = Visitor(desk, cookie, request)
            with _framed(visitor, found.actor, found.account.full_name, found.csrf, path):
                if missing := [each for each in needed if each not in found.actor.permissions]:
                    heading("This page is not for your role", 1)
                    note(f"You are signed in as {found.actor.role}; the page needs: {missing[0].value}.", "warn")
                    return None
                try:
                    await build(visitor)
                except InputError as error:
                    heading("This cannot be shown", 1)
                    note(f"{error.message}. {error.hint}", "warn")
            return None

        shown.__name__ = build.__name__
        ui.page(path, title=f"{title} \u2013 sorby", response_timeout=60)(shown)

    return register


@contextmanager
def _framed(visitor: Visitor, actor: Actor, name: str, csrf: str, path: str) -> Any:
    here = "/" + path.split("/")[1]
    section = {
        "/images": "/specimens", "/inspections": "/queue", "/compare": "/jobs", "/tokens": "/accounts",
        "/consensus": "/studies", "/watch": "/inspect",
    }  # fmt: skip
    here = section.get(here, here)
    places = [
        {"path": each.path, "title": each.title, "icon": each.icon, "here": each.path == here}
        for each in PLACES
        if all(need in actor.permissions for need in each.needs)
    ]
    skip = text("Skip to the page", "skip", "a")
    skip.props["href"] = "#page"
    with box("station"):
        rail = Rail()
        rail.props.update({"places": places, "name": name or actor.name, "role": actor.role, "csrf": csrf})
        with box("main stack wide-gap") as main:
            main.props["id"] = "page"
            yield


@contextmanager
def head(title: str, words: str = "", *crumbs: tuple[str, str]) -> Any:
    """Show a page's title; what is put in stands beside it.

    Parameters
    ----------
    title, words : str
    *crumbs : (str, str)
        Name and address of the pages above this one.
    """
    with box("head"):
        with box("words"):
            if crumbs:
                with box("crumbs row", "nav") as trail:
                    trail.props["aria-label"] = "Above this page"
                    for name, to in crumbs:
                        text(name, tag="a").props["href"] = to
            heading(title, 1)
            if words:
                text(words, "soft")
        with box("row"):
            yield


def every(seconds: float, act: Callable[[Visitor], Awaitable[None]], visitor: Visitor) -> ui.timer:
    """Look again and again while the page is open; it ends with the session, and does not prolong it."""
    by_itself = replace(visitor, by_hand=False)

    async def turn() -> None:
        try:
            await act(by_itself)
        except SignedOut:
            timer.deactivate()
        except InputError as error:
            log.info("a page's own look-up was refused: %s", error)

    timer = ui.timer(seconds, turn, immediate=False)
    return timer
