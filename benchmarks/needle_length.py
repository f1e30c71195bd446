"""How well needle lengths are measured on phantoms that the calibration never saw.

    python benchmarks/needle_length.py --seeds 6

Every phantom is of another specimen, so bootstrap intervals over images are intervals over specimens. Two answers are
held against the truth (all needles centred in the region of interest, hidden parts included): the calibrated estimate
and the plain traced segments. ``--slender 1.2`` draws needles a fifth slenderer than those of the calibration, to show
how far the estimate leans on the ratio of length to width, which real steels need not share with the phantoms.
``--proposed-region`` finds the region of interest instead of taking the phantom's own.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from common import finish
from needle_phantoms import CELLS, Job, draw, in_parallel, jobs_of
from sorby.corpus.grades import HOUSE_SCALE
from sorby.errors import ImageError
from sorby.measure.needle_lengths import measure_needles
from sorby.phantom import steel

FIRST_SEED = 700_000
NAMES = ("mean", "q05", "q25", "q50", "q75", "q95", "largest")
GOALS = {"mean": 0.10, "q95": 0.15}

Reals = npt.NDArray[np.float64]


def measured(job: Job, slender: float, proposed: bool) -> dict[str, Any]:
    """Draw and measure one phantom; return truth, estimate, interval and traced statistics."""
    usual = steel.ASPECT
    steel.ASPECT = {name: value * slender for name, value in usual.items()}
    try:
        phantom = draw(job)
    finally:
        steel.ASPECT = usual
    lengths, spec = phantom.lengths_um, phantom.spec
    truth = [lengths.mean(), *np.quantile(lengths, (0.05, 0.25, 0.5, 0.75, 0.95)), HOUSE_SCALE.largest_um(lengths)]
    start = time.perf_counter()
    try:
        found = measure_needles(phantom.pixels, spec.pixel_size_um, region=None if proposed else phantom.region)
    except ImageError as error:
        return {"job": job, "refused": error.message}
    return {
        "job": job,
        "seconds": time.perf_counter() - start,
        "truth": truth,
        "estimate": [found.estimates[name].value for name in NAMES],
        "low": [found.estimates[name].ci95[0] for name in NAMES],
        "high": [found.estimates[name].ci95[1] for name in NAMES],
        "traced": [found.traced.statistics[name].value for name in NAMES],
        "criterion": HOUSE_SCALE.criterion_for(found.estimates["coarse_area"].value),
        "coarse_error": found.estimates["coarse_area"].value - float(phantom.coarse_region[phantom.region].mean()),
        "true_criterion": spec.criterion,
        "grade": HOUSE_SCALE.size_class(found.estimates["mean"].value, spec.subtype),
        "true_grade": phantom.code_by_mean[1:],
        "doubted": any("resembles no" in line for line in found.warnings),
    }


def _interval(values: Reals, statistic: Any, rng: np.random.Generator) -> list[float]:
    draws = [statistic(values[rng.integers(0, len(values), len(values))]) for _ in range(1000)]
    return [float(v) for v in np.quantile(draws, (0.025, 0.975))]


def errors_of(rows: Sequence[dict[str, Any]], answer: str, name: str) -> Reals:
    """Return relative errors of one answer."""
    k = NAMES.index(name)
    return np.array([row[answer][k] / row["truth"][k] - 1 for row in rows])


def summary(rows: Sequence[dict[str, Any]], answer: str, rng: np.random.Generator) -> dict[str, Any]:
    """Return the distribution of relative errors of mean, 95th percentile and largest, with intervals."""
    about: dict[str, Any] = {"n": len(rows)}
    for name in ("mean", "q95", "largest"):
        error = errors_of(rows, answer, name)
        size = np.abs(error)
        about[name] = {
            "median": float(np.median(size)),
            "median_ci95": _interval(size, np.median, rng),
            "mean_absolute": float(size.mean()),
            "mean_absolute_ci95": _interval(size, np.mean, rng),
            "p90": float(np.quantile(size, 0.9)),
            "bias": float(error.mean()),
            "bias_ci95": _interval(error, np.mean, rng),
        }
        if name in GOALS:
            about[name]["within_goal"] = float(np.mean(size <= GOALS[name]))
    return about


def coverage(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the share of truths inside the 95 % intervals, with a Wilson interval."""
    about = {}
    for k, name in enumerate(NAMES):
        hits = np.array([row["low"][k] <= row["truth"][k] <= row["high"][k] for row in rows])
        n, share, z = len(hits), float(hits.mean()), 1.96
        middle = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
        width = float(np.median([row["high"][k] / row["low"][k] for row in rows]))
        about[name] = {"covered": share, "ci95": [middle - half, middle + half], "n": n, "median_high_over_low": width}
    return about


def study(seeds: int, processes: int, slender: float, proposed: bool, size_px: int) -> dict[str, Any]:
    """Measure fresh phantoms and return every figure."""
    jobs = [
        Job(job.code, job.magnification, job.bimodal, job.seed, size_px)
        for job in jobs_of(range(FIRST_SEED, FIRST_SEED + seeds), CELLS)
    ]
    done = in_parallel(partial(measured, slender=slender, proposed=proposed), jobs, processes)
    rows = [row for row in done if "refused" not in row]
    rng = np.random.default_rng(0)
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        job = row["job"]
        for key in (
            f"subtype {job.code[0]}",
            f"{job.magnification}x",
            f"{job.code}{' bimodal' if job.bimodal else ''}",
        ):
            groups.setdefault(key, []).append(row)
    bimodal = [row for row in rows if row["true_criterion"] == "maximum"]
    plain = [row for row in rows if row["true_criterion"] == "mean"]
    return {
        "phantoms": len(done),
        "refused": [row["refused"] for row in done if "refused" in row],
        "seeds": [FIRST_SEED, FIRST_SEED + seeds - 1],
        "size_px": size_px,
        "slenderness_factor": slender,
        "region": "proposed" if proposed else "the phantom's own",
        "seconds_median": float(np.median([row["seconds"] for row in rows])),
        "estimate": summary(rows, "estimate", rng),
        "traced_uncorrected": summary(rows, "traced", rng),
        "coverage": coverage(rows),
        "grade_by_mean_right": float(np.mean([row["grade"] == row["true_grade"] for row in rows])),
        "maximum_criterion_found_where_true": float(np.mean([row["criterion"] == "maximum" for row in bimodal])),
        "maximum_criterion_found_where_false": float(np.mean([row["criterion"] == "maximum" for row in plain])),
        "coarse_area_mean_absolute_error": float(np.mean([abs(row["coarse_error"]) for row in rows])),
        "doubted": float(np.mean([row["doubted"] for row in rows])),
        "groups": {key: summary(members, "estimate", rng) for key, members in sorted(groups.items())},
        "machine_note": "seconds while other work ran",
    }


def main() -> None:
    """Print the figures as one JSON object."""
    parser = argparse.ArgumentParser(description="Needle lengths on unseen phantoms.")
    parser.add_argument("--seeds", type=int, default=10, help="phantoms of each class and magnification")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--slender", type=float, default=1.0)
    parser.add_argument("--size-px", type=int, default=512)
    parser.add_argument("--proposed-region", action="store_true")
    given = parser.parse_args()
    figures = study(given.seeds, given.processes, given.slender, given.proposed_region, given.size_px)
    finish("needle_length", figures)


if __name__ == "__main__":
    main()
