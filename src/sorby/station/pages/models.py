"""Models: which bundle each task uses, what stands to replace it, and who may say so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sorby.station import bundles, retraining
from sorby.station.pages.elements import (
    box,
    button,
    close,
    dialogue,
    facts,
    field,
    heading,
    link,
    mark,
    note,
    table,
    text,
)
from sorby.station.pages.frame import Visitor, head, page, said
from sorby.station.pages.wording import figure, plain, when
from sorby.station.permissions import Permission

_TONES = {"current": "good", "candidate": "warn", "retired": "plain"}


async def _all(visitor: Visitor) -> None:
    with head("Models", "Each task has one current bundle. A candidate takes its place when a second person says so."):
        if visitor.may(Permission.MANAGE_STATION):
            link("Add a bundle", "/models/new", "button")
    place = box("stack wide-gap")

    async def look() -> None:
        found = await visitor.ask(bundles.listed)
        place.clear()
        with place:
            if not found:
                note("No bundle yet. An administrator adds one, or open the demo project on the first page.")
            for task in dict.fromkeys(each["task"] for each in found):
                _task(visitor, task, [each for each in found if each["task"] == task], look)

    await look()


def _task(visitor: Visitor, task: str, found: list[dict[str, Any]], look: Callable[[], Awaitable[None]]) -> None:
    async def retrain() -> None:
        current = next(each for each in found if each["state"] == "current")
        job = await visitor.ask(retraining.start, current["sha256"])
        said(f"Retraining is in the queue as job {job['id']}.")

    with box("stack", "section"):
        with box("row ends"):
            heading(task)
            if visitor.may(Permission.RETRAIN) and any(each["state"] == "current" for each in found):
                button("Retrain from corrections", visitor.does(retrain))
        table(
            ["Bundle", "State", "Classes", "Signature", "Proposed by", "Promoted by", ""],
            [_row(visitor, each, look) for each in found],
            caption=f"Bundles for {task}",
        )
        for each in found:
            if each["state"] == "candidate" and each["comparison"]:
                _comparison(each)


def _row(visitor: Visitor, bundle: dict[str, Any], look: Callable[[], Awaitable[None]]) -> list[Any]:
    def name() -> None:
        with box("stack tight"):
            link(bundle["name"], f"/models/{bundle['sha256']}")
            text(bundle["sha256"][:16], "mono soft", "span")

    def offer() -> None:
        if visitor.may(Permission.PROMOTE) and bundle["state"] == "candidate":
            if bundle["added_by"] == visitor.actor.name:
                text("A second person promotes it.", "small soft")
            else:
                button("Promote", visitor.does(_ask, visitor, bundle, "promote", look), "small")
        elif visitor.may(Permission.PROMOTE) and bundle["state"] == "current":
            button("Retire", visitor.does(_ask, visitor, bundle, "retire", look), "small bad")

    classes = ", ".join(str(each) for each in bundle["classes"])
    return [
        name, lambda: mark(bundle["state"], _TONES[bundle["state"]]), classes or "anomaly", bundle["signature"],
        f"{bundle['added_by']}, {when(bundle['added_at'])}",
        f"{bundle['promoted_by']}, {when(bundle['promoted_at'])}" if bundle["promoted_by"] else "", offer,
    ]  # fmt: skip


def _comparison(bundle: dict[str, Any]) -> None:
    """Show how a candidate did beside the current bundle on the locked set."""
    found = bundle["comparison"]
    with box("sheet stack tight"):
        heading(f"{bundle['name']} beside the current bundle", 3)
        note(f"{found['sentence'][:1].upper()}{found['sentence'][1:]}.")
        table(
            ["On the locked set", "Current", "Candidate", "Difference, 95 % interval"],
            [
                [name.replace("_", " ").capitalize(), figure(found["current"][name]["value"]),
                 figure(found["candidate"][name]["value"]), _gap(gap)]
                for name, gap in found["difference"].items()
            ],
            figures=(1, 2, 3),
        )  # fmt: skip
        facts(
            [
                ("Images", f"{found['n']} of {found['n_specimens']} specimens"),
                ("Right only by", f"the candidate {found['only_candidate']}, the current one {found['only_current']}; "
                                  f"McNemar p = {figure(found['mcnemar_p'])}"),
            ]
        )  # fmt: skip


def _gap(gap: dict[str, Any]) -> str:
    ends = gap["ci95"]
    return f"{gap['value']:+.3f}" + (f" ({ends[0]:+.3f} to {ends[1]:+.3f})" if ends else "")


def _worded(value: Any) -> str:
    if isinstance(value, float):
        return figure(value)
    if isinstance(value, list) and value and all(isinstance(each, int | float) for each in value):
        return " to ".join(figure(each) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_worded(each)}" for name, each in value.items())
    return plain(value)


async def _ask(visitor: Visitor, bundle: dict[str, Any], what: str, look: Callable[[], Awaitable[None]]) -> None:
    with dialogue(f"{what.capitalize()} {bundle['name']}") as shown:
        if what == "promote" and bundle["comparison"] is None:
            note("It was not compared with the current bundle on the locked set.", "warn")
        reason = field("Reason", kind="prose", hint="what the decision rests on; stands in the record")

        async def do() -> None:
            act = bundles.promote if what == "promote" else bundles.retire
            await visitor.ask(act, bundle["sha256"], reason=reason.words)
            close(shown)
            said("It is the current bundle now." if what == "promote" else "The bundle is retired.")
            await look()

        with box("row"):
            button(what.capitalize(), visitor.does(do), "first" if what == "promote" else "bad")
            button("Cancel", lambda: close(shown))


async def _one(visitor: Visitor) -> None:
    bundle = await visitor.ask(bundles.get, visitor.part("sha256"))
    with head(bundle["name"], f"For {bundle['task']}.", ("Models", "/models")):
        mark(bundle["state"], _TONES[bundle["state"]])
    said_of_itself = bundle["description"]
    with box("sheet stack"):
        facts(
            [
                ("SHA-256", lambda: text(bundle["sha256"], "mono", "span")),
                ("Kind", bundle["kind"]),
                ("Classes", ", ".join(str(each) for each in bundle["classes"])),
                ("Signature", bundle["signature"]),
                *((name.replace("_", " "), _worded(value)[:400]) for name, value in said_of_itself.items()
                  if name not in ("kind", "classes", "name") and value not in (None, "", [], {})),
            ]
        )  # fmt: skip
    if bundle["comparison"]:
        _comparison(bundle)


async def _new(visitor: Visitor) -> None:
    from sorby.station.pages.inspecting import Drop

    with head("Add a bundle", "It is verified, and a candidate until somebody else promotes it.",
              ("Models", "/models")):  # fmt: skip
        pass
    known = {each["task"] for each in await visitor.ask(bundles.listed)}
    task = field("For which task", next(iter(sorted(known)), ""), hint="bundles of one task replace each other")
    drop = Drop(visitor, "/api/v1/bundles", "Drop a .sorby file here", ".sorby")
    drop.give(task=task.words)
    task.on_value_change(lambda event: drop.give(task=str(event.value)))
    drop.on("arrived", lambda _event: said("The bundle is a candidate now."))


def put() -> None:
    """Put the pages on the station."""
    page("/models", "Models", Permission.LOOK)(_all)
    page("/models/new", "Add a bundle", Permission.MANAGE_STATION)(_new)
    page("/models/{sha256}", "Model", Permission.LOOK)(_one)
