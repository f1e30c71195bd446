"""S4's tables and figures on SEM pictures of broken specimens: theirs beside ours, with the audit it lacked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd

from sorby.errors import InputError
from sorby.evidence.calibration import calibration_report
from sorby.report import archive_figures, figures, fold_figures
from sorby.report.experiment_page import Figure
from sorby.report.leakage_page import fold_rows, published_rows, shared_specimens
from sorby.report.paper_page import Part
from sorby.report.wording import count, interval, percent
from sorby.workflow.corpora import audit_corpus
from sorby.workflow.data import open_data
from sorby.workflow.experiments.bench import Bench, Floats, open_bench
from sorby.workflow.experiments.registry import Findings, Request, find
from sorby.workflow.experiments.specimen_bench import stated_magnifications
from sorby.workflow.papers import comparing
from sorby.workflow.papers import fracture_tables as tables
from sorby.workflow.papers import schmid2026 as s4
from sorby.workflow.papers.fracture_protocols import BY_IMAGE, BY_SPECIMEN, Protocol, inflation, run_protocol
from sorby.workflow.papers.fracture_series import series_parts

#: Studies that the paper names as open, with the title they get on the page.
STUDIES = {
    "magnification": "Fig. 4 tested: does a low magnification suffice?",
    "specimen-pooling": "Beyond the paper: one verdict a specimen",
    "triage": "Beyond the paper: how far a look from afar goes",
}
_FEW_FOLDS = 3
_MAPS = 12  # of each magnification, held against the cues


@dataclass(frozen=True)
class FractureOptions:
    """What is made.

    Attributes
    ----------
    folds : int
        Of both protocols.
    maps : bool
        Whether figures with maps are made.
    studies : bool
        Whether magnifications are tested, verdicts on specimens compared and triage run.
    """

    folds: int = s4.FOLDS
    maps: bool = True
    studies: bool = True


def paper_s4(request: Request, options: FractureOptions) -> tuple[list[Part], dict[str, Any], list[str]]:
    """Return the parts of the page, every cell for JSON, and warnings.

    Parameters
    ----------
    request : Request
        Its corpus names specimens and magnifications; its own options are not read.
    options : FractureOptions

    Raises
    ------
    InputError
        Specimens or magnifications are missing, or too few of them.
    """
    request = replace(request, options={"min_count": 2})
    bench = open_bench(request, ("specimen", "magnification"))
    if options.folds < _FEW_FOLDS:
        raise InputError(f"{options.folds} folds give no standard deviation worth printing", "--folds 5")
    powers = stated_magnifications(bench)
    named = request.columns
    whole = open_data(request.data, label=named["label"], group=named["group"], image=named["image"]).corpus
    phantoms = "phantom" in whole.table and bool(whole.table["phantom"].astype(str).str.lower().eq("true").all())
    flagged = comparing.flag(phantoms)
    audit = audit_corpus(bench.corpus, folds=options.folds, embedding=False, seed=bench.recipe.seed)
    protocols = {name: run_protocol(bench, name, options.folds) for name in (BY_IMAGE, BY_SPECIMEN)}
    gap = inflation(bench, protocols[BY_IMAGE], protocols[BY_SPECIMEN])
    cells: dict[str, Any] = {
        "flag": flagged,
        "differences": tables.differences(bench, phantoms, options.folds),
        "n": bench.n,
        "classes": list(bench.classes),
        "inflation": gap,
    }
    parts = [
        _data_part(bench, whole.table, flagged, cells),
        _leakage_part(audit, gap, cells),
        *_score_parts(bench, protocols, flagged, cells),
        _magnification_part(bench, protocols, powers, cells),
        *_learning_part(protocols[BY_IMAGE]),
    ]
    if options.maps:
        parts += series_parts(bench, protocols[BY_SPECIMEN], powers)
    parts.append(_calibration_part(bench, protocols[BY_SPECIMEN], cells))
    if options.studies:
        parts += _study_parts(request, cells, bench.warnings, maps=options.maps)
    return parts, cells, bench.warnings


def _data_part(bench: Bench, whole: pd.DataFrame, flagged: str, cells: dict[str, Any]) -> Part:
    """Figs. 1 and 2, and how the archive was matched."""
    counts = dict(Counter(bench.plan.names.tolist()))
    matched = tables.match_rows(whole, flagged)
    cells |= {"fig_1": counts, "matches": matched}
    shown = [tables.counts_table(counts, flagged), *([tables.match_table(matched)] if matched else [])]
    drawn = [
        Figure(archive_figures.class_bars(counts), f"Fig. 1, ours: images of each class; {flagged}."),
        Figure(
            archive_figures.magnification_by_class(bench.corpus.table),
            "Fig. 2, ours: magnifications within each class. The paper calls its proportions broadly similar; whether"
            " the class can be told from the magnification is in the audit.",
        ),
    ]
    excluded = Counter(whole["exclusion"].dropna().astype(str).str.replace(r"(:| of ).*", "", regex=True))
    excluded.pop("", None)
    text = [*bench.described()]
    if excluded:
        text.append("Take no part: " + ", ".join(f"{count(n, 'image')} ({why})" for why, n in excluded.items()) + ".")
    return Part("Figs. 1 and 2: the data", text, shown, drawn)


def _leakage_part(audit: Mapping[str, Any], gap: Mapping[str, Mapping[str, Any]], cells: dict[str, Any]) -> Part:
    """Table 1, and what it does not measure."""
    by_image, by_specimen = audit["table1"], audit["table1_by_specimen"]
    cells["table_1"] = {"by_image": by_image, "by_specimen": by_specimen}
    found = gap["macro_f1"]
    difference = found["difference"]
    shared = sum(row["images_of_shared_specimens"] for row in by_image["folds"])
    judged = sum(row["n"] for row in by_image["folds"])
    text = [
        by_image["note"],
        f"In folds drawn by image, {shared} of {judged} judged images show a specimen that was also learnt from.",
        f"What it is worth: macro-F1 {percent(found['by_image'])} by image, {percent(found['by_specimen'])} with"
        f" specimens whole; {100 * difference['value']:+.1f} points"
        + (
            f" (95 % interval {100 * difference['ci95'][0]:+.1f} to {100 * difference['ci95'][1]:+.1f})."
            if difference["ci95"]
            else "."
        ),
    ]
    shown = [published_rows(), *(fold_rows(each) for each in (by_image, by_specimen) if each)]
    shown += [shared_specimens(by_image), tables.inflation_table(gap)]
    return Part("Table 1: leakage, and what it is worth", text, shown)


def _score_parts(bench: Bench, protocols: Mapping[str, Protocol], flagged: str, cells: dict[str, Any]) -> list[Part]:
    """Tables 2 and 3, the supplement's table, and Fig. 3."""
    cells["table_2"] = tables.metric_rows(protocols, flagged)
    cells["table_3"] = tables.class_rows(bench, protocols, flagged)
    cells["fig_3"] = tables.confusion_rows(bench, protocols)
    titles = [s4.TITLES.get(name, name) for name in bench.classes]
    drawn = [
        Figure(
            fold_figures.share_confusion(s4.weighted_row_shares(protocol.confusions), titles, f"fig-3-{k}"),
            f"Fig. 3, ours, folds drawn {name}; {bench.n} images.",
        )
        for k, (name, protocol) in enumerate(protocols.items())
    ]
    training = (
        "Training metrics: ours are of the finished classifier on plain training images; the paper's were taken in"
        " passing on augmented, balanced batches."
    )
    literature = "; ".join(f"{what}: {value}" for what, value in s4.LITERATURE.items())
    return [
        Part(
            "Table 2 and supplement: overall",
            [training, f"The paper compares itself with {literature}. Other tasks and images: no ranking follows."],
            [tables.metric_table(cells["table_2"], where) for where in ("Table 2", "supplement")],
        ),
        Part(
            "Table 3: each class",
            [
                "The macro means of the published columns are"
                f" {s4.macro('recall'):.3f}, {s4.macro('precision'):.3f} and {s4.macro('f1'):.4f}."
            ],
            [tables.class_table(cells["table_3"])],
        ),
        Part("Fig. 3: confusion", tables=[tables.confusion_table(cells["fig_3"])], figures=drawn),
    ]


def _magnification_part(bench: Bench, protocols: Mapping[str, Protocol], powers: Floats, cells: dict[str, Any]) -> Part:
    """Fig. 4 as published: mean and standard deviation over folds."""
    rows = tables.magnification_rows(bench, protocols, powers)
    cells["fig_4"] = rows
    series = {f"folds {name}": [row["ours_" + name.replace(" ", "_")] for row in rows] for name in protocols}
    svg = fold_figures.spread_over_folds([row["name"] for row in rows], series, "fig-4", ("magnification", "macro-F1"))
    text = [
        "The paper reads from such bars that 50x is as good as 4,000x to 10,000x because they overlap. Bars of folds"
        " show how much training sets differ, not whether two magnifications do.",
    ]
    caption = "Fig. 4, ours: macro-F1, mean and standard deviation over folds that hold every class there."
    return Part("Fig. 4: magnification, as published", text, figures=[Figure(svg, caption)])


def _learning_part(protocol: Protocol) -> list[Part]:
    """Return the supplement's learning curves; a frozen network has none."""
    if not any(protocol.histories):
        return []
    found = s4.LEARNING
    text = [
        f"Published: training macro-F1 reaches {found['train_macro_f1']}, validation {found['val_macro_f1']}; the"
        f" validation loss is least near epoch {found['epoch_of_least_loss']} and rises to {found['last_val_loss']}.",
        "Ours: validation images are part of the training folds and never judged.",
    ]
    svg = fold_figures.learning_over_folds([each for each in protocol.histories if each], "learning-folds")
    return [Part("Supplement: learning curves", text, figures=[Figure(svg, "Mean and standard deviation over folds.")])]


def _calibration_part(bench: Bench, protocol: Protocol, cells: dict[str, Any]) -> Part:
    """Hold stated confidences against new specimens."""
    found = calibration_report(protocol.probabilities, bench.labels, bench.specimens, seed=bench.recipe.seed)
    ece = found["ece"].as_dict()
    cells["calibration"] = {name: found[name].as_dict() for name in ("ece", "brier", "log_loss")}
    text = [
        "Experts were shown softmax confidences that nobody had checked. Ours are calibrated inside the training part"
        f" and checked here on specimens not taught: expected calibration error {ece['value']:.3f}"
        f" ({interval(ece['ci95'], shares=False)}), by which a stated confidence is off on average.",
    ]
    curve = asdict(found["reliability"])
    return Part(
        "Beyond the paper: what a confidence is worth", text,
        figures=[Figure(figures.reliability(curve, bench.n), "Stated confidence and share right, specimens whole.")],
    )  # fmt: skip


def _study_parts(request: Request, cells: dict[str, Any], warnings: list[str], *, maps: bool) -> list[Part]:
    """Return the studies that the paper left to others, on the same corpus and recipe.

    One that the corpus is too small for says so on the page and in the warnings: the paper's own tables stand without.
    """
    parts = []
    for name, title in STUDIES.items():
        chosen = find(name)
        options = dict(chosen.options) | ({"maps": _MAPS if maps else 0} if name == "magnification" else {})
        try:
            found = chosen.run(replace(request, options=options))
        except InputError as error:
            why = f"study {name} was not made: {error.message}"
            warnings.append(why)
            parts.append(Part(title, [f"{why[0].upper()}{why[1:]}. By itself: sorby experiment {name}."]))
            continue
        cells[name] = {"table": found.table, "answers": found.answers}
        warnings.extend(line for line in found.warnings if line not in warnings)
        parts.append(_study_part(title, name, found))
    return parts


def _study_part(title: str, name: str, found: Findings) -> Part:
    text: Sequence[str] = [*found.answers, *(f"Not to be concluded: {line}" for line in found.may_not)]
    return Part(title, [*text, f"By itself: sorby experiment {name}."], found.tables, found.figures)
