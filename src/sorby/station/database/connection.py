"""One way in for all that reads and writes: SQLite in a file, or PostgreSQL by URL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, TimeoutError
from sqlalchemy.orm import Session, sessionmaker

from sorby.errors import InputError, MissingPartError

_LOCK = 7_308_332  # of the advisory lock that makes writers take turns on PostgreSQL
_PATIENCE_S = 30  # how long a writer waits for its turn


class Database:
    """The station's database.

    Parameters
    ----------
    url : str
        ``sqlite:///FILE`` or ``postgresql://USER@HOST/NAME``.

    Raises
    ------
    InputError
        The URL names another database or is none.
    MissingPartError
        The driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = _checked(url)
        self.engine = _engine(self.url)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._turn = threading.Lock()

    @property
    def on_sqlite(self) -> bool:
        """Whether it is one file."""
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session that changes nothing: what it did is taken back at its end."""
        with self._sessions() as session:
            try:
                yield session
            finally:
                session.expunge_all()  # rows stay readable after the block
                session.rollback()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open the one writing transaction; writers take turns, whatever process they are in.

        Everything in it is kept together when the block ends, or nothing where it raises. When the block has ended
        without an error the change is on disk.
        """
        # Threads wait in line here, without a connection and without SQLite's polling; the database's own lock is for
        # other processes.
        with self._in_line(), self._sessions() as session, session.begin():
            if self.on_sqlite:
                session.connection(execution_options={"sorby_write": True})
            else:
                session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            yield session

    @contextmanager
    def _in_line(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=_PATIENCE_S):
            raise TimeoutError("another writer of this process takes too long")
        try:
            yield
        finally:
            self._turn.release()

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


def _checked(url: str) -> URL:
    try:
        found = make_url(url)
    except ArgumentError:
        raise InputError(f"{url!r} is no database URL", "sqlite:///FILE or postgresql://USER@HOST/NAME") from None
    backend = found.get_backend_name()
    if backend == "sqlite":
        if not found.database or found.database == ":memory:":
            raise InputError("SQLite needs a file", "sqlite:///FILE")
        return found.set(drivername="sqlite")
    if backend != "postgresql":
        raise InputError(f"{backend} is no database of the station", "sqlite:///FILE or postgresql://USER@HOST/NAME")
    return found.set(drivername="postgresql+pg8000")


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            url, connect_args={"timeout": _PATIENCE_S, "check_same_thread": False}, pool_size=10, max_overflow=40
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)
    except ModuleNotFoundError as error:
        raise MissingPartError("PostgreSQL needs pg8000", "pip install 'sorby[postgres]'") from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver would begin on its own, and too late
    cursor = connection.cursor()
    # A commit that was told is on disk even after the power fails: synchronous FULL, not WAL's usual NORMAL.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_PATIENCE_S * 1000}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    # A writer takes its lock at once; one that read first and wrote later could not be made to wait.
    writes = connection.get_execution_options().get("sorby_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
