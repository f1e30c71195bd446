"""Routes: the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from sorby.record import Anchor, Entry
from sorby.station import records
from sorby.station.permissions import Actor, Permission
from sorby.station.rest.frame import Needs, TheDesk
from sorby.station.rest.problems import ANSWERS

router = APIRouter(prefix="/records", tags=["record"], responses=ANSWERS)
Reader = Annotated[Actor, Depends(Needs(Permission.READ_RECORD))]
Words = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00-\x1f]*$")]
Moment = Annotated[str | None, Query(max_length=27, pattern=r"^\d{4}[0-9T:.Z-]*$")]


class RecordEntry(BaseModel):
    """A line of the record; `digest` covers all but `signature`."""

    sequence: int
    at: str
    actor: str
    role: str
    action: str
    subject: str
    old: Any
    new: Any
    reason: str
    meaning: str
    evidence: Mapping[str, str]
    previous: str
    key: str
    digest: str
    signature: str


@router.get("")
def list_entries(
    desk: TheDesk,
    actor: Reader,
    subject: Words = None,
    by: Words = None,
    action: Words = None,
    since: Moment = None,
    until: Moment = None,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=records.LONGEST_PAGE)] = 100,
) -> list[RecordEntry]:
    """List entries, newest first; `subject` and `action` may end with `*`."""
    found = records.list_entries(
        desk, actor, subject=subject, by=by, action=action, since=since, until=until, before=before, limit=limit
    )
    return [_shown(entry) for entry in found]


@router.get("/verify")
def verify(
    desk: TheDesk, actor: Reader, anchor: Annotated[list[str] | None, Query(max_length=100)] = None
) -> dict[str, Any]:
    """Check the chain against the anchor file and anchors from elsewhere (`COUNT:HEAD`, as certificates print)."""
    given = [Anchor.parse(text) for text in anchor or ()]
    return records.check_record(desk, actor, given).as_dict()


@router.get("/export", response_class=StreamingResponse, responses={200: {"content": {"application/jsonl": {}}}})
def export(desk: TheDesk, actor: Reader) -> StreamingResponse:
    """Hand out the record as JSON lines, for `sorby record verify`."""
    headers = {"Content-Disposition": 'attachment; filename="record.jsonl"'}
    return StreamingResponse(records.export_lines(desk, actor), media_type="application/jsonl", headers=headers)


@router.get("/anchors")
def anchors(desk: TheDesk, _actor: Reader) -> list[dict[str, Any]]:
    """List the anchors of the anchor file."""
    return [asdict(anchor) for anchor in records.list_anchors(desk).anchors]


@router.post("/anchors", status_code=201)
def set_anchor(
    desk: TheDesk, actor: Annotated[Actor, Depends(Needs(Permission.MANAGE_STATION))]
) -> dict[str, Any] | None:
    """Append the head of the record to the anchor file; nothing where it stands there already."""
    made = records.anchor_now(desk, actor)
    return None if made is None else asdict(made)


def _shown(entry: Entry) -> RecordEntry:
    return RecordEntry(**asdict(entry))
