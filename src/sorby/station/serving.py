"""Serving a station: its folder, its first administrator, the web server, its workers, its anchors."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI
from filelock import FileLock, Timeout
from sqlalchemy.exc import SQLAlchemyError

from sorby.errors import InputError, SorbyError
from sorby.files import explained
from sorby.station.accounts import NewPassword, first_administrator
from sorby.station.app import create_app
from sorby.station.desk import Desk
from sorby.station.home import open_desk, prepare, save_settings
from sorby.station.jobs.pool import WorkerPool
from sorby.station.records import set_anchor
from sorby.station.settings import Settings
from sorby.station.watching import Watcher

log = logging.getLogger("sorby.station")
_GRACE_S = 5
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Wish:
    """How a station is to be served.

    Attributes
    ----------
    home : Path
    host : str
    port : int
        0 for any that is free.
    database : str or None
        URL; a file in the home where None.
    workers : int
    public_url : str or None
        How browsers reach the station where a proxy or another name stands before it.
    anchors : Path or None
        See `Settings`.
    admin_password : str or None
        Of the first administrator; random where None.
    certificate, certificate_key : Path or None
        PEM files, for HTTPS.
    behind_proxy : bool
        Whether to believe a proxy on this computer about addresses.
    pages : bool
        Whether with pages, or REST alone.
    """

    home: Path
    host: str = "127.0.0.1"
    port: int = 8600
    database: str | None = None
    workers: int = 1
    public_url: str | None = None
    anchors: Path | None = None
    admin_password: str | None = None
    certificate: Path | None = None
    certificate_key: Path | None = None
    behind_proxy: bool = False
    pages: bool = True


@dataclass(frozen=True)
class Station:
    """A station that is ready: its address is taken, and `run` serves it until it is told to stop.

    Attributes
    ----------
    url : str
    desk : Desk
    administrator : NewPassword or None
        The account that was made because there was none.
    warnings : tuple of str
    run : callable
        Serves until SIGTERM or SIGINT.
    """

    url: str
    desk: Desk
    administrator: NewPassword | None
    warnings: tuple[str, ...]
    run: Callable[[], None]


@contextmanager
def opened(wish: Wish) -> Iterator[Station]:
    """Make a station ready: folder, key, tables, first administrator, address.

    Raises
    ------
    InputError
        The address is taken, another server has the home, others may read its keys, the database cannot be reached.
    """
    home = wish.home.resolve()
    prepare(home)
    lock = FileLock(home / "serving.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"{home}: another server serves this station", "stop it, or choose another --home") from None
    with contextlib.ExitStack() as stack:
        stack.callback(lock.release)
        listening = stack.enter_context(_listen(wish.host, wish.port))
        url = wish.public_url or _url(wish, int(listening.getsockname()[1]))
        settings = Settings(home, url.rstrip("/"), wish.anchors)
        save_settings(settings)
        desk = _desk(settings, wish.database)
        stack.callback(desk.database.close)
        administrator = first_administrator(desk, wish.admin_password)
        yield Station(
            settings.public_url, desk, administrator, tuple(_warnings(wish)), lambda: _run(desk, wish, listening)
        )


def _run(desk: Desk, wish: Wish, listening: socket.socket) -> None:
    pages = _pages(desk) if wish.pages else None
    config = uvicorn.Config(
        create_app(desk, pages), log_level="warning", access_log=False, server_header=False, date_header=False,
        proxy_headers=wish.behind_proxy, timeout_graceful_shutdown=_GRACE_S,
        ssl_certfile=None if wish.certificate is None else str(wish.certificate),
        ssl_keyfile=None if wish.certificate_key is None else str(wish.certificate_key),
    )  # fmt: skip
    with _ending_cleanly(), _anchoring(desk), _watching(desk), _working(desk, wish):
        uvicorn.Server(config).run(sockets=[listening])


def _pages(desk: Desk) -> Callable[[FastAPI, Desk], None]:
    # Before the pages' library is imported: it looks once where it may keep what belongs to a browser.
    os.environ["NICEGUI_STORAGE_PATH"] = str(desk.settings.home / "pages")
    from sorby.station.pages import mount

    return mount


def _desk(settings: Settings, database: str | None) -> Desk:
    try:
        return open_desk(settings, database, migrating=True)
    except SQLAlchemyError as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise InputError(
            f"the database cannot be used: {reason}", "check --database and that its server runs"
        ) from error


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    """Take the address at once, so that what is printed is true and early requests wait rather than fail."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{host}:{port}: cannot listen here ({reason})", "choose another --port") from error
        listening.listen(1024)
        listening.set_inheritable(False)
        yield listening


def _url(wish: Wish, port: int) -> str:
    host = socket.gethostname() if wish.host in ("0.0.0.0", "::") else wish.host  # noqa: S104 - a comparison
    return f"{'https' if wish.certificate else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _warnings(wish: Wish) -> Iterator[str]:
    open_to_others = wish.host not in _LOOPBACK
    if open_to_others and wish.certificate is None and not (wish.public_url or "").startswith("https://"):
        yield "passwords cross the network unencrypted: give --certificate and --certificate-key, or a proxy with HTTPS"
    if wish.anchors is None:
        yield "the record's anchors lie beside the record: name another drive or share with --anchors"


@contextmanager
def _working(desk: Desk, wish: Wish) -> Iterator[None]:
    """Run the worker processes beside the server."""
    pool = WorkerPool(desk.settings.home, wish.database, wish.workers)
    pool.start()
    try:
        yield
    finally:
        pool.stop()


@contextmanager
def _watching(desk: Desk) -> Iterator[None]:
    """Look at watched folders beside the server."""
    watcher = Watcher(desk)
    watcher.start()
    try:
        yield
    finally:
        watcher.stop()


@contextmanager
def _anchoring(desk: Desk) -> Iterator[None]:
    """Set an anchor whenever the record has grown, every `anchor_s`, and at the end."""
    over = threading.Event()

    def anchor() -> None:
        try:
            set_anchor(desk)
        except (SorbyError, SQLAlchemyError) as error:  # the next time may go better; nobody may miss that it did not
            log.error("no anchor was set: %s", error)

    def repeat() -> None:
        while not over.wait(desk.settings.anchor_s):
            anchor()

    thread = threading.Thread(target=repeat, name="anchors", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        anchor()


@contextmanager
def _ending_cleanly() -> Iterator[None]:
    """Make being told to stop no failure: the server handles the signal and raises it again when it has ended."""

    def nothing(_number: int, _frame: FrameType | None) -> None:
        log.info("the server has ended")

    before = {number: signal.signal(number, nothing) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def read_password(path: Path) -> str:
    """Read a first password from a file's first line.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    with explained(path):
        try:
            return path.read_text("utf-8").splitlines()[0]
        except (UnicodeDecodeError, IndexError, FileNotFoundError) as error:
            raise InputError(f"{path}: holds no password", "one line of text") from error
