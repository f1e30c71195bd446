from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from sorby.station import passwords
from sorby.station.home import open_desk
from sorby.station.settings import Settings
from station_household import ORIGIN, Station, open_station

_SERVER = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/lib/postgresql/bin"))


@pytest.fixture(scope="session", autouse=True)
def _cheap_argon2() -> Iterator[None]:
    """Passwords are hashed hundreds of times here; cost is a parameter of the hash, not of the logic."""
    patch = pytest.MonkeyPatch()
    patch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def _pattern(tmp_path_factory: pytest.TempPathFactory, _cheap_argon2: None) -> Station:
    """A station that others are copied from: accounts are made once."""
    opened = open_station(tmp_path_factory.mktemp("pattern") / "home")
    opened.desk.database.close()
    return opened


@pytest.fixture
def station(tmp_path: Path, _pattern: Station) -> Iterator[Station]:
    home = tmp_path / "home"
    shutil.copytree(_pattern.desk.settings.home, home)
    opened = Station(open_desk(Settings(home, ORIGIN, requests_per_s=1e6)), dict(_pattern.actors))
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
