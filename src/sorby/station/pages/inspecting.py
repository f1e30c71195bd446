"""Inspecting: images in, a bundle chosen, verdicts out."""

from __future__ import annotations

from typing import Any

from nicegui.element import Element

from sorby.station import bundles, inspections, jobs, watching
from sorby.station.pages.elements import box, button, choice, empty, field, heading, link, mark, note, table, text
from sorby.station.pages.frame import Visitor, every, head, page, said
from sorby.station.pages.jobs import show_progress
from sorby.station.pages.specimens import thumbnail
from sorby.station.pages.verdict import show_label, state_mark
from sorby.station.permissions import Permission

_IMAGES = ".tif,.tiff,.png,.jpg,.jpeg,.bmp,.czi,.lif"


class Drop(Element, component="static/drop.js"):
    """A place to drop files on; each goes to the REST interface by itself, with its progress.

    Parameters
    ----------
    visitor : Visitor
    to : str
        Address that takes them.
    words : str
    accept : str
        Endings of file names.
    """

    def __init__(self, visitor: Visitor, to: str, words: str, accept: str) -> None:
        super().__init__()
        self._props.update({"to": to, "words": words, "accept": accept, "csrf": visitor.csrf, "fields": {}})

    def give(self, **fields: str) -> None:
        """Say what is sent with each file that is dropped from now on."""
        self._props["fields"] = {name: value for name, value in fields.items() if value}
        self.update()


async def _build(visitor: Visitor) -> None:
    with head("Inspect", "Drop images in, choose what looks at them, and read the verdicts below."):
        if visitor.may(Permission.INSPECT):
            link("Watched folders", "/watch", "button")
    found = [each for each in await visitor.ask(bundles.listed) if each["state"] != "retired"]
    place = box("stack")
    arrived: list[str] = []
    with place:
        if not found:
            note("No bundle is here to look with. An administrator adds one, or open the demo project on the first "
                 "page.", "warn")  # fmt: skip
        with box("halves"):
            with box("stack"):
                drop = Drop(visitor, "/api/v1/images", "Drop images here", _IMAGES)
                drop.on("arrived", lambda event: arrived.append(str(event.args["sha256"])))
            with box("sheet stack"):
                names = {each["sha256"]: f"{each['name']} \u2013 {each['task']} ({each['state']})" for each in found}
                first = choice("Bundle", names) if names else None
                second = choice("Compare with", {"": "nothing", **names}) if names else None
                specimen = field("Specimen (if they show one)")
                instrument = field("Instrument")
                size = field("Pixel size, \u00b5m", hint="only where the files do not say it")
                for each in (specimen, instrument, size):
                    each.on_value_change(
                        lambda _event: drop.give(
                            specimen=specimen.words, instrument=instrument.words,
                            pixel_size_um="" if size.number is None else str(size.number),
                        )
                    )  # fmt: skip

                async def ask() -> None:
                    using = [str(each.value) for each in (first, second) if each is not None and each.value]
                    job = await visitor.ask(inspections.request, list(arrived), using=using)
                    said(f"{len(arrived)} images are being looked at.")
                    arrived.clear()
                    drop.run_method("empty")
                    await _follow(visitor, job["id"], results)

                button("Inspect", visitor.does(ask), "first")
    results = box("stack")
    if job := visitor.asked("job"):
        await _follow(visitor, job, results)
    else:
        with results:
            empty("Verdicts appear here as they come.")


async def _follow(visitor: Visitor, job_id: str, place: Element) -> None:
    """Show a job's verdicts as they come, until it ends."""
    shown: list[tuple[str, int]] = []

    async def look(by: Visitor = visitor) -> None:
        job = await by.ask(jobs.get, job_id)
        now = (str(job["state"]), int(job["done"]))
        if shown == [now]:
            return
        shown[:] = [now]
        found = await by.ask(inspections.listed, job=job_id, limit=200)
        place.clear()
        with place:
            _results(job, found)
        if job["state"] not in ("queued", "running"):
            timer.deactivate()

    timer = every(1.5, look, visitor)
    await look()


def _results(job: dict[str, Any], found: dict[str, Any]) -> None:
    with box("row ends"):
        heading("Verdicts")
        if len(job["request"].get("bundles", [])) > 1:
            link("Compare the bundles", f"/compare/{job['id']}", "button small")
    show_progress(job)
    set_aside = (job["result"] or {}).get("quarantined") or {}
    for name, reason in set_aside.items():
        note(f"Not looked at: {name[:12]} \u2013 {reason}", "warn")
    table(
        ["", "Image", "Verdict", "Set", "Novelty", "State"],
        [verdict_row(each) for each in found["inspections"]],
        figures=(4,),
        nothing="No verdict yet.",
    )
    if found["total"] > len(found["inspections"]):
        text(f"{len(found['inspections'])} of {found['total']} shown.", "soft small")


def verdict_row(inspection: dict[str, Any]) -> list[Any]:
    """Return the cells of an inspection in a list."""

    def picture() -> None:
        shown = Element("img").classes("thumb")
        shown.props.update({"src": thumbnail(inspection["image"]), "alt": "", "loading": "lazy"})

    novelty = inspection["novelty"]
    return [
        picture, lambda: link(inspection["image_name"], f"/inspections/{inspection['id']}"),
        lambda: show_label(inspection), "{" + ", ".join(map(str, inspection["set"])) + "}",
        "\u2013" if novelty is None else f"{novelty:.3f}", lambda: state_mark(inspection),
    ]  # fmt: skip


async def _watching(visitor: Visitor) -> None:
    with head("Watched folders", "Files that other software drops there are taken when they are whole, and looked at.",
              ("Inspect", "/inspect")):  # fmt: skip
        pass
    names = {each["sha256"]: each["name"] for each in await visitor.ask(bundles.listed) if each["state"] != "retired"}

    async def look() -> None:
        found = await visitor.ask(watching.listed)
        place.clear()
        with place:
            table(
                ["Folder on the server", "Bundle", "Instrument", "Taken", "State", ""],
                [_folder_row(visitor, each, names, look) for each in found],
                figures=(3,),
                nothing="No folder is watched.",
            )
            for each in found:
                for file in each["aside"]:
                    note(f"Set aside: {file['name']} \u2013 {file['reason']}", "warn")

    if visitor.may(Permission.MANAGE_STATION) and names:
        with box("sheet stack"):
            path = field("Folder", hint="its whole path on the server, such as /data/microscope")
            bundle = choice("Bundle that looks", names)
            instrument = field("Instrument")

            async def watch() -> None:
                await visitor.ask(watching.add, path.words, bundle=str(bundle.value), instrument=instrument.words)
                said("The folder is watched.")
                await look()

            with box("row"):
                button("Watch the folder", visitor.does(watch), "first")
    place = box("stack")
    await look()


def _folder_row(visitor: Visitor, folder: dict[str, Any], names: dict[str, str], look: Any) -> list[Any]:
    async def switch() -> None:
        await visitor.ask(watching.switch, folder["id"], not folder["active"])
        await look()

    def offer() -> None:
        if visitor.may(Permission.INSPECT):
            button("Pause" if folder["active"] else "Go on", visitor.does(switch), "small")

    state = ("watched", "good") if folder["active"] else ("paused", "plain")
    return [
        folder["path"], names.get(folder["bundle"], folder["bundle"][:12]), folder["instrument"], folder["taken"],
        lambda: mark(*state), offer,
    ]  # fmt: skip


def put() -> None:
    """Put the pages on the station."""
    page("/inspect", "Inspect", Permission.INSPECT)(_build)
    page("/watch", "Watched folders", Permission.LOOK)(_watching)


__all__ = ["Drop", "put", "verdict_row"]
