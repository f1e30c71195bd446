"""A rater's page, behind an invitation link: who one is, then one image at a time.

Raters see the image with a scale bar and nothing else: no name, no label, no verdict, nothing of the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import Request
from nicegui import ui
from nicegui.element import Element

from sorby.errors import InputError
from sorby.station import images, rating
from sorby.station.desk import Desk
from sorby.station.pages.elements import box, button, choice, field, heading, note, text
from sorby.station.pages.frame import tell, the_desk
from sorby.station.pages.viewer import Viewer
from sorby.study import FREQUENCIES


class RatingForm(Element, component="static/rating.js"):
    """The questions of a scheme."""


class Seat:
    """What a rater's page shows and does.

    Parameters
    ----------
    secret : str
        Of the link.
    place : Element
        Where to show it.
    """

    def __init__(self, secret: str, place: Element) -> None:
        self.secret = secret
        self.place = place
        self.welcome: rating.Welcome
        self.form: RatingForm | None = None

    async def ask(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call one of the rater's functions in a thread; the link is checked in it, each time."""
        return await asyncio.to_thread(function, the_desk(), self.secret, *args)

    async def begin(self) -> None:
        """Show what fits how far the rater is."""
        self.welcome = await self.ask(rating.welcome)
        self.place.clear()
        with self.place:
            if self.welcome.state == "draft":
                heading(self.welcome.study, 1)
                note("This study is not open yet. Come back with the same link when it is.")
            elif self.welcome.state == "closed":
                heading(self.welcome.study, 1)
                note(f"This study is closed. You rated {self.welcome.done} of {self.welcome.places} images. Thank you.")
            elif not self.welcome.profile:
                self._ask_profile()
            elif self.welcome.next is None:
                self._thank()
            else:
                await self.show(self.welcome.next)

    def _ask_profile(self) -> None:
        told = self.welcome
        heading(told.study, 1)
        text(f"Welcome, {told.rater}. You will see {told.places} images, one at a time. Say for each what you see; "
             "there is no time limit. You may stop and go on later, on any device, with the same link.")  # fmt: skip
        with box("sheet stack"):
            heading("About you")
            years = field("Years of experience", kind="number", step="0.5")
            words = {name: name.capitalize() for name in FREQUENCIES}
            frequency = choice("How often do you rate such images?", {"": "Choose", **words})
            site = field("Site or laboratory (if you like)")
            text("It is used to group results. Your name is seen by those who organise the study.", "small soft")

            async def begin() -> None:
                told = {"experience_years": years.number, "frequency": frequency.value, "site": site.words}
                if told["experience_years"] is None or not told["frequency"]:
                    raise InputError("years and how often are needed to group the results", "fill in both")
                await self.ask(rating.save_profile, told)
                await self.begin()

            button("Begin", self.does(begin), "first")

    async def show(self, number: int) -> None:
        """Show one image and its questions."""
        shown = await self.ask(rating.look, number)
        described = await self.ask(_tiles, number)
        self.place.clear()
        with self.place:
            with box("row ends"):
                text(f"Image {number} of {self.welcome.places}", tag="h1")
                text(shown.code, "mono soft", "span")
            bar = box(tag="progress")
            bar.props.update({"value": self.welcome.done, "max": self.welcome.places, "aria-label": "Images rated"})
            viewer = Viewer(
                {"tiles": f"/api/v1/rate/{self.secret}/places/{number}/tiles", **described}, f"Image {number}",
                shown.pixel_size_um, plain=True, low=True,
            )  # fmt: skip
            with box("sheet"):
                form = RatingForm()
            form.props.update({
                "scheme": self.welcome.scheme, "answer": _in_the_form(shown.answer), "place": number, "region": "",
                "total": self.welcome.places,
            })  # fmt: skip
            form.on("save", self.hears(self._save, number))
            form.on("back", self.does(self.show, number - 1))
            form.on("draw", lambda: self._draw(viewer, form))
            viewer.on("drawn", lambda event: self._region(viewer, form, event.args))

    def _draw(self, viewer: Viewer, form: RatingForm) -> None:
        """Let the rater draw a rectangle."""
        viewer.take("box")
        form.props.update({"drawing": True})
        form.update()

    def _region(self, viewer: Viewer, form: RatingForm, drawn: Mapping[str, Any]) -> None:
        """Take a rectangle in shares of the image, as schemes have it."""
        left, top, right, bottom = (float(value) for value in drawn["share"])
        values = (left, top, right - left, bottom - top)
        form.props.update({"region": "box:" + ",".join(_share(value) for value in values), "drawing": False})
        form.update()
        viewer.take("look")
        viewer.lay([{"kind": "box", "points": drawn["box"], "label": "", "tone": "mine", "layer": "Region"}])

    async def _save(self, number: int, event: Any) -> None:
        told = dict(event.args)
        seconds = float(told.pop("seconds"))
        told["class"] = told.pop("class_name")
        saved = await self.ask(rating.save_rating, number, told, seconds)
        self.welcome = await self.ask(rating.welcome)
        following = number + 1 if number < self.welcome.places else saved.next
        if saved.next is None:
            self.place.clear()
            with self.place:
                self._thank()
        else:
            await self.show(following if following is not None else saved.next)

    def _thank(self) -> None:
        heading("Thank you", 1)
        note(f"All {self.welcome.places} images are rated and saved.", "good")
        text("You may look at your answers again and change them as long as the study is open.")
        button("Look again", self.does(self.show, 1))

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
        except InputError as error:
            with client:
                tell(error)


def _tiles(desk: Desk, secret: str, number: int) -> dict[str, Any]:
    """Return what a viewer must know of the picture at a place."""
    found = images.tiles(desk, rating.picture(desk, secret, number)).describe()
    return {**found, "width": found["levels"][-1]["width"], "height": found["levels"][-1]["height"]}


def _in_the_form(answer: Mapping[str, Any] | None) -> dict[str, Any]:
    if answer is None:
        return {}
    return {"class_name" if name == "class" else name: value for name, value in answer.items()}


def _share(value: float) -> str:
    """Write a share as schemes read it.

    Examples
    --------
    >>> _share(0.25), _share(1.0), _share(0.0)
    ('0.2500', '1', '0.0000')
    """
    return "1" if value >= 0.99995 else f"{max(value, 0):.4f}"


def put() -> None:
    """Put the page on the station."""

    @ui.page("/rate/{secret}", title="Rating \u2013 sorby")
    async def rate(request: Request) -> None:
        with box("main stack") as place:
            place.style("max-width: 900px; margin: 0 auto")
        seat = Seat(str(request.path_params["secret"]), place)
        try:
            await seat.begin()
        except InputError as error:
            with place:
                heading("This link does not open anything", 1)
                note(f"{error.message}. {error.hint}", "warn")
