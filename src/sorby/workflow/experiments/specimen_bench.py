"""Specimens on the bench: features of all images, put together by specimen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.classify.specimens import Bags
from sorby.errors import InputError
from sorby.workflow.experiments.bench import Bench, open_bench
from sorby.workflow.experiments.extracting import bench_features
from sorby.workflow.experiments.registry import Request
from sorby.workflow.planning import magnifications

FEWEST_SPECIMENS = 10


def open_specimens(request: Request, needs: Sequence[str] = ()) -> tuple[Bench, Bags, npt.NDArray[Any]]:
    """Open the bench and its specimens.

    Returns
    -------
    bench : Bench
    bags : Bags
    names : ndarray of str, shape (G,)
        Of the specimens.

    Raises
    ------
    InputError
        The corpus names no specimens, or too few.
    """
    bench = open_bench(request, ("specimen", *needs))
    bags, first = Bags.of(bench_features(bench), bench.specimens, bench.labels)
    if bags.n < FEWEST_SPECIMENS:
        raise InputError(
            f"{bags.n} specimens are too few to test verdicts on specimens", f"{FEWEST_SPECIMENS} are the least"
        )
    return bench, bags, bench.column("specimen")[first]


def stated_magnifications(bench: Bench) -> npt.NDArray[np.float64]:
    """Return the magnification of every image of the bench.

    Raises
    ------
    InputError
        An image states none.
    """
    found = magnifications(bench.corpus)
    if missing := int((~np.isfinite(found)).sum()):
        raise InputError(
            f"{missing} of {bench.n} images state no magnification", "fill the column in, or leave those images out"
        )
    return found
