"""What the station remembers, in SQLite or PostgreSQL; images lie in the store beside it."""

from sorby.station.database.connection import Database

__all__ = ["Database"]
