"""The record as the station shows it: looking things up, checking the chain, handing it out, anchoring it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sorby.bundle import TrustedKey
from sorby.bundle.keys import fingerprint, trusted_keys
from sorby.errors import InputError
from sorby.record import Anchor, AnchorLines, Damaged, Entry, Verification, append_anchor, read_anchors, verify
from sorby.station.database import tables
from sorby.station.desk import Desk, allow, head
from sorby.station.permissions import Actor, Permission

_AT_ONCE = 500
LONGEST_PAGE = 1000


def list_entries(
    desk: Desk,
    actor: Actor,
    *,
    subject: str | None = None,
    by: str | None = None,
    action: str | None = None,
    since: str | None = None,
    until: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Entry]:
    """Return entries, newest first.

    Parameters
    ----------
    desk : Desk
    actor : Actor
    subject, action : str, optional
        As in the entry, or its beginning where it ends with ``*``.
    by : str, optional
        Name of who acted; also finds what their tokens did.
    since, until : str, optional
        UTC times or their beginning, ``2026-01``; *until* is not included.
    before : int, optional
        Only entries with a lower number: the last one's of the page before.
    limit : int
        1 to 1000.

    Raises
    ------
    Refused
    """
    query = select(tables.Entry).order_by(tables.Entry.sequence.desc()).limit(max(1, min(limit, LONGEST_PAGE)))
    for column, wanted in ((tables.Entry.subject, subject), (tables.Entry.action, action)):
        if wanted is not None:
            exact = not wanted.endswith("*")
            query = query.where(column == wanted if exact else column.startswith(wanted[:-1], autoescape=True))
    if by is not None:
        of_tokens = tables.Entry.actor.startswith(f"{by} by token ", autoescape=True)
        query = query.where((tables.Entry.actor == by) | of_tokens)
    if since is not None:
        query = query.where(tables.Entry.at >= since)
    if until is not None:
        query = query.where(tables.Entry.at < until)
    if before is not None:
        query = query.where(tables.Entry.sequence < before)
    with desk.looking(actor, Permission.READ_RECORD) as session:
        return [entry for row in session.scalars(query) if isinstance(entry := _entry(row), Entry)]


def count_entries(desk: Desk, actor: Actor) -> int:
    """Return how many entries there are."""
    with desk.looking(actor, Permission.READ_RECORD) as session:
        return session.scalar(select(func.count()).select_from(tables.Entry)) or 0


def check_record(desk: Desk, actor: Actor, anchors: Iterable[Anchor] = ()) -> Verification:
    """Check the chain from its first entry to its last against the anchor file and further anchors.

    Raises
    ------
    Refused
    """
    allow(actor, Permission.READ_RECORD)
    return verify_record(desk, anchors)


def verify_record(desk: Desk, anchors: Iterable[Anchor] = ()) -> Verification:
    """Check the chain for the station itself; see `check_record`."""
    own = TrustedKey(desk.key.name, desk.key.public_key, "")
    trusted = {**trusted_keys(), fingerprint(own.public_key): own}
    # Anchors are read first: one that is set meanwhile may count entries that this reading does not see.
    known = [*anchors, *list_anchors(desk).anchors]
    with desk.database.read() as session:
        return verify(_all(session), known, trusted)


def export_lines(desk: Desk, actor: Actor) -> Iterator[bytes]:
    """Yield the record as JSON lines, which ``sorby record verify`` reads on any computer.

    Raises
    ------
    Refused
    InputError
        A row is damaged: a record with a gap is not handed out as if it were whole.
    """
    allow(actor, Permission.READ_RECORD)

    def lines() -> Iterator[bytes]:
        with desk.database.read() as session:
            for entry in _all(session):
                if isinstance(entry, Damaged):
                    raise InputError(f"{entry.place} of the record cannot be read: {entry.reason}", "verify the record")
                yield entry.encode()

    return lines()


def list_anchors(desk: Desk) -> AnchorLines:
    """Return the anchors in the anchor file; none where there is no file yet."""
    file = desk.settings.anchor_file
    return read_anchors(file) if file.exists() else AnchorLines((), ())


def set_anchor(desk: Desk) -> Anchor | None:
    """Append the record's head to the anchor file; None where it stands there already.

    Only what is committed is anchored, for the head is read in a transaction of its own.
    """
    with desk.database.read() as session:
        anchor = Anchor.of(head(session))
    last = list_anchors(desk).anchors[-1:]
    if last and (last[0].count, last[0].head) == (anchor.count, anchor.head):
        return None
    append_anchor(desk.settings.anchor_file, anchor)
    return anchor


def anchor_now(desk: Desk, actor: Actor) -> Anchor | None:
    """Anchor the head because somebody asked; see `set_anchor`.

    Raises
    ------
    Refused
    """
    allow(actor, Permission.MANAGE_STATION)
    return set_anchor(desk)


def _all(session: Session) -> Iterator[Entry | Damaged]:
    """Yield the entries in order, a page at a time, so that memory does not grow with them."""
    query = select(tables.Entry).order_by(tables.Entry.sequence)
    last: int | None = None
    while True:
        page = list(
            session.scalars((query if last is None else query.where(tables.Entry.sequence > last)).limit(_AT_ONCE))
        )
        for row in page:
            yield _entry(row)
        if len(page) < _AT_ONCE:
            return
        last = page[-1].sequence
        session.expunge_all()


def _entry(row: tables.Entry) -> Entry | Damaged:
    columns = {column.key: getattr(row, column.key) for column in tables.Entry.__table__.columns}
    try:
        return Entry.from_row(columns)
    except InputError as error:
        return Damaged(f"row {row.sequence}", error.message)
