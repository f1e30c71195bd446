"""S2's tables and figures on SEM pictures of corroded alloys: theirs beside ours, with the ablation it lacked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sorby.backbone.surface_networks import SURFACE_NETWORKS, weight_count
from sorby.errors import InputError
from sorby.evidence import wilson
from sorby.report import fold_figures
from sorby.report.experiment_page import Column, Figure, Table
from sorby.report.paper_page import Part
from sorby.report.thumbnails import embed, strip
from sorby.report.wording import count, percent
from sorby.workflow.experiments.bench import Bench, open_bench
from sorby.workflow.experiments.few_originals import rounds_of
from sorby.workflow.experiments.registry import Findings, Request, find
from sorby.workflow.experiments.synthetic_images import BOTH, FROZEN, SHORT_TEACHING, ablate, open_studio
from sorby.workflow.experiments.synthetic_teaching import Images, Studio, teach_network
from sorby.workflow.papers import bhat2023 as s2
from sorby.workflow.papers import comparing
from sorby.workflow.papers.corrosion_consistency import consistency_rows
from sorby.workflow.papers.corrosion_curves import chosen_coupons, curve_parts, curves_of
from sorby.workflow.papers.corrosion_page import CLAIMS, consistency_parts

NETWORK = "corrosion-table6"
_FEW_FOLDS = 2
_PANEL = 6  # images a row of Fig. 10
_PANEL_PX = 150
_KEPT_FOR_CURVE = 5  # folds of the learning curve's one division


@dataclass(frozen=True)
class CorrosionOptions:
    """What is made.

    Attributes
    ----------
    protocol : {"one-out", "folds"}
        Of the ablation.
    folds : int
        Of protocol ``folds``.
    generator : str
        Recipe of the generator.
    generator_set : str
        Its fields changed, ``field=value`` separated by blanks.
    exposures : int
        Images that each network of the ablation sees.
    epochs : int
        Of the learning curve; 400 were published. 0 leaves it out.
    """

    protocol: str = "folds"
    folds: int = 5
    generator: str = "stills-128"
    generator_set: str = SHORT_TEACHING
    exposures: int = 1000
    epochs: int = 20


def paper_s2(request: Request, options: CorrosionOptions) -> tuple[list[Part], dict[str, Any], list[str]]:
    """Return the parts of the page, every cell for JSON, and warnings.

    Parameters
    ----------
    request : Request
        Pictures of two alloys; its own options are not read.
    options : CorrosionOptions

    Raises
    ------
    InputError
        There are not two classes, or too few originals.
    """
    if options.folds < _FEW_FOLDS:
        raise InputError(f"{options.folds} fold leaves nothing to learn from", "--folds 5")
    ablation = find("synthetic-images")
    asked = {
        "protocol": options.protocol, "folds": options.folds, "generator": options.generator,
        "generator_set": options.generator_set, "exposures": options.exposures,
    }  # fmt: skip
    request = replace(request, options={**ablation.options, **asked})
    bench = open_bench(request)
    if len(bench.classes) != len(s2.ALLOYS):
        raise InputError(f"{len(bench.classes)} classes: {', '.join(bench.classes)}", "the paper tells two apart")
    phantoms = "phantom" in bench.corpus.table and bool(
        bench.corpus.table["phantom"].astype(str).str.lower().eq("true").all()
    )
    flagged = comparing.flag(phantoms)
    cells: dict[str, Any] = {"flag": flagged, "n": bench.n, "classes": list(bench.classes)}
    cells["differences"] = _differences(bench, phantoms, options)
    studio = open_studio(bench, request.options)
    found = ablate(bench, studio, request.options)
    parts = [
        _data_part(bench, studio, flagged, cells),
        _network_part(cells),
        *_accuracy_parts(bench, found, flagged, cells),
        *_learning_part(bench, studio, options, cells),
        *_curve_parts(bench, cells),
        *_consistency(cells),
    ]
    return parts, cells, bench.warnings


def _differences(bench: Bench, phantoms: bool, options: CorrosionOptions) -> list[str]:
    """Name everything in which our figures differ from the published ones."""
    named = bench.plan.grouped
    return [
        "Images: " + ("phantoms, whose truth is known." if phantoms else "not those of the paper."),
        "Protocol: "
        + ("each original left out once" if options.protocol == "one-out" else f"{options.folds} folds of originals")
        + (", specimens kept whole" if named else "")
        + "; generators taught anew from each training part; only originals are judged. Published: none is described.",
        f"Network: Table 6 as printed, {options.exposures} images seen; published: 400 epochs of 210 images.",
    ]


def _data_part(bench: Bench, studio: Studio, flagged: str, cells: dict[str, Any]) -> Part:
    """Table 3, and Fig. 10: originals and generated images of each alloy."""
    counts = Counter(bench.plan.names.tolist())
    made = studio.generated(np.arange(bench.n))
    rows = []
    for k, name in enumerate(bench.classes):
        printed = s2.TABLE_3.get(name, (None, None))
        rows.append({"alloy": name, "published": printed[0], "ours": counts[name], "published_made": printed[1],
                     "ours_made": int((made.labels == k).sum()), "flag": flagged})  # fmt: skip
    cells["table_3"] = rows
    columns = (
        Column("alloy", "class"),
        Column("published", "published originals", "count"),
        Column("ours", "our originals", "count"),
        Column("published_made", "published generated", "count"),
        Column("ours_made", "our generated", "count"),
        Column("flag", "comparable?", "flag"),
    )
    pictures = []
    for k, name in enumerate(bench.classes):
        for what, images in (("originals", studio.originals), ("generated", made)):
            some = images.small[images.labels == k][:_PANEL]
            shown = strip([np.repeat(each[..., None], 3, axis=2) for each in some])
            pictures.append((embed(shown, f"{name} {what}"), f"{name}, {what}"))
    text = [
        *bench.described(),
        "Generators of this panel saw all originals; those of the ablation never do.",
        "What such images are worth is measured by sorby synthesize check: KID between a floor and a ceiling, copies.",
    ]
    return Part("Table 3 and Fig. 10: originals and generated images", text,
                [Table("Table 3: images.", columns, rows)], pictures=pictures)  # fmt: skip


def _network_part(cells: dict[str, Any]) -> Part:
    """Table 6 and the text's network: parameters as printed, and of the networks built."""
    # The head adds one output neuron: a weight for each value that it reads, and a bias.
    built = {name: weight_count(name) + plan.dense[-1] + 1 for name, plan in SURFACE_NETWORKS.items()}
    printed = {"bhat-table6": s2.PARAMETERS, "bhat-text": s2.DENSE_WEIGHTS + s2.CONVOLUTION_WEIGHTS}
    rows = [
        {"network": name, "printed": printed.get(name), "built": number,
         "same": "not stated" if name not in printed else "equal" if printed[name] == number else "differs"}
        for name, number in built.items()
    ]  # fmt: skip
    cells["table_6"] = {"layers": [{**vars(layer), "counted": layer.counted} for layer in s2.TABLE_6], "networks": rows}
    layers = Table(
        "Table 6: parameters of each layer as printed, and counted (k k cin cout + cout; n m + m).",
        (Column("name", "layer"), Column("parameters", "printed", "count"), Column("counted", "counted", "count")),
        cells["table_6"]["layers"],
    )
    networks = Table(
        "The three networks described: parameters printed, and of the networks that are built here.",
        (Column("network", "network"), Column("printed", "printed", "count"), Column("built", "built", "count"),
         Column("same", "verdict", "flag")),
        rows,
    )  # fmt: skip
    text = [
        f"The {s2.DENSE_WEIGHTS:,} of the text are one dense layer; its {s2.CONVOLUTION_WEIGHTS:,} weights of"
        " convolutions fit no stack of 3 x 3 convolutions that the text allows, so that network cannot be rebuilt to"
        " the last weight.",
    ]
    return Part("Table 6 and the network of the text", text, [layers, networks])


def _accuracy_parts(bench: Bench, found: Findings, flagged: str, cells: dict[str, Any]) -> list[Part]:
    """Return the published accuracies beside ours, the ablation, the confusion and the baselines."""
    by_arm = {row["arm"]: row for row in found.table}
    rows = []
    for where, value in s2.ACCURACY.items():
        rows.append({"what": f"accuracy, {where}", "published": {"value": value, "ci95": None},
                     "ours": by_arm[BOTH]["accuracy"], "arm": BOTH, "flag": flagged})  # fmt: skip
    for what, value in s2.BASELINES.items():
        rows.append({"what": f"{what}, below", "published": {"value": value, "ci95": None},
                     "ours": by_arm[FROZEN]["accuracy"], "arm": FROZEN, "flag": flagged})  # fmt: skip
    cells |= {"accuracy": rows, "answers": list(found.answers), "ablation": found.table,
              "leakage": found.extra.get("leakage"), "mixed": found.extra.get("mixed"),
              "fig_14": {row["arm"]: row["confusion"] for row in found.table}}  # fmt: skip
    columns = (
        Column("what", "published figure"),
        Column("published", "published", "share"),
        Column("ours", "ours", "share"),
        Column("arm", "our arm"),
        Column("flag", "comparable?", "flag"),
    )
    n = by_arm[BOTH]["n"]
    drawn = [
        Figure(fold_figures.share_confusion(_shares(by_arm[arm]["confusion"]), list(bench.classes), f"fig-14-{k}"),
               f"Fig. 14, ours, {arm}: {n} originals, each judged by a network that has not seen it.")
        for k, arm in enumerate((BOTH, FROZEN))
    ]  # fmt: skip
    sizes = "; ".join(f"{where}: {percent(value)} would be {_fits(value)}" for where, value in s2.ACCURACY.items())
    text = [
        f"The paper states no test size. {sizes}.",
        f"Below 30 % of two classes is worse than guessing. Unless the test was tiny, a network that is wrong in 70 %"
        f" calls the classes by each other's names. A pre-trained network's frozen features and a linear head on them"
        f" reach {percent(by_arm[FROZEN]['accuracy']['value'])} of {n} here.",
    ]
    ablation = Part(
        "The ablation: what each ingredient brings",
        [*found.answers, *(f"Not to be concluded: {line}" for line in found.may_not)],
        found.tables,
        found.figures,
    )
    return [Part("Accuracy and Fig. 14", text, [Table("Accuracies.", columns, rows)], drawn), ablation]


def _shares(confusion: Sequence[Sequence[int]]) -> np.ndarray[Any, Any]:
    counts = np.asarray(confusion, np.float64)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def _fits(value: float, most: int = 210) -> str:
    """Say which counts of up to *most* images round to a printed accuracy, with the interval of the smallest."""
    fitting = [(k, n) for n in range(1, most + 1) for k in (round(value * n),) if round(k / n, 3) == round(value, 3)]
    k, n = fitting[0]
    found = wilson(k, n)
    low, high = found[0], found[1]
    return (
        f"{k} of {n} at the least (95 % interval {percent(low)} to {percent(high)}), and {len(fitting)} sizes up to"
        f" {most} fit"
    )


def _learning_part(bench: Bench, studio: Studio, options: CorrosionOptions, cells: dict[str, Any]) -> list[Part]:
    """Figs. 11 to 13: one division of the originals, the network looked at after every epoch."""
    if not options.epochs:
        return []
    one = rounds_of(bench, "folds", folds=_KEPT_FOR_CURVE, originals="", draws=0)[0]
    originals: Images = studio.originals.take(one.train)
    taught, judged = originals.joined(studio.generated(one.train)), studio.originals.take(one.test)
    settings = {"seed": bench.recipe.seed, "augment": "corrosion", "finetune.epochs": options.epochs}
    done = teach_network(taught, judged, bench.classes, studio.network, settings, device=bench.device)
    cells["learning"] = done.history
    svg = fold_figures.learning_over_folds([done.history], "fig-11")
    last = done.history[-1]
    text = [
        f"{len(taught.labels)} images teach ({len(one.train)} originals), {len(one.test)} originals are looked at after"
        f" each of {options.epochs} epochs; no epoch is chosen. Last accuracy {percent(last['val_accuracy'])} of"
        f" {len(one.test)}: with so few, a step of the curve is one image.",
        f"The paper's accuracy fell from {percent(s2.COLLAPSE[0])} to {percent(s2.COLLAPSE[1])} after"
        f" {s2.COLLAPSE_EPOCHS[0]} epochs, elsewhere {s2.COLLAPSE_EPOCHS[1]}. A run's report marks such a fall where"
        " chance does not explain it.",
    ]
    return [Part("Figs. 11 to 13: learning", text, figures=[Figure(svg, "Ours: accuracy and loss by epoch.")])]


def _curve_parts(bench: Bench, cells: dict[str, Any]) -> list[Part]:
    table = curves_of(bench.corpus)
    if table is None:
        why = "no curves lie beside the pictures: Figs. 4 to 7 are left out"
        bench.warnings.append(why)
        return []
    return curve_parts(chosen_coupons(table), cells)


def _consistency(cells: dict[str, Any]) -> list[Part]:
    """Return what of Tables 4 and 5 follows from what."""
    rows = consistency_rows()
    cells["consistency"] = [{key: None if value != value else value for key, value in row.items()} for row in rows]
    lead = Part("Tables 4 and 5 against each other", [*CLAIMS, f"{count(len(rows), 'check')} follow."])
    return [lead, *consistency_parts(rows)]
