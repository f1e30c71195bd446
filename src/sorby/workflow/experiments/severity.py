"""Severity of corrosion as an order: what it brings to know that grade 3 lies between 2 and 4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.evidence import (
    ORDINAL,
    compare_grades,
    grades_of,
    mean_by_specimen,
    middle_grade,
    paired_difference,
    ranked_probability,
    score_grades,
)
from sorby.report import experiment_figures
from sorby.report.experiment_page import Column, Figure, Table
from sorby.report.wording import number, percent
from sorby.workflow.experiments.arms import Arm, cross_predict
from sorby.workflow.experiments.bench import Bench, Floats, Rows, open_bench
from sorby.workflow.experiments.comparing import MAY_NOT, METHOD, compared_rows, confusion_of
from sorby.workflow.experiments.registry import Findings, Request, experiment

REFERENCE = "flat"
ARMS = (
    Arm(REFERENCE, "one score a grade, the order unknown", {"head.kind": "flat", "head.sharing": "auto"}),
    Arm("ordinal", "one latent severity cut by rising thresholds (McCullagh 1980), errors cost by their distance",
        {"head.kind": "ordinal", "head.routing": "soft", "head.sharing": "none"}),
    Arm("ordinal, hidden layer", "the same over one hidden layer",
        {"head.kind": "ordinal", "head.routing": "soft", "head.sharing": "hard"}),
)  # fmt: skip
#: Added to an arm's name where the median of its probabilities is called and not the most probable grade.
MEDIAN = ", median"
_OPTIONS: dict[str, Any] = {"folds": 5, "min_count": 2, "column": "severity", "by": "alloy"}
FORECAST = "ranked_probability_score"

#: What must be said of the question itself.
NO_PUBLISHED_GRADES = (
    "That a published figure was reproduced: the study that speaks of corrosion states (Bhat et al. 2023) has two"
    " classes, its alloys, and no grade of any image; nobody has published a scale either."
)


@experiment(
    "severity",
    "Severity: grades as an order or as classes",
    "S2-39",
    needs=("specimen", "severity"),
    options=_OPTIONS,
    question="Is severity judged better by a head that knows the order of the grades, and how far off are its calls?",
)
def severity(request: Request) -> Findings:
    """Compare a flat with ordinal heads, and the most probable grade with the median one, on the same folds."""
    column, by = str(request.options["column"]), str(request.options["by"])
    bench = open_bench(request, ("specimen", column), label=column)
    grades = grades_of(bench.classes)
    if grades is None:
        raise InputError(
            f"column {column!r} holds {', '.join(bench.classes[:5])}, which are no grades", "write whole numbers"
        )
    folds = bench.folds(int(request.options["folds"]))
    probabilities = {arm.name: cross_predict(bench, arm, folds) for arm in ARMS}
    called: dict[str, npt.NDArray[Any]] = {name: found.argmax(axis=1) for name, found in probabilities.items()}
    called |= {name + MEDIAN: middle_grade(found, grades) for name, found in probabilities.items()}
    rows = _rows(bench, called, probabilities, grades)
    groups = _by_group(bench, probabilities["ordinal"].argmax(axis=1), grades, by)
    return Findings(
        table=rows,
        answers=[*_answers(rows), *(_group_answer(row) for row in groups)],
        tables=[*_tables(rows), *([_group_table(groups, by)] if groups else [])],
        figures=_figures(rows),
        may=["Whether the order of the grades helps on images like these, where an interval leaves out zero."],
        may_not=[*MAY_NOT, NO_PUBLISHED_GRADES,
                 *(["How well severity of real coupons is judged: phantoms were graded, by the share of the surface"
                    " that was drawn as attacked."] if _phantoms(bench) else [])],
        data=[*bench.described(), f"{int(folds.max()) + 1}-fold cross-validation, the same folds for every arm",
              *METHOD[:1], "ranked probability score: squared gaps of the cumulated probabilities; 0 is sure and right,"
              " 1 is sure and one grade off"],
        arms=[*((arm.name, arm.meaning) for arm in ARMS),
              (f"...{MEDIAN}", "the median of the probabilities is called: least expected distance in grades")],
        warnings=bench.warnings,
        quarantined=bench.quarantined,
        extra={
            "reference": REFERENCE,
            "classes": list(bench.classes),
            "per_group": groups,
            "confusion": {name: confusion_of(bench.labels, found, len(bench.classes))
                          for name, found in probabilities.items()},
        },
    )  # fmt: skip


def _phantoms(bench: Bench) -> bool:
    return "phantom" in bench.corpus.table and bool((bench.column("phantom") == "True").any())


def _rows(
    bench: Bench,
    called: Mapping[str, npt.NDArray[Any]],
    probabilities: Mapping[str, Floats],
    grades: npt.NDArray[np.int64],
) -> list[dict[str, Any]]:
    """Return one row an arm: scores, figures of the order, and paired differences to the flat head."""
    seed, specimens = bench.recipe.seed, bench.specimens
    rows = compared_rows(bench.labels, called, len(bench.classes), specimens, REFERENCE, seed)
    forecast = {name: ranked_probability(found, bench.labels, grades) for name, found in probabilities.items()}
    for row in rows:
        codes = called[row["arm"]]
        row |= {
            name: entry.as_dict() for name, entry in score_grades(bench.labels, codes, grades, specimens, seed).items()
        }
        if row["arm"] != REFERENCE:
            gaps = compare_grades(bench.labels, codes, called[REFERENCE], grades, specimens, seed)
            row["difference"] |= {name: gaps[name].as_dict() for name in ORDINAL}
        if row["arm"] in forecast:
            own = forecast[row["arm"]]
            row[FORECAST] = mean_by_specimen(own, specimens, seed).as_dict()
            if row["arm"] != REFERENCE:
                gap = paired_difference(own, forecast[REFERENCE], specimens, seed)
                row["difference"][FORECAST] = gap.as_dict()
    return rows


def _by_group(bench: Bench, called: Rows, grades: npt.NDArray[np.int64], by: str) -> list[dict[str, Any]]:
    """Return the figures of the ordinal head for each value of a column, or nothing where it is not there."""
    column = by if by in bench.corpus.table else ""
    if not column:
        bench.warnings.append(f"no figures by {by}: the corpus has no column of that name")
        return []
    values, found = bench.column(column), []
    for value in sorted(set(values.tolist()) - {""}):
        inside = values == value
        specimens = None if bench.specimens is None else bench.specimens[inside]
        scored = score_grades(bench.labels[inside], called[inside], grades, specimens, bench.recipe.seed)
        row = {"group": value, "n": int(inside.sum())}
        found.append(row | {name: entry.as_dict() for name, entry in scored.items()})
    return found


def _answers(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for row in rows:
        said = (
            f"{row['arm']}: {percent(row['accuracy']['value'])} right, {percent(row['within_one']['value'])} within one"
            f" grade, {number(row['mean_absolute_error']['value'])} grades off on average, weighted kappa"
            f" {number(row['weighted_kappa']['value'])}"
        )
        gap = row.get("difference", {}).get("mean_absolute_error")
        if gap is not None:
            bounds = gap["ci95"]
            clear = bounds is not None and (bounds[0] > 0 or bounds[1] < 0)
            word = ("nearer" if gap["value"] < 0 else "further off") if clear else "no difference shown"
            span = "" if bounds is None else f" ({bounds[0]:+.3f} to {bounds[1]:+.3f})"
            said += f"; against {REFERENCE}: {word}, {gap['value']:+.3f} grades{span}"
        lines.append(said + ".")
    return lines


def _group_answer(row: Mapping[str, Any]) -> str:
    error, bounds = row["mean_absolute_error"]["value"], row["mean_absolute_error"]["ci95"]
    span = "" if bounds is None else f" ({number(bounds[0])} to {number(bounds[1])})"
    return (
        f"{row['group']}, ordinal head: {number(error)} grades off on average{span}, weighted kappa"
        f" {number(row['weighted_kappa']['value'])}, {row['n']} images."
    )


_FIGURES = (
    Column("n", "n", "count"),
    Column("mean_absolute_error", "mean absolute error, grades", "number"),
    Column("within_one", "within one grade", "share"),
    Column("weighted_kappa", "weighted kappa", "number"),
    Column("mean_error", "call less truth, grades", "number"),
)


def _tables(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    columns = (
        Column("arm", "head"), *_FIGURES, Column("accuracy", "accuracy", "share"),
        Column(FORECAST, "ranked probability score", "number"),
    )  # fmt: skip
    gaps = (
        Column("arm", "head"),
        Column("difference.mean_absolute_error", "mean absolute error", "number"),
        Column("difference.weighted_kappa", "weighted kappa", "number"),
        Column("difference.accuracy", "accuracy, points", "points"),
        Column(f"difference.{FORECAST}", "ranked probability score", "number"),
    )
    return [
        Table("Each head on the same folds. Below each figure its 95 % interval.", columns, rows),
        Table(
            f"Difference to the {REFERENCE} head, the same images; paired bootstrap by specimen.",
            gaps,
            [row for row in rows if "difference" in row],
        ),
    ]


def _group_table(groups: Sequence[Mapping[str, Any]], by: str) -> Table:
    return Table(f"The ordinal head by {by}.", (Column("group", by), *_FIGURES), groups)


def _figures(rows: Sequence[Mapping[str, Any]]) -> list[Figure]:
    errors = [(str(row["arm"]), {"mean absolute error": row["mean_absolute_error"]}) for row in rows]
    gaps = [
        (str(row["arm"]), {"mean absolute error": row["difference"]["mean_absolute_error"]})
        for row in rows
        if "difference" in row
    ]
    return [
        Figure(
            experiment_figures.dots(errors, "errors", "mean absolute error, grades", shares=False),
            "How far calls lie from the truth.",
        ),
        Figure(
            experiment_figures.dots(gaps, "gaps", f"difference to {REFERENCE}, grades", reference=0.0, shares=False),
            "Paired differences; left of the dashed line is nearer to the truth.",
        ),
    ]
