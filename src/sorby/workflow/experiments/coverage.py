"""Conformal coverage: do the sets hold the truth as often as they promise, over many draws of specimens?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from sorby.evidence import fit_conformal, softmax
from sorby.progress import bar
from sorby.report import experiment_figures
from sorby.report.experiment_page import Column, Figure, Table
from sorby.report.wording import percent
from sorby.workflow.experiments.ablations import COMMON
from sorby.workflow.experiments.bench import Bench, Rows, open_bench
from sorby.workflow.experiments.extracting import bench_features
from sorby.workflow.experiments.linear import fit_at, fit_flat
from sorby.workflow.experiments.registry import Findings, Request, experiment

_OPTIONS = {**COMMON, "repeats": 200}
_TEST_SHARE = 0.2
_AT_ONCE = 10  # splits whose heads are fitted together

Floats = npt.NDArray[np.float64]


@experiment(
    "conformal-coverage",
    "Coverage of the conformal sets",
    "decision on sets, architecture",
    options=_OPTIONS,
    question=(
        "Does the set that comes with every verdict hold the true class as often as stated, whatever "
        "specimens happen to be taught, used for calibration and tested?"
    ),
)
def conformal_coverage(request: Request) -> Findings:
    """Measure coverage over random splits."""
    bench = open_bench(request)
    features = bench_features(bench)
    alpha, repeats = bench.recipe.verdict.alpha, int(request.options["repeats"])
    c = fit_flat(features, bench.labels, len(bench.classes), bench.plan.groups, bench.recipe).c
    found: dict[str, list[tuple[float, float]]] = {"split": [], "CV+": []}
    with bar("splits", repeats) as advance:
        for start in range(0, repeats, _AT_ONCE):
            seeds = range(bench.recipe.seed + start, bench.recipe.seed + min(start + _AT_ONCE, repeats))
            for ways in _covered(bench, features, seeds, c):
                for name, values in ways.items():
                    found[name].append(values)
            advance(len(seeds))
    rows = [_row(name, np.array(values), alpha, bench) for name, values in found.items()]
    return Findings(
        table=rows,
        answers=[_sentence(row, alpha) for row in rows],
        tables=[_table(rows)],
        figures=[_figure(rows, alpha)],
        may=[
            "Whether the promise holds on average over draws of these specimens.",
        ],
        may_not=[
            "That every single split covers as much: the spread over splits is stated beside the mean.",
            "That coverage holds for other plants or materials: sets promise nothing where images are of another kind.",
            "That the interval is about new specimens: all splits share these images; it is the error of the"
            " simulation alone.",
        ],
        data=[
            *bench.described(),
            f"{repeats} random splits, specimens whole: 20 % tested; split conformal teaches on 60 % and calibrates on"
            f" 20 %, CV+ teaches and calibrates on 80 % by {bench.recipe.head.folds} folds, as bundles do",
            f"regularisation strength {c:g}, chosen once on all images by inner folds and not again for each split",
        ],
        arms=[("split", "calibrated on held-out specimens; promise 1 - alpha"),
              ("CV+", "calibrated on cross-fitted scores; promise 1 - 2 alpha, usually about 1 - alpha")],
        warnings=bench.warnings,
        quarantined=bench.quarantined,
        extra={"nominal": 1 - alpha, "repeats": repeats, "c": c},
    )  # fmt: skip


def _covered(
    bench: Bench, features: npt.NDArray[np.float32], seeds: range, c: float
) -> Iterator[dict[str, tuple[float, float]]]:
    """Yield, for each seed, coverage and mean set size of both ways; heads of several splits are fitted together."""
    n_classes, section, k = len(bench.classes), bench.recipe.verdict, bench.recipe.head.folds
    draws = [_draw(bench, seed, k) for seed in seeds]
    # Parts 0 .. k-1 are the folds of CV+; part 0 also serves as the calibration part of the split.
    jobs = [[np.flatnonzero((part >= 0) & (part != fold)) for fold in range(k)] for part in draws]
    models = fit_at([(features[rows], bench.labels[rows]) for job in jobs for rows in job], n_classes, c)
    for number, part in enumerate(draws):
        heads = models[number * k : (number + 1) * k]
        test, taught = np.flatnonzero(part < 0), np.flatnonzero(part >= 0)
        truth = bench.labels[test]
        said = softmax(np.stack([head(features[test]) for head in heads]))
        cross = np.empty((len(taught), n_classes))
        for fold, head in enumerate(heads):
            cross[part[taught] == fold] = softmax(head(features[taught[part[taught] == fold]]))
        calibrate = partial(
            fit_conformal, alpha=section.alpha, method=section.sets, class_conditional=section.class_conditional
        )
        plus = calibrate(cross, bench.labels[taught], folds=part[taught])
        held = part[taught] == 0
        split = calibrate(cross[held], bench.labels[taught][held])
        yield {
            name: (float(sets[np.arange(len(test)), truth].mean()), float(sets.sum(axis=1).mean()))
            for name, sets in (("split", split.sets(said[0])), ("CV+", plus.sets(said)))
        }


def _draw(bench: Bench, seed: int, folds: int) -> Rows:
    """Return the part of each row: -1 tested, 0 .. folds-1 taught; specimens are dealt at random, whole."""
    groups = bench.plan.groups
    _, index = np.unique(np.arange(bench.n) if groups is None else groups, return_inverse=True)
    order = np.random.default_rng([1863, seed]).permutation(int(index.max()) + 1)
    tested = round(_TEST_SHARE * len(order))
    part = np.empty(len(order), np.intp)
    part[order[:tested]] = -1
    part[order[tested:]] = np.arange(len(order) - tested) % folds
    return part[index]


def _row(name: str, values: Floats, alpha: float, bench: Bench) -> dict[str, Any]:
    coverage = values[:, 0]
    n = len(coverage)
    half = float(student.ppf(0.975, n - 1) * coverage.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    mean = float(coverage.mean())
    return {
        "arm": name,
        "n": bench.n,
        "splits": n,
        "coverage": {"value": mean, "ci95": [mean - half, mean + half] if n > 1 else None, "n": n,
                     "method": "t over splits, which share the images: Monte-Carlo error only"},
        "nominal": 1 - alpha,
        "difference": mean - (1 - alpha),
        "sd_over_splits": float(coverage.std(ddof=1)) if n > 1 else None,
        "least": float(np.quantile(coverage, 0.025)),
        "most": float(np.quantile(coverage, 0.975)),
        "set_size": float(values[:, 1].mean()),
    }  # fmt: skip


def _sentence(row: Mapping[str, Any], alpha: float) -> str:
    low, high = row["coverage"]["ci95"] or (float("nan"), float("nan"))
    return (
        f"{row['arm']}: coverage {percent(row['coverage']['value'])} as the mean of {row['splits']} splits (Monte-Carlo"
        f" interval {100 * low:.2f} to {100 * high:.2f} %), nominal {percent(1 - alpha)};"
        f" {row['set_size']:.2f} classes in a set."
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = (
        Column("arm", "calibration"),
        Column("splits", "splits", "count"),
        Column("coverage", "coverage, mean", "share"),
        Column("nominal", "nominal", "share"),
        Column("difference", "difference, points", "points"),
        Column("sd_over_splits", "SD over splits", "share"),
        Column("least", "2.5 % of splits below", "share"),
        Column("set_size", "classes in a set", "number"),
    )
    return Table("Coverage over splits.", columns, rows)


def _figure(rows: Sequence[Mapping[str, Any]], alpha: float) -> Figure:
    drawn = [
        (str(row["arm"]), {"mean over splits": row["coverage"],
                           "middle 95 % of splits": {"value": row["coverage"]["value"],
                                                     "ci95": [row["least"], row["most"]]}})
        for row in rows
    ]  # fmt: skip
    svg = experiment_figures.dots(drawn, "coverage", "coverage", reference=1 - alpha)
    return Figure(svg, "Coverage with its Monte-Carlo interval, and how far single splits spread. Dashed: nominal.")
