"""The review queue: what waits for a person, in which order, and what the person makes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from sorby.errors import InputError
from sorby.station import images
from sorby.station.accounts import confirm
from sorby.station.database import tables
from sorby.station.desk import Conflict, Desk, allow, new_id
from sorby.station.inspections import as_dict, decision_as_dict, find
from sorby.station.permissions import Actor, Permission
from sorby.station.wording import one_line, plain_text

Decided = Literal["accepted", "corrected", "rejected"]
Order = Literal["urgent", "risk", "oldest"]

_ACTIONS = {"accepted": "inspection.accept", "corrected": "inspection.correct", "rejected": "inspection.reject"}
_DAILY = 0.1  # risk that a day of waiting adds, so that nothing waits for ever
_PAGE = 200


def queue(
    desk: Desk,
    actor: Actor,
    *,
    order: Order = "urgent",
    reason: str | None = None,
    label: str | None = None,
    bundle: str | None = None,
    specimen: str | None = None,
    instrument: str | None = None,
    state: str = "waiting",
    offset: int = 0,
    limit: int = 50,
) -> dict[str, Any]:
    """Return what waits for a person.

    Parameters
    ----------
    order : {"urgent", "risk", "oldest"}
        ``urgent``: by risk, to which each day of waiting adds 0.1, so that what is risky comes first and what is old
        is not forgotten. ``risk``: the riskiest first, of equals the oldest. ``oldest``: the oldest first.
    reason, label, bundle, specimen, instrument : str, optional
        Only those.
    state : str
        ``waiting``, or another state to look back.
    offset, limit : int

    Returns
    -------
    dict
        ``inspections``, ``total``, ``reasons`` (how many wait for each), ``labels``.
    """
    if order not in ("urgent", "risk", "oldest"):
        raise InputError(f"there is no order {order!r}", "urgent, risk or oldest")
    with desk.looking(actor, Permission.LOOK) as session:
        query = _filtered(state, label=label, bundle=bundle, specimen=specimen, instrument=instrument)
        light = session.execute(
            query.with_only_columns(
                tables.Inspection.id, tables.Inspection.risk, tables.Inspection.at, tables.Inspection.reasons,
                tables.Inspection.label,
            )
        ).all()  # fmt: skip
        reasons: dict[str, int] = {}
        labels: dict[str, int] = {}
        for row in light:
            labels[row.label] = labels.get(row.label, 0) + 1
            for each in row.reasons:
                reasons[each] = reasons.get(each, 0) + 1
        wanted = [row for row in light if reason is None or reason in row.reasons]
        wanted.sort(key=lambda row: _place(order, row.risk, row.at, row.id))
        page = [row.id for row in wanted[max(0, offset) :][: max(1, min(limit, _PAGE))]]
        found = {
            row.id: as_dict(row, image)
            for row, image in session.execute(
                select(tables.Inspection, tables.Image)
                .join(tables.Image, tables.Image.sha256 == tables.Inspection.image)
                .where(tables.Inspection.id.in_(page))
            )
        }
        return {
            "inspections": [found[each] for each in page],
            "total": len(wanted),
            "reasons": dict(sorted(reasons.items(), key=lambda item: -item[1])),
            "labels": dict(sorted(labels.items())),
        }


def _filtered(state: str, **wanted: str | None) -> Select[Any]:
    query = (
        select(tables.Inspection)
        .join(tables.Image, tables.Image.sha256 == tables.Inspection.image)
        .where(tables.Inspection.state == state)
    )
    columns = {"label": tables.Inspection.label, "bundle": tables.Inspection.bundle,
               "specimen": tables.Image.specimen, "instrument": tables.Image.instrument}  # fmt: skip
    for name, value in wanted.items():
        if value is not None:
            query = query.where(columns[name] == value)
    return query


def _place(order: Order, risk: float, at: str, identity: str) -> tuple[float, str, str]:
    """Return the key by which the queue is sorted; age adds to all alike, so the time of asking does not matter."""
    if order == "oldest":
        return 0.0, at, identity
    days = datetime.strptime(at, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC).timestamp() / 86400
    return (days * _DAILY - risk if order == "urgent" else -risk), at, identity


def waiting(desk: Desk, actor: Actor) -> int:
    """Return how many inspections wait for a person."""
    with desk.looking(actor, Permission.LOOK) as session:
        query = select(func.count()).select_from(tables.Inspection).where(tables.Inspection.state == "waiting")
        return int(session.execute(query).scalar_one())


def decide(
    desk: Desk,
    actor: Actor,
    inspection_id: str,
    decision: Decided,
    *,
    label: str | None = None,
    reason: str = "",
    seen: str | None = None,
    meaning: str = "",
    password: str = "",
) -> dict[str, Any]:
    """Decide on an inspection.

    Parameters
    ----------
    decision : {"accepted", "corrected", "rejected"}
        Accepted: the label is right. Corrected: another is, and why. Rejected: the image says nothing, and why.
    label : str, optional
        The right one, of a correction.
    reason : str
        Needed but for accepting what the bundle said.
    seen : str, optional
        The last decision on this inspection that the reviewer saw; None where there was none. Where another has
        been made since, this one is refused.
    meaning, password : str
        Of an electronic signature: ``reviewed``, ``approved`` or ``rejected``, and the reviewer's password again.

    Returns
    -------
    dict
        The inspection, with its ``decisions``.

    Raises
    ------
    Refused, NotFound
    Conflict
        Somebody decided meanwhile.
    InputError
        A reason or a label is missing.
    """
    reason, label = _checked(decision, label, reason)
    allow(actor, Permission.REVIEW)
    if meaning:
        meaning = confirm(desk, actor, password, meaning)
    with desk.acting(actor, Permission.REVIEW) as act:
        row = find(act.session, inspection_id)
        before = _decisions(act.session, inspection_id)
        last = before[-1].id if before else None
        if last != seen:
            who = before[-1].reviewer if before else "nobody"
            raise Conflict(f"{who} has decided on this image meanwhile", "look at it again")
        if decision == "corrected" and label == row.label:
            raise InputError(f"{label} is what the bundle said", "accept it, or choose another label")
        old = row.state
        row.state = decision
        made = tables.Decision(
            id=new_id(), inspection_id=row.id, reviewer=actor.name, decision=decision, label=label, reason=reason,
            signed=bool(meaning), at=act.at,
        )  # fmt: skip
        act.session.add(made)
        act.record(
            _ACTIONS[decision], f"inspection/{row.id}", old={"state": old, "label": row.label},
            new={"state": decision, "label": label or row.label}, reason=reason, meaning=meaning,
            evidence={"image": row.image, "bundle": row.bundle},
        )  # fmt: skip
        image = images.find(act.session, row.image)
        return {**as_dict(row, image), "decisions": [decision_as_dict(each) for each in [*before, made]]}


def _checked(decision: str, label: str | None, reason: str) -> tuple[str, str | None]:
    reason = plain_text(reason, 2000, "reason")
    if decision not in _ACTIONS:
        raise InputError(f"there is no decision {decision!r}", "accepted, corrected or rejected")
    if decision != "accepted" and not reason:
        raise InputError("a correction or rejection needs a reason", "say what you saw")
    if decision != "corrected":
        if label is not None:
            raise InputError("a label belongs to a correction", "leave it out")
        return reason, None
    named = one_line(label or "", 80, "label")
    if not named:
        raise InputError("a correction needs the right label", "choose it")
    return reason, named


def _decisions(session: Session, inspection_id: str) -> list[tables.Decision]:
    query = select(tables.Decision).where(tables.Decision.inspection_id == inspection_id)
    return list(session.execute(query.order_by(tables.Decision.at, tables.Decision.id)).scalars())
