"""Severity along time: one verdict a frame, a trend that never falls, and what a condition does to the pace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.isotonic import isotonic_regression

from sorby.errors import InputError
from sorby.evidence import Estimate, bootstrap_estimate, grades_of, mean_by_specimen
from sorby.report import experiment_figures
from sorby.report.experiment_page import Column, Figure, Table
from sorby.report.wording import number, percent
from sorby.workflow.experiments.arms import cross_predict
from sorby.workflow.experiments.bench import Bench, open_bench
from sorby.workflow.experiments.comparing import METHOD
from sorby.workflow.experiments.registry import Findings, Request, experiment
from sorby.workflow.experiments.severity import ARMS

Floats = npt.NDArray[np.float64]

_OPTIONS: dict[str, Any] = {
    "folds": 5,
    "min_count": 2,
    "column": "severity",
    "by": "temperature_k",
    "within": "alloy",
    "grade": 1,
    "coverage": 0.9,
}
_FEWEST_FRAMES, _FEWEST_SERIES, _RESAMPLES = 3, 5, 2000
_ORDINAL = next(arm for arm in ARMS if arm.name == "ordinal")


@dataclass(frozen=True, eq=False)
class Series:
    """One sequence.

    Attributes
    ----------
    name, specimen : str
    rows : ndarray of int, shape (f,)
        Of the bench, by rising time.
    hours, said, trend, truth : ndarray, shape (f,)
        Expected grade of each frame, the non-falling curve nearest to them, and the noted grade.
    """

    name: str
    specimen: str
    rows: npt.NDArray[np.intp]
    hours: Floats
    said: Floats
    trend: Floats
    truth: Floats

    @property
    def miss(self) -> float:
        """Largest distance of the trend from the noted grade over all frames."""
        return float(np.abs(self.trend - self.truth).max())

    def hours_until(self, severity: float) -> float:
        """Return when the trend first reaches a severity, linearly between frames; NaN where it never does."""
        reached = np.flatnonzero(self.trend >= severity)
        if not len(reached):
            return float("nan")
        k = int(reached[0])
        if k == 0:
            return float(self.hours[0])
        rise = self.trend[k] - self.trend[k - 1]
        part = (severity - self.trend[k - 1]) / rise
        return float(self.hours[k - 1] + part * (self.hours[k] - self.hours[k - 1]))


@experiment(
    "time-lapse",
    "Severity along time",
    "S2-43",
    needs=("specimen", "severity", "sequence", "hours"),
    options=_OPTIONS,
    question="How far do verdicts on single frames tell the course of attack, and whether a condition slows it?",
)
def time_lapse(request: Request) -> Findings:
    """Judge frames singly, draw a trend that never falls, and compare the pace between conditions."""
    column = str(request.options["column"])
    coverage, grade = float(request.options["coverage"]), int(request.options["grade"])
    if not 0.5 <= coverage < 1:
        raise InputError(f"a coverage of {coverage:g} is no promise", "give .5 to below 1, as coverage=0.9")
    bench = open_bench(
        request, ("specimen", column, "sequence", "hours"), label=column,
        where=lambda table: table["sequence"].fillna("").astype(str) != "",
    )  # fmt: skip
    grades = grades_of(bench.classes)
    if grades is None:
        raise InputError(f"column {column!r} holds no grades", "write whole numbers")
    hours = hours_of(bench)
    folds = bench.folds(int(request.options["folds"]))
    expected = cross_predict(bench, _ORDINAL, folds) @ grades
    series = series_of(bench, hours, expected, grades[bench.labels].astype(np.float64))
    margin = band(series, coverage)
    rows = [_trend_row(bench, series, expected, grades[bench.labels].astype(np.float64))]
    paces = _paces(bench, series, grade - 0.5, str(request.options["by"]), str(request.options["within"]))
    return Findings(
        table=[*rows, *paces],
        answers=[*_answers(rows[0], margin, coverage), *(_pace_answer(row, grade) for row in paces)],
        tables=_tables(rows, paces, grade),
        figures=_figures(paces, grade),
        may=["How far single frames and their trend lie from the noted grades, on sequences like these.",
             "Whether two conditions differ in pace, where an interval of the ratio leaves out one."],
        may_not=["That a condition is an inhibitor: coupons were not given to conditions by lot, unless you did so.",
                 "The pace of sequences that never reach the grade: they are left out of the ratio and counted."],
        data=[*bench.described(), f"{len(series)} sequences; frames are judged by classifiers that saw no frame of"
              " their coupon", *METHOD[:1],
              "trend: isotonic regression of the expected grades; band: conformal over sequences, each counting by its"
              " worst frame"],
        arms=[("frame", "expected grade of the frame alone"), ("trend", "isotonic regression over its sequence")],
        warnings=bench.warnings,
        quarantined=bench.quarantined,
        extra={"band": margin, "coverage": coverage, "series": [_described(each, margin) for each in series]},
    )  # fmt: skip


def hours_of(bench: Bench) -> Floats:
    """Return the hours of every row of a bench.

    Raises
    ------
    InputError
        A frame states none.
    """
    hours = pd.to_numeric(bench.corpus.table["hours"], errors="coerce").to_numpy(np.float64)
    if not np.isfinite(hours).all():
        raise InputError(f"{int((~np.isfinite(hours)).sum())} frames state no hours", "fill the column in")
    return np.asarray(hours)


def series_of(bench: Bench, hours: Floats, said: Floats, truth: Floats) -> list[Series]:
    """Return the sequences of a bench, each with its trend.

    Parameters
    ----------
    bench : Bench
    hours, said, truth : ndarray, shape (n,)
        Time, expected and noted grade of each row.

    Raises
    ------
    InputError
        Too few sequences have frames enough.
    """
    names, specimens, found, short = bench.column("sequence"), bench.column("specimen"), [], 0
    for name in np.unique(names):
        rows = np.flatnonzero(names == name)
        rows = rows[np.argsort(hours[rows], kind="stable")]
        if len(rows) < _FEWEST_FRAMES:
            short += 1
            continue
        trend = np.asarray(isotonic_regression(said[rows]), np.float64)
        found.append(Series(str(name), str(specimens[rows[0]]), rows, hours[rows], said[rows], trend, truth[rows]))
    if short:
        bench.warnings.append(f"{short} sequences with fewer than {_FEWEST_FRAMES} frames take no part")
    if len(found) < _FEWEST_SERIES:
        raise InputError(f"{len(found)} sequences are too few", f"{_FEWEST_SERIES} of {_FEWEST_FRAMES} frames or more")
    return found


def band(series: Sequence[Series], coverage: float) -> float | None:
    """Return the half width of a band about the trend that holds all noted grades of a new sequence.

    The promise is split conformal over sequences: the next one lies within it at the stated rate. None where there are
    too few sequences for that.

    Parameters
    ----------
    series : sequence of Series
    coverage : float
    """
    misses = np.sort([each.miss for each in series])
    place = int(np.ceil((len(misses) + 1) * coverage))
    return float(misses[place - 1]) if place <= len(misses) else None


def _trend_row(bench: Bench, series: Sequence[Series], said: Floats, truth: Floats) -> dict[str, Any]:
    """Return how far frames alone and trends lie from the noted grades, and how often frames fall."""
    rows = np.concatenate([each.rows for each in series])
    trend = np.concatenate([each.trend for each in series])
    of = bench.column("specimen")[rows]
    alone, drawn = np.abs(said[rows] - truth[rows]), np.abs(trend - truth[rows])
    seed = bench.recipe.seed
    falls = float(np.mean([(np.diff(each.said) < 0).any() for each in series]))
    return {
        "what": "all sequences",
        "n": len(rows),
        "sequences": len(series),
        "frame": mean_by_specimen(alone, of, seed).as_dict(),
        "trend": mean_by_specimen(drawn, of, seed).as_dict(),
        "difference": mean_by_specimen(drawn - alone, of, seed).as_dict(),
        "falling": falls,
    }


def _paces(bench: Bench, series: Sequence[Series], severity: float, by: str, within: str) -> list[dict[str, Any]]:
    """Return, for each kind, the ratio of hours until a severity between the ends of a condition's values."""
    table = bench.corpus.table
    if by not in table:
        bench.warnings.append(f"paces are not compared: the corpus has no column {by!r}")
        return []
    first = np.array([each.rows[0] for each in series])
    condition = bench.column(by)[first]
    kind = bench.column(within)[first] if within in table else np.full(len(series), "all")
    hours = np.array([each.hours_until(severity) for each in series])
    found = []
    for name in np.unique(kind):
        values = _in_order(np.unique(condition[kind == name]).tolist())
        if len(values) < 2:
            continue
        low, high = values[0], values[-1]
        pair = [hours[(kind == name) & (condition == value)] for value in (low, high)]
        known = [part[np.isfinite(part) & (part > 0)] for part in pair]
        ratio = _ratio(known[0], known[1], bench.recipe.seed)
        found.append(
            {
                "what": f"{name}: {by} {low} over {high}",
                "n": [len(part) for part in known],
                "never": [int(np.isnan(part).sum()) for part in pair],
                "at_once": [int((part <= 0).sum()) for part in pair],  # no ratio to nothing
                "ratio": None if ratio is None else ratio.as_dict(),
            }
        )
    return found


def _in_order(values: Sequence[str]) -> list[str]:
    """Order values as numbers where all are, as text otherwise."""
    try:
        return sorted(values, key=float)
    except ValueError:
        return sorted(values)


def _ratio(a: Floats, b: Floats, seed: int) -> Estimate | None:
    """Return the ratio of geometric means of two sets of sequences, bootstrapped over sequences; None if one lacks."""
    if min(len(a), len(b)) < 2:
        return None
    rng = np.random.default_rng(seed)
    means = [np.log(part)[rng.integers(0, len(part), (_RESAMPLES, len(part)))].mean(axis=1) for part in (a, b)]
    value = float(np.exp(np.log(a).mean() - np.log(b).mean()))
    return bootstrap_estimate(value, np.exp(means[0] - means[1]), len(a) + len(b), len(a) + len(b))


def _described(each: Series, margin: float | None) -> dict[str, Any]:
    return {
        "sequence": each.name,
        "specimen": each.specimen,
        "hours": each.hours.tolist(),
        "frame": each.said.tolist(),
        "trend": each.trend.tolist(),
        "band": None if margin is None else [(each.trend - margin).clip(0).tolist(), (each.trend + margin).tolist()],
        "noted": each.truth.tolist(),
    }


def _answers(row: dict[str, Any], margin: float | None, coverage: float) -> list[str]:
    gap = row["difference"]
    span = "" if gap["ci95"] is None else f" ({gap['ci95'][0]:+.3f} to {gap['ci95'][1]:+.3f})"
    promised = (
        f"too few sequences for a band that holds {percent(coverage)} of them"
        if margin is None
        else f"a band of {number(margin)} grades about the trend holds all frames of {percent(coverage)} of sequences"
    )
    return [
        f"{row['sequences']} sequences, {row['n']} frames: a frame alone is {number(row['frame']['value'])} grades off,"
        f" the trend {number(row['trend']['value'])}; difference {gap['value']:+.3f}{span}.",
        f"In {percent(row['falling'])} of sequences some frame is judged better than the one before; {promised}.",
    ]


def _pace_answer(row: dict[str, Any], grade: int) -> str:
    left_out = f"{sum(row['never'])} sequences never reach it"
    if any(row["at_once"]):
        left_out += f", {sum(row['at_once'])} have it from the beginning and are left out too"
    if row["ratio"] is None:
        return f"{row['what']}: too few sequences reach grade {grade} to compare their pace; {left_out}."
    bounds = row["ratio"]["ci95"]
    span = "" if bounds is None else f" ({number(bounds[0])} to {number(bounds[1])})"
    return (
        f"{row['what']}: hours until grade {grade} {number(row['ratio']['value'])} times{span}, {row['n'][0]} against"
        f" {row['n'][1]} sequences; {left_out}."
    )


def _tables(rows: Sequence[dict[str, Any]], paces: Sequence[dict[str, Any]], grade: int) -> list[Table]:
    found = [
        Table(
            "Distance from the noted grade in grades.",
            (
                Column("what", "on"),
                Column("n", "frames", "count"),
                Column("frame", "frame alone", "number"),
                Column("trend", "trend", "number"),
                Column("difference", "trend less frame", "number"),
                Column("falling", "sequences in which a frame falls", "share"),
            ),
            rows,
        )
    ]
    if paces:
        told = [{**row, "counted": f"{row['n'][0]} and {row['n'][1]}", "left": sum(row["never"])} for row in paces]
        columns = (
            Column("what", "condition"), Column("ratio", f"ratio of hours until grade {grade}", "number"),
            Column("counted", "sequences"), Column("left", "never reach it", "count"),
        )  # fmt: skip
        found.append(Table("Pace under the first condition over that under the last.", columns, told))
    return found


def _figures(paces: Sequence[dict[str, Any]], grade: int) -> list[Figure]:
    drawn = [(str(row["what"]), {"ratio": row["ratio"]}) for row in paces if row["ratio"] is not None]
    if not drawn:
        return []
    svg = experiment_figures.dots(drawn, "paces", f"ratio of hours until grade {grade}", reference=1.0, shares=False)
    return [Figure(svg, "Right of the dashed line, the first condition is the slower one.")]
