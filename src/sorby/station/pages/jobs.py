"""Jobs: what the workers do, how far they are, and how to stop them."""

from __future__ import annotations

from typing import Any

from sorby.station import jobs
from sorby.station.pages.elements import box, button, link, mark, table, text
from sorby.station.pages.frame import Visitor, every, head, page, said
from sorby.station.pages.wording import when
from sorby.station.permissions import Permission

_TONES = {"done": "good", "failed": "bad", "cancelled": "plain", "running": "accent", "queued": "plain"}
_KINDS = {
    "inspect": "Inspection", "retrain": "Retraining from corrections", "pyramid": "Tiles of a large image",
    "demo": "Demo project", "compare": "Comparison of bundles",
}  # fmt: skip


def job_title(job: dict[str, Any]) -> str:
    """Return what a job is called on the pages."""
    return _KINDS.get(job["kind"], str(job["kind"]).replace("-", " ").capitalize())


def show_progress(job: dict[str, Any]) -> None:
    """Show how far a job is, in a bar and in words."""
    with box("stack tight"):
        if job["state"] in ("queued", "running"):
            bar = box(tag="progress")
            bar.props["aria-label"] = f"Progress: {job_title(job)}"
            if job["total"]:
                bar.props.update({"value": job["done"], "max": job["total"]})
        words = f"{job['done']} of {job['total']}" if job["total"] else ""
        text(" \u00b7 ".join(part for part in (words, job["message"]) if part), "small soft")


async def _build(visitor: Visitor) -> None:
    with head("Jobs", "Work that goes on while you do something else. It survives a restart of the station."):
        pass
    place = box("stack")
    shown: list[Any] = []

    async def look(by: Visitor = visitor) -> None:
        found = await by.ask(jobs.listed)
        if found == shown:
            return
        shown[:] = found
        place.clear()
        with place:
            table(
                ["Job", "State", "Progress", "Asked for by", "Since", ""],
                [_row(visitor, job, look) for job in found],
                caption="Jobs, the newest first",
                nothing="No jobs yet. Inspections, retraining and the demo project appear here.",
            )

    await look()
    every(2.0, look, visitor)


def _row(visitor: Visitor, job: dict[str, Any], look: Any) -> list[Any]:
    async def cancel() -> None:
        await visitor.ask(jobs.cancel, job["id"])
        said("The job stops at its next step." if job["state"] == "running" else "The job is cancelled.")
        await look()

    async def retry() -> None:
        await visitor.ask(jobs.retry, job["id"])
        said("The job is in the queue again.")
        await look()

    def offer() -> None:
        with box("row"):
            if job["state"] in ("queued", "running") and not job["cancel"]:
                mine = job["created_by"] == visitor.actor.name
                if visitor.may(Permission.INSPECT if mine else Permission.ORGANISE):
                    button("Cancel", visitor.does(cancel), "small bad")
            elif job["state"] in ("failed", "cancelled") and visitor.may(Permission.INSPECT):
                button("Try again", visitor.does(retry), "small")
            if job["kind"] == "inspect" and job["state"] != "queued":
                link("Verdicts", f"/inspect?job={job['id']}", "button small")

    state = "stopping" if job["cancel"] and job["state"] == "running" else job["state"]
    return [
        job_title(job), lambda: mark(state, _TONES.get(job["state"], "plain")), lambda: show_progress(job),
        job["created_by"], when(job["created_at"]), offer,
    ]  # fmt: skip


def put() -> None:
    """Put the page on the station."""
    page("/jobs", "Jobs", Permission.LOOK)(_build)
