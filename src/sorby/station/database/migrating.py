"""Bringing a station's database to the tables of this version, once, whoever starts first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from sorby.errors import InputError
from sorby.station.database.connection import Database
from sorby.station.database.tables import Table

_SCRIPTS = Path(__file__).with_name("migrations")


def migrate(database: Database) -> str:
    """Bring *database* to the newest revision and return its name.

    Every step is in one transaction behind the writers' lock: two servers started at once do not migrate twice, and
    a migration that fails leaves the database as it was.

    Raises
    ------
    InputError
        The database was made by a newer sorby.
    """
    scripts = ScriptDirectory(str(_SCRIPTS))
    newest = str(scripts.get_current_head())
    with database.write() as session:
        connection = session.connection()
        found = MigrationContext.configure(connection).get_current_revision()
        if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
            raise InputError(
                f"the station's database has revision {found}, which this sorby does not know",
                "serve it with the newer sorby that made it",
            )
        if found != newest:
            config = Config()
            config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    return newest


def differences(database: Database) -> list[Any]:
    """Return what the tables of this version and those of *database* differ in; empty where they agree."""
    with database.read() as session:
        return list(compare_metadata(MigrationContext.configure(session.connection()), Table.metadata))
