"""The server's worker processes: started, watched, started again, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

DATABASE_VARIABLE = "SORBY_STATION_DATABASE"
"""Environment variable that tells a worker the URL of the database."""

_WATCH_S = 1.0
_SHORT_LIFE_S = 10.0
_STOP_S = 20.0


class WorkerPool:
    """A number of worker processes, each in a process group of its own.

    Parameters
    ----------
    home : Path
    database : str or None
        URL; the home's own where None.
    count : int
    lease_s : float, optional
    """

    def __init__(self, home: Path, database: str | None, count: int, lease_s: float | None = None) -> None:
        self._command = [sys.executable, "-m", "sorby.station.jobs.worker", "--home", str(home)]
        # The URL may hold a password, and every user of a computer can read the arguments of its processes.
        self._environment = os.environ | ({} if database is None else {DATABASE_VARIABLE: database})
        if lease_s is not None:
            self._command += ["--lease-s", str(lease_s)]
        self._count = count
        self._running: list[subprocess.Popen[bytes]] = []
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True, name="workers")

    @property
    def pids(self) -> list[int]:
        """Process numbers of those that run."""
        return [each.pid for each in self._running if each.poll() is None]

    def start(self) -> None:
        """Start the workers, and a thread that starts those again that end."""
        self._running = [self._started() for _ in range(self._count)]
        self._watcher.start()

    def stop(self) -> None:
        """Ask the workers to stop after what they are doing, and end those that do not in twenty seconds.

        A job that is cut short is taken up again by the next server's workers.
        """
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join()
        for each in self._running:
            _signal(each, signal.SIGTERM)
        until = time.monotonic() + _STOP_S
        for each in self._running:
            with suppress(subprocess.TimeoutExpired):
                each.wait(max(0.0, until - time.monotonic()))
            _signal(each, signal.SIGKILL)
            each.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own program, no shell
            self._command, start_new_session=True, stdin=subprocess.DEVNULL, env=self._environment
        )

    def _watch(self) -> None:
        began = [time.monotonic()] * self._count
        while not self._stopping.wait(_WATCH_S):
            for k, each in enumerate(self._running):
                if each.poll() is None:
                    continue
                # One that dies as soon as it starts is not started again at once, over and over.
                if time.monotonic() - began[k] < _SHORT_LIFE_S and self._stopping.wait(_WATCH_S):
                    return
                began[k] = time.monotonic()
                self._running[k] = self._started()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to a worker's whole group; it may have gone meanwhile."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
