"""Where every change is made: one transaction that holds the change and its entry in the record, or neither."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sorby.errors import InputError
from sorby.record import Entry, SigningKey, seal
from sorby.station.database import Database, tables
from sorby.station.permissions import Actor, Permission
from sorby.station.store import Store


class Refused(InputError):
    """Somebody asked for what their role does not allow."""


class NotFound(InputError):
    """Nothing of that name is here, or it is none of the actor's business."""


class Conflict(InputError):
    """Somebody else was first, or the state does not allow it any more."""


def now() -> str:
    """Return the time as the database and the record write it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_id() -> str:
    """Return a random identity that is no secret."""
    return secrets.token_hex(8)


@dataclass
class Act:
    """One change by one actor.

    Attributes
    ----------
    session : Session
    actor : Actor
    at : str
        When it began.
    """

    session: Session
    actor: Actor
    key: SigningKey
    at: str = field(default_factory=now)

    def record(
        self,
        action: str,
        subject: str,
        *,
        old: Any = None,
        new: Any = None,
        reason: str = "",
        meaning: str = "",
        evidence: Mapping[str, str] | None = None,
    ) -> Entry:
        """Add an entry to the record.

        Parameters
        ----------
        action : str
            Such as ``inspection.accept``.
        subject : str
            What it was done to, such as ``inspection/4f1c``.
        old, new
            Its state before and after, as JSON.
        reason : str
        meaning : str
            Of an electronic signature; empty where nothing was signed.
        evidence : mapping of str to str, optional
            Names and SHA-256 of the data it rests on.
        """
        last = self.session.execute(
            select(tables.Entry.sequence, tables.Entry.digest).order_by(tables.Entry.sequence.desc()).limit(1)
        ).first()
        entry = seal(
            self.key, previous=None if last is None else (last.sequence, last.digest), at=self.at,
            actor=self.actor.name, role=self.actor.role, action=action, subject=subject, old=old, new=new,
            reason=reason, meaning=meaning, evidence=dict(evidence or {}),
        )  # fmt: skip
        self.session.add(tables.Entry(**entry.as_row()))
        self.session.flush()
        return entry


@dataclass(frozen=True)
class Desk:
    """What the station's functions work with.

    Attributes
    ----------
    database : Database
    store : Store
    key : SigningKey
        Of the record; lies outside the database.
    """

    database: Database
    store: Store
    key: SigningKey

    @contextmanager
    def acting(self, actor: Actor, *needed: Permission) -> Iterator[Act]:
        """Open the transaction of one change.

        Raises
        ------
        Refused
            The actor lacks a permission.
        """
        allow(actor, *needed)
        with self.database.write() as session:
            yield Act(session, actor, self.key)

    @contextmanager
    def looking(self, actor: Actor, *needed: Permission) -> Iterator[Session]:
        """Open a session that only reads.

        Raises
        ------
        Refused
            The actor lacks a permission.
        """
        allow(actor, *needed)
        with self.database.read() as session:
            yield session


def allow(actor: Actor, *needed: Permission) -> None:
    """Refuse an actor who lacks a permission."""
    missing = [each for each in needed if each not in actor.permissions]
    if missing:
        raise Refused(f"{actor.name} ({actor.role}) may not {missing[0].value}", "ask a supervisor or administrator")
