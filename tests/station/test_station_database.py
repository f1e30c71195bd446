from __future__ import annotations

import multiprocessing
import stat
from pathlib import Path

import pytest
from sqlalchemy import select, text

from sorby.errors import InputError
from sorby.station.database import Database, differences, migrate, tables
from sorby.station.home import open_desk, prepare, record_key_file
from sorby.station.permissions import STATION, Permission
from sorby.station.records import verify_record
from sorby.station.settings import Settings


def test_migrations_make_the_tables_of_this_version(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'station.sqlite'}")
    assert differences(database)
    migrate(database)
    assert differences(database) == []
    migrate(database)  # a second start changes nothing


@pytest.mark.postgres
def test_migrations_make_the_same_tables_on_postgresql(postgres_url: str) -> None:
    database = Database(postgres_url)
    migrate(database)
    assert differences(database) == []
    database.close()


def test_newer_database_is_refused(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'station.sqlite'}")
    migrate(database)
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(InputError, match="9999"):
        migrate(database)


def test_failed_change_leaves_neither_change_nor_entry(station) -> None:
    before = _entries(station.desk)

    def change_and_fail() -> None:
        with station.desk.acting(station.actors["administrator"], Permission.MANAGE_ACCOUNTS) as act:
            act.record("account.change", "account/x")
            act.session.add(tables.Attempt(subject="address:x", at=act.at))
            act.session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert _entries(station.desk) == before
    with station.desk.database.read() as session:
        assert session.scalar(select(tables.Attempt).where(tables.Attempt.subject == "address:x")) is None


def _write_many(home: Path, url: str, number: int) -> None:
    desk = open_desk(Settings(home), url)
    for count in range(number):
        with desk.acting(STATION) as act:
            act.record("test.write", f"count/{count}")


def test_processes_that_write_at_once_make_one_chain(either_station) -> None:
    desk = either_station.desk
    before = len(_entries(desk))
    spawn = multiprocessing.get_context("spawn")
    url = desk.database.url.render_as_string(hide_password=False)
    writers = [spawn.Process(target=_write_many, args=(desk.settings.home, url, 40)) for _ in range(2)]
    for writer in writers:
        writer.start()
    _write_many(desk.settings.home, url, 40)
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert len(_entries(desk)) == before + 120
    assert verify_record(desk).intact


def test_keys_that_others_may_read_are_refused(tmp_path: Path) -> None:
    prepare(tmp_path / "home")
    key = record_key_file(tmp_path / "home")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.chmod(0o640)
    with pytest.raises(InputError, match="record"):
        open_desk(Settings(tmp_path / "home"))
    key.chmod(0o600)
    key.parent.chmod(0o755)
    with pytest.raises(InputError, match="keys"):
        prepare(tmp_path / "home")


@pytest.mark.parametrize("url", ["mysql://a/b", "sqlite://", "nonsense"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(InputError):
        Database(url)


def _entries(desk) -> list[int]:
    with desk.database.read() as session:
        return list(session.scalars(select(tables.Entry.sequence).order_by(tables.Entry.sequence)))
