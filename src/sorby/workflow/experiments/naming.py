"""Naming: how many findings of an anomaly map must a person name before the others have their right names?"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.corpus import Corpus
from sorby.errors import InputError
from sorby.evidence import t_interval
from sorby.report import experiment_figures
from sorby.report.experiment_page import Column, Figure, Table
from sorby.report.wording import percent
from sorby.workflow.detection.asking import ask
from sorby.workflow.detection.name_model import UNKNOWN, Floats, Naming, compressed, embedded, name_all
from sorby.workflow.detection.naming import start_naming
from sorby.workflow.detection.naming_phantoms import known_findings
from sorby.workflow.detection.naming_session import Session
from sorby.workflow.experiments.registry import Findings, Request, experiment

LABELS = (5, 10, 20, 40)
"""Findings named by hand, at which the others are judged."""
STRATEGIES = ("asked", "drawn")
_MEASURES = (
    "accuracy", "balanced", "sure_share", "sure_accuracy", "cross_fitted", "kinds", "unknown_strange", "unknown_known",
    "seconds",
)  # fmt: skip


@experiment(
    "naming",
    "Naming: from where to what",
    "Yan et al. 2023",
    options={"base": "phantom", "frames": 100, "repeats": 5},
    question=(
        "An anomaly map says where something is, not what. If a person names a few of its findings, how many of the"
        " others get their right name, and does it help to choose which ones the person is asked for?"
    ),
)
def naming(request: Request) -> Findings:
    """Name the findings of a phantom web; DATA is the folder that keeps it, made where it is not there yet.

    Options: ``base`` (a box detector's bundle, or ``phantom``), ``frames`` of the web, ``repeats`` (other draws).
    """
    if isinstance(request.data, Corpus):
        raise InputError("the experiment naming renders its own data", "give a folder that keeps it, e.g. phantom-web")
    folder, seed = Path(request.data), request.recipe.seed
    repeats = int(request.options["repeats"])
    if repeats < 2:
        raise InputError(f"{repeats} draw shows no spread", "--repeats 5")
    known = known_findings(folder, frames=int(request.options["frames"]), seed=seed, device=request.device)
    session = _described(folder, str(request.options["base"]), request)
    found, values = session.described()
    kind_of = dict(zip((each.number for each in known.findings), known.truth, strict=True))
    truth = np.array([kind_of[each.number] for each in found])
    rows = embedded(values)
    runs = [
        entry
        for repeat in range(repeats)
        for strategy in STRATEGIES
        for entry in rounds(rows, truth, strategy, seed=seed + repeat)
    ]
    table = [_summary(runs, strategy, n) for strategy in STRATEGIES for n in LABELS if _of(runs, strategy, n)]
    return Findings(
        table=table,
        answers=_answers(table, len(found)),
        tables=[_table(table)],
        figures=_figures(table),
        may=["How many names such findings need, on a surface and with kinds of defects like these."],
        may_not=[
            "That real findings part as clearly: these are phantoms, and whoever names them here never errs.",
            "How sure the names of another web would be: draws differ in who is named, not in the web.",
        ],
        data=[
            f"{len(found)} findings of an anomaly detector on {request.options['frames']} frames of a phantom web",
            "what they show: " + ", ".join(f"{name} {n}" for name, n in Counter(truth.tolist()).most_common()),
            "defects without any finding, which no naming can mend: "
            + ", ".join(f"{name} {n}" for name, n in known.missed.items() if n),
            f"{repeats} draws of the first findings; t intervals over them",
            "a finding shows the defect that covers most of it; a long scratch gives several findings",
        ],
        arms=[
            ("asked", "findings typical of unlike groups; from the second round on, half of them those in doubt"),
            ("drawn", "findings drawn at random"),
        ],
        extra={"kinds": dict(Counter(truth.tolist())), "missed": known.missed},
    )


def _described(folder: Path, base: str, request: Request) -> Session:
    """Return a session with all findings described, kept beside the web for the next time."""
    out = folder / "naming"
    if not (out / "to-label.csv").exists():
        start_naming(folder / "scored", out, base=base, seed=request.recipe.seed, device=request.device)
    session = Session.open(out)
    if base not in ("phantom", session.settings.base):
        raise InputError(f"{out}: described by {session.settings.base}", "choose another folder for this base")
    return session


def rounds(rows: Floats, truth: npt.NDArray[Any], strategy: str, *, seed: int) -> list[dict[str, Any]]:
    """Name findings round by round and judge those that nobody named.

    Parameters
    ----------
    rows : ndarray of float32, shape (n, d)
    truth : ndarray of str, shape (n,)
    strategy : {"asked", "drawn"}
    seed : int

    Returns
    -------
    list of dict
        One for each of `LABELS` that leaves findings to judge.
    """
    drawn = np.random.default_rng([seed, 9]).permutation(len(rows))
    groups = compressed(rows)
    given: dict[int, str] = {}
    last: Naming | None = None
    found: list[dict[str, Any]] = []
    for count in (n for n in LABELS if n < len(rows)):
        if strategy == "drawn":
            chosen = drawn[len(given) : count].tolist()
        else:
            several = last.probabilities if last is not None and len(last.classes) > 1 else None
            chosen = ask(
                groups, np.array(sorted(given), np.intp), np.zeros(0, np.intp), count - len(given),
                probabilities=several, seed=seed + count,
            )  # fmt: skip
        given |= {int(k): str(truth[k]) for k in chosen}
        started = time.perf_counter()
        last = name_all(rows, given, seed=seed)
        seconds = time.perf_counter() - started
        found.append({"strategy": strategy, "n": count, **judged(last, truth, given), "seconds": seconds})
    return found


def judged(last: Naming, truth: npt.NDArray[Any], given: Mapping[int, str]) -> dict[str, float | None]:
    """Return what is right among findings that nobody named."""
    rest = np.setdiff1d(np.arange(len(truth)), sorted(given))
    likeliest = np.array(last.classes)[last.probabilities[rest].argmax(1)]
    right, kinds = likeliest == truth[rest], truth[rest]
    sure = ~last.unsure[rest]
    strange = ~np.isin(kinds, last.classes)
    unknown = np.array(last.label)[rest] == UNKNOWN
    return {
        "accuracy": float(right.mean()),
        "balanced": float(np.mean([right[kinds == kind].mean() for kind in np.unique(kinds)])),
        "sure_share": float(sure.mean()),
        "sure_accuracy": float(right[sure].mean()) if sure.any() else None,
        "cross_fitted": last.accuracy["value"],
        "kinds": float(len(last.classes)),
        "unknown_strange": float(unknown[strange].mean()) if strange.any() else None,
        "unknown_known": float(unknown[~strange].mean()) if (~strange).any() else None,
    }


def _of(runs: Sequence[Mapping[str, Any]], strategy: str, n: int) -> list[Mapping[str, Any]]:
    return [each for each in runs if each["strategy"] == strategy and each["n"] == n]


def _summary(runs: Sequence[Mapping[str, Any]], strategy: str, n: int) -> dict[str, Any]:
    """Return the mean of each measure over draws, its interval and the number of draws that have it."""
    mine = _of(runs, strategy, n)
    return {"arm": f"{strategy}, {n}", "strategy": strategy, "n": n, **{key: _mean(mine, key) for key in _MEASURES}}


def _mean(runs: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any] | None:
    values = [float(each[key]) for each in runs if each[key] is not None]
    if not values:
        return None
    if len(values) == 1:
        return {"value": values[0], "ci95": None, "n": 1}
    bounds = t_interval(values).as_dict()["ci95"]
    if bounds is not None and key != "seconds" and key != "kinds":
        bounds = [max(0.0, bounds[0]), min(1.0, bounds[1])]
    return {"value": float(np.mean(values)), "ci95": bounds, "n": len(values)}


def _answers(table: Sequence[Mapping[str, Any]], count: int) -> list[str]:
    lines = []
    for n in sorted({row["n"] for row in table}):
        asked, drawn = (next(row for row in table if row["strategy"] == s and row["n"] == n) for s in STRATEGIES)
        lines.append(
            f"{n} names: {percent(asked['accuracy']['value'])} of the other {count - n} findings are named rightly"
            f" where the person was asked, {percent(drawn['accuracy']['value'])} where findings were drawn;"
            f" {asked['kinds']['value']:.1f} and {drawn['kinds']['value']:.1f} kinds were met;"
            f" a round takes {asked['seconds']['value']:.1f} s."
        )
    last = max((row for row in table if row["strategy"] == "asked"), key=lambda row: row["n"])
    if last["sure_accuracy"] is not None:
        lines.append(
            f"With {last['n']} names, {percent(last['sure_share']['value'])} of the findings are called sure, and"
            f" {percent(last['sure_accuracy']['value'])} of these are right; the limit aims at 90 %."
        )
    return lines


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = (
        Column("strategy", "who is named"),
        Column("n", "names given", "count"),
        Column("kinds", "kinds met", "number"),
        Column("accuracy", "others named rightly", "share"),
        Column("balanced", "mean over kinds", "share"),
        Column("cross_fitted", "what the session reports", "share"),
        Column("sure_share", "called sure", "share"),
        Column("sure_accuracy", "right among sure", "share"),
        Column("unknown_strange", "unknown among kinds not met", "share"),
        Column("unknown_known", "unknown among kinds met", "share"),
        Column("seconds", "seconds a round", "number"),
    )
    return Table("Names of findings, means over draws with 95 % t intervals.", columns, rows)


def _figures(table: Sequence[Mapping[str, Any]]) -> list[Figure]:
    counts = sorted({row["n"] for row in table})
    at = {(row["strategy"], row["n"]): row["accuracy"] for row in table}
    series = {strategy: [at[strategy, n] for n in counts] for strategy in STRATEGIES}
    drawn = experiment_figures.curves(counts, series, "naming", ("findings named by hand", "others named rightly"))
    sure = [
        (row["arm"], {"right among sure": row["sure_accuracy"], "called sure": row["sure_share"]})
        for row in table
        if row["sure_accuracy"] is not None
    ]
    figures = [Figure(drawn, "Share of right names among the findings that nobody named.")]
    if sure:
        figures.append(
            Figure(
                experiment_figures.dots(sure, "naming-sure", "share of findings", reference=0.9),
                "What is called sure, and how much of it is right; the dashed line is what the limit aims at.",
            )
        )
    return figures
