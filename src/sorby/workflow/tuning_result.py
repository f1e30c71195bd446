"""What a search over recipes leaves: the best recipe, a table of trials, which settings mattered, a page."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from sorby import provenance
from sorby.classify import Recipe
from sorby.classify import recipe as recipes
from sorby.classify.search_space import Dimension, described
from sorby.errors import InputError
from sorby.files import atomic_write, write_text
from sorby.workflow.training import Ready

BEST_FILE, TABLE_FILE = "best.yaml", "trials.csv"
_LEAST_FOR_IMPORTANCE = 4  # completed trials


def search_result(
    optuna: ModuleType,
    study: Any,
    base: Recipe,
    searched: Recipe,
    space: Mapping[str, Dimension],
    ready: Ready,
    inner: dict[str, int],
    out: Path,
    study_file: Path,
) -> dict[str, Any]:
    """Write table and best recipe and return what the command says."""
    rows = [_row(trial) for trial in study.trials]
    states = Counter(row["state"] for row in rows)
    if not states["complete"]:
        reasons = [str(row["reason"]) for row in rows if row["reason"]]
        raise InputError(
            f"none of {len(rows)} trials was trained to its end{f' ({reasons[0]})' if reasons else ''}",
            "more --trials, or another recipe",
        )
    best = study.best_trial
    chosen = recipes.changed(base, {**best.params, "name": f"{base.name}-tuned"})
    write_text(out / BEST_FILE, recipes.dump(chosen))
    _write_table(out / TABLE_FILE, rows, list(space))
    warnings = list(ready.warnings)
    importance, why_not = _importance(optuna, study, searched.seed)
    if why_not:
        warnings.append(why_not)
    warnings.append(
        "the best value is the largest of many on the images it was chosen by and is too good; sorby train with"
        f" {BEST_FILE} tests it on specimens that no trial has seen, cross-validation would test on those it was"
        " chosen by"
    )
    return {
        "best": {
            "number": best.number,
            "value": best.value,
            "metric": "macro_f1",
            "settings": best.params,
            "recipe": str(out / BEST_FILE),
        },
        "trials": rows,
        "states": dict(states),
        "importance": importance,
        "inner": inner,
        "grouped": ready.plan.grouped,
        "space": {name: described(dimension) for name, dimension in space.items()},
        "study": str(study_file),
        "table": str(out / TABLE_FILE),
        "report": None,
        "warnings": warnings,
        "quarantined": [entry.as_dict() for entry in ready.quarantined],
    }


def _row(trial: Any) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "value": trial.value,
        "steps": len(trial.intermediate_values),
        "seconds": trial.user_attrs.get("seconds"),
        "reason": trial.user_attrs.get("reason", ""),
        "settings": dict(trial.params),
    }


def _importance(optuna: ModuleType, study: Any, seed: int) -> tuple[dict[str, float] | None, str]:
    """Return each setting's share of the variance of the score by fANOVA (Hutter et al. 2014), or why there is none."""
    values = {trial.value for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE}
    if len(values) < _LEAST_FOR_IMPORTANCE:
        return None, f"importance needs {_LEAST_FOR_IMPORTANCE} completed trials that differ, there are {len(values)}"
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {str(name): float(share) for name, share in found.items()}, ""


def _write_table(path: Path, rows: list[dict[str, Any]], names: list[str]) -> None:
    """Write one line a trial."""
    fixed = ("number", "state", "value", "steps", "seconds", "reason")
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*fixed, *names])
    for row in rows:
        writer.writerow([*(row[key] for key in fixed), *(row["settings"].get(name, "") for name in names)])
    with atomic_write(path) as file:
        file.write(text.getvalue().encode("utf-8"))


def write_page(out: Path, result: dict[str, Any], study: Any, base: Recipe, space: Mapping[str, Dimension]) -> str:
    """Write the page of the search and return its path."""
    from sorby.report.tuning_page import TrialCurve, tuning_page

    curves = [
        TrialCurve(
            trial.number,
            trial.state.name.lower(),
            None if trial.value is None else float(trial.value),
            [float(trial.intermediate_values[step]) for step in sorted(trial.intermediate_values)],
            dict(trial.params),
        )
        for trial in study.trials
    ]
    page = tuning_page(
        base.name, curves, result, {name: described(dimension) for name, dimension in space.items()},
        provenance.describe(base.seed),
    )  # fmt: skip
    path = out / "report.html"
    write_text(path, page)
    return str(path)
