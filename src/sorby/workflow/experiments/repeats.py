"""Repeatability: the same method on other draws of test specimens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sorby.errors import InputError
from sorby.evidence import t_interval
from sorby.report import experiment_figures
from sorby.report.experiment_page import Column, Figure, Table
from sorby.report.wording import percent
from sorby.workflow.experiments.ablations import COMMON
from sorby.workflow.experiments.arms import Arm, RecipeLearner, out_of_fold
from sorby.workflow.experiments.bench import Bench, open_bench
from sorby.workflow.experiments.comparing import METHOD, SCORE_COLUMNS, scores
from sorby.workflow.experiments.registry import Findings, Request, experiment

_OPTIONS = {**COMMON, "folds": 3, "repeats": 3, "subtype": "B"}


@experiment(
    "repeatability",
    "Repeatability over splits",
    "S1-15",
    needs=("subtype", "size_class"),
    options=_OPTIONS,
    question=("How much does the result change when other specimens happen to be the test specimens?"),
)
def repeatability(request: Request) -> Findings:
    """Repeat the cross-validation on other draws of folds.

    Durmaz et al. call the spread over three distinct splits by 3-fold cross-validation of the bainite size model
    negligible.
    """
    subtype = str(request.options["subtype"])
    small = open_bench(request, ("subtype", "size_class"), label="size_class",
                       where=lambda table: table["subtype"].astype(str) == subtype)  # fmt: skip
    whole = open_bench(request)
    rows, spreads = [], []
    for model, bench in ((f"{subtype} size", small), ("global", whole)):
        found, spread = _repeat(model, bench, request)
        rows += found
        spreads.append(spread)
    return Findings(
        table=rows,
        answers=[_sentence(entry) for entry in spreads],
        tables=[
            Table("Each draw of folds: every image tested once.",
                  (Column("model", "model"), Column("repeat", "draw", "count"), *SCORE_COLUMNS), rows),
            _spread_table(spreads),
        ],
        figures=[_figure(rows)],
        may=["How far figures of this method on these data move by the choice of test specimens alone."],
        may_not=[
            "That the spread over draws is the uncertainty of the accuracy: all draws share the same images, so it"
            " leaves out that other specimens would have been prepared. The intervals by specimen say that.",
            "Anything on other seeds of training: the frozen head has none that matters.",
        ],
        data=[
            *whole.described(),
            f"{request.options['repeats']} draws of {request.options['folds']} folds",
            *METHOD[:1],
        ],
        warnings=list(dict.fromkeys([*small.warnings, *whole.warnings])),
        quarantined=whole.quarantined,
        extra={"spread": spreads},
    )  # fmt: skip


def _repeat(model: str, bench: Bench, request: Request) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    repeats, seed = int(request.options["repeats"]), bench.recipe.seed
    if repeats < 2:
        raise InputError(f"{repeats} draw shows no spread", "--repeats 3")
    learner = RecipeLearner(bench, Arm(model, "").recipe(bench.recipe))
    rows, called, per_fold = [], [], []
    for repeat in range(repeats):
        folds = bench.folds(request.options["folds"], seed + repeat)
        predicted = out_of_fold(bench, learner, folds, f"{model}-{repeat}").argmax(axis=1)
        right = predicted == bench.labels
        per_fold += [float(right[folds == k].mean()) for k in range(int(folds.max()) + 1)]
        called.append(predicted)
        rows.append(
            {"model": model, "repeat": repeat + 1,
             **scores(bench.labels, predicted, len(bench.classes), bench.specimens, seed)}
        )  # fmt: skip
    return rows, _spread(model, rows, np.stack(called), per_fold)


def _spread(
    model: str, rows: Sequence[Mapping[str, Any]], called: np.ndarray[Any, Any], per_fold: list[float]
) -> dict[str, Any]:
    """Return range and spread over draws, and how many images change their verdict between draws."""
    values = {name: [float(row[name]["value"]) for row in rows] for name in ("accuracy", "macro_f1")}
    return {
        "model": model,
        "n": int(called.shape[1]),
        **{f"{name}_range": max(v) - min(v) for name, v in values.items()},
        **{f"{name}_sd": float(np.std(v, ddof=1)) for name, v in values.items()},
        "accuracy_over_folds": t_interval(per_fold).as_dict(),
        "interval_width": float(np.ptp(rows[0]["accuracy"]["ci95"])),
        "images_with_changing_verdict": float((called != called[0]).any(axis=0).mean()),
    }


def _sentence(entry: Mapping[str, Any]) -> str:
    return (
        f"{entry['model']} model: accuracy moves by {percent(entry['accuracy_range'])} between draws, macro-F1 by"
        f" {percent(entry['macro_f1_range'])}; {percent(entry['images_with_changing_verdict'])} of {entry['n']} images"
        f" change their verdict. The interval of one accuracy is {percent(entry['interval_width'])} wide."
    )


def _spread_table(spreads: Sequence[Mapping[str, Any]]) -> Table:
    columns = (
        Column("model", "model"),
        Column("accuracy_range", "accuracy, range over draws", "share"),
        Column("accuracy_sd", "SD over draws", "share"),
        Column("macro_f1_range", "macro-F1, range over draws", "share"),
        Column("accuracy_over_folds", "accuracy, mean of all folds (t)", "share"),
        Column("images_with_changing_verdict", "images whose verdict changes", "share"),
    )
    return Table("Spread over draws.", columns, spreads)


def _figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    drawn = [
        (f"{row['model']}, draw {row['repeat']}", {"accuracy": row["accuracy"], "macro-F1": row["macro_f1"]})
        for row in rows
    ]
    return Figure(experiment_figures.dots(drawn, "draws", "share"), "Scores of each draw with 95 % intervals.")
