"""Certificates: one page a specimen, signed, with the record's head on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sorby.report.certificate import Letterhead
from sorby.station import certificates, images
from sorby.station.pages.elements import Cell, box, button, field, link, table, text
from sorby.station.pages.frame import Visitor, head, page, said
from sorby.station.pages.wording import when
from sorby.station.permissions import Permission


async def _build(visitor: Visitor) -> None:
    with head("Certificates", "One page for each specimen. A certificate also anchors the record: it states how many "
              "entries there were, and the digest of the last."):  # fmt: skip
        pass

    async def look() -> None:
        found = await visitor.ask(certificates.list_certificates)
        place.clear()
        with place:
            table(
                ["Number", "Specimen", "Issued", "By", "Record", ""],
                [_row(each) for each in found],
                caption="Certificates, the newest first",
                nothing="No certificate yet.",
            )

    if visitor.may(Permission.REVIEW):
        await _offer(visitor, look)
    place = box()
    await look()


async def _offer(visitor: Visitor, look: Callable[[], Awaitable[None]]) -> None:
    known = [each["specimen"] for each in await visitor.ask(images.specimens)]
    with box("sheet stack", "details") as offer:
        text("Issue certificates", tag="summary")
        specimens = field("Specimens, one a line", visitor.asked("specimen"), kind="prose", rows=4,
                          hint="for example " + ", ".join(known[:4]) if known else "")  # fmt: skip
        with box("filters"):
            laboratory = field("Laboratory")
            customer = field("Customer")
            order = field("Order")
        password = field("Your password, to sign as approved", kind="password", complete="current-password")

        async def issue() -> None:
            wanted = [line.strip() for line in specimens.words.splitlines() if line.strip()]
            particulars = {name: each.words for name, each in (("Customer", customer), ("Order", order)) if each.words}
            made = await visitor.ask(
                certificates.issue, wanted, str(password.value), particulars=particulars,
                letterhead=Letterhead(laboratory.words, ()),
            )  # fmt: skip
            password.set_value("")
            said(f"{len(made)} certificates are issued.")
            await look()

        with box("row"):
            button("Sign and issue", visitor.does(issue), "first")
    if visitor.asked("specimen"):
        offer.props["open"] = True


def _row(issued: certificates.CertificateFacts) -> list[Cell]:
    def files() -> None:
        with box("row"):
            link("PDF", f"/api/v1/certificates/{issued.id}/page", "button small", download=True)
            link("All and tables", f"/api/v1/certificates/{issued.id}/batch", "button small", download=True)

    def stated() -> None:
        text(f"{issued.count}:{issued.head[:16]}", "mono", "span")

    return [issued.id, issued.specimen, when(issued.issued_at), issued.issued_by, stated, files]


def put() -> None:
    """Put the page on the station."""
    page("/certificates", "Certificates", Permission.LOOK)(_build)
