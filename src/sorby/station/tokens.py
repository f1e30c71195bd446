"""Tokens: keys with which programs act for somebody, with some of their permissions, until a date.

Microscope software, scripts and other systems use them (``Authorization: Bearer sorby_...``). A token never has more
than its owner has now, never signs, and never manages accounts or tokens.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from sorby.errors import InputError
from sorby.station.database import tables
from sorby.station.desk import Desk, NotFound, Refused, SignedOut, new_id, now
from sorby.station.permissions import GRANTED, Actor, Permission, Role
from sorby.station.sessions import digest_of

PREFIX = "sorby_"
LONGEST_DAYS = 366
NEVER = frozenset({Permission.MANAGE_ACCOUNTS})
_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True)
class TokenFacts:
    """What may be shown of a token."""

    id: str
    owner: str
    name: str
    scopes: list[str]
    created_at: str
    expires_at: str
    revoked_at: str | None


@dataclass(frozen=True)
class NewToken:
    """A token and its secret, told once."""

    token: TokenFacts
    secret: str


def create_token(desk: Desk, actor: Actor, name: str, scopes: Sequence[Permission], days: int = 90) -> NewToken:
    """Make a token for the actor.

    Parameters
    ----------
    desk : Desk
    actor : Actor
        A person; a token cannot make tokens.
    name : str
        Of the program; it stands beside the actor's in the record.
    scopes : sequence of Permission
        What it may; each of them the actor's own.
    days : int
        1 to 366.

    Raises
    ------
    Refused
        A scope that the actor lacks or no token may have, or the actor is a program.
    InputError
        No scopes, or too long.
    """
    _refuse_programs(actor)
    if not scopes:
        raise InputError("a token needs a scope", f"some of {', '.join(sorted(actor.permissions))}")
    beyond = [scope for scope in scopes if scope not in actor.permissions or scope in NEVER]
    if beyond:
        raise Refused(f"a token of yours cannot have the scope {beyond[0].value}", "scopes that you have yourself")
    if not 1 <= days <= LONGEST_DAYS:
        raise InputError(f"a token holds for 1 to {LONGEST_DAYS} days", "make a new one in time")
    secret = PREFIX + secrets.token_urlsafe(32)
    with desk.acting(actor) as act:
        end = datetime.strptime(act.at, _FORMAT).replace(tzinfo=UTC) + timedelta(days=days)
        token = tables.Token(
            id=new_id(), user_id=actor.id, name=name, digest=digest_of(secret), created_at=act.at,
            scopes=sorted({scope.value for scope in scopes}), expires_at=end.strftime(_FORMAT), revoked_at=None,
        )  # fmt: skip
        act.session.add(token)
        new = {"name": name, "scopes": token.scopes, "expires_at": token.expires_at}
        act.record("token.create", f"token/{token.id}", new=new)
        return NewToken(_facts(token, actor.name), secret)


def list_tokens(desk: Desk, actor: Actor) -> list[TokenFacts]:
    """Return the actor's tokens, or everybody's where the actor keeps accounts or reads the record; newest first."""
    everybody = {Permission.MANAGE_ACCOUNTS, Permission.READ_RECORD} & actor.permissions
    query = select(tables.Token, tables.User.name).join(tables.User, tables.User.id == tables.Token.user_id)
    if not everybody:
        query = query.where(tables.Token.user_id == actor.id)
    with desk.looking(actor) as session:
        found = session.execute(query.order_by(tables.Token.created_at.desc())).all()
        return [_facts(token, owner) for token, owner in found]


def revoke_token(desk: Desk, actor: Actor, token_id: str) -> TokenFacts:
    """End a token: one's own, or anybody's where one keeps accounts.

    Raises
    ------
    NotFound
        No such token, or somebody else's.
    """
    _refuse_programs(actor)
    with desk.acting(actor) as act:
        token = act.session.get(tables.Token, token_id)
        if token is None or (token.user_id != actor.id and Permission.MANAGE_ACCOUNTS not in actor.permissions):
            raise NotFound("no such token", "look at the list of tokens")
        owner = act.session.get_one(tables.User, token.user_id).name
        if token.revoked_at is None:
            token.revoked_at = act.at
            act.record("token.revoke", f"token/{token.id}", old={"name": token.name, "owner": owner})
        return _facts(token, owner)


def actor_of_token(desk: Desk, secret: str) -> Actor:
    """Return who a program acts for.

    Raises
    ------
    SignedOut
        The token is unknown, over, revoked, or its owner's account is closed.
    """
    with desk.database.read() as session:
        found = session.execute(
            select(tables.Token, tables.User)
            .join(tables.User, tables.User.id == tables.Token.user_id)
            .where(tables.Token.digest == digest_of(secret))
        ).first()
    if found is None:
        raise SignedOut("the token does not hold", "make a new one")
    token, user = found
    if token.revoked_at is not None or token.expires_at <= now() or not user.active or user.must_change:
        raise SignedOut("the token does not hold", "make a new one")
    scopes = frozenset(Permission(scope) for scope in token.scopes)
    return Actor(user.id, user.name, user.role, GRANTED[Role(user.role)] & scopes - NEVER, token=token.name)


def _refuse_programs(actor: Actor) -> None:
    if actor.token is not None or actor.must_change or actor.study is not None:
        raise Refused("tokens are made and ended by people who are signed in", "sign in in a browser")


def _facts(token: tables.Token, owner: str) -> TokenFacts:
    return TokenFacts(
        token.id, owner, token.name, list(token.scopes), token.created_at, token.expires_at, token.revoked_at
    )
