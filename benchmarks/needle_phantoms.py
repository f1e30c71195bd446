"""Steel phantoms for needle length: one micrograph a specimen, all classes, both magnifications, bimodal ones apart."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.errors import ImageError
from sorby.measure.length_model import QUANTILES, TARGETS
from sorby.measure.needle_descriptors import describe
from sorby.measure.needle_lengths import all_descriptors
from sorby.measure.needle_surface import make_surface
from sorby.measure.ridge_segments import trace
from sorby.micrograph import to_grey
from sorby.phantom import SteelPhantom, draw_specimen, render_steel

CELLS: tuple[tuple[str, int, bool | None], ...] = (
    ("G6", 500, None),
    ("G7", 500, None),
    ("G8", 500, None),
    ("G8", 1000, None),
    ("G9-10", 500, None),
    ("G9-10", 1000, None),
    ("B6", 500, False),
    ("B7", 500, False),
    ("B7", 500, True),
    ("B8", 500, False),
    ("B8", 500, True),
    ("B8", 1000, False),
    ("B9-10", 500, None),
    ("B9-10", 1000, None),
    ("M7", 500, None),
    ("M8", 500, None),
    ("M9-10", 500, None),
    ("M9-10", 1000, None),
)
"""Class, magnification, bimodal: what the calibration must cover."""


@dataclass(frozen=True)
class Job:
    """One phantom to draw."""

    code: str
    magnification: int | None
    bimodal: bool | None
    seed: int
    size_px: int = 512


def jobs_of(seeds: Sequence[int], cells: Sequence[tuple[str, int, bool | None]] = CELLS) -> list[Job]:
    """Return one job for each cell and seed; the seeds go round, so that a part of the list holds all cells."""
    return [Job(*cell, seed=seed) for seed in seeds for cell in cells]


def draw(job: Job) -> SteelPhantom:
    """Draw the phantom of a job."""
    specimen = draw_specimen(
        job.code,
        job.seed,
        images=1,
        size_px=(job.size_px, job.size_px),
        magnification=job.magnification,
        bimodal=job.bimodal,
    )
    return render_steel(specimen.specs[0], specimen.seeds[0])


def targets(phantom: SteelPhantom) -> npt.NDArray[np.float64]:
    """Return the truth in the order of ``TARGETS``."""
    truth = phantom.truth()
    lengths = phantom.lengths_um
    area_mm2 = float(phantom.region.sum()) * phantom.spec.pixel_size_um**2 * 1e-6
    positive = (lengths.mean(), *np.quantile(lengths, QUANTILES), truth["largest_needle_length_um"])
    values = np.array([*np.log(positive), np.log(lengths.size / area_mm2), truth["coarse_area_fraction"]])
    assert len(values) == len(TARGETS)
    return values


def described(job: Job) -> dict[str, Any] | None:
    """Return a phantom's descriptors, targets and conditions; None where nothing can be traced."""
    phantom = draw(job)
    surface = make_surface(to_grey(phantom.pixels), phantom.region, phantom.spec.pixel_size_um)
    descriptors = describe(surface)
    if descriptors is None:
        return None
    try:
        values = all_descriptors(descriptors, trace(surface), surface)
    except ImageError:
        return None
    return {
        "job": job,
        "values": values,
        "targets": targets(phantom),
        "orientedness": descriptors.orientedness,
        "pixel_size_um": phantom.spec.pixel_size_um,
        "field_um2": float(phantom.region.sum()) * phantom.spec.pixel_size_um**2,
    }


def in_parallel(function: Any, jobs: Sequence[Job], processes: int) -> list[Any]:
    """Return *function* of each job, in order."""
    if processes <= 1:
        return [function(job) for job in jobs]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(function, jobs, chunksize=4))
