"""Hash search: seconds for all pairs within 10 bits among 10,000, 100,000 and 1,000,000 hashes, and how they grow.

Hashes are random; a tenth of them have a neighbour planted at 0 to 10 flipped bits, and all of these must be found.
Comparing every pair grows with the square of the number; the exponent of multi-index hashing is fitted to the three
sizes. Comparison of all is timed up to 100,000 and its figure for a million is a hundred times that.
"""

from __future__ import annotations

import argparse
import itertools
import math
import resource
import time
from typing import Any

import numpy as np

from common import finish
from sorby.corpus.hash_search import Hashes, Method, pairs_within

RADIUS = 10
SIZES = (10_000, 100_000, 1_000_000)
FLAT_UP_TO = 100_000


def planted(n: int, seed: int) -> tuple[Hashes, int]:
    """Return hashes, the last tenth of them altered copies of the first, and how many copies there are."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, n, dtype=np.uint64)
    copies = n // 10
    flips = rng.integers(0, RADIUS + 1, copies)
    mask = np.zeros(copies, np.uint64)
    for bit_order in range(RADIUS):
        # Bits that repeat cancel, so that some copies are nearer than drawn; none is further.
        bit = np.uint64(1) << rng.integers(0, 64, copies, dtype=np.uint64)
        mask ^= np.where(bit_order < flips, bit, np.uint64(0))
    hashes[-copies:] = hashes[:copies] ^ mask
    return hashes, copies


def timed(hashes: Hashes, copies: int, method: Method) -> dict[str, Any]:
    """Return seconds, pairs found, and the share of planted pairs among them."""
    started = time.perf_counter()
    pairs = pairs_within(hashes, RADIUS, method=method)
    seconds = time.perf_counter() - started
    n = len(hashes)
    wanted = np.arange(copies) * n + n - copies + np.arange(copies)
    found = np.isin(wanted, pairs[:, 0] * n + pairs[:, 1]).mean()
    return {"n": n, "method": method, "seconds": seconds, "pairs": len(pairs), "recall": float(found)}


def main() -> None:
    parser = argparse.ArgumentParser(description="time the search for near hashes")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for method in ("pieces", "flat"):  # first calls load libraries
        pairs_within(planted(2000, 1)[0], RADIUS, method=method)
    rows = []
    for n in arguments.sizes:
        hashes, copies = planted(n, arguments.seed)
        methods: tuple[Method, ...] = ("auto", "pieces", "flat") if n <= FLAT_UP_TO else ("auto",)
        rows += [timed(hashes, copies, method) for method in methods]
    auto = [row for row in rows if row["method"] == "auto"]
    first, last = auto[0], auto[-1]
    between = {
        f"{a['n']} to {b['n']}": math.log(b["seconds"] / a["seconds"]) / math.log(b["n"] / a["n"])
        for a, b in itertools.pairwise(auto)
    }
    flat = [row for row in rows if row["method"] == "flat"]
    finish(
        "hash_search",
        {
            "radius": RADIUS,
            "rows": rows,
            "exponent": math.log(last["seconds"] / first["seconds"]) / math.log(last["n"] / first["n"])
            if len(auto) > 1
            else None,
            "exponent_between": between,
            "flat_extrapolated_seconds": flat[-1]["seconds"] * (last["n"] / flat[-1]["n"]) ** 2 if flat else None,
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        },
    )


if __name__ == "__main__":
    main()
