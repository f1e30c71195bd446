"""What all routes share: who asks, what they may, what texts may hold."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Path, Request
from pydantic import AfterValidator, StringConstraints

from sorby.station.desk import Desk, Refused, SignedOut, allow
from sorby.station.permissions import Actor, Permission
from sorby.station.sessions import COOKIE, Visit, visit_of
from sorby.station.tokens import actor_of_token

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "X-CSRF-Token"
_DEEPEST, _LARGEST_JSON = 20, 1 << 20


def desk_of(request: Request) -> Desk:
    """Return the desk of the application that a request came to."""
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(desk_of)]


@dataclass(frozen=True)
class Needs:
    """Dependency of a route: somebody signed in, or a token, with all of some permissions.

    Every route has this, `Open` or `ByLink`; a test goes through all routes and refuses one without. ::

        def accept(desk: TheDesk, actor: Annotated[Actor, Depends(Needs(Permission.REVIEW))]): ...

    Parameters
    ----------
    *permissions : Permission
        None: anybody who is signed in, also where the password must be changed first.
    """

    permissions: tuple[Permission, ...] = ()

    def __init__(self, *permissions: Permission) -> None:
        object.__setattr__(self, "permissions", permissions)

    def __call__(self, request: Request, desk: TheDesk) -> Actor:
        """Return who asks.

        Raises
        ------
        SignedOut
            Nobody does.
        Refused
            A permission or the CSRF token is missing.
        """
        actor = _bearer(desk, request)
        if actor is None:
            actor = visit(request, desk).actor
        allow(actor, *self.permissions)
        return actor


@dataclass(frozen=True)
class Open:
    """Dependency of a route that anybody may ask; says why that is right.

    Parameters
    ----------
    why : str
    """

    why: str

    def __call__(self) -> None:
        """Let everybody in."""


@dataclass(frozen=True)
class ByLink:
    """Dependency of a route whose address holds the secret of an invitation; the route's function checks it."""

    parameter: str = field(default="secret")

    def __call__(self) -> None:
        """Leave the check to the function that knows the study."""


def visit(request: Request, desk: TheDesk) -> Visit:
    """Return the visit of the cookie, its CSRF token checked where the request changes something.

    Raises
    ------
    SignedOut
        There is no session.
    Refused
        The CSRF token is missing or another one's.
    """
    found = visit_of(desk, request.cookies.get(COOKIE))
    if found is None:
        raise SignedOut("nobody is signed in", "sign in")
    if request.method not in SAFE:
        sent = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(sent.encode(), found.csrf.encode()):
            raise Refused("the request lacks the session's CSRF token", f"send it in {CSRF_HEADER}")
    return found


def address_of(request: Request) -> str:
    """Return where a request came from, as the server in front tells it where there is one."""
    return request.client.host if request.client is not None else "unknown"


def _bearer(desk: Desk, request: Request) -> Actor | None:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        return None
    return actor_of_token(desk, secret.strip())


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("a line of printable characters")
    return text


def _prose(text: str) -> str:
    if not all(character.isprintable() or character in "\n\t" for character in text):
        raise ValueError("printable characters")
    return text


def _plain_json(value: Any) -> Any:
    """Refuse what neither the databases nor the record can hold."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode("utf-8")
    except (ValueError, RecursionError):
        raise ValueError("plain JSON without NaN, infinity or broken characters") from None
    if len(text) > _LARGEST_JSON or "\\u0000" in text:
        raise ValueError("plain JSON of at most a megabyte, without NUL")
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return value
    raise ValueError(f"JSON of at most {_DEEPEST} levels")


Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_one_line)]
"""One line of 1 to 200 printable characters."""

Prose = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000), AfterValidator(_prose)]
"""Up to 4,000 characters, line ends allowed; may be empty."""

Secret = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
"""A password as it was typed."""

Plain = Annotated[dict[str, Any], AfterValidator(_plain_json)]
"""A JSON object that database and record can hold."""

Id = Annotated[str, Path(pattern=r"^[0-9a-f]{8,32}$")]
"""An identity in an address."""

Sha = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 in an address."""
