"""Revisions of the station's tables, applied by :func:`sorby.station.database.migrating.migrate`."""
