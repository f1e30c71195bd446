"""Ways of making one verdict of all images of a specimen, held against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.classify.specimens import DESCRIPTIONS, METHODS, Bags, Method, fit_specimens
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
    scores,
    sentences_of_arms,
)
from sorby.workflow.experiments.registry import Findings, Request, experiment
from sorby.workflow.experiments.specimen_bench import open_specimens

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
    folds_of_images = bench.folds(int(request.options["folds"]))
    first = np.unique(bags.index, return_index=True)[1]
    folds = folds_of_images[first]
    alpha, seed = float(request.options["alpha"]), bench.recipe.seed
    tested = {method: _out_of_fold(bags, folds, len(bench.classes), method, alpha, seed) for method in methods}
    called = {str(method): found[0].argmax(axis=1) for method, found in tested.items()}
    rows = compared_rows(bags.labels, called, len(bench.classes), None, REFERENCE, seed)
    for row in rows:
        p, sets, single = tested[row["arm"]]
        row["log_loss"] = log_loss(p, bags.labels)
        row["coverage"] = coverage(sets, bags.labels).as_dict()
        row["set_size"] = float(sets.sum(axis=1).mean())
        row["carried_by"] = single
    alone = scores(bench.labels, _single_images(tested, bags, bench.labels), len(bench.classes), bench.specimens, seed)
    columns = (
        Column("arm", "way"), *SCORE_COLUMNS[:1], *SCORE_COLUMNS[2:], *DIFFERENCE_COLUMNS,
        Column("log_loss", "log loss", "number"), Column("coverage", "truth in the set", "share"),
        Column("set_size", "classes in the set", "number"), Column("carried_by", "share of images that carry", "share"),
    )  # fmt: skip
    return Findings(
        table=rows,
        answers=[*sentences_of_arms(rows, REFERENCE), _carriers(rows)],
        tables=[Table(f"Each way, one verdict a specimen, and its difference to {REFERENCE}.", columns, rows)],
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
        extra={"reference": REFERENCE, "images": alone},
    )  # fmt: skip


def _chosen(only: Any) -> list[Method]:
    if not only:
        return list(METHODS)
    wanted = [name.strip() for name in str(only).split(";")]
    if unknown := [name for name in wanted if name not in METHODS]:
        raise InputError(f"specimen-pooling has no arm {unknown[0]!r}", f"its arms: {'; '.join(METHODS)}")
    return [method for method in METHODS if method == REFERENCE or method in wanted]


def _out_of_fold(
    bags: Bags, folds: npt.NDArray[np.intp], n_classes: int, method: Method, alpha: float, seed: int
) -> tuple[Floats, npt.NDArray[np.bool_], float]:
    """Return probabilities and sets of every specimen by a model of others, and the share of images that carried."""
    p, sets = np.empty((bags.n, n_classes)), np.zeros((bags.n, n_classes), bool)
    carrying = 0
    n_folds = int(folds.max()) + 1
    with bar(method, n_folds) as advance:
        for k in range(n_folds):
            test = np.flatnonzero(folds == k)
            model = fit_specimens(bags.take(folds != k), n_classes, method, alpha=alpha, seed=seed)
            verdicts = model.verdicts(bags.take(test))
            p[test], sets[test] = verdicts.probabilities, verdicts.sets
            carrying += int(verdicts.carried.sum())
            advance(1)
    return p, sets, carrying / len(bags.index)


def _single_images(
    tested: Mapping[Method, tuple[Floats, npt.NDArray[np.bool_], float]], bags: Bags, labels: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp]:
    """Return the reference's verdict on its specimen for every image: figures by image, for comparison."""
    del labels
    return np.asarray(tested[REFERENCE][0].argmax(axis=1)[bags.index])


def _carriers(rows: Sequence[Mapping[str, Any]]) -> str:
    said = ", ".join(f"{row['arm']} {percent(row['carried_by'])}" for row in rows)
    return f"Share of the images that carry half of the verdict's weight: {said}."
