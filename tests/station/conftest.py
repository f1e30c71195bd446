from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient

from sorby.station import passwords
from sorby.station.accounts import change_own_password, create_account
from sorby.station.app import create_app
from sorby.station.desk import Desk
from sorby.station.home import open_desk, prepare
from sorby.station.permissions import STATION, Actor, Role
from sorby.station.sessions import sign_in
from sorby.station.settings import Settings

PASSWORD = "grain boundary tea 42"
ORIGIN = "http://testserver"
_SERVER = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="session", autouse=True)
def _cheap_argon2() -> Iterator[None]:
    """Passwords are hashed hundreds of times here; cost is a parameter of the hash, not of the logic."""
    patch = pytest.MonkeyPatch()
    patch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    yield
    patch.undo()


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


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    opened = open_station(tmp_path / "home")
    yield opened
    opened.desk.database.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of an empty PostgreSQL server of our own."""
    if not (_SERVER / "initdb").exists():
        pytest.skip("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(prefix="sorby-pg-"))
    as_postgres: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "postgres")
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    data = folder / "data"

    def run(program: str, *arguments: str) -> None:
        command = [*as_postgres, str(_SERVER / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)

    run("initdb", "-D", str(data), "-U", "sorby", "--auth=trust", "--no-sync")
    port = 20000 + os.getpid() % 20000
    run("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", f"-p {port} -k {folder}", "start")
    yield f"postgresql://sorby@127.0.0.1:{port}"
    run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres: str) -> str:
    """The URL of a database of our own on that server."""
    name = f"station_{os.urandom(4).hex()}"
    subprocess.run(
        [str(_SERVER / "createdb"), "-h", "127.0.0.1", "-p", postgres.rpartition(":")[2], "-U", "sorby", name],
        check=True,
    )
    return f"{postgres}/{name}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def either_station(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Station]:
    """A station on SQLite, and one on PostgreSQL."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    opened = open_station(tmp_path / "home", url)
    yield opened
    opened.desk.database.close()
