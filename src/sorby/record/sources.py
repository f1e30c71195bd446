"""Where entries come from: a file of JSON lines, or the table ``entries`` of the station's database.

Both are read only, as a stream, and what is no entry is handed on as `Damaged` instead of ending the reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from sorby.errors import InputError, MissingPartError
from sorby.record.entry import LARGEST, Entry, Head
from sorby.record.verification import Damaged

if TYPE_CHECKING:
    from sqlalchemy import Engine

_AT_ONCE = 1000
_SQLITE = b"SQLite format 3\x00"
_COLUMNS = tuple(Entry.__dataclass_fields__)


def read_record(source: Path | str) -> Iterator[Entry | Damaged]:
    """Yield the entries of a record from its first.

    Parameters
    ----------
    source : Path or str
        A file of JSON lines, an SQLite file, or a database's URL (``sqlite:///station.db``,
        ``postgresql://user@host/name``), which needs the extra ``station`` (and ``postgres``).

    Raises
    ------
    InputError
        There is no such file, database or table.
    MissingPartError
        A database is to be read, and the part that reads it is not installed.
    """
    text = str(source)
    if "://" in text:
        return _read_database(text)
    path = Path(text)
    try:
        with open(path, "rb") as file:
            beginning = file.read(len(_SQLITE))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})", "give a record file") from error
    return _read_database(f"sqlite:///{path.absolute()}") if beginning == _SQLITE else read_lines(path)


def read_lines(path: Path | str) -> Iterator[Entry | Damaged]:
    """Yield the entries of a file of JSON lines, one a line, in constant memory.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            number = 0
            while line := file.readline(LARGEST):
                number += 1
                yield _decoded(line, number)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})", "give a record file") from error


def readable(entries: Iterable[Entry | Damaged]) -> Iterator[Entry]:
    """Yield the entries and stop at the first thing that is none.

    Raises
    ------
    InputError
        Something is no entry: a copy without it would hide that.
    """
    for found in entries:
        if isinstance(found, Damaged):
            raise InputError(
                f"{found.place}: {found.reason}", "see `sorby record verify`; only readable entries can be copied"
            )
        yield found


def write_lines(file: IO[bytes], entries: Iterable[Entry | Damaged]) -> Head:
    """Write entries to an open file, one a line, and return the head.

    Raises
    ------
    InputError
        Something is no entry.
    """
    head = Head()
    for entry in readable(entries):
        file.write(entry.encode())
        head = Head.of(entry)
    return head


def _decoded(line: bytes, number: int) -> Entry | Damaged:
    if not line.endswith(b"\n"):
        return Damaged(f"line {number}", "the line is not complete")
    try:
        return Entry.decode(line)
    except InputError as error:
        return Damaged(f"line {number}", error.message)


def _read_database(url: str) -> Iterator[Entry | Damaged]:
    """Yield the rows of the table ``entries`` by sequence, in one read-only transaction."""
    engine = _engine(url)
    from sqlalchemy import column, select, table
    from sqlalchemy.exc import SQLAlchemyError

    shown = engine.url.render_as_string(hide_password=True)
    query: Any = select(*(column(name) for name in _COLUMNS)).select_from(table("entries")).order_by(column("sequence"))
    try:
        with engine.connect() as connection:
            options: dict[str, Any] = {"yield_per": _AT_ONCE}
            if engine.dialect.name == "postgresql":
                connection = connection.execution_options(postgresql_readonly=True)
            rows = connection.execution_options(**options).execute(query).mappings()
            for number, row in enumerate(rows, start=1):
                try:
                    yield Entry.from_row(dict(row))
                except InputError as error:
                    yield Damaged(f"row {number}", error.message)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0][:200]
        raise InputError(
            f"{shown}: the record cannot be read ({reason})", "give the station's database, or an export of its record"
        ) from error
    finally:
        engine.dispose()


def _engine(url: str) -> Engine:
    """Return an engine that reads only.

    Raises
    ------
    InputError
        No such address, or a database that is neither SQLite nor PostgreSQL.
    MissingPartError
    """
    try:
        from sqlalchemy import create_engine, make_url
        from sqlalchemy.exc import ArgumentError
    except ImportError as error:
        raise MissingPartError(
            "reading a database needs a part that is not installed",
            "pip install 'sorby[station]', or verify an export (.jsonl)",
        ) from error
    try:
        address = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise InputError("the address of the database cannot be read", "e.g. sqlite:////srv/station.db") from error
    kind = address.get_backend_name()
    if kind == "sqlite":
        path = Path(address.database or "")
        if not path.is_file():
            raise InputError(f"{path}: no such database", "give the station's database file")
        return create_engine(f"sqlite:///file:{_quoted(path.absolute())}?mode=ro&uri=true")
    if kind != "postgresql":
        raise InputError(f"{kind}: not a database that holds a record", "SQLite or PostgreSQL")
    try:
        return create_engine(address.set(drivername="postgresql+pg8000"))
    except ImportError as error:
        raise MissingPartError(
            "reading PostgreSQL needs a part that is not installed", "pip install 'sorby[postgres]'"
        ) from error


def _quoted(path: Path) -> str:
    """Return a path as it stands in a file URI."""
    return path.as_posix().replace("%", "%25").replace("?", "%3f").replace("#", "%23")
