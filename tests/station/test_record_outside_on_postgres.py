"""Who verifies a record on PostgreSQL without the station reads the same entries and can change nothing."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, make_url, text

from sealed_records import chain, sealing, trusting
from sorby.record import Anchor, Entry, Head, read_record, verify

KEY = sealing(7)
CHAIN = chain(2500, KEY)  # more than is fetched at once
COLUMNS = list(Entry.__dataclass_fields__)


@pytest.mark.postgres
def test_entries_are_read_as_they_were_sealed(postgres_url: str) -> None:
    engine = create_engine(make_url(postgres_url).set(drivername="postgresql+pg8000"))
    columns = ", ".join(f"{name} TEXT" for name in COLUMNS[1:])
    marks = ", ".join(f":{name}" for name in COLUMNS)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE entries (sequence BIGINT PRIMARY KEY, {columns})"))
        rows = [entry.as_row() for entry in reversed(CHAIN)]
        connection.execute(text(f"INSERT INTO entries ({', '.join(COLUMNS)}) VALUES ({marks})"), rows)
    found = verify(read_record(postgres_url), [Anchor.of(Head.of(CHAIN[-1]))], trusting(KEY))
    assert (found.intact, found.entries) == (True, len(CHAIN))
    with engine.begin() as connection:
        connection.execute(text("UPDATE entries SET subject = 'image:none' WHERE sequence = 1200"))
    engine.dispose()
    faults = verify(read_record(postgres_url), [], trusting(KEY)).faults
    assert [(fault.sequence, fault.kind) for fault in faults] == [(1200, "edited")]
