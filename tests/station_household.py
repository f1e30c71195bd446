"""A station in a folder of its own, with one account of each role, for the tests of the station."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient

from sorby.station.accounts import change_own_password, create_account
from sorby.station.app import create_app
from sorby.station.desk import Desk
from sorby.station.home import open_desk, prepare
from sorby.station.permissions import STATION, Actor, Role
from sorby.station.sessions import sign_in
from sorby.station.settings import Settings

PASSWORD = "grain boundary tea 42"
ORIGIN = "http://testserver"


@dataclass
class Station:
    """A station in a folder of its own, with one account of each role."""

    desk: Desk
    actors: dict[str, Actor] = field(default_factory=dict)

    def app(self) -> FastAPI:
        return create_app(self.desk)

    def client(self, name: str | None = None, app: FastAPI | None = None) -> TestClient:
        """A browser, signed in as *name*; it sends its CSRF token by itself."""
        client = TestClient(app or self.app(), base_url=ORIGIN, raise_server_exceptions=False)
        if name is not None:
            answer = client.post("/api/v1/auth/sign-in", json={"name": name, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            client.headers["X-CSRF-Token"] = answer.json()["csrf"]
        return client


def open_station(home: Path, url: str | None = None) -> Station:
    prepare(home)
    station = Station(open_desk(Settings(home, ORIGIN), url, migrating=True))
    for role in Role:
        made = create_account(station.desk, STATION, role.value, role.value.title(), role, PASSWORD + " first")
        must = Actor(made.account.id, role.value, role.value, frozenset())
        change_own_password(station.desk, must, PASSWORD + " first", PASSWORD)
        station.actors[role.value] = sign_in(station.desk, role.value, PASSWORD, "127.0.0.1").visit.actor
    return station
