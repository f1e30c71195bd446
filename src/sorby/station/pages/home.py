"""The first page: what waits for whoever is signed in, and the way in for a station that is still empty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sorby.station import bundles, consensus, demo, images, jobs, records, reviews, rounds
from sorby.station.desk import Refused
from sorby.station.pages.elements import box, button, heading, link, table, text
from sorby.station.pages.frame import Visitor, head, page
from sorby.station.pages.inspecting import verdict_row
from sorby.station.pages.specimens import show_shot
from sorby.station.pages.wording import when
from sorby.station.permissions import Permission


async def _build(visitor: Visitor) -> None:
    actor = visitor.actor
    with head("What waits", f"You are signed in as {actor.role}."):
        if visitor.may(Permission.INSPECT):
            link("Inspect images", "/inspect", "button first")
    found = await visitor.ask(images.listed, limit=6)
    if not found["total"] and not await visitor.ask(bundles.listed):
        _welcome(visitor)
        return
    waiting = await visitor.ask(reviews.queue, limit=5)
    running = await visitor.ask(jobs.listed, state="open")
    studies = [each for each in await visitor.ask(rounds.list_studies) if each.state == "open"]
    with box("tiles"):
        _tile("/queue", waiting["total"], "images wait for review" if visitor.may(Permission.REVIEW) else
              "images wait for a reviewer")  # fmt: skip
        _tile("/jobs", len(running), "jobs wait or run")
        _tile("/studies", len(studies), "studies are open")
        if visitor.may(Permission.READ_RECORD):
            _tile("/record", await visitor.ask(records.count_entries), "entries in the record")
        synthetic = (await visitor.ask(images.listed, synthetic="waiting", limit=1))["total"]
        if synthetic:
            _tile("/specimens?synthetic=waiting", synthetic, "synthetic images to be judged")
    await _my_cases(visitor, studies)
    if waiting["inspections"]:
        table(
            ["", "Image", "Verdict", "Set", "Novelty", "State"],
            [verdict_row(each) for each in waiting["inspections"]],
            caption="Most urgent",
            figures=(4,),
        )
    if found["images"]:
        with box("stack", "section"):
            heading("Added last")
            with box("tiles"):
                for image in found["images"]:
                    show_shot(f"/images/{image['sha256']}", image, when(image["added_at"]))


def _tile(to: str, count: int, words: str) -> None:
    with box("sheet tile-link", "a") as tile:
        tile.props["href"] = to
        text(count, "number", "span")
        text(words, "soft", "span")


async def _my_cases(visitor: Visitor, studies: list[rounds.StudyFacts]) -> None:
    """Name the consensus sessions in which this expert has cases to judge."""
    if not visitor.may(Permission.TAKE_PART):
        return
    rows: list[Any] = []
    for study in studies:
        if study.kind != "consensus":
            continue
        try:
            cases = await visitor.ask(consensus.list_cases, study.id)
        except Refused:  # others' session
            continue
        if mine := sum(visitor.actor.name in case["waiting_for"] for case in cases):
            rows.append([_leading_to(study), f"{mine} cases to judge alone"])
    if rows:
        table(["Consensus session", "For you"], rows)


def _leading_to(study: rounds.StudyFacts) -> Callable[[], object]:
    return lambda: link(study.name, f"/consensus/{study.id}")


def _welcome(visitor: Visitor) -> None:
    with box("sheet stack"):
        heading("This station is empty")
        text("Open the demo project to see everything at work: made-up steel images, a small model, a review queue, a "
             "round robin with simulated raters and a consensus session. It takes about a minute.")  # fmt: skip

        async def open_demo() -> None:
            await visitor.ask(demo.start)
            visitor.go("/jobs")

        with box("row"):
            if visitor.may(Permission.MANAGE_STATION) or visitor.may(Permission.ORGANISE):
                button("Open the demo project", visitor.does(open_demo), "first")
            else:
                text("An administrator or a supervisor opens it.", "soft")
            if visitor.may(Permission.MANAGE_STATION):
                link("Add your own bundle", "/models/new", "button")
            if visitor.may(Permission.MANAGE_ACCOUNTS):
                link("Make accounts", "/accounts", "button")


def put() -> None:
    """Put the page on the station."""
    page("/", "Home")(_build)
