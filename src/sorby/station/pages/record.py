"""The record: who did what, looked up, checked, handed out."""

from __future__ import annotations

from nicegui import ui

from sorby.record import Entry, Verification
from sorby.station import records
from sorby.station.pages.elements import Cell, box, button, close, dialogue, facts, field, link, note, table, text
from sorby.station.pages.frame import Visitor, head, page, said
from sorby.station.pages.wording import plain, when
from sorby.station.permissions import Permission

_AT_ONCE = 60


async def _build(visitor: Visitor) -> None:
    with head("Record", "Every change, by whom and when. Entries are chained and signed; nothing is ever taken out."):
        link("Export", "/api/v1/records/export", "button", download=True)
    checked = box("stack")
    with checked, box("sheet stack tight"):
        total = await visitor.ask(records.count_entries)
        with box("row ends"):
            with box("stack tight"):
                text(f"{total} entries", "number")
                text("Check that none was changed, moved or taken out since the last outside anchor.", "soft")
            with box("row"):
                button("Verify now", visitor.does(_verify, visitor, checked), "first")
                if visitor.may(Permission.MANAGE_STATION):
                    button("Set an anchor", visitor.does(_anchor, visitor))
    with box("filters"):
        who = field("Who")
        action = field("Action", hint="or its beginning: inspection.*")
        subject = field("Subject", visitor.asked("subject"))
        since = field("Since", kind="date")
        until = field("Before", kind="date")

    async def look(before: int | None = None) -> None:
        found = await visitor.ask(
            records.list_entries, by=who.words or None, action=action.words or None, subject=subject.words or None,
            since=since.words or None, until=until.words or None, before=before, limit=_AT_ONCE,
        )  # fmt: skip
        place.clear()
        with place:
            table(
                ["No.", "When", "Who", "What", "Of what", "Reason", "Signed as", ""],
                [_row(each) for each in found],
                caption="Entries, the newest first",
                figures=(0,),
                nothing="No entry fits.",
            )
            with box("row"):
                if before is not None:
                    button("Newest", visitor.does(look), "small")
                if len(found) == _AT_ONCE:
                    button("Older", visitor.does(look, found[-1].sequence), "small")

    for each in (who, action, subject, since, until):
        each.on("enter", visitor.does(lambda _event=None: look()))
    with box("row"):
        button("Look up", visitor.does(look))
    place = box("stack")
    await look()


def _row(entry: Entry) -> list[Cell]:
    def more() -> None:
        button("Details", lambda: _details(entry), "small").props["aria-label"] = f"Details of entry {entry.sequence}"

    return [
        entry.sequence, when(entry.at), f"{entry.actor} ({entry.role})", entry.action, _short(entry.subject),
        entry.reason[:80], entry.meaning, more,
    ]  # fmt: skip


def _short(subject: str) -> str:
    kind, _, name = subject.partition("/")
    return f"{kind}/{name[:12]}\u2026" if len(name) > 20 else subject


def _details(entry: Entry) -> None:
    with dialogue(f"Entry {entry.sequence}") as shown:
        facts(
            [
                ("When", entry.at),
                ("Who", f"{entry.actor} ({entry.role})"),
                ("What", entry.action),
                ("Of what", entry.subject),
                ("Before", None if entry.old is None else plain(entry.old)),
                ("After", None if entry.new is None else plain(entry.new)),
                ("Reason", entry.reason),
                ("Signed as", entry.meaning),
                *((f"Data: {name}", lambda sha=sha: text(sha, "mono", "span")) for name, sha in entry.evidence.items()),
                ("Digest", lambda: text(entry.digest, "mono", "span")),
                ("After the one", lambda: text(entry.previous, "mono", "span")),
                ("Sealed by", lambda: text(entry.key, "mono", "span")),
            ]
        )
        with box("row"):
            button("Close", lambda: close(shown))


async def _verify(visitor: Visitor, place: ui.element) -> None:
    found = await visitor.ask(records.check_record)
    with place:
        _tell(found)


def _tell(found: Verification) -> None:
    with box("stack tight") as told:
        told.props["role"] = "status"
        if found.intact:
            note(
                f"Intact: {found.entries} entries, {found.anchors_checked} anchors agree. Last digest "
                f"{found.head.digest[:16]}\u2026", "good",
            )  # fmt: skip
        else:
            note(f"Not intact: {found.n_faults} faults.", "bad")
            table(
                ["Entry", "Fault", "What"],
                [[fault.sequence, fault.kind, fault.message] for fault in found.faults],
                caption="Faults of the record",
                figures=(0,),
            )
        for warning in found.warnings:
            note(warning, "warn")


async def _anchor(visitor: Visitor) -> None:
    anchor = await visitor.ask(records.anchor_now)
    said("The record's head stands in the anchor file already." if anchor is None else "The anchor is set.")


def put() -> None:
    """Put the page on the station."""
    page("/record", "Record", Permission.READ_RECORD)(_build)
