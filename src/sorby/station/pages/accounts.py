"""Accounts and tokens: who may sign in, in which role, and which programs act for whom."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sorby.station import accounts, tokens
from sorby.station.accounts import Account, NewPassword
from sorby.station.pages.elements import (
    Cell,
    box,
    button,
    choice,
    close,
    dialogue,
    facts,
    field,
    link,
    mark,
    note,
    table,
    text,
    tick,
)
from sorby.station.pages.frame import Visitor, head, page, said
from sorby.station.pages.wording import when
from sorby.station.permissions import Permission, Role

_ROLES = {
    Role.OPERATOR: "Operator \u2013 adds images, inspects",
    Role.REVIEWER: "Reviewer \u2013 decides and signs",
    Role.SUPERVISOR: "Supervisor \u2013 organises studies, promotes models",
    Role.ADMINISTRATOR: "Administrator \u2013 accounts and settings, no decisions",
    Role.AUDITOR: "Auditor \u2013 reads all, changes nothing",
}
_WORDS = {str(role): words for role, words in _ROLES.items()}


async def _accounts(visitor: Visitor) -> None:
    async def look() -> None:
        found = await visitor.ask(accounts.list_accounts)
        place.clear()
        with place:
            table(
                ["Name", "Full name", "Role", "State", "Since", ""],
                [_row(visitor, each, look) for each in found],
                caption="Accounts",
            )

    with head("Accounts", "An account is never deleted, only closed: the record keeps naming who acted."):
        if visitor.may(Permission.MANAGE_ACCOUNTS):
            button("New account", visitor.does(_ask_new, visitor, look), "first")
        link("Tokens", "/tokens", "button")
    place = box()
    await look()


def _row(visitor: Visitor, account: Account, look: Callable[[], Awaitable[None]]) -> list[Cell]:
    def state() -> None:
        if not account.active:
            mark("closed", "bad")
        elif account.must_change:
            mark("has not signed in with an own password yet", "warn")
        else:
            mark("open", "good")

    def offer() -> None:
        if visitor.may(Permission.MANAGE_ACCOUNTS):
            named = {"aria-label": f"Change account {account.name}"}
            button("Change", visitor.does(_ask_change, visitor, account, look), "small").props.update(named)

    return [account.name, account.full_name, account.role, state, when(account.created_at), offer]


async def _ask_new(visitor: Visitor, look: Callable[[], Awaitable[None]]) -> None:
    with dialogue("New account") as shown:
        name = field("Name to sign in with", hint="2 to 32 letters, digits, points, dashes")
        full = field("Full name", hint="as certificates print it")
        role = choice("Role", _WORDS)

        async def make() -> None:
            made = await visitor.ask(accounts.create_account, name.words, full.words, Role(role.value))
            close(shown)
            _tell_password(made)
            await look()

        with box("row"):
            button("Make account", visitor.does(make), "first")
            button("Cancel", lambda: close(shown))


async def _ask_change(visitor: Visitor, account: Account, look: Callable[[], Awaitable[None]]) -> None:
    with dialogue(f"Account {account.name}") as shown:
        full = field("Full name", account.full_name)
        role = choice("Role", _WORDS, account.role)
        open_ = tick("Open: may sign in", account.active)
        reason = field("Reason", hint="stands in the record")

        async def keep() -> None:
            await visitor.ask(
                accounts.change_account, account.id, full_name=full.words, role=Role(role.value),
                active=bool(open_.value), reason=reason.words,
            )  # fmt: skip
            close(shown)
            said("The account is changed.")
            await look()

        async def reset() -> None:
            made = await visitor.ask(accounts.reset_password, account.id, reason.words)
            close(shown)
            _tell_password(made)
            await look()

        with box("row"):
            button("Keep", visitor.does(keep), "first")
            button("New password", visitor.does(reset), "bad")
            button("Cancel", lambda: close(shown))


def _tell_password(made: NewPassword) -> None:
    with dialogue(f"Password of {made.account.name}") as shown:
        note("It is shown once. Hand it over in person; it must be changed at the first sign-in.", "warn")
        text(made.password, "number mono")
        with box("row"):
            button("Done", lambda: close(shown), "first")


async def _tokens(visitor: Visitor) -> None:
    async def look() -> None:
        found = await visitor.ask(tokens.list_tokens)
        place.clear()
        with place:
            table(
                ["Program", "Acts for", "May", "Holds until", "State", ""],
                [_token_row(visitor, each, look) for each in found],
                caption="Tokens",
                nothing="No tokens. Microscope software and scripts act with one, within your own rights.",
            )

    with head("Tokens", "Keys for programs: some of your rights, until a date. A program never signs."):
        button("New token", visitor.does(_ask_token, visitor, look), "first")
    place = box()
    await look()


def _token_row(visitor: Visitor, token: tokens.TokenFacts, look: Callable[[], Awaitable[None]]) -> list[Cell]:
    async def revoke() -> None:
        await visitor.ask(tokens.revoke_token, token.id)
        said("The token is revoked.")
        await look()

    def offer() -> None:
        if token.revoked_at is None and (token.owner == visitor.actor.name or visitor.may(Permission.MANAGE_ACCOUNTS)):
            named = {"aria-label": f"Revoke token {token.name}"}
            button("Revoke", visitor.does(revoke), "small bad").props.update(named)

    state = "revoked" if token.revoked_at else "holds"
    return [
        token.name, token.owner, ", ".join(token.scopes), when(token.expires_at),
        lambda: mark(state, "plain" if token.revoked_at else "good"), offer,
    ]  # fmt: skip


async def _ask_token(visitor: Visitor, look: Callable[[], Awaitable[None]]) -> None:
    allowed = sorted(visitor.actor.permissions - tokens.NEVER)
    with dialogue("New token") as shown:
        name = field("Program", hint="stands beside your name in the record")
        with box("field", "fieldset"):
            text("It may", "label", "legend")
            chosen: dict[Permission, Any] = {each: tick(each.value.replace("-", " ")) for each in allowed}
        days = field("Days", "90", "number")

        async def make() -> None:
            scopes = [each for each, wanted in chosen.items() if wanted.value]
            made = await visitor.ask(tokens.create_token, name.words or "program", scopes, int(days.number or 0))
            close(shown)
            with dialogue(f"Token for {made.token.name}") as told:
                note("It is shown once. Programs send it as: Authorization: Bearer \u2026", "warn")
                text(made.secret, "mono")
                facts([("May", ", ".join(made.token.scopes)), ("Until", when(made.token.expires_at))])
                with box("row"):
                    button("Done", lambda: close(told), "first")
            await look()

        with box("row"):
            button("Make token", visitor.does(make), "first")
            button("Cancel", lambda: close(shown))


def put() -> None:
    """Put the pages on the station."""
    page("/accounts", "Accounts")(_accounts)
    page("/tokens", "Tokens")(_tokens)
