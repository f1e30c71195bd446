"""Routes: accounts and tokens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from sorby.station import accounts, tokens
from sorby.station.accounts import Account, NewPassword
from sorby.station.permissions import Actor, Permission, Role
from sorby.station.rest.frame import Id, Line, Needs, Prose, Secret, TheDesk
from sorby.station.rest.problems import ANSWERS
from sorby.station.tokens import NewToken, TokenFacts

router = APIRouter(tags=["accounts"], responses=ANSWERS)
Administrator = Annotated[Actor, Depends(Needs(Permission.MANAGE_ACCOUNTS))]
Anybody = Annotated[Actor, Depends(Needs())]


class NewAccount(BaseModel):
    """An account to make."""

    name: Line
    full_name: Line
    role: Role
    password: Secret | None = None


class AccountChange(BaseModel):
    """What changes of an account; what is left out stays."""

    full_name: Line | None = None
    role: Role | None = None
    active: bool | None = None
    reason: Prose


class Reason(BaseModel):
    """Why."""

    reason: Prose


class TokenWish(BaseModel):
    """A token to make."""

    name: Line
    scopes: list[Permission] = Field(max_length=len(Permission))
    days: int = Field(90, ge=1, le=tokens.LONGEST_DAYS)


@router.get("/users")
def list_users(desk: TheDesk, actor: Annotated[Actor, Depends(Needs(Permission.READ_RECORD))]) -> list[Account]:
    """List the accounts."""
    return accounts.list_accounts(desk, actor)


@router.post("/users", status_code=201)
def create_user(desk: TheDesk, actor: Administrator, new: NewAccount) -> NewPassword:
    """Make an account; the answer holds its first password."""
    return accounts.create_account(desk, actor, new.name, new.full_name, new.role, new.password)


@router.patch("/users/{user_id}")
def change_user(desk: TheDesk, actor: Administrator, user_id: Id, change: AccountChange) -> Account:
    """Change name or role, close or open an account."""
    return accounts.change_account(
        desk, actor, user_id, full_name=change.full_name, role=change.role, active=change.active, reason=change.reason
    )


@router.post("/users/{user_id}/password")
def reset_password(desk: TheDesk, actor: Administrator, user_id: Id, why: Reason) -> NewPassword:
    """Give somebody a new password, to be changed at the next sign-in."""
    return accounts.reset_password(desk, actor, user_id, why.reason)


@router.get("/tokens")
def list_tokens(desk: TheDesk, actor: Anybody) -> list[TokenFacts]:
    """List one's own tokens; everybody's for those who keep accounts or read the record."""
    return tokens.list_tokens(desk, actor)


@router.post("/tokens", status_code=201)
def create_token(desk: TheDesk, actor: Anybody, wish: TokenWish) -> NewToken:
    """Make a token; the answer holds its secret, which is not told again."""
    return tokens.create_token(desk, actor, wish.name, wish.scopes, wish.days)


@router.delete("/tokens/{token_id}")
def revoke_token(desk: TheDesk, actor: Anybody, token_id: Id) -> TokenFacts:
    """End a token."""
    return tokens.revoke_token(desk, actor, token_id)
