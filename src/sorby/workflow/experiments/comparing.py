"""The table of a comparison: every arm with its intervals, and its paired difference to the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.evidence import compare, holm, score
from sorby.report import experiment_figures
from sorby.report.experiment_page import Column, Figure, Table, points
from sorby.report.wording import percent
from sorby.workflow.experiments.arms import Arm, cross_predict
from sorby.workflow.experiments.bench import Bench, Floats, Rows

SCORES = ("accuracy", "balanced_accuracy", "macro_f1")
SCORE_COLUMNS = (
    Column("n", "n", "count"),
    Column("n_specimens", "specimens", "count"),
    Column("accuracy", "accuracy", "share"),
    Column("balanced_accuracy", "balanced accuracy", "share"),
    Column("macro_f1", "macro-F1", "share"),
)
DIFFERENCE_COLUMNS = (
    Column("difference.accuracy", "accuracy less reference, points", "points"),
    Column("difference.macro_f1", "macro-F1 less reference, points", "points"),
    Column("mcnemar.p", "McNemar p", "p"),
    Column("mcnemar.p_holm", "p, Holm", "p"),
)
METHOD = (
    "intervals: 95 %, bootstrap by specimen (Wilson where every image is its own specimen)",
    "differences: the same images, paired bootstrap by specimen; McNemar's exact test counts images singly, so with"
    " several images of a specimen its p is too small; p, Holm is corrected for all comparisons of the table",
)
MAY_NOT = (
    "That an arm is best everywhere: the comparison holds for these images and this protocol.",
    "That arms whose interval holds zero are equally good: no difference was shown, none was excluded.",
)


def scores(
    truth: Rows, predicted: npt.NDArray[Any], n_classes: int, groups: npt.NDArray[Any] | None, seed: int
) -> dict[str, Any]:
    """Return ``n``, ``n_specimens`` and each of `SCORES` as an estimate fit for JSON."""
    found = score(truth, predicted, n_classes, groups, seed)
    row: dict[str, Any] = {"n": found["n"], "n_specimens": found["n_specimens"]}
    return row | {name: found[name].as_dict() for name in SCORES}  # type: ignore[literal-required]


@dataclass(frozen=True, eq=False)
class Compared:
    """Arms held against each other.

    Attributes
    ----------
    rows : list of dict
        One an arm: ``arm``, scores, ``difference`` and ``mcnemar`` against ``reference``.
    probabilities : dict
        Arm name to its out-of-fold probabilities (n, C).
    reference : str
    """

    rows: list[dict[str, Any]]
    probabilities: Mapping[str, Floats]
    reference: str


def compare_arms(bench: Bench, arms: Sequence[Arm], folds: Rows, reference: str | None = None) -> Compared:
    """Teach and test every arm on the same folds.

    Parameters
    ----------
    bench : Bench
    arms : sequence of Arm
    folds : ndarray of int, shape (n,)
    reference : str, optional
        Name of the arm that the others are held against; the first where absent.
    """
    probabilities = {arm.name: cross_predict(bench, arm, folds) for arm in arms}
    reference = reference or arms[0].name
    called = {name: found.argmax(axis=1) for name, found in probabilities.items()}
    rows = compared_rows(bench.labels, called, len(bench.classes), bench.specimens, reference, bench.recipe.seed)
    return Compared(rows, probabilities, reference)


def compared_rows(
    truth: Rows,
    called: Mapping[str, npt.NDArray[Any]],
    n_classes: int,
    groups: npt.NDArray[Any] | None,
    reference: str,
    seed: int,
) -> list[dict[str, Any]]:
    """Return one row an arm: its scores, and its paired difference to the reference arm.

    Parameters
    ----------
    truth : ndarray of int, shape (n,)
    called : mapping
        Arm name to class codes (n,).
    n_classes : int
    groups : ndarray, shape (n,), optional
        Specimens.
    reference : str
    seed : int
        Of the bootstrap.
    """
    rows = []
    for name, codes in called.items():
        row: dict[str, Any] = {"arm": name, "reference": name == reference}
        row |= scores(truth, codes, n_classes, groups, seed)
        if name != reference:
            test, gaps = compare(truth, codes, called[reference], n_classes, groups, seed)
            row["difference"] = {key: gaps[key].as_dict() for key in SCORES}
            row["mcnemar"] = {"only_this": test.only_a, "only_reference": test.only_b, "p": test.p_value}
        rows.append(row)
    correct_for_family([row["mcnemar"] for row in rows if "mcnemar" in row])
    return rows


def correct_for_family(tests: Sequence[dict[str, Any]]) -> None:
    """Add ``p_holm`` to each test, corrected for all of them."""
    for entry, corrected in zip(tests, holm([entry["p"] for entry in tests]), strict=True):
        entry["p_holm"] = float(corrected)


def table_of_arms(rows: Sequence[Mapping[str, Any]], reference: str, first: str = "arm") -> Table:
    """Return the page's table of a comparison."""
    caption = f"Each arm, and its difference to the reference: {reference}. Below each figure its 95 % interval."
    return Table(caption, (Column("arm", first), *SCORE_COLUMNS, *DIFFERENCE_COLUMNS), rows)


def figures_of_arms(rows: Sequence[Mapping[str, Any]], reference: str) -> list[Figure]:
    """Return scores of the arms and their differences to the reference, dots with intervals."""
    drawn = [(str(row["arm"]), {"accuracy": row["accuracy"], "macro-F1": row["macro_f1"]}) for row in rows]
    found = [Figure(experiment_figures.dots(drawn, "scores", "share"), "Scores of each arm with 95 % intervals.")]
    gaps = [
        (str(row["arm"]), {"accuracy": row["difference"]["accuracy"], "macro-F1": row["difference"]["macro_f1"]})
        for row in rows
        if "difference" in row
    ]
    if gaps:
        svg = experiment_figures.dots(
            gaps, "differences", f"difference to {reference}, points", reference=0.0, shares=False, points=True
        )
        found.append(Figure(svg, "Paired differences; an interval that leaves out the dashed line shows a difference."))
    return found


def sentences_of_arms(rows: Sequence[Mapping[str, Any]], reference: str) -> list[str]:
    """Say which arms differ from the reference, and which were not shown to."""
    base = next(row for row in rows if row["arm"] == reference)
    lines = [f"{reference}: {_scored(base)}."]
    for row in rows:
        if "difference" not in row:
            continue
        gap, p = row["difference"]["macro_f1"], row["mcnemar"]["p_holm"]
        bounds = gap["ci95"]
        clear = bounds is not None and (bounds[0] > 0 or bounds[1] < 0)
        word = "better" if gap["value"] > 0 else "worse"
        said = f"{word} in macro-F1" if clear else "no difference in macro-F1 shown"
        span = "" if bounds is None else f" ({points(bounds[0])} to {points(bounds[1])})"
        lines.append(
            f"{row['arm']}: {_scored(row)}; {said}: {points(gap['value'])} points{span}; McNemar p, Holm {p:.2g}."
        )
    return lines


def _scored(row: Mapping[str, Any]) -> str:
    return f"accuracy {percent(row['accuracy']['value'])}, macro-F1 {percent(row['macro_f1']['value'])}"


def confusion_of(truth: Rows, probabilities: Floats, n_classes: int) -> list[list[int]]:
    """Return the confusion matrix (rows true) of out-of-fold probabilities."""
    table = np.zeros((n_classes, n_classes), np.intp)
    np.add.at(table, (truth, probabilities.argmax(axis=1)), 1)
    found: list[list[int]] = table.tolist()
    return found
