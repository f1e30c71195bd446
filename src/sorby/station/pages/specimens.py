"""Specimens: all images of one physical thing, from the widest view to the closest; and images without one."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from nicegui import ui

from sorby.station import images, inspections
from sorby.station.pages.elements import box, button, choice, field, heading, link, mark, note, text
from sorby.station.pages.frame import Visitor, head, page, said
from sorby.station.pages.verdict import layers_of, show_label, state_mark
from sorby.station.pages.viewer import Viewer, tiled
from sorby.station.pages.wording import length, scale_words, when
from sorby.station.permissions import Permission

_AT_ONCE = 24
_SYNTHETIC = {"accepted": "good", "rejected": "bad"}


def thumbnail(image: str) -> str:
    """Return the address of an image's smallest view."""
    return f"/api/v1/images/{image}/tiles/0/0/0"


def tiles_of(image: str) -> str:
    """Return the address before the tiles of an image."""
    return f"/api/v1/images/{image}/tiles"


def show_shot(to: str, image: dict[str, Any], *lines: str) -> None:
    """Show an image as a tile that leads somewhere."""
    with box("shot", "a") as shot:
        shot.props["href"] = to
        picture = ui.element("img")
        picture.props.update({"src": thumbnail(image["sha256"]), "alt": "", "loading": "lazy"})
        with box("words"):
            text(image["name"], tag="strong")
            for line in lines:
                text(line, "soft")


async def _all(visitor: Visitor) -> None:
    with head("Specimens", "Images belong together where they show one thing."):
        if visitor.may(Permission.INSPECT):
            link("Add images", "/inspect", "button first")
    with box("filters"):
        search = field("Search", visitor.asked("search"), hint="part of a name; Enter looks it up")
        kind = choice(
            "Images",
            {"": "All", "waiting": "Synthetic, to be judged", "accepted": "Synthetic, accepted",
             "rejected": "Synthetic, rejected"},
            visitor.asked("synthetic"),
        )  # fmt: skip
    place = box("stack wide-gap")

    async def look(offset: int = 0) -> None:
        named = [] if kind.value else await visitor.ask(images.specimens, search.words)
        found = await visitor.ask(
            images.listed, search=search.words, synthetic=kind.value or None, offset=offset, limit=_AT_ONCE
        )
        place.clear()
        with place:
            if named and not offset:
                with box("tiles"):
                    for each in named[:60]:
                        with box("sheet tile-link", "a") as tile:
                            tile.props["href"] = f"/specimens/{quote(each['specimen'], safe='')}"
                            text(each["specimen"], tag="strong")
                            text(f"{each['images']} images, last {when(each['last'])}", "small soft")
            heading(f"{found['total']} images")
            if not found["images"]:
                text("None here. Add some on the Inspect page.", "soft")
            with box("tiles"):
                for image in found["images"]:
                    with box("stack tight"):
                        show_shot(f"/images/{image['sha256']}", image, image["specimen"], length(image["pixel_size_um"])
                                  + " a pixel" if image["pixel_size_um"] else "scale unknown")  # fmt: skip
                        if image["synthetic"]:
                            state = str(image["synthetic_state"])
                            mark(f"synthetic, {state}", _SYNTHETIC.get(state, "warn"))
                            if visitor.may(Permission.REVIEW) and image["synthetic_state"] == "waiting":
                                _judge(visitor, image["sha256"], look)
            with box("row"):
                if offset:
                    button("Newer", visitor.does(look, max(0, offset - _AT_ONCE)), "small")
                if offset + _AT_ONCE < found["total"]:
                    button("Older", visitor.does(look, offset + _AT_ONCE), "small")

    search.on("enter", visitor.does(lambda _event=None: look()))
    kind.on_value_change(lambda _event: visitor.does(look)())
    await look()


def _judge(visitor: Visitor, sha256: str, look: Any) -> None:
    reason = field("Reason to reject")

    async def judge(accept: bool) -> None:
        await visitor.ask(images.judge_synthetic, [sha256], accept, reason.words)
        said("Accepted for teaching." if accept else "Rejected.")
        await look()

    with box("row"):
        button("Accept", visitor.does(judge, True), "small")
        button("Reject", visitor.does(judge, False), "small bad")


async def _one(visitor: Visitor) -> None:
    name = visitor.part("specimen")
    found = await visitor.ask(inspections.of_specimen, name)
    with head(name, f"{len(found)} images, from the widest view to the closest.", ("Specimens", "/specimens")):
        if visitor.may(Permission.REVIEW):
            link("Certificate", f"/certificates?specimen={quote(name)}", "button first")
        if visitor.may(Permission.READ_RECORD):
            link("Record", "/record", "button")
    if not found:
        note("No image belongs to a specimen of this name.", "warn")
        return
    with box("halves"):
        for image in found:
            with box("stack tight", "section"):
                with box("row ends"):
                    link(image["name"], f"/images/{image['sha256']}")
                    text(scale_words(image["pixel_size_um"], image["scale_source"]), "small soft")
                inspection = image["inspection"]
                if inspection is not None:
                    with box("row"):
                        show_label(inspection)
                        state_mark(inspection)
                Viewer(
                    tiled(tiles_of(image["sha256"]), image["width"], image["height"]), image["name"],
                    image["pixel_size_um"], layers=layers_of(inspection) if inspection else [], low=True,
                )  # fmt: skip


def put() -> None:
    """Put the pages on the station."""
    page("/specimens", "Specimens", Permission.LOOK)(_all)
    page("/specimens/{specimen}", "Specimen", Permission.LOOK)(_one)
