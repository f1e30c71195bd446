"""What the station remembers, in SQLite or PostgreSQL; images lie in the store beside it."""

from sorby.station.database.connection import Database
from sorby.station.database.migrating import differences, migrate

__all__ = ["Database", "differences", "migrate"]
