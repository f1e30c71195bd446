"""Signing in and out in a browser, and who a cookie belongs to.

The cookie is random and its SHA-256 alone is stored, so that who reads the database cannot sign in with it. Every
sign-in gives a new one and ends the one that was sent: nobody can be made to use a cookie that somebody else knows.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select, update

from sorby.files import sha256_bytes
from sorby.station import brakes
from sorby.station.accounts import Account, account_of
from sorby.station.database import tables
from sorby.station.desk import Act, Desk, SignedOut, now
from sorby.station.passwords import verify_password
from sorby.station.permissions import GRANTED, NOBODY, Actor, Role

COOKIE = "sorby_session"
_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
_SEEN_EVERY_S = 60.0  # writing each request's time would make all readers writers
_REFUSED = "name or password is wrong"


@dataclass(frozen=True)
class Visit:
    """Somebody who is signed in.

    Attributes
    ----------
    actor : Actor
    account : Account
    csrf : str
        What every request that changes something must repeat in ``X-CSRF-Token``.
    digest : str
        SHA-256 of the cookie.
    """

    actor: Actor
    account: Account
    csrf: str
    digest: str


@dataclass(frozen=True)
class SignIn:
    """A visit that begins, and its cookie, which is told once."""

    visit: Visit
    cookie: str


def sign_in(desk: Desk, name: str, password: str, address: str, old_cookie: str | None = None) -> SignIn:
    """Begin a session.

    Unknown names, wrong passwords and closed accounts get the same answer after the same time.

    Parameters
    ----------
    desk : Desk
    name, password : str
    address : str
        Where the request came from.
    old_cookie : str, optional
        What the browser sent; that session ends.

    Raises
    ------
    SignedOut
        Name or password is wrong.
    TooOften
        The wait after the last failures is not over.
    """
    name = name.strip().lower()
    both = brakes.pair(name, address)
    with desk.database.write() as session:
        counted = brakes.count_attempt(session, both, brakes.everything_from(address), at=now())
        user = session.scalar(select(tables.User).where(tables.User.name == name))
        stored = user.password if user is not None and user.active else None
    right = verify_password(stored, password)
    if user is None or not right:
        _record_refusal(desk, None if user is None else user.name, address)
        raise SignedOut(_REFUSED, "type both again, or ask an administrator for a new password")
    actor = _actor(user)
    with desk.acting(actor) as act:
        fresh = act.session.get(tables.User, user.id, populate_existing=True)
        if fresh is None or not fresh.active or fresh.password != stored:  # changed while the password was compared
            raise SignedOut(_REFUSED, "type both again")
        brakes.take_back(act.session, counted, both)
        if old_cookie:
            act.session.execute(delete(tables.Session).where(tables.Session.digest == digest_of(old_cookie)))
        act.session.execute(delete(tables.Session).where(tables.Session.expires_at < act.at))
        started = _begin(desk, act, fresh)
        act.record("session.begin", f"account/{user.name}", new={"address": brakes.network(address)})
    return started


def sign_out(desk: Desk, visit: Visit) -> None:
    """End a session."""
    with desk.acting(visit.actor) as act:
        act.session.execute(delete(tables.Session).where(tables.Session.digest == visit.digest))
        act.record("session.end", f"account/{visit.actor.name}")


def visit_of(desk: Desk, cookie: str | None, *, by_hand: bool = True) -> Visit | None:
    """Return who a cookie belongs to; None where it is unknown, too old, or was idle for too long.

    What an open page asks by itself, not *by_hand*, does not keep a session from being idle.
    """
    if not cookie:
        return None
    digest, at = digest_of(cookie), now()
    with desk.database.read() as session:
        found = session.execute(
            select(tables.Session, tables.User)
            .join(tables.User, tables.User.id == tables.Session.user_id)
            .where(tables.Session.digest == digest)
        ).first()
    if found is None:
        return None
    opened, user = found
    idle = _seconds(opened.seen_at, at)
    if not user.active or opened.expires_at <= at or idle > desk.settings.idle_s:
        return None
    if by_hand and idle > min(_SEEN_EVERY_S, desk.settings.idle_s / 10):
        with desk.database.write() as session:
            session.execute(update(tables.Session).where(tables.Session.digest == digest).values(seen_at=at))
    return Visit(_actor(user), account_of(user), opened.csrf, digest)


def digest_of(secret: str) -> str:
    """Return the SHA-256 of a cookie, token or link, which is what the database holds of it."""
    return sha256_bytes(secret.encode("utf-8", "surrogatepass"))


def _begin(desk: Desk, act: Act, user: tables.User) -> SignIn:
    cookie, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    end = datetime.strptime(act.at, _FORMAT).replace(tzinfo=UTC) + timedelta(seconds=desk.settings.session_s)
    act.session.add(
        tables.Session(
            digest=digest_of(cookie), user_id=user.id, csrf=csrf, created_at=act.at, seen_at=act.at,
            expires_at=end.strftime(_FORMAT),
        )
    )  # fmt: skip
    return SignIn(Visit(_actor(user), account_of(user), csrf, digest_of(cookie)), cookie)


def _actor(user: tables.User) -> Actor:
    """Return the actor of a user, without permissions as long as the password is somebody else's."""
    permissions = frozenset() if user.must_change else GRANTED[Role(user.role)]
    return Actor(user.id, user.name, user.role, permissions, must_change=user.must_change)


def _record_refusal(desk: Desk, name: str | None, address: str) -> None:
    # A name that nobody has may be a password in the wrong field: it stays out of the record.
    with desk.acting(NOBODY) as act:
        subject = "address" if name is None else f"account/{name}"
        act.record("session.refuse", subject, new={"address": brakes.network(address)})


def _seconds(earlier: str, later: str) -> float:
    return (datetime.strptime(later, _FORMAT) - datetime.strptime(earlier, _FORMAT)).total_seconds()
