"""Do images without a label, such as those an archive could not match with a report, help a classifier?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.evidence import softmax
from sorby.progress import bar
from sorby.report import experiment_figures
from sorby.report.experiment_page import Column, Figure, Table, points
from sorby.report.wording import count, percent
from sorby.workflow.experiments.bench import Bench, open_bench
from sorby.workflow.experiments.comparing import compared_rows
from sorby.workflow.experiments.extracting import bench_features, extractor_of
from sorby.workflow.experiments.linear import fit_flat
from sorby.workflow.experiments.registry import Findings, Request, experiment
from sorby.workflow.experiments.self_training import Axes, Rule, self_train
from sorby.workflow.experiments.unlabelled_pool import Pool, open_pool, specimen_codes
from sorby.workflow.runs import noting

Features = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

_BASE, _SELF = "labelled only", "self-training"
_OWN, _ALL = "axes of labelled", "axes of all"
_AGAINST = {_SELF: _BASE, _OWN: _BASE, _ALL: _OWN}
#: Arms that learn from unlabelled images; the others are what these are held against.
_LEARNING = (_SELF, _ALL)
_FEWEST = 2  # labelled specimens of a class: one to learn from while another is held out

_OPTIONS: dict[str, Any] = {
    "folds": 5, "min_count": 2, "unlabelled": None, "shares": "0.1,0.25,0.5,1", "draws": 3,
    "rounds": 3, "weight": 0.3, "precision": 0.9, "axes": 128,
}  # fmt: skip


@dataclass(frozen=True)
class _Settings:
    """The experiment's options, read."""

    shares: tuple[float, ...]
    draws: int
    axes: int
    rule: Rule

    @classmethod
    def of(cls, options: Any) -> _Settings:
        try:
            shares = tuple(sorted({float(share) for share in str(options["shares"]).split(",")}))
            draws, axes = int(options["draws"]), int(options["axes"])
            rule = Rule(int(options["rounds"]), float(options["weight"]), float(options["precision"]))
        except ValueError as error:
            raise InputError(
                f"an option is no number ({error})", "shares=0.1,0.5 draws=3 rounds=3 weight=0.3 precision=0.9 axes=128"
            ) from error
        if not all(0 < share <= 1 for share in shares) or draws < 1 or axes < 1:
            raise InputError(
                f"shares {options['shares']}, draws {draws}, axes {axes}", "shares above 0 up to 1; draws, axes from 1"
            )
        return cls(shares, draws, axes, rule)


@dataclass(eq=False)
class _Level:
    """What was found with one share of the specimens labelled."""

    share: float
    n: int
    classes: int
    called: dict[str, list[Rows]] = field(default_factory=dict)
    specimens: list[int] = field(default_factory=list)
    unlabelled: list[int] = field(default_factory=list)
    kin: list[int] = field(default_factory=list)
    joined: list[int] = field(default_factory=list)
    limits: list[float | None] = field(default_factory=list)
    right: list[float] = field(default_factory=list)

    def start(self) -> None:
        """Make room for one more draw."""
        for name in (_BASE, _SELF, _OWN, _ALL):
            self.called.setdefault(name, []).append(np.zeros(self.n, np.intp))


@experiment(
    "unmatched",
    "Images without a label: do they help?",
    "S4-52, S4-01",
    options=_OPTIONS,
    question=(
        "Many images of an archive cannot be matched with a report. Does a classifier judge new specimens better when"
        " it also learns from pictures whose cause nobody stated?"
    ),
)
def unmatched(request: Request) -> Findings:
    """Compare learning from labelled images alone with two ways of using others too, at several shares of labels.

    Self-training lets the classifier learn from its own sure verdicts; principal axes of the features are found on
    labelled and unlabelled images together, beside the control of axes found on the labelled ones. Without option
    ``unlabelled`` the labels of other training specimens are hidden, so that it can also be said how often a verdict
    that joined was right. Schmid et al. keep unmatched images for this and did not try it.
    """
    settings = _Settings.of(request.options)
    bench = open_bench(request)
    extractor = extractor_of(bench)
    features = bench_features(bench, extractor)
    pool, others = None, np.empty((0, features.shape[1]), np.float32)
    if request.options["unlabelled"] is not None:
        pool = open_pool(request.options["unlabelled"], bench)
        with bar("unlabelled", len(pool)) as advance:
            found = extractor.extract(pool.corpus.paths(), list(pool.corpus.table["sha256"]), advance)
        others, pool = found.features, pool.take(found.kept)
        bench.quarantined.extend([entry.as_dict() for entry in [*pool.quarantined, *found.quarantined]])
    folds = bench.folds(int(request.options["folds"]))
    shares = settings.shares if pool is not None else tuple(share for share in settings.shares if share < 1)
    if not shares:
        raise InputError("all specimens labelled and no others: nothing to learn from", "--option unlabelled=CORPUS")
    levels = [_level(bench, features, pool, others, folds, share, settings) for share in shares]
    return _findings(bench, levels, pool, settings, int(folds.max()) + 1)


def _level(
    bench: Bench,
    features: Features,
    pool: Pool | None,
    others: Features,
    folds: Rows,
    share: float,
    settings: _Settings,
) -> _Level:
    """Teach and test every arm with one share of the training specimens labelled, for several draws of them."""
    codes, n_folds = specimen_codes(bench), int(folds.max()) + 1
    level = _Level(share, bench.n, len(bench.classes))
    draws = 1 if share == 1 else settings.draws  # all specimens can be drawn in one way only
    with bar(f"{share:.0%} labelled", draws * n_folds) as advance:
        for draw in range(draws):
            level.start()
            for k in range(n_folds):
                test, train = np.flatnonzero(folds == k), np.flatnonzero(folds != k)
                chosen = labelled_specimens(codes[train], bench.labels[train], share, [bench.recipe.seed, 52, draw, k])
                with_label = np.isin(codes[train], chosen)
                taught, hidden = train[with_label], train[~with_label]
                level.specimens.append(len(chosen))
                if pool is None:
                    unlabelled, truth = features[hidden], bench.labels[hidden]
                else:
                    apart = pool.apart_from(np.unique(codes[test]))
                    level.kin.append(int((~apart).sum()))
                    unlabelled, truth = others[apart], None
                _teach(bench, level, features, taught, test, unlabelled, truth, settings)
                advance(1)
    return level


def labelled_specimens(codes: Rows, labels: Rows, share: float, seed: Sequence[int]) -> Rows:
    """Draw the specimens whose labels are known: a share of each class, two at least; larger shares hold smaller ones.

    Parameters
    ----------
    codes, labels : ndarray of int, shape (n,)
        Specimen and class of each image.
    share : float
    seed : sequence of int
    """
    names, first = np.unique(codes, return_index=True)
    of_class, rng = labels[first], np.random.default_rng(list(seed))
    found = []
    for code in np.unique(labels):
        mine = rng.permutation(names[of_class == code])
        found.append(mine[: max(_FEWEST, math.ceil(round(share * len(mine), 9)))])
    return np.sort(np.concatenate(found))


def _teach(
    bench: Bench, level: _Level, features: Features, taught: Rows, test: Rows, unlabelled: Features,
    truth: Rows | None, settings: _Settings,
) -> None:  # fmt: skip
    """Teach every arm and keep what it calls the test images."""
    labels, recipe, n_classes = bench.labels[taught], bench.recipe, level.classes
    groups = None if bench.plan.groups is None else np.asarray(bench.plan.groups)[taught]
    own = features[taught]

    def keep(name: str, scores: Floats) -> None:
        level.called[name][-1][test] = softmax(scores).argmax(axis=1)

    with noting(bench.warnings):
        base = fit_flat(own, labels, n_classes, groups, recipe)
        keep(_BASE, base.model(features[test]))
        taught_too = self_train(base, own, labels, unlabelled, n_classes, recipe, settings.rule)
        keep(_SELF, taught_too.model(features[test]))
        for name, seen in ((_OWN, own), (_ALL, np.concatenate([own, unlabelled]))):
            axes = Axes.of(seen, settings.axes)
            keep(name, fit_flat(axes(own), labels, n_classes, groups, recipe).model(axes(features[test])))
    level.unlabelled.append(len(unlabelled))
    level.joined.append(len(taught_too.joined))
    level.limits.append(taught_too.limit)
    if truth is not None and len(taught_too.joined):
        level.right.append(float((truth[taught_too.joined] == taught_too.said).mean()))


def _rows(bench: Bench, level: _Level) -> list[dict[str, Any]]:
    """Return one row an arm: scores over all draws, and the paired difference to what it is held against."""
    draws = len(level.called[_BASE])
    truth, groups = np.tile(bench.labels, draws), np.tile(specimen_codes(bench), draws)
    called = {name: np.concatenate(found) for name, found in level.called.items()}

    def compared(names: Sequence[str], reference: str) -> list[dict[str, Any]]:
        some = {name: called[name] for name in names}
        return compared_rows(truth, some, level.classes, groups, reference, bench.recipe.seed)

    rows = compared((_BASE, _SELF, _OWN, _ALL), _BASE)
    for row in rows:
        row["less_labelled_only"] = row.get("difference")
    rows[-1]["difference"] = compared((_ALL, _OWN), _OWN)[0]["difference"]
    for row in rows:
        row |= {"share": level.share, "labelled_specimens": round(float(np.mean(level.specimens)), 1), "draws": draws}
        row |= {"n": bench.n, "against": _AGAINST.get(row["arm"], ""), "name": f"{row['arm']}, {level.share:.0%}"}
        row.pop("mcnemar", None)  # it counts images singly, and here every draw of them again
        if "difference" in row:
            row["shown"] = _shown(row["difference"]["macro_f1"], learning=row["arm"] in _LEARNING)
    return rows


def _shown(gap: dict[str, Any], *, learning: bool) -> str:
    """Say whether a difference was shown; only of images without labels that they help or harm."""
    bounds = gap["ci95"]
    if bounds is None or bounds[0] <= 0 <= bounds[1]:
        return "not shown"
    words = ("helps", "harms") if learning else ("better", "worse")
    return words[0] if gap["value"] > 0 else words[1]


def _pool_row(level: _Level) -> dict[str, Any]:
    known = [limit for limit in level.limits if limit is not None]
    return {
        "name": f"{level.share:.0%}",
        "share": level.share,
        "labelled_specimens": round(float(np.mean(level.specimens)), 1),
        "unlabelled": round(float(np.mean(level.unlabelled))),
        "kin": round(float(np.mean(level.kin))) if level.kin else None,
        "joined": round(float(np.mean(level.joined))),
        "limit": float(np.mean(known)) if known else None,
        "without_limit": len(level.limits) - len(known),
        "fits": len(level.limits),
        "right": float(np.mean(level.right)) if level.right else None,
    }


def _findings(bench: Bench, levels: Sequence[_Level], pool: Pool | None, settings: _Settings, folds: int) -> Findings:
    rows = [row for level in levels for row in _rows(bench, level)]
    joining = [_pool_row(level) for level in levels]
    rule = settings.rule
    source = pool.said if pool is not None else ["unlabelled: training specimens whose labels were hidden"]
    unseen = (
        "That no image without a label shows a test specimen: names, FOANs, candidates of the matching and perceptual"
        " hashes were compared, and a picture can hide all of these."
    )
    return Findings(
        table=rows,
        answers=_answers(rows, joining),
        tables=[_table(rows), _joining_table(joining, settings)],
        figures=_figures(rows),
        may=["Whether these two ways of using images without labels help a linear head on these frozen features."],
        may_not=[
            "That images without labels are useless: pre-training of the whole network on them was not tried.",
            "That where it says not shown there is no difference: none was shown, none was excluded.",
            *([unseen] if pool is not None else
              ["Anything on unmatched images of an archive: hidden labels are drawn like the others, and images that"
               " could not be matched may come from other years, plants or people. Name them by option unlabelled."]),
        ],
        data=[
            *bench.described(), *source,
            f"{folds} folds of whole specimens; of the training specimens {', '.join(f'{x.share:.0%}' for x in levels)}"
            f" are labelled, at least {_FEWEST} of a class; {count(settings.draws, 'draw')}, small ones within large",
            f"self-training: {count(rule.rounds, 'round')}, weight {rule.weight:g}, the same share of each class; above"
            f" the confidence limit {percent(rule.precision)} of labelled images are judged rightly by inner folds",
            f"axes: {settings.axes} principal axes at most, scaled to unit variance, found without test images",
            "intervals: 95 %, bootstrap by specimen over all draws together; each holds for its comparison alone: of 20"
            " comparisons without a difference about one interval leaves out zero",
        ],
        arms=[
            (_BASE, "a linear head on frozen features of labelled images"),
            (_SELF, "the same, and its own sure verdicts on unlabelled images, counted less"),
            (_OWN, "the head reads principal axes found on labelled images: the control of the next"),
            (_ALL, "the head reads principal axes found on labelled and unlabelled images"),
        ],
        warnings=bench.warnings,
        quarantined=bench.quarantined,
        extra={"joining": joining, "unlabelled": source, "classes": list(bench.classes), "folds": folds},
    )  # fmt: skip


def _answers(rows: Sequence[dict[str, Any]], joining: Sequence[dict[str, Any]]) -> list[str]:
    tried = [row for row in rows if row["arm"] in _LEARNING]
    counted = {word: sum(row["shown"] == word for row in tried) for word in ("helps", "harms", "not shown")}
    lines = [
        f"Of {len(tried)} comparisons, unlabelled images help in {counted['helps']}, harm in {counted['harms']};"
        f" in {counted['not shown']} no difference in macro-F1 was shown."
    ]
    for row in tried:
        gap = row["difference"]["macro_f1"]
        span = "" if gap["ci95"] is None else f" ({points(gap['ci95'][0])} to {points(gap['ci95'][1])})"
        word = "no difference shown" if row["shown"] == "not shown" else row["shown"]
        lines.append(
            f"{row['share']:.0%} labelled ({row['labelled_specimens']:g} specimens), {row['arm']}: {word};"
            f" macro-F1 {percent(row['macro_f1']['value'])}, {points(gap['value'])} points{span} against"
            f" {row['against']}{_beside(row)}."
        )
    right = [f"{percent(entry['right'])} at {entry['name']}" for entry in joining if entry["right"] is not None]
    if right:
        lines.append(f"Verdicts that joined and were right: {', '.join(right)} labelled.")
    kin = [entry["kin"] for entry in joining if entry["kin"] is not None]
    if kin:
        lines.append(f"Left out of each fold because they may show a test specimen: {max(kin)} images on average.")
    return lines


def _beside(row: dict[str, Any]) -> str:
    """Add the difference to labelled images alone where the arm is held against its own control."""
    if row["against"] == _BASE:
        return ""
    return f" and {points(row['less_labelled_only']['macro_f1']['value'])} against {_BASE}"


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    columns = (
        Column("name", "arm, specimens labelled"),
        Column("macro_f1", "macro-F1", "share"),
        Column("accuracy", "accuracy", "share"),
        Column("difference.macro_f1", "less reference, points", "points"),
        Column("shown", "shown"),
        Column("less_labelled_only.macro_f1", f"less {_BASE}, points", "points"),
    )
    caption = (
        f"Each arm at each share of labelled specimens; the reference of {_ALL} is {_OWN}, that of the others {_BASE}."
        " Differences are of macro-F1; below each figure its 95 % interval."
    )
    return Table(caption, columns, rows)


def _joining_table(joining: Sequence[dict[str, Any]], settings: _Settings) -> Table:
    columns = (
        Column("name", "labelled"),
        Column("labelled_specimens", "specimens", "number"),
        Column("unlabelled", "unlabelled images", "count"),
        Column("kin", "left out as test kin", "count"),
        Column("joined", "joined", "count"),
        Column("limit", "confidence limit", "number"),
        Column("without_limit", "fits, none joined", "count"),
        Column("fits", "fits", "count"),
        Column("right", "of them right", "share"),
    )
    wanted = percent(settings.rule.precision)
    return Table(f"What joined, means over folds and draws; {wanted} right were asked for.", columns, joining)


def _figures(rows: Sequence[dict[str, Any]]) -> list[Figure]:
    shares = sorted({row["share"] for row in rows})
    series = {
        arm: [{"value": row["macro_f1"]["value"]} for share in shares for row in rows
              if (row["arm"], row["share"]) == (arm, share)]
        for arm in (_BASE, _SELF, _OWN, _ALL)
    }  # fmt: skip
    gaps = [
        (f"{row['arm']}, {row['share']:.0%}", {"macro-F1": row["difference"]["macro_f1"]})
        for row in rows
        if row["arm"] in _LEARNING
    ]
    svg = experiment_figures.dots(
        gaps, "gaps", "difference to its reference, points", reference=0.0, shares=False, points=True
    )
    found = [Figure(svg, "What unlabelled images bring; right of the dashed line they help.")]
    if len(shares) > 1:
        lines = experiment_figures.curves(
            [100 * share for share in shares], series, "shares", ("specimens labelled, %", "macro-F1")
        )
        found.append(
            Figure(
                lines,
                "Macro-F1 by share of labelled specimens: what further labels bring. Intervals stand in the table.",
            )
        )
    return found
