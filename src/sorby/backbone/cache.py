"""Feature vectors on disk, found by image content, network and preprocessing; bounded in size."""

from __future__ import annotations

import os
import sqlite3
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import platformdirs

from sorby.errors import InputError, SorbyWarning

_DEFAULT_MB = 2048
_ROWS_AT_ONCE = 500
_KEEP_SHARE = 0.8  # of the limit, so that not every store drops something

Vector = npt.NDArray[np.float32]


def cache_folder() -> Path:
    """Return the folder of things that can be computed again; ``SORBY_CACHE`` or ``SORBY_HOME`` moves it."""
    if os.environ.get("SORBY_CACHE"):
        return Path(os.environ["SORBY_CACHE"])
    if os.environ.get("SORBY_HOME"):
        return Path(os.environ["SORBY_HOME"]) / "cache"
    return Path(platformdirs.user_cache_dir("sorby", appauthor=False))


def _limit_mb() -> int:
    text = os.environ.get("SORBY_CACHE_MB", str(_DEFAULT_MB))
    if not text.isdecimal():
        raise InputError(f"SORBY_CACHE_MB={text}: not a number of megabytes", f"e.g. SORBY_CACHE_MB={_DEFAULT_MB}")
    return int(text)


class FeatureCache:
    """A bounded store of float32 vectors.

    It only saves time: where it cannot be read or written, that is said in a warning and the work goes on without.

    Parameters
    ----------
    extractor_key : str
        Everything besides the image that shapes a vector: network, weights, preprocessing, precision.
    folder : Path, optional
        Where the store lies.
    limit_mb : int, optional
        Size above which the longest unused vectors go; ``SORBY_CACHE_MB`` sets it, 2048 by default.
    """

    def __init__(self, extractor_key: str, folder: Path | None = None, limit_mb: int | None = None) -> None:
        self._file = (folder or cache_folder()) / "features.sqlite"
        self._key = extractor_key
        self._limit = (_limit_mb() if limit_mb is None else limit_mb) << 20
        self._usable = True
        with self._tolerant():
            self._file.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._create()
            except sqlite3.OperationalError:  # locked or not writable, but not damaged
                raise
            except sqlite3.DatabaseError:  # damaged; everything in it can be computed again
                for suffix in ("", "-wal", "-shm"):
                    self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
                self._create()

    def _create(self) -> None:
        with closing(self._open()) as store, store:
            store.execute("PRAGMA journal_mode=WAL")
            store.execute(
                "CREATE TABLE IF NOT EXISTS vector (extractor TEXT, image TEXT, used REAL, data BLOB,"
                " PRIMARY KEY (extractor, image)) WITHOUT ROWID"
            )

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._file, timeout=60)

    @contextmanager
    def _tolerant(self) -> Iterator[None]:
        """Go on without the store where it fails, and say so once."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self._usable = False
            warnings.warn(f"{self._file}: feature cache not used ({error})", SorbyWarning, stacklevel=3)

    def get(self, images: Sequence[str]) -> dict[str, Vector]:
        """Return the vectors that are stored for these image hashes."""
        found: dict[str, Vector] = {}
        if not self._usable:
            return found
        with self._tolerant(), closing(self._open()) as store, store:
            for begin in range(0, len(images), _ROWS_AT_ONCE):
                part = images[begin : begin + _ROWS_AT_ONCE]
                marks = ",".join("?" * len(part))
                rows = store.execute(
                    f"SELECT image, data FROM vector WHERE extractor = ? AND image IN ({marks})",  # noqa: S608 - marks only
                    (self._key, *part),
                ).fetchall()
                found.update((image, np.frombuffer(data, np.float32)) for image, data in rows)
                store.executemany(
                    "UPDATE vector SET used = ? WHERE extractor = ? AND image = ?",
                    [(time.time(), self._key, image) for image, _ in rows],
                )
        return found

    def put(self, vectors: Iterable[tuple[str, Vector]]) -> None:
        """Store vectors by image hash and drop the longest unused where the limit is passed."""
        if not self._usable:
            return
        now = time.time()
        rows = [(self._key, image, now, np.ascontiguousarray(each, np.float32).tobytes()) for image, each in vectors]
        with self._tolerant(), closing(self._open()) as store, store:
            store.executemany("INSERT OR REPLACE INTO vector VALUES (?, ?, ?, ?)", rows)
            self._shrink(store)

    def _shrink(self, store: sqlite3.Connection) -> None:
        (size,) = store.execute("SELECT COALESCE(SUM(LENGTH(data)), 0) FROM vector").fetchone()
        if size <= self._limit:
            return
        drop = []
        for extractor, image, length in store.execute(
            "SELECT extractor, image, LENGTH(data) FROM vector ORDER BY used"
        ).fetchall():
            if size <= _KEEP_SHARE * self._limit:
                break
            drop.append((extractor, image))
            size -= length
        store.executemany("DELETE FROM vector WHERE extractor = ? AND image = ?", drop)
