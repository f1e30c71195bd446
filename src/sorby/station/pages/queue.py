"""The review queue: what a person should look at, riskiest and oldest first, decided with one key."""

from __future__ import annotations

from typing import Any

from nicegui import ui
from nicegui.events import KeyEventArguments

from sorby.station import inspections, reviews
from sorby.station.desk import Conflict
from sorby.station.pages.elements import (
    box,
    button,
    choice,
    close,
    dialogue,
    facts,
    field,
    link,
    mark,
    note,
    table,
    text,
    tick,
)
from sorby.station.pages.frame import Visitor, head, page, said, tell
from sorby.station.pages.image import Marking
from sorby.station.pages.inspecting import verdict_row
from sorby.station.pages.verdict import layers_of, shapes_of, show_verdict
from sorby.station.pages.wording import figure, when
from sorby.station.permissions import Permission

_LISTED = 20
_ORDERS = {"urgent": "Risk, and how long it waits", "risk": "Risk", "oldest": "Oldest first"}
_STATES = {"waiting": "Waiting", "accepted": "Accepted", "corrected": "Corrected", "rejected": "Rejected",
           "clear": "Not referred"}  # fmt: skip
_MEANINGS = {"accepted": "approved", "corrected": "reviewed", "rejected": "rejected"}
_KEYS = (
    ("j", "next image"), ("k", "the one before"), ("a", "accept"), ("c", "correct"), ("r", "reject"),
    ("s", "sign decisions, or not"), ("+ \u2212 0 and arrows", "look closer, when the image has the focus"),
    ("?", "these keys"),
)  # fmt: skip


class Queue:
    """The queue as one reviewer sees it."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.waiting: list[dict[str, Any]] = []
        self.total = 0
        self.at = 0
        self.current: dict[str, Any] | None = None
        self.asking = False

    async def begin(self) -> None:
        """Show filters, the first image, the list."""
        found = await self.visitor.ask(reviews.queue, limit=_LISTED)
        with head("Queue", "Images that a person should look at."):
            button("Keys", self.show_keys, "small", key="?")
            if self.visitor.may(Permission.REVIEW):
                self.sign = tick("Sign my decisions")
        with box("filters"):
            self.order = choice("Order", _ORDERS)
            self.reason = choice("Reason", {"": "Any", **{name: inspections.MEANINGS.get(name, name) for name in
                                                          found["reasons"]}})  # fmt: skip
            self.label = choice("Verdict", {"": "Any", **{name: name for name in found["labels"]}})
            self.state = choice("State", _STATES)
        for each in (self.order, self.reason, self.label, self.state):
            each.on_value_change(lambda _event: self.visitor.does(self.fetch)())
        self.count = text("", "soft").props("role=status")
        self.place = box("beside")
        self.list = box()
        ui.keyboard(self.visitor.hears(self.key), ignore=["input", "select", "textarea"])
        await self.fetch(self.visitor.asked("inspection"))

    async def fetch(self, first: str = "") -> None:
        """Fetch what waits, and show the first of it, or the one that is asked for."""
        found = await self.visitor.ask(
            reviews.queue, order=self.order.value, reason=self.reason.value or None, label=self.label.value or None,
            state=self.state.value, limit=_LISTED,
        )  # fmt: skip
        self.waiting, self.total = found["inspections"], found["total"]
        places = [k for k, each in enumerate(self.waiting) if each["id"] == first]
        self.at = places[0] if places else min(self.at, max(0, len(self.waiting) - 1))
        if first and not places:
            self.waiting.insert(0, await self.visitor.ask(inspections.get, first))
            self.at = 0
        words = _STATES[self.state.value].lower()
        self.count.set_text(f"{self.total} {words}" if self.total else f"Nothing is {words}.")
        await self.show()

    async def show(self) -> None:
        """Show the image that is looked at, and the list with it marked."""
        self.place.clear()
        self.list.clear()
        if not self.waiting:
            self.current = None
            with self.place:
                note("Nothing waits for you here. Enjoy the quiet.", "good")
            return
        self.current = await self.visitor.ask(inspections.get, self.waiting[self.at]["id"])
        with self.place:
            with box("stack"):
                marking = Marking(self.visitor, self.current)
                marking.show(layers_of(self.current), shapes_of(self.current), self.current["classes"])
                await marking.look()
            with box("stack"):
                self._offer()
                show_verdict(self.current)
        with self.list:
            table(
                ["", "Image", "Verdict", "Set", "Novelty", "State", "Risk", "Waits since"],
                [[*verdict_row(each), figure(each["risk"], 2), when(each["at"])] for each in self.waiting],
                caption="The next ones" if self.total > 1 else "",
                figures=(4, 6),
                chosen=self.at,
            )

    def _offer(self) -> None:
        assert self.current is not None
        with box("sheet stack") as panel:
            panel.props.update({"role": "group", "aria-label": "Decision"})
            with box("row ends"):
                text(f"{self.at + 1} of {self.total}", "soft", "span")
                with box("row"):
                    button("Previous", self.visitor.does(self.move, -1), "small", key="k")
                    button("Next", self.visitor.does(self.move, 1), "small", key="j")
            link(self.current["image_name"], f"/inspections/{self.current['id']}")
            if self.visitor.may(Permission.REVIEW):
                with box("even"):
                    button("Accept", self.visitor.does(self.ask, "accepted"), "first", key="a")
                    button("Correct", self.visitor.does(self.ask, "corrected"), key="c")
                    button("Reject", self.visitor.does(self.ask, "rejected"), "bad", key="r")
            else:
                mark("only reviewers decide")

    async def move(self, step: int) -> None:
        """Go to the next image or the one before."""
        to = min(max(self.at + step, 0), len(self.waiting) - 1)
        if to != self.at:
            self.at = to
            await self.show()

    async def key(self, event: KeyEventArguments) -> None:
        """Do what a key stands for."""
        if not event.action.keydown or event.action.repeat or self.asking:
            return
        if event.modifiers.ctrl or event.modifiers.alt or event.modifiers.meta:
            return
        name = event.key.name
        if name in ("j", "k"):
            await self.move(1 if name == "j" else -1)
        elif name == "?":
            self.show_keys()
        elif self.current is not None and self.visitor.may(Permission.REVIEW):
            decisions = {"a": "accepted", "c": "corrected", "r": "rejected"}
            if name in decisions:
                await self.ask(decisions[name])
            elif name == "s":
                self.sign.set_value(not self.sign.value)

    async def ask(self, decision: str) -> None:
        """Ask for what a decision needs, or take it at once."""
        assert self.current is not None
        signing = bool(self.sign.value)
        if decision == "accepted" and not signing:
            await self.take(self.current, decision, None, "", "")
            return
        found = self.current
        titles = {"accepted": "Accept", "corrected": "Correct", "rejected": "Reject"}
        self.asking = True
        with dialogue(f"{titles[decision]}: {found['image_name']}") as shown:
            label = None
            if decision == "corrected":
                others = [str(each) for each in found["classes"] if each != found["label"]]
                label = choice("It is", others) if others else field("It is")
            reason = field("Reason", kind="prose") if decision != "accepted" else None
            if decision == "rejected":
                text("Reject an image that shows nothing that could be judged.", "small soft")
            password = field("Password", kind="password", complete="current-password") if signing else None
            if signing:
                text(f"You sign as: {_MEANINGS[decision]}.", "small soft")

            async def do() -> None:
                await self.take(
                    found, decision, None if label is None else str(label.value),
                    "" if reason is None else reason.words, "" if password is None else str(password.value),
                )  # fmt: skip
                close(shown)

            with box("row"):
                button(titles[decision], self.visitor.does(do), "first")
                button("Cancel", lambda: close(shown))
        shown.on("close", self._closed)

    def _closed(self) -> None:
        self.asking = False

    async def take(self, found: dict[str, Any], decision: Any, label: str | None, reason: str, password: str) -> None:
        """Keep a decision and go on with the next image."""
        seen = found["decisions"][-1]["id"] if found["decisions"] else None
        try:
            await self.visitor.ask(
                reviews.decide, found["id"], decision, label=label, reason=reason, seen=seen, password=password,
                meaning=_MEANINGS[decision] if password else "",
            )  # fmt: skip
        except Conflict as error:
            tell(error)
            self.asking = False
            await self.fetch()
            return
        said(f"{found['image_name']}: {decision}{', signed' if password else ''}.")
        self.asking = False
        await self.fetch()

    def show_keys(self) -> None:
        """Show what the keys do."""
        with dialogue("Keys") as shown:
            facts(_KEYS)
            with box("row"):
                button("Close", lambda: close(shown), "first")


async def _build(visitor: Visitor) -> None:
    await Queue(visitor).begin()


def put() -> None:
    """Put the page on the station."""
    page("/queue", "Queue", Permission.LOOK)(_build)
