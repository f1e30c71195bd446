"""One image: deep zoom, what was said of it, what people mark on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from sorby.errors import InputError
from sorby.station import annotations as marks
from sorby.station import images, inspections
from sorby.station.pages.elements import (
    box,
    button,
    choice,
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
    tick,
)
from sorby.station.pages.frame import Visitor, head, page, said
from sorby.station.pages.specimens import tiles_of
from sorby.station.pages.verdict import layers_of, shapes_of, show_label, show_verdict, state_mark
from sorby.station.pages.viewer import Viewer, tiled
from sorby.station.pages.wording import length, scale_words, when
from sorby.station.permissions import Permission

_TOOLS = {"look": "Look around", "box": "Box", "polygon": "Polygon", "brush": "Brush mask"}


async def _image(visitor: Visitor) -> None:
    image = await visitor.ask(images.get, visitor.part("sha256"))
    found = (await visitor.ask(inspections.listed, image=image["sha256"]))["inspections"]
    crumbs = [("Specimens", "/specimens")]
    if image["specimen"]:
        crumbs.append((image["specimen"], f"/specimens/{quote(image['specimen'], safe='')}"))
    with head(image["name"], "", *crumbs):
        if visitor.may(Permission.ANNOTATE):
            button("Describe", visitor.does(_describe, visitor, image))
    newest = await visitor.ask(inspections.get, found[0]["id"]) if found else None
    with box("beside"):
        with box("stack"):
            marking = Marking(visitor, image)
            marking.show(
                layers_of(newest) if newest else [],
                shapes_of(newest) if newest else [],
                newest["classes"] if newest else None,
            )
            await marking.look()
        with box("stack"):
            if newest is not None:
                show_verdict(newest)
            else:
                hint = " Ask for one on the Inspect page." if visitor.may(Permission.INSPECT) else ""
                note(f"No verdict yet.{hint}")
            _facts(image)
            if len(found) > 1:
                table(
                    ["Verdict", "State", "When"],
                    [_line(each) for each in found[:6]],
                    caption="Verdicts on this image, the newest first",
                )


def _line(inspection: dict[str, Any]) -> list[Any]:
    return [
        lambda: link(inspection["label"], f"/inspections/{inspection['id']}"), lambda: state_mark(inspection),
        when(inspection["at"]),
    ]  # fmt: skip


def _facts(image: Mapping[str, Any]) -> None:
    with box("sheet stack tight", "section"):
        heading("Image", 3)
        facts(
            [
                ("Size", f"{image['width']} \u00d7 {image['height']} pixels"),
                ("Scale", scale_words(image["pixel_size_um"], image["scale_source"])),
                ("Field of view", length(image["pixel_size_um"] and image["pixel_size_um"] * image["width"])),
                ("Magnification", f"{image['magnification']:g}\u00d7" if image["magnification"] else None),
                ("Specimen", image["specimen"]),
                ("Instrument", image["instrument"]),
                ("Added", f"{when(image['added_at'])} by {image['added_by']}"),
                ("SHA-256", lambda: text(image["sha256"], "mono", "span")),
            ]
        )


async def _describe(visitor: Visitor, image: dict[str, Any]) -> None:
    with dialogue("Describe the image") as shown:
        specimen = field("Specimen", image["specimen"])
        instrument = field("Instrument", image["instrument"])
        size = field("Pixel size, \u00b5m", "" if not image["pixel_size_um"] else f"{image['pixel_size_um']:g}",
                     hint="what you state comes before what the file says")  # fmt: skip
        reason = field("Reason")

        async def keep() -> None:
            changes: dict[str, Any] = {"specimen": specimen.words, "instrument": instrument.words}
            if size.number != image["pixel_size_um"] and (size.number or not size.words):
                changes["pixel_size_um"] = size.number
            await visitor.ask(images.describe, image["sha256"], changes, reason=reason.words)
            close(shown)
            said("Kept.")
            visitor.reload()

        with box("row"):
            button("Keep", visitor.does(keep), "first")
            button("Cancel", lambda: close(shown))


class Marking:
    """A viewer on which people mark what they see.

    Parameters
    ----------
    visitor : Visitor
    image : mapping
        Of `sorby.station.images.get` or an inspection joined with its image.
    """

    def __init__(self, visitor: Visitor, image: Mapping[str, Any]) -> None:
        self.visitor = visitor
        self.sha = str(image.get("sha256") or image["image"])
        self.image = image
        self.found: list[dict[str, Any]] = []
        self.layers: list[dict[str, Any]] = []
        self.own: list[dict[str, Any]] = []

    def show(
        self, layers: list[dict[str, Any]], shapes: list[dict[str, Any]], classes: list[Any] | None = None,
        group: str = "",
    ) -> None:  # fmt: skip
        """Show viewer, tools and the list of marks."""
        self.found, self.layers = shapes, layers
        name = str(self.image.get("name") or self.image["image_name"])
        self.viewer = Viewer(
            tiled(tiles_of(self.sha), self.image["width"], self.image["height"]), name, self.image["pixel_size_um"],
            layers=layers, shapes=shapes, drawn=self.visitor.hears(self._drawn),
            kept=self.visitor.hears(self._kept), group=group,
        )  # fmt: skip
        if self.visitor.may(Permission.ANNOTATE):
            with box("sheet stack", "details") as tools:
                text("Mark what you see", tag="summary")
                with box("filters").style("margin-top: 12px"):
                    self.tool = choice("Tool", _TOOLS)
                    self.label = field("Label", hint=", ".join(str(each) for each in classes or []))
                    self.width = field("Brush width, pixels", str(max(4, self.image["width"] // 60)), "number")
                self.unknown = tick("Origin unknown")
                for each in (self.label, self.unknown):
                    each.on_value_change(lambda _event: self._lead())
                with box("row"):
                    button("Mark the whole image", self.visitor.does(self._whole), "small")
            tools.on("toggle", lambda _event: self._lead())
            self.tool.on_value_change(lambda event: self.viewer.take(str(event.value), self.width.number or 24.0))
            self.width.on_value_change(lambda _event: self.viewer.take(self.tool.value, self.width.number or 24.0))
        self.list = box("stack")

    async def look(self) -> None:
        """Fetch the marks and show them."""
        self.own = await self.visitor.ask(marks.listed, self.sha)
        self.viewer.lay(
            [*self.found, *(shape for each in self.own for shape in _shapes(each))],
            [*self.layers, *(_layer(each) for each in self.own if each["kind"] == "mask")],
        )
        self.list.clear()
        if self.own:
            with self.list:
                table(
                    ["Mark", "Label", "By", "When", ""],
                    [self._line(each) for each in self.own],
                    caption="Marks on this image",
                )

    def _line(self, mark_: dict[str, Any]) -> list[Any]:
        def offer() -> None:
            if self.visitor.may(Permission.ANNOTATE):
                button("Remove", self.visitor.does(self._remove, mark_), "small bad")

        count = mark_["geometry"].get("count")
        kind = mark_["kind"] + (f", {count} connected parts" if count is not None else "")
        label = mark_["label"] + (" (origin unknown)" if mark_["origin_unknown"] else "")
        return [kind, label, mark_["author"], when(mark_["at"]), offer]

    async def _remove(self, mark_: dict[str, Any]) -> None:
        if mark_["author"] == self.visitor.actor.name:
            await self.visitor.ask(marks.remove, mark_["id"], reason="")
            await self.look()
            return
        with dialogue(f"Remove the mark of {mark_['author']}") as shown:
            reason = field("Reason")

            async def remove() -> None:
                await self.visitor.ask(marks.remove, mark_["id"], reason=reason.words)
                close(shown)
                await self.look()

            with box("row"):
                button("Remove", self.visitor.does(remove), "bad")
                button("Cancel", lambda: close(shown))

    async def _drawn(self, event: Any) -> None:
        told = event.args
        if told["kind"] == "box":
            left, top, right, bottom = told["box"]
            await self._keep("box", geometry={"x": left, "y": top, "w": right - left, "h": bottom - top})
        else:
            await self._keep("polygon", geometry={"points": told["points"]})

    def _lead(self) -> None:
        words = {"label": self.label.words, "origin_unknown": str(bool(self.unknown.value)).lower()}
        self.viewer.lead(f"/api/v1/images/{self.sha}/annotations/mask", self.visitor.csrf, words)

    async def _kept(self, event: Any) -> None:
        if event.args.get("fault"):
            raise InputError(event.args["fault"], event.args.get("hint") or "")
        said(f"Marked: {event.args['count']} connected parts.")
        await self.look()

    async def _whole(self) -> None:
        await self._keep("class")

    async def _keep(self, kind: str, geometry: dict[str, Any] | None = None) -> None:
        await self.visitor.ask(
            marks.add, self.sha, kind, label_=self.label.words, geometry=geometry,
            origin_unknown=bool(self.unknown.value),
        )  # fmt: skip
        said("Marked.")
        await self.look()


def _layer(mark_: dict[str, Any]) -> dict[str, Any]:
    words = f"{mark_['label'] or 'origin unknown'}, {mark_['geometry']['count']} parts"
    return {"name": mark_["id"], "title": f"Mask: {words}", "url": f"/api/v1/pictures/{mark_['geometry']['overlay']}",
            "strength": 80}  # fmt: skip


def _shapes(mark_: dict[str, Any]) -> list[dict[str, Any]]:
    geometry = mark_["geometry"]
    tone = {"label": mark_["label"] or "origin unknown", "tone": "mine", "layer": "Marks"}
    if mark_["kind"] == "polygon":
        return [{"kind": "polygon", "points": geometry["points"], **tone}]
    boxes = [geometry] if mark_["kind"] == "box" else []
    return [
        {"kind": "box", "points": [each["x"], each["y"], each["x"] + each["w"], each["y"] + each["h"]], **tone}
        for each in boxes
    ]


async def _inspection(visitor: Visitor) -> None:
    found = await visitor.ask(inspections.get, visitor.part("inspection"))
    with head(found["image_name"], found["specimen"], ("Queue", "/queue")):
        link("The image", f"/images/{found['image']}", "button")
        if visitor.may(Permission.REVIEW) and found["state"] == "waiting":
            link("Decide", f"/queue?inspection={found['id']}", "button first")
    with box("beside"):
        with box("stack"):
            marking = Marking(visitor, found)
            marking.show(layers_of(found), shapes_of(found), found["classes"])
            await marking.look()
        with box("stack"):
            show_verdict(found)


async def _compare(visitor: Visitor) -> None:
    found = await visitor.ask(inspections.compared, visitor.part("job"))
    share = f"{found['agreeing']} of {found['n']} images get the same verdict."
    with head("Bundles compared", share, ("Jobs", "/jobs")):
        pass
    names = {each["sha256"]: f"{each['name']} ({each['state']})" for each in found["bundles"]}
    if len(names) < 2:
        note("This job used one bundle. Choose two on the Inspect page to compare them.")
    place = box("stack")
    table(
        ["Image", *names.values(), "", ""],
        [_compared_row(visitor, line, names, place) for line in found["images"]],
        caption="Images on which the bundles disagree come first",
    )
    if found["images"]:
        await _side_by_side(visitor, found["images"][0], names, place)


def _compared_row(visitor: Visitor, line: dict[str, Any], bundles: dict[str, str], place: Any) -> list[Any]:
    cells: list[Any] = [line["image_name"]]
    for sha in bundles:
        verdict = line["verdicts"].get(sha)
        cells.append("" if verdict is None else lambda verdict=verdict: show_label(verdict))
    show = visitor.does(_side_by_side, visitor, line, bundles, place)
    agree = ("agree", "good") if line["agree"] else ("disagree", "warn")
    return [*cells, lambda: mark(*agree), lambda: button("Side by side", show, "small")]


async def _side_by_side(visitor: Visitor, line: dict[str, Any], bundles: dict[str, str], place: Any) -> None:
    image = await visitor.ask(images.get, line["image"])
    place.clear()
    with place:
        heading(line["image_name"])
        with box("halves"):
            for sha, name in bundles.items():
                verdict = line["verdicts"].get(sha)
                if verdict is None:
                    continue
                with box("stack tight"):
                    with box("row"):
                        text(name, "soft")
                        show_label(verdict)
                        state_mark(verdict)
                    Viewer(
                        tiled(tiles_of(image["sha256"]), image["width"], image["height"]),
                        f"{image['name']}: {verdict['label']}", image["pixel_size_um"], layers=layers_of(verdict),
                        group="compare", low=True,
                    )  # fmt: skip


def put() -> None:
    """Put the pages on the station."""
    page("/images/{sha256}", "Image", Permission.LOOK)(_image)
    page("/inspections/{inspection}", "Inspection", Permission.LOOK)(_inspection)
    page("/compare/{job}", "Comparison", Permission.LOOK)(_compare)
