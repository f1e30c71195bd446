"""A station's folder: store, keys, anchors and, unless another one is named, the database."""

from __future__ import annotations

import json
import os
import secrets
import stat
from dataclasses import replace
from pathlib import Path

from sorby.bundle.keys import new_key
from sorby.errors import InputError
from sorby.files import explained, write_json
from sorby.record import sealing_key
from sorby.station.database import Database, migrate
from sorby.station.desk import Desk
from sorby.station.settings import Settings
from sorby.station.store import Store

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def record_key_file(home: Path) -> Path:
    """Where the key lies that signs the record; its public half has ``.pub`` behind its name."""
    return home / "keys" / "record.pem"


def prepare(home: Path) -> bool:
    """Make the folder of a station, its key and its secret, where they are not there.

    Returns
    -------
    bool
        Whether the station is new.

    Raises
    ------
    InputError
        Others than the owner may read the keys, or the folder cannot be written.
    """
    file = record_key_file(home)
    new = not file.exists()
    with explained(home):
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.parent.mkdir(exist_ok=True, mode=0o700)
    _refuse_open(file.parent)
    if new:
        new_key("sorby station", file, inside_repository=True)
    secret = _secret_file(home)
    if not secret.exists():
        with explained(secret), os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secrets.token_urlsafe(48))
    _refuse_open(secret)
    return new


def open_desk(settings: Settings, url: str | None = None, *, migrating: bool = False) -> Desk:
    """Open a station that `prepare` made: for the server, and in each of its worker processes.

    Parameters
    ----------
    settings : Settings
    url : str, optional
        Of the database; by default ``station.sqlite`` in the home.
    migrating : bool
        Bring the database to this version's tables; the server does, before its workers start.

    Raises
    ------
    InputError
        No station is there, others may read its key, the database is newer than this sorby.
    """
    home = settings.home.resolve()
    key = sealing_key(record_key_file(home))
    database = Database(url or f"sqlite:///{home / 'station.sqlite'}")
    if migrating:
        migrate(database)
    return Desk(database, Store(home / "store"), key, replace(settings, home=home))


def save_settings(settings: Settings) -> None:
    """Keep in the home what the server was told, for its workers."""
    told = {"public_url": settings.public_url, "anchors": None if settings.anchors is None else str(settings.anchors)}
    write_json(settings.home / "settings.json", told)


def load_settings(home: Path) -> Settings:
    """Return the settings with which a station was last served.

    Raises
    ------
    InputError
        The home has never been served from, or the file is damaged.
    """
    file = home / "settings.json"
    try:
        told = json.loads(file.read_text("utf-8"))
        anchors = None if told["anchors"] is None else Path(told["anchors"])
        return Settings(home, str(told["public_url"]), anchors)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: no settings of a station", "serve it once: sorby serve --home") from error


def page_secret(home: Path) -> str:
    """Return the secret that signs what pages keep in a browser."""
    return _secret_file(home).read_text()


def _secret_file(home: Path) -> Path:
    return home / "keys" / "pages.secret"


def _refuse_open(path: Path) -> None:
    """Refuse keys that others may read.

    Raises
    ------
    InputError
    """
    if os.name == "posix" and path.stat().st_mode & _OTHERS:
        raise InputError(
            f"{path}: others than its owner may read or write it", f"chmod go-rwx {path}, and think who has read it"
        )
