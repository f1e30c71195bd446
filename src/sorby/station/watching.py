"""Watched folders: what microscope software drops there is taken once it is whole.

Nobody tells when a file is finished. One is taken when its size and its time of change stood still for some seconds,
were still the same after it was read, and it decodes. Links are not followed, in folders or as files: a watched folder
shows its own files and nothing else of the computer.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from sorby.errors import InputError, SorbyError
from sorby.micrograph import is_image_name
from sorby.station import bundles, images, inspections
from sorby.station.database import tables
from sorby.station.desk import Conflict, Desk, NotFound, new_id
from sorby.station.permissions import STATION, Actor, Permission
from sorby.station.wording import plain_text

SETTLE_S = 4.0
"""How long a file must stand still."""

_PATIENCE_S = 60.0  # how long one that stands still and does not decode is believed to be half written
_LOOK_S = 2.0
_DEPTH = 6
_AT_ONCE = 200

_log = logging.getLogger("sorby.station")


def add(desk: Desk, actor: Actor, path: str, *, bundle: str, instrument: str = "") -> dict[str, Any]:
    """Watch a folder of the server's computer.

    Parameters
    ----------
    path : str
        An absolute path.
    bundle : str
        SHA-256 of the bundle that is to look at what comes; when it is replaced, its task's current one looks.
    instrument : str
        Of the images that come.

    Raises
    ------
    Refused
        Only those who manage the station choose what of its computer is read.
    InputError
        No such folder, or the station's own.
    Conflict
        It is watched already.
    """
    with desk.acting(actor, Permission.MANAGE_STATION) as act:
        folder = _folder(desk, path)
        bundles.find(act.session, bundle)
        same = select(tables.WatchedFolder).where(
            tables.WatchedFolder.path == str(folder), tables.WatchedFolder.active.is_(True)
        )
        if act.session.execute(same.limit(1)).first() is not None:
            raise Conflict(f"{folder} is watched already", "stop watching it first")
        row = tables.WatchedFolder(
            id=new_id(), path=str(folder), bundle=bundle, instrument=plain_text(instrument, 160, "instrument"),
            active=True, added_by=actor.name, added_at=act.at,
        )  # fmt: skip
        act.session.add(row)
        act.record(
            "watch.add", f"watch/{row.id}", new={"path": row.path, "bundle": bundle}, evidence={"bundle": bundle}
        )
        return as_dict(row)


def _folder(desk: Desk, path: str) -> Path:
    if "\x00" in path or not os.path.isabs(path):
        raise InputError("a watched folder is named by its whole path", "such as /data/microscope")
    folder = Path(path).resolve()
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder on the server", "make it, or mount it")
    home = desk.settings.home.resolve()
    if folder == home or home in folder.parents or folder in home.parents:
        raise InputError(f"{folder}: holds the station itself, or lies in it", "choose another folder")
    return folder


def switch(desk: Desk, actor: Actor, folder_id: str, active: bool) -> dict[str, Any]:
    """Stop watching a folder, or go on.

    Raises
    ------
    Refused, NotFound
    """
    with desk.acting(actor, Permission.INSPECT) as act:
        row = act.session.get(tables.WatchedFolder, folder_id)
        if row is None:
            raise NotFound(f"no watched folder {folder_id[:32]}", "see the list")
        if row.active != active:
            act.record("watch.resume" if active else "watch.pause", f"watch/{row.id}", old=row.active, new=active)
            row.active = active
        return as_dict(row)


def listed(desk: Desk, actor: Actor) -> list[dict[str, Any]]:
    """Return the watched folders, each with how many files were ``taken`` and what was set ``aside``."""
    with desk.looking(actor, Permission.LOOK) as session:
        rows = session.execute(select(tables.WatchedFolder).order_by(tables.WatchedFolder.added_at)).scalars().all()
        found = []
        for row in rows:
            of = tables.WatchedFile.folder_id == row.id
            taken = session.execute(
                select(func.count()).select_from(tables.WatchedFile).where(of, tables.WatchedFile.reason == "")
            ).scalar_one()
            aside = session.execute(
                select(tables.WatchedFile)
                .where(of, tables.WatchedFile.reason != "")
                .order_by(tables.WatchedFile.at.desc())
                .limit(50)
            ).scalars()
            found.append(
                {**as_dict(row), "taken": taken,
                 "aside": [{"name": each.name, "reason": each.reason, "at": each.at} for each in aside]}
            )  # fmt: skip
        return found


def as_dict(row: tables.WatchedFolder) -> dict[str, Any]:
    """Return a watched folder's row as JSON."""
    return {
        "id": row.id, "path": row.path, "bundle": row.bundle, "instrument": row.instrument, "active": row.active,
        "added_by": row.added_by, "added_at": row.added_at,
    }  # fmt: skip


# -- watching ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Seen:
    """A file as it was last seen, and since when it has been so."""

    size: int
    changed_ns: int
    since: float


@dataclass
class Watch:
    """One folder, looked at again and again.

    Parameters
    ----------
    desk : Desk
    folder_id : str
    settle_s : float
    """

    desk: Desk
    folder_id: str
    settle_s: float = SETTLE_S
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def look(self) -> int:
        """Take what is whole; return how many images were taken."""
        with self.desk.database.read() as session:
            row = session.get(tables.WatchedFolder, self.folder_id)
            if row is None or not row.active:
                return 0
            root, instrument = Path(row.path), row.instrument
            of = tables.WatchedFile.folder_id == self.folder_id
            known = {each.name: (each.size, each.changed_ns)
                     for each in session.execute(select(tables.WatchedFile).where(of)).scalars()}  # fmt: skip
        taken: list[tables.WatchedFile] = []
        there: set[str] = set()
        for name, found, folder in _files(root):
            there.add(name)
            size, changed = found.st_size, found.st_mtime_ns
            if known.get(name) == (size, changed) or len(taken) >= _AT_ONCE:
                continue
            if (still := self._still(name, size, changed)) is None:
                continue
            if (file := self._take(name, found, folder, instrument, still)) is not None:
                taken.append(file)
        self._seen = {name: seen for name, seen in self._seen.items() if name in there}
        self._commit(taken)
        return sum(not each.reason for each in taken)

    def _still(self, name: str, size: int, changed: int) -> float | None:
        """Return how long a file has stood still, None where that is not long enough."""
        now = time.monotonic()
        seen = self._seen.get(name)
        if seen is None or (seen.size, seen.changed_ns) != (size, changed):
            self._seen[name] = _Seen(size, changed, now)
            return None if self.settle_s > 0 else 0.0
        still = now - seen.since
        return still if still >= self.settle_s else None

    def _take(
        self, name: str, found: os.stat_result, folder: int, instrument: str, still: float
    ) -> tables.WatchedFile | None:
        """Take one file in; None where it is to be left for now."""
        try:
            descriptor = os.open(name.rpartition("/")[2], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        except OSError as error:
            return self._aside(name, found, f"cannot be read ({error.strerror})", still)
        with os.fdopen(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                return None
            try:
                image = images.receive(self.desk, STATION, file, name, instrument=instrument)
            except SorbyError as error:
                return self._aside(name, found, error.message, still)
            after = os.fstat(descriptor)
        if (after.st_size, after.st_mtime_ns) != (found.st_size, found.st_mtime_ns):
            return None  # written to while it was read; what was taken is an image, but not yet this file
        return self._row(name, found, image["sha256"], "")

    def _aside(self, name: str, found: os.stat_result, reason: str, still: float) -> tables.WatchedFile | None:
        """Set a file aside that does not decode, once it has had the time to be finished."""
        if still < _PATIENCE_S * (self.settle_s / SETTLE_S):
            return None
        return self._row(name, found, None, reason[:500])

    def _row(self, name: str, found: os.stat_result, image: str | None, reason: str) -> tables.WatchedFile:
        return tables.WatchedFile(
            folder_id=self.folder_id, name=name, size=found.st_size, changed_ns=found.st_mtime_ns, image=image,
            reason=reason, at="",
        )  # fmt: skip

    def _commit(self, files: list[tables.WatchedFile]) -> None:
        """Note what was taken and ask for its inspection, together."""
        if not files:
            return
        with self.desk.acting(STATION) as act:
            folder = act.session.get(tables.WatchedFolder, self.folder_id)
            assert folder is not None, "folders are never deleted"
            for each in files:
                each.at = act.at
                act.session.merge(each)
                if each.reason:
                    act.record("watch.aside", f"watch/{folder.id}", new=each.name, reason=each.reason)
            shas = [each.image for each in files if each.image is not None]
            if not shas:
                return
            looks = bundles.find(act.session, folder.bundle)
            if looks.state == "retired":
                looks = bundles.current(act.session, looks.task) or looks
            if looks.state == "retired":
                act.record("watch.unseen", f"watch/{folder.id}", new=len(shas), reason="the bundle is retired")
                return
            inspections.ask(act, shas, using=[looks.sha256], source=f"watch/{folder.id}")


def _files(root: Path) -> Iterator[tuple[str, os.stat_result, int]]:
    """Yield the images below a folder: name, state and the open folder that it lies in; links are passed over."""
    try:
        for place, folders, names, descriptor in os.fwalk(root, follow_symlinks=False):
            inside = os.path.relpath(place, root)
            if inside.count(os.sep) >= _DEPTH - 1:
                folders.clear()
            folders[:] = sorted(each for each in folders if not each.startswith("."))
            for name in sorted(names):
                whole = name if inside == "." else f"{inside}/{name}"
                if name.startswith(".") or len(whole) > 400 or not is_image_name(name) or not _printable(whole):
                    continue
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode):
                    yield whole, found, descriptor
    except OSError as error:  # the share is not mounted, a file vanished: the next look will tell
        _log.warning("%s: %s", root, error.strerror)


def _printable(name: str) -> bool:
    return name.isprintable() and name == name.encode("utf-8", "replace").decode("utf-8")


class Watcher(threading.Thread):
    """Looks at all watched folders every two seconds, in the server's process.

    Parameters
    ----------
    desk : Desk
    settle_s : float
    """

    def __init__(self, desk: Desk, settle_s: float = SETTLE_S) -> None:
        super().__init__(daemon=True, name="watched folders")
        self._desk, self._settle_s = desk, settle_s
        self._over = threading.Event()
        self._watches: dict[str, Watch] = {}

    def run(self) -> None:
        """Watch until told to stop."""
        while not self._over.wait(_LOOK_S):
            try:
                self.look()
            except (SorbyError, SQLAlchemyError, OSError) as error:
                _log.warning("watched folders: %s", str(error).splitlines()[0])

    def look(self) -> None:
        """Look at each active folder once."""
        with self._desk.database.read() as session:
            active = list(
                session.execute(select(tables.WatchedFolder.id).where(tables.WatchedFolder.active.is_(True))).scalars()
            )
        self._watches = {each: self._watches.get(each) or Watch(self._desk, each, self._settle_s) for each in active}
        for watch in self._watches.values():
            watch.look()

    def stop(self) -> None:
        """End after the present look."""
        self._over.set()
        self.join()
