"""How long a line waits for its verdict: quantiles in constant memory."""

from __future__ import annotations

import numpy as np

_LEAST_MS, _MOST_MS, _PER_DECADE = 0.01, 1e7, 116  # neighbouring bounds differ by 2 %


class Latencies:
    """A histogram of times with logarithmic bins, 2 % wide, from 10 us to almost three hours; the maximum is exact."""

    def __init__(self) -> None:
        self._counts = np.zeros(int(np.log10(_MOST_MS / _LEAST_MS) * _PER_DECADE) + 1, np.int64)
        self._max_ms = 0.0

    def add(self, ms: float) -> None:
        """Take one time."""
        bin_ = int(np.log10(max(ms, _LEAST_MS) / _LEAST_MS) * _PER_DECADE)
        self._counts[min(bin_, len(self._counts) - 1)] += 1
        self._max_ms = max(self._max_ms, ms)

    def quantile(self, share: float) -> float | None:
        """Return the time that *share* of all stay below, within 2 %; None without any."""
        total = int(self._counts.sum())
        if total == 0:
            return None
        bin_ = int(np.searchsorted(np.cumsum(self._counts), share * total))
        return float(min(self._max_ms, _LEAST_MS * 10 ** ((bin_ + 0.5) / _PER_DECADE)))

    def as_dict(self) -> dict[str, float | int | None]:
        """Return ``p50``, ``p99``, ``max`` in milliseconds, and ``n``."""
        n = int(self._counts.sum())
        most = self._max_ms if n else None
        return {"p50": self.quantile(0.5), "p99": self.quantile(0.99), "max": most, "n": n}
