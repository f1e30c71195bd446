"""Ways of making one verdict of all images of a specimen, held against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.classify.specimens import DESCRIPTIONS, METHODS, RULES, Bags, Method, fit_specimens, pooled_otherwise
from sorby.errors import InputError
from sorby.evidence import coverage, log_loss
from sorby.progress import bar
from sorby.report.experiment_page import Column, Table
from sorby.report.wording import percent
from sorby.workflow.experiments.comparing import (
    DIFFERENCE_COLUMNS,
    MAY_NOT,
    METHOD,
    SCORE_COLUMNS,
    compared_rows,
    figures_of_arms,
    sentences_of_arms,
)
from sorby.workflow.experiments.registry import Findings, Request, experiment
from sorby.workflow.experiments.specimen_bench import first_images, note_scarce, open_specimens

Floats = npt.NDArray[np.float64]

REFERENCE: Method = "mean-probability"
_OPTIONS: dict[str, Any] = {"folds": 5, "min_count": 2, "only": None, "alpha": 0.1}


@experiment(
    "specimen-pooling",
    "One verdict a specimen: attention or simple pooling",
    "S4-50",
    needs=("specimen",),
    options=_OPTIONS,
    question=(
        "Does a taught attention over the images of a specimen judge it better than simple rules, and which images"
        " carry the verdict?"
    ),
)
def specimen_pooling(request: Request) -> Findings:
    """Compare attention pooling (Ilse et al. 2018) with rules, on folds of whole specimens."""
    methods = _chosen(request.options["only"])
    bench, bags, _ = open_specimens(request)
    folds = bench.folds(int(request.options["folds"]))[first_images(bags)]
    alpha, seed = float(request.options["alpha"]), bench.recipe.seed
    tested, scarce = _out_of_fold(bags, folds, len(bench.classes), methods, alpha, seed)
    note_scarce(bench.warnings, scarce, bench.classes)
    called = {str(method): found.probabilities.argmax(axis=1) for method, found in tested.items()}
    rows = compared_rows(bags.labels, called, len(bench.classes), None, REFERENCE, seed)
    for row in rows:
        of = tested[row["arm"]]
        row["log_loss"] = log_loss(of.probabilities, bags.labels)
        row["coverage"] = coverage(of.sets, bags.labels).as_dict()
        row["set_size"] = float(of.sets.sum(axis=1).mean())
        row["carried_by"] = of.carried / len(bags.index)
    columns = (Column("arm", "way"), *SCORE_COLUMNS[:1], *SCORE_COLUMNS[2:], *DIFFERENCE_COLUMNS)
    sure = (
        Column("arm", "way"),
        Column("log_loss", "log loss", "number"),
        Column("coverage", "truth in the set", "share"),
        Column("set_size", "classes in the set", "number"),
        Column("carried_by", "share of images that carry", "share"),
    )
    return Findings(
        table=rows,
        answers=[*sentences_of_arms(rows, REFERENCE), _carriers(rows)],
        tables=[
            Table(f"Each way, one verdict a specimen, and its difference to {REFERENCE}.", columns, rows),
            Table("How sure each way is, and how many images its verdicts rest on.", sure, rows),
        ],
        figures=figures_of_arms(rows, REFERENCE),
        may=["Which way judges specimens like these better, where the interval leaves out zero."],
        may_not=[*MAY_NOT, "That an image with a large weight shows the origin: attention finds what tells classes"
                 " apart in these pictures, which may be something else."],
        data=[
            *bench.described(), f"{int(folds.max()) + 1} folds of whole specimens, calibrated by folds of the rest",
            f"sets at level {alpha:g} (CV+ over specimens)", METHOD[1],
        ],
        arms=[(method, DESCRIPTIONS[method]) for method in methods],
        warnings=bench.warnings,
        quarantined=bench.quarantined,
        extra={"reference": REFERENCE},
    )  # fmt: skip


def _chosen(only: Any) -> list[Method]:
    if not only:
        return list(METHODS)
    wanted = [name.strip() for name in str(only).split(";")]
    if unknown := [name for name in wanted if name not in METHODS]:
        raise InputError(f"specimen-pooling has no arm {unknown[0]!r}", f"its arms: {'; '.join(METHODS)}")
    return [method for method in METHODS if method == REFERENCE or method in wanted]


@dataclass(eq=False)
class _Tested:
    """Verdicts of one way on every specimen, each by a model of others."""

    probabilities: Floats
    sets: npt.NDArray[np.bool_]
    carried: int = 0


def _out_of_fold(
    bags: Bags, folds: npt.NDArray[np.intp], n_classes: int, methods: Sequence[Method], alpha: float, seed: int
) -> tuple[dict[Method, _Tested], set[int]]:
    """Return what each way says of the specimens of each fold, and the classes that calibration was too scarce for.

    Rules over verdicts on images share one head: it is taught once a fold.
    """
    found = {method: _Tested(np.empty((bags.n, n_classes)), np.zeros((bags.n, n_classes), bool)) for method in methods}
    scarce: set[int] = set()
    n_folds = int(folds.max()) + 1
    with bar("specimens", n_folds) as advance:
        for k in range(n_folds):
            test, others = np.flatnonzero(folds == k), bags.take(folds != k)
            tested = bags.take(test)
            shared = fit_specimens(others, n_classes, REFERENCE, alpha=alpha, seed=seed)
            scarce |= set(shared.scarce)
            for method, into in found.items():
                model = (
                    pooled_otherwise(shared, method, others)
                    if method in RULES
                    else fit_specimens(others, n_classes, method, alpha=alpha, seed=seed)
                )
                verdicts = model.verdicts(tested)
                into.probabilities[test], into.sets[test] = verdicts.probabilities, verdicts.sets
                into.carried += int(verdicts.carried.sum())
            advance(1)
    return found, scarce


def _carriers(rows: Sequence[Mapping[str, Any]]) -> str:
    said = ", ".join(f"{row['arm']} {percent(row['carried_by'])}" for row in rows)
    return f"Share of the images that carry half of the verdict's weight: {said}."
