"""Feature vectors on disk, found by image content, network and preprocessing; bounded in size."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt
import platformdirs

_DEFAULT_MB = 2048
_ROWS_AT_ONCE = 500

Vector = npt.NDArray[np.float32]


def cache_folder() -> Path:
    """Return the folder of things that can be computed again; ``SORBY_CACHE`` or ``SORBY_HOME`` moves it."""
    if os.environ.get("SORBY_CACHE"):
        return Path(os.environ["SORBY_CACHE"])
    if os.environ.get("SORBY_HOME"):
        return Path(os.environ["SORBY_HOME"]) / "cache"
    return Path(platformdirs.user_cache_dir("sorby", appauthor=False))


class FeatureCache:
    """A bounded store of float32 vectors.

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
        folder = folder or cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "features.sqlite"
        self._key = extractor_key
        self._limit = (limit_mb or int(os.environ.get("SORBY_CACHE_MB", _DEFAULT_MB))) << 20
        with closing(self._open()) as store, store:
            store.execute("PRAGMA journal_mode=WAL")
            store.execute(
                "CREATE TABLE IF NOT EXISTS vector (extractor TEXT, image TEXT, used REAL, data BLOB,"
                " PRIMARY KEY (extractor, image)) WITHOUT ROWID"
            )

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._file, timeout=60)

    def get(self, images: Sequence[str]) -> dict[str, Vector]:
        """Return the vectors that are stored for these image hashes."""
        found: dict[str, Vector] = {}
        with closing(self._open()) as store, store:
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
        now = time.time()
        rows = [
            (self._key, image, now, np.ascontiguousarray(vector, np.float32).tobytes())
            for image, vector in vectors
        ]
        with closing(self._open()) as store, store:
            store.executemany("INSERT OR REPLACE INTO vector VALUES (?, ?, ?, ?)", rows)
        self._shrink()

    def _shrink(self) -> None:
        with closing(self._open()) as store, store:
            (size,) = store.execute("SELECT COALESCE(SUM(LENGTH(data)), 0) FROM vector").fetchone()
            if size <= self._limit:
                return
            oldest = store.execute(
                "SELECT extractor, image, LENGTH(data) FROM vector ORDER BY used"
            ).fetchall()
            drop = []
            for extractor, image, length in oldest:
                if size <= 0.8 * self._limit:
                    break
                drop.append((extractor, image))
                size -= length
            store.executemany("DELETE FROM vector WHERE extractor = ? AND image = ?", drop)
