"""A worker process: takes jobs one after another, and goes when it is told or when the server is gone.

``python -m sorby.station.jobs.worker --home DIR``, with the URL of another database than the home's own in
``SORBY_STATION_DATABASE``.
"""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from sqlalchemy.exc import SQLAlchemyError

from sorby.errors import SorbyError
from sorby.station.desk import Desk
from sorby.station.home import load_settings, open_desk
from sorby.station.jobs.handlers import HANDLERS, Handler
from sorby.station.jobs.pool import DATABASE_VARIABLE
from sorby.station.jobs.queue import LEASE_S, Cancelled, Lost, Work, claim

#: How long a job that does not look up may go on after it was cancelled, before its process ends itself.
_GRACE_S = 15.0
_POLL_S = 0.5
_TICK_S = 0.25
_CANCEL_SEEN_S = 5.0
EXIT_CANCELLED = 75

_log = logging.getLogger(__name__)


class Worker:
    """Takes jobs until it is stopped.

    Parameters
    ----------
    desk : Desk
    lease_s : float
    handlers : mapping of str to callable, optional
    """

    def __init__(self, desk: Desk, lease_s: float = LEASE_S, handlers: dict[str, Handler] | None = None) -> None:
        self.desk, self.lease_s = desk, lease_s
        self.handlers = HANDLERS if handlers is None else handlers
        self.name = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"
        self.stopping = threading.Event()
        self._parent = os.getppid()

    @property
    def orphaned(self) -> bool:
        """Whether the server that started this process is gone."""
        return os.getppid() != self._parent

    def run(self) -> None:
        """Take jobs until told to stop, or until the server is gone."""
        while not self.stopping.is_set() and not self.orphaned:
            try:
                work = claim(self.desk, self.name, self.lease_s)
            except SQLAlchemyError as error:  # the database restarts, or is busy for longer than a writer waits
                _log.warning("no job could be taken: %s", str(error).splitlines()[0])
                work = None
            if work is None:
                self.stopping.wait(_POLL_S)
            else:
                self.do(work)

    def do(self, work: Work) -> None:
        """Do one job to its end, whatever that is."""
        beating = _Heartbeat(work, self.stopping)
        beating.start()
        try:
            handler = self.handlers.get(work.kind)
            if handler is None:
                raise SorbyError(f"no worker of this version does {work.kind}", "update the station")
            handler(work)
        except Lost as lost:
            _log.warning("%s", lost.message)
        except Cancelled:
            work.cancelled()
        except SorbyError as error:
            work.fail(f"{error.message}; {error.hint}" if error.hint else error.message)
        except SQLAlchemyError as error:  # nothing was committed; the lease runs out and the job is tried again
            _log.warning("job %s: %s", work.id, str(error).splitlines()[0])
        except Exception as error:
            _log.exception("job %s (%s) failed by a fault of sorby itself", work.id, work.kind)
            work.fail(f"a fault of sorby itself: {type(error).__name__}: {str(error)[:300]}")
        finally:
            beating.stop()


class _Heartbeat(threading.Thread):
    """Renews the lease of a job while it is worked on.

    Training does not look up between its steps. So it is this thread that ends the process where a cancelled job goes
    on, or where the worker is told to stop; what was not committed is not there, and the job is another's to do.
    """

    def __init__(self, work: Work, stopping: threading.Event) -> None:
        super().__init__(daemon=True, name=f"lease of {work.id}")
        self._work, self._over, self._stopping = work, threading.Event(), stopping

    def stop(self) -> None:
        """End; the job is over."""
        self._over.set()
        self.join()

    def run(self) -> None:
        """Renew the lease four times as often as needed."""
        renewed, cancelled = time.monotonic(), 0.0
        while not self._over.wait(_TICK_S):
            if self._stopping.is_set() and self._tried(self._work.hand_back):
                os._exit(0)
            if cancelled and time.monotonic() - cancelled > _GRACE_S and self._tried(self._work.cancelled):
                os._exit(EXIT_CANCELLED)
            if time.monotonic() - renewed < min(self._work.lease_s / 4, _CANCEL_SEEN_S):
                continue
            renewed = time.monotonic()
            try:
                self._work.alive()
            except Cancelled:
                cancelled = cancelled or time.monotonic()
                self._tried(self._work.keep)  # still at work, until it looks up or its time is over
            except Lost:
                return
            except SQLAlchemyError as error:
                _log.warning("the lease of job %s was not renewed: %s", self._work.id, str(error).splitlines()[0])

    def _tried(self, change: Callable[[], bool]) -> bool:
        try:
            return change()
        except SQLAlchemyError as error:
            _log.warning("job %s: %s", self._work.id, str(error).splitlines()[0])
            return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--lease-s", type=float, default=LEASE_S)
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s worker %(process)d: %(message)s")
    worker = Worker(open_desk(load_settings(asked.home), os.environ.get(DATABASE_VARIABLE)), asked.lease_s)

    def stop(_number: int, _frame: FrameType | None) -> None:
        worker.stopping.set()

    signal.signal(signal.SIGTERM, stop)
    with suppress(KeyboardInterrupt):
        worker.run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
