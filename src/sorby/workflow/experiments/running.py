"""``run_experiment``: from a name and data to a table, a page and its JSON."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sorby import provenance
from sorby.backbone.runtime import Device
from sorby.classify import Recipe
from sorby.corpus import Corpus
from sorby.errors import InputError
from sorby.files import write_json, write_text
from sorby.report.experiment_page import ExperimentFacts, experiment_page
from sorby.workflow.experiments.registry import Experiment, Findings, Request, find

RESULT_FILE, REPORT_FILE = "experiment.json", "report.html"
_COUNTS, _FEWEST_FOLDS = ("folds", "min_count", "repeats"), 2


def run_experiment(
    name: str,
    data: Corpus | Path | str,
    out: Path | str,
    seed: int | None = None,
    device: Device = "auto",
    *,
    recipe: Recipe | None = None,
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
    report: bool = True,
    **options: Any,
) -> dict[str, Any]:
    """Run one experiment and write its page.

    Parameters
    ----------
    name : str
        See `sorby.workflow.experiments.experiments`.
    data : Corpus or path
        A corpus, a table, or a folder per class.
    out : path
        Gets ``experiment.json`` and ``report.html``.
    seed : int, optional
        Overrides the recipe's seed.
    device : {"auto", "cpu", "cuda"}
    recipe : Recipe, optional
        What every arm starts from; the frozen default where absent.
    label, group, image : str, optional
        Columns of a table.
    report : bool
        Whether the page is written.
    **options
        The experiment's own options.

    Returns
    -------
    dict
        ``experiment``, ``table`` (one row an arm), ``report``, ``seconds``, ``warnings``, ``quarantined`` and what
        the experiment adds.

    Raises
    ------
    InputError
        No such experiment or option, or the data lack a column (it is named).
    """
    started = time.perf_counter()
    chosen, out = find(name), Path(out)
    base = recipe or Recipe()
    if seed is not None:
        base = base.model_copy(update={"seed": seed})
    columns = {"label": label, "group": group, "image": image}
    request = Request(data, out, base, device, columns, _options(chosen, options))
    found = chosen.run(request)
    shutil.rmtree(out / "state", ignore_errors=True)  # of fine-tuned arms, whose results are in
    seconds = time.perf_counter() - started
    facts = provenance.describe(base.seed)
    result: dict[str, Any] = {
        "experiment": name,
        "question": chosen.question,
        "source": chosen.source,
        "table": found.table,
        "answers": found.answers,
        **found.extra,
        "data": list(found.data),
        "options": {key: str(value) if isinstance(value, Path) else value for key, value in request.options.items()},
        "warnings": found.warnings,
        "quarantined": found.quarantined,
        "seconds": seconds,
        "report": str(out / REPORT_FILE) if report else None,
    }
    out.mkdir(parents=True, exist_ok=True)
    if report:
        write_text(out / REPORT_FILE, experiment_page(_facts(chosen, found, facts)))
    write_json(out / RESULT_FILE, {**result, "recipe": base.model_dump(mode="json"), "provenance": facts})
    return result


def _options(chosen: Experiment, given: Mapping[str, Any]) -> dict[str, Any]:
    options = dict(chosen.options)
    for key, value in given.items():
        if value is None:
            continue
        if key not in options:
            own = ", ".join(sorted(options)) or "none"
            raise InputError(f"experiment {chosen.name} has no option {key!r}", f"its options: {own}")
        options[key] = _typed(chosen, key, value) if isinstance(value, str) else value
    return options


def _typed(chosen: Experiment, key: str, text: str) -> Any:
    """Read an option that came as text as what its default is; folds and counts have none in some experiments."""
    default = chosen.options[key]
    whole = key in _COUNTS or isinstance(default, int)
    if not whole and not isinstance(default, float):
        return text
    example = "" if default is None else f", as {key}={default:g}"
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        kind = "whole number" if whole else "number"
        raise InputError(f"option {key}={text} of {chosen.name} is no {kind}", f"give a {kind}{example}") from None
    if not math.isfinite(value) or (key == "folds" and value < _FEWEST_FOLDS):
        raise InputError(f"option {key}={text} of {chosen.name} cannot be", f"give another number{example}")
    return value


def _facts(chosen: Experiment, found: Findings, facts: Mapping[str, Any]) -> ExperimentFacts:
    return ExperimentFacts(
        title=chosen.title,
        question=chosen.question,
        source=chosen.source,
        answers=found.answers,
        tables=found.tables,
        figures=found.figures,
        may=found.may,
        may_not=found.may_not,
        data=found.data,
        arms=found.arms,
        warnings=found.warnings,
        quarantined=found.quarantined,
        provenance=facts,
    )
