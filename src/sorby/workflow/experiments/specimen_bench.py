"""Specimens on the bench: features of all images, put together by specimen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


def first_images(bags: Bags) -> npt.NDArray[np.intp]:
    """Return the row of an image of each specimen, shape (G,): what holds for it holds for the specimen."""
    return np.unique(bags.index, return_index=True)[1]


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


def note_scarce(warnings: list[str], scarce: Iterable[int], classes: Sequence[str]) -> None:
    """Add the warning that calibration never saw a class of which it judged specimens."""
    if names := [classes[code] for code in sorted(scarce)]:
        warnings.append(
            f"too few specimens of {', '.join(names)}: in some fold they lay together, so their calibration scores come"
            " from models that had not seen the class"
        )
