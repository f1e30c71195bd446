"""Leave-one-group-out: what happens at an alloy, plant, microscope or magnification that was not taught."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.evidence import compare
from sorby.progress import bar
from sorby.report import experiment_figures
from sorby.report.experiment_page import Column, Figure, Table, points
from sorby.report.wording import percent
from sorby.workflow.experiments.ablations import COMMON
from sorby.workflow.experiments.arms import Arm, RecipeLearner, out_of_fold
from sorby.workflow.experiments.bench import Bench, Rows, open_bench
from sorby.workflow.experiments.comparing import METHOD, SCORE_COLUMNS, SCORES, correct_for_family, scores
from sorby.workflow.experiments.registry import Findings, Request, experiment

#: Levels with fewer images than this are put together (S1-10).
LEAST_IMAGES, TOGETHER = 10, "miscellaneous"
_OPTIONS = {**COMMON, "by": "plant"}


@experiment(
    "leave-one-out-group",
    "Leave one group out: unseen alloys, plants, microscopes",
    "S1-72",
    options=_OPTIONS,
    question=("Does the classifier hold at an alloy, plant, microscope or magnification that it was not taught?"),
)
def leave_one_group_out(request: Request) -> Findings:
    """Leave out each level of a column in turn.

    Each level in turn is left out of the teaching and tested; the same images are held against ordinary cross-
    validation, where other images of their level were taught.
    """
    by = str(request.options["by"])
    bench = open_bench(request, (by,))
    levels = merged_levels(bench.column(by))
    names = np.unique(levels)
    if len(names) < 2:
        raise InputError(f"column {by!r} holds one level only, {names[0]!r}", "nothing can be left out")
    learner = RecipeLearner(bench, Arm(by, "").recipe(bench.recipe))
    ordinary = out_of_fold(bench, learner, bench.folds(request.options["folds"]), "ordinary").argmax(axis=1)
    rows, everywhere = [], _Everywhere(bench.n)
    with bar(by, len(names)) as advance:
        for name in names:
            rows.append(_leave_out(bench, learner, levels == name, name, ordinary, everywhere))
            advance(1)
    rows.append(_row(bench, "all levels", everywhere.tested, everywhere.called, ordinary))
    correct_for_family([row["mcnemar"] for row in rows if "mcnemar" in row])
    return Findings(
        table=rows,
        answers=_sentences(rows, by),
        tables=[_table(rows, by)],
        figures=_figures(rows),
        may=[f"What an unseen level of {by!r} costs on these data, level by level."],
        may_not=[
            f"That {by!r} is the cause: levels may differ in other things (classes, magnification, preparation).",
            "Anything on classes that exist at one level only: left out, nobody taught them; they are not counted.",
        ],
        data=[*bench.described(), f"levels of {by!r} with fewer than {LEAST_IMAGES} images are put together as"
              f" {TOGETHER!r}", *METHOD],
        warnings=bench.warnings,
        quarantined=bench.quarantined,
        extra={"by": by},
    )  # fmt: skip


def merged_levels(values: npt.NDArray[np.str_]) -> npt.NDArray[np.str_]:
    """Put levels with fewer than `LEAST_IMAGES` images together; rows without a value are a level of their own."""
    named = np.where(values == "", "not stated", values)
    levels, index, counts = np.unique(named, return_inverse=True, return_counts=True)
    return np.where(counts[index] < LEAST_IMAGES, TOGETHER, levels[index]).astype(str)


@dataclass(eq=False)
class _Everywhere:
    """Verdicts collected over the levels."""

    n: int

    def __post_init__(self) -> None:
        self.called: Rows = np.full(self.n, -1, np.intp)

    @property
    def tested(self) -> Rows:
        """Rows that have a verdict."""
        return np.flatnonzero(self.called >= 0)


def _leave_out(
    bench: Bench, learner: RecipeLearner, inside: npt.NDArray[np.bool_], name: str, ordinary: Rows,
    everywhere: _Everywhere,
) -> dict[str, Any]:  # fmt: skip
    train, test = np.flatnonzero(~inside), np.flatnonzero(inside)
    if bench.plan.groups is not None:  # a specimen with images at several levels stays out of the teaching
        train = train[~np.isin(bench.plan.groups[train], bench.plan.groups[test])]
    counts = np.bincount(bench.labels[train], minlength=len(bench.classes))
    taught = counts >= 2
    nameable = test[taught[bench.labels[test]]]
    row: dict[str, Any] = {"arm": name, "n_taught": len(train), "n_unteachable": len(test) - len(nameable)}
    row["only_here"] = [bench.classes[c] for c in np.unique(bench.labels[test]) if not taught[c]]
    if not len(nameable) or taught.sum() < 2 or _too_few(bench, train):
        return row | {"n": 0, "note": "none of its classes can be taught elsewhere"}
    train = train[taught[bench.labels[train]]]
    everywhere.called[nameable] = learner.predict(train, nameable, f"without {name}").argmax(axis=1)
    return row | _row(bench, name, nameable, everywhere.called, ordinary)


def _too_few(bench: Bench, train: Rows) -> bool:
    """Whether too few specimens are left to choose a head by inner folds."""
    groups = bench.plan.groups
    return len(np.unique(train if groups is None else groups[train])) < 2


def _row(bench: Bench, name: str, rows: Rows, called: Rows, ordinary: Rows) -> dict[str, Any]:
    truth, seed, n_classes = bench.labels[rows], bench.recipe.seed, len(bench.classes)
    groups = None if bench.specimens is None else bench.specimens[rows]
    if not len(rows):
        return {"arm": name, "n": 0}
    test, gaps = compare(truth, called[rows], ordinary[rows], n_classes, groups, seed)
    return {
        "arm": name,
        **scores(truth, called[rows], n_classes, groups, seed),
        "ordinary": {key: scores(truth, ordinary[rows], n_classes, groups, seed)[key] for key in SCORES},
        "difference": {key: gaps[key].as_dict() for key in SCORES},
        "mcnemar": {"only_this": test.only_a, "only_reference": test.only_b, "p": test.p_value},
    }


def _table(rows: Sequence[Mapping[str, Any]], by: str) -> Table:
    columns = (
        Column("arm", f"{by} left out"),
        *SCORE_COLUMNS[:3],
        Column("macro_f1", "macro-F1", "share"),
        Column("ordinary.accuracy", "accuracy when taught", "share"),
        Column("difference.accuracy", "difference, points", "points"),
        Column("mcnemar.p_holm", "McNemar p, Holm", "p"),
        Column("n_unteachable", "images of classes found only here", "count"),
    )
    return Table("Each level tested by a classifier that was not taught it.", columns, rows)


def _figures(rows: Sequence[Mapping[str, Any]]) -> list[Figure]:
    drawn = [
        (f"{row['arm']} ({row['n']})", {"left out": row["accuracy"], "taught": row["ordinary"]["accuracy"]})
        for row in rows
        if "accuracy" in row
    ]
    if not drawn:
        return []
    svg = experiment_figures.dots(drawn, "levels", "accuracy")
    return [Figure(svg, "Accuracy at each level, left out of the teaching and taught; 95 % intervals.")]


def _sentences(rows: Sequence[Mapping[str, Any]], by: str) -> list[str]:
    everywhere = rows[-1]
    found = []
    if "difference" in everywhere:
        gap = everywhere["difference"]["accuracy"]
        span = "" if gap["ci95"] is None else f" ({points(gap['ci95'][0])} to {points(gap['ci95'][1])})"
        found.append(
            f"At an unseen {by} accuracy is {percent(everywhere['accuracy']['value'])} instead of"
            f" {percent(everywhere['ordinary']['accuracy']['value'])}: {points(gap['value'])} points{span},"
            f" n = {everywhere['n']}."
        )
    hit = [row for row in rows[:-1] if row.get("mcnemar", {}).get("p_holm", 1.0) < 0.05]
    found.append(f"Levels with a difference that holds after correction: {', '.join(r['arm'] for r in hit) or 'none'}.")
    lost = [row for row in rows[:-1] if row.get("n_unteachable")]
    if lost:
        listed = "; ".join(f"{row['arm']}: {', '.join(row['only_here'])} ({row['n_unteachable']})" for row in lost)
        found.append(f"Classes that exist at one level only and are not counted when it is left out: {listed}.")
    return found
