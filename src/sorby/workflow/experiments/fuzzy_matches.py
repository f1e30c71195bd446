"""What do images that were matched with their report by similarity only do to a classifier and to its figures?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.classify import Recipe
from sorby.corpus.archive.selection import certain_matches
from sorby.errors import InputError
from sorby.workflow.experiments.ablations import COMMON
from sorby.workflow.experiments.arms import Arm, RecipeLearner, cross_predict
from sorby.workflow.experiments.bench import Bench, Floats, Rows, open_bench
from sorby.workflow.experiments.comparing import (
    MAY_NOT,
    METHOD,
    compared_rows,
    confusion_of,
    figures_of_arms,
    scores,
    sentences_of_arms,
    table_of_arms,
)
from sorby.workflow.experiments.registry import Findings, Request, experiment

_ALL, _CERTAIN = "all matches", "exact matches"


class CertainLearner:
    """A recipe's learner that is taught by exact matches only.

    Parameters
    ----------
    bench : Bench
        Its corpus has a column ``match``.
    recipe : Recipe
    """

    def __init__(self, bench: Bench, recipe: Recipe) -> None:
        self._inner = RecipeLearner(bench, recipe)
        self._certain = certain_matches(bench.corpus.table)

    def predict(self, train: Rows, test: Rows, name: str) -> Floats:
        """Teach on the certain rows of *train*, return probabilities of *test*."""
        return self._inner.predict(train[self._certain[train]], test, name)


@experiment(
    "fuzzy-matches",
    "Images matched by similarity: in the teaching, in the test, or in neither",
    "S4-54",
    options=COMMON,
    needs=("match",),
    question=(
        "Some images carry the label of a report whose number is only like theirs. Does it matter whether a classifier"
        " is taught by them, and are its figures other ones without them?"
    ),
)
def fuzzy_matches(request: Request) -> Findings:
    """Compare teaching with and without fuzzy matches, tested on exact matches; and tests with and without them.

    Schmid et al. name fuzzy matches (below 10 % of images) as a possible cause of the gap between training and
    validation; they print no figures without them.
    """
    bench = open_bench(request, ("match",))
    certain = certain_matches(bench.corpus.table)
    if certain.all():
        raise InputError("every image is an exact match", "there is nothing to leave out")
    folds = bench.folds(request.options["folds"])
    arms = [
        Arm(_ALL, "taught by every image that takes part"),
        Arm(_CERTAIN, "taught by images whose FOAN is a report's", make=CertainLearner),
    ]
    probabilities = {arm.name: cross_predict(bench, arm, folds) for arm in arms}
    called = {name: found.argmax(axis=1) for name, found in probabilities.items()}
    rows = _on(bench, called, certain)
    both = _tests(bench, called[_ALL], certain)
    confusion = {
        name: confusion_of(bench.labels[certain], found[certain], len(bench.classes))
        for name, found in probabilities.items()
    }
    n_fuzzy = int((~certain).sum())
    gap = 100 * (both["exact_only"]["macro_f1"]["value"] - both["all_images"]["macro_f1"]["value"])
    return Findings(
        table=rows,
        answers=[
            *sentences_of_arms(rows, _ALL),
            f"Taught by all: macro-F1 {both['all_images']['macro_f1']['value']:.3f} on all {bench.n} images, "
            f"{both['exact_only']['macro_f1']['value']:.3f} without the {n_fuzzy} matched by similarity "
            f"({gap:+.1f} points).",
        ],
        tables=[table_of_arms(rows, _ALL)],
        figures=figures_of_arms(rows, _ALL),
        may=["Whether labels from similar numbers harm this classifier on images whose labels are certain."],
        may_not=[*MAY_NOT, "How many of the fuzzy matches are wrong: only a person at the archive can tell."],
        data=[
            *bench.described(),
            f"{n_fuzzy} images matched by similarity or tie; arms are compared on the other {int(certain.sum())}",
            f"{int(folds.max()) + 1}-fold cross-validation, the same folds for both arms",
            *METHOD,
        ],
        arms=[(arm.name, arm.meaning) for arm in arms],
        warnings=bench.warnings,
        quarantined=bench.quarantined,
        extra={"reference": _ALL, "classes": list(bench.classes), "confusion": confusion, "tests": both},
    )


def _on(bench: Bench, called: Mapping[str, npt.NDArray[Any]], rows: npt.NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Compare the arms on some rows."""
    groups = None if bench.specimens is None else bench.specimens[rows]
    kept = {name: codes[rows] for name, codes in called.items()}
    return compared_rows(bench.labels[rows], kept, len(bench.classes), groups, _ALL, bench.recipe.seed)


def _tests(bench: Bench, codes: npt.NDArray[Any], certain: npt.NDArray[np.bool_]) -> dict[str, dict[str, Any]]:
    """Return the scores of one classifier on all images and on exact matches."""
    everything = np.ones(bench.n, np.bool_)
    found = {}
    for name, rows in (("all_images", everything), ("exact_only", certain)):
        groups = None if bench.specimens is None else bench.specimens[rows]
        found[name] = scores(bench.labels[rows], codes[rows], len(bench.classes), groups, bench.recipe.seed)
    return found
