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

from sorby.bundle import SigningKey
from sorby.errors import InputError
from sorby.record import Entry, Event, Head, seal
from sorby.station.database import Database, tables
from sorby.station.permissions import Actor, Permission
from sorby.station.settings import Settings
from sorby.station.store import Store, TooLarge

__all__ = [
    "Act", "Conflict", "Desk", "NotFound", "Refused", "SignedOut", "TooLarge", "TooOften",
    "allow", "head", "new_id", "now",
]  # fmt: skip


class SignedOut(InputError):
    """Nobody is signed in, or the session, token or link does not hold any more."""


class Refused(InputError):
    """Somebody asked for what their role does not allow."""


class NotFound(InputError):
    """Nothing of that name is here, or it is none of the actor's business."""


class Conflict(InputError):
    """Somebody else was first, or the state does not allow it any more."""


class TooOften(InputError):
    """Too many attempts.

    Attributes
    ----------
    wait_s : float
        How long until the next one is looked at.
    """

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message, f"try again in {max(1, round(wait_s))} s")
        self.wait_s = wait_s


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
        event = Event(
            self.actor.recorded_name, self.actor.role, action, subject, old, new, reason, meaning, dict(evidence or {})
        )
        entry = seal(event, head(self.session), self.key, at=self.at)
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
    settings : Settings
    """

    database: Database
    store: Store
    key: SigningKey
    settings: Settings

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


def head(session: Session) -> Head:
    """Return how far the record goes; within a writing transaction nobody else can make it longer."""
    last = session.execute(
        select(tables.Entry.sequence, tables.Entry.digest).order_by(tables.Entry.sequence.desc()).limit(1)
    ).first()
    return Head() if last is None else Head(last.sequence, last.digest)


def allow(actor: Actor, *needed: Permission) -> None:
    """Refuse an actor who lacks a permission."""
    missing = [each for each in needed if each not in actor.permissions]
    if missing:
        hint = "change your password first" if actor.must_change else "ask a supervisor or administrator"
        raise Refused(f"{actor.name} ({actor.role}) may not {missing[0].value}", hint)
