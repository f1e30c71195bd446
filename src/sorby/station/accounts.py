"""Accounts: who there is, in which role, and their passwords. Each change is on the record, no password ever is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from sorby.errors import InputError
from sorby.record import MEANINGS
from sorby.station import brakes
from sorby.station.database import tables
from sorby.station.desk import Act, Conflict, Desk, NotFound, Refused, new_id, now
from sorby.station.passwords import check_password, hash_password, random_password, verify_password
from sorby.station.permissions import STATION, Actor, Permission, Role

_NAME = re.compile(r"[a-z][a-z0-9._-]{1,31}")
_RESERVED = {"station", "nobody", "system"}


@dataclass(frozen=True)
class Account:
    """Somebody who may sign in.

    Attributes
    ----------
    id : str
    name : str
        What is typed at sign-in.
    full_name : str
        What certificates print.
    role : str
    active : bool
    must_change : bool
        Whether the password is one that somebody else gave.
    created_at : str
    """

    id: str
    name: str
    full_name: str
    role: str
    active: bool
    must_change: bool
    created_at: str


@dataclass(frozen=True)
class NewPassword:
    """An account and the password that was made for it, told once."""

    account: Account
    password: str


def account_of(user: tables.User) -> Account:
    """Return what may be shown of a user."""
    return Account(user.id, user.name, user.full_name, user.role, user.active, user.must_change, user.created_at)


def list_accounts(desk: Desk, actor: Actor) -> list[Account]:
    """Return every account by name; administrators and auditors may see them.

    Raises
    ------
    Refused
    """
    needed = Permission.MANAGE_ACCOUNTS if Permission.MANAGE_ACCOUNTS in actor.permissions else Permission.READ_RECORD
    with desk.looking(actor, needed) as session:
        return [account_of(user) for user in session.scalars(select(tables.User).order_by(tables.User.name))]


def create_account(
    desk: Desk, actor: Actor, name: str, full_name: str, role: Role, password: str | None = None
) -> NewPassword:
    """Make an account with a password that must be changed at the first sign-in.

    Parameters
    ----------
    desk : Desk
    actor : Actor
    name : str
        2 to 32 letters, digits, points, dashes and underscores, beginning with a letter; case does not matter.
    full_name : str
    role : Role
    password : str, optional
        By default a random one.

    Raises
    ------
    InputError
        The name or the password is unfit.
    Conflict
        The name is taken.
    """
    name = checked_name(name)
    if password is not None:
        check_password(password, name)
    password = random_password() if password is None else password
    hashed = hash_password(password)
    with desk.acting(actor, Permission.MANAGE_ACCOUNTS) as act:
        if act.session.scalar(select(tables.User.id).where(tables.User.name == name)) is not None:
            raise Conflict(f"the name {name} is taken", "another name; accounts are never deleted, only closed")
        user = tables.User(
            id=new_id(), name=name, full_name=full_name.strip() or name, role=role.value, password=hashed, active=True,
            must_change=True, created_at=act.at,
        )  # fmt: skip
        act.session.add(user)
        act.record("account.create", f"account/{name}", new=_facts(user))
        return NewPassword(account_of(user), password)


def change_account(
    desk: Desk,
    actor: Actor,
    user_id: str,
    *,
    full_name: str | None = None,
    role: Role | None = None,
    active: bool | None = None,
    reason: str,
) -> Account:
    """Change name, role or state of an account; a new role or closing it ends its sessions.

    Raises
    ------
    NotFound
    InputError
        No reason was given.
    Conflict
        It would leave the station without an administrator.
    """
    if not reason.strip():
        raise InputError("a change of an account needs a reason", "one sentence")
    with desk.acting(actor, Permission.MANAGE_ACCOUNTS) as act:
        user = _user(act.session, user_id)
        old = _facts(user)
        user.full_name = full_name.strip() if full_name and full_name.strip() else user.full_name
        user.role = role.value if role is not None else user.role
        user.active = active if active is not None else user.active
        act.session.flush()
        new = _facts(user)
        if old == new:
            return account_of(user)
        _keep_an_administrator(act.session)
        if old["role"] != new["role"] or not user.active:
            end_sessions(act, user)
        if not user.active:
            act.session.execute(
                update(tables.Token)
                .where(tables.Token.user_id == user.id, tables.Token.revoked_at.is_(None))
                .values(revoked_at=act.at)
            )
        act.record("account.change", f"account/{user.name}", old=old, new=new, reason=reason.strip())
        return account_of(user)


def reset_password(desk: Desk, actor: Actor, user_id: str, reason: str) -> NewPassword:
    """Give somebody a new random password, which must be changed at the next sign-in; open sessions end.

    Raises
    ------
    NotFound
    InputError
        No reason was given.
    """
    if not reason.strip():
        raise InputError("a new password needs a reason", "one sentence")
    password = random_password()
    hashed = hash_password(password)
    with desk.acting(actor, Permission.MANAGE_ACCOUNTS) as act:
        user = _user(act.session, user_id)
        user.password, user.must_change = hashed, True
        end_sessions(act, user)
        act.record("account.reset-password", f"account/{user.name}", reason=reason.strip())
        return NewPassword(account_of(user), password)


def change_own_password(desk: Desk, actor: Actor, old: str, new: str, keep_session: str | None = None) -> None:
    """Change the actor's own password; all sessions end but the one whose digest is *keep_session*.

    Raises
    ------
    Refused
        The old password is wrong, or a program asked.
    InputError
        The new one is unfit, or the old one again.
    TooOften
    """
    _prove(desk, actor, old)
    check_password(new, actor.name)
    if old == new:
        raise InputError("the new password is the old one", "another one")
    hashed = hash_password(new)
    with desk.acting(actor) as act:
        user = _user(act.session, actor.id)
        user.password, user.must_change = hashed, False
        end_sessions(act, user, keep_session)
        act.record("account.change-password", f"account/{user.name}")


def confirm(desk: Desk, actor: Actor, password: str, meaning: str) -> str:
    """Ask for the password again: with it the actor signs the act that follows.

    Parameters
    ----------
    desk : Desk
    actor : Actor
        A person who is signed in; programs and raters do not sign.
    password : str
    meaning : str
        What the signature means: authored, reviewed, approved or rejected.

    Returns
    -------
    str
        The meaning, for ``act.record(..., meaning=...)``. Call it before the transaction is opened: a password takes
        long to compare, and others would wait.

    Raises
    ------
    Refused
        The password is wrong.
    InputError
        No such meaning.
    TooOften
    """
    if meaning not in MEANINGS:
        raise InputError(f"{meaning!r} is no meaning of a signature", f"one of {', '.join(MEANINGS)}")
    _prove(desk, actor, password)
    return meaning


def first_administrator(desk: Desk, password: str | None = None) -> NewPassword | None:
    """Make the account ``admin`` where the station has none yet; return None where it has.

    Raises
    ------
    InputError
        The given password is unfit.
    """
    with desk.database.read() as session:
        if session.scalar(select(func.count()).select_from(tables.User)):
            return None
    try:
        return create_account(desk, STATION, "admin", "Administrator", Role.ADMINISTRATOR, password)
    except Conflict:  # two servers were started at once
        return None


def end_sessions(act: Act, user: tables.User, keep: str | None = None) -> None:
    """End the sessions of a user, save the one whose digest is *keep*."""
    act.session.execute(
        delete(tables.Session).where(tables.Session.user_id == user.id, tables.Session.digest != (keep or ""))
    )


def checked_name(name: str) -> str:
    """Return an account's name in lower case.

    Raises
    ------
    InputError
    """
    name = name.strip().lower()
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise InputError(
            "an account's name is 2 to 32 letters, digits, points, dashes or underscores, a letter first", "e.g. j.doe"
        )
    return name


def _prove(desk: Desk, actor: Actor, password: str) -> None:
    """Compare the password of somebody who is signed in."""
    if actor.token is not None or actor.study is not None:
        raise Refused("only a person who signed in with a password may do this", "sign in in a browser")
    subject = brakes.signatures_of(actor.id)
    with desk.database.write() as session:
        counted = brakes.count_attempt(session, subject, at=now())
        stored = _user(session, actor.id).password
    right = verify_password(stored, password)
    with desk.acting(actor) as act:
        if right:
            brakes.take_back(act.session, counted, subject)
        else:
            act.record("account.wrong-password", f"account/{actor.name}")
    if not right:
        raise Refused("the password is wrong", "type it again")


def _user(session: Session, user_id: str) -> tables.User:
    user = session.get(tables.User, user_id)
    if user is None:
        raise NotFound("no such account", "look at the list of accounts")
    return user


def _keep_an_administrator(session: Session) -> None:
    left = session.scalar(
        select(func.count())
        .select_from(tables.User)
        .where(tables.User.role == Role.ADMINISTRATOR.value, tables.User.active)
    )
    if not left:
        raise Conflict("the station would have no administrator", "make another administrator first")


def _facts(user: tables.User) -> Mapping[str, Any]:
    """Return what the record says of an account: everything but the password."""
    facts = asdict(account_of(user))
    return {name: facts[name] for name in ("full_name", "role", "active")}
