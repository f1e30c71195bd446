"""Triage as an experiment: what a look from afar saves, at an error that is chosen beforehand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sorby.classify.specimens import DESCRIPTIONS, METHODS
from sorby.errors import InputError
from sorby.report import experiment_figures
from sorby.report.experiment_page import Column, Figure, Table
from sorby.report.wording import percent
from sorby.workflow.experiments.registry import Findings, Request, experiment
from sorby.workflow.experiments.specimen_bench import first_images, note_scarce, open_specimens, stated_magnifications
from sorby.workflow.specimens.triage import Protocol, fixed_rows, stop_rows, triage, triage_list, triage_row

_OPTIONS: dict[str, Any] = {
    "folds": 5,
    "min_count": 2,
    "alpha": 0.1,
    "spending": "joint",
    "method": "mean-probability",
    "image_s": 90.0,
    "change_s": 30.0,
}


@experiment(
    "triage",
    "Triage from low magnification",
    "S4-49",
    needs=("specimen", "magnification"),
    options=_OPTIONS,
    question=(
        "How much microscope time is saved when higher magnifications are taken only of specimens that are not clear"
        " yet, at an error that is chosen beforehand?"
    ),
)
def triaging(request: Request) -> Findings:
    """Run the sequential protocol on every specimen."""
    protocol = _protocol(request.options, request.recipe.seed)
    bench, bags, names = open_specimens(request, ("magnification",))
    folds = bench.folds(int(request.options["folds"]))[first_images(bags)]
    found = triage(bags, stated_magnifications(bench), len(bench.classes), folds, protocol)
    note_scarce(bench.warnings, found.scarce, bench.classes)
    own = triage_row(found, "triage", bench.recipe.seed)
    rows, stops = [own, *fixed_rows(found, bench.recipe.seed)], stop_rows(found)
    whole = rows[-1]
    return Findings(
        table=rows,
        answers=_answers(own, whole, stops, protocol),
        tables=[_protocols(rows), _stops(stops)],
        figures=_figures(rows, stops),
        may=[
            "What triage saves on specimens like these, with these times of an image and of a change.",
            f"That it errs in some {percent(protocol.alpha)} of specimens like these, or fewer. What CV+ proves is"
            " twice that and a term for few specimens: see the promise below.",
        ],
        may_not=[
            "That the error holds within each class: a rare cause may be missed more often.",
            "That other instruments or operators need the same times; give yours (image_s, change_s).",
            "That a specimen stopped early would have had the same verdict later.",
        ],
        data=[
            *bench.described(),
            f"looks: {', '.join(f'{level:g}x' for level in found.levels)}; after each, all images so far count:"
            f" {DESCRIPTIONS[protocol.method]}",
            f"level over all looks {protocol.alpha:g}, shared {_SPENDING[protocol.spending]}; {found.guarantee}",
            f"time: {protocol.image_s:g} s an image, {protocol.change_s:g} s a change of magnification",
            "thresholds from other specimens than the tested; intervals over specimens (bootstrap for time)",
        ],
        warnings=[*bench.warnings, *found.shortages],
        quarantined=bench.quarantined,
        extra={"stops": stops, "specimens": triage_list(found, names.tolist(), bench.classes)},
    )


_SPENDING = {
    "joint": "jointly: each calibration specimen counts by its strangest look, so repeated looks cannot add errors",
    "bonferroni": "by Bonferroni: levels of the looks add up to it",
}


def _protocol(options: Mapping[str, Any], seed: int) -> Protocol:
    if options["spending"] not in _SPENDING:
        raise InputError(f"spending {options['spending']!r} is unknown", f"choose {' or '.join(_SPENDING)}")
    if options["method"] not in METHODS:
        raise InputError(f"specimen method {options['method']!r} is unknown", f"choose one of {', '.join(METHODS)}")
    if not 0 < float(options["alpha"]) < 0.5:
        raise InputError(f"alpha {options['alpha']} cannot be", "give an error between 0 and .5")
    for key in ("image_s", "change_s"):
        if not 0 <= float(options[key]) < math.inf:
            raise InputError(
                f"option {key}={options[key]} of triage is no time", f"give seconds, as {key}={_OPTIONS[key]:g}"
            )
    if not float(options["image_s"]) + float(options["change_s"]) > 0:
        raise InputError("options image_s and change_s of triage are both 0: no time can be saved", "image_s=90")
    return Protocol(
        alpha=float(options["alpha"]),
        spending=options["spending"],
        method=options["method"],
        image_s=float(options["image_s"]),
        change_s=float(options["change_s"]),
        seed=seed,
    )


def _answers(
    own: Mapping[str, Any], whole: Mapping[str, Any], stops: Sequence[Mapping[str, Any]], protocol: Protocol
) -> list[str]:
    saved, error, referred = own["time_saved"], own["error"], own["referred"]
    span = "" if saved["ci95"] is None else f" ({percent(saved['ci95'][0])} to {percent(saved['ci95'][1])})"
    low, high = error["ci95"]
    first = next((row for row in stops if row["n_stopped"]), None)
    lines = [
        f"Triage saves {percent(saved['value'])} of the microscope time{span} and errs on {percent(error['value'])}"
        f" of {own['n']} specimens ({percent(low)} to {percent(high)}; {percent(protocol.alpha)} were allowed);"
        f" {percent(referred['value'])} are left to a person.",
        f"Whole series, every specimen called: error {percent(whole['error']['value'])}.",
    ]
    if first is not None:
        lines.append(
            f"The first series end at {first['name']}: {first['n_stopped']} specimens,"
            f" {percent(first['right']['value'])} of them right."
        )
    return lines


def _protocols(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = (
        Column("protocol", "protocol"),
        Column("n", "specimens", "count"),
        Column("error", "wrong, of all", "share"),
        Column("referred", "left to a person", "share"),
        Column("time_saved", "microscope time saved", "share"),
    )
    return Table("Triage beside protocols that look at every specimen up to one magnification.", columns, rows)


def _stops(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = (
        Column("name", "look at"),
        Column("n_reached", "specimens that came so far", "count"),
        Column("n_stopped", "ended here", "count"),
        Column("right", "right, of those", "share"),
        Column("coverage", "truth in the set, all specimens", "share"),
    )
    return Table("Where series ended, and how often the set held the truth after each look.", columns, rows)


def _figures(rows: Sequence[Mapping[str, Any]], stops: Sequence[Mapping[str, Any]]) -> list[Figure]:
    drawn = [(str(row["protocol"]), {"wrong": row["error"], "time saved": row["time_saved"]}) for row in rows]
    ended = [(str(row["name"]), {"truth in the set": row["coverage"], "ended here": row["stopped"]}) for row in stops]
    return [
        Figure(experiment_figures.dots(drawn, "protocols", "share"), "Error and time saved of each protocol."),
        Figure(experiment_figures.dots(ended, "stops", "share of specimens"), "Coverage and stops after each look."),
    ]
