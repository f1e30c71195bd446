"""Novelty: does the gate in front of the classifier stop what was never taught?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from sorby.errors import InputError
from sorby.evidence import specimen_index
from sorby.evidence.set_coverage import share
from sorby.micrograph import find_images
from sorby.progress import bar
from sorby.report import experiment_figures
from sorby.report.experiment_page import Column, Figure, Table
from sorby.report.wording import percent
from sorby.workflow.experiments.ablations import COMMON
from sorby.workflow.experiments.bench import Bench, Rows, open_bench
from sorby.workflow.experiments.detectors import DETECTORS, teach
from sorby.workflow.experiments.extracting import bench_features, extractor_of, file_features
from sorby.workflow.experiments.registry import Findings, Request, experiment

Floats = npt.NDArray[np.float64]
MISSES = (0.01, 0.05, 0.1)
"""Shares of strange images that may pass, at which the referral of ordinary ones is stated."""

_OPTIONS = {**COMMON, "ood": None}
_SHIPPED = "combination"
_POOLED = {True: "all near kinds", False: "all far kinds"}


@experiment(
    "novelty",
    "Novelty: is what was never taught stopped?",
    "S1-61, S1-62, S1-63",
    options=_OPTIONS,
    question=(
        "Is an image of something that was never taught (another phase, inclusions, a bad etching, a wrong "
        "magnification) recognised as strange before it is classified, and how many ordinary images does that "
        "cost?"
    ),
)
def novelty(request: Request) -> Findings:
    """Show every detector what was never taught.

    The option ``ood`` is a folder with one folder of images a kind, or ``near`` and ``far`` with such folders inside.
    """
    kinds = find_kinds(request.options["ood"])
    bench = open_bench(request)
    known, strange = _features(bench, kinds)
    folds = bench.folds(request.options["folds"])
    ordinary, foreign = _scored(bench, known, strange, folds)
    rows = []
    for title, near, members in [*((kind.name, kind.near, [kind.name]) for kind in kinds), *_pools(kinds)]:
        for detector in DETECTORS:
            scores = np.concatenate([foreign[name][detector] for name in members], axis=1)
            rows.append(
                {"kind": title, "near": near, "pooled": title in _POOLED.values(), "detector": detector,
                 "n": scores.shape[1], "n_ordinary": bench.n,
                 **_measures(ordinary[detector], scores, folds, bench)}
            )  # fmt: skip
    rate = bench.recipe.verdict.novelty_rate
    gate = _gate(ordinary[_SHIPPED], foreign, folds, bench, rate)
    means = _means(rows, kinds)
    return Findings(
        table=rows,
        answers=_sentences(means, gate, rate),
        tables=[_mean_table(means), *_kind_tables(rows), _gate_table(gate, rate)],
        figures=[_figure(rows)],
        may=["Which of these kinds the detectors recognise, and at what cost in ordinary images referred."],
        may_not=[
            "That kinds not tried here are recognised: a gate is only known by what it was tried on.",
            "That near kinds of real material look as these do, where they are phantoms.",
        ],
        data=[
            *bench.described(),
            *[f"{each.name}: {len(each.files)} images, {'near' if each.near else 'far'}" for each in kinds],
            "detectors taught on four fifths, asked about the last fifth and about every strange image, in turn;"
            " AUROC averaged over folds with a DeLong interval, ordinary images clustered by specimen",
            "FPR95: share of ordinary images at least as strange as all but 5 % of the strange ones",
        ],
        arms=list(DETECTORS.items()),
        warnings=bench.warnings,
        quarantined=bench.quarantined,
        extra={"mean_over_kinds": means, "gate": gate},
    )


@dataclass(frozen=True)
class Kind:
    """Images of one thing never taught."""

    name: str
    near: bool
    files: tuple[Path, ...]


def find_kinds(folder: Path | str | None) -> list[Kind]:
    """Return the kinds in a folder: one folder each, or under ``near`` and ``far``; plain ones count as near.

    Raises
    ------
    InputError
        No folder given, or no images in it.
    """
    hint = "--ood FOLDER with one folder of images a kind, or near/KIND and far/KIND"
    if folder is None:
        raise InputError("novelty needs images of things never taught", hint)
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder", hint)
    found = []
    for near, place in ((True, root / "near"), (False, root / "far"), (True, root)):
        inside = sorted(path for path in place.iterdir() if path.is_dir()) if place.is_dir() else []
        found += [
            Kind(path.name, near, tuple(find_images(path)))
            for path in inside
            if not (place == root and path.name in ("near", "far"))
        ]
    found = [kind for kind in found if kind.files]
    if not found:
        raise InputError(f"{root}: holds no folders of images", hint)
    return found


def _features(bench: Bench, kinds: Sequence[Kind]) -> tuple[npt.NDArray[np.float32], dict[str, npt.NDArray[Any]]]:
    extractor = extractor_of(bench)
    known, strange = bench_features(bench, extractor), {}
    for kind in kinds:
        strange[kind.name], unreadable = file_features(extractor, kind.files)
        bench.quarantined.extend(entry.as_dict() for entry in unreadable)
    return known, strange


Scored = dict[str, Floats]


def _scored(
    bench: Bench, known: npt.NDArray[np.float32], strange: Mapping[str, npt.NDArray[Any]], folds: Rows
) -> tuple[Scored, dict[str, Scored]]:
    """Return scores of ordinary images (n,) by the fold that held them out, of strange ones (K, m) by every fold."""
    n_folds = int(folds.max()) + 1
    ordinary = {name: np.empty(bench.n) for name in DETECTORS}
    foreign = {kind: {name: np.empty((n_folds, len(x))) for name in DETECTORS} for kind, x in strange.items()}
    with bar("detectors", n_folds) as advance:
        for k in range(n_folds):
            rest = np.flatnonzero(folds != k)
            groups = None if bench.plan.groups is None else bench.plan.groups[rest]
            detectors = teach(known[rest], bench.labels[rest], len(bench.classes), groups, bench.recipe)
            for name, values in detectors.scores(known[folds == k]).items():
                ordinary[name][folds == k] = values
            for kind, x in strange.items():
                for name, values in detectors.scores(x).items():
                    foreign[kind][name][k] = values
            advance(1)
    return ordinary, foreign


def _measures(ordinary: Floats, strange: Floats, folds: Rows, bench: Bench) -> dict[str, Any]:
    """AUROC, FPR95 and the referral of ordinary images at fixed miss rates."""
    auroc = auroc_over_folds(ordinary, strange, folds, bench.specimens)
    referral = {}
    for miss in MISSES:
        limits = np.quantile(strange, miss, axis=1)
        flagged = ordinary >= limits[folds]
        referral[f"{miss:g}"] = share(flagged, bench.specimens, bench.recipe.seed).as_dict()
    return {"auroc": auroc, "fpr95": referral["0.05"], "referral_at_miss": referral}


def auroc_over_folds(ordinary: Floats, strange: Floats, folds: Rows, groups: npt.NDArray[Any] | None) -> dict[str, Any]:
    """AUROC of strange against ordinary images, each ordinary one judged by the detector of its own fold.

    Parameters
    ----------
    ordinary : ndarray, shape (n,)
    strange : ndarray, shape (K, m)
        Scores by each fold's detector.
    folds : ndarray of int, shape (n,)
    groups : ndarray, shape (n,), optional
        Specimens of the ordinary images.

    Returns
    -------
    dict
        ``value``, ``ci95``, ``n``, ``method``. Where no pair is in the wrong order the variance is none, and the
        interval is that of the rule of three on the smaller side.

    References
    ----------
    E. R. DeLong et al., Biometrics 44 (1988); N. A. Obuchowski, Biometrics 53 (1997) for clustered data.
    """
    n, m = ordinary.size, strange.shape[1]
    beaten = np.empty(n)  # share of strange images that score above each ordinary one
    beats = np.zeros(m)  # share of ordinary images that score below each strange one
    for k in range(strange.shape[0]):
        here = ordinary[folds == k]
        row, sorted_here = np.sort(strange[k]), np.sort(here)
        low, high = np.searchsorted(row, here, "left"), np.searchsorted(row, here, "right")
        beaten[folds == k] = 1.0 - (low + high) / (2.0 * m)
        beats += np.searchsorted(sorted_here, strange[k], "left") + np.searchsorted(sorted_here, strange[k], "right")
    beats /= 2.0 * n
    value = float(beaten.mean())
    index, n_groups = specimen_index(groups, n)
    sums = np.bincount(index, weights=beaten - value, minlength=n_groups)
    spread = n_groups / max(n_groups - 1, 1) * float((sums**2).sum()) / n**2
    spread += float(beats.var(ddof=1)) / m if m > 1 else 0.0
    bounds = _bounds(value, spread, min(n_groups, m))
    return {"value": value, "ci95": bounds, "n": n + m, "method": "DeLong by specimen, logit scale"}


def _bounds(value: float, variance: float, smaller: int) -> list[float]:
    if value in (0.0, 1.0) or variance <= 0:
        slack = min(1.0, 3.0 / max(smaller, 1))
        return [max(0.0, value - slack), value] if value > 0.5 else [value, min(1.0, value + slack)]
    logit, half = np.log(value / (1 - value)), norm.ppf(0.975) * np.sqrt(variance) / (value * (1 - value))
    return [float(1 / (1 + np.exp(-(logit + sign * half)))) for sign in (-1, 1)]


def _pools(kinds: Sequence[Kind]) -> list[tuple[str, bool, list[str]]]:
    """Return all near and all far kinds together, where there are several."""
    members = {near: [kind.name for kind in kinds if kind.near == near] for near in (True, False)}
    return [(_POOLED[near], near, names) for near, names in members.items() if len(names) > 1]


def _gate(
    ordinary: Floats, foreign: Mapping[str, Scored], folds: Rows, bench: Bench, rate: float
) -> list[dict[str, Any]]:
    """Return what the shipped gate refers: of ordinary images, and of each kind."""
    rows = [{"kind": "ordinary images", "n": bench.n,
             "referred": share(ordinary >= -rate, bench.specimens, bench.recipe.seed).as_dict()}]  # fmt: skip
    for kind, scores in foreign.items():
        p = scores[_SHIPPED]
        # Each strange image is judged by every fold's detector; they share the image, so it is the unit.
        flagged, image = (p >= -rate).ravel(), np.tile(np.arange(p.shape[1]), p.shape[0])
        rows.append({"kind": kind, "n": p.shape[1], "referred": share(flagged, image, bench.recipe.seed).as_dict()})
    return rows


def _means(rows: Sequence[Mapping[str, Any]], kinds: Sequence[Kind]) -> list[dict[str, Any]]:
    """Return for each detector the mean over near and over far kinds, every kind counting alike."""
    found = []
    for near in sorted({kind.near for kind in kinds}, reverse=True):
        for detector in DETECTORS:
            mine = [r for r in rows if r["detector"] == detector and r["near"] == near and not r["pooled"]]
            worst = min(mine, key=lambda row: float(row["auroc"]["value"]))
            found.append(
                {"detector": detector, "kinds": len(mine), "distance": "near" if near else "far",
                 "auroc": float(np.mean([row["auroc"]["value"] for row in mine])),
                 "fpr95": float(np.mean([row["fpr95"]["value"] for row in mine])),
                 "worst": worst["kind"], "worst_auroc": float(worst["auroc"]["value"])}
            )  # fmt: skip
    return found


def _mean_table(means: Sequence[Mapping[str, Any]]) -> Table:
    columns = (
        Column("detector", "detector"),
        Column("distance", "kinds"),
        Column("kinds", "number of kinds", "count"),
        Column("auroc", "AUROC, mean over kinds", "number"),
        Column("fpr95", "FPR95, mean over kinds", "share"),
        Column("worst", "hardest kind"),
        Column("worst_auroc", "its AUROC", "number"),
    )
    return Table("Every kind counts alike.", columns, means)


def _kind_tables(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    names = list(dict.fromkeys(str(row["kind"]) for row in rows))
    columns = (
        Column("kind", "kind"),
        Column("n", "n", "count"),
        *(Column(f"{detector}.auroc", detector, "number") for detector in DETECTORS),
    )
    by_kind = [
        {"kind": name, "n": next(r["n"] for r in rows if r["kind"] == name),
         **{str(r["detector"]): {"auroc": r["auroc"]} for r in rows if r["kind"] == name}}
        for name in names
    ]  # fmt: skip
    costs = [row for row in rows if row["detector"] == _SHIPPED]
    cost_columns = (
        Column("kind", "kind"),
        Column("fpr95", "FPR95", "share"),
        *(Column(f"referral_at_miss.{miss:g}", f"ordinary referred if {100 * miss:g} % pass", "share")
          for miss in MISSES if miss != 0.05),
    )  # fmt: skip
    flat = [{**row, "referral_at_miss": {k.replace(".", "_"): v for k, v in row["referral_at_miss"].items()}}
            for row in costs]  # fmt: skip
    cost_columns = tuple(Column(c.key.replace("miss.0.", "miss.0_"), c.title, c.kind) for c in cost_columns)
    return [
        Table("AUROC of each kind by each detector, with its 95 % interval.", columns, by_kind),
        Table(f"What it costs with the {_SHIPPED}: ordinary images referred so that few strange ones pass.",
              cost_columns, flat),
    ]  # fmt: skip


def _gate_table(gate: Sequence[Mapping[str, Any]], rate: float) -> Table:
    columns = (Column("kind", "images"), Column("n", "n", "count"), Column("referred", "referred as novel", "share"))
    return Table(f"The gate: novelty p-value of the combination at most {rate:g}.", columns, gate)


def _figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    shown = (_SHIPPED, "RMDS", "kNN")
    names = list(dict.fromkeys(str(row["kind"]) for row in rows if not row["pooled"]))
    drawn = [
        (name, {d: next(r["auroc"] for r in rows if r["kind"] == name and r["detector"] == d) for d in shown})
        for name in names
    ]
    svg = experiment_figures.dots(drawn, "auroc", "AUROC", shares=False)
    return Figure(svg, "AUROC of each kind; 1 is a perfect separation, .5 is chance. Lines: 95 % intervals.")


def _sentences(means: Sequence[Mapping[str, Any]], gate: Sequence[Mapping[str, Any]], rate: float) -> list[str]:
    lines = []
    for row in means:
        if row["detector"] == _SHIPPED:
            lines.append(
                f"{str(row['distance']).capitalize()} kinds: AUROC {row['auroc']:.3f} as the mean of {row['kinds']}"
                f" kinds; hardest is {row['worst']} ({row['worst_auroc']:.3f})."
            )
    lines.append(
        f"The gate at p {rate:g} refers {percent(gate[0]['referred']['value'])} of {gate[0]['n']} ordinary images; of"
        " strange ones: " + ", ".join(f"{row['kind']} {percent(row['referred']['value'])}" for row in gate[1:]) + "."
    )
    return lines
