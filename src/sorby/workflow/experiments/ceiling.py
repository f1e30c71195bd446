"""Label noise: how far it limits what a classifier can show, and how the classifier rates beside people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.classify.heads import structure_of
from sorby.errors import InputError
from sorby.evidence import bootstrap_estimate, cluster_bootstrap, proportion, share, specimen_index
from sorby.evidence.intervals import RESAMPLES, sum_by_group
from sorby.phantom.rater_panel import draw_panel
from sorby.phantom.raters import day_to_day, structure_class
from sorby.progress import bar
from sorby.report import experiment_figures
from sorby.report.experiment_page import Column, Figure, Table, points
from sorby.report.wording import percent
from sorby.workflow.data import open_data
from sorby.workflow.experiments.ablations import COMMON
from sorby.workflow.experiments.arms import Arm, cross_predict
from sorby.workflow.experiments.bench import Bench, Rows, open_bench
from sorby.workflow.experiments.registry import Findings, Request, experiment

Codes = npt.NDArray[np.intp]

LEVELS = (0.0, 0.5, 1.0, 2.0)
"""Factors on bias and spread of the simulated raters; 1 is a panel whose agreement is that of S1's round robin."""

_LEARNERS = (
    Arm("labels believed", "global head taught by the labels as they are", {"labels.noise": "none"}),
    Arm("labels doubted", "images whose label cross-fitted probabilities contradict are left out (confident learning)",
        {"labels.noise": "confident"}),
    Arm("labels shared out", "doubtful images are shared out to the classes that image and rater speak for",
        {"labels.noise": "raters", "labels.rounds": 2}),
    Arm("multi-task", "labels believed, subtype and sizes over one hidden layer",
        {"head.kind": "multitask", "head.routing": "soft"}),
)  # fmt: skip


@experiment(
    "noise-ceiling",
    "The ceiling that label noise sets",
    "issue: how much of the error is label noise",
    needs=("truth",),
    options={**COMMON, "levels": LEVELS},
    question=(
        "How much of the error that a test shows is the label's and not the classifier's? Labels are given by "
        "simulated raters whose noise grows; the classifier is held against those labels and against the truth."
    ),
)
def noise_ceiling(request: Request) -> Findings:
    """Teach on ever noisier labels, and test against the label and against the truth."""
    bench = open_bench(request, ("truth",), label="truth")
    folds = bench.folds(request.options["folds"])
    levels = _levels(request.options["levels"])
    rows = []
    with bar("noise", len(levels)) as advance:
        for level in levels:
            rows += _at_level(bench, folds, level)
            advance(1)
    return Findings(
        table=rows,
        answers=_ceiling_sentences(rows),
        tables=[_ceiling_table(rows)],
        figures=[_ceiling_figure(rows, arm.name) for arm in _LEARNERS],
        may=["How far accuracy against noisy labels lies below accuracy against the truth, for raters like these."],
        may_not=[
            "How noisy the labels of a real archive are: the raters are simulated.",
            "That doubting labels helps everywhere: it depends on how the raters err.",
        ],
        data=[
            *bench.described(),
            "labels: one simulated daily rater an image, who knows the process (sorby.phantom.raters.day_to_day); at"
            " noise 0 they are the truth",
            "a label outside the classes above is not taught and counts as missed by everybody who is held against it",
            "cross-validated, the same folds at every level; intervals: 95 %, bootstrap by specimen",
        ],
        arms=[(arm.name, arm.meaning) for arm in _LEARNERS],
        warnings=bench.warnings,
        quarantined=bench.quarantined,
    )


def _levels(given: Any) -> list[float]:
    values = [float(text) for text in given.split(",")] if isinstance(given, str) else [float(v) for v in given]
    if not values or min(values) < 0:
        raise InputError(f"noise levels {given!r} are not numbers of at least 0", "--levels 0,0.5,1,2")
    return sorted(set(values))


def _at_level(bench: Bench, folds: Rows, level: float) -> list[dict[str, Any]]:
    table = {str(name): _numbers(column) for name, column in bench.corpus.table.items()}
    seed = bench.recipe.seed
    given, _ = day_to_day(table, draw_panel(seed), seed, noise=level)
    label = codes_of(given, bench.classes)
    taught = label >= 0
    noisy = _relabelled(bench, np.where(taught, label, bench.labels))
    # A row whose label is no class of the bench is tested like all others but never taught.
    rows = []
    for arm in _LEARNERS:
        called = _predict_taught(noisy, arm, folds, taught)
        hits = {"label": called == label, "truth": called == bench.labels, "label_is_true": label == bench.labels}
        rows.append(
            {"arm": arm.name, "noise": level, "n": bench.n,
             **{f"accuracy_{name}" if name != "label_is_true" else name:
                share(hit, bench.specimens, seed).as_dict() for name, hit in hits.items()},
             "gap": _paired(hits["truth"], hits["label"], bench).as_dict()}
        )  # fmt: skip
    return rows


def _numbers(column: pd.Series[Any]) -> npt.NDArray[Any]:
    """Return a column as numbers where it holds nothing else; a table read from CSV holds them as text."""
    numbers = pd.to_numeric(column, errors="coerce")
    return (numbers if numbers.notna().sum() == column.notna().sum() else column).to_numpy()


def _relabelled(bench: Bench, labels: Codes) -> Bench:
    """Return the bench with other labels, the same rows and classes, also where noise leaves a class without images."""
    named = np.array(bench.classes, object)[labels]
    # Ratings of another noise level would tell the learner more than the label it is given.
    others = [name for name in bench.corpus.table if str(name).startswith("rating_")]
    corpus = replace(bench.corpus, table=bench.corpus.table.drop(columns=others).assign(label=named))
    plan = replace(bench.plan, corpus=corpus, labels=labels, targets=bench.plan.targets.relabelled(labels))
    return replace(bench, plan=plan, learners={})


def _predict_taught(bench: Bench, arm: Arm, folds: Rows, taught: npt.NDArray[np.bool_]) -> Codes:
    learner = arm.learner(bench)
    called = np.empty(bench.n, np.intp)
    for k in range(int(folds.max()) + 1):
        test = np.flatnonzero(folds == k)
        rest = np.flatnonzero((folds != k) & taught)
        called[test] = learner.predict(rest, test, f"{arm.name}-{k}").argmax(axis=1)
    return called


def codes_of(names: npt.NDArray[Any], classes: Sequence[str]) -> Codes:
    """Return the class of each name, -1 for what is none of them; sizes 9 and 10 are one class (S1-02)."""
    known = {name: k for k, name in enumerate(classes)}
    return np.array([known.get(_merged(str(name)), -1) for name in names], np.intp)


def _merged(name: str) -> str:
    return structure_class(name) if name else name


def _paired(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_], bench: Bench) -> Any:
    index, n_groups = specimen_index(bench.specimens, a.size)
    gap = a.astype(np.float64) - b
    sums = sum_by_group(np.stack([gap, np.ones_like(gap)], axis=1), index, n_groups)
    samples = cluster_bootstrap(sums, lambda total: total[:, 0] / total[:, 1], RESAMPLES, bench.recipe.seed)
    return bootstrap_estimate(float(gap.mean()), samples, gap.size, n_groups)


def _ceiling_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = (
        Column("arm", "arm"),
        Column("noise", "rater noise", "number"),
        Column("n", "n", "count"),
        Column("label_is_true", "labels that are true", "share"),
        Column("accuracy_label", "accuracy against the label", "share"),
        Column("accuracy_truth", "accuracy against the truth", "share"),
        Column("gap", "truth less label, points", "points"),
    )
    return Table("Accuracy as the labels get noisier.", columns, rows)


def _ceiling_figure(rows: Sequence[Mapping[str, Any]], arm: str) -> Figure:
    mine = [row for row in rows if row["arm"] == arm]
    series = {
        "against the truth": [row["accuracy_truth"] for row in mine],
        "against the label": [row["accuracy_label"] for row in mine],
        "the labels themselves": [row["label_is_true"] for row in mine],
    }
    svg = experiment_figures.curves(
        [row["noise"] for row in mine], series, f"ceiling-{arm.replace(' ', '-')}", ("rater noise", "accuracy")
    )
    return Figure(svg, f"{arm.capitalize()}: what a test against the labels shows, and what is true; 95 % bands.")


def _ceiling_sentences(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for row in rows:
        if row["arm"] == _LEARNERS[0].name:
            gap = row["gap"]
            span = "" if gap["ci95"] is None else f" ({points(gap['ci95'][0])} to {points(gap['ci95'][1])})"
            lines.append(
                f"Noise {row['noise']:g}: {percent(row['label_is_true']['value'])} of the labels are true; accuracy"
                f" {percent(row['accuracy_label']['value'])} against the labels,"
                f" {percent(row['accuracy_truth']['value'])} against the truth: {points(gap['value'])} points{span}."
            )
    return lines


# -- the model as one more rater --------------------------------------------------------------------------

_MODELS = (
    Arm("global", "one classifier of all structure codes", {"head.kind": "flat"}),
    Arm("two-stage", "subtype first, then the sizes of the predicted subtype", {"head.kind": "staged"}),
    Arm("global, labels doubted", "confident learning leaves out doubtful labels", {"labels.noise": "confident"}),
    Arm("multi-task", "subtype and sizes over one hidden layer", {"head.kind": "multitask", "head.routing": "soft"}),
    Arm(
        "global, raters believed",
        "taught by the label and all raters, each as far as images bear them out",
        {"labels.noise": "raters", "labels.merge": {f"{s}{n}": f"{s}9-10" for s in "BGM" for n in (9, 10)}},
    ),
)


@experiment(
    "fifteenth-rater",
    "The model as one more rater",
    "S1-58, S1-59",
    needs=("truth", "rating_R01"),
    options={**COMMON, "taught": None},
    question=(
        "Where does the classifier stand among the raters: how often does it agree with each of them, with their "
        "majority and with the truth, and does it beat the median rater?"
    ),
)
def fifteenth_rater(request: Request) -> Findings:
    """Hold cross-validated models and raters against each other and against the truth.

    The models are taught by the day-to-day label (column ``daily_label``) where the corpus has one, else by its label.
    """
    taught = request.options["taught"]
    bench = open_bench(request, ("truth", "rating_R01"), label=taught or _day_to_day(request))
    folds = bench.folds(request.options["folds"])
    raters = sorted(str(name) for name in bench.corpus.table if str(name).startswith("rating_"))
    ratings = np.stack([codes_of(bench.column(name), bench.classes) for name in raters], axis=1)
    truth = codes_of(bench.column("truth"), bench.classes)
    arms = _possible(bench)
    models = {arm.name: cross_predict(bench, arm, folds).argmax(axis=1) for arm in arms}
    answered = np.stack([_answered(bench.column(name)) for name in raters], axis=1)
    rows = _rater_rows(bench, ratings, answered, [name.removeprefix("rating_") for name in raters], truth, models)
    hits = right(ratings, truth[:, None])
    margins = [_margin(bench, name, right(called, truth), hits, answered) for name, called in models.items()]
    return Findings(
        table=rows,
        answers=[_margin_sentence(entry) for entry in margins],
        tables=[_rater_table(rows), _margin_table(margins)],
        figures=[_rater_figure(rows)],
        may=["Whether a model beats the median of these raters against the truth, where the interval leaves out zero."],
        may_not=[
            "That the model beats people: these raters saw the image alone, as in S1's round robin, and may be"
            " simulated; the model was taught by labels given with knowledge of the process.",
            "That agreement with the majority is correctness: raters misled by the same image agree.",
        ],
        data=[
            *bench.described(),
            f"{len(raters)} raters; models taught by {taught or _day_to_day(request)!r}, cross-validated",
            "ratings outside the classes above count as wrong; sizes 9 and 10 are one class",
            "median rater: the median over raters of their accuracy, found anew in every resample of specimens",
        ],
        arms=[(arm.name, arm.meaning) for arm in arms],
        warnings=bench.warnings,
        quarantined=bench.quarantined,
        extra={"margins": margins},
    )


def _possible(bench: Bench) -> list[Arm]:
    """Leave out heads that take classes apart where the classes are no structure codes, and say so."""
    try:
        structure_of(bench.classes)
    except InputError as error:
        bench.warnings.append(f"two-stage left out: {error.message}")
        return [arm for arm in _MODELS if arm.settings.get("head.kind", "flat") == "flat"]
    return list(_MODELS)


def _day_to_day(request: Request) -> str:
    named = request.columns
    table = open_data(request.data, label=named["label"], group=named["group"], image=named["image"]).corpus.table
    return "daily_label" if "daily_label" in table else "label"


def majority(ratings: Codes, n_classes: int) -> Codes:
    """Return the most frequent class of each row; ties go to the first class, -1 where nobody named one.

    Parameters
    ----------
    ratings : ndarray of int, shape (n, R)
        -1 for none.
    n_classes : int
    """
    votes = (ratings[:, :, None] == np.arange(n_classes)).sum(axis=1)
    return np.where(votes.any(axis=1), votes.argmax(axis=1), -1)


def right(codes: Codes, truth: Codes) -> npt.NDArray[np.bool_]:
    """Whether codes are the truth; two that are no class here, both -1, are not thereby the same."""
    return np.asarray((codes == truth) & (truth >= 0))


def _rater_rows(
    bench: Bench,
    ratings: Codes,
    answered: npt.NDArray[np.bool_],
    names: Sequence[str],
    truth: Codes,
    models: Mapping[str, Codes],
) -> list[dict[str, Any]]:
    n_classes, seed = len(bench.classes), bench.recipe.seed
    groups = bench.specimens
    rows = []
    for number, name in enumerate([*models, *names]):
        person = number >= len(models)
        own = ratings[:, number - len(models)] if person else models[name]
        others = np.delete(ratings, number - len(models), axis=1) if person else ratings
        voted = majority(others, n_classes)
        agrees = (others == own[:, None]) & (own >= 0)[:, None]
        said = answered[:, number - len(models)] if person else np.ones(bench.n, bool)
        if not said.any():
            bench.warnings.append(f"rater {name} rated none of these images and is left out")
            continue
        own_groups = None if groups is None else groups[said]
        rows.append(
            {"arm": name, "person": person, "n": int(said.sum()),
             "truth": share(right(own, truth)[said], own_groups, seed).as_dict(),
             "majority": share(((own == voted) & (voted >= 0))[said], own_groups, seed).as_dict(),
             "raters_mean": float(agrees.mean()),
             "raters": {other: float(column.mean()) for other, column in
                        zip([o for o in names if o != name], agrees.T, strict=True)}}
        )  # fmt: skip
    voted = majority(ratings, n_classes)
    agrees = (ratings == voted[:, None]) & (voted >= 0)[:, None]
    rows.append(
        {"arm": "majority of raters", "person": True, "n": bench.n,
         "truth": share(right(voted, truth), groups, seed).as_dict(), "raters_mean": float(agrees.mean())}
    )  # fmt: skip
    return rows


def _answered(said: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Whether a rater gave any code; a blank is no answer, a code outside the classes is a wrong one."""
    return np.array([not (pd.isna(value) or str(value).strip() == "") for value in said], bool)


def _margin(
    bench: Bench,
    name: str,
    model_right: npt.NDArray[np.bool_],
    raters_right: npt.NDArray[np.bool_],
    answered: npt.NDArray[np.bool_],
) -> dict[str, Any]:
    """Return how far a model lies above the median rater against the truth, bootstrapped by specimen.

    A rater's accuracy is that of the images the rater rated.
    """
    index, n_groups = specimen_index(bench.specimens, bench.n)
    people = answered.any(axis=0)
    hits, asked = (raters_right & answered)[:, people], answered[:, people]
    parts = [model_right[:, None], np.ones((bench.n, 1), bool), hits, asked]
    sums = sum_by_group(np.concatenate(parts, axis=1).astype(np.float64), index, n_groups)
    count = hits.shape[1]

    def gap(total: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        with np.errstate(invalid="ignore"):  # a resample may hold no image of some rater
            of_rater = total[:, 2 : 2 + count] / total[:, 2 + count :]
        return np.asarray(total[:, 0] / total[:, 1] - np.nanmedian(of_rater, axis=1))

    samples = cluster_bootstrap(sums, gap, RESAMPLES, bench.recipe.seed)
    accuracies = hits.sum(axis=0) / asked.sum(axis=0)
    model = float(model_right.mean())
    value = model - float(np.median(accuracies))
    return {
        "model": name,
        "n": bench.n,
        "accuracy": model,
        "median_rater": float(np.median(accuracies)),
        "margin": bootstrap_estimate(value, samples, bench.n, n_groups).as_dict(),
        "raters_beaten": proportion(int((accuracies < model).sum()), len(accuracies)).as_dict()["value"],
    }


def _margin_sentence(entry: Mapping[str, Any]) -> str:
    low, high = entry["margin"]["ci95"]
    said = "above the median rater" if low > 0 else "below the median rater" if high < 0 else "no difference shown"
    return (
        f"{entry['model']}: {percent(entry['accuracy'])} against the truth, the median rater"
        f" {percent(entry['median_rater'])}: {points(entry['margin']['value'])} points ({points(low)} to"
        f" {points(high)}), {said}; better than {percent(entry['raters_beaten'])} of the raters, n = {entry['n']}."
    )


def _rater_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = (
        Column("arm", "rater"),
        Column("n", "n", "count"),
        Column("truth", "agrees with the truth", "share"),
        Column("majority", "with the majority of the (other) raters", "share"),
        Column("raters_mean", "with a single (other) rater, mean", "share"),
    )
    return Table("Everybody against everybody; models first.", columns, rows)


def _margin_table(margins: Sequence[Mapping[str, Any]]) -> Table:
    columns = (
        Column("model", "model"),
        Column("accuracy", "against the truth", "share"),
        Column("median_rater", "median rater", "share"),
        Column("margin", "margin, points", "points"),
        Column("raters_beaten", "raters beaten", "share"),
    )
    return Table("Models against the median rater.", columns, margins)


def _rater_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    drawn = [(str(row["arm"]), {"with the truth": row["truth"], "with the majority": row.get("majority")})
             for row in rows]  # fmt: skip
    return Figure(experiment_figures.dots(drawn, "raters", "share of images"), "Agreement with 95 % intervals.")
