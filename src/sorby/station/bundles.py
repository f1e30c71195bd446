"""Model bundles of the station: verified when they come, promoted by a second person."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sorby.anomaly import KIND as ANOMALY
from sorby.bundle import OpenBundle, open_bundle
from sorby.detect import KIND as BOXES
from sorby.errors import BundleError, InputError
from sorby.station.database import tables
from sorby.station.desk import Act, Conflict, Desk, NotFound, Refused, TooLarge, allow
from sorby.station.permissions import Actor, Permission
from sorby.station.store import TooLarge as TooMuch
from sorby.station.wording import one_line, plain_text

CLASSIFIER = "classifier"
"""As `sorby.classify` calls it, which is not imported: the server has no need of torch."""

INSPECTING = (CLASSIFIER, ANOMALY, BOXES)
"""Kinds of bundle that give verdicts on images."""


def receive(desk: Desk, actor: Actor, content: IO[bytes], *, task: str, name: str = "") -> dict[str, Any]:
    """Take a bundle in, as a candidate for a task.

    Parameters
    ----------
    desk : Desk
    actor : Actor
    content : binary stream
        A ``.sorby`` file.
    task : str
        What it is for; bundles of one task replace each other.
    name : str
        The bundle's own where absent.

    Returns
    -------
    dict
        See `as_dict`.

    Raises
    ------
    Refused
    TooLarge
    InputError
        It is no bundle, damaged, or gives no verdicts on images.
    Conflict
        It is here already, for another task.
    """
    allow(actor, Permission.MANAGE_STATION)
    task = _task(task)
    with desk.store.receiving() as (file, path):
        try:
            desk.store.fill(file, content, desk.settings.upload_bytes)
        except TooMuch as error:
            raise TooLarge(error.message, error.hint) from error
        opened = _opened(path)
        kept = desk.store.keep(path)
    with desk.acting(actor, Permission.MANAGE_STATION) as act:
        return as_dict(add(act, opened, kept.sha256, task=task, name=name))


def _opened(path: Path) -> OpenBundle:
    try:
        opened = open_bundle(path)
    except BundleError as error:
        raise BundleError(error.message.replace(f"{path}: ", "").replace(str(path), "the file"), error.hint) from None
    kind = opened.description.kind
    if kind not in INSPECTING:
        raise InputError(f"a bundle of kind {kind} gives no verdicts on images", f"one of {', '.join(INSPECTING)}")
    return opened


def add(
    act: Act,
    opened: OpenBundle,
    file: str,
    *,
    task: str,
    name: str = "",
    state: str = "candidate",
    comparison: dict[str, Any] | None = None,
    proposer: str | None = None,
) -> tables.Bundle:
    """Enter a verified bundle whose file is in the store.

    Parameters
    ----------
    act : Act
    opened : OpenBundle
    file : str
        SHA-256 of its file.
    task, name, state : str
    comparison : dict, optional
        With the one that is current.
    proposer : str, optional
        Who asked for it, where that is not the actor.
    """
    there = act.session.get(tables.Bundle, opened.sha256)
    if there is not None:
        if there.task != task:
            raise Conflict(f"this bundle is here already, for {there.task}", "a bundle serves one task")
        return there
    made = opened.description
    bundle = tables.Bundle(
        sha256=opened.sha256, file=file, name=one_line(name or made.name, 120, "name"), kind=made.kind, task=task,
        state=state, classes=list(made.classes), signature=str(opened.signature), comparison=comparison,
        added_by=proposer or act.actor.name, added_at=act.at,
    )  # fmt: skip
    act.session.add(bundle)
    act.session.flush()
    act.record(
        "bundle.add", f"bundle/{bundle.sha256}", new={"name": bundle.name, "task": task, "state": state,
        "signature": bundle.signature, "proposed_by": bundle.added_by, "comparison": comparison},
        evidence={"bundle": bundle.sha256, "file": file},
    )  # fmt: skip
    return bundle


def promote(desk: Desk, actor: Actor, sha256: str, *, reason: str) -> dict[str, Any]:
    """Make a candidate the current bundle of its task; the one before it is retired.

    Raises
    ------
    Refused
        The actor proposed it, or is a program: a second person decides.
    Conflict
        It is no candidate any more.
    InputError
        There is no reason.
    """
    reason = plain_text(reason, 2000, "reason")
    if not reason:
        raise InputError("a promotion needs a reason", "say what it rests on, such as the comparison")
    with desk.acting(actor, Permission.PROMOTE) as act:
        bundle = find(act.session, sha256)
        if actor.token is not None:
            raise Refused("a program promotes no bundle", "somebody signed in has to")
        if bundle.added_by == actor.name:
            raise Refused(f"{actor.name} proposed this bundle", "a second person promotes it")
        if bundle.state != "candidate":
            raise Conflict(f"the bundle is {bundle.state}", "only candidates are promoted")
        before = current(act.session, bundle.task)
        if before is not None:
            before.state = "retired"
        bundle.state, bundle.promoted_by, bundle.promoted_at = "current", actor.name, act.at
        act.record(
            "bundle.promote", f"bundle/{sha256}", old=None if before is None else before.sha256, new=sha256,
            reason=reason, evidence={"bundle": sha256},
        )  # fmt: skip
        return as_dict(bundle)


def retire(desk: Desk, actor: Actor, sha256: str, *, reason: str) -> dict[str, Any]:
    """Take a bundle out of use; what it said stays.

    Raises
    ------
    Refused, NotFound
    Conflict
        It is retired.
    InputError
        There is no reason.
    """
    reason = plain_text(reason, 2000, "reason")
    if not reason:
        raise InputError("a bundle is not retired without a reason", "say why")
    with desk.acting(actor, Permission.PROMOTE) as act:
        bundle = find(act.session, sha256)
        if bundle.state == "retired":
            raise Conflict("the bundle is retired already", "nothing to do")
        old, bundle.state = bundle.state, "retired"
        act.record("bundle.retire", f"bundle/{sha256}", old=old, new="retired", reason=reason)
        return as_dict(bundle)


def listed(desk: Desk, actor: Actor, *, task: str | None = None, state: str | None = None) -> list[dict[str, Any]]:
    """Return bundles, current ones first, then the newest."""
    with desk.looking(actor, Permission.LOOK) as session:
        query = select(tables.Bundle)
        if task is not None:
            query = query.where(tables.Bundle.task == task)
        if state is not None:
            query = query.where(tables.Bundle.state == state)
        rows = list(session.execute(query.order_by(tables.Bundle.added_at.desc())).scalars())
        return [as_dict(each) for each in sorted(rows, key=lambda each: each.state != "current")]


def get(desk: Desk, actor: Actor, sha256: str) -> dict[str, Any]:
    """Return a bundle with what it says of itself: ``description`` holds ``metrics``, ``limits``, ``created`` ...

    Raises
    ------
    NotFound
    """
    with desk.looking(actor, Permission.LOOK) as session:
        bundle = find(session, sha256)
    made = open_bundle(desk.store.path(bundle.file)).description
    return {**as_dict(bundle), "description": made.model_dump(mode="json")}


def find(session: Session, sha256: str) -> tables.Bundle:
    """Return a bundle's row.

    Raises
    ------
    NotFound
    """
    found = session.get(tables.Bundle, sha256)
    if found is None:
        raise NotFound(f"no bundle {sha256[:12]}", "see the list of bundles")
    return found


def current(session: Session, task: str) -> tables.Bundle | None:
    """Return the bundle of a task that is in use."""
    query = select(tables.Bundle).where(tables.Bundle.task == task, tables.Bundle.state == "current")
    return session.execute(query.limit(1)).scalar_one_or_none()


def as_dict(bundle: tables.Bundle) -> dict[str, Any]:
    """Return a bundle's row as JSON."""
    return {
        "sha256": bundle.sha256,
        "name": bundle.name,
        "kind": bundle.kind,
        "task": bundle.task,
        "state": bundle.state,
        "classes": bundle.classes,
        "signature": bundle.signature,
        "comparison": bundle.comparison,
        "added_by": bundle.added_by,
        "added_at": bundle.added_at,
        "promoted_by": bundle.promoted_by,
        "promoted_at": bundle.promoted_at,
    }


def _task(raw: str) -> str:
    task = one_line(raw, 80, "task")
    if not task:
        raise InputError("a bundle is for a task", "name it, such as 'steel subtypes'")
    return task
