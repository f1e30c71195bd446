"""Does a low magnification suffice? Figures by magnification, and tests of equivalence instead of overlapping bars.

Schmid et al. conclude from F1 by magnification with standard deviations over folds (their Fig. 4) that 50x lies within
one deviation of 4,000x to 10,000x. Overlap shows nothing. Here every magnification is held against the highest one:
equivalent within a stated margin, worse, or not shown; and where cue masks are known, whether a right verdict looked at
a cue at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.evidence import holm, score
from sorby.evidence.equivalence import (
    FEWEST_EXACT,
    FEWEST_NAMED,
    Equivalence,
    clustered_tost,
    macro_f1_tost,
    paired_tost,
    within_specimen_difference,
)
from sorby.evidence.mixed_logistic import fit_mixed_logistic
from sorby.report import experiment_figures
from sorby.report.experiment_page import Column, Figure, Table, points
from sorby.report.wording import percent
from sorby.workflow.experiments.arms import Arm, RecipeLearner, out_of_fold
from sorby.workflow.experiments.bench import Bench, open_bench
from sorby.workflow.experiments.cue_looking import CueLearner, cue_rows, cue_sentences, cue_table
from sorby.workflow.experiments.registry import Findings, Request, experiment
from sorby.workflow.experiments.specimen_bench import stated_magnifications

Rows = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

_OPTIONS: dict[str, Any] = {"folds": 5, "min_count": 2, "margin": 0.05, "least": 20, "maps": 24}
_WORDS = {
    "equivalent": "equivalent within",
    "worse": "worse than",
    "better": "better than",
    "not shown": "neither shown equivalent to nor different from",
    "too few specimens": "too few specimens to be compared with",
}


@experiment(
    "magnification",
    "Does a low magnification suffice?",
    "S4-33, S4-34",
    needs=("specimen", "magnification"),
    options=_OPTIONS,
    question=(
        "Are images at a lower magnification judged as well as those at the highest one, and for the right reason?"
    ),
)
def magnification(request: Request) -> Findings:
    """Hold every magnification against the highest one."""
    bench = open_bench(request, ("specimen", "magnification"))
    powers, specimens = stated_magnifications(bench), bench.specimens
    assert specimens is not None
    levels = _levels(powers, int(request.options["least"]), bench.warnings)
    learner = _learner(bench, int(request.options["maps"]))
    folds = bench.folds(int(request.options["folds"]))
    called = out_of_fold(bench, learner, folds, "by magnification").argmax(axis=1)
    margin = float(request.options["margin"])
    rows = [_row(bench, called, powers == level, float(level)) for level in levels]
    _against_highest(rows, bench, called, powers, levels, margin)
    bench.warnings.extend(_liberal(rows))
    per_class = _by_class(bench, called, powers, levels, margin)
    looked = cue_rows(learner, called, bench, powers, levels) if isinstance(learner, CueLearner) else []
    tables = [_table(rows, margin), _right_table(rows), _class_table(per_class)]
    return Findings(
        table=rows,
        answers=[*_sentences(rows, margin), *cue_sentences(looked)],
        tables=[*tables, *([cue_table(looked)] if looked else [])],
        figures=_figures(rows, margin),
        may=[
            f"Where it says equivalent: F1 differs by less than {margin:g} on specimens like these, with this network"
            " and recipe.",
            "Where it says worse: that it is, on specimens like these.",
        ],
        may_not=[
            "That a magnification suffices where it says not shown or too few specimens: those show neither sameness"
            " nor difference.",
            "That a right verdict at low magnification saw the origin: see the table of cues, and without cue masks ask"
            " experts.",
            "Anything on a classifier taught at one magnification only: this one was taught at all of them.",
        ],
        data=[
            *bench.described(), f"{int(folds.max()) + 1} folds of whole specimens, one classifier for all",
            f"margin {margin:g}; two one-sided tests at 5 %; only specimens seen at both magnifications are compared,"
            f" from {FEWEST_NAMED} of them on",
            "macro-F1: specimens resampled; right verdicts: paired t over specimens, linear probability, errors robust"
            " over specimens, and logistic regression with a random intercept a specimen",
            "p, Holm: corrected for all magnifications of the table, equivalence and difference each",
        ],
        warnings=bench.warnings,
        quarantined=bench.quarantined,
        extra={"per_class": per_class, "cues": looked, "reference": float(levels[-1]), "margin": margin},
    )  # fmt: skip


def _levels(powers: Floats, least: int, warnings: list[str]) -> Floats:
    """Return the magnifications with enough images, rising.

    Raises
    ------
    InputError
        There are fewer than two.
    """
    levels, counts = np.unique(powers, return_counts=True)
    if (scarce := levels[counts < least]).size:
        named = ", ".join(f"{level:g}x" for level in scarce)
        warnings.append(f"magnifications with fewer than {least} images are not compared: {named}")
    kept = levels[counts >= least]
    if len(kept) < 2:
        raise InputError(
            f"{len(kept)} magnifications have {least} images or more: nothing can be compared", "lower option least"
        )
    return np.asarray(kept)


def _learner(bench: Bench, maps: int) -> RecipeLearner:
    """Return a learner that also keeps maps where the corpus names cue images."""
    recipe = Arm("by magnification", "").recipe(bench.recipe)
    if "cues" not in bench.corpus.table or bench.corpus.table["cues"].isna().all() or maps <= 0:
        bench.warnings.append("no cue masks (column cues): whether verdicts looked at the origin was not checked")
        return RecipeLearner(bench, recipe)
    return CueLearner(bench, recipe, maps)


def _row(bench: Bench, called: Rows, here: npt.NDArray[np.bool_], level: float) -> dict[str, Any]:
    specimens = bench.specimens
    assert specimens is not None
    found = score(bench.labels[here], called[here], len(bench.classes), specimens[here], bench.recipe.seed)
    return {
        "magnification": level,
        "name": f"{level:g}x",
        "n": found["n"],
        "n_specimens": found["n_specimens"],
        "accuracy": found["accuracy"].as_dict(),
        "macro_f1": found["macro_f1"].as_dict(),
    }


def _against_highest(
    rows: list[dict[str, Any]], bench: Bench, called: Rows, powers: Floats, levels: Floats, margin: float
) -> None:
    """Add the comparisons with the highest magnification to every other row, Holm-corrected over rows."""
    specimens, n_classes, seed = bench.specimens, len(bench.classes), bench.recipe.seed
    assert specimens is not None
    right, top = called == bench.labels, powers == levels[-1]
    found: list[tuple[Equivalence, Equivalence]] = []
    for row, level in zip(rows[:-1], levels[:-1], strict=True):
        here = powers == level
        f1 = macro_f1_tost(
            bench.labels[here], called[here], specimens[here],
            bench.labels[top], called[top], specimens[top], n_classes, margin, seed=seed,
        )  # fmt: skip
        paired = paired_tost(
            within_specimen_difference(right[here], specimens[here], right[top], specimens[top]), margin
        )
        robust = clustered_tost(right[here], right[top], specimens[here], specimens[top], margin)
        row |= {"macro_f1_difference": f1.as_dict(), "paired": paired.as_dict(), "robust": robust.as_dict()}
        found.append((f1, paired))
    for k, name in enumerate(("macro_f1_difference", "paired")):
        same = holm([pair[k].p_equivalence for pair in found])
        other = holm([pair[k].p_difference for pair in found])
        for row, pair, p_same, p_other in zip(rows[:-1], found, same, other, strict=True):
            row[name] |= {
                "p_equivalence_holm": float(p_same),
                "p_difference_holm": float(p_other),
                "conclusion": pair[k].conclusion(float(p_same), float(p_other)),
            }
    _add_mixed_model(rows, right, powers, levels, specimens)


def _add_mixed_model(
    rows: list[dict[str, Any]], right: npt.NDArray[np.bool_], powers: Floats, levels: Floats, specimens: Any
) -> None:
    """Add the effect of each magnification on the log-odds of a right verdict, specimens as random intercepts."""
    inside = np.isin(powers, levels)
    dummies = (powers[inside][:, None] == levels[None, :-1]).astype(np.float64)
    design = np.concatenate([np.ones((len(dummies), 1)), dummies], axis=1)
    model = fit_mixed_logistic(design, right[inside], np.asarray(specimens)[inside])
    p = holm(model.p_values()[1:])
    for k, row in enumerate(rows[:-1], start=1):
        low, high = model.intervals()[k]
        row["mixed_model"] = {
            "value": float(model.effects[k]),
            "ci95": [float(low), float(high)] if np.isfinite(low) else None,
            "p_holm": float(p[k - 1]),
            "specimen_sd": model.specimen_sd,
            "converged": model.converged,
        }


def _by_class(bench: Bench, called: Rows, powers: Floats, levels: Floats, margin: float) -> list[dict[str, Any]]:
    """Return F1 of each class at each magnification and its comparison with the highest, Holm over all of them."""
    specimens, n_classes = bench.specimens, len(bench.classes)
    assert specimens is not None
    top, rows = powers == levels[-1], []
    found: list[tuple[dict[str, Any], Equivalence]] = []
    for code, name in enumerate(bench.classes):
        for level in levels:
            here = powers == level
            if not (bench.labels[here] == code).any():
                continue
            row: dict[str, Any] = {"class": name, "name": f"{level:g}x", "magnification": float(level)}
            row |= {"n": int((bench.labels[here] == code).sum()), "f1": _f1(bench, called, here, code)}
            if level != levels[-1]:
                gap = macro_f1_tost(
                    bench.labels[here], called[here], specimens[here], bench.labels[top], called[top], specimens[top],
                    n_classes, margin, of_class=code, seed=bench.recipe.seed, n_resamples=1000,
                )  # fmt: skip
                row["difference"] = gap.as_dict()
                found.append((row["difference"], gap))
            rows.append(row)
    same, other = holm([gap.p_equivalence for _, gap in found]), holm([gap.p_difference for _, gap in found])
    for (entry, gap), p_same, p_other in zip(found, same, other, strict=True):
        entry.update({
            "p_equivalence_holm": float(p_same),
            "p_difference_holm": float(p_other),
            "conclusion": gap.conclusion(float(p_same), float(p_other)),
        })  # fmt: skip
    return rows


def _f1(bench: Bench, called: Rows, here: npt.NDArray[np.bool_], code: int) -> float:
    true, said = bench.labels[here] == code, called[here] == code
    total = int(true.sum() + said.sum())
    return 2.0 * float((true & said).sum()) / total if total else 0.0


def _liberal(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say which comparisons rest on specimens enough to name something, but too few to trust the level."""
    few = [row["name"] for row in rows[:-1] if FEWEST_NAMED <= row["macro_f1_difference"]["n"] < FEWEST_EXACT]
    if not few:
        return []
    return [
        f"fewer than {FEWEST_EXACT} specimens at {', '.join(few)} and {rows[-1]['name']}: the test of macro-F1 is"
        " liberal, it finds a difference where there is none in up to 10 % of trials instead of 5 %"
    ]


def _sentences(rows: Sequence[Mapping[str, Any]], margin: float) -> list[str]:
    top = rows[-1]
    lines = [f"{top['name']}, the highest: macro-F1 {percent(top['macro_f1']['value'])}, {top['n']} images."]
    for row in rows[:-1]:
        gap = row["macro_f1_difference"]
        span = "" if gap["ci90"] is None else f", 90 % interval {points(gap['ci90'][0])} to {points(gap['ci90'][1])}"
        word = _WORDS[gap["conclusion"]] + (f" {margin:g} of" if gap["conclusion"] == "equivalent" else "")
        lines.append(
            f"{row['name']}: {word} {top['name']} (macro-F1 {points(gap['value'])} points{span};"
            f" {gap['n']} specimens at both{_wanting(gap['conclusion'])})."
        )
    return lines


def _wanting(conclusion: str) -> str:
    return f", {FEWEST_NAMED} are needed" if conclusion == "too few specimens" else ""


def _table(rows: Sequence[Mapping[str, Any]], margin: float) -> Table:
    columns = (
        Column("name", "magnification"),
        Column("n", "images", "count"),
        Column("n_specimens", "specimens", "count"),
        Column("macro_f1", "macro-F1", "share"),
        Column("macro_f1_difference", "less highest, points", "points"),
        Column("macro_f1_difference.p_equivalence_holm", f"p, not within {margin:g}", "p"),
        Column("macro_f1_difference.p_difference_holm", "p, no difference", "p"),
        Column("macro_f1_difference.conclusion", "shown"),
    )
    return Table("Each magnification, and its comparison with the highest one.", columns, rows)


def _right_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = (
        Column("name", "magnification"),
        Column("accuracy", "accuracy", "share"),
        Column("paired", "right less highest, paired, points", "points"),
        Column("paired.conclusion", "shown"),
        Column("robust", "the same, all images, points", "points"),
        Column("mixed_model", "log-odds of being right", "number"),
        Column("mixed_model.p_holm", "p", "p"),
    )
    return Table("Right verdicts: specimens paired, errors robust over specimens, and a mixed model.", columns, rows)


def _class_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = (
        Column("class", "class"),
        Column("name", "magnification"),
        Column("n", "images", "count"),
        Column("f1", "F1", "share"),
        Column("difference", "less highest, points", "points"),
        Column("difference.p_equivalence_holm", "p, not within the margin", "p"),
        Column("difference.p_difference_holm", "p, no difference", "p"),
        Column("difference.conclusion", "shown"),
    )
    return Table("The same for each class.", columns, rows)


def _figures(rows: Sequence[Mapping[str, Any]], margin: float) -> list[Figure]:
    drawn = [
        (f"{row['name']} ({row['n']})", {"macro-F1": row["macro_f1"], "accuracy": row["accuracy"]}) for row in rows
    ]
    gaps = [
        (str(row["name"]), {"macro-F1": {**row["macro_f1_difference"], "ci95": row["macro_f1_difference"]["ci90"]}})
        for row in rows[:-1]
    ]
    svg = experiment_figures.dots(
        gaps, "gaps", f"difference to {rows[-1]['name']}, points", reference=0.0, shares=False, points=True, band=margin
    )
    return [
        Figure(
            experiment_figures.dots(drawn, "magnifications", "share"),
            "Figures by magnification with 95 % intervals by specimen (their Fig. 4 shows deviations over folds).",
        ),
        Figure(
            svg,
            f"Differences to the highest magnification with 90 % intervals, each for its comparison alone: within"
            f" {100 * margin:g} points of zero (shaded) it shows equivalence before Holm's correction, which the table"
            " makes.",
        ),
    ]
