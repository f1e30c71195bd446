"""Who reaches which route: generated from the application, so that a new route is tested by existing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from sorby.station.app import create_app
from sorby.station.permissions import GRANTED, Permission, Role
from sorby.station.rest.frame import ByLink, Needs, Open
from sorby.station.rest.guards import API

#: Routes that may be asked without being signed in; a longer list is a decision, not an accident.
OPEN = {"/api/v1/health", "/api/v1/auth/sign-in"}


@dataclass(frozen=True)
class Found:
    """A route with its whole address."""

    path: str
    route: APIRoute

    @property
    def methods(self) -> set[str]:
        return set(self.route.methods)

    @property
    def guards(self) -> list[Needs | Open | ByLink]:
        return _guards(self.route.dependant)


def _routes(app: FastAPI) -> Iterator[Found]:
    """All routes of the application; one of a kind unknown here fails the test rather than slip through."""
    for route in app.routes:
        inner = getattr(route, "original_router", None)  # newer FastAPI keeps routers as they were included
        if inner is not None:
            for one in inner.routes:
                assert isinstance(one, APIRoute), one
                yield Found(API + one.path, one)
        else:
            assert isinstance(route, APIRoute), route
            yield Found(route.path, route)


def _guards(dependant: Dependant) -> list[Needs | Open | ByLink]:
    own = [dependant.call] if isinstance(dependant.call, Needs | Open | ByLink) else []
    return own + [guard for inner in dependant.dependencies for guard in _guards(inner)]


def _address(route: Found) -> str:
    """An address of the route; what stands in it need not exist."""
    values = {
        "z": "0",
        "x": "0",
        "y": "0",
        "place": "1",
        "secret": "a" * 32,
        "name": "a-name",
        "number": "20260101-0a1b2c3d",
    }
    return re.sub(
        r"\{(\w+)(?::\w+)?\}",
        lambda found: values.get(found[1], "0" * 64 if "sha" in found[1] else "0" * 16),
        route.path,
    )


def test_every_route_says_what_it_needs(station) -> None:
    routes = list(_routes(station.app()))
    assert len(routes) > 30
    for route in routes:
        guards = route.guards
        assert guards, f"{route.path} declares no permission"
        if any(isinstance(guard, Open) for guard in guards):
            assert route.path in OPEN
        if any(isinstance(guard, ByLink) for guard in guards):
            assert "{secret}" in route.path


def test_nothing_is_reached_without_signing_in(station) -> None:
    app = station.app()
    client = station.client(app=app)
    for route in _routes(app):
        if route.path in OPEN:
            continue
        for method in route.methods:
            answer = client.request(method, _address(route))
            assert answer.status_code in (401, 422) if "{secret}" in route.path else answer.status_code == 401, (
                method, route.path, answer.text,
            )  # fmt: skip


@pytest.mark.parametrize("role", list(Role))
def test_role_reaches_what_it_may_and_nothing_else(station, role: Role) -> None:
    app = station.app()
    client = station.client(role.value, app)
    for route in _routes(app):
        guards = [guard for guard in route.guards if isinstance(guard, Needs)]
        if not guards or route.path.endswith("/auth/sign-out"):
            continue
        allowed = all(set(guard.permissions) <= GRANTED[role] for guard in guards)
        for method in route.methods:
            status = client.request(method, _address(route)).status_code
            # Nothing is sent, so what is allowed fails later, if at all.
            assert (status != 403) if allowed else (status == 403), (role, method, route.path, status)
            assert status != 401
            assert status < 500


def test_administrator_decides_nothing_about_materials() -> None:
    assert not GRANTED[Role.ADMINISTRATOR] & {
        Permission.REVIEW, Permission.ANNOTATE, Permission.PROMOTE, Permission.TAKE_PART, Permission.RETRAIN,
        Permission.ORGANISE, Permission.INSPECT, Permission.LOCK,
    }  # fmt: skip


def test_auditor_changes_nothing(station) -> None:
    app = station.app()
    client = station.client("auditor", app)
    own = {"/api/v1/auth/sign-out", "/api/v1/me/password", "/api/v1/tokens", "/api/v1/tokens/{token_id}"}
    changing = [route for route in _routes(app) if route.methods - {"GET", "HEAD"} and route.path not in OPEN | own]
    for route in changing:
        if "{secret}" in route.path:
            continue
        for method in route.methods - {"GET", "HEAD"}:
            assert client.request(method, _address(route)).status_code == 403, route.path


def test_documentation_from_other_sites_is_not_served(station) -> None:
    app = create_app(station.desk)
    client = station.client("auditor", app)
    assert client.get("/docs").status_code == 404
    assert client.get("/openapi.json").status_code == 404
    assert client.get("/api/v1/openapi.json").json()["info"]["title"] == "sorby station"
